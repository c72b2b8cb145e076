//! What a job needs of a source whose index is known: the samples of the span, under a small `moov` of their own, so
//! that ffmpeg later reads an ordinary local file.
//!
//! A clip that has to be encoded and would keep one function busy for long is shared out here, too.

use std::{ops::Range, path::Path};

use domain::{clip::Precision, cut::Span, quality::Format, spec::Spec, time::MediaTime};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use media::{
    fan_out::FanOut,
    keyframe,
    mp4::{Index, LocalFile, Part, ReadAt, SpanError, SpanFile, Track, Wanted},
    whole::Whole,
};
use runtime::StageError;
use sources::{RemoteFile, SourceError};
use store::keys;
use tokio::{fs::File, io::AsyncWriteExt};

use super::{Place, Room};
use crate::{
    job::{passing, unsupported},
    work::{CONVERT_BYTES_MAX, Plan, SOUND, SOURCE},
};

/// How much of a local file is copied at once.
const COPY_CHUNK: u64 = 4 << 20;

/// More reads than this wait for each other.
const READS_IN_A_ROW_MAX: usize = 256;
/// So many of them are under way at once, and none is longer, in bytes.
const READS_AT_ONCE: usize = 16;
const READ_BYTES_MAX: u64 = 1 << 20;

/// A file that samples are copied from.
#[derive(Clone, Copy)]
pub(super) enum Held<'a> {
    Remote(&'a RemoteFile),
    Local(&'a LocalFile),
}

impl Held<'_> {
    fn len(self) -> u64 {
        match self {
            Self::Remote(file) => file.len().unwrap_or(u64::MAX),
            Self::Local(file) => file.len(),
        }
    }

    async fn copy(self, range: Range<u64>, sink: &mut File) -> Result<(), StageError> {
        match self {
            Self::Remote(file) => Ok(file.copy(range, sink).await?),
            Self::Local(file) => copy_local(file, range, sink).await.map_err(passing),
        }
    }
}

/// A range in parts that can be held.
fn parts(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = range.end;
    let starts = (range.start..end).step_by(usize::try_from(READ_BYTES_MAX).unwrap_or(usize::MAX));
    starts.map(move |start| start..end.min(start + READ_BYTES_MAX))
}

async fn copy_local(file: &LocalFile, range: Range<u64>, sink: &mut File) -> std::io::Result<()> {
    let mut at = range.start;
    while at < range.end {
        let len = COPY_CHUNK.min(range.end - at);
        sink.write_all(&file.read_at(at, len).await?).await?;
        at += len;
    }
    Ok(())
}

/// A span on its way into the work prefix. Invariant: `index` speaks of `files` as if each lay behind the one before.
pub(super) struct Cutting<'a> {
    pub(super) room: Room<'a>,
    pub(super) index: &'a Index,
    pub(super) files: &'a [Held<'a>],
}

impl Cutting<'_> {
    /// Leaves what the job needs; `None` if the source cannot be taken apart.
    pub(super) async fn run(&self) -> Result<Option<Plan>, StageError> {
        if let Spec::Clip(clip) = &self.room.job.spec
            && clip.format == Format::Mp4
            && let Some(fan_out) = FanOut::plan(self.index, clip.span, clip.quality)
            && let Some(plan) = self.shares(fan_out, clip.span).await?
        {
            return Ok(Some(plan));
        }
        let Some((around, small)) = self.plan()? else { return Ok(None) };
        must_fit(self.room, small.bytes_total)?;
        self.expect(small.bytes_total);
        self.leave(&small, SOURCE).await?;
        Ok(Some(Plan::One { origin: small.origin, around, pace: small.pace, damaged: false }))
    }

    /// `bytes` more are going to be read of the source, if that is where they come from.
    fn expect(&self, bytes: u64) {
        let remote = self.files.iter().filter_map(|file| match file {
            Held::Remote(file) => Some(file.traffic().bytes()),
            Held::Local(_) => None,
        });
        if let Some(read) = remote.reduce(|a, b| a + b) {
            self.room.expected.set(read + bytes);
        }
    }

    /// A file for each share and one for the sound; `None` if the source cannot be taken apart. Sound lies among pictures,
    /// so the span is fetched once and parted here.
    async fn shares(&self, fan_out: FanOut, span: Span) -> Result<Option<Plan>, StageError> {
        let Some(all) = plan_span(self.index, span, Wanted { video: true, audio: true })? else {
            return Ok(None);
        };
        self.expect(all.bytes_total);
        let path = self.room.folder.join("span");
        self.write(&all, &path).await?;
        let local = LocalFile::open(&path).map_err(passing)?;
        let index = Index::read(&local).await.map_err(|error| passing(format!("{error:?}")))?;
        let parting = Cutting { room: self.room, index: &index, files: &[Held::Local(&local)] };
        // The span file counts from its own zero.
        let at = |span: Span| Span { start: span.start.since(all.origin), end: span.end.since(all.origin) };
        let from = |small: &SpanFile| MediaTime(small.origin.0.saturating_add(all.origin.0));
        let mut origins = Vec::new();
        for (n, share) in fan_out.shares.iter().enumerate() {
            let video = Wanted { video: true, audio: false };
            let small = SpanFile::plan_at_hand(&index, at(share.span), video);
            let Some(small) = planned(small, share.span)? else { return Ok(None) };
            origins.push(from(&small));
            parting.leave(&small, &keys::share_source(n)).await?;
        }
        let sound = match SpanFile::plan_at_hand(&index, at(span), Wanted { video: false, audio: true }) {
            Ok(small) => {
                parting.leave(&small, SOUND).await?;
                Some(from(&small))
            }
            Err(SpanError::Nothing | SpanError::NoFrame) => None,
            Err(SpanError::Unsupported(_)) => return Ok(None),
        };
        tokio::fs::remove_file(&path).await.map_err(passing)?;
        Ok(Some(Plan::Shared { fan_out, origins, sound }))
    }

    /// The bytes that the job needs, and the span that can be copied, if that is wanted; `None` if the source has to
    /// be taken whole.
    fn plan(&self) -> Result<Option<(Option<Span>, SpanFile)>, StageError> {
        let clip = match &self.room.job.spec {
            Spec::Clip(clip) => clip,
            Spec::Download(download) => {
                let wanted = Wanted { video: download.format.has_picture(), audio: true };
                return Ok(Whole::plan(self.index, wanted).ok().map(|whole| (None, SpanFile::from(whole))));
            }
            // Its parts are fetched, each for itself.
            Spec::Moments(_) => return Ok(None),
        };
        let wanted = Wanted { video: clip.format.has_picture(), audio: clip.format != Format::Gif };
        // A picture that changes its size cannot be copied.
        let picture = self.index.video.as_ref().and_then(Track::picture);
        let is_kept = picture.is_some_and(|picture| picture.delivered(clip.quality) == picture);
        let may_grow = clip.precision == Precision::Keyframe && is_kept;
        let around = may_grow.then(|| keyframe::around(self.index, clip.span)).flatten();
        let span = around.unwrap_or(clip.span);
        let small = match self.room.to {
            Place::Bucket => plan_span(self.index, span, wanted)?,
            Place::Here => planned(SpanFile::plan_sparing(self.index, span, wanted), span)?,
        };
        Ok(small.map(|small| (around, small)))
    }

    /// Writes one span file and puts it into the work prefix.
    async fn leave(&self, small: &SpanFile, name: &str) -> Result<(), StageError> {
        let path = self.room.folder.join(name);
        self.write(small, &path).await?;
        self.room.put(&path, name).await
    }

    async fn write(&self, small: &SpanFile, path: &Path) -> Result<(), StageError> {
        let mut sink = create(path).await?;
        sink.write_all(&small.header).await.map_err(passing)?;
        if let ([Held::Remote(file)], true) = (self.files, small.ranges.len() > READS_IN_A_ROW_MAX) {
            let all: Vec<Range<u64>> = small.ranges.iter().cloned().flat_map(parts).collect();
            let read = |part: Range<u64>| async move { file.read(part).await };
            let mut reads = stream::iter(all).map(read).buffered(READS_AT_ONCE);
            while let Some(bytes) = reads.try_next().await? {
                sink.write_all(&bytes).await.map_err(passing)?;
            }
        } else {
            for range in &small.ranges {
                self.copy(range, &mut sink).await?;
            }
        }
        sink.flush().await.map_err(passing)
    }

    /// Copies `range`, which may reach from one file into the next.
    async fn copy(&self, range: &Range<u64>, sink: &mut File) -> Result<(), StageError> {
        let mut start = 0_u64;
        for file in self.files {
            let end = start.saturating_add(file.len());
            let (from, to) = (range.start.max(start), range.end.min(end));
            if from < to {
                file.copy(from - start..to - start, sink).await?;
            }
            start = end;
        }
        Ok(())
    }
}

/// How much of an index the job needs.
pub(super) fn part(spec: &Spec) -> Part {
    match spec {
        Spec::Clip(clip) if clip.precision == Precision::Keyframe => Part::Span(keyframe::widest(clip.span)),
        Spec::Clip(clip) => Part::Span(clip.span),
        Spec::Download(_) | Spec::Moments(_) => Part::Whole,
    }
}

/// A whole source that is converted must fit the disk beside its result.
pub(super) fn must_fit(room: Room<'_>, bytes: u64) -> Result<(), StageError> {
    if matches!(room.job.spec, Spec::Download(_)) && bytes > CONVERT_BYTES_MAX {
        let max = CONVERT_BYTES_MAX / 1_000_000;
        let why = format!("it has to be converted, for which the limit is {max} MB; ask for clips of it");
        return Err(SourceError::TooLarge(why).into());
    }
    Ok(())
}

/// The bytes that the clip needs; `None` if the source has to be taken whole.
fn plan_span(index: &Index, span: Span, wanted: Wanted) -> Result<Option<SpanFile>, StageError> {
    planned(SpanFile::plan(index, span, wanted), span)
}

fn planned(small: Result<SpanFile, SpanError>, span: Span) -> Result<Option<SpanFile>, StageError> {
    match small {
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

pub(super) async fn create(path: &Path) -> Result<File, StageError> {
    File::create(path).await.map_err(passing)
}

/// Fetches all of a file to `path`.
pub(super) async fn fetch_all(file: &RemoteFile, path: &Path) -> Result<(), StageError> {
    let mut sink = create(path).await?;
    file.copy_all(&mut sink).await?;
    sink.flush().await.map_err(passing)
}
