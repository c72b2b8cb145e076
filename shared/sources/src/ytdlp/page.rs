//! Reading yt-dlp's description of a page (`--dump-single-json`).

use domain::{quality::PictureSize, time::MediaTime};
use serde_json::Value;
use url::Url;

use crate::{Extras, SourceError};

/// How many renditions of one video are looked at; YouTube has up to some 150.
const MEDIA_MAX: usize = 1000;
/// The longest title, in characters.
const TITLE_CHARS_MAX: usize = 200;

/// A page with a video.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// What it is called.
    pub title: String,
    /// Length, where the page tells it: often in whole seconds.
    pub duration: Option<MediaTime>,
    /// Address of a still picture.
    pub thumbnail: Option<String>,
    /// Address of the site's own player, for embedding.
    pub embed_url: Option<String>,
    /// The language that is spoken, as a BCP 47 tag.
    pub language: Option<String>,
    /// The renditions that can be fetched.
    pub media: Vec<Media>,
    /// The captions.
    pub captions: Vec<Caption>,
}

/// Where something lies, and what its server wants to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// An http or https URL.
    pub url: String,
    /// What its server wants to hear with each request.
    pub extras: Extras,
}

impl Address {
    /// One whose server wants to hear nothing.
    #[must_use]
    pub fn plain(url: String) -> Self {
        Self { url, extras: Extras::default() }
    }
}

/// How a rendition is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// As one file.
    File,
    /// By an HLS playlist (RFC 8216).
    Hls,
    /// By a DASH manifest (ISO/IEC 23009-1).
    Dash,
}

/// One rendition of a video.
#[derive(Clone, Debug, PartialEq)]
pub struct Media {
    /// Where it is.
    pub address: Address,
    /// How it is delivered.
    pub delivery: Delivery,
    /// Whether it has a picture; a page that does not tell is believed to have both.
    pub has_video: bool,
    /// Whether it has sound.
    pub has_audio: bool,
    /// The picture's size, where the page tells it.
    pub picture: Option<PictureSize>,
    /// RFC 6381 names of its codecs, lower case; empty where unknown.
    pub video_codec: String,
    /// The sound's.
    pub audio_codec: String,
    /// Whether the picture has a high dynamic range.
    pub is_hdr: bool,
    /// Frames a second.
    pub fps: f64,
    /// Bits a second, in thousands.
    pub bitrate: f64,
    /// How much the page wants its language to be taken; the original sound has most.
    pub language_preference: f64,
}

/// Captions in one language and one format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caption {
    /// BCP 47 tag, as the site spells it.
    pub language: String,
    /// `json3`, `vtt`, `srt` or another.
    pub format: String,
    /// Whether a machine wrote them.
    pub is_automatic: bool,
    /// Where they are.
    pub address: Address,
    /// Whether the address is that of an HLS playlist of segments.
    pub is_playlist: bool,
}

impl Page {
    /// Reads yt-dlp's answer.
    ///
    /// # Errors
    /// [`SourceError`] for a list of videos, for live video, and for one that cannot be had.
    pub fn parse(answer: &str) -> Result<Self, SourceError> {
        let root: Value = serde_json::from_str(answer)
            .map_err(|_| SourceError::Page("this page's video could not be understood".to_owned()))?;
        let video = single(&root)?;
        must_have_ended(video)?;
        let formats = video.get("formats").and_then(Value::as_array);
        // A page with one address has no list of them.
        let formats = formats.map_or_else(|| vec![video], |list| list.iter().take(MEDIA_MAX).collect());
        let media: Vec<Media> = formats.iter().filter_map(|format| read_media(format)).collect();
        if media.is_empty() && formats.iter().any(|format| is_protected(format)) {
            let why = "this video is protected against copying (DRM) and cannot be read";
            return Err(SourceError::Page(why.to_owned()));
        }
        Ok(Self {
            title: title(video),
            duration: number(video, "duration").and_then(|seconds| MediaTime::from_seconds(seconds).ok()),
            thumbnail: text(video, "thumbnail").and_then(web),
            embed_url: embed(video),
            language: text(video, "language").map(str::to_owned),
            media,
            captions: captions(video),
        })
    }

    /// The largest picture of all renditions, by the short side.
    #[must_use]
    pub fn largest_picture(&self) -> Option<PictureSize> {
        self.media.iter().filter_map(|media| media.picture).max_by_key(|size| (size.max_height(), size.width))
    }
}

/// The one video of an answer. A page of somebody's own may show several: then it is the first. A site's list of
/// videos is none.
fn single(root: &Value) -> Result<&Value, SourceError> {
    if !matches!(text(root, "_type"), Some("playlist" | "multi_video")) {
        return Ok(root);
    }
    let is_own = text(root, "extractor_key").is_some_and(|key| matches!(key, "Generic" | "HTML5MediaEmbed"));
    let first =
        root.get("entries").and_then(|entries| entries.as_array()?.iter().find(|entry| entry.is_object()));
    match first {
        Some(first) if is_own => Ok(first),
        Some(_) => {
            Err(SourceError::Page("this is a list of videos; give the address of one of them".to_owned()))
        }
        None => Err(SourceError::Page("there is no video on this page".to_owned())),
    }
}

fn must_have_ended(video: &Value) -> Result<(), SourceError> {
    let is_live = video.get("is_live").and_then(Value::as_bool) == Some(true);
    let why = match text(video, "live_status") {
        Some("is_upcoming") => "this video has not begun yet; try again when it is over",
        Some("post_live") => "this live video has just ended and is not ready yet; try again in some hours",
        Some("is_live") => "this video is live; it can be cut when it is over",
        _ if is_live => "this video is live; it can be cut when it is over",
        _ => return Ok(()),
    };
    Err(SourceError::Page(why.to_owned()))
}

fn is_protected(format: &Value) -> bool {
    match format.get("has_drm") {
        Some(Value::Bool(protected)) => *protected,
        Some(Value::String(_)) => true,
        _ => false,
    }
}

fn read_media(format: &Value) -> Option<Media> {
    if is_protected(format) {
        return None;
    }
    let protocol = text(format, "protocol").unwrap_or_default();
    let (delivery, place) = match protocol {
        // Of a playlist of playlists the whole: a variant's sound may lie in another one.
        "m3u8" | "m3u8_native" => {
            (Delivery::Hls, text(format, "manifest_url").or_else(|| text(format, "url")))
        }
        "http_dash_segments" | "http_dash_segments_generator" => {
            (Delivery::Dash, text(format, "manifest_url"))
        }
        "" | "http" | "https" => (Delivery::File, text(format, "url")),
        _ => return None,
    };
    let url = web(place?)?;
    // `none` says that there is none; nothing says nothing.
    let (video, audio) = (text(format, "vcodec"), text(format, "acodec"));
    let (has_video, has_audio) = (video != Some("none"), audio != Some("none"));
    if !has_video && !has_audio {
        return None;
    }
    let side = |name| number(format, name).filter(|side| (1.0..=65_535.0).contains(side));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked just now
    let picture = side("width")
        .zip(side("height"))
        .map(|(width, height)| PictureSize { width: width as u32, height: height as u32 });
    let codec =
        |name: Option<&str>| name.filter(|name| *name != "none").unwrap_or_default().to_ascii_lowercase();
    Some(Media {
        address: Address { url, extras: extras(format) },
        delivery,
        has_video,
        has_audio,
        picture: picture.filter(|_| has_video),
        video_codec: codec(video),
        audio_codec: codec(audio),
        is_hdr: text(format, "dynamic_range").is_some_and(|range| range != "SDR"),
        fps: number(format, "fps").unwrap_or_default(),
        bitrate: number(format, "tbr").or_else(|| number(format, "abr")).unwrap_or_default(),
        language_preference: number(format, "language_preference").unwrap_or(-1.0),
    })
}

/// The headers that yt-dlp would send for the address that `described` gives, and the cookies that it was given for it.
/// These are for `url`, whatever manifest is fetched in its place.
fn extras(described: &Value) -> Extras {
    let Some(home) = text(described, "url").and_then(|url| Url::parse(url).ok()) else {
        return Extras::default();
    };
    let named = described.get("http_headers").and_then(Value::as_object).into_iter().flatten();
    let named = named.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    Extras::given_for(&home, named, text(described, "cookies").unwrap_or_default())
}

fn captions(video: &Value) -> Vec<Caption> {
    let of = |field: &str, is_automatic: bool| {
        let languages = video.get(field).and_then(Value::as_object).into_iter().flatten();
        let all = languages.flat_map(|(language, list)| {
            list.as_array().into_iter().flatten().map(move |caption| (language.clone(), caption))
        });
        all.filter_map(|(language, caption)| {
            let protocol = text(caption, "protocol").unwrap_or_default();
            Some(Caption {
                language,
                format: text(caption, "ext")?.to_owned(),
                is_automatic,
                address: Address { url: web(text(caption, "url")?)?, extras: extras(caption) },
                is_playlist: protocol.starts_with("m3u8"),
            })
        })
        .take(10 * MEDIA_MAX)
        .collect::<Vec<_>>()
    };
    [of("subtitles", false), of("automatic_captions", true)].concat()
}

/// Only YouTube is known to have a player for any page of its own.
fn embed(video: &Value) -> Option<String> {
    let is_youtube = text(video, "extractor_key") == Some("Youtube");
    let id = text(video, "id").filter(|id| is_youtube && id.len() == 11)?;
    let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    plain.then(|| format!("https://www.youtube.com/embed/{id}"))
}

/// Pages of a single video get its number put behind their title by yt-dlp; `webpage` titles are shown as they are.
fn title(video: &Value) -> String {
    let title = text(video, "title").unwrap_or_default();
    let is_numbered = text(video, "extractor_key") == Some("HTML5MediaEmbed");
    let title = if is_numbered { title.strip_suffix(" (1)").unwrap_or(title) } else { title };
    title.chars().filter(|c| !c.is_control()).take(TITLE_CHARS_MAX).collect::<String>().trim().to_owned()
}

fn web(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.host_str().is_some()).then(|| url.into())
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

fn number(value: &Value, name: &str) -> Option<f64> {
    value.get(name)?.as_f64().filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_with_one_video_element() {
        // As yt-dlp 2026.10 answers for `<video src="/v.mp4">`.
        let page = Page::parse(
            &json!({
                "_type": "video", "id": "v-1", "title": "My page (1)", "extractor_key": "HTML5MediaEmbed",
                "duration": null, "thumbnail": null, "subtitles": { "en": [{ "url": "http://a.org/c.vtt", "ext": "vtt" }] },
                "formats": [{
                    "url": "http://a.org/v.mp4", "vcodec": null, "ext": "mp4", "protocol": "http",
                    "http_headers": { "User-Agent": "Mozilla/5.0", "Referer": "http://a.org/v.html", "Range": "bytes=0-1", "X-Bad": "a\r\nb" },
                    "cookies": "session=1; Domain=.a.org; Path=/; Secure; Expires=1; other=2"
                }]
            })
            .to_string(),
        )
        .unwrap();
        assert_eq!((page.title.as_str(), page.media.len(), page.embed_url.as_deref()), ("My page", 1, None));
        let media = &page.media[0];
        assert!(media.has_video && media.has_audio, "what is not known is taken for there");
        // What these are sent to is told by their own tests.
        let shown = format!("{:?}", media.address.extras);
        assert!(
            shown.contains("referer") && shown.contains("session") && !shown.contains("range"),
            "{shown}"
        );
        let shown = format!("{:?}", page.captions[0].address.extras);
        assert_eq!(shown, format!("{:?}", Extras::default()), "a video's headers are not for its captions");
        assert_eq!(page.captions[0].address.url, "http://a.org/c.vtt");
    }

    #[test]
    fn one_address_without_a_list() {
        let page = Page::parse(r#"{"title": "OG", "url": "http://a.org/v.mp4", "extractor_key": "Generic"}"#)
            .unwrap();
        assert_eq!(page.media[0].address.url, "http://a.org/v.mp4");
    }

    #[test]
    fn lists_live_and_protected_video_are_refused_with_a_reason() {
        let said =
            |value: Value| Page::parse(&value.to_string()).map_err(|error| error.to_string()).unwrap_err();
        let entry = json!({ "title": "a", "url": "http://a.org/v.mp4" });
        let list = |key: &str| json!({ "_type": "playlist", "extractor_key": key, "entries": [entry] });
        assert!(said(list("YoutubeTab")).contains("list of videos"));
        assert_eq!(Page::parse(&list("Generic").to_string()).unwrap().title, "a");
        assert!(said(json!({ "_type": "playlist", "entries": [null] })).contains("no video"));
        assert!(said(json!({ "is_live": true, "formats": [] })).contains("live"));
        assert!(said(json!({ "live_status": "is_upcoming" })).contains("not begun"));
        let drm = json!({ "formats": [{ "url": "https://a.org/x", "has_drm": true }] });
        assert!(said(drm).contains("DRM"));
    }

    #[test]
    fn nonsense_is_no_panic() {
        for answer in [
            "",
            "null",
            "[]",
            "3",
            "{",
            "{}",
            r#"{"formats": 3}"#,
            r#"{"formats": [null, 3, {}]}"#,
            r#"{"formats": [{"url": "file:///etc/passwd"}, {"url": "javascript:1"}, {"url": 7}]}"#,
            r#"{"formats": [{"url": "http://a", "width": 1e300, "height": -4, "tbr": "x", "http_headers": []}]}"#,
            r#"{"duration": -1, "subtitles": {"en": {"a": 1}}, "automatic_captions": []}"#,
        ] {
            if let Ok(page) = Page::parse(answer) {
                assert!(page.media.iter().all(|media| media.address.url.starts_with("http")), "{answer}");
                assert!(page.largest_picture().is_none(), "{answer}");
            }
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(Page::parse(&deep).is_err());
    }
}
