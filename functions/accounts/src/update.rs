//! `PATCH /v1/account`: change settings. What is left out stays as it is.

use std::sync::Arc;

use domain::account;
use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation, Session};
use serde::Deserialize;
use tracing::info;
use utoipa::ToSchema;

use crate::get::AccountView;

/// What to change.
#[derive(Debug, Deserialize, ToSchema)]
pub struct AccountChange {
    /// Settings.
    pub settings: SettingsChange,
}

/// Which settings to change.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SettingsChange {
    /// Reloading the balance with an API key.
    pub api_reload: Option<ApiReloadChange>,
}

/// Which switches of API reload to change.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ApiReloadChange {
    /// Whether an API key may reload the balance.
    pub enabled: Option<bool>,
    /// Whether each reload must first be approved by mail.
    pub confirm_by_email: Option<bool>,
}

impl AccountChange {
    fn decided(self) -> account::SettingsChange {
        let Some(change) = self.settings.api_reload else { return account::SettingsChange::default() };
        account::SettingsChange {
            api_reload_enabled: change.enabled,
            api_reload_confirm_by_email: change.confirm_by_email,
        }
    }
}

/// Answers `PATCH /v1/account`.
///
/// # Errors
/// 400 for an invalid change, 401 without a session, 403 for a foreign page.
pub async fn handle(app: Arc<App>, session: Session, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let change = request.json::<AccountChange>()?.decided();
    let after = app.table()?.change_settings(&session.account, change).await?;
    let account = after.ok_or_else(ApiError::no_session)?;
    info!(account = %account.id, ?change, "changed settings");
    Ok(ApiResponse::ok(&AccountView::of(&account)))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Change settings; what is left out stays")
        .takes::<AccountChange>()
        .answers::<crate::get::AccountView>()
        .problems(&[400, 403, 413, 415])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_not_changed() {
        let change = |json: &str| serde_json::from_str::<AccountChange>(json).unwrap().decided();
        let none = account::SettingsChange::default();
        assert_eq!(change(r#"{"settings":{}}"#), none);
        assert_eq!(change(r#"{"settings":{"api_reload":{}}}"#), none);
        assert_eq!(
            change(r#"{"settings":{"api_reload":{"confirm_by_email":true}}}"#),
            account::SettingsChange { api_reload_confirm_by_email: Some(true), ..none }
        );
    }
}
