//! Encoding the ends of a clip, so that they can stand in one track with what is copied.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Reason,
    avc::{self, Sets, is_reference, kind, kind_of, pps_ids},
    blocking,
    plan::End,
    source::{Media, Source},
    sps::Sps,
    told,
};
use crate::{
    engine::silent,
    ffmpeg::{Args, Tools},
    mp4::{Index, LocalFile, Sample},
};

/// Few frames, seen next to the source's own: quality first, at the cost of bits. On noise, which is the hardest to
/// encode, this is as near to the source (48 dB) as `veryfast` at 15, in half the time. Without reordering, what is
/// encoded fits every source's buffering, and the order of decoding is that of showing.
const ENCODER: &str = "-c:v libx264 -preset ultrafast -crf 21 -tune psnr -bf 0 -refs 1";

/// `stitchable` keeps what the parameter sets say independent of the content, so that all ends share one pair.
const PARAMETERS: &str = "keyint=infinite:scenecut=0:open-gop=0:aud=0:stitchable=1:weightp=0";

/// The message that holds captions, which the encoder takes over from the source
/// (`user_data_registered_itu_t_t35`, H.264 D.1.1).
const CAPTIONS: u8 = 4;

/// An end, encoded.
pub(super) struct Encoded {
    media: Media,
    /// Presentation times in decoding order, in ticks of the source.
    pub(super) pts: Vec<i64>,
    pub(super) sets: Sets,
}

impl Encoded {
    /// A sample as the clip has it: without what the encoder says of itself.
    pub(super) fn sample(&self, index: usize) -> Result<Vec<u8>, Reason> {
        let sample = self.media.read(index)?;
        let mut out = Vec::with_capacity(sample.len());
        for unit in avc::units(&sample, 4).ok_or(Reason::Units)? {
            let nal = sample.get(unit).unwrap_or_default();
            let kept = match kind_of(nal) {
                kind::SLICE | kind::IDR => true,
                kind::SEI => nal.get(1) == Some(&CAPTIONS),
                _ => false,
            };
            if kept {
                avc::push_unit(&mut out, nal);
            }
        }
        Ok(out)
    }
}

/// Encodes `end` of `source`; its parameter sets get the number `id`. `path` is a place for files of this end.
pub(super) async fn encode(
    tools: &Tools,
    source: &Arc<Source>,
    end: &End,
    id: u32,
    path: &Path,
) -> Result<Encoded, Reason> {
    let (stream, out) = (path.with_extension("h264"), path.with_extension("mp4"));
    let left_out = {
        let (source, end, stream) = (Arc::clone(source), end.clone(), stream.clone());
        blocking(move || write_stream(&source, &end, &stream)).await?
    };
    let frames = end.frames.start - left_out..end.frames.end - left_out;
    let profile = source.sps.profile_name().ok_or(Reason::Profile(source.sps.profile))?;
    let args = Args::default()
        // `strict` makes the decoder put pictures in order by what the stream may do, not by what it has seen so far.
        .words("-strict 1 -r 25 -f h264")
        .input(&stream)
        .words("-map 0:v:0 -fps_mode passthrough -enc_time_base 1:25")
        // Pictures are counted; their times are not known here and do not matter.
        .option(
            "-vf",
            format!("trim=start_frame={}:end_frame={},settb=1/25,setpts=N", frames.start, frames.end),
        )
        .words(ENCODER)
        .option("-profile:v", profile)
        // What makes a set one of the High profile; the preset leaves it out.
        .option("-x264-params", format!("sps-id={id}:8x8dct={}:{PARAMETERS}", u8::from(profile == "high")))
        .words("-map_metadata -1 -f mp4")
        .file(&out);
    let finished =
        tools.ffmpeg(args, &mut |_| {}).await.map_err(|error| Reason::Encoder(error.to_string()))?;
    silent(finished).map_err(told)?;
    read(source, end, id, out).await
}

/// The samples of `end` in the byte stream format (H.264 annex B). Left out, and counted, are pictures before the first
/// that is wanted to which no other refers.
fn write_stream(source: &Source, end: &End, path: &Path) -> Result<usize, Reason> {
    const START: [u8; 4] = [0, 0, 0, 1];
    let mut out = BufWriter::with_capacity(1 << 18, File::create(path)?);
    for set in source.config.sps.iter().chain(&source.config.pps) {
        out.write_all(&START)?;
        out.write_all(set)?;
    }
    let wanted = end.pts.first().copied().unwrap_or(i64::MIN);
    let is_early = |index: usize| source.pictures.get(index).is_some_and(|picture| picture.pts < wanted);
    let mut left_out = 0;
    for index in end.decode.clone() {
        let sample = source.media.read(index)?;
        let units = source.units(&sample)?;
        let mut nals = units.into_iter().map(|unit| sample.get(unit).unwrap_or_default());
        if is_early(index) && nals.clone().all(|nal| !is_reference(nal)) {
            left_out += 1;
            continue;
        }
        nals.try_for_each(|nal| out.write_all(&START).and_then(|()| out.write_all(nal)))?;
    }
    out.flush()?;
    Ok(left_out)
}

/// Looks at what the encoder made: as many pictures as there are times for, and sets that fit.
async fn read(source: &Arc<Source>, end: &End, id: u32, path: PathBuf) -> Result<Encoded, Reason> {
    let file = LocalFile::open(&path)?;
    let index = Index::read(&file).await.map_err(|error| Reason::Encoder(error.to_string()))?;
    let track = index.video.ok_or_else(|| Reason::Encoder("no picture".to_owned()))?;
    let samples = track.samples.map_err(Reason::Samples)?;
    if samples.list.len() != end.pts.len() {
        return Err(Reason::EndFrames { planned: end.pts.len(), found: samples.list.len() });
    }
    let config = avc::config(&track.stsd, samples.description)?;
    let (sps, pps) = match (config.sps.as_slice(), config.pps.as_slice(), config.length_size) {
        ([sps], [pps], 4) => (sps, pps),
        _ => return Err(Reason::EndSets),
    };
    let made = Sps::parse(sps).ok_or(Reason::EndSets)?;
    let fits = made.id == id
        && pps_ids(pps) == Some((id, id))
        && (made.sampling, made.picture, made.progressive)
            == (source.sps.sampling, source.sps.picture, source.sps.progressive);
    let sps = made.like(&source.sps).filter(|_| fits).ok_or(Reason::EndSets)?;
    let mut shown: Vec<i64> = samples.list.iter().map(Sample::pts).collect();
    shown.sort_unstable();
    let rank = |sample: &Sample| shown.binary_search(&sample.pts()).ok();
    let pts = samples.list.iter().map(|sample| end.pts.get(rank(sample)?).copied());
    let pts = pts.collect::<Option<Vec<i64>>>().ok_or(Reason::Timeline)?;
    let sets = Sets { sps, pps: pps.clone() };
    Ok(Encoded { media: Media::open(&path, samples.list)?, pts, sets })
}
