//! What a clip request may ask for, checked before and after the source is known.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    cut::Span,
    limits,
    money::Amount,
    prices::PriceBook,
    quality::{Format, PictureSize, Quality},
    source::{Location, SourceInfo},
    time::MediaTime,
    tracks::{self, AudioWish},
};

/// A request that can be carried out, as far as can be told without its source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClipSpec {
    /// Where the source is.
    #[serde(flatten)]
    pub location: Location,
    /// The span to cut, on the source's timeline.
    pub span: Span,
    /// What to deliver.
    pub format: Format,
    /// The largest picture to deliver; without meaning for sound alone.
    pub quality: Quality,
    /// Where the clip may begin and end.
    #[serde(default)]
    pub precision: Precision,
    /// The sound that was asked for, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<AudioWish>,
    /// The most bytes that the file may have; for GIF only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// Where the clip was asked to end, if the source ends a little earlier and the clip with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_end: Option<MediaTime>,
}

/// Where a clip may begin and end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// At the frame that was asked for.
    #[default]
    Exact,
    /// At the nearest places around the span between which every frame can be copied.
    Keyframe,
}

impl Precision {
    /// The words of requests.
    pub const WORDS: [&'static str; 2] = ["exact", "keyframe"];

    /// Reads the word of a request.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "exact" => Some(Self::Exact),
            "keyframe" => Some(Self::Keyframe),
            _ => None,
        }
    }
}

/// Why a request is refused. The text is for the person who sent it and says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request itself is wrong (HTTP 400).
    #[error("{0}")]
    BadRequest(String),
    /// The request is fine, this source cannot serve it (HTTP 422).
    #[error("{0}")]
    Source(String),
    /// Sources are not taken from there (HTTP 422).
    #[error("{0}")]
    Forbidden(String),
}

pub(crate) fn bad(message: impl Into<String>) -> Refusal {
    Refusal::BadRequest(message.into())
}

impl ClipSpec {
    /// Checks what a request says: address, order and length of the span, and whether format and quality go
    /// together. `format` and `quality` are the request's words; MP4 at 1080p and GIF at 720p are the defaults.
    ///
    /// # Errors
    /// [`Refusal::BadRequest`].
    pub fn new(url: &str, span: Span, format: Option<&str>, quality: Option<&str>) -> Result<Self, Refusal> {
        Self::of(Location::named(Some(url), None)?, span, format, quality)
    }

    /// As [`ClipSpec::new`], of a source that may be an upload.
    ///
    /// # Errors
    /// [`Refusal::BadRequest`].
    pub fn of(
        location: Location,
        span: Span,
        format: Option<&str>,
        quality: Option<&str>,
    ) -> Result<Self, Refusal> {
        let (format, quality) = form(format, quality)?;
        if span.end <= span.start {
            return Err(bad(format!("`end` ({}) must be after `start` ({})", span.end, span.start)));
        }
        let longest = limits::duration_max(format);
        if span.duration() > longest {
            return Err(bad(format!(
                "the clip would be {} long; a {} may be {longest} at most",
                span.duration(),
                format.extension(),
            )));
        }
        Ok(Self::plain(location, span, format, quality))
    }

    /// A clip without wishes, which the caller knows to be within bounds.
    pub(crate) const fn plain(location: Location, span: Span, format: Format, quality: Quality) -> Self {
        Self {
            location,
            span,
            format,
            quality,
            precision: Precision::Exact,
            audio: None,
            max_bytes: None,
            asked_end: None,
        }
    }

    /// The same with the `precision` that a request names; `exact` is the default.
    ///
    /// # Errors
    /// [`Refusal::BadRequest`] for an unknown word, and for `keyframe` with a format that copies no picture.
    pub fn with_precision(self, word: Option<&str>) -> Result<Self, Refusal> {
        let Some(word) = word else { return Ok(self) };
        let precision = Precision::parse(word)
            .ok_or_else(|| bad(format!("`precision` must be exact or keyframe, not {:?}", clipped(word))))?;
        if precision == Precision::Keyframe && self.format != Format::Mp4 {
            return Err(bad("`precision` can be keyframe for mp4 only; leave it out for other formats"));
        }
        Ok(Self { precision, ..self })
    }

    /// The same with the sound that a request names.
    ///
    /// # Errors
    /// [`Refusal::BadRequest`] with GIF, which has none.
    pub fn with_audio(self, audio: Option<AudioWish>) -> Result<Self, Refusal> {
        if audio.is_some() && self.format == Format::Gif {
            return Err(bad("A GIF has no sound; leave out `audio`."));
        }
        Ok(Self { audio, ..self })
    }

    /// The same with a bound on the file's size in bytes.
    ///
    /// # Errors
    /// [`Refusal::BadRequest`] with anything but GIF, and for a size that no GIF can have.
    pub fn with_max_bytes(self, max_bytes: Option<u64>) -> Result<Self, Refusal> {
        match max_bytes {
            Some(_) if self.format != Format::Gif => {
                Err(bad("`max_bytes` is for gif only; leave it out for other formats."))
            }
            Some(max) if max < limits::GIF_MAX_BYTES_MIN => {
                Err(bad(format!("`max_bytes` must be {} at least.", limits::GIF_MAX_BYTES_MIN)))
            }
            _ => Ok(Self { max_bytes, ..self }),
        }
    }

    /// The same for this very source: a span that ends up to a frame, or 50 ms, behind the source's end ends with it.
    ///
    /// # Errors
    /// As [`Self::check_source`].
    pub fn fitted(mut self, source: &SourceInfo) -> Result<Self, Refusal> {
        let (end, most) = (self.span.end, source.frame.unwrap_or_default().max(limits::BEYOND_END_MAX));
        if end > source.duration && end.since(source.duration) <= most && self.span.start < source.duration {
            self.span.end = source.duration;
            self.asked_end = Some(end);
        }
        self.check_source(source)?;
        Ok(self)
    }

    /// Checks the request against its source.
    ///
    /// # Errors
    /// [`Refusal::BadRequest`] for a span beyond the end and a sound that is not there, [`Refusal::Source`] for a source
    /// that is too long or lacks what the format needs.
    pub fn check_source(&self, source: &SourceInfo) -> Result<(), Refusal> {
        must_be_short(source)?;
        if self.format.has_picture() && source.picture.is_none() {
            return Err(Refusal::Source("the source has no video; ask for mp3, m4a, wav or flac".to_owned()));
        }
        if !self.format.has_picture() && !source.has_audio {
            return Err(Refusal::Source("the source has no audio; ask for mp4 or gif".to_owned()));
        }
        tracks::must_offer(source, self.audio.as_ref())?;
        if self.span.end > source.duration {
            return Err(bad(format!(
                "`end` ({}) is beyond the end of the source, which is {} long",
                self.span.end, source.duration,
            )));
        }
        Ok(())
    }

    /// The picture that will be delivered from this source.
    #[must_use]
    pub fn delivered_picture(&self, source: &SourceInfo) -> Option<PictureSize> {
        source.picture.filter(|_| self.format.has_picture()).map(|picture| picture.delivered(self.quality))
    }

    /// What the clip costs when `picture` is delivered: 4K counts only where it is truly delivered.
    #[must_use]
    pub fn price(&self, book: &PriceBook, picture: Option<PictureSize>) -> Amount {
        book.manual_clip(self.format == Format::Mp4 && picture.is_some_and(PictureSize::is_4k))
    }

    /// The name of the delivered file, for example `clip_2-00-3-00.mp4`.
    #[must_use]
    pub fn file_name(&self) -> String {
        let clock = |time: crate::time::MediaTime| time.to_string().replace(':', "-");
        format!("clip_{}-{}.{}", clock(self.span.start), clock(self.span.end), self.format.extension())
    }
}

/// The format and the quality that a request's words mean. MP4 at 1080p and GIF at 720p are the defaults.
pub(crate) fn form(format: Option<&str>, quality: Option<&str>) -> Result<(Format, Quality), Refusal> {
    let format = match format {
        None => Format::Mp4,
        Some(word) => Format::parse(word).ok_or_else(|| {
            bad(format!("`format` must be mp4, mp3, gif, m4a, wav or flac, not {:?}", clipped(word)))
        })?,
    };
    let quality = match quality {
        None if format == Format::Gif => Quality::P720,
        None => Quality::P1080,
        Some(word) => Quality::parse(word).ok_or_else(|| {
            bad(format!("`quality` must be 720p, 1080p or 4k (or medium, high), not {:?}", clipped(word)))
        })?,
    };
    // A GIF comes in 720p or 1080p; a wish for more is met as well as can be, as it is where the source has less.
    Ok((format, if format == Format::Gif { quality.min(Quality::P1080) } else { quality }))
}

/// Checks that a source is no longer than those that clips are cut from.
pub(crate) fn must_be_short(source: &SourceInfo) -> Result<(), Refusal> {
    if source.duration <= limits::SOURCE_DURATION_MAX {
        return Ok(());
    }
    Err(Refusal::Source(format!(
        "the source is {} long; clips are cut from sources of up to {}",
        source.duration,
        limits::SOURCE_DURATION_MAX,
    )))
}

/// Checks that `text` is an absolute http or https address, and returns it in its normal form.
///
/// # Errors
/// [`Refusal::BadRequest`] with what is wrong.
pub fn source_url(text: &str) -> Result<String, Refusal> {
    if text.len() > limits::URL_BYTES_MAX {
        return Err(bad(format!("`url` may be {} bytes long at most", limits::URL_BYTES_MAX)));
    }
    let url = Url::parse(text.trim())
        .map_err(|_| bad("`url` must be an absolute address like https://example.com/video.mp4"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("`url` must begin with http:// or https://"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(bad("`url` must name a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("`url` must not carry a user name or password"));
    }
    Ok(url.into())
}

/// A word of the request, cut to a length that is fit for an error message.
pub(crate) fn clipped(word: &str) -> String {
    word.chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracks::AudioTrack;

    const URL: &str = "https://example.com/video.mp4";

    fn span(start: f64, end: f64) -> Span {
        Span { start: MediaTime::from_seconds(start).unwrap(), end: MediaTime::from_seconds(end).unwrap() }
    }

    fn spec(start: f64, end: f64, format: &str, quality: Option<&str>) -> Result<ClipSpec, Refusal> {
        ClipSpec::new(URL, span(start, end), Some(format), quality)
    }

    fn source(seconds: f64, width: u32, height: u32) -> SourceInfo {
        SourceInfo {
            title: "Test".to_owned(),
            duration: MediaTime::from_seconds(seconds).unwrap(),
            picture: (width > 0).then_some(PictureSize { width, height }),
            has_audio: true,
            ..SourceInfo::default()
        }
    }

    #[test]
    fn takes_what_fastclips_examples_send() {
        let spec = spec(120.0, 180.0, "mp4", Some("4k")).unwrap();
        assert_eq!(spec.quality, Quality::K4);
        assert_eq!(spec.file_name(), "clip_2-00-3-00.mp4");
        assert_eq!(spec.check_source(&source(3600.5, 1920, 1080)), Ok(()));
        let fraction = ClipSpec::new(URL, span(1.5, 4.25), None, None).unwrap();
        assert_eq!((fraction.format, fraction.quality), (Format::Mp4, Quality::P1080));
        assert_eq!(fraction.file_name(), "clip_0-01.5-0-04.25.mp4");
    }

    #[test]
    fn an_end_a_little_behind_the_sources_is_the_sources() {
        let (source, still) = (source(10.0, 640, 360), MediaTime(200_000));
        let slow = SourceInfo { frame: Some(still), ..source.clone() };
        let fitted = |end: f64, source: &SourceInfo| {
            let fitted = spec(8.0, end, "mp4", None).unwrap().fitted(source);
            fitted.map(|spec| (spec.span.end.0, spec.asked_end.map(|end| end.0)))
        };
        assert_eq!(fitted(10.0, &source), Ok((10_000_000, None)));
        assert_eq!(fitted(10.05, &source), Ok((10_000_000, Some(10_050_000))));
        assert_eq!(fitted(10.2, &slow), Ok((10_000_000, Some(10_200_000))));
        for (end, source) in [(10.051, &source), (10.201, &slow)] {
            assert!(
                matches!(fitted(end, source), Err(Refusal::BadRequest(text)) if text.contains("beyond the end"))
            );
        }
        assert!(spec(10.0, 10.04, "mp4", None).unwrap().fitted(&source).is_err(), "nothing would be left");
    }

    #[test]
    fn a_sound_and_a_size_are_for_formats_that_have_them() {
        let (mp4, gif) = (spec(0.0, 1.0, "mp4", None).unwrap(), spec(0.0, 1.0, "gif", None).unwrap());
        let english = Some(AudioWish::Language("en".to_owned()));
        assert!(gif.clone().with_audio(english.clone()).is_err() && gif.clone().with_audio(None).is_ok());
        assert!(mp4.clone().with_max_bytes(Some(1_000_000)).is_err());
        assert!(gif.clone().with_max_bytes(Some(1_000)).is_err());
        assert_eq!(gif.with_max_bytes(Some(1_000_000)).unwrap().max_bytes, Some(1_000_000));
        let spoken = |language: &str| AudioTrack {
            number: 1,
            language: Some(language.to_owned()),
            ..AudioTrack::default()
        };
        let asked = mp4.with_audio(english).unwrap();
        let source = |language| SourceInfo { tracks: vec![spoken(language)], ..source(5.0, 640, 360) };
        assert_eq!(asked.check_source(&source("eng")), Ok(()));
        assert!(matches!(asked.check_source(&source("deu")), Err(Refusal::BadRequest(_))));
    }

    #[test]
    fn refuses_spans_that_cannot_be() {
        for (start, end, format) in
            [(2.0, 2.0, "mp4"), (3.0, 2.0, "mp4"), (0.0, 600.1, "mp4"), (0.0, 30.1, "gif")]
        {
            assert!(matches!(spec(start, end, format, None), Err(Refusal::BadRequest(_))), "{start} {end}");
        }
        assert!(spec(0.0, 600.0, "mp4", None).is_ok());
        assert!(spec(0.0, 30.0, "gif", None).is_ok());
    }

    #[test]
    fn a_gif_in_4k_is_delivered_in_1080p() {
        let gif = spec(0.0, 1.0, "gif", Some("4k")).unwrap();
        assert_eq!(gif.quality, Quality::P1080);
        let delivered = gif.delivered_picture(&source(9.0, 3840, 2160)).unwrap();
        assert_eq!((delivered.width, delivered.height), (1920, 1080));
        assert_eq!(gif.price(PriceBook::current().unwrap(), Some(delivered)), Amount::cents(10));
        assert_eq!(spec(0.0, 1.0, "gif", None).unwrap().quality, Quality::P720);
    }

    #[test]
    fn refuses_unknown_words() {
        for (format, quality) in [("avi", None), ("", None), ("mp4", Some("8k")), ("mp4", Some(""))] {
            assert!(
                matches!(spec(0.0, 1.0, format, quality), Err(Refusal::BadRequest(_))),
                "{format} {quality:?}"
            );
        }
    }

    #[test]
    fn a_keyframe_cut_is_an_mp4() {
        let asked = |format, word| spec(0.0, 1.0, format, None).unwrap().with_precision(word);
        assert_eq!(asked("mp4", None).unwrap().precision, Precision::Exact);
        for (word, precision) in [("exact", Precision::Exact), ("keyframe", Precision::Keyframe)] {
            assert_eq!(asked("mp4", Some(word)).unwrap().precision, precision);
        }
        assert!(asked("gif", Some("exact")).is_ok());
        for (format, word) in [("mp4", "Keyframe"), ("mp4", ""), ("mp3", "keyframe"), ("gif", "keyframe")] {
            assert!(matches!(asked(format, Some(word)), Err(Refusal::BadRequest(_))), "{format} {word}");
        }
        // A job that was accepted before there was a choice is exact.
        let mut record = serde_json::to_value(asked("mp4", None).unwrap()).unwrap();
        record.as_object_mut().unwrap().remove("precision");
        assert_eq!(serde_json::from_value::<ClipSpec>(record).unwrap().precision, Precision::Exact);
    }

    #[test]
    fn refuses_addresses_that_are_none() {
        for url in [
            "",
            "video",
            "/etc/passwd",
            "file:///etc/passwd",
            "ftp://example.com/a",
            "http://",
            "https://",
            "https://user:secret@example.com/a",
            "javascript:alert(1)",
            "data:video/mp4;base64,AAAA",
        ] {
            assert!(matches!(source_url(url), Err(Refusal::BadRequest(_))), "{url}");
        }
        assert!(source_url(&format!("https://example.com/{}", "a".repeat(5000))).is_err());
        assert_eq!(source_url(" HTTPS://Example.com/A b ").as_deref(), Ok("https://example.com/A%20b"));
    }

    #[test]
    fn checks_the_span_and_tracks_against_the_source() {
        let clip = spec(1.0, 5.0, "mp4", None).unwrap();
        assert_eq!(clip.check_source(&source(5.0, 640, 360)), Ok(()));
        assert!(matches!(clip.check_source(&source(4.9, 640, 360)), Err(Refusal::BadRequest(_))));
        assert!(matches!(clip.check_source(&source(10_801.0, 640, 360)), Err(Refusal::Source(_))));
        assert!(matches!(clip.check_source(&source(5.0, 0, 0)), Err(Refusal::Source(_))));
        let mute = SourceInfo { has_audio: false, ..source(5.0, 640, 360) };
        for format in ["mp3", "m4a", "wav", "flac"] {
            let sound = spec(1.0, 5.0, format, None).unwrap();
            assert!(matches!(sound.check_source(&mute), Err(Refusal::Source(_))), "{format}");
            assert_eq!(sound.check_source(&source(5.0, 0, 0)), Ok(()), "{format}");
        }
    }

    #[test]
    fn four_k_costs_more_only_where_it_is_delivered() {
        let book = PriceBook::current().unwrap();
        let clip = spec(0.0, 1.0, "mp4", Some("4k")).unwrap();
        let price = |w, h| clip.price(book, clip.delivered_picture(&source(9.0, w, h)));
        assert_eq!(price(3840, 2160), Amount::cents(20));
        assert_eq!(price(1920, 1080), Amount::cents(10));
        for format in ["mp3", "m4a", "wav", "flac"] {
            let sound = spec(0.0, 1.0, format, Some("4k")).unwrap();
            let cost = sound.price(book, sound.delivered_picture(&source(9.0, 3840, 2160)));
            assert_eq!(cost, Amount::cents(10), "{format}");
        }
    }
}
