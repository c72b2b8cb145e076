//! What Clipwright *decides*: money, prices, jobs, cut plans, limits, expiry, identifiers.
//!
//! Invariant: this crate is pure. It knows no AWS, no tokio, no clock and no environment. Functions take values
//! and `now` and return a decision; the crates above act on it. (`tests/contract/layers.rs` enforces the first
//! half, the lack of any such dependency the second.)

pub mod account;
pub mod audit;
pub mod clip;
pub mod cut;
pub mod delivery;
pub mod download;
pub mod email;
pub mod expiry;
pub mod fan_out;
pub mod hosts;
pub mod idempotency;
pub mod ids;
pub mod job;
pub mod language;
pub mod ledger;
pub mod library;
pub mod limits;
pub mod mail;
pub mod mailbox;
pub mod moments;
pub mod money;
pub mod payment;
pub mod prices;
pub mod quality;
pub mod quote;
pub mod rate;
pub mod reload;
pub mod sentence;
pub mod share;
pub mod sign_in;
pub mod source;
pub mod spec;
pub mod storage;
pub mod stripe;
pub mod time;
pub mod tracks;
pub mod transcript;
pub mod transfer;
pub mod upload;
pub mod webhook;
