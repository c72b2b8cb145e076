//! The sound of a clip: packets of the source, from a little before the clip to its end.
//!
//! Invariant: the edit list begins at the clip's zero to the tick of the track's clock.

use std::{ops::Range, path::Path};

use super::{Reason, source::Media};
use crate::{
    engine::AudioPlan,
    mp4::{Samples, Track},
};

/// Packets that are decoded before the first one that is heard: AAC overlaps by one (ISO/IEC 14496-3, 4.6.11), and
/// one more lets tools that carry something over settle.
const PRIMING_PACKETS: usize = 2;

/// Packets of one track.
pub(super) struct Sound {
    pub(super) media: Media,
    pub(super) track: Track,
    pub(super) packets: Range<usize>,
    /// The media's time at the clip's zero, from the first packet on, in ticks.
    pub(super) media_time: i64,
    /// How long it is heard, in ticks.
    pub(super) length: i64,
    pub(super) last_duration: u32,
}

impl Sound {
    /// The packets of `track` for the samples `heard` of a clock of `rate`. `None` if they are not enough: the sound
    /// begins late, pauses or ends early, or the track is of a kind that cannot stand in an MP4 file as it is.
    pub(super) fn cover(
        path: &Path,
        mut track: Track,
        plan: &AudioPlan,
        heard: Range<i64>,
    ) -> Result<Option<Self>, Reason> {
        if track.codec != *b"mp4a" || !is_iso_entry(&track.stsd) || track.timescale != plan.rate {
            return Ok(None);
        }
        let Ok(samples) = std::mem::replace(&mut track.samples, Err("moved")) else { return Ok(None) };
        let Some(packets) = packets(&samples, &track.shown, &heard) else { return Ok(None) };
        let at = |index: usize| samples.list.get(index).map_or(0, crate::mp4::Sample::pts);
        let last = packets.end.saturating_sub(1);
        let end = (at(last) + samples.duration(last)).min(track.shown.end).min(heard.end);
        Ok(Some(Self {
            media_time: heard.start - at(packets.start),
            length: end - heard.start,
            last_duration: u32::try_from(samples.duration(last)).unwrap_or(0),
            packets,
            media: Media::open(path, samples.list)?,
            track,
        }))
    }
}

/// Whether the first sample entry is laid out as ISO/IEC 14496-12, 12.2.3 says: QuickTime's versions 1 and 2 have
/// more fields and hide the decoder's configuration in a `wave` box.
fn is_iso_entry(stsd: &[u8]) -> bool {
    stsd.get(24..26) == Some(&[0, 0])
}

/// The packets to copy: those heard, and some before.
fn packets(samples: &Samples, shown: &Range<i64>, heard: &Range<i64>) -> Option<Range<usize>> {
    let list = &samples.list;
    let until = |index: usize| list.get(index).map_or(0, |s| s.pts() + samples.duration(index));
    let first = (0..list.len()).find(|index| until(*index) > heard.start)?;
    let last = (first..list.len()).rfind(|index| list.get(*index).is_some_and(|s| s.pts() < heard.end))?;
    let packets = first.saturating_sub(PRIMING_PACKETS)..last + 1;
    let durations = || (packets.start..last).map(|index| samples.duration(index));
    let (shortest, longest) = (durations().min().unwrap_or(1), durations().max().unwrap_or(1));
    let packet = longest.max(samples.duration(last));
    let one_offset = list.get(packets.clone())?.windows(2).all(|pair| match pair {
        [this, next] => this.cts == next.cts,
        _ => true,
    });
    let begins = list.get(first)?.pts().max(shown.start) <= heard.start;
    let ends = until(last).min(shown.end) + packet >= heard.end;
    // A packet that is announced as longer than its neighbours is followed by a pause.
    let steady = shortest > 0 && longest <= shortest * 2;
    (samples.description == 1 && one_offset && begins && ends && steady).then_some(packets)
}
