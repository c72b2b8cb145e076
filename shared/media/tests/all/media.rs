//! Any media: its plain and its fragmented file have the same samples, and a span's own file has the frames of the
//! span.

#![allow(clippy::unwrap_used, clippy::panic)]

use crate::kit;

use domain::{
    cut::{FrameRange, Span},
    time::MediaTime,
};
use kit::{
    BOTH, Memory,
    muxer::{Base, Layout, Map, Media, Packet, fragmented, plain},
};
use media::mp4::{Index, IndexError, Part, ReadAt, Sample, SpanError, SpanFile, Track};
use proptest::prelude::*;

/// A group of pictures in decoding order: how each picture is shown against the first, in pictures. The last two are
/// an open group, whose leading pictures come before its first, and one with a pyramid.
const GROUPS: [&[i32]; 5] =
    [&[0], &[0, 1, 2, 3], &[0, 3, 1, 2, 6, 4, 5], &[2, 0, 1, 5, 3, 4], &[0, 4, 2, 1, 3]];

/// The group whose pictures are shown before they are decoded the longest.
const DEEPEST: usize = 4;

/// The most pictures that a picture is decoded before it is shown.
const REORDER: i32 = 3;

fn packets(groups: &[usize], step: u32, lengths: &[u32], negative: bool) -> Vec<Packet> {
    let mut packets = Vec::new();
    for group in groups {
        for (n, shown) in GROUPS[*group].iter().enumerate() {
            let late = shown - n as i32 + if negative { 0 } else { REORDER };
            let size = lengths[packets.len() % lengths.len()];
            packets.push(Packet { duration: step, cts: late * step.cast_signed(), size, sync: n == 0 });
        }
    }
    packets
}

prop_compose! {
    fn media()(
        groups in prop::collection::vec(0..GROUPS.len(), 1..24),
        (timescale, step) in prop::sample::select(vec![(12_800, 512), (30_000, 1001), (90_000, 3750), (24, 1), (600, 25)]),
        lengths in prop::collection::vec(1u32..600, 1..7),
        negative: bool,
        delay in prop::option::of(prop::sample::select(vec![0u32, 40, 1000, 2500])),
        sound in prop::option::of((prop::sample::select(vec![(48_000, 1024), (44_100, 1152)]), 0u32..400)),
    ) -> Vec<Media> {
        // The largest negative offset is in the first group, as encoders do it.
        let groups: Vec<usize> = negative.then_some(DEEPEST).into_iter().chain(groups).collect();
        let packets = packets(&groups, step, &lengths, negative);
        // An edit that begins at the first picture hides nothing.
        let mut dts = 0;
        let shown = packets.iter().map(|packet| {
            dts += i64::from(packet.duration);
            dts - i64::from(packet.duration) + i64::from(packet.cts)
        });
        let first = shown.min().unwrap();
        let edit = delay.filter(|_| !negative).map(|delay| (delay, u32::try_from(first).unwrap()));
        let length = packets.len() as u64 * u64::from(step) * 1000 / timescale;
        let mut all = vec![Media { is_sound: false, timescale: timescale as u32, packets, edit }];
        if let Some(((timescale, step), late)) = sound {
            let count = (length * timescale / 1000 / step).max(2) as usize;
            let packet = Packet { duration: step as u32, cts: 0, size: 7, sync: true };
            let edit = (late > 0).then_some((late, 0));
            all.push(Media { is_sound: true, timescale: timescale as u32, packets: vec![packet; count], edit });
        }
        all
    }
}

prop_compose! {
    fn layout()(
        packets in 1usize..40,
        base in prop::sample::select(vec![Base::File, Base::Moof, Base::Implicit]),
        map in prop::sample::select(vec![Map::Sidx, Map::Mfra, Map::None]),
        explicit: bool,
        tfdt in prop::bool::weighted(0.9),
    ) -> Layout {
        Layout { packets, base, map, explicit, tfdt }
    }
}

/// Times, size and kind of each sample, and its bytes.
async fn samples(file: &Memory, track: Option<&Track>, lift: i32) -> Vec<(i64, i64, u32, bool, Vec<u8>)> {
    let Some(track) = track else { return Vec::new() };
    let samples = track.samples.as_ref().unwrap();
    let mut rows = Vec::new();
    for (n, sample) in samples.list.iter().enumerate() {
        let sync = samples.sync.as_ref().is_none_or(|sync| sync.binary_search(&(n as u32)).is_ok());
        let bytes = file.read_at(sample.offset, sample.size.into()).await.unwrap().to_vec();
        rows.push((sample.pts() + i64::from(lift), sample.dts, sample.size, sync, bytes));
    }
    rows
}

/// The frames of the span's own file that are within the span, and their bytes, by the source's time.
async fn local_frames(file: &Memory, plan: &SpanFile, span: Span) -> Vec<(i64, Vec<u8>)> {
    let mut local = plan.header.clone();
    for range in &plan.ranges {
        local.extend(file.read_at(range.start, range.end - range.start).await.unwrap());
    }
    assert_eq!(local.len() as u64, plan.bytes_total);
    let local = Memory(local);
    let track = Index::read(&local).await.unwrap().video.unwrap();
    let moved = plan.origin.0 / 1_000_000 * i64::from(track.timescale);
    frames(&local, &track, moved, span).await
}

async fn frames(file: &Memory, track: &Track, moved: i64, span: Span) -> Vec<(i64, Vec<u8>)> {
    let within =
        |sample: &&Sample| span.contains(MediaTime::from_ticks(sample.pts() + moved, track.timescale));
    let mut frames = Vec::new();
    for sample in track.samples.as_ref().unwrap().list.iter().filter(within) {
        let bytes = file.read_at(sample.offset, sample.size.into()).await.unwrap().to_vec();
        frames.push((sample.pts() + moved, bytes));
    }
    frames
}

async fn check(media: Vec<Media>, layout: Layout, start: i64, length: i64) {
    let (plain, fragments) = (Memory(plain(&media)), Memory(fragmented(&media, layout)));
    let (a, b) = (Index::read(&plain).await.unwrap(), Index::read(&fragments).await.unwrap());
    // FFmpeg, and so we, show a fragmented track later by its largest negative composition offset.
    let lift = -media[0].packets.iter().map(|packet| packet.cts).min().unwrap().min(0);
    assert_eq!(samples(&plain, a.video.as_ref(), lift).await, samples(&fragments, b.video.as_ref(), 0).await);
    assert_eq!(samples(&plain, a.audio.as_ref(), 0).await, samples(&fragments, b.audio.as_ref(), 0).await);

    let start = MediaTime(start * 1000);
    let span = Span { start, end: MediaTime(start.0 + length * 1000) };
    match Index::read_part(&fragments, Part::Span(span)).await {
        Ok(part) if lift == 0 || layout.packets >= GROUPS[DEEPEST].len() => {
            let told = |index| SpanFile::plan(index, span, BOTH).map(|plan| (plan.frames, plan.ranges));
            assert_eq!(told(&b), told(&part), "a part of the index is enough");
        }
        // By how much FFmpeg lifts all times is told by the first fragment, or only by the whole file.
        Ok(_) => {}
        Err(IndexError::Unsupported("composition offsets grow"))
            if layout.packets < GROUPS[DEEPEST].len() => {}
        // Fragments without times can only be counted from the first.
        Err(IndexError::Unsupported(_)) if !layout.tfdt => {}
        Err(error) => panic!("{error:?}"),
    }
    for (file, index) in [(&plain, &a), (&fragments, &b)] {
        let track = index.video.as_ref().unwrap();
        let wanted = frames(file, track, 0, span).await;
        match SpanFile::plan(index, span, BOTH) {
            Ok(plan) => {
                let all = track.samples.as_ref().unwrap().list.iter().map(|sample| sample.pts());
                let shown = all.filter(|pts| track.shown.contains(pts));
                assert_eq!(plan.frames, FrameRange::select(span, shown, track.timescale, index.pace()));
                assert_eq!(local_frames(file, &plan, span).await, wanted);
            }
            Err(SpanError::NoFrame) => assert_eq!(wanted, []),
            // An open group at the very beginning has leading pictures that nothing can decode.
            Err(SpanError::Unsupported("no sync sample before the span")) => {
                let samples = track.samples.as_ref().unwrap();
                assert!(wanted.iter().any(|frame| frame.0 < samples.list[0].pts()));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn two_forms_of_the_same_media(media in media(), layout in layout(), start in 0i64..6_000, length in 1i64..3_000) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(check(media, layout, start, length));
    }
}
