//! How long things may take: one table, from the outside in. What waits for something waits longer than that may take, so
//! that whoever is slow is told of by the one who knows, and nothing is asked a second time while it is still at work.
//!
//! The tests here see that they nest; `tests/contract/time_limits.rs` compares them with the template and the state machine.

use std::time::Duration;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// API Gateway answers 503 after this.
pub const API_GATEWAY: Duration = seconds(30);
/// A function behind the API.
pub const API_FUNCTION: Duration = seconds(29);
/// A look at a source, or at its captions, within such a function: what is left is for the answer and what is spent.
pub const LOOK: Duration = seconds(27);
/// Asking another function, in one attempt: a second one would start a second container while the first is at work.
pub const INVOKE: Duration = seconds(26);
/// Finding moments within a request, the look at their source included. What takes longer becomes a job, for which there
/// must be time left.
pub const AT_ONCE: Duration = seconds(20);
/// The part of a look in which a function reads an MP4 file's index itself.
pub const NATIVE_LOOK: Duration = seconds(20);
/// How long a container may take until it begins with what it is asked.
pub const COLD_START: Duration = seconds(5);
/// What `media.probe` takes at most. It may be asked for less.
pub const PROBE: Duration = seconds(20);
/// The least that `media.probe` is asked for: in less than this nobody finds out anything.
pub const PROBE_MIN: Duration = seconds(3);
/// What `media.captions` takes at most.
pub const CAPTIONS: Duration = seconds(20);
/// yt-dlp within either.
pub const PAGE: Duration = seconds(15);
/// ffprobe within a look.
pub const FFPROBE: Duration = seconds(10);
/// Silence of a source's server within a look.
pub const SILENCE: Duration = seconds(8);
/// Reading or writing a kept index, without which it goes on.
pub const KEPT_INDEX: Duration = seconds(4);

/// The function that finds moments.
pub const FIND_FUNCTION: Duration = seconds(60);
/// Asking a large model within it, with all attempts. The built-in finder, which takes over then, needs half a minute for
/// three hours of speech.
pub const LARGE_MODEL: Duration = seconds(25);

/// Any other call to AWS with all its attempts, and one attempt. S3 has none of both: a clip is one PUT, which may take
/// minutes.
pub const SDK_OPERATION: Duration = seconds(13);
/// See [`SDK_OPERATION`].
pub const SDK_ATTEMPT: Duration = seconds(6);

/// A function that works on media, which is the longest that Lambda lets one run.
pub const STAGE_FUNCTION: Duration = seconds(900);
/// Fetching a source within it. A source that is slower fails its job with words for its owner.
pub const FETCH: Duration = seconds(850);
/// One run of ffmpeg within it: `media::ffmpeg::TIME_LIMIT`, which is not named here because most functions carry no media
/// code. (`look` has both, and a test.)
pub const FFMPEG: Duration = seconds(780);
/// Converting a whole source within it: two minutes go to fetching and storing 4.5 GB each, and as much to looking at the
/// result.
pub const CONVERT: Duration = seconds(600);
/// yt-dlp within it. A page takes seconds.
pub const PAGE_OF_A_JOB: Duration = seconds(90);
/// Silence of a source's server within it.
pub const SILENCE_OF_A_JOB: Duration = seconds(20);
/// The function that looks at uploads: S3 may need long to put parts together.
pub const INSPECT_FUNCTION: Duration = seconds(300);
/// The look within it.
pub const INSPECT: Duration = seconds(40);

/// What `media.probe` is asked for when so much of a look is left.
#[must_use]
pub fn probe_within(left: Duration) -> Duration {
    left.saturating_sub(COLD_START).clamp(PROBE_MIN, PROBE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each waits longer than the next, and by as much as it does besides.
    #[test]
    fn they_nest() {
        let none = Duration::ZERO;
        for (outer, inner, besides) in [
            (API_GATEWAY, API_FUNCTION, none),
            (API_FUNCTION, LOOK, seconds(1)),
            (API_FUNCTION, SDK_OPERATION, SDK_OPERATION),
            (LOOK, INVOKE, none),
            (LOOK, NATIVE_LOOK, SILENCE - seconds(2)),
            (API_FUNCTION, AT_ONCE, SDK_ATTEMPT),
            (INVOKE, PROBE, COLD_START),
            (INVOKE, CAPTIONS, COLD_START),
            (PROBE, PAGE, seconds(4)),
            (CAPTIONS, PAGE, seconds(4)),
            (PROBE, FFPROBE, SILENCE),
            (PAGE, SILENCE, none),
            (NATIVE_LOOK, SILENCE, KEPT_INDEX),
            (SDK_OPERATION, SDK_ATTEMPT, SDK_ATTEMPT),
            (FIND_FUNCTION, LARGE_MODEL, seconds(30)),
            (STAGE_FUNCTION, FETCH, SDK_OPERATION),
            (STAGE_FUNCTION, FFMPEG, seconds(60)),
            (FFMPEG, CONVERT, seconds(120)),
            (FETCH, PAGE_OF_A_JOB, seconds(600)),
            (PAGE_OF_A_JOB, SILENCE_OF_A_JOB, none),
            (INSPECT_FUNCTION, INSPECT, SDK_OPERATION),
            (INSPECT, FFPROBE, SILENCE),
        ] {
            assert!(outer > inner + besides, "{outer:?} for {inner:?} and {besides:?} besides");
        }
    }

    #[test]
    fn a_probe_takes_what_is_left_of_a_look() {
        assert_eq!(probe_within(LOOK), PROBE);
        assert_eq!(probe_within(seconds(15)), seconds(10));
        assert_eq!(probe_within(none()), PROBE_MIN);
        // Whoever looked for as long as it may still has time for an answer.
        assert!(LOOK - NATIVE_LOOK > PROBE_MIN);
    }

    fn none() -> Duration {
        Duration::ZERO
    }
}
