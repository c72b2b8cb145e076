//! `GET /`: the Studio, where anybody cuts a clip, and what to know of it.

use std::sync::Arc;

use askama::Template;
use domain::{
    account::SIGNUP_GRANTS,
    money::{Amount, WalletKind},
    prices::PriceBook,
    time::MediaTime,
};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation};
use serde_json::json;

use crate::{assets, html, shown};

#[derive(Template)]
#[template(path = "studio.html")]
struct Page {
    assets: String,
    base: String,
    /// What the script tells those who have not signed in: prices in dollars, as JSON.
    prices: String,
    rows: Vec<Row>,
    bonus: String,
}

/// A line of the table of prices.
struct Row {
    what: &'static str,
    usual: String,
    in_4k: String,
}

/// Answers `GET /`.
///
/// # Errors
/// Only internal ones.
pub async fn handle(app: Arc<App>, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let book = PriceBook::current().ok_or_else(|| ApiError::internal("there is no price book"))?;
    let bonus = SIGNUP_GRANTS.iter().find(|(wallet, _)| *wallet == WalletKind::Usd);
    let page = Page {
        assets: assets::base(),
        base: shown::base(&app, &request)?,
        prices: prices(book),
        rows: rows(book),
        bonus: bonus.map_or_else(String::new, |(_, amount)| dollars(*amount)),
    };
    html::app(&app, &page).await
}

fn prices(book: &PriceBook) -> String {
    json!({
        "clip": book.manual_clip(false).dollars(),
        "download": book.download(false).dollars(),
        "transcript": book.transcript().dollars(),
        "analyze": book.analyze(MediaTime::ZERO).dollars(),
    })
    .to_string()
}

fn rows(book: &PriceBook) -> Vec<Row> {
    let row = |what, usual: Amount, in_4k: Amount| Row { what, usual: dollars(usual), in_4k: dollars(in_4k) };
    let moments = |segments, is_4k| book.auto_clip(MediaTime::ZERO, segments, is_4k);
    let (two, one) = (moments(2, false).units(), moments(1, false).units());
    let further = Amount::new(two.saturating_sub(one));
    let analysis = book.analyze(MediaTime::ZERO);
    vec![
        row("A clip", book.manual_clip(false), book.manual_clip(true)),
        row("A whole video", book.download(false), book.download(true)),
        row(
            "A clip by its description, for each started hour of the video",
            moments(1, false),
            moments(1, true),
        ),
        row("Each further clip of the same description", further, further),
        row("Only when it is said, for each started hour", analysis, analysis),
        row("A transcript", book.transcript(), book.transcript()),
    ]
}

fn dollars(amount: Amount) -> String {
    format!("${:.2}", amount.dollars())
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("The Studio (HTML)")
}
