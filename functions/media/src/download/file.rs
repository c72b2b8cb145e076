//! One file with picture and sound.
//!
//! For an MP4 file these are the samples of the span, under a small `moov` of their own, so that ffmpeg later reads
//! an ordinary local file. A source that has to be fetched whole (another container, a server without ranges) is;
//! if it turns out to be an MP4 file, only its span goes on.
//!
//! A clip that has to be encoded and would keep one function busy for long is shared out here, too.

use std::path::Path;

use domain::{clip::Precision, cut::Span, job::Job, quality::Format, spec::Spec, time::MediaTime};
use media::{
    fan_out::FanOut,
    keyframe,
    mp4::{Index, LocalFile, Part, ReadAt, SpanError, SpanFile, Wanted},
    whole::Whole,
};
use runtime::{StageError, read_index};
use sources::{Container, RemoteFile, SourceError, sniff};
use store::keys;
use tokio::{fs::File, io::AsyncWriteExt};

use super::Room;
use crate::{
    job::{passing, unsupported},
    work::{CONVERT_BYTES_MAX, Plan, SOUND, SOURCE},
};

/// How much of a local file is copied at once.
const COPY_CHUNK: u64 = 4 << 20;

/// A file on its way into the work prefix.
pub(super) struct Fetch<'a> {
    pub(super) room: Room<'a>,
    pub(super) file: &'a RemoteFile,
}

impl Fetch<'_> {
    pub(super) async fn run(&self) -> Result<Plan, StageError> {
        if self.file.serves_ranges()
            && let Some(index) = read_index(Some(self.room.app.objects()?), self.file, self.part()).await?
        {
            if let Spec::Clip(clip) = &self.room.job.spec
                && clip.format == Format::Mp4
                && let Some(fan_out) = FanOut::plan(&index, clip.span, clip.quality)
                && let Some(plan) = self.shares(&index, fan_out, clip.span).await?
            {
                return Ok(plan);
            }
            if let Some((around, small)) = self.plan(&index)? {
                must_fit(self.room.job, small.bytes_total)?;
                self.room.expected.set(self.file.traffic().bytes() + small.bytes_total);
                self.span(&small, SOURCE).await?;
                return Ok(Plan::One { origin: small.origin, around });
            }
        }
        must_fit(self.room.job, self.file.len().unwrap_or_default())?;
        self.room.expected.set(self.file.len().unwrap_or_default());
        self.whole().await
    }

    /// How much of the index the job needs.
    fn part(&self) -> Part {
        match &self.room.job.spec {
            Spec::Clip(clip) if clip.precision == Precision::Keyframe => {
                Part::Span(keyframe::widest(clip.span))
            }
            Spec::Clip(clip) => Part::Span(clip.span),
            Spec::Download(_) => Part::Whole,
        }
    }

    /// A file for each share and one for the sound; `None` if the source cannot be taken apart.
    async fn shares(&self, index: &Index, fan_out: FanOut, span: Span) -> Result<Option<Plan>, StageError> {
        let video = Wanted { video: true, audio: false };
        let mut files = Vec::new();
        for (n, share) in fan_out.shares.iter().enumerate() {
            let Some(small) = plan_span(index, share.span, video)? else { return Ok(None) };
            files.push((small, keys::share_source(n)));
        }
        let audio = Wanted { video: false, audio: true };
        let sound = match SpanFile::plan(index, span, audio) {
            Ok(small) => Some(small),
            Err(SpanError::Nothing | SpanError::NoFrame) => None,
            Err(SpanError::Unsupported(_)) => return Ok(None),
        };
        let (origins, heard) =
            (files.iter().map(|(small, _)| small.origin).collect(), sound.as_ref().map(|s| s.origin));
        files.extend(sound.map(|small| (small, SOUND.to_owned())));
        let bytes: u64 = files.iter().map(|(small, _)| small.bytes_total).sum();
        self.room.expected.set(self.file.traffic().bytes() + bytes);
        for (small, name) in &files {
            self.span(small, name).await?;
        }
        Ok(Some(Plan::Shared { fan_out, origins, sound: heard }))
    }

    /// The bytes that the job needs, and the span that can be copied, if that is wanted; `None` if the file has to be
    /// taken whole.
    fn plan(&self, index: &Index) -> Result<Option<(Option<Span>, SpanFile)>, StageError> {
        let source = &self.room.job.source;
        let clip = match &self.room.job.spec {
            Spec::Clip(clip) => clip,
            Spec::Download(download) => {
                let wanted = Wanted { video: download.format.has_picture(), audio: true };
                return Ok(Whole::plan(index, wanted).ok().map(|whole| (None, SpanFile::from(whole))));
            }
        };
        let wanted = Wanted { video: clip.format.has_picture(), audio: clip.format != Format::Gif };
        // A picture that changes its size cannot be copied.
        let is_kept = clip.delivered_picture(source) == source.picture;
        let may_grow = clip.precision == Precision::Keyframe && is_kept;
        let around = may_grow.then(|| keyframe::around(index, clip.span)).flatten();
        Ok(plan_span(index, around.unwrap_or(clip.span), wanted)?.map(|small| (around, small)))
    }

    /// Fetches one span file and puts it into the work prefix.
    async fn span(&self, small: &SpanFile, name: &str) -> Result<(), StageError> {
        let path = self.room.folder.join(name);
        let mut sink = create(&path).await?;
        sink.write_all(&small.header).await.map_err(passing)?;
        for range in &small.ranges {
            self.file.copy(range.clone(), &mut sink).await?;
        }
        sink.flush().await.map_err(passing)?;
        self.room.put(&path, name).await
    }

    async fn whole(&self) -> Result<Plan, StageError> {
        let (whole, path) = (self.room.folder.join("whole"), self.room.folder.join(SOURCE));
        let mut sink = create(&whole).await?;
        self.file.copy_all(&mut sink).await?;
        sink.flush().await.map_err(passing)?;
        drop(sink);
        // All of a file need not be put together again.
        if matches!(self.room.job.spec, Spec::Clip(_)) && sniff(self.file.head()) == Container::IsoBmff {
            let local = LocalFile::open(&whole).map_err(passing)?;
            if let Ok(index) = Index::read(&local).await
                && let Some((around, small)) = self.plan(&index)?
            {
                assemble(&local, &small, &path).await.map_err(passing)?;
                self.room.put(&path, SOURCE).await?;
                return Ok(Plan::One { origin: small.origin, around });
            }
        }
        self.room.put(&whole, SOURCE).await?;
        Ok(Plan::One { origin: MediaTime::ZERO, around: None })
    }
}

/// A whole source that is converted must fit the disk beside its result.
fn must_fit(job: &Job, bytes: u64) -> Result<(), StageError> {
    if matches!(job.spec, Spec::Download(_)) && bytes > CONVERT_BYTES_MAX {
        let max = CONVERT_BYTES_MAX / 1_000_000;
        let why = format!("it has to be converted, and that is done up to {max} MB; ask for clips of it");
        return Err(SourceError::TooLarge(why).into());
    }
    Ok(())
}

/// The bytes that the clip needs; `None` if the file has to be taken whole.
fn plan_span(index: &Index, span: Span, wanted: Wanted) -> Result<Option<SpanFile>, StageError> {
    match SpanFile::plan(index, span, wanted) {
        Ok(plan) => Ok(Some(plan)),
        Err(SpanError::Unsupported(_)) => Ok(None),
        Err(SpanError::NoFrame) => Err(unsupported(format!(
            "The source shows no new picture between {} and {}; choose a longer span.",
            span.start, span.end
        ))),
        Err(SpanError::Nothing) => {
            Err(unsupported(format!("The source has nothing between {} and {}.", span.start, span.end)))
        }
    }
}

async fn assemble(local: &LocalFile, small: &SpanFile, path: &Path) -> std::io::Result<()> {
    let mut sink = File::create(path).await?;
    sink.write_all(&small.header).await?;
    for range in &small.ranges {
        let mut at = range.start;
        while at < range.end {
            let len = COPY_CHUNK.min(range.end - at);
            sink.write_all(&local.read_at(at, len).await?).await?;
            at += len;
        }
    }
    sink.flush().await
}

async fn create(path: &Path) -> Result<File, StageError> {
    File::create(path).await.map_err(passing)
}
