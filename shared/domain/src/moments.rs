//! Moments of a source that a sentence asks for: what a request for them may say, and what is found.
//!
//! A request has one type whether clips are made of what is found (kind `auto`) or not (kind `analyze`).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    clip::{ClipSpec, Refusal, bad, clipped, form, must_be_short},
    cut::Span,
    language, limits,
    money::Amount,
    prices::PriceBook,
    quality::{Format, PictureSize, Quality},
    source::{Location, SourceInfo},
    time::MediaTime,
};

/// The longest query, in characters.
pub const QUERY_CHARS_MAX: usize = 500;
/// The most moments of one answer. Settle writes the clips of all of them in one transaction.
pub const SEGMENTS_MAX: usize = 20;
/// How many clips are made unless a request says how many: each costs something.
const CLIPS_USUALLY: usize = 5;
/// The most that is added before and after a moment: 30 seconds.
pub const PAD_MAX: MediaTime = MediaTime(30 * 1_000_000);
/// The longest excerpt that is kept, in characters.
const EXCERPT_CHARS_MAX: usize = 500;
/// The longest explanation that is kept, in bytes of JSON: with 20 moments and as many alternates, a record has 400 KB.
const WHY_BYTES_MAX: usize = 4096;

/// Where a moment may begin and end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Snap {
    /// Between words.
    Words,
    /// Between sentences.
    #[default]
    Sentences,
    /// Where it is found, but never inside a word.
    None,
}

impl Snap {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "words" => Some(Self::Words),
            "sentences" => Some(Self::Sentences),
            "none" => Some(Self::None),
            _ => None,
        }
    }
}

/// What is looked for, and what the answer may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Search {
    /// In the user's words.
    pub query: String,
    /// The most moments that are answered.
    pub segments_max: usize,
    /// No moment is shorter, if the source has so much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shortest: Option<MediaTime>,
    /// No moment is longer.
    pub longest: MediaTime,
    /// Where moments may begin and end.
    #[serde(default)]
    pub snap: Snap,
    /// Added before and after each moment.
    #[serde(default)]
    pub pad: MediaTime,
    /// Whether each moment says why it was chosen.
    #[serde(default)]
    pub explain: bool,
    /// Whether to tell what else might have been meant.
    #[serde(default)]
    pub alternates: bool,
}

/// The clips that are made of what is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    /// What to deliver.
    pub format: Format,
    /// The largest picture to deliver; without meaning for sound alone.
    pub quality: Quality,
}

/// The words of a request, as they were sent. Times are in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish<'a> {
    /// What is looked for.
    pub query: &'a str,
    /// `max_segments`.
    pub max_segments: Option<u64>,
    /// `min_seconds`.
    pub min_seconds: Option<f64>,
    /// `max_seconds`.
    pub max_seconds: Option<f64>,
    /// `snap`.
    pub snap: Option<&'a str>,
    /// `pad`.
    pub pad: Option<f64>,
    /// `language`.
    pub language: Option<&'a str>,
    /// `explain`.
    pub explain: bool,
    /// `alternates`.
    pub alternates: bool,
}

/// A request for moments that can be carried out, as far as can be told without its source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MomentsSpec {
    /// Where the source is.
    #[serde(flatten)]
    pub location: Location,
    /// What is looked for.
    pub search: Search,
    /// The language of the words to look through, if it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The clips that are made of it; `None` if only their times are wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clips: Option<Form>,
}

impl MomentsSpec {
    /// A request for clips. `format` and `quality` are the request's words, with the defaults of a clip.
    ///
    /// # Errors
    /// [`Refusal::BadRequest`].
    pub fn auto(
        location: Location,
        wish: Wish<'_>,
        format: Option<&str>,
        quality: Option<&str>,
    ) -> Result<Self, Refusal> {
        let (format, quality) = form(format, quality)?;
        Self::of(location, wish, Some(Form { format, quality }))
    }

    /// A request for the times of moments.
    ///
    /// # Errors
    /// [`Refusal::BadRequest`].
    pub fn analyze(location: Location, wish: Wish<'_>) -> Result<Self, Refusal> {
        Self::of(location, wish, None)
    }

    fn of(location: Location, wish: Wish<'_>, clips: Option<Form>) -> Result<Self, Refusal> {
        let query = query(wish.query)?;
        let most = limits::duration_max(clips.map_or(Format::Mp4, |form| form.format));
        let shortest = wish.min_seconds.map(|seconds| length("min_seconds", seconds, most)).transpose()?;
        let longest = wish.max_seconds.map(|seconds| length("max_seconds", seconds, most)).transpose()?;
        let longest = longest.unwrap_or(most);
        if shortest.is_some_and(|shortest| shortest > longest) {
            return Err(bad("`min_seconds` must not be more than `max_seconds`"));
        }
        let usually = if clips.is_some() { CLIPS_USUALLY } else { SEGMENTS_MAX };
        let segments_max = match wish.max_segments {
            None => usually,
            Some(wanted) => usize::try_from(wanted)
                .ok()
                .filter(|wanted| (1..=SEGMENTS_MAX).contains(wanted))
                .ok_or_else(|| bad(format!("`max_segments` must be from 1 to {SEGMENTS_MAX}")))?,
        };
        let snap = match wish.snap {
            None => Snap::default(),
            Some(word) => Snap::parse(word).ok_or_else(|| {
                bad(format!("`snap` must be words, sentences or none, not {:?}", clipped(word)))
            })?,
        };
        let pad = match wish.pad {
            None => MediaTime::ZERO,
            Some(seconds) => MediaTime::from_seconds(seconds)
                .ok()
                .filter(|pad| *pad <= PAD_MAX)
                .ok_or_else(|| bad(format!("`pad` must be from 0 to {} seconds", PAD_MAX.seconds())))?,
        };
        let language = match wish.language {
            None => None,
            Some(tag) => Some(language::understood(tag).map_err(bad)?.to_owned()),
        };
        let (explain, alternates) = (wish.explain, wish.alternates);
        let search = Search { query, segments_max, shortest, longest, snap, pad, explain, alternates };
        Ok(Self { location, search, language, clips })
    }

    /// Checks the request against its source.
    ///
    /// # Errors
    /// [`Refusal::Source`] for a source that is too long, or lacks what the format needs.
    pub fn check_source(&self, source: &SourceInfo) -> Result<(), Refusal> {
        match self.clips {
            Some(_) => self.clip(Span { start: MediaTime::ZERO, end: MediaTime::ZERO }).check_source(source),
            None => must_be_short(source),
        }
    }

    /// The clip of one moment. Without meaning where no clips are made.
    #[must_use]
    pub fn clip(&self, span: Span) -> ClipSpec {
        let Form { format, quality } =
            self.clips.unwrap_or(Form { format: Format::Mp4, quality: Quality::P1080 });
        ClipSpec::plain(self.location.clone(), span, format, quality)
    }

    /// All of the source's sound, as a clip of it would be cut: what is listened to where nobody has written down what is
    /// said.
    #[must_use]
    pub fn sound(&self, duration: MediaTime) -> ClipSpec {
        let span = Span { start: MediaTime::ZERO, end: duration };
        ClipSpec::plain(self.location.clone(), span, Format::Wav, Quality::P720)
    }

    /// The picture that each clip will have from this source.
    #[must_use]
    pub fn delivered_picture(&self, source: &SourceInfo) -> Option<PictureSize> {
        let form = self.clips?;
        source.picture.filter(|_| form.format.has_picture()).map(|picture| picture.delivered(form.quality))
    }

    /// What it costs when clips with these `pictures` are delivered from a source of this length. 4K counts only where
    /// it is truly delivered, and once.
    #[must_use]
    pub fn price(&self, book: &PriceBook, source: MediaTime, pictures: &[Option<PictureSize>]) -> Amount {
        let Some(form) = self.clips else { return book.analyze(source) };
        let is_4k = |picture: &Option<PictureSize>| picture.is_some_and(PictureSize::is_4k);
        let premium = form.format == Format::Mp4 && pictures.iter().any(is_4k);
        book.auto_clip(source, pictures.len() as u64, premium)
    }
}

fn query(text: &str) -> Result<String, Refusal> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err(bad("`query` is empty; say in a few words what to look for")),
        1..=QUERY_CHARS_MAX => Ok(text.to_owned()),
        long => Err(bad(format!("`query` has {long} characters; it may have {QUERY_CHARS_MAX} at most"))),
    }
}

fn length(field: &str, seconds: f64, most: MediaTime) -> Result<MediaTime, Refusal> {
    let fits = |length: &MediaTime| *length > MediaTime::ZERO && *length <= most;
    MediaTime::from_seconds(seconds)
        .ok()
        .filter(fits)
        .ok_or_else(|| bad(format!("`{field}` must be more than 0, and {} at most", most.seconds())))
}

/// A share of a thousand, as it is kept and compared; in answers it is a number from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Confidence(u16);

impl Confidence {
    /// The nearest to `share`, which is from 0 to 1; anything else is the nearer end.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within 0..=1000
    pub fn of(share: f64) -> Self {
        Self(if share.is_nan() { 0 } else { (share.clamp(0.0, 1.0) * 1000.0).round() as u16 })
    }

    /// From 0 to 1.
    #[must_use]
    pub fn share(self) -> f64 {
        f64::from(self.0) / 1000.0
    }
}

/// A span of the source that fits what was looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// When, on the source's timeline.
    #[serde(flatten)]
    pub span: Span,
    /// What is said in it.
    pub excerpt: String,
    /// How sure it is that this was meant.
    pub confidence: Confidence,
    /// Why it was chosen, if that was asked: for people, and for nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Value>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Best first. No two overlap.
    pub moments: Vec<Moment>,
    /// What else might have been meant, if that was asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternates: Vec<Moment>,
    /// How many of those that were found are left out, because the money did not suffice for their clips.
    #[serde(default)]
    pub left: usize,
}

impl Found {
    /// The same as `search` allows it: no more, within the source, in bounds of a record.
    #[must_use]
    pub fn bounded(self, search: &Search, source: MediaTime) -> Self {
        let tidy = |moments: Vec<Moment>| {
            let fitted = moments.into_iter().filter_map(|mut moment| {
                moment.span.start = moment.span.start.max(MediaTime::ZERO);
                let latest = MediaTime(moment.span.start.0.saturating_add(search.longest.0));
                moment.span.end = moment.span.end.min(source).min(latest);
                moment.excerpt = moment.excerpt.chars().take(EXCERPT_CHARS_MAX).collect();
                moment.why = moment.why.filter(|why| why.to_string().len() <= WHY_BYTES_MAX);
                (moment.span.end > moment.span.start).then_some(moment)
            });
            fitted.take(search.segments_max).collect()
        };
        Self { moments: tidy(self.moments), alternates: tidy(self.alternates), left: self.left }
    }

    /// The best `count` of it, the rest left out.
    #[must_use]
    pub fn best(mut self, count: usize) -> Self {
        self.left += self.moments.len().saturating_sub(count);
        self.moments.truncate(count);
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn here() -> Location {
        Location::Url("https://example.com/talk.mp4".to_owned())
    }

    fn wish(query: &str) -> Wish<'_> {
        Wish { query, ..Wish::default() }
    }

    fn hours(hours: f64) -> MediaTime {
        MediaTime::from_seconds(hours * 3600.0).unwrap()
    }

    fn source(duration: MediaTime, width: u32, height: u32) -> SourceInfo {
        let picture = (width > 0).then_some(PictureSize { width, height });
        SourceInfo { duration, picture, has_audio: true, ..SourceInfo::default() }
    }

    #[test]
    fn takes_what_fastclips_examples_send() {
        let auto =
            MomentsSpec::auto(here(), wish("the part about neural networks"), Some("mp4"), Some("1080p"));
        let auto = auto.unwrap();
        assert_eq!((auto.search.longest, auto.search.snap), (limits::CLIP_DURATION_MAX, Snap::Sentences));
        let analyze = MomentsSpec::analyze(here(), wish("all mentions of machine learning")).unwrap();
        assert_eq!((analyze.clips, analyze.search.segments_max), (None, SEGMENTS_MAX));
    }

    #[test]
    fn a_query_has_1_to_500_characters() {
        for (query, fits) in [
            ("", false),
            (" \n\t ", false),
            ("a", true),
            (&*"ü".repeat(500), true),
            (&*"ü".repeat(501), false),
            (&*format!("  {}  ", "x".repeat(500)), true),
        ] {
            assert_eq!(MomentsSpec::analyze(here(), wish(query)).is_ok(), fits, "{} bytes", query.len());
        }
    }

    #[test]
    fn options_have_bounds() {
        let refused = |wish: Wish<'_>, format| match MomentsSpec::auto(here(), wish, Some(format), None) {
            Err(Refusal::BadRequest(text)) => text,
            other => panic!("{other:?}"),
        };
        for (options, format, field) in [
            (Wish { max_segments: Some(0), ..wish("q") }, "mp4", "max_segments"),
            (Wish { max_segments: Some(21), ..wish("q") }, "mp4", "max_segments"),
            (Wish { min_seconds: Some(0.0), ..wish("q") }, "mp4", "min_seconds"),
            (Wish { max_seconds: Some(601.0), ..wish("q") }, "mp4", "max_seconds"),
            (Wish { max_seconds: Some(31.0), ..wish("q") }, "gif", "max_seconds"),
            (Wish { max_seconds: Some(f64::NAN), ..wish("q") }, "mp4", "max_seconds"),
            (Wish { min_seconds: Some(9.0), max_seconds: Some(8.0), ..wish("q") }, "mp4", "min_seconds"),
            (Wish { snap: Some("frames"), ..wish("q") }, "mp4", "snap"),
            (Wish { pad: Some(-1.0), ..wish("q") }, "mp4", "pad"),
            (Wish { pad: Some(30.1), ..wish("q") }, "mp4", "pad"),
            (Wish { language: Some("e n"), ..wish("q") }, "mp4", "language"),
            (wish("q"), "avi", "format"),
        ] {
            let text = refused(options, format);
            assert!(text.contains(field), "{text}");
        }
        let gif = MomentsSpec::auto(here(), wish("q"), Some("gif"), Some("4k")).unwrap();
        assert_eq!(gif.clips, Some(Form { format: Format::Gif, quality: Quality::P1080 }));
        assert_eq!(gif.search.longest, limits::GIF_DURATION_MAX);
    }

    #[test]
    fn a_source_must_suit() {
        let auto = |format| MomentsSpec::auto(here(), wish("q"), Some(format), None).unwrap();
        let analyze = MomentsSpec::analyze(here(), wish("q")).unwrap();
        assert!(auto("mp4").check_source(&source(hours(3.0), 640, 360)).is_ok());
        assert!(analyze.check_source(&source(hours(3.0), 0, 0)).is_ok());
        let long = source(MediaTime(hours(3.0).0 + 1), 640, 360);
        for (spec, source) in [
            (auto("mp4"), &long),
            (analyze, &long),
            (auto("gif"), &source(hours(1.0), 0, 0)),
            (auto("mp3"), &SourceInfo { has_audio: false, ..source(hours(1.0), 640, 360) }),
        ] {
            assert!(matches!(spec.check_source(source), Err(Refusal::Source(_))), "{spec:?}");
        }
    }

    #[test]
    fn fastclips_list_prices() {
        let book = PriceBook::current().unwrap();
        let auto = |quality| MomentsSpec::auto(here(), wish("q"), None, Some(quality)).unwrap();
        let (k4, hd) = (
            Some(PictureSize { width: 3840, height: 2160 }),
            Some(PictureSize { width: 1920, height: 1080 }),
        );
        let second_over = MediaTime(hours(1.0).0 + 1);
        for (spec, length, pictures, cents) in [
            (auto("1080p"), hours(1.0), &[hd][..], 20),
            (auto("1080p"), second_over, &[hd], 40),
            (auto("1080p"), hours(0.1), &[hd, hd, hd], 40),
            // The specification's example holds 0.30.
            (auto("4k"), hours(1.0), &[k4], 30),
            (auto("4k"), hours(1.0), &[hd], 20),
            (auto("4k"), hours(1.0), &[k4, k4, hd], 50),
        ] {
            assert_eq!(spec.price(book, length, pictures), Amount::cents(cents), "{length:?} {pictures:?}");
        }
        let analyze = MomentsSpec::analyze(here(), wish("q")).unwrap();
        assert_eq!(analyze.price(book, hours(1.0), &[]), Amount::cents(10));
        assert_eq!(analyze.price(book, second_over, &[]), Amount::cents(20));
    }

    #[test]
    fn a_confidence_reads_back() {
        for share in [0.0, 0.001, 0.5, 0.92, 1.0] {
            assert!((Confidence::of(share).share() - share).abs() < 1e-9);
        }
        assert_eq!((Confidence::of(f64::NAN), Confidence::of(7.0)), (Confidence(0), Confidence(1000)));
    }

    proptest! {
        #[test]
        fn what_is_kept_is_within_bounds(
            spans in prop::collection::vec((-5i64..400, -5i64..400), 0..30),
            (longest, length, most) in (1i64..100, 0i64..300, 1usize..=20),
            kept in 0usize..25,
        ) {
            let moment = |(start, end): (i64, i64)| Moment {
                span: Span { start: MediaTime(start), end: MediaTime(end) },
                excerpt: "ü".repeat(600),
                confidence: Confidence::of(0.5),
                why: Some(Value::String("x".repeat(5000))),
            };
            let search = Search {
                longest: MediaTime(longest),
                segments_max: most,
                ..MomentsSpec::analyze(here(), wish("q")).unwrap().search
            };
            let found = Found { moments: spans.into_iter().map(moment).collect(), ..Found::default() };
            let found = found.bounded(&search, MediaTime(length));
            prop_assert!(found.moments.len() <= most);
            for moment in &found.moments {
                prop_assert!(MediaTime::ZERO <= moment.span.start && moment.span.start < moment.span.end);
                prop_assert!(moment.span.end <= MediaTime(length) && moment.span.duration().0 <= longest);
                prop_assert!(moment.excerpt.chars().count() <= EXCERPT_CHARS_MAX && moment.why.is_none());
            }
            let all = found.moments.len();
            let best = found.best(kept);
            prop_assert_eq!(best.moments.len() + best.left, all);
        }
    }
}
