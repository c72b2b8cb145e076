//! Finding and reading the `moov` of a source with as few reads as possible.

use bytes::Bytes;
use domain::{
    cut::{Pace, Span, ticks_ceil},
    source::SourceInfo,
    time::MediaTime,
    tracks::{self, AudioTrack, AudioWish, Choice},
};

use super::{
    boxes::{Children, Cursor, FourCc, Header, ParseError, find, need},
    fragments::Movie,
    part::{self, Part},
    read::ReadAt,
    samples::Sample,
    sounds::describe,
    track::Track,
    walk::{Bounded, HEAD_LEN, Walk},
};
use crate::choice::{self, Pictures};

/// The largest `moov` that is read. 3 hours at 120 frames a second with sound need some 40 MiB.
pub(super) const MOOV_LEN_MAX: u64 = 64 << 20;

/// The most tracks of a movie that are looked at.
const TRACKS_MAX: u32 = 256;

/// Why a source has no usable index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError<E> {
    /// The file is not of the MP4 family.
    #[error("not an MP4 file")]
    NotIsoBmff,
    /// A box or a sample reaches beyond the end of the file.
    #[error("the file is cut off: {needed} bytes are described, {present} are there")]
    Truncated {
        /// Length in bytes that the file should have at least.
        needed: u64,
        /// Length in bytes that it has.
        present: u64,
    },
    /// The boxes contradict each other.
    #[error("a damaged MP4 file: {0}")]
    Malformed(&'static str),
    /// A valid file that this reader does not take apart.
    #[error("not supported: {0}")]
    Unsupported(&'static str),
    /// The source could not be read.
    #[error("the source could not be read")]
    Read(E),
}

impl<E> From<ParseError> for IndexError<E> {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::Malformed(why) => Self::Malformed(why),
            ParseError::Unsupported(why) => Self::Unsupported(why),
        }
    }
}

/// Why a sound that lies in several tracks is not taken out of the file here.
const CHANNELS_APART: &str = "the channels of the sound lie in tracks of their own";

/// What a `moov` and its fragments tell: the film and the sound that is chosen, with their samples.
#[derive(Clone, Debug)]
pub struct Index {
    /// The film: the video track that is no cover and no thumbnail.
    pub video: Option<Track>,
    /// The sound that was asked for, else the default one.
    pub audio: Option<Track>,
    /// All sounds that have samples.
    pub sounds: Vec<AudioTrack>,
    /// The title in the file's own metadata (`udta/meta/ilst/©nam`), if it has one.
    pub title: Option<String>,
    /// The `ftyp` box, verbatim. It decides how a QuickTime `stsd` is read.
    pub(crate) ftyp: Option<Bytes>,
    /// Where the presentation ends, if that is not to be told from the samples that were read.
    pub(super) presented: Option<MediaTime>,
}

impl Index {
    /// Reads the whole index of `source`: one read of 16 KiB when the `moov` is in front and small, else one or two
    /// more, and one for each fragment.
    ///
    /// # Errors
    /// [`IndexError`]; `Unsupported` means that the whole file has to be fetched instead.
    pub async fn read<S: ReadAt + Sync>(source: &S) -> Result<Self, IndexError<S::Error>> {
        Self::read_part(source, Part::Whole).await
    }

    /// Reads as much of the index of `source` as `part` needs. Of a file without fragments that is the whole.
    ///
    /// # Errors
    /// As [`Index::read`].
    pub async fn read_part<S: ReadAt + Sync>(source: &S, part: Part) -> Result<Self, IndexError<S::Error>> {
        Self::read_for(source, part, None).await
    }

    /// As [`Index::read_part`], with the sound that `wish` names.
    ///
    /// # Errors
    /// As [`Index::read`]; `Unsupported` also for a sound that is not there.
    pub async fn read_for<S: ReadAt + Sync>(
        source: &S,
        part: Part,
        wish: Option<&AudioWish>,
    ) -> Result<Self, IndexError<S::Error>> {
        let source = Bounded::new(source);
        let mut walk = Walk::new(&source, 0, source.len(), HEAD_LEN);
        let (ftyp, moov) = moov(&source, &mut walk).await?;
        let (mut index, movie) = Self::parse(ftyp, &moov, source.len(), wish)?;
        if let Some(movie) = movie {
            part::read(&mut walk, &source, &movie, &mut index, part).await?;
        }
        let needed = [&index.video, &index.audio].into_iter().flatten().filter_map(samples_end).max();
        match needed.filter(|needed| *needed > source.len()) {
            Some(needed) => Err(IndexError::Truncated { needed, present: source.len() }),
            None => Ok(index),
        }
    }

    /// Reads the body of a `moov` (8.2.1), and in it what its fragments have in common.
    fn parse(
        ftyp: Option<Bytes>,
        moov: &[u8],
        present: u64,
        wish: Option<&AudioWish>,
    ) -> Result<(Self, Option<Movie>), ParseError> {
        if find(moov, b"cmov")?.is_some() {
            return Err(ParseError::Unsupported("a compressed moov"));
        }
        let mvex = find(moov, b"mvex")?;
        let mut mvhd = Cursor(need(moov, b"mvhd", "the moov has no mvhd")?);
        let (version, _) = mvhd.version_flags()?;
        mvhd.skip(if version == 1 { 16 } else { 8 })?;
        let timescale = mvhd.u32()?;
        let duration = if version == 1 { mvhd.u64()? } else { mvhd.u32()?.into() };
        let (mut pictures, mut sounds, mut descriptions) = (Vec::new(), Vec::new(), Vec::new());
        let mut tracks_left = TRACKS_MAX;
        let mut number = 0;
        for child in Children(moov) {
            let (kind, trak) = child?;
            if kind != *b"trak" {
                continue;
            }
            tracks_left = tracks_left.checked_sub(1).ok_or(ParseError::Unsupported("too many tracks"))?;
            number += 1;
            let handler = Track::handler(trak)?;
            if !matches!(&handler, b"vide" | b"soun") {
                continue;
            }
            let is_first = if handler == *b"vide" { pictures.is_empty() } else { sounds.is_empty() };
            let track = match Track::read(trak, (number - 1, handler), timescale, present) {
                Ok(track) if mvex.is_none() && track.is_empty() => continue,
                Ok(track) => track,
                // What nobody may ask for need not be whole.
                Err(_) if !is_first => continue,
                Err(error) => return Err(error),
            };
            if track.is_sound() {
                descriptions.push(describe(count(sounds.len()) + 1, trak, &track));
                sounds.push(track);
            } else {
                pictures.push(track);
            }
        }
        let seen: Vec<Pictures> = pictures.iter().map(|track| looks(track, mvex.is_some())).collect();
        let video = choice::film(&seen).map(|film| pictures.swap_remove(film));
        // With one sound there is nothing to choose.
        let wish = wish.filter(|_| descriptions.len() > 1);
        let chosen =
            tracks::choose(&descriptions, wish).map_err(|_| ParseError::Unsupported("no such sound"))?;
        let audio = chosen.map(|Choice { track, right }| {
            let mut track = sounds.swap_remove(track);
            if right.is_some() {
                track.samples = Err(CHANNELS_APART);
            }
            track
        });
        let index = Self { video, audio, sounds: descriptions, title: title(moov), ftyp, presented: None };
        Ok((index, mvex.map(|mvex| Movie::read(mvex, duration, timescale)).transpose()?))
    }

    /// The picture of this file with the sound of another, as if the bytes of the other lay behind this one's, from `at`
    /// on: a source that serves them apart is cut like one file.
    #[must_use]
    pub fn with_sound_of(self, other: Self, at: u64) -> Self {
        let presented = self.presented.max(other.presented);
        let audio = other.audio.map(|mut track| {
            if let Ok(samples) = &mut track.samples {
                samples.list.iter_mut().for_each(|sample| sample.offset = sample.offset.saturating_add(at));
            }
            track
        });
        Self { audio, presented, ..self }
    }

    /// The earliest times at which a picture is shown and at which sound begins, by the media's own clock; `None` without samples.
    #[must_use]
    pub fn beginnings(&self) -> (Option<MediaTime>, Option<MediaTime>) {
        let first = |track: &Track| {
            let samples = track.samples.as_ref().ok()?;
            let first = samples.list.iter().map(Sample::pts).min()?;
            Some(MediaTime::from_ticks(first - track.lifted, track.timescale))
        };
        (self.video.as_ref().and_then(first), self.audio.as_ref().and_then(first))
    }

    /// The same on a timeline that shows `by` more than the media's own clock. Each track is moved by whole ticks, upwards
    /// where it has to be rounded, so that no sample comes before its time.
    ///
    /// The media's own clock is what a player goes by: unlike in a file, negative composition offsets delay nothing.
    #[must_use]
    pub fn moved(mut self, by: MediaTime) -> Self {
        for track in [&mut self.video, &mut self.audio].into_iter().flatten() {
            // A tenth of a tick is what the microsecond leaves in doubt.
            let tenths = i128::from(by.0) * i128::from(track.timescale) * 10 - 1_000_000;
            let ticks = i64::try_from(-(-tenths).div_euclid(10_000_000)).unwrap_or(0) - track.lifted;
            track.lifted = 0;
            if let Ok(samples) = &mut track.samples {
                samples.delay(ticks);
            }
            let open = |end: i64| matches!(end, i64::MIN | i64::MAX);
            let moved = |end: i64| if open(end) { end } else { end.saturating_add(ticks) };
            track.shown = moved(track.shown.start)..moved(track.shown.end);
        }
        self.presented = self.presented.map(|end| MediaTime(end.0.saturating_add(by.0)));
        self
    }

    /// Whether samples that a cut of `span` needs may be missing: before those that are here, and behind.
    #[must_use]
    pub fn misses(&self, span: Span) -> (bool, bool) {
        let (early, _) = part::missing(self, span);
        let late = |track: &Track| match &track.samples {
            Ok(samples) => {
                track.end() < span.end || samples.may_lack_before(ticks_ceil(span.end, track.timescale))
            }
            Err(_) => false,
        };
        (early, [&self.video, &self.audio].into_iter().flatten().any(late))
    }

    /// The track with this number.
    pub(super) fn track_mut(&mut self, id: u32) -> Option<&mut Track> {
        [&mut self.video, &mut self.audio].into_iter().flatten().find(|track| track.id == id)
    }

    /// Leaves out tracks without samples.
    pub(super) fn drop_empty(&mut self) {
        self.video.take_if(|track| track.is_empty());
        self.audio.take_if(|track| track.is_empty());
    }

    /// Whether picture or sound can only be played with a key (DRM).
    #[must_use]
    pub fn is_protected(&self) -> bool {
        [&self.video, &self.audio].into_iter().flatten().any(Track::is_protected)
    }

    /// How the frames follow each other, as far as they are listed.
    #[must_use]
    pub fn pace(&self) -> Pace {
        let shown = |track: &Track| {
            let list = track.samples.as_ref().map(|samples| samples.list.as_slice()).unwrap_or_default();
            list.iter().map(Sample::pts).filter(|pts| track.shown.contains(pts)).collect()
        };
        let end = Some(self.duration());
        self.video.as_ref().map_or_else(Pace::default, |track| Pace::of(shown(track), track.timescale, end))
    }

    /// Where the longest track's presentation ends.
    #[must_use]
    pub fn duration(&self) -> MediaTime {
        let ends = || [&self.video, &self.audio].into_iter().flatten().map(Track::end).max();
        self.presented.or_else(ends).unwrap_or_default()
    }

    /// What a person wants to know of the source. The title is empty when the file has none.
    #[must_use]
    pub fn info(&self) -> SourceInfo {
        SourceInfo {
            title: self.title.clone().unwrap_or_default(),
            duration: self.duration(),
            picture: self.video.as_ref().and_then(Track::picture),
            has_audio: self.audio.is_some(),
            frame: self.video.as_ref().and_then(Track::frame),
            tracks: self.sounds.clone(),
            ..SourceInfo::default()
        }
    }
}

/// What of a track of pictures says whether it is the film. Those of fragments are not counted.
fn looks(track: &Track, is_fragmented: bool) -> Pictures {
    let samples = track.samples.as_ref().ok().filter(|_| !is_fragmented);
    let area = track.picture().map_or(0, |picture| u64::from(picture.width) * u64::from(picture.height));
    Pictures {
        count: samples.map(|samples| samples.list.len() as u64),
        area,
        is_stills: choice::is_stills(&String::from_utf8_lossy(&track.codec)),
        is_default: track.is_enabled,
        is_cover: false,
    }
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// The first byte behind a track's samples.
fn samples_end(track: &Track) -> Option<u64> {
    let samples = track.samples.as_ref().ok()?;
    samples.list.iter().map(|sample| sample.offset.saturating_add(sample.size.into())).max()
}

/// The title in iTunes-style metadata, which nobody has to have.
fn title(moov: &[u8]) -> Option<String> {
    let udta = find(moov, b"udta").ok()??;
    let meta = find(udta, b"meta").ok()??;
    // In ISO files `meta` is a full box, in QuickTime's it is not.
    let children = if meta.get(4..8) == Some(b"hdlr") { meta } else { meta.get(4..)? };
    let name = find(find(children, b"ilst").ok()??, b"\xa9nam").ok()??;
    let text = String::from_utf8_lossy(find(name, b"data").ok()??.get(8..)?).trim().to_owned();
    (!text.is_empty()).then(|| text.chars().take(300).collect())
}

/// The `ftyp` box, if there is one in front, and the body of the `moov`.
pub(super) async fn moov<S: ReadAt + Sync>(
    source: &Bounded<'_, S>,
    walk: &mut Walk<'_, S>,
) -> Result<(Option<Bytes>, Bytes), IndexError<S::Error>> {
    let first = walk.bytes(0, source.len().min(16)).await?;
    if !first.is_empty() && !Header::read(&first).is_ok_and(|header| is_first_box(header.kind)) {
        return Err(IndexError::NotIsoBmff);
    }
    let mut ftyp = None;
    while let Some(place) = walk.next().await? {
        let len = place.end - place.at;
        match &place.kind {
            b"moof" | b"styp" | b"sidx" => {
                return Err(IndexError::Unsupported("fragments before their moov"));
            }
            b"moov" if len > MOOV_LEN_MAX => return Err(IndexError::Unsupported("a very large moov")),
            b"moov" => return Ok((ftyp, walk.body(&place).await?)),
            b"ftyp" if len <= HEAD_LEN => ftyp = Some(walk.bytes(place.at, len).await?),
            _ => {}
        }
    }
    Err(IndexError::Malformed("there is no moov"))
}

/// Whether a file of the MP4 family can begin with this box.
const fn is_first_box(kind: FourCc) -> bool {
    matches!(
        &kind,
        b"ftyp" | b"moov" | b"mdat" | b"wide" | b"free" | b"skip" | b"pnot" | b"styp" | b"moof" | b"sidx"
    )
}
