//! Encoding the ends of a clip, so that they can stand in one track with what is copied.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Reason, blocking,
    codec::{self, Entry, Role, Sets},
    plan::End,
    sei,
    source::{Media, Source},
    told,
};
use crate::{
    engine::silent,
    ffmpeg::{Args, Tools},
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

/// Encodes `end` of `source`. `path` is a place for files of this end.
pub(super) async fn encode(
    tools: &Tools,
    source: &Arc<Source>,
    end: &End,
    path: &Path,
) -> Result<Encoded, Reason> {
    let (stream, out) = (path.with_extension("stream"), path.with_extension("mp4"));
    let left_out = {
        let (source, end, stream) = (Arc::clone(source), end.clone(), stream.clone());
        blocking(move || write_stream(&source, &end, &stream)).await?
    };
    let frames = end.frames.start - left_out..end.frames.end - left_out;
    let args = Args::default()
        // `strict` makes the decoder put pictures in order by what the stream may do, not by what it has seen so far.
        .words("-strict 1 -r 25")
        .option("-f", source.codec.name())
        .input(&stream)
        .words("-map 0:v:0 -fps_mode passthrough -enc_time_base 1:25")
        // Pictures are counted; their times are not known here and do not matter.
        .option(
            "-vf",
            format!("trim=start_frame={}:end_frame={},settb=1/25,setpts=N", frames.start, frames.end),
        );
    let args = source.codec.encoder(args)?.words("-map_metadata -1 -f mp4").file(&out);
    let finished =
        tools.ffmpeg(args, &mut |_| {}).await.map_err(|error| Reason::Encoder(error.to_string()))?;
    silent(finished).map_err(told)?;
    read(source, end, out).await
}

/// The samples of `end` in the byte stream format (annex B of H.264 and H.265). Left out, and counted, are pictures before the first
/// that is wanted to which no other refers.
fn write_stream(source: &Source, end: &End, path: &Path) -> Result<usize, Reason> {
    const START: [u8; 4] = [0, 0, 0, 1];
    let mut out = BufWriter::with_capacity(1 << 18, File::create(path)?);
    for set in source.codec.sets() {
        out.write_all(&START)?;
        out.write_all(set)?;
    }
    let wanted = end.pts.first().copied().unwrap_or(i64::MIN);
    let is_early = |index: usize| source.pictures.get(index).is_some_and(|picture| picture.pts < wanted);
    let mut left_out = 0;
    for index in end.decode.clone() {
        let sample = source.media.read(index)?;
        let nals = source.nals(&sample)?;
        let is_needed = |nal: &&[u8]| match source.codec.role(nal) {
            Role::Slice { is_reference } => is_reference,
            Role::Idr => true,
            _ => false,
        };
        if is_early(index) && !nals.iter().any(is_needed) {
            left_out += 1;
            continue;
        }
        nals.iter().try_for_each(|nal| out.write_all(&START).and_then(|()| out.write_all(nal)))?;
    }
    out.flush()?;
    Ok(left_out)
}

/// Looks at what the encoder made: as many pictures as there are times for, and sets that fit.
async fn read(source: &Arc<Source>, end: &End, path: PathBuf) -> Result<Encoded, Reason> {
    let file = LocalFile::open(&path)?;
    let index = Index::read(&file).await.map_err(|error| Reason::Encoder(error.to_string()))?;
    let track = index.video.ok_or_else(|| Reason::Encoder("no picture".to_owned()))?;
    let samples = track.samples.map_err(Reason::Samples)?;
    if samples.list.len() != end.pts.len() {
        return Err(Reason::EndFrames { planned: end.pts.len(), found: samples.list.len() });
    }
    let sets = source.codec.adopt(Entry::find(&track.stsd, samples.description)?)?;
    let mut shown: Vec<i64> = samples.list.iter().map(Sample::pts).collect();
    shown.sort_unstable();
    let rank = |sample: &Sample| shown.binary_search(&sample.pts()).ok();
    let pts = samples.list.iter().map(|sample| end.pts.get(rank(sample)?).copied());
    let pts = pts.collect::<Option<Vec<i64>>>().ok_or(Reason::Timeline)?;
    let decoded = end.decode.clone().filter_map(|index| Some((source.pictures.get(index)?.pts, index)));
    let decoded: BTreeMap<i64, usize> = decoded.collect();
    let pictures = pts.iter().map(|pts| decoded.get(pts).copied());
    let pictures = pictures.collect::<Option<Vec<usize>>>().ok_or(Reason::Timeline)?;
    let (source, begin) = (Arc::clone(source), end.decode.start);
    Ok(Encoded { source, media: Media::open(&path, samples.list)?, pts, pictures, begin, sets })
}
