//! The tests of the whole, in one program so that they share one local cloud.
//!
//! - `contract`: two files that must agree, do.
//! - `stack`: through HTTP on the local cloud, looking at the bytes that came out.
//! - `conformance`: the specification's own client code, run by the real interpreters.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod conformance;
mod contract;
mod root;
mod stack;
