//! Stripe's keys, which Secrets Manager alone keeps: a JSON object with `api_key` (better a restricted one: `rk_…`) and
//! `webhook_secret` (`whsec_…`).

use aws_sdk_secretsmanager::{Client, config::Builder};
use runtime::{ApiError, App, AppError, Calls, StageError, Var, stripe_endpoint};
use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::stripe::Stripe;

static KEYS: OnceCell<Keys> = OnceCell::const_new();

/// What is needed to talk with Stripe. No `Debug`: it is secret.
pub(crate) struct Keys {
    pub(crate) stripe: Stripe,
    /// What events are signed with.
    pub(crate) webhook_secret: String,
}

#[derive(Deserialize)]
struct Secret {
    api_key: String,
    webhook_secret: String,
}

/// The keys, read once in a function's life.
///
/// # Errors
/// 503 if this product takes no payments.
pub(crate) async fn keys(app: &App) -> Result<&'static Keys, ApiError> {
    if is_off(app)? {
        let detail = "this product takes no payments: its operator has not connected Stripe";
        return Err(ApiError::unavailable("payments_off", detail));
    }
    Ok(read_once(app).await?)
}

/// The same, for what nobody waits for; `None` if this product takes no payments.
///
/// # Errors
/// [`StageError::Passing`].
pub(crate) async fn keys_if_on(app: &App) -> Result<Option<&'static Keys>, StageError> {
    let is_off = app.config().get(Var::StripeSecretArn)?.is_empty();
    if is_off { Ok(None) } else { Ok(Some(read_once(app).await?)) }
}

fn is_off(app: &App) -> Result<bool, ApiError> {
    Ok(app.config().get(Var::StripeSecretArn)?.is_empty())
}

async fn read_once(app: &App) -> Result<&'static Keys, AppError> {
    KEYS.get_or_try_init(|| read(app)).await
}

async fn read(app: &App) -> Result<Keys, AppError> {
    let arn = app.config().get(Var::StripeSecretArn)?;
    let calls = Calls::only("secretsmanager:GetSecretValue", arn);
    let client = Client::from_conf(Builder::from(app.sdk()).interceptor(calls).build());
    let answer = client.get_secret_value().secret_id(arn).send().await;
    let value = answer.map_err(|error| AppError::aws("GetSecretValue", &error))?;
    // The parser's error would quote the secret.
    let secret = value.secret_string().and_then(|text| serde_json::from_str::<Secret>(text).ok());
    let Secret { api_key, webhook_secret } = secret.ok_or_else(|| AppError::empty("GetSecretValue"))?;
    let http = store::https_client().map_err(|error| AppError::aws("TLS", &*error))?;
    let base = stripe_endpoint(|name| std::env::var(name).ok());
    Ok(Keys { stripe: Stripe::new(http, base, api_key), webhook_secret })
}
