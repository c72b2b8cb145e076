//! Where to cut long sound, so that its pieces can be recognised side by side.

use domain::time::MediaTime;
use serde::{Deserialize, Serialize};

/// A stretch of sound in which somebody speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Its first sample, on the sound's timeline.
    pub start: MediaTime,
    /// Behind its last sample.
    pub end: MediaTime,
}
