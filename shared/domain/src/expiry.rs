//! How long things live.

use crate::time::Timestamp;

const HOUR_MS: i64 = 3_600_000;

/// When a clip made at `created` expires, unless it is pinned: 24 hours later, to the millisecond. S3's own
/// lifecycle rule works in whole days, so reads check this instant themselves.
#[must_use]
pub const fn clip_expires_at(created: Timestamp) -> Timestamp {
    created.plus_ms(24 * HOUR_MS)
}

/// When the owner of a clip that expires at `expires` is told so: an hour before.
#[must_use]
pub const fn clip_warned_at(expires: Timestamp) -> Timestamp {
    expires.plus_ms(-HOUR_MS)
}

/// How long a finished job can be read: as long as the clip, and a week more so that a client that comes
/// late still learns what happened.
#[must_use]
pub const fn job_record_expires_at(ended: Timestamp) -> Timestamp {
    ended.plus_ms(8 * 24 * HOUR_MS)
}

/// How long the result of a look at `now` is used again: 10 minutes.
#[must_use]
pub const fn look_expires_at(now: Timestamp) -> Timestamp {
    now.plus_ms(10 * 60_000)
}

/// The longest that a presigned link works. A new one is made on each read.
pub const LINK_SECONDS_MAX: u64 = 3600;

/// The longest that the links of a share page work: whoever watches a long video jumps about in it by the link that the
/// page came with. On AWS a link ends with the credentials that signed it, too; the page's script asks for a new one
/// then.
const SHARE_LINK_SECONDS_MAX: u64 = 6 * 3600;

/// How long a link works that a clip's owner gets at `now`: never past the end of the clip, if it has one.
#[must_use]
pub fn link_seconds(expires_at: Option<Timestamp>, now: Timestamp) -> u64 {
    seconds_left(expires_at, now).clamp(1, LINK_SECONDS_MAX)
}

/// How long a link works that a share page gets at `now`: never past the end of the clip, if it has one.
#[must_use]
pub fn share_link_seconds(expires_at: Option<Timestamp>, now: Timestamp) -> u64 {
    seconds_left(expires_at, now).clamp(1, SHARE_LINK_SECONDS_MAX)
}

fn seconds_left(expires_at: Option<Timestamp>, now: Timestamp) -> u64 {
    let left = |expires_at: Timestamp| expires_at.0.saturating_sub(now.0).max(0).unsigned_abs() / 1000;
    expires_at.map_or(u64::MAX, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_ends_with_its_clip() {
        let end = Timestamp(100 * HOUR_MS);
        for (expires_at, now, seconds) in [
            (None, end, 3600),
            (Some(end), Timestamp(0), 3600),
            (Some(end), end.plus_ms(-90_999), 90),
            (Some(end), end.plus_ms(1), 1),
        ] {
            assert_eq!(link_seconds(expires_at, now), seconds);
        }
        assert_eq!(share_link_seconds(None, end), 6 * 3600);
        assert_eq!(share_link_seconds(Some(end), Timestamp(0)), 6 * 3600);
        assert_eq!(share_link_seconds(Some(end), end.plus_ms(-90_999)), 90);
        assert_eq!(share_link_seconds(Some(end), end.plus_ms(-1)), 1);
    }
}
