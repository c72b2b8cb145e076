//! The smart cut of H.264 and H.265 in MP4: every frame that can be copied is, bit for bit; only the frames before the
//! first IDR picture of the clip and those behind the last that can be copied are encoded.
//!
//! Invariant: what is in doubt is not cut so. Each doubt is a [`Reason`], and the clip is then encoded as a whole.
//!
//! plan → source → ends and sound → mux: the plan is made from times and IDR pictures alone; the source is opened and
//! its parameter sets are understood; the ends are encoded with sets of a number of their own, so that one
//! configuration holds both pairs and no sample carries any; then all is put into one file, which is verified like any
//! clip.
//!
//! Only pictures that keep their size are cut so (4:2:0, 8 or 10 bits). The sound (AAC, MP3, Opus, AC-3) is copied and
//! trimmed by the edit list. A clip has the codec of its source: H.265 becomes `hvc1`, which not every browser plays.

mod audio_only;
mod avc;
mod bits;
mod codec;
mod ends;
mod hevc;
mod join;
mod mux;
mod plan;
mod sei;
mod signal;
mod sound;
mod source;
mod warm;

use std::{ops::Range, path::Path, sync::Arc};

use domain::quality::{Format, PictureSize};

use tokio::{fs::File, sync::oneshot};

use crate::{
    engine::{
        AudioPlan, Clip, Codecs, Decode, EncodePlan, EngineError, Fit, Input, Looked, Progress, Verified,
        VerifyError, VideoPlan, encode_sound, verify,
    },
    ffmpeg::{AudioStream, Colour, Tools},
    mp4::{Index, LocalFile, Track},
};
pub(crate) use join::join;
use sound::Sound;
use source::Source;
use warm::Waiting;
pub use warm::Warm;

/// Why a clip is encoded as a whole instead.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Reason {
    /// The clip is no MP4, or has no picture.
    #[error("the clip is no MP4 with a picture")]
    Format,
    /// The picture is resampled or cropped.
    #[error("the picture changes its size")]
    Size,
    /// The local file is no MP4, or cannot be taken apart.
    #[error("the source has no index")]
    Index,
    /// The samples are not listed.
    #[error("the samples cannot be told apart: {0}")]
    Samples(&'static str),
    /// The picture is neither `avc1` nor `hvc1`.
    #[error("the picture is {0}")]
    Codec(String),
    /// A profile that the encoder cannot match, or other samples than 4:2:0 of 8 or 10 bits.
    #[error("{codec} of profile {profile} cannot be matched")]
    Profile {
        /// The codec's name.
        codec: &'static str,
        /// `profile_idc`.
        profile: u8,
    },
    /// There may be fields.
    #[error("the picture may be interlaced")]
    Interlaced,
    /// A parameter set is damaged or missing.
    #[error("the parameter sets cannot be read")]
    ParameterSets,
    /// Sets contradict each other, or samples carry sets that the track does not have.
    #[error("the parameter sets change")]
    SetsChange,
    /// All numbers of parameter sets are taken.
    #[error("no parameter set has a free number")]
    NoFreeId,
    /// No group that can stand alone begins within the clip.
    #[error("no closed group of pictures begins within the clip")]
    NoIdr,
    /// No place to begin decoding lies before the clip.
    #[error("no sync sample lies before the clip")]
    NoStart,
    /// The sample tables contradict themselves, or what FFmpeg reads.
    #[error("the times of the frames are in doubt")]
    Timeline,
    /// A sample is not made of whole NAL units of a plain stream.
    #[error("a sample is not plain H.264 or H.265")]
    Units,
    /// FFmpeg reported something while it encoded an end.
    #[error("an end was not encoded cleanly: {0}")]
    Encoder(String),
    /// An end has more or fewer frames.
    #[error("an end has {found} frames instead of {planned}")]
    EndFrames {
        /// What was planned.
        planned: usize,
        /// What is there.
        found: usize,
    },
    /// What the encoder made cannot stand in the source's track.
    #[error("the encoder's parameter sets do not fit the source's")]
    EndSets,
    /// The result is not what was planned.
    #[error("the clip is not what was planned: {0}")]
    Verify(VerifyError),
    /// The sound is no AAC, begins late, pauses or ends early.
    #[error("the packets of the sound are not enough")]
    Sound,
    /// A file could not be read or written.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

#[cfg(test)]
impl PartialEq for Reason {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// How many pictures are decoded behind a place where the copied part begins: what depends on the wrong pictures shows
/// at once.
const BEHIND_JOIN: usize = 4;

/// A clip to cut.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) plan: &'a EncodePlan,
    /// The source that the plan is made for.
    pub(crate) source: &'a Looked,
    pub(crate) input: Input<'a>,
    pub(crate) out: &'a Path,
}

/// Makes the clip and verifies it. Gives the method too: `copy` if no frame was encoded, else `smart`.
pub(crate) async fn cut(
    tools: &Tools,
    job: &Job<'_>,
    warm: Option<Warm>,
    progress: Progress<'_>,
) -> Result<(Verified, &'static str), Reason> {
    if job.plan.format == Format::M4a {
        return audio_only::cut(tools, job, progress).await;
    }
    let video = job.plan.video.as_ref().filter(|_| job.plan.format == Format::Mp4).ok_or(Reason::Format)?;
    if video.fit != Fit::Keep {
        return Err(Reason::Size);
    }
    let (method, codecs) = make(tools, job, (video, warm), progress).await?;
    let clip = Clip { path: job.out, codecs, decode: &Decode::Done };
    let verified = verify(tools, job.plan, clip).await.map_err(told)?;
    progress(1.0);
    Ok((verified, method))
}

/// Writes the clip, and decodes what of it is new: says how the clip was made, and of what.
async fn make(
    tools: &Tools,
    job: &Job<'_>,
    (video, warm): (&VideoPlan, Option<Warm>),
    progress: Progress<'_>,
) -> Result<(&'static str, Codecs), Reason> {
    let index = job.source.index.as_ref().ok_or(Reason::Index)?;
    let track = index.video.clone().ok_or(Reason::Format)?;
    let warm = match warm {
        Some(warm) => warm,
        None => Warm::start(tools, &track, job.out.parent().unwrap_or(Path::new(".")))?,
    };
    let (path, plan) = (job.input.path.to_owned(), video.clone());
    let source = Arc::new(blocking(move || Source::open(&path, track, &plan)).await?);
    progress(0.1);
    let Warm { folder, encoder, decoder } = warm;
    let (check, checked) = decoder.split();
    // Both come to their end: what is written must not be written to by two when the clip is encoded instead.
    let work = write(tools, job, source, (folder.path(), encoder, check), progress);
    let (found, written) = tokio::join!(checked, work);
    let (planned, method, codecs) = written?;
    let found = found.ok_or_else(|| Reason::Encoder("the decoder was lost".to_owned()))?;
    match found.map_err(Reason::Verify)? {
        found if found == planned => Ok((method, codecs)),
        found => Err(Reason::Verify(VerifyError::Frames { planned, found })),
    }
}

/// Encodes the ends, hands out what has to be decoded to see that the parts fit, and writes the clip. Says how many
/// pictures are to be decoded, and how the clip was made and of what.
async fn write(
    tools: &Tools,
    job: &Job<'_>,
    source: Arc<Source>,
    (folder, encoder, check): (&Path, Waiting<Result<(), Reason>>, oneshot::Sender<File>),
    progress: Progress<'_>,
) -> Result<(u64, &'static str, Codecs), Reason> {
    let plan = job.plan.video.clone().ok_or(Reason::Format)?;
    let (ends, sound) = tokio::try_join!(
        ends::encode(&source, encoder, folder),
        sound(tools, job.plan.audio, job.source, job.input, folder),
    )?;
    progress(0.6);
    let method = if ends.sets().is_none() { "copy" } else { "smart" };
    let (copied, count) = (source.parts.copy.len(), plan.frames.len());
    tracing::debug!(method, frames = count, copied, "cutting");
    let codecs = Codecs { video: source.codec.name(), audio: sound.as_ref().map_or("", |sound| sound.codec) };
    let (path, out) = (folder.join("check.mp4"), job.out.to_owned());
    let write = move || {
        let clip = mux::Clip { source, ends, sound, plan };
        let planned = clip.write_check(BEHIND_JOIN, &path)?;
        // A decoder that is gone has told why itself.
        let _ = check.send(std::fs::File::open(&path)?.into());
        clip.write(&out).map(|()| planned)
    };
    let planned = blocking(write).await?;
    progress(0.9);
    Ok((planned, method, codecs))
}

/// Codecs of which all channels are copied, FFmpeg's names.
pub(crate) const SURROUND: [&str; 2] = ["ac3", "eac3"];

/// The sound: copied where its packets are enough, else encoded, which costs little next to pictures.
async fn sound(
    tools: &Tools,
    plan: Option<AudioPlan>,
    source: &Looked,
    input: Input<'_>,
    scratch: &Path,
) -> Result<Option<Sound>, Reason> {
    let Some(plan) = plan else { return Ok(None) };
    // Surround sound that is copied stays what it is; that an encoder would make two channels of it does not matter.
    let alike = |stream: &&AudioStream| {
        let channels = stream.channels == plan.channels || SURROUND.contains(&stream.codec.as_str());
        stream.sample_rate == plan.rate && channels
    };
    let heard = source.probe.audio.as_ref().filter(alike);
    if let Some(track) = source.index.as_ref().and_then(|index| index.audio.as_ref())
        && let Some(kind) = heard.and_then(|stream| sound::Kind::of(&stream.codec, track))
        && let Some(sound) = cover(input.path, (track, kind), plan, plan.from..plan.to).await?
    {
        return Ok(Some(sound));
    }
    tracing::debug!("the sound is encoded");
    let path = scratch.join("sound.mp4");
    encode_sound(tools, &plan, input, &path).await.map_err(told)?;
    let index = Index::read(&LocalFile::open(&path)?).await;
    let track = index.ok().and_then(|index| index.audio).ok_or(Reason::Samples("no sound was made"))?;
    let sound = cover(&path, (&track, &sound::AAC), plan, 0..plan.to - plan.from).await?;
    let sound = sound.ok_or(Reason::Samples("the sound that was made is too short"))?;
    Ok(Some(Sound { is_encoded: true, ..sound }))
}

async fn cover(
    path: &Path,
    (track, kind): (&Track, &'static sound::Kind),
    plan: AudioPlan,
    heard: Range<i64>,
) -> Result<Option<Sound>, Reason> {
    let (path, track) = (path.to_owned(), track.clone());
    blocking(move || Sound::cover(&path, track, kind, &plan, heard)).await
}

fn told(error: EngineError) -> Reason {
    match error {
        EngineError::Verify(error) => Reason::Verify(error),
        other => Reason::Encoder(format!("{other:?}")),
    }
}

/// The pictures of a track as they are coded.
pub(crate) struct Coded {
    /// FFmpeg's name of the codec.
    pub(crate) codec: &'static str,
    pub(crate) picture: PictureSize,
    pub(crate) colour: Colour,
}

/// What the parameter sets say of the pictures, whose pixels must be square; `None` for what cannot be copied.
pub(crate) fn coded_picture(track: &Track) -> Option<Coded> {
    let samples = track.samples.as_ref().ok()?;
    let codec = codec::read(&track.stsd, samples.description).ok()?;
    Some(Coded { codec: codec.name(), picture: codec.square_picture()?, colour: codec.colour() })
}

/// Whether pictures of this kind are copied, as far as the sample entry tells.
pub(crate) fn may_copy(track: &Track) -> bool {
    matches!(&track.codec, b"avc1" | b"hvc1" | b"hev1")
}

/// Does work that waits for the disk where it holds up nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Reason> + Send + 'static,
) -> Result<T, Reason> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Reason::Io(std::io::Error::other(error)))?
}
