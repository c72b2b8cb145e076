//! Through HTTP on the local cloud.

mod accept;
mod browser;
mod cancel;
mod cases;
pub(crate) mod cloud;
mod crash;
mod deploy;
mod door;
mod download;
mod elsewhere;
mod exact;
mod forbidden;
mod formats;
mod index;
mod info;
mod library;
mod limits;
mod local;
mod misbehave;
mod moments;
mod money;
mod open_groups;
mod pages;
mod queue;
mod quote;
mod refuse;
mod release;
mod share;
pub(crate) mod source;
mod speech;
mod streams;
mod transcript;
mod upload;
mod watch;
mod webhooks;

pub(crate) use cloud::{Account, Cloud, With, cloud, fragile, http, shared};
