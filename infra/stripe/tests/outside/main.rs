//! The local Stripe from outside: over HTTP, with its state on disk, and events taken by a receiver of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod clients;
mod control;
mod crash;
mod events;
mod http;
mod idempotency;
mod payments;
mod refused;
mod subscriptions;
