//! What a request for a whole video may ask for, checked before and after the source is known.

use serde::{Deserialize, Serialize};

use crate::{
    clip::{Refusal, bad, clipped},
    money::Amount,
    prices::PriceBook,
    quality::{Format, PictureSize, Quality},
    source::{Location, SourceInfo},
    tracks::{self, AudioWish},
};

/// The formats that a whole video comes in.
pub const FORMATS: [Format; 2] = [Format::Mp4, Format::Mp3];

/// The longest name of a file without its extension, in characters: file systems take 255 bytes, and a character has
/// up to four.
const NAME_CHARS_MAX: usize = 60;

/// A request for a whole video that can be carried out, as far as can be told without its source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DownloadSpec {
    /// Where the source is.
    #[serde(flatten)]
    pub location: Location,
    /// What to deliver: MP4 or MP3.
    pub format: Format,
    /// The largest picture to deliver; without meaning for MP3.
    pub quality: Quality,
    /// Whether it is kept in the history, with a share page.
    pub save_to_library: bool,
    /// The sound that was asked for, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<AudioWish>,
}

impl DownloadSpec {
    /// Checks what a request says. `format` and `quality` are the request's words; MP4 at 1080p is the default.
    ///
    /// # Errors
    /// [`Refusal::BadRequest`].
    pub fn new(
        url: &str,
        format: Option<&str>,
        quality: Option<&str>,
        save_to_library: bool,
    ) -> Result<Self, Refusal> {
        Self::of(Location::named(Some(url), None)?, format, quality, save_to_library)
    }

    /// As [`DownloadSpec::new`], of a source that may be an upload.
    ///
    /// # Errors
    /// [`Refusal::BadRequest`].
    pub fn of(
        location: Location,
        format: Option<&str>,
        quality: Option<&str>,
        save_to_library: bool,
    ) -> Result<Self, Refusal> {
        let format = match format {
            None => Format::Mp4,
            Some(word) => Format::parse(word)
                .filter(|format| FORMATS.contains(format))
                .ok_or_else(|| bad(format!("`format` must be mp4 or mp3, not {:?}", clipped(word))))?,
        };
        let quality = match quality {
            None => Quality::P1080,
            Some(word) => Quality::parse(word).ok_or_else(|| {
                bad(format!("`quality` must be 720p, 1080p or 4k (or medium, high), not {:?}", clipped(word)))
            })?,
        };
        Ok(Self { location, format, quality, save_to_library, audio: None })
    }

    /// The same with the sound that a request names.
    #[must_use]
    pub fn with_audio(self, audio: Option<AudioWish>) -> Self {
        Self { audio, ..self }
    }

    /// Checks the request against its source. It may have any length.
    ///
    /// # Errors
    /// [`Refusal::Source`] for a source that lacks what the format needs, [`Refusal::BadRequest`] for a sound that is not
    /// there.
    pub fn check_source(&self, source: &SourceInfo) -> Result<(), Refusal> {
        if self.format.has_picture() && source.picture.is_none() {
            return Err(Refusal::Source("the source has no video; ask for mp3".to_owned()));
        }
        if !self.format.has_picture() && !source.has_audio {
            return Err(Refusal::Source("the source has no audio; ask for mp4".to_owned()));
        }
        tracks::must_offer(source, self.audio.as_ref())?;
        Ok(())
    }

    /// The picture that will be delivered from this source: its own, unless that is larger than asked for.
    #[must_use]
    pub fn delivered_picture(&self, source: &SourceInfo) -> Option<PictureSize> {
        let picture = source.picture.filter(|_| self.format.has_picture())?;
        Some(if picture.fits(self.quality) { picture } else { picture.delivered(self.quality) })
    }

    /// What it costs when `picture` is delivered: 4K counts only where it is truly delivered.
    #[must_use]
    pub fn price(&self, book: &PriceBook, picture: Option<PictureSize>) -> Amount {
        book.download(self.format == Format::Mp4 && picture.is_some_and(PictureSize::is_4k))
    }

    /// The name of the delivered file: the source's title as file systems take it, for example `Big Buck Bunny.mp4`.
    #[must_use]
    pub fn file_name(&self, source: &SourceInfo) -> String {
        let plain = |c: char| !c.is_control() && !r#"/\:*?"<>|"#.contains(c) && !reorders(c);
        let spelled: String = source.title.chars().map(|c| if plain(c) { c } else { ' ' }).collect();
        let words: Vec<&str> = spelled.split_whitespace().collect();
        let name: String = words.join(" ").chars().take(NAME_CHARS_MAX).collect();
        let name = name.trim_matches(|c: char| c == '.' || c == ' ');
        format!("{}.{}", if name.is_empty() { "video" } else { name }, self.format.extension())
    }
}

/// Characters that turn the order of those around them, so that `exe.mp4` may look like another kind of file
/// (Unicode Standard Annex 9, 2.1 to 2.6).
const fn reorders(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::MediaTime;

    fn spec(format: Option<&str>, quality: Option<&str>) -> Result<DownloadSpec, Refusal> {
        DownloadSpec::new("https://example.com/a.mp4", format, quality, false)
    }

    fn source(title: &str, picture: Option<(u32, u32)>, has_audio: bool) -> SourceInfo {
        let picture = picture.map(|(width, height)| PictureSize { width, height });
        let (title, duration) = (title.to_owned(), MediaTime(40_000_000_000));
        SourceInfo { title, duration, picture, has_audio, ..SourceInfo::default() }
    }

    #[test]
    fn takes_mp4_and_mp3_in_every_quality() {
        let plain = spec(None, None).unwrap();
        assert_eq!((plain.format, plain.quality), (Format::Mp4, Quality::P1080));
        assert_eq!(spec(Some("mp3"), Some("4k")).unwrap().format, Format::Mp3);
        for (format, quality) in
            [(Some("gif"), None), (Some("avi"), None), (Some(""), None), (None, Some("8k"))]
        {
            assert!(matches!(spec(format, quality), Err(Refusal::BadRequest(_))), "{format:?} {quality:?}");
        }
    }

    #[test]
    fn a_source_of_any_length_with_the_right_tracks() {
        let (mp4, mp3) = (spec(None, None).unwrap(), spec(Some("mp3"), None).unwrap());
        assert_eq!(mp4.check_source(&source("", Some((640, 360)), false)), Ok(()));
        assert_eq!(mp3.check_source(&source("", None, true)), Ok(()));
        assert!(mp4.check_source(&source("", None, true)).is_err());
        assert!(mp3.check_source(&source("", Some((640, 360)), false)).is_err());
    }

    #[test]
    fn the_price_follows_what_is_delivered() {
        let book = PriceBook::current().unwrap();
        let price = |quality: &str, format: &str, size| {
            let spec = spec(Some(format), Some(quality)).unwrap();
            spec.price(book, spec.delivered_picture(&source("", Some(size), true)))
        };
        assert_eq!(price("4k", "mp4", (3840, 2160)), Amount::cents(10));
        assert_eq!(price("1080p", "mp4", (3840, 2160)), Amount::cents(5));
        assert_eq!(price("4k", "mp4", (1920, 1080)), Amount::cents(5));
        assert_eq!(price("4k", "mp3", (3840, 2160)), Amount::cents(5));
    }

    #[test]
    fn a_picture_that_fits_stays_as_it_is() {
        let spec = spec(None, None).unwrap();
        let delivered = |size| spec.delivered_picture(&source("", Some(size), true));
        assert_eq!(delivered((427, 241)), Some(PictureSize { width: 427, height: 241 }));
        assert_eq!(delivered((3840, 2160)), Some(PictureSize { width: 1920, height: 1080 }));
    }

    #[test]
    fn titles_become_file_names() {
        let spec = spec(None, None).unwrap();
        for (title, name) in [
            ("Big Buck Bunny", "Big Buck Bunny.mp4"),
            ("AC/DC: \"Live\"\r\nX-Evil: 1", "AC DC Live X-Evil 1.mp4"),
            ("../../etc/passwd", "etc passwd.mp4"),
            ("Rock 'n' Röll 🎸", "Rock 'n' Röll 🎸.mp4"),
            ("\u{202e}3pm.exe", "3pm.exe.mp4"),
            (" ... ", "video.mp4"),
            ("", "video.mp4"),
        ] {
            assert_eq!(spec.file_name(&source(title, None, true)), name, "{title:?}");
        }
        let long = "ü".repeat(300);
        assert!(spec.file_name(&source(&long, None, true)).len() <= 255);
    }
}
