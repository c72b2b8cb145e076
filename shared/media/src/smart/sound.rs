//! The sound of a clip: packets of the source, from a little before the clip to its end.
//!
//! Invariant: the edit list begins at the clip's zero to the tick of the track's clock.

use std::{ops::Range, path::Path};

use domain::time::MediaTime;

use super::{Reason, source::Media};
use crate::{
    engine::AudioPlan,
    mp4::{
        Sample, Samples, Track,
        boxes::{Children, FourCc, write},
    },
};

/// Sound whose packets can be copied into an MP4 file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// FFmpeg's name of the codec.
    codec: &'static str,
    /// The sample entry's type.
    entry: FourCc,
    /// How much is decoded before the first packet that is heard: so many packets and at least so long.
    priming: (usize, MediaTime),
}

/// AAC overlaps by one packet (ISO/IEC 14496-3, 4.6.11); one more lets tools that carry something over settle.
pub(super) const AAC: Kind = Kind { codec: "aac", entry: *b"mp4a", priming: (2, MediaTime::ZERO) };

static KINDS: [Kind; 5] = [
    AAC,
    // A packet may lie up to 511 bytes before its header (`main_data_begin`, ISO/IEC 11172-3, 2.4.2.7): at 32 kbit/s,
    // 48 kHz and two channels, packets hold 60 bytes. And it overlaps by one.
    Kind { codec: "mp3", entry: *b"mp4a", priming: (10, MediaTime::ZERO) },
    // RFC 7845, 4.6.
    Kind { codec: "opus", entry: *b"Opus", priming: (1, MediaTime(80_000)) },
    // The transform overlaps by half a block (ETSI TS 102 366, 6.9).
    Kind { codec: "ac3", entry: *b"ac-3", priming: (1, MediaTime::ZERO) },
    Kind { codec: "eac3", entry: *b"ec-3", priming: (1, MediaTime::ZERO) },
];

impl Kind {
    /// The kind of `track`, which FFmpeg takes for `codec`.
    pub(super) fn of(codec: &str, track: &Track) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.codec == codec && kind.entry == track.codec)
    }
}

/// By how much a packet may be off the time that it has if all of them are equally long: what rounding makes of it. A pause
/// moves packets by half of its length at least.
const OFF_MAX: MediaTime = MediaTime(2_000);

/// Packets of one track.
pub(super) struct Sound {
    /// FFmpeg's name of the codec.
    pub(super) codec: &'static str,
    pub(super) media: Media,
    pub(super) track: Track,
    /// Body of the `stsd`.
    pub(super) stsd: Vec<u8>,
    pub(super) packets: Range<usize>,
    /// The media's time at the clip's zero, from the first packet on, in ticks.
    pub(super) media_time: i64,
    /// How long it is heard, in ticks.
    pub(super) length: i64,
    pub(super) last_duration: u32,
    /// Whether it was encoded for the clip.
    pub(super) is_encoded: bool,
}

impl Sound {
    /// The packets of `track` for the samples `heard` of a clock of `rate`. `None` if they are not enough: the sound
    /// begins late, pauses or ends early, or the track is of a kind that cannot stand in an MP4 file as it is.
    pub(super) fn cover(
        path: &Path,
        mut track: Track,
        kind: &'static Kind,
        plan: &AudioPlan,
        heard: Range<i64>,
    ) -> Result<Option<Self>, Reason> {
        if !is_iso_entry(&track.stsd) || track.timescale != plan.rate {
            return Ok(None);
        }
        let Ok(samples) = std::mem::replace(&mut track.samples, Err("moved")) else { return Ok(None) };
        let Some(packets) = packets(&samples, kind, &track, &heard) else { return Ok(None) };
        let at = |index: usize| samples.list.get(index).map_or(0, crate::mp4::Sample::pts);
        let last = packets.end.saturating_sub(1);
        let end = (at(last) + samples.duration(last)).min(track.shown.end).min(heard.end);
        let media_time = heard.start - at(packets.start);
        Ok(Some(Self {
            codec: kind.codec,
            media_time,
            stsd: if kind.entry == *b"Opus" {
                with_pre_skip(&track.stsd, media_time)
            } else {
                track.stsd.clone()
            },
            length: end - heard.start,
            last_duration: u32::try_from(samples.duration(last)).unwrap_or(0),
            is_encoded: false,
            packets,
            media: Media::open(path, samples.list)?,
            track,
        }))
    }
}

/// Where the boxes begin in the body of an audio sample entry (ISO/IEC 14496-12, 12.2.3).
const ENTRY_FIELDS_LEN: usize = 28;

/// Whether the first sample entry is laid out as ISO/IEC 14496-12, 12.2.3 says: QuickTime's versions 1 and 2 have
/// more fields and hide the decoder's configuration in a `wave` box.
fn is_iso_entry(stsd: &[u8]) -> bool {
    stsd.get(24..26) == Some(&[0, 0])
}

/// A `stsd` of Opus whose `PreSkip` is `media_time`: players skip by it or by the edit list, and both must say the same
/// (Encapsulation of Opus in ISO Base Media File Format, 4.3.2 and 4.4).
fn with_pre_skip(stsd: &[u8], media_time: i64) -> Vec<u8> {
    let (head, entries) = stsd.split_at_checked(8).unwrap_or_default();
    let pre_skip = u16::try_from(media_time).unwrap_or(u16::MAX).to_be_bytes();
    let mut out = head.to_vec();
    for (kind, entry) in Children(entries).filter_map(Result::ok) {
        let (fields, boxes) = entry.split_at_checked(ENTRY_FIELDS_LEN).unwrap_or((entry, &[]));
        write(&mut out, &kind, |out| {
            out.extend_from_slice(fields);
            for (kind, body) in Children(boxes).filter_map(Result::ok) {
                write(out, &kind, |out| match body {
                    [version, channels, _, _, rest @ ..] if kind == *b"dOps" => {
                        out.extend_from_slice(&[&[*version, *channels], &pre_skip[..], rest].concat());
                    }
                    body => out.extend_from_slice(body),
                });
            }
        });
    }
    out
}

/// The packets to copy: those heard, and some before.
fn packets(samples: &Samples, kind: &Kind, track: &Track, heard: &Range<i64>) -> Option<Range<usize>> {
    let (list, shown) = (&samples.list, &track.shown);
    let until = |index: usize| list.get(index).map_or(0, |s| s.pts() + samples.duration(index));
    let first = (0..list.len()).find(|index| until(*index) > heard.start)?;
    let last = (first..list.len()).rfind(|index| list.get(*index).is_some_and(|s| s.pts() < heard.end))?;
    let (count, time) = kind.priming;
    let begin = list.get(first)?.pts();
    let settled = |index: &usize| {
        let before = list.get(*index).map_or(0, |s| begin - s.pts());
        MediaTime::from_ticks(before, track.timescale) >= time
    };
    let from = (0..=first.saturating_sub(count)).rev().find(settled).unwrap_or(0);
    let packets = from..last + 1;
    let mut durations: Vec<i64> = (packets.start..last).map(|index| samples.duration(index)).collect();
    durations.sort_unstable();
    let usual = durations.get(durations.len() / 2).copied().unwrap_or(1);
    let packet = usual.max(samples.duration(last));
    let one_offset = list.get(packets.clone())?.windows(2).all(|pair| match pair {
        [this, next] => this.cts == next.cts,
        _ => true,
    });
    let begins = begin.max(shown.start) <= heard.start;
    let ends = until(last).min(shown.end) + packet >= heard.end;
    // A packet that is announced as longer than the others is followed by a pause, which players may leave out.
    let (zero, all) = (list.get(from)?.pts(), list.get(last)?.pts());
    let count = i64::try_from(last - from).ok()?.max(1);
    let off = |(n, sample): (i64, &Sample)| (sample.pts() - zero - n * (all - zero) / count).abs();
    let off_max = (0..).zip(list.get(packets.clone())?).map(off).max().unwrap_or(0);
    let steady = usual > 0 && MediaTime::from_ticks(off_max, track.timescale) <= OFF_MAX;
    (samples.description == 1 && one_offset && begins && ends && steady).then_some(packets)
}
