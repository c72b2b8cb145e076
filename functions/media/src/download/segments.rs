//! HLS and DASH: only the segments that the span needs.
//!
//! The segments of a rendition that overlap the span are written behind each other and read like a file: fragmented MP4
//! as it is, MPEG-TS and packed sound once they are copied into MP4. Invariant: an index that leaves here tells times on
//! the presentation's timeline, whatever segments are missing in front, because the media itself says when it is.
//!
//! A playlist's durations only tell which segments to try: where the media says that some of the span is missing, the
//! neighbours are fetched too.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use domain::{clip::Precision, cut::Span, job::Failure, spec::Spec, time::MediaTime};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use media::{
    ffmpeg::Tools,
    mp4::{Index, LocalFile, ReadAt},
    remux, ts,
};
use runtime::StageError;
use sources::{
    SourceError,
    streams::{Rendition, Segment},
};
use tokio::{fs::File, io::AsyncWriteExt};

use super::{
    Room,
    span::{Cutting, Held, create, must_fit},
};
use crate::{
    job::{passing, unsupported},
    opening::{Begins, Kind, Opening, kind},
    stream::Stream,
    work::{Plan, SOURCE, told},
};

/// So many segments are asked for at once.
const AT_ONCE: usize = 4;
/// How often neighbours are fetched; each time there are twice as many.
const ROUNDS_MAX: u32 = 10;
/// What is looked at of a local segment, in bytes.
const HEAD_BYTES: u64 = 64 << 10;

/// A stream on its way into the work prefix.
pub(super) struct Fetch<'a> {
    pub(super) room: Room<'a>,
    pub(super) stream: &'a Stream,
}

/// Segments of a rendition as one local file.
struct Local {
    kind: Kind,
    path: PathBuf,
    /// On the presentation's timeline; `None` if the file cannot be taken apart.
    index: Option<(LocalFile, Index)>,
    /// The presentation's time at which a reader of the file itself begins to count.
    origin: MediaTime,
    /// What of a transport stream's picture is here.
    picture: Pictured,
    /// Whether some of it was lost on its way to the server.
    damaged: bool,
}

/// What is here of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pictured {
    /// From a key picture at or before the span on, or the file's index tells.
    Decodable,
    /// No key picture lies at or before the span.
    Keyless,
    /// Nothing says how it is coded.
    Undescribed,
}

/// What is known of a rendition's beginning.
#[derive(Clone, Copy)]
struct Front<'a> {
    opening: Option<&'a Opening>,
    /// What the media's clock shows at the presentation's zero, unless the manifest tells it.
    zero: Option<MediaTime>,
}

/// A rendition's segments that were fetched.
struct Taken {
    range: Range<usize>,
    /// One for each, decrypted, in order.
    paths: Vec<PathBuf>,
}

impl Fetch<'_> {
    pub(super) async fn run(&self) -> Result<Plan, StageError> {
        let (span, grows) = match &self.room.job.spec {
            Spec::Clip(clip) => (clip.span, clip.precision == Precision::Keyframe),
            Spec::Download(_) | Spec::Moments(_) => {
                (Span { start: MediaTime::ZERO, end: MediaTime(i64::MAX) }, false)
            }
        };
        self.must_reach(span)?;
        let mut taken = Vec::new();
        for (lane, rendition) in self.stream.lanes.iter().enumerate() {
            let mut range = rendition.around(span.start, span.end);
            if grows {
                // The next place to cut at is where the next segment begins.
                range.end = (range.end + 1).min(run_of(rendition, range.start).end.max(range.end));
            }
            taken.push(self.take(lane, range).await?);
        }
        let mut openings = Vec::new();
        for (lane, taken) in taken.iter().enumerate() {
            openings.push(self.opening(lane, taken).await?);
        }
        let zero = self.zero(&openings);
        let mut locals = Vec::new();
        for ((lane, taken), opening) in taken.into_iter().enumerate().zip(&openings) {
            let front = Front { opening: opening.as_ref(), zero };
            locals.push(self.lane(lane, taken, span, front).await?);
        }
        self.leave(locals).await
    }

    /// What was accepted must still be there.
    fn must_reach(&self, span: Span) -> Result<(), StageError> {
        let end = self.stream.duration();
        if !matches!(self.room.job.spec, Spec::Clip(_))
            || span.end <= end
            || self.room.job.source.duration <= end
        {
            return Ok(());
        }
        let message = format!(
            "The stream has become shorter since the clip was asked for: it ends at {end} now. \
             Ask for a clip that ends earlier. You were not charged."
        );
        Err(StageError::Job(Failure { code: "source_unavailable".to_owned(), message }))
    }

    fn has_picture(&self) -> bool {
        self.room.job.spec.format().has_picture()
    }

    fn rendition(&self, lane: usize) -> Result<&Rendition, StageError> {
        self.stream.lanes.get(lane).ok_or_else(|| passing("there is no such rendition"))
    }

    /// Fetches segments of a rendition.
    async fn take(&self, lane: usize, range: Range<usize>) -> Result<Taken, StageError> {
        let rendition = self.rendition(lane)?;
        let segments = rendition.segments.get(range.clone()).unwrap_or_default();
        must_be_one(segments)?;
        // A server without ranges gives a file from front to end only.
        let parted = segments.iter().any(|segment| segment.piece.place.range.is_some());
        let fetches: Vec<_> =
            range.clone().zip(segments).map(|(n, segment)| self.keep(lane, n, segment)).collect();
        let total = fetches.len() as u64;
        let mut fetched = stream::iter(fetches).buffered(if parted { 1 } else { AT_ONCE });
        let mut paths = Vec::new();
        while let Some(path) = fetched.try_next().await? {
            paths.push(path);
            let bytes = self.stream.bytes();
            must_fit(self.room, bytes)?;
            self.room.expected.set(bytes * total / (paths.len() as u64).max(1));
        }
        Ok(Taken { range, paths })
    }

    async fn keep(&self, lane: usize, n: usize, segment: &Segment) -> Result<PathBuf, StageError> {
        let bytes = self.stream.read(&segment.piece).await.map_err(|error| match error {
            SourceError::Unavailable(why) => SourceError::Unavailable(format!(
                "the part of the stream from {} to {}: {why}",
                segment.start, segment.end
            )),
            error => error,
        })?;
        let path = self.room.folder.join(format!("segment-{lane}-{n}"));
        tokio::fs::write(&path, &bytes).await.map_err(passing)?;
        Ok(path)
    }

    /// The first segment of the run that is needed, where the manifest does not tell when that begins.
    async fn opening(&self, lane: usize, taken: &Taken) -> Result<Option<Opening>, StageError> {
        let rendition = self.rendition(lane)?;
        let first = run_of(rendition, taken.range.start).start;
        let Some(segment) = rendition.segments.get(first).filter(|_| rendition.zero.is_none()) else {
            return Ok(None);
        };
        let mut opening = match taken.paths.first().filter(|_| first == taken.range.start) {
            Some(path) => {
                let bytes = tokio::fs::read(path).await.map_err(passing)?;
                Opening::of(self.stream, segment, &bytes, true).await?
            }
            None => Opening::look(self.stream, segment).await?,
        };
        opening.begins = opening.begins.since(segment.start);
        Ok(Some(opening))
    }

    /// What the media's clock shows at the presentation's zero: where all renditions begin.
    fn zero(&self, openings: &[Option<Opening>]) -> Option<MediaTime> {
        let begins = openings.iter().flatten().map(|opening| opening.begins);
        let all = begins.reduce(Begins::with)?;
        // A whole stream begins with all that it has: nothing of it lies before zero.
        let is_whole = matches!(self.room.job.spec, Spec::Download(_));
        Some(if is_whole { all.earliest } else { all.zero() })
    }

    async fn init(&self, segment: &Segment) -> Result<Bytes, StageError> {
        match &segment.init {
            Some(piece) => Ok(self.stream.read_init(piece).await?),
            None => Ok(Bytes::new()),
        }
    }

    /// The segments of a rendition, and as many of their neighbours as `span` needs.
    async fn lane(
        &self,
        lane: usize,
        mut taken: Taken,
        span: Span,
        front: Front<'_>,
    ) -> Result<Local, StageError> {
        let rendition = self.rendition(lane)?;
        let run = run_of(rendition, taken.range.start);
        for round in 0..ROUNDS_MAX {
            let local = self.local(lane, &taken, span, front).await?;
            let (early, late) = match &local.index {
                Some((_, index)) => index.misses(span),
                // Sound may lie a segment away from the picture that it belongs to.
                None => (round == 0, round == 0),
            };
            // However many segments it takes: without the key picture, nothing behind it can be decoded.
            let early = early || local.picture != Pictured::Decodable;
            let more = 1 << round;
            let start =
                if early { taken.range.start.saturating_sub(more).max(run.start) } else { taken.range.start };
            let end = if late { (taken.range.end + more).min(run.end) } else { taken.range.end };
            if (start..end) == taken.range {
                let from = rendition.segments.get(start).map_or(MediaTime::ZERO, |segment| segment.start);
                return if local.picture == Pictured::Undescribed {
                    Err(undescribed(from))
                } else {
                    Ok(local)
                };
            }
            let mut before = self.take(lane, start..taken.range.start).await?;
            before.paths.append(&mut taken.paths);
            before.paths.extend(self.take(lane, taken.range.end..end).await?.paths);
            taken = Taken { range: start..end, paths: before.paths };
            must_be_one(rendition.segments.get(taken.range.clone()).unwrap_or_default())?;
        }
        Err(unsupported(
            "The stream's playlist and its segments do not agree about when they are. Use another form of the video.",
        ))
    }

    /// The segments as one file.
    async fn local(
        &self,
        lane: usize,
        taken: &Taken,
        span: Span,
        front: Front<'_>,
    ) -> Result<Local, StageError> {
        let rendition = self.rendition(lane)?;
        let none = || passing("no segment was fetched");
        let segment = rendition.segments.get(taken.range.start).ok_or_else(none)?;
        let head = head(taken.paths.first().ok_or_else(none)?).await?;
        let (kind, path) = (kind(segment, &head)?, self.room.folder.join(format!("lane-{lane}")));
        let init = if kind == Kind::Fragments { self.init(segment).await? } else { Bytes::new() };
        let mut sink = create(&path).await?;
        sink.write_all(&init).await.map_err(passing)?;
        let (mut first, mut damaged) = (front.opening, false);
        for path in &taken.paths {
            damaged |= append(path, kind, first.take(), &mut sink).await?;
            if matches!(self.room.job.spec, Spec::Download(_)) {
                // Nothing is missing that could be put in front, and the disk is small.
                tokio::fs::remove_file(path).await.map_err(passing)?;
            }
        }
        sink.flush().await.map_err(passing)?;
        drop(sink);
        let zero = rendition.zero.or(front.zero).unwrap_or_default();
        if kind == Kind::Fragments {
            let file = LocalFile::open(&path).map_err(passing)?;
            let index = Index::read(&file).await.map_err(|error| {
                tracing::info!(detail = ?error, "the segments have no index");
                unsupported(
                    "The stream's segments cannot be read: they are damaged, or encrypted by other means.",
                )
            })?;
            let index = index.moved(MediaTime(-zero.0));
            let (origin, picture) = (MediaTime(-zero.0), Pictured::Decodable);
            return Ok(Local { kind, path, index: Some((file, index)), origin, picture, damaged });
        }
        let begins = if kind == Kind::Packed { ts::packed(&head).map(|(at, _)| at) } else { None };
        let has_picture = front.opening.is_some_and(|opening| opening.begins.picture.is_some());
        let local = self.transport(kind, &path, (begins, segment.start), (zero, has_picture), span).await?;
        Ok(Local { damaged, ..local })
    }

    /// A transport stream or packed sound, copied into MP4. `begins` is when it begins where only a tag tells, and when
    /// it should, as the playlist says.
    async fn transport(
        &self,
        kind: Kind,
        path: &Path,
        (begins, expected): (Option<MediaTime>, MediaTime),
        (zero, has_picture): (MediaTime, bool),
        span: Span,
    ) -> Result<Local, StageError> {
        let tools = Tools::default();
        let probe = remux::probe(&tools, path).await.map_err(told)?;
        let first = probe.zero;
        let begins = begins.unwrap_or(first);
        let origin = ts::nearest(begins.since(zero), expected);
        let bare =
            |picture| Local { kind, path: path.to_owned(), index: None, origin, picture, damaged: false };
        let wanted = has_picture && self.has_picture();
        if wanted && probe.video.is_none() {
            return Ok(bare(Pictured::Undescribed));
        }
        let copy = path.with_extension("mp4");
        let remuxed = remux::transport(&tools, path, &copy).await.map_err(told)?;
        let at = |time: MediaTime| MediaTime(origin.0.saturating_add(time.since(first).0));
        let reaches = remuxed.key.is_some_and(|key| at(key) <= span.start);
        let picture = if reaches || !wanted { Pictured::Decodable } else { Pictured::Keyless };
        let Some(from) = remuxed.zero else { return Ok(bare(picture)) };
        let file = LocalFile::open(&copy).map_err(passing)?;
        let Ok(index) = Index::read(&file).await else { return Ok(bare(picture)) };
        tokio::fs::remove_file(path).await.map_err(passing)?;
        let index = Some((file, index.moved(at(from))));
        Ok(Local { path: copy, index, ..bare(picture) })
    }

    /// Leaves what the job needs of the local files.
    async fn leave(&self, locals: Vec<Local>) -> Result<Plan, StageError> {
        let room = self.room;
        let mut indexes = locals.iter().filter_map(|local| local.index.as_ref());
        if locals.iter().all(|local| local.index.is_some())
            && let Some((file, index)) = indexes.next()
        {
            let (mut index, mut files) = (index.clone(), vec![Held::Local(file)]);
            if let Some((sound, heard)) = indexes.next() {
                index = index.with_sound_of(heard.clone(), file.len());
                files.push(Held::Local(sound));
            }
            if let Some(plan) = (Cutting { room, index: &index, files: &files }).run().await? {
                return Ok(if locals.iter().any(|local| local.damaged) { plan.damaged() } else { plan });
            }
        }
        let is_clip = matches!(room.job.spec, Spec::Clip(_));
        match locals.as_slice() {
            [one] if one.kind != Kind::Fragments || !is_clip => {
                let origin = if is_clip { one.origin } else { MediaTime::ZERO };
                room.put(&one.path, SOURCE).await?;
                Ok(Plan::whole(origin))
            }
            [video, audio] if !is_clip => {
                let one = room.folder.join("one");
                remux::join(&Tools::default(), (&video.path, &audio.path), &one).await.map_err(told)?;
                room.put(&one, SOURCE).await?;
                Ok(Plan::whole(MediaTime::ZERO))
            }
            _ => Err(unsupported(
                "The stream's picture and sound cannot be taken apart. Use another form of the video.",
            )),
        }
    }
}

/// Why the segments from `from` on are of no use.
fn undescribed(from: MediaTime) -> StageError {
    unsupported(format!(
        "The stream's segments from {from} on do not say how their picture is coded. Choose another span, or use another \
         form of the video."
    ))
}

/// The segments around `at` that share its clock.
fn run_of(rendition: &Rendition, at: usize) -> Range<usize> {
    let segments = &rendition.segments;
    let run = segments.get(at).map(|segment| segment.run);
    let start = segments.iter().position(|segment| Some(segment.run) == run).unwrap_or(at);
    let end = segments.iter().rposition(|segment| Some(segment.run) == run).map_or(at, |last| last + 1);
    start..end
}

/// Segments that are cut together share a clock and a beginning, and are there.
fn must_be_one(segments: &[Segment]) -> Result<(), StageError> {
    for pair in segments.windows(2) {
        if let [one, next] = pair
            && (one.run != next.run || one.init != next.init)
        {
            return Err(SourceError::Unsupported(format!(
                "the stream changes to other media at {}, such as an advertisement; ask for a clip on one side of it",
                next.start
            ))
            .into());
        }
    }
    match segments.iter().find(|segment| segment.gap) {
        Some(gap) => Err(SourceError::Unsupported(format!(
            "its playlist says that there is nothing from {} to {}",
            gap.start, gap.end
        ))
        .into()),
        None => Ok(()),
    }
}

/// The first bytes of a local file.
async fn head(path: &Path) -> Result<Vec<u8>, StageError> {
    use tokio::io::AsyncReadExt as _;
    let mut bytes = Vec::new();
    let file = File::open(path).await.map_err(passing)?;
    file.take(HEAD_BYTES).read_to_end(&mut bytes).await.map_err(passing)?;
    Ok(bytes)
}

/// Writes a segment behind the others; what tags packed sound stays out. Before the first one comes what only the
/// stream's `opening` tells of its picture. Answers whether some of it was lost on its way.
async fn append(
    path: &Path,
    kind: Kind,
    opening: Option<&Opening>,
    sink: &mut File,
) -> Result<bool, StageError> {
    let mut bytes = Bytes::from(tokio::fs::read(path).await.map_err(passing)?);
    if kind == Kind::Packed
        && let Some((_, skip)) = ts::packed(&bytes)
    {
        bytes = bytes.slice(skip..);
    }
    if kind == Kind::Transport
        && let Some(at) = ts::behind_front(&bytes)
    {
        bytes = bytes.slice(at..);
    }
    let damaged = kind == Kind::Transport && ts::has_losses(&bytes);
    if kind == Kind::Transport
        && let Some((at, sets)) = opening.and_then(|opening| ts::sets_for(&bytes, &opening.bytes))
    {
        sink.write_all(&bytes.split_to(at)).await.map_err(passing)?;
        sink.write_all(&sets).await.map_err(passing)?;
    }
    sink.write_all(&bytes).await.map_err(passing)?;
    Ok(damaged)
}
