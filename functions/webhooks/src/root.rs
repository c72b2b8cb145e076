//! The root secret, which Secrets Manager keeps and all secrets of webhooks are made from. It is made with the stack and
//! never changes: another one would change all secrets at once.
//!
//! A receiver's secret is HMAC-SHA256(root, account, receiver, version), so the table holds a version number and
//! nothing that signs. Only `create`, `rotate` and `deliver` may read the root. To rotate is to count the version up,
//! and to remember until when the one before signs as well (24 hours). Who could read the root could sign for
//! everybody; then it would have to be replaced, and all secrets with it.

use aws_sdk_secretsmanager::{Client, config::Builder};
use domain::webhook::RootSecret;
use runtime::{App, AppError, Calls, Var};
use tokio::sync::OnceCell;

static ROOT: OnceCell<RootSecret> = OnceCell::const_new();

/// The root secret, read once in a function's life.
///
/// # Errors
/// [`AppError`], which never quotes the secret.
pub(crate) async fn secret(app: &App) -> Result<&'static RootSecret, AppError> {
    ROOT.get_or_try_init(|| read(app)).await
}

async fn read(app: &App) -> Result<RootSecret, AppError> {
    let arn = app.config().get(Var::WebhooksSecretArn)?;
    let calls = Calls::only("secretsmanager:GetSecretValue", arn);
    let client = Client::from_conf(Builder::from(app.sdk()).interceptor(calls).build());
    let answer = client.get_secret_value().secret_id(arn).send().await;
    let value = answer.map_err(|error| AppError::aws("GetSecretValue", &error))?;
    match value.secret_string() {
        Some(text) if !text.is_empty() => Ok(RootSecret::new(text)),
        _ => Err(AppError::empty("GetSecretValue")),
    }
}
