//! `POST /v1/auth/verify`: the second half of signing in. Whoever has the link or the code owns the address.

use std::sync::Arc;

use domain::{
    email::EmailAddress,
    ids::SessionToken,
    sign_in::{SignInCode, SignInToken},
};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Metric, Operation};
use serde::{Deserialize, Serialize};
use store::sign_in::{NotSignedIn, Proof, SignedIn};
use tracing::info;
use utoipa::ToSchema;

use crate::secrets::random;

/// Either `token`, or `email` and `code`; the code only from the browser that asked for it, which has a cookie for that.
#[derive(Deserialize, ToSchema)]
pub struct VerifyRequest {
    /// The token of the link.
    pub token: Option<String>,
    /// The address that the code was sent to.
    #[schema(example = "ann@example.com")]
    pub email: Option<String>,
    /// The eight digits.
    #[schema(example = "04213799")]
    pub code: Option<String>,
}

/// Who is signed in now. The session comes as a cookie.
#[derive(Debug, Serialize, ToSchema)]
pub struct Verified {
    /// The account.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub account_id: String,
    /// Whether it was opened just now.
    pub is_new: bool,
}

/// Answers `POST /v1/auth/verify`.
///
/// # Errors
/// 400 without a token or an address and a code, 401 for one that is wrong, expired, used or another
/// browser's, 403 for a foreign page, 429 for too many codes tried for an address in a day.
pub async fn handle(app: Arc<App>, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    request.must_not_be_foreign()?;
    let ask: VerifyRequest = request.json()?;
    let session = SessionToken::from_random(random()?);
    let SignedIn { account, is_new, bonus_waits } = sign_in(&app, &request, &ask, &session).await?;
    if bonus_waits {
        app.metrics().add(Metric::BonusesWaiting, 1);
    }
    info!(%account, is_new, bonus_waits, "signed in");
    Ok(ApiResponse::ok(&Verified { account_id: account.to_string(), is_new }).with_session(&session))
}

async fn sign_in(
    app: &App,
    request: &ApiRequest,
    ask: &VerifyRequest,
    session: &SessionToken,
) -> Result<SignedIn, ApiError> {
    let (table, terms, now) = (app.table()?, app.config().bonus_terms()?, app.now());
    // Whatever session the browser came with, somebody else may know its token: it ends as the new one begins.
    let former = request.session_token();
    let former = former.as_ref();
    let signed_in = match (&ask.token, &ask.email, &ask.code) {
        (Some(token), None, None) => {
            let token = SignInToken::parse(token).ok_or_else(ApiError::invalid_sign_in)?;
            table.sign_in(Proof::Link(&token), session, former, terms, now).await?
        }
        (None, Some(email), Some(code)) => {
            let address = EmailAddress::parse(email).map_err(|_| ApiError::invalid_sign_in())?;
            let code = SignInCode::parse(code).ok_or_else(ApiError::invalid_sign_in)?;
            let browser = request.browser_secret().ok_or_else(ApiError::invalid_sign_in)?;
            table.sign_in(Proof::Code(&address, &code, &browser), session, former, terms, now).await?
        }
        _ => return Err(ApiError::bad_request("send either `token`, or `email` and `code`")),
    };
    signed_in.map_err(|refused| match refused {
        NotSignedIn::Worthless => ApiError::invalid_sign_in(),
        NotSignedIn::TriedTooOften(limit) => ApiError::too_many_codes(limit),
    })
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Sign in with the link's token, or with the code; sets the session's cookie")
        .takes::<VerifyRequest>()
        .answers::<Verified>()
        .problems(&[400, 401, 403, 413, 415])
}
