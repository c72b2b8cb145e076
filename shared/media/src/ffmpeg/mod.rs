//! FFmpeg as a process: crashes stay in it, it can be killed, and its licence stays its own.
//!
//! Invariant: a source is opened with a list of allowed protocols and containers, so no file of a user's makes
//! FFmpeg open another file or the network.

mod colour;
mod probe;
mod process;
mod streams;

#[cfg(test)]
mod closed;

pub use colour::Colour;
pub use probe::{Probe, ProbeError};
pub use process::{TIME_LIMIT, Tools};
pub use streams::{AudioStream, TimeBase, VideoStream};

pub(crate) use probe::Packet;
pub(crate) use process::Args;
