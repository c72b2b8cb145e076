//! `GET /v1/account`: who is signed in. Pages ask this first, so it is also where an old session gets a new token.

use std::sync::Arc;

use domain::{account::Settings, ids::SessionToken, sign_in::must_rotate};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation, Session};
use serde::Serialize;
use store::accounts::Account;
use utoipa::ToSchema;

use crate::secrets::random;

/// An account as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountView {
    /// Its id.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub id: String,
    /// The address that it belongs to, in the form that mail goes to.
    #[schema(example = "ann@example.com")]
    pub email: Option<String>,
    /// When it was opened.
    pub created: String,
    /// What its owner has set.
    pub settings: SettingsView,
    /// `waiting` where the bonus for signing up comes with the first deposit; else null.
    #[schema(example = json!(null))]
    pub bonus: Option<&'static str>,
}

/// What an account's owner has set.
#[derive(Debug, Serialize, ToSchema)]
pub struct SettingsView {
    /// Reloading the balance with an API key.
    pub api_reload: ApiReloadView,
}

/// Whether and how an API key may reload the balance.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApiReloadView {
    /// Whether it may at all; off at first.
    pub enabled: bool,
    /// Whether each reload must first be approved by mail.
    pub confirm_by_email: bool,
}

impl AccountView {
    pub(crate) fn of(account: &Account) -> Self {
        let Settings { api_reload_enabled, api_reload_confirm_by_email } = account.settings;
        let api_reload =
            ApiReloadView { enabled: api_reload_enabled, confirm_by_email: api_reload_confirm_by_email };
        Self {
            id: account.id.to_string(),
            email: account.email.clone(),
            created: account.created_at.rfc3339(),
            settings: SettingsView { api_reload },
            bonus: account.bonus_waits.then_some("waiting"),
        }
    }
}

/// Answers `GET /v1/account`.
///
/// # Errors
/// 401 without a session.
pub async fn handle(app: Arc<App>, session: Session, _: ApiRequest) -> Result<ApiResponse, ApiError> {
    let account = owner(&app, &session).await?;
    let answer = ApiResponse::ok(&AccountView::of(&account));
    Ok(match rotated(&app, &session).await? {
        Some(token) => answer.with_session(&token),
        None => answer,
    })
}

/// The account that is signed in.
pub(crate) async fn owner(app: &App, session: &Session) -> Result<Account, ApiError> {
    let account = app.table()?.account(&session.account).await?;
    account.filter(|account| account.closed_at.is_none()).ok_or_else(ApiError::no_session)
}

/// A new token for a session that is older than a day.
async fn rotated(app: &App, session: &Session) -> Result<Option<SessionToken>, ApiError> {
    let (table, now) = (app.table()?, app.now());
    let record = &session.record;
    if record.rotated || !must_rotate(record.created_at, now) {
        return Ok(None);
    }
    let token = SessionToken::from_random(random()?);
    let done = table.rotate_session((&session.token, record), &token, now).await?;
    Ok(done.then_some(token))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Who is signed in").answers::<AccountView>()
}
