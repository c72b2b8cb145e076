//! Payments: the Stripe of this machine, and the secret by which functions know it.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::{Value as Json, json};
use stripe::{Options, Stripe, Webhook};

use crate::http::for_service;
use crate::secrets;

/// Where the product hears of what happens at Stripe.
const EVENTS: &str = "/v1/stripe/webhook";

/// A running Stripe, and what is secret between it and the functions.
#[derive(Debug)]
pub(crate) struct Payments {
    stripe: Stripe,
    secret: String,
}

impl Payments {
    /// Starts it; it tells the product at `base_url` what happens.
    pub(crate) async fn start(state: &Path, base_url: &str) -> anyhow::Result<Self> {
        let key = format!("sk_test_{}", secrets::kept(state, "StripeKey")?);
        let webhook = Webhook {
            url: format!("{base_url}{EVENTS}"),
            secret: format!("whsec_{}", secrets::kept(state, "StripeWebhook")?),
        };
        let secret = json!({ "api_key": key, "webhook_secret": webhook.secret }).to_string();
        let options =
            Options { state: state.join("stripe"), port: 0, key, webhook: Some(webhook), seed: None };
        let stripe = stripe::serve(options).await.context("the local Stripe does not start")?;
        Ok(Self { stripe, secret })
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        self.stripe.url()
    }

    /// Keeps the secret where functions read it; answers its ARN.
    pub(crate) async fn keep_secret(
        &self,
        client: &reqwest::Client,
        ministack: &str,
    ) -> anyhow::Result<String> {
        let answer = client
            .post(ministack)
            .header("authorization", for_service("secretsmanager"))
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", "secretsmanager.CreateSecret")
            .body(json!({ "Name": "stripe", "SecretString": self.secret }).to_string())
            .send()
            .await?;
        let status = answer.status();
        let made: Json = serde_json::from_slice(&answer.bytes().await?).unwrap_or_default();
        match made["ARN"].as_str() {
            Some(arn) if status.is_success() => Ok(arn.to_owned()),
            _ => bail!("Secrets Manager does not take the secret: {status}"),
        }
    }
}
