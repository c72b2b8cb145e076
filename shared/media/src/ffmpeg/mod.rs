//! FFmpeg as a process: crashes stay in it, it can be killed, and its licence stays its own.
//!
//! Invariant: a source is opened with a list of allowed protocols and containers, so no file of a user's makes
//! FFmpeg open another file or the network.

mod colour;
mod probe;
mod process;
mod streams;
mod survey;

#[cfg(test)]
mod closed;

pub use colour::Colour;
pub use probe::{Probe, ProbeError};
pub use process::{TIME_LIMIT, Tools};
pub use streams::{AudioStream, TimeBase, VideoStream};

pub(crate) use probe::Packet;
pub(crate) use process::Args;
#[cfg(test)]
pub(crate) use survey::Given;
pub(crate) use survey::{Seen, Survey};

/// What the H.264 decoder says when a stream tells it to forget a picture that it never had. That is how decoding
/// begins at a picture of an open group: the forgotten one lies before it. Nothing is decoded from it, or the
/// decoder would also complain about a missing reference.
const FORGETS_THE_UNKNOWN: &str = "mmco: unref short failure";

/// Whether a line of FFmpeg's log tells of nothing that is wrong.
pub(crate) fn is_harmless(line: &str) -> bool {
    let line = line.trim();
    // FFmpeg counts a line that it would print again.
    let again = line.starts_with("Last message repeated ");
    again || (line.starts_with("[h264 @ ") && line.ends_with(FORGETS_THE_UNKNOWN))
}
