//! Where a source is, and what a probe tells about it.

use serde::{Deserialize, Serialize};

use crate::{
    clip::{Refusal, bad, source_url},
    ids::FileId,
    quality::PictureSize,
    time::MediaTime,
    tracks::{AudioTrack, TRACKS_MAX},
};

/// Where a source is. In a record it is one field, named `url` or `file_id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Location {
    /// Behind an absolute http or https URL.
    #[serde(rename = "url")]
    Url(String),
    /// Among the uploads of the account that asks.
    #[serde(rename = "file_id")]
    Upload(FileId),
}

impl Location {
    /// The location that a request names, by the one or the other field.
    ///
    /// # Errors
    /// [`Refusal::BadRequest`] if there are both or none, or if it cannot be one.
    pub fn named(url: Option<&str>, file_id: Option<&str>) -> Result<Self, Refusal> {
        match (url, file_id) {
            (Some(url), None) => source_url(url).map(Self::Url),
            (None, Some(id)) => FileId::parse(id)
                .map(Self::Upload)
                .ok_or_else(|| bad("`file_id` must be one that `POST /v1/upload/request` returned")),
            (Some(_), Some(_)) => Err(bad("send either `url` or `file_id`, not both")),
            (None, None) => Err(bad("name the source: send `url`, or the `file_id` of an upload")),
        }
    }
}

/// A source as a probe saw it: enough to validate a request, to price it and to show it to a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceInfo {
    /// A title to show: the file's own, or its name.
    pub title: String,
    /// Length of the presentation, from its zero to the end of its longest track.
    pub duration: MediaTime,
    /// The picture as it is shown, upright and with square pixels; `None` for a source without video.
    pub picture: Option<PictureSize>,
    /// Whether there is an audio track.
    pub has_audio: bool,
    /// How long a picture is shown usually, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<MediaTime>,
    /// The sounds to choose among, where they are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tracks: Vec<AudioTrack>,
    /// Address of a still picture, where the source's site has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<String>,
    /// Address of the site's own player, for embedding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embed_url: Option<String>,
    /// Whether its address alone is something that any current browser plays.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plays: bool,
    /// Whether the URL is that of a web page, which says where the media is, and not that of the media itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_page: bool,
}

/// The longest title that is kept, in characters.
const TITLE_CHARS_MAX: usize = 300;
/// The longest address that is kept of a source's picture or player, in bytes.
const ADDRESS_BYTES_MAX: usize = 2048;

impl SourceInfo {
    /// The same, with a bound on what a stranger's file or page may have filled it with, and with no address that
    /// would be more than a link (`javascript:` and kin).
    #[must_use]
    pub fn bounded(self) -> Self {
        let title = self.title.chars().filter(|c| !c.is_control()).take(TITLE_CHARS_MAX).collect();
        let address = |address: &String| {
            let parsed = url::Url::parse(address).ok();
            let web = parsed.is_some_and(|url| matches!(url.scheme(), "http" | "https"));
            web && address.len() <= ADDRESS_BYTES_MAX
        };
        let (thumbnail, embed_url) = (self.thumbnail.filter(address), self.embed_url.filter(address));
        let tracks = self.tracks.into_iter().take(TRACKS_MAX).map(AudioTrack::bounded).collect();
        Self { title, thumbnail, embed_url, tracks, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_words_are_bounded() {
        let address = |text: &str| Some(text.to_owned());
        let info = SourceInfo {
            title: "A\u{0}\r\nB".to_owned() + &"ü".repeat(9000),
            thumbnail: address("javascript:alert(1)"),
            embed_url: address("https://example.com/embed/1"),
            ..SourceInfo::default()
        };
        let bounded = info.clone().bounded();
        assert!(bounded.title.starts_with("ABü"), "{}", bounded.title);
        assert_eq!(bounded.title.chars().count(), TITLE_CHARS_MAX);
        assert_eq!((bounded.thumbnail, &bounded.embed_url), (None, &info.embed_url));
        for refused in ["data:image/png;base64,AAAA", "//example.com/a.jpg", "", "file:///etc/passwd"] {
            let info = SourceInfo { thumbnail: address(refused), ..SourceInfo::default() };
            assert_eq!(info.bounded().thumbnail, None, "{refused}");
        }
        let long = address(&format!("https://example.com/{}", "a".repeat(ADDRESS_BYTES_MAX)));
        assert_eq!(SourceInfo { embed_url: long, ..info }.bounded().embed_url, None);
    }

    #[test]
    fn a_request_names_one_source() {
        let url = Location::Url("https://example.com/a".to_owned());
        assert_eq!(Location::named(Some("https://example.com/a"), None), Ok(url));
        let id = FileId::from_random([7; 16]);
        assert_eq!(Location::named(None, Some(id.as_str())), Ok(Location::Upload(id)));
        for (url, file_id) in [
            (None, None),
            (Some("https://example.com/a"), Some("a1b2c3d4e5f6g7h8")),
            (Some("ftp://example.com/a"), None),
            (None, Some("../../other/a1b2c3d4")),
            (None, Some("")),
        ] {
            assert!(
                matches!(Location::named(url, file_id), Err(Refusal::BadRequest(_))),
                "{url:?} {file_id:?}"
            );
        }
    }
}
