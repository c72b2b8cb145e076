//! `POST /v1/transcript`: what is said in a video, from the captions that it has.
//!
//! It is done within the request, and paid when it is done: without captions nothing is charged.

use std::sync::Arc;

use domain::{prices::PriceBook, source::Location, transcript::formatted};
use look::{CaptionsAnswer, CaptionsRequest, captions};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    at_once::{charged, earlier, must_have},
    upload,
};

/// The longest language tag, in bytes; RFC 5646 asks for 35 at least.
const LANGUAGE_BYTES_MAX: usize = 35;

/// Which video to read.
#[derive(Debug, Deserialize, ToSchema)]
pub struct TranscriptRequest {
    /// Address of the video.
    #[schema(example = "https://youtube.com/watch?v=dQw4w9WgXcQ")]
    pub url: Option<String>,
    /// In place of `url`: an upload of this account that is ready.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub file_id: Option<String>,
    /// The language of the captions to take, as in `en` or `pt-BR`. If left out, the spoken one.
    #[schema(example = "en")]
    pub language: Option<String>,
}

/// What is said.
#[derive(Debug, Serialize, ToSchema)]
pub struct Transcript {
    /// All of it, a line for each segment with its time before it.
    #[schema(example = "[0:00:00] Hello everyone")]
    pub text: String,
    /// The same, one by one.
    pub segments: Vec<Spoken>,
    /// Length of the video in seconds.
    #[schema(example = 3600.5)]
    pub duration: f64,
    /// What it cost, in dollars.
    #[schema(example = 0.02)]
    pub cost: f64,
}

/// Some words and when they are said.
#[derive(Debug, Serialize, ToSchema)]
pub struct Spoken {
    /// Seconds from the beginning.
    #[schema(example = 0.0)]
    pub start: f64,
    /// Seconds from the beginning.
    #[schema(example = 3.5)]
    pub end: f64,
    /// The words.
    #[schema(example = "Hello everyone")]
    pub text: String,
}

/// Answers `POST /v1/transcript`.
///
/// # Errors
/// 400 for a bad request, 401 without a key, 402 without money, 404 for a video without captions or an upload that is
/// not the account's, 409 for one that is not ready, 422 for a source that cannot be read or a reused
/// `Idempotency-Key`. Nothing is spent then.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let ask: TranscriptRequest = request.json()?;
    let location = Location::named(ask.url.as_deref(), ask.file_id.as_deref())?;
    let language = ask.language.map(language).transpose()?;
    let intention = request.intention()?;
    if let Some(answer) = earlier(&app, &caller, intention.as_ref()).await? {
        return Ok(answer);
    }
    let price =
        PriceBook::current().ok_or_else(|| ApiError::internal("there is no price book"))?.transcript();
    must_have(&app, &caller, price).await?;
    match &location {
        Location::Url(url) => app.config().sources()?.check(url)?,
        Location::Upload(id) => upload::ready(&app, &caller.account, id).await.map(drop)?,
    }

    let request = CaptionsRequest { location, account: caller.account.clone(), language };
    let transcript = match captions(&app, &request).await? {
        CaptionsAnswer::Captions { segments, duration } => Transcript {
            text: formatted(segments.iter().map(|segment| (segment.start, segment.text.as_str()))),
            duration: duration.seconds(),
            segments: segments
                .into_iter()
                .map(|said| Spoken { start: said.start.seconds(), end: said.end.seconds(), text: said.text })
                .collect(),
            cost: price.dollars(),
        },
        CaptionsAnswer::None(why) => return Err(ApiError::no_transcript(why)),
        CaptionsAnswer::Failure(failure) => return Err(failure.into()),
    };
    let response = ApiResponse::ok(&transcript);
    charged(&app, &caller, intention.as_ref(), ("transcript", price), response).await
}

/// A tag as RFC 5646 forms them: letters and digits, with hyphens between.
fn language(tag: String) -> Result<String, ApiError> {
    let fits = (1..=LANGUAGE_BYTES_MAX).contains(&tag.len());
    let part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if fits && tag.split('-').all(part) {
        return Ok(tag);
    }
    Err(ApiError::bad_request("`language` must be a language tag like `en` or `pt-BR`"))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Read what is said in a video, from its captions")
        .takes::<TranscriptRequest>()
        .answers::<Transcript>()
        .problems(&[400, 402, 404, 413, 415, 422, 503])
        .spends()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn language_tags() {
        for tag in ["en", "pt-BR", "zh-Hans-CN", "es-419"] {
            assert!(language(tag.to_owned()).is_ok(), "{tag}");
        }
        for tag in ["", "e n", "en-", "-", "..", "\u{e9}", &"a".repeat(36)] {
            assert!(language(tag.to_owned()).is_err(), "{tag}");
        }
    }
}
