//! `GET /oembed`: how another site shows a shared clip (oEmbed 1.0).

use std::sync::Arc;

use askama::Template;
use domain::quality::PictureSize;
use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation};
use serde::Serialize;
use url::{Url, form_urlencoded};
use utoipa::ToSchema;

use crate::shown::{self, Kind, Shown};

/// How long an answer may be kept, in seconds: well within the life of its thumbnail's link.
const CACHE_SECONDS_MAX: i64 = 3600;
/// The largest bound that is read, in pixels.
const SIDE_MAX: u32 = 100_000;

/// An answer of the type `video`, or `rich` for sound and GIF (oEmbed 1.0, section 2.3.4).
#[derive(Debug, Serialize, ToSchema)]
pub struct Oembed {
    /// Always `1.0`.
    #[schema(example = "1.0")]
    pub version: &'static str,
    /// `video` or `rich`.
    #[serde(rename = "type")]
    #[schema(example = "video")]
    pub kind: &'static str,
    /// The clip's name.
    pub title: String,
    /// The provider's name.
    pub provider_name: &'static str,
    /// The provider's address.
    pub provider_url: String,
    /// How many seconds this response may be cached.
    pub cache_age: i64,
    /// The player, in a frame.
    pub html: String,
    /// Width of the player in pixels.
    pub width: u32,
    /// Height of the player in pixels.
    pub height: u32,
    /// Link to a still picture, if it fits the bounds; not for sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail_url: Option<String>,
    /// Its width in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail_width: Option<u32>,
    /// Its height in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail_height: Option<u32>,
}

/// The player in somebody else's page.
#[derive(Template)]
#[template(path = "frame.html")]
struct Frame<'a> {
    url: String,
    title: &'a str,
    size: PictureSize,
}

/// Answers `GET /oembed?url=…`; `maxwidth` and `maxheight` in pixels.
///
/// # Errors
/// 400 without `url` or for a bound that is not a number, 404 if `url` names no clip of ours, 501 for an unsupported
/// response format.
pub async fn handle(app: Arc<App>, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let url = request.query("url").filter(|url| !url.is_empty());
    let url =
        url.ok_or_else(|| ApiError::bad_request("`url` is missing: send the address of a clip's page"))?;
    let bounds = (bound(&request, "maxwidth")?, bound(&request, "maxheight")?);
    if request.query("format").is_some_and(|format| format != "json") {
        return Err(ApiError::not_implemented("only `json` is supported as `format`"));
    }
    let id = clip_id(&url, &shown::base(&app, &request)?).ok_or_else(|| ApiError::not_found("clip"))?;
    let shown = Shown::find(&app, &request, &id).await?.ok_or_else(|| ApiError::not_found("clip"))?;
    let answer = ApiResponse::ok(&view(&shown, bounds)?);
    Ok(answer.with_header("x-content-type-options", "nosniff"))
}

fn view(shown: &Shown, (width, height): (Option<u32>, Option<u32>)) -> Result<Oembed, ApiError> {
    let size = shown.player(width, height);
    let fits = |poster: &PictureSize| {
        poster.width <= width.unwrap_or(u32::MAX) && poster.height <= height.unwrap_or(u32::MAX)
    };
    let poster = shown.output().picture.map(PictureSize::poster).filter(fits);
    let poster = shown.links.poster.clone().zip(poster);
    Ok(Oembed {
        version: "1.0",
        kind: if shown.kind() == Kind::Video { "video" } else { "rich" },
        title: shown.title().to_owned(),
        provider_name: "Clipwright",
        provider_url: shown.base().to_owned(),
        cache_age: shown.seconds_left().unwrap_or(CACHE_SECONDS_MAX).min(CACHE_SECONDS_MAX),
        html: frame(shown, size)?,
        width: size.width,
        height: size.height,
        thumbnail_width: poster.as_ref().map(|(_, size)| size.width),
        thumbnail_height: poster.as_ref().map(|(_, size)| size.height),
        thumbnail_url: poster.map(|(url, _)| url),
    })
}

/// The HTML that shows the clip in another page.
pub(crate) fn frame(shown: &Shown, size: PictureSize) -> Result<String, ApiError> {
    let frame = Frame { url: shown.embed_url(), title: shown.title(), size };
    frame.render().map_err(|problem| ApiError::internal(problem.to_string()))
}

/// Where a clip's page sends who asks how to embed it.
pub(crate) fn url_for(shown: &Shown) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("url", &shown.page_url())
        .append_pair("format", "json")
        .finish();
    format!("{}/oembed?{query}", shown.base())
}

fn bound(request: &ApiRequest, name: &str) -> Result<Option<u32>, ApiError> {
    let Some(text) = request.query(name) else { return Ok(None) };
    let bound = text.parse().ok().filter(|bound| (1..=SIDE_MAX).contains(bound));
    bound.map(Some).ok_or_else(|| {
        ApiError::bad_request(format!("`{name}` must be a whole number of pixels from 1 to {SIDE_MAX}"))
    })
}

/// The clip whose page or player `url` is, below our own address `base`.
fn clip_id(url: &str, base: &str) -> Option<String> {
    let (url, base) = (Url::parse(url).ok()?, Url::parse(base).ok()?);
    // A link without the s leads to the same page.
    let ours = url.host() == base.host() && (url.port() == base.port());
    let path = url.path().strip_prefix(base.path().trim_end_matches('/')).filter(|_| ours)?;
    let id = path.strip_prefix("/c/").or_else(|| path.strip_prefix("/embed/"))?;
    Some(id.strip_suffix('/').unwrap_or(id).to_owned())
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("How to embed a shared clip (oEmbed 1.0)")
        .answers::<Oembed>()
        .query("url", "string", "Address of a clip's page or player")
        .query("maxwidth", "integer", "The player's largest width in pixels")
        .query("maxheight", "integer", "The player's largest height in pixels")
        .query("format", "string", "Only `json` is supported")
        .problems(&[400, 404, 501])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_name_clips() {
        let base = "https://clips.example.com";
        for url in [
            "https://clips.example.com/c/abc",
            "http://clips.example.com/c/abc/",
            "https://CLIPS.example.com/embed/abc?t=1#x",
        ] {
            assert_eq!(clip_id(url, base).as_deref(), Some("abc"), "{url}");
        }
        for url in [
            "https://example.com/c/abc",
            "https://clips.example.com:8443/c/abc",
            "https://clips.example.com.evil.example/c/abc",
            "https://clips.example.com@evil.example/c/abc",
            "https://clips.example.com/d/abc",
            "clips.example.com/c/abc",
            "javascript:alert(1)",
            "",
        ] {
            assert_eq!(clip_id(url, base), None, "{url}");
        }
        assert_eq!(clip_id("https://x.example/app/c/abc", "https://x.example/app").as_deref(), Some("abc"));
    }
}
