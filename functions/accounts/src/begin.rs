//! The first half of signing in, which is the same for an address that is known and one that is not: nothing here
//! even looks whether there is an account. The account is opened when the link comes back.

use std::sync::Arc;

use domain::{
    email::EmailAddress,
    mail::Mail,
    rate::{self, Decision},
    sign_in::{BrowserSecret, MAILS, SIGN_IN_LIFETIME_MS, SignInCode, SignInToken},
};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Var};
use serde::{Deserialize, Serialize};
use tracing::info;
use utoipa::ToSchema;

use crate::secrets::{random, random_number};

/// Who wants to sign in.
#[derive(Deserialize, ToSchema)]
pub struct SignInRequest {
    /// Their address. Case and plus-tags make no difference.
    #[schema(example = "ann@example.com")]
    pub email: String,
}

/// The answer, the same for known and unknown addresses.
#[derive(Debug, Serialize, ToSchema)]
pub struct Sent {
    /// `sent`.
    #[schema(example = "sent")]
    pub status: &'static str,
    /// A sentence for people.
    pub message: &'static str,
    /// For how many seconds the link and the code work.
    #[schema(example = 900)]
    pub expires_in: i64,
}

/// Sends a link and a code to the address in the request. The code will work only in this browser, which gets a cookie for
/// it; one that has it already keeps it, and with it the codes of other addresses that it has asked for.
pub(crate) async fn begin(app: Arc<App>, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    request.must_not_be_foreign()?;
    let SignInRequest { email } = request.json()?;
    let address =
        EmailAddress::parse(&email).map_err(|problem| ApiError::bad_request(format!("`email` {problem}")))?;
    let (table, now) = (app.table()?, app.now());
    let client = request.client().map_or_else(|| "unknown".to_owned(), rate::client);
    within(table.count(&client, app.config().mails_asked_for()?, now).await?)?;
    within(table.count(address.as_str(), MAILS, now).await?)?;

    let (token, code) = (SignInToken::from_random(random()?), SignInCode::from_random(random_number()?));
    let browser = match request.browser_secret() {
        Some(known) => known,
        None => BrowserSecret::from_random(random()?),
    };
    table.issue_sign_in(&address, (&token, &code), &browser, now).await?;
    let mail = Mail::SignIn {
        to: address.as_str().to_owned(),
        token: token.reveal().to_owned(),
        code: code.reveal().to_owned(),
        expires_at: now.plus_ms(SIGN_IN_LIFETIME_MS),
    };
    app.enqueue(Var::MailQueueUrl, &mail).await?;
    info!("a sign-in mail is on its way");
    Ok(ApiResponse::ok(&Sent {
        status: "sent",
        message: "Open the link in the mail that we have sent you, or enter its code.",
        expires_in: SIGN_IN_LIFETIME_MS / 1000,
    })
    .with_browser_secret(&browser))
}

fn within(limit: Decision) -> Result<(), ApiError> {
    if limit.allowed { Ok(()) } else { Err(ApiError::rate_limited("sign-in mails", limit)) }
}
