//! The product's limits, as FastClip publishes them.

use crate::{quality::Format, time::MediaTime};

/// The longest clip: 10 minutes.
pub const CLIP_DURATION_MAX: MediaTime = MediaTime(600 * 1_000_000);
/// The longest GIF: 30 seconds.
pub const GIF_DURATION_MAX: MediaTime = MediaTime(30 * 1_000_000);
/// The longest source that a clip is cut from: 3 hours.
pub const SOURCE_DURATION_MAX: MediaTime = MediaTime(3 * 3600 * 1_000_000);
/// A clip may be asked to end so much behind its source's end, or a frame: whoever reads a length off a player is told it
/// rounded. It then ends with the source.
pub const BEYOND_END_MAX: MediaTime = MediaTime(50_000);
/// The least that a GIF may be bounded to, in bytes: a few small pictures.
pub const GIF_MAX_BYTES_MIN: u64 = 50_000;
/// The longest URL taken, in bytes; far above what browsers make, far below a header line's limit.
pub const URL_BYTES_MAX: usize = 4096;
/// The longest body of a JSON request, in bytes.
pub const JSON_BODY_BYTES_MAX: usize = 64 * 1024;

/// The longest clip in `format`.
#[must_use]
pub const fn duration_max(format: Format) -> MediaTime {
    match format {
        Format::Gif => GIF_DURATION_MAX,
        Format::Mp4 | Format::Mp3 | Format::M4a | Format::Wav | Format::Flac => CLIP_DURATION_MAX,
    }
}
