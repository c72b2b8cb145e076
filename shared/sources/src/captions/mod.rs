//! Captions: reading them in the formats that sites deliver, and making one transcript of them.
//!
//! All of it is a stranger's text: what cannot be read is left out, nothing nests, and everything has a bound. Nothing is
//! cut off at a bound without a word: readers go one segment beyond [`SEGMENTS_MAX`], so that whoever counts can tell.

mod json3;
mod plain;
mod playlist;
mod tidy;
mod timed;

use domain::time::MediaTime;
use serde::{Deserialize, Serialize};

pub use json3::json3;
pub use playlist::{Subtitles, join_webvtt, subtitles};
pub use tidy::tidy;
pub use timed::{srt, webvtt};

use crate::ytdlp::{Caption, Page};

/// The largest caption file that is read, in bytes.
pub const FILE_BYTES_MAX: u64 = 16 << 20;
/// The most segments of one transcript: a whole day, with more than one a second.
pub const SEGMENTS_MAX: usize = 100_000;

/// What is said between two times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// When it begins.
    pub start: MediaTime,
    /// When it ends.
    pub end: MediaTime,
    /// The words, in one line.
    pub text: String,
}

/// A cue that somebody else has read, without its markup.
#[must_use]
pub fn cue(start: MediaTime, end: MediaTime, text: &str) -> Segment {
    Segment { start, end, text: timed::lined(text) }
}

/// Reads a caption file of `format` as yt-dlp names it (`json3`, `vtt`, `srt`); `None` for another format.
#[must_use]
pub fn read(format: &str, text: &str) -> Option<Vec<Segment>> {
    match format {
        "json3" => Some(json3(text)),
        "vtt" | "webvtt" => Some(webvtt(text)),
        "srt" => Some(srt(text)),
        _ => None,
    }
}

/// The captions of `page` that make the best transcript, best first, in one language: written by people before those of a
/// machine, in the language that is spoken, unless `asked` names another.
#[must_use]
pub fn ranked<'a>(page: &'a Page, asked: Option<&str>) -> Vec<&'a Caption> {
    let readable =
        |caption: &&Caption| format_rank(&caption.format).is_some() && caption.language != "live_chat";
    let mut all: Vec<&Caption> = page.captions.iter().filter(readable).collect();
    let spoken = page.language.as_deref();
    let wanted = asked.or(spoken);
    all.retain(|caption| match asked {
        Some(asked) => speaks(&caption.language, asked),
        // A machine's captions in other languages are a machine's translations.
        None => !caption.is_automatic || spoken.is_none_or(|spoken| speaks(&caption.language, spoken)),
    });
    all.sort_by_key(|caption| {
        let language =
            wanted.map_or(!speaks(&caption.language, "en"), |wanted| !speaks(&caption.language, wanted));
        let is_translated = caption.is_automatic && !caption.language.ends_with("-orig");
        let inexact = wanted.is_some_and(|wanted| !caption.language.eq_ignore_ascii_case(wanted));
        (
            language,
            caption.is_automatic,
            is_translated,
            inexact,
            caption.language.clone(),
            format_rank(&caption.format),
        )
    });
    let first = all.first().map(|caption| (caption.language.clone(), caption.is_automatic));
    all.retain(|caption| {
        first.as_ref().is_some_and(|(language, automatic)| {
            caption.language == *language && caption.is_automatic == *automatic
        })
    });
    all
}

fn format_rank(format: &str) -> Option<u8> {
    match format {
        "json3" => Some(0),
        "vtt" | "webvtt" => Some(1),
        "srt" => Some(2),
        _ => None,
    }
}

/// Whether a tag is of the language `wanted`: `en`, `en-US`, `en-orig` all speak `en` (RFC 4647, section 3.3.1).
#[must_use]
pub fn speaks(tag: &str, wanted: &str) -> bool {
    let primary = |tag: &str| tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    if wanted.contains(['-', '_']) && !wanted.ends_with("-orig") {
        let fold = |tag: &str| tag.replace('_', "-").to_ascii_lowercase();
        return fold(tag) == fold(wanted) || primary(tag) == fold(wanted);
    }
    primary(tag) == primary(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ytdlp::Address;

    fn page(language: Option<&str>, captions: &[(&str, &str, bool)]) -> Page {
        let captions = captions.iter().map(|&(language, format, is_automatic)| Caption {
            language: language.to_owned(),
            format: format.to_owned(),
            is_automatic,
            address: Address::plain(format!("https://a.org/{language}.{format}")),
            is_playlist: false,
        });
        Page { language: language.map(str::to_owned), captions: captions.collect(), ..Page::default() }
    }

    fn first(page: &Page, asked: Option<&str>) -> Option<(String, String, bool)> {
        ranked(page, asked).first().map(|c| (c.language.clone(), c.format.clone(), c.is_automatic))
    }

    fn is(language: &str, format: &str, automatic: bool) -> Option<(String, String, bool)> {
        Some((language.to_owned(), format.to_owned(), automatic))
    }

    #[test]
    fn people_before_machines_and_the_spoken_language_first() {
        let all = [
            ("de", "vtt", false),
            ("de", "json3", false),
            ("en", "json3", true),
            ("en-orig", "json3", true),
            ("fr", "json3", true),
            ("live_chat", "json3", false),
            ("ja", "srv1", false),
        ];
        assert_eq!(first(&page(Some("en"), &all), None), is("en-orig", "json3", true));
        assert_eq!(first(&page(Some("de"), &all), None), is("de", "json3", false));
        assert_eq!(first(&page(None, &all), None), is("en-orig", "json3", true));
        assert_eq!(first(&page(Some("en"), &all), Some("de")), is("de", "json3", false));
        assert_eq!(first(&page(Some("en"), &all), Some("fr")), is("fr", "json3", true));
        assert_eq!(first(&page(Some("en"), &all), Some("ja")), None);
        assert_eq!(first(&page(Some("ko"), &all), None), is("de", "json3", false));
        let human = [("en-GB", "vtt", false), ("en-US", "vtt", false), ("en", "json3", true)];
        assert_eq!(first(&page(Some("en-US"), &human), None), is("en-US", "vtt", false));
        assert_eq!(first(&page(Some("en"), &human), Some("en-GB")), is("en-GB", "vtt", false));
        assert_eq!(first(&page(None, &[]), None), None);
    }
}
