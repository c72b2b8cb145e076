//! `GET` and `POST /v1/account/reload`: whether and how an API key may reload the balance. With a browser session only: a key
//! cannot give itself this right.

use std::sync::Arc;

use domain::{
    account::SettingsChange,
    reload::{PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN, ReloadPassword},
    time::Timestamp,
};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation, Session};
use serde::{Deserialize, Serialize};
use store::{accounts::Account, reload::ReloadLock};
use tracing::info;
use utoipa::ToSchema;

use crate::page::random;

/// Whether and how an API key may reload the balance.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReloadSettings {
    /// Whether it may at all; off at first.
    pub enabled: bool,
    /// Whether each reload must first be approved by mail.
    pub confirm_by_email: bool,
    /// Whether it must send a password.
    pub has_password: bool,
    /// Until when no reload is tried, after too many wrong passwords; null if that is not so.
    pub locked_until: Option<String>,
}

/// What to change; what is left out stays.
#[derive(Deserialize, ToSchema)]
pub struct ReloadSettingsChange {
    /// Whether an API key may reload the balance.
    pub enabled: Option<bool>,
    /// Whether each reload must first be approved by mail.
    pub confirm_by_email: Option<bool>,
    /// A new password, of 8 to 128 characters.
    #[schema(value_type = Option<String>, example = "...")]
    pub password: Option<ReloadPassword>,
    /// `true` takes the password away.
    #[serde(default)]
    pub remove_password: bool,
}

impl ReloadSettings {
    fn of(account: &Account, lock: &ReloadLock, now: Timestamp) -> Self {
        Self {
            enabled: account.settings.api_reload_enabled,
            confirm_by_email: account.settings.api_reload_confirm_by_email,
            has_password: lock.password.is_some(),
            locked_until: lock.tries.locked_until(now).map(Timestamp::rfc3339),
        }
    }
}

/// Answers `GET /v1/account/reload`.
///
/// # Errors
/// 401 without a session.
pub async fn read(app: Arc<App>, session: Session, _: ApiRequest) -> Result<ApiResponse, ApiError> {
    let table = app.table()?;
    let account = table.account(&session.account).await?.ok_or_else(ApiError::no_session)?;
    let lock = table.reload_lock(&account.id).await?;
    Ok(ApiResponse::ok(&ReloadSettings::of(&account, &lock, app.now())))
}

/// Answers `POST /v1/account/reload`. A password is set before the switches are: what is switched on is protected already.
///
/// # Errors
/// 400 for a password that is too short or too long, 401 without a session, 403 for a foreign page.
pub async fn change(app: Arc<App>, session: Session, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let ask: ReloadSettingsChange = request.json()?;
    let table = app.table()?;
    match (&ask.password, ask.remove_password) {
        (Some(_), true) => {
            return Err(ApiError::bad_request("send either `password` or `remove_password`, not both"));
        }
        (Some(password), false) => {
            let hash = password.hash(&random::<16>()?).ok_or_else(|| {
                let bounds = format!("{PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX}");
                ApiError::bad_request(format!("`password` must have {bounds} characters"))
            })?;
            table.set_reload_password(&session.account, Some(&hash)).await?;
        }
        (None, true) => table.set_reload_password(&session.account, None).await?,
        (None, false) => {}
    }
    let switches =
        SettingsChange { api_reload_enabled: ask.enabled, api_reload_confirm_by_email: ask.confirm_by_email };
    let account =
        table.change_settings(&session.account, switches).await?.ok_or_else(ApiError::no_session)?;
    info!(account = %account.id, ?switches, password = ask.password.is_some(), removed = ask.remove_password, "changed reload settings");
    let lock = table.reload_lock(&account.id).await?;
    Ok(ApiResponse::ok(&ReloadSettings::of(&account, &lock, app.now())))
}

/// The first endpoint in the API's description.
#[must_use]
pub fn read_operation() -> Operation {
    Operation::new("Whether and how an API key may reload the balance").answers::<ReloadSettings>()
}

/// The second endpoint in the API's description.
#[must_use]
pub fn change_operation() -> Operation {
    Operation::new("Change whether and how an API key may reload the balance; what is left out stays")
        .takes::<ReloadSettingsChange>()
        .answers::<ReloadSettings>()
        .problems(&[400, 403, 413, 415])
}
