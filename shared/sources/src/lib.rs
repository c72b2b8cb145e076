//! Where media comes from, and the guard that every request for it passes.
//!
//! Invariants: no request leaves for a private address, whatever the name resolves to and wherever a redirect
//! points; what one site gave us goes to no other; every read has a bound in time; every byte read is counted; what was read all belongs to one version
//! of the file.

mod answer;
pub mod captions;
mod client;
mod cookies;
mod extras;
mod guard;
mod limits;
mod post;
mod proxy;
mod remote;
mod retry;
mod sniff;
pub mod streams;
pub mod ytdlp;

pub use client::SourceClient;
pub use extras::Extras;
pub use guard::{Guard, Names};
pub use limits::{Limits, Traffic};
pub use post::{POST_TIMEOUT, PostError, Poster};
pub use proxy::{Proxy, ProxyLimits, Upstream};
pub use remote::RemoteFile;
pub use retry::Pauses;
pub use sniff::{Container, sniff};

/// Why a source cannot be used. The texts are for the person who gave the URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The address is one that we do not fetch from.
    #[error("the address of this URL is not allowed: {0}")]
    Forbidden(String),
    /// No server, or not this file.
    #[error("the source could not be fetched: {0}")]
    Unavailable(String),
    /// The server stopped answering.
    #[error("the source did not answer in time; try again or use a faster server")]
    Stalled,
    /// It answers, but hardly anything comes.
    #[error("the source sends too slowly to be read; try again or use a faster server")]
    TooSlow,
    /// The transfer ended early.
    #[error("the source ended before all of it was sent; it may be damaged or still being uploaded")]
    Incomplete,
    /// The file is another one than at the first read.
    #[error("the source changed while it was being read; try again")]
    Changed,
    /// Not a video or sound file.
    #[error("the URL is not a video: {0}")]
    NotMedia(String),
    /// A web page without a video that can be had.
    #[error("{0}")]
    Page(String),
    /// The site that has it does not let us.
    #[error("{0}")]
    Blocked(String),
    /// A video, but not one that can be taken apart.
    #[error("the source cannot be cut: {0}")]
    Unsupported(String),
    /// More bytes than we read from one source.
    #[error("the source is too large: {0}")]
    TooLarge(String),
}

impl SourceError {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Forbidden(_) => "source_forbidden",
            Self::Unavailable(_) | Self::Stalled | Self::TooSlow | Self::Incomplete | Self::Changed => {
                "source_unavailable"
            }
            Self::NotMedia(_) | Self::Unsupported(_) | Self::Page(_) => "source_unsupported",
            Self::Blocked(_) => "source_blocked",
            Self::TooLarge(_) => "source_too_large",
        }
    }
}
