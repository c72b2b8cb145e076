//! What a call is answered when it fails, in Stripe's shape.

use serde_json::{Map, Value, json};

/// A failed call.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    /// The object `error`.
    pub(crate) error: Map<String, Value>,
    pub(crate) effect: Effect,
}

/// What remains of a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing: its parameters' form was wrong. Its idempotency key stays free.
    Nothing,
    /// The answer, under its idempotency key.
    Answer,
    /// What it has changed, too: a declined card leaves a failed charge.
    Changes,
}

impl ApiError {
    fn new(status: u16, kind: &str, message: String, effect: Effect) -> Self {
        let mut error = Map::new();
        error.insert("type".to_owned(), json!(kind));
        error.insert("message".to_owned(), json!(message));
        Self { status, error, effect }
    }

    /// The parameters' form is wrong: nothing was begun.
    pub(crate) fn form(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", message.into(), Effect::Nothing)
    }

    /// What is asked for cannot be done as things are.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", message.into(), Effect::Answer)
    }

    /// A parameter that is needed is not there.
    pub(crate) fn missing(param: &str) -> Self {
        Self::form(format!("Missing required param: {param}.")).code("parameter_missing").param(param)
    }

    /// There is no such object; it was named by this parameter, or by the address if the parameter is `id`.
    pub(crate) fn no_such(what: &str, id: &str, param: &str) -> Self {
        let mut error =
            Self::refused(format!("No such {what}: '{id}'")).code("resource_missing").param(param);
        if param == "id" {
            error.status = 404;
        }
        error
    }

    /// No such address.
    pub(crate) fn no_route(method: &str, path: &str) -> Self {
        let mut error = Self::form(format!(
            "Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we can help at https://support.stripe.com/."
        ));
        error.status = 404;
        error
    }

    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(401, "invalid_request_error", message.into(), Effect::Nothing)
    }

    /// The card's bank says no; what was tried stays.
    pub(crate) fn card(message: &str, code: &str, decline_code: Option<&str>) -> Self {
        let mut error = Self::new(402, "card_error", message.to_owned(), Effect::Changes).code(code);
        if let Some(decline_code) = decline_code {
            error = error.with("decline_code", json!(decline_code));
        }
        error
    }

    /// A key was used before for something else.
    pub(crate) fn other_parameters(message: String) -> Self {
        Self::new(400, "idempotency_error", message, Effect::Nothing)
    }

    /// The first call under a key still runs.
    pub(crate) fn in_progress(key: &str) -> Self {
        let message = format!(
            "There is currently another in-progress request using this Stripe-Idempotent-Key (that probably \
             means you submitted twice, and the other request is still going through): {key}. If you receive this \
             error consistently, please contact us."
        );
        Self::new(409, "idempotency_error", message, Effect::Nothing).code("idempotency_key_in_use")
    }

    /// Stripe itself fails.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "api_error", message.into(), Effect::Answer)
    }

    /// Of a status that a test asks for.
    pub(crate) fn asked_for(status: u16) -> Self {
        match status {
            429 => Self::new(
                429,
                "invalid_request_error",
                "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits."
                    .to_owned(),
                Effect::Nothing,
            )
            .code("rate_limit"),
            409 => Self::new(
                409,
                "invalid_request_error",
                "This object cannot be accessed right now because another API request or Stripe process is \
                 currently accessing it."
                    .to_owned(),
                Effect::Nothing,
            )
            .code("lock_timeout"),
            status => Self::new(
                status,
                "api_error",
                "An unknown error occurred. A test asked for it.".to_owned(),
                Effect::Answer,
            ),
        }
    }

    pub(crate) fn code(self, code: &str) -> Self {
        let url = format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-"));
        self.with("code", json!(code)).with("doc_url", json!(url))
    }

    pub(crate) fn param(self, param: &str) -> Self {
        self.with("param", json!(param))
    }

    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.error.insert(name.to_owned(), value);
        self
    }

    pub(crate) fn body(&self) -> Value {
        json!({ "error": self.error })
    }
}
