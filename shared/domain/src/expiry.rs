//! How long things live.

use crate::time::Timestamp;

const HOUR_MS: i64 = 3_600_000;

/// When a clip made at `created` expires, unless it is pinned: 24 hours later, to the millisecond. S3's own
/// lifecycle rule works in whole days, so reads check this instant themselves.
#[must_use]
pub const fn clip_expires_at(created: Timestamp) -> Timestamp {
    created.plus_ms(24 * HOUR_MS)
}

/// Until when a finished job can be asked for: as long as the clip, and a week more so that a client that comes
/// late still learns what happened.
#[must_use]
pub const fn job_record_expires_at(ended: Timestamp) -> Timestamp {
    ended.plus_ms(8 * 24 * HOUR_MS)
}

/// Until when what a look at a source at `now` told is told again: 10 minutes.
#[must_use]
pub const fn look_expires_at(now: Timestamp) -> Timestamp {
    now.plus_ms(10 * 60_000)
}

/// How long a presigned download link works. A new one is made on each read.
pub const DOWNLOAD_LINK_SECONDS: u64 = 3600;
