//! Where state lives: DynamoDB for money, jobs, clips and accounts, S3 for media.
//!
//! Invariants: every key is spelled in [`keys`]; every movement of money is one transaction with a condition on
//! the wallet it was decided on; a job ends in the transaction that resolves its hold.

pub mod accept;
pub mod accounts;
pub mod api_keys;
mod changes;
pub mod clips;
pub mod copies;
pub mod delivery;
pub mod due;
mod flows;
pub mod history;
mod https;
pub mod idempotency;
pub mod incoming;
pub mod jobs;
pub mod keys;
pub mod ledger;
pub mod leftovers;
pub mod library;
pub mod looks;
pub mod mail;
pub mod multipart;
pub mod objects;
pub mod payments;
pub mod purchase;
pub mod rate;
pub mod reconcile;
pub mod reload;
pub mod sessions;
pub mod shares;
pub mod shelves;
pub mod sign_in;
mod table;
mod transaction;
pub mod uploads;
pub mod webhooks;

pub use https::{https, https_client};
pub use table::{StoreError, Table};
