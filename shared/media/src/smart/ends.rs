//! Encoding the ends of a clip, so that they can stand in one track with what is copied.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use super::{
    Reason, blocking,
    codec::{self, Codec, Entry, Role, Sets},
    mux::{self, From},
    plan::End,
    sei,
    source::{Media, Source},
    warm::Waiting,
};
use crate::{
    ffmpeg::Args,
    mp4::{Index, LocalFile, Sample},
};

/// An end, encoded.
pub(super) struct Encoded {
    source: Arc<Source>,
    media: Media,
    /// Presentation times in decoding order, in ticks of the source.
    pub(super) pts: Vec<i64>,
    /// The source's samples that are shown at these times.
    pictures: Vec<usize>,
    /// The source's sample whose sequence the end belongs to.
    begin: usize,
    pub(super) sets: Sets,
}

impl Encoded {
    /// A sample as the clip has it: the encoder's slices, and what the source says of this picture.
    pub(super) fn sample(&self, index: usize) -> Result<Vec<u8>, Reason> {
        let codec = self.source.codec.as_ref();
        let picture = self.source.media.read(*self.pictures.get(index).ok_or(Reason::Timeline)?)?;
        let begin = self.source.media.read(self.begin)?;
        let (picture, begin) = (self.source.nals(&picture)?, self.source.nals(&begin)?);
        let encoded = self.media.read(index)?;
        let mut out = Vec::with_capacity(encoded.len());
        let messages = sei::carried(codec, &picture, (index == 0).then_some(&begin));
        messages.iter().for_each(|nal| codec::push_unit(&mut out, nal));
        for unit in codec::units(&encoded, 4).ok_or(Reason::Units)? {
            let nal = encoded.get(unit).unwrap_or_default();
            if matches!(codec.role(nal), Role::Idr | Role::Slice { .. }) {
                codec::push_unit(&mut out, &codec.adopted(nal).ok_or(Reason::EndSets)?);
            }
        }
        let trailers = picture.into_iter().filter(|nal| codec.is_trailer(nal));
        trailers.for_each(|nal| codec::push_unit(&mut out, nal));
        Ok(out)
    }
}

/// What was encoded of a clip.
#[derive(Default)]
pub(super) struct Ends {
    pub(super) head: Option<Encoded>,
    pub(super) tail: Option<Encoded>,
}

impl Ends {
    /// The parameter sets of what was encoded.
    pub(super) fn sets(&self) -> Option<&Sets> {
        self.head.as_ref().or(self.tail.as_ref()).map(|end| &end.sets)
    }
}

/// An end on its way through the encoder.
struct Leg {
    end: End,
    /// The samples that are decoded: without pictures before the first wanted one to which no other refers.
    samples: Vec<usize>,
}

/// What the encoder makes, in the folder of the cut.
const ENDS: &str = "ends.mp4";

/// The clock of the encoder's input, in ticks a second. The times of pictures are not known to it and do not matter.
const CLOCK: u32 = 25;

/// What a picture's time on that clock says beside its place, as the remainder by [`STEP`]: whether it is encoded, and
/// whether it belongs to the tail.
const STEP: i64 = 4;
const WANTED: i64 = 1;
const OF_TAIL: i64 = 2;

/// How a program makes both ends in one go: one decoder reads what they need, one behind the other, and one encoder makes
/// a sequence of each. What it is to do with a picture stands in the picture's time, so that what a decoder would leave
/// out is missing then, and not mistaken for another; and so that the program can be started before the pictures are
/// known.
pub(super) fn encoder(codec: &dyn Codec, folder: &Path) -> Result<Args, Reason> {
    // The encoder counts the pictures. It begins anew with the tail, which is put behind all that a head can be.
    const TAIL_AT_SECONDS: u32 = 100_000;
    let later = TAIL_AT_SECONDS * CLOCK;
    let args = Args::default()
        // `strict` makes the decoder put pictures in order by what the stream may do, not by what it has seen so far.
        // How the track turns them is for those who show them.
        .words("-strict 1 -noautorotate")
        .piped()
        .words(&format!("-map 0:v:0 -fps_mode passthrough -enc_time_base 1:{CLOCK}"))
        .option(
            "-vf",
            format!("select='mod(pts,2)',setpts='N+{later}*gte(mod(PTS,{STEP}),{OF_TAIL})',settb=1/{CLOCK}"),
        );
    let args = codec.encoder(args)?.words(&format!("-force_key_frames {TAIL_AT_SECONDS} -forced-idr 1"));
    Ok(args.words("-map_metadata -1 -f mp4").file(&folder.join(ENDS)))
}

/// Encodes the ends of `source`.
pub(super) async fn encode(
    source: &Arc<Source>,
    encoder: Waiting<Result<(), Reason>>,
    folder: &Path,
) -> Result<Ends, Reason> {
    if source.parts.head.is_none() && source.parts.tail.is_none() {
        return Ok(Ends::default());
    }
    let input = folder.join("ends-source.mp4");
    let legs = {
        let (source, input) = (Arc::clone(source), input.clone());
        blocking(move || write_input(&source, &input)).await?
    };
    encoder.feed(&input).await??;
    read(source, legs, &folder.join(ENDS)).await
}

/// Writes what the decoder needs for the ends.
fn write_input(source: &Source, path: &Path) -> Result<Vec<Leg>, Reason> {
    let (mut legs, mut frames) = (Vec::new(), Vec::new());
    for end in [&source.parts.head, &source.parts.tail].into_iter().flatten() {
        let first = end.pts.first().copied().ok_or(Reason::Timeline)?;
        let mut samples = Vec::new();
        for index in end.decode.clone() {
            let picture = source.pictures.get(index).ok_or(Reason::Timeline)?;
            if picture.pts >= first || source.is_reference(index)? {
                samples.push(index);
            }
        }
        let pts = |index: &usize| source.pictures.get(*index).map_or(0, |picture| picture.pts);
        let mut shown: Vec<i64> = samples.iter().map(pts).collect();
        shown.sort_unstable();
        let before = frames.len();
        let tail = if source.parts.tail.as_ref() == Some(end) { OF_TAIL } else { 0 };
        for index in &samples {
            let place = shown.binary_search(&pts(index)).map_err(|_| Reason::Timeline)?;
            let wanted = if end.pts.binary_search(&pts(index)).is_ok() { WANTED } else { 0 };
            let place = i64::try_from(before + place).map_err(|_| Reason::Timeline)?;
            let time = place * STEP + tail + wanted;
            frames.push((From::Source(source, *index), time, *index == end.decode.start));
        }
        legs.push(Leg { end: end.clone(), samples });
    }
    mux::write_pictures(source, frames, CLOCK, path).map(|()| legs)
}

/// Looks at what the encoder made: as many pictures as there are times for, and sets that fit.
async fn read(source: &Arc<Source>, legs: Vec<Leg>, path: &Path) -> Result<Ends, Reason> {
    let file = LocalFile::open(path)?;
    let index = Index::read(&file).await.map_err(|error| Reason::Encoder(error.to_string()))?;
    let track = index.video.ok_or_else(|| Reason::Encoder("no picture".to_owned()))?;
    let samples = track.samples.map_err(Reason::Samples)?;
    let planned = legs.iter().map(|leg| leg.end.pts.len()).sum();
    if samples.list.len() != planned {
        return Err(Reason::EndFrames { planned, found: samples.list.len() });
    }
    let sets = source.codec.adopt(Entry::find(&track.stsd, samples.description)?)?;
    let is_sync = |n: usize| {
        samples
            .sync
            .as_ref()
            .is_none_or(|sync| u32::try_from(n).is_ok_and(|n| sync.binary_search(&n).is_ok()))
    };
    let mut ends = Ends::default();
    let mut done = 0;
    for leg in legs {
        let list = samples.list.get(done..done + leg.end.pts.len()).ok_or(Reason::Timeline)?;
        if !is_sync(done) {
            return Err(Reason::NoIdr);
        }
        done += list.len();
        let is_head = source.parts.head.as_ref() == Some(&leg.end);
        let encoded = leg.encoded(source, Media::open(path, list.to_vec())?, sets.clone())?;
        *(if is_head { &mut ends.head } else { &mut ends.tail }) = Some(encoded);
    }
    Ok(ends)
}

impl Leg {
    /// What came of this end.
    fn encoded(self, source: &Arc<Source>, media: Media, sets: Sets) -> Result<Encoded, Reason> {
        let Self { end, samples, .. } = self;
        let mut shown: Vec<i64> = media.samples.iter().map(Sample::pts).collect();
        shown.sort_unstable();
        let rank = |sample: &Sample| shown.binary_search(&sample.pts()).ok();
        let pts = media.samples.iter().map(|sample| end.pts.get(rank(sample)?).copied());
        let pts = pts.collect::<Option<Vec<i64>>>().ok_or(Reason::Timeline)?;
        let decoded = samples.into_iter().filter_map(|index| Some((source.pictures.get(index)?.pts, index)));
        let decoded: BTreeMap<i64, usize> = decoded.collect();
        let pictures = pts.iter().map(|pts| decoded.get(pts).copied());
        let pictures = pictures.collect::<Option<Vec<usize>>>().ok_or(Reason::Timeline)?;
        Ok(Encoded { source: Arc::clone(source), media, pts, pictures, begin: end.decode.start, sets })
    }
}
