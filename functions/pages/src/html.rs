//! HTML answers: the style, the policy that goes with each page, and the page for a clip that is not there.

use std::sync::LazyLock;

use askama::Template;
use base64::{Engine, prelude::BASE64_STANDARD};
use runtime::{ApiError, ApiResponse, App, StatusCode};
use sha2::{Digest, Sha256};
use url::Url;

use crate::shown::Shown;

/// The style of all pages. It stands in each of them, so that none waits for it.
pub(crate) const STYLE: &str = include_str!("../templates/share.css");

/// The style's hash, by which the policy allows it and no other (CSP Level 3, section 2.3.1).
static STYLE_HASH: LazyLock<String> = LazyLock::new(|| BASE64_STANDARD.encode(Sha256::digest(STYLE)));

/// The key of an object that there never is.
const NO_CLIP: &str = "clips/none";
const NO_CLIP_SECONDS: u64 = 1;

/// Who may show a page in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framed {
    /// Nobody.
    Never,
    /// Any page.
    Anywhere,
}

#[derive(Template)]
#[template(path = "gone.html")]
struct Gone {
    style: &'static str,
}

/// The page for a clip that has expired, was deleted or never was.
pub(crate) fn gone(framed: Framed) -> Result<ApiResponse, ApiError> {
    answer(StatusCode::NOT_FOUND, &Gone { style: STYLE }, None, framed)
}

/// A page; it may show media of the clip that it `shows`.
pub(crate) fn answer(
    status: StatusCode,
    page: &impl Template,
    shows: Option<&Shown>,
    framed: Framed,
) -> Result<ApiResponse, ApiError> {
    let text = page.render().map_err(|problem| ApiError::internal(problem.to_string()))?;
    let answer = ApiResponse::new(status, "text/html; charset=utf-8", text.into_bytes())
        .with_header("content-security-policy", &policy(shows, framed)?)
        .with_header("referrer-policy", "no-referrer")
        .with_header("x-content-type-options", "nosniff");
    Ok(match framed {
        Framed::Never => answer.with_header("cross-origin-opener-policy", "same-origin"),
        Framed::Anywhere => answer,
    })
}

/// A page with a script of its own that talks to the API. It may show any picture and play any video that somebody names,
/// and send files to the bucket; all else comes from here.
pub(crate) async fn app(app: &App, page: &impl Template) -> Result<ApiResponse, ApiError> {
    let text = page.render().map_err(|problem| ApiError::internal(problem.to_string()))?;
    // A link tells where the bucket is; nobody follows this one.
    let bucket = origin(&app.objects()?.link_for(NO_CLIP, NO_CLIP_SECONDS).await?)?;
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {bucket}; \
         img-src 'self' data: blob: https: http:; media-src blob: https: http:; require-trusted-types-for 'script'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    Ok(ApiResponse::new(StatusCode::OK, "text/html; charset=utf-8", text.into_bytes())
        .with_header("content-security-policy", &policy)
        .with_header("cache-control", "no-cache")
        .with_header("cross-origin-opener-policy", "same-origin")
        .with_header("referrer-policy", "no-referrer")
        .with_header("x-content-type-options", "nosniff"))
}

/// What a page may load and who may frame it. Media come from the bucket alone, whose origin its links tell.
fn policy(shows: Option<&Shown>, framed: Framed) -> Result<String, ApiError> {
    let style = STYLE_HASH.as_str();
    let ancestors = match framed {
        Framed::Never => "'none'",
        Framed::Anywhere => "*",
    };
    let media = match shows {
        Some(shown) => {
            let bucket = origin(&shown.links.stream)?;
            format!(
                "script-src 'self'; connect-src 'self' {bucket}; img-src {bucket}; media-src {bucket}; \
                 require-trusted-types-for 'script'; "
            )
        }
        None => String::new(),
    };
    Ok(format!(
        "default-src 'none'; {media}style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors {ancestors}"
    ))
}

fn origin(link: &str) -> Result<String, ApiError> {
    let url = Url::parse(link).map_err(|problem| ApiError::internal(problem.to_string()))?;
    Ok(url.origin().ascii_serialization())
}
