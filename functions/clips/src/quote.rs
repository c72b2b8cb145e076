//! `POST /v1/clip/quote`: what a clip, a download or moments would cost. Free: nothing is spent, held, started or kept.

use std::{borrow::Cow, sync::Arc};

use domain::{money::WalletKind, quality::PictureSize};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};
use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Ref, RefOr,
        schema::{AnyOfBuilder, Schema},
    },
};

use crate::{
    accept::{Ask, price},
    create::ClipRequest,
    download::DownloadRequest,
    moments::MomentsRequest,
};

/// The body of `POST /v1/clip`; without `start` and `end`, of `POST /v1/download`; with a `query`, of
/// `POST /v1/clip/auto`, or, with `"kind": "analyze"`, of `POST /v1/clip/analyze`.
///
/// Only describes the body, which is read as one of them.
#[derive(Debug)]
pub struct QuoteRequest;

impl PartialSchema for QuoteRequest {
    fn schema() -> RefOr<Schema> {
        let reference = |name: Cow<'static, str>| Ref::from_schema_name(name);
        AnyOfBuilder::new()
            .description(Some(
                "A clip; without `start` and `end`, a whole video; with a `query`, clips of what is found, or, with \
                 `\"kind\": \"analyze\"`, only its times.",
            ))
            .item(reference(ClipRequest::name()))
            .item(reference(DownloadRequest::name()))
            .item(reference(MomentsRequest::name()))
            .into()
    }
}

impl ToSchema for QuoteRequest {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((ClipRequest::name().into_owned(), ClipRequest::schema()));
        schemas.push((DownloadRequest::name().into_owned(), DownloadRequest::schema()));
        schemas.push((MomentsRequest::name().into_owned(), MomentsRequest::schema()));
    }
}

/// The price of a request.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuoteView {
    /// `clip`, `download`, `auto` or `analyze`.
    #[schema(example = "clip")]
    pub kind: &'static str,
    /// Dollars that the job reserves; it is charged no more, but for a tenth for each further clip of what is found.
    #[schema(example = 0.1)]
    pub cost: f64,
    /// `usd`.
    #[schema(example = "usd")]
    pub currency: &'static str,
    /// The edition of the price list.
    #[schema(example = "fastclip-2026-11")]
    pub price_book: String,
    /// `mp4`, `mp3`, `gif`, `m4a`, `wav` or `flac`; null where no file is made.
    #[schema(example = "mp4")]
    pub format: Option<&'static str>,
    /// The quality that will be delivered, which a smaller source bounds; null for sound.
    #[schema(example = "1080p")]
    pub quality: Option<String>,
    /// Length of what was asked for, in seconds.
    #[schema(example = 60.0)]
    pub duration: f64,
    /// Dollars that can be spent.
    #[schema(example = 4.9)]
    pub balance: f64,
    /// Whether the balance covers the cost.
    pub sufficient: bool,
}

/// Only a clip has a span, and only moments have a query.
#[derive(Deserialize)]
struct Kind {
    #[serde(default, deserialize_with = "present")]
    start: bool,
    #[serde(default, deserialize_with = "present")]
    end: bool,
    #[serde(default, deserialize_with = "present")]
    query: bool,
    #[serde(default)]
    kind: Option<Value>,
}

/// Accepts any value: the request's own type says what is wrong with it.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// Answers `POST /v1/clip/quote`.
///
/// # Errors
/// As `POST /v1/clip` and `POST /v1/download`, except for the balance, which the answer tells, and the limits of jobs
/// and of spending, which do not apply to quotes.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let ask = read(&request)?;
    let (ask, _, quote) = price(&app, &caller.account, ask).await?;
    let wallet = app.table()?.wallet(&caller.account, WalletKind::Usd).await?;
    Ok(ApiResponse::ok(&QuoteView {
        kind: ask.spec.kind(),
        cost: quote.cost.dollars(),
        currency: "usd",
        price_book: quote.price_book,
        format: (!ask.spec.is_analysis()).then(|| ask.spec.format().extension()),
        quality: quote.picture.map(PictureSize::label),
        duration: quote.duration.seconds(),
        balance: wallet.available.dollars(),
        sufficient: wallet.available >= quote.cost,
    }))
}

fn read(request: &ApiRequest) -> Result<Ask, ApiError> {
    match request.json::<Kind>() {
        Ok(Kind { query: true, kind, .. }) => {
            let moments = request.json::<MomentsRequest>()?;
            if kind.is_some_and(|kind| kind == "analyze") { moments.analyze() } else { moments.auto() }
        }
        Ok(Kind { start: false, end: false, .. }) => request.json::<DownloadRequest>()?.ask(),
        // Also for a body that does not read: its error is that of a clip.
        _ => request.json::<ClipRequest>()?.ask(),
    }
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Ask what a clip, a whole video or moments would cost")
        .takes::<QuoteRequest>()
        .answers::<QuoteView>()
        .problems(&[400, 402, 404, 409, 413, 415, 422])
}
