//! Who is calling: the owner of an API key, or a browser that has signed in.

use domain::{
    account::Scope,
    ids::{AccountId, ApiKey, SessionToken},
    job::Cap,
    rate::{self, Decision, Limit, SESSION_REQUESTS, Window},
};
use lambda_http::http::{HeaderMap, HeaderName, Method, header};
use store::{
    rate::{Admission, Who},
    sessions::SessionRecord,
};

use crate::{ApiRequest, App, errors::ApiError};

/// The authenticated caller.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The account that the key or the session belongs to.
    pub account: AccountId,
    /// What the key may do; everything if it is empty.
    pub scopes: Vec<Scope>,
    /// What may be spent with the key today, if that is bounded.
    pub cap: Option<Cap>,
}

/// Finds the caller of a request and counts the request: by its key, or, if it names none, by the browser's session.
pub(crate) async fn authenticate(
    request: &ApiRequest,
    limit: Limit,
    app: &App,
) -> Result<(Caller, Vec<Decision>), ApiError> {
    let headers = request.headers();
    match cookie(headers, SESSION_COOKIE) {
        Some(_) if !headers.contains_key(header::AUTHORIZATION) => {
            // Whoever has signed in may do what any of their keys may.
            let (session, counted) = authenticate_session(request.method(), headers, app).await?;
            Ok((Caller { account: session.account, scopes: Vec::new(), cap: None }, vec![counted]))
        }
        _ => by_key(headers, limit, app).await,
    }
}

/// In one round trip. The key is looked up by its digest, so nothing is compared byte by byte; unknown and malformed keys
/// get the same answer.
async fn by_key(headers: &HeaderMap, limit: Limit, app: &App) -> Result<(Caller, Vec<Decision>), ApiError> {
    let key = bearer(headers).and_then(ApiKey::parse).ok_or_else(ApiError::invalid_key)?;
    let admission = app.table()?.admit(&key, limit.quotas(), app.now()).await?;
    let Admission { key: record, decisions } = admission.ok_or_else(ApiError::invalid_key)?;
    let day_end = Window::Day.end(app.now());
    let cap = record.daily_cap.map(|amount| Cap { key: key.digest(), day_end, amount });
    Ok((Caller { account: record.account, scopes: record.scopes, cap }, decisions))
}

/// The caller of an endpoint that is open to anyone, where a request asks for something that only its owner may have. It
/// counts for the key or session, too.
///
/// # Errors
/// 401 without a key, 403 without the right, 429 past the limit.
pub async fn identify(app: &App, request: &ApiRequest, scope: Scope) -> Result<Caller, ApiError> {
    let (caller, decisions) = authenticate(request, Limit::Requests, app).await?;
    let refused = decisions.into_iter().filter(|limit| !limit.allowed).reduce(Decision::stricter);
    match refused {
        Some(limit) => Err(ApiError::rate_limited("requests", limit)),
        None if scope.allowed_by(&caller.scopes) => Ok(caller),
        None => Err(ApiError::missing_scope(scope.word())),
    }
}

/// Counts a request that needs no key for the address it comes from.
pub(crate) async fn count_open(request: &ApiRequest, app: &App) -> Result<Decision, ApiError> {
    // API Gateway always tells; who calls the function past it shares one count.
    let client = request.client().map_or_else(|| "unknown".to_owned(), rate::client);
    Ok(app.table()?.count(&client, app.config().open_requests()?, app.now()).await?)
}

/// Name of the session's cookie. The prefix makes browsers insist on Secure, on Path=/ and on no Domain
/// (RFC 6265bis, section 4.1.3.2).
pub const SESSION_COOKIE: &str = "__Host-session";

/// A browser that has signed in.
#[derive(Clone, Debug)]
pub struct Session {
    /// The account that is signed in.
    pub account: AccountId,
    /// The session's token, to end or to rotate it.
    pub token: SessionToken,
    /// The session as it is kept.
    pub record: SessionRecord,
}

/// Finds the session of a request, which must come from our own pages: a cookie is sent along by any page that a
/// browser shows, so a request that changes something must name our own origin. Then counts the request for the account:
/// a foreign page uses nothing up.
pub(crate) async fn authenticate_session(
    method: &Method,
    headers: &HeaderMap,
    app: &App,
) -> Result<(Session, Decision), ApiError> {
    let token =
        cookie(headers, SESSION_COOKIE).and_then(SessionToken::parse).ok_or_else(ApiError::no_session)?;
    let record = app.table()?.session(&token, app.now()).await?.ok_or_else(ApiError::no_session)?;
    if !method.is_safe() && !same_origin(headers) {
        return Err(ApiError::foreign_origin());
    }
    let counted = app.table()?.take(Who::Account(&record.account), SESSION_REQUESTS, 1, app.now()).await?;
    Ok((Session { account: record.account.clone(), token, record }, counted))
}

/// Whether a browser says that one of our own pages sent this. No browser leaves both headers out of a request that
/// changes something; a program that is no browser has no cookies to abuse, but must name the origin all the same.
pub(crate) fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(host) = text(header::HOST) else { return false };
    match text(header::ORIGIN) {
        Some(origin) => {
            origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
        }
        None => text(HeaderName::from_static("sec-fetch-site")) == Some("same-origin"),
    }
}

/// The value of a cookie (RFC 6265, section 4.2). Twice the same name is an attack or a mistake: none of them counts.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut values = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(found, _)| *found == name)
        .map(|(_, value)| value);
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

/// The token of `Authorization: Bearer …` (RFC 6750, section 2.1); the scheme's name has no case.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
