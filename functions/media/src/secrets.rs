//! What the operator lets web pages be asked with: cookies of an account, a token. One secret in Secrets Manager.

use std::{
    fmt,
    time::{Duration, Instant},
};

use aws_sdk_secretsmanager::{
    Client, config::Builder, error::SdkError, operation::get_secret_value::GetSecretValueError,
};
use runtime::{App, AppError, Calls, StageError, Var};
use serde::Deserialize;
use sources::Upstream;
use tokio::sync::Mutex;
use tracing::warn;

use crate::job::passing;

/// How long a secret that was read is used: a new one shows within this time.
const KEPT: Duration = Duration::from_secs(300);

/// The secret's value, a JSON object; what is left out is not used.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageSecrets {
    /// A cookie file as browsers' extensions and curl write it (Netscape's format).
    pub(crate) cookies: Option<String>,
    /// An HTTP proxy that all requests for pages and their media go through, as `http://user:password@host:port`.
    pub(crate) proxy: Option<String>,
    /// YouTube's proof of origin, as `CLIENT.CONTEXT+TOKEN`.
    pub(crate) po_token: Option<String>,
}

impl PageSecrets {
    /// The proxy that it names.
    ///
    /// # Errors
    /// [`StageError::Passing`] for one that cannot be used: going out without it is not what the operator wants.
    pub(crate) fn upstream(&self) -> Result<Option<Upstream>, StageError> {
        let read = |url: &String| {
            Upstream::parse(url)
                .ok_or_else(|| passing("the proxy in the secret for web pages is no http://host:port"))
        };
        self.proxy.as_ref().map(read).transpose()
    }
}

/// Nothing of it is ever printed.
impl fmt::Debug for PageSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PageSecrets(..)")
    }
}

/// The secret as it was last read.
static LAST: Mutex<Option<(Instant, PageSecrets)>> = Mutex::const_new(None);

/// The secret; nothing where none is configured, or none is there.
///
/// # Errors
/// [`StageError::Passing`], without a word of the secret.
pub(crate) async fn read(app: &App) -> Result<PageSecrets, StageError> {
    let arn = app.config().get(Var::PageSecretArn)?;
    if arn.is_empty() {
        return Ok(PageSecrets::default());
    }
    let mut last = LAST.lock().await;
    if let Some((_, secrets)) = last.as_ref().filter(|(read, _)| read.elapsed() < KEPT) {
        return Ok(secrets.clone());
    }
    let calls = Calls::only("secretsmanager:GetSecretValue", arn);
    let client = Client::from_conf(Builder::from(app.sdk()).interceptor(calls).build());
    let answer = client.get_secret_value().secret_id(arn).send().await;
    let secrets = match answer {
        // What the parser says of a value may quote it.
        Ok(value) => serde_json::from_str(value.secret_string().unwrap_or("{}"))
            .map_err(|_| passing("the secret for web pages is not the JSON object that it must be"))?,
        Err(error) if is_missing(&error) => {
            warn!("there is no secret for web pages at the configured ARN");
            return Ok(PageSecrets::default());
        }
        Err(error) => return Err(AppError::aws("GetSecretValue", &error).into()),
    };
    *last = Some((Instant::now(), PageSecrets::clone(&secrets)));
    Ok(secrets)
}

fn is_missing<R>(error: &SdkError<GetSecretValueError, R>) -> bool {
    error.as_service_error().is_some_and(GetSecretValueError::is_resource_not_found_exception)
}
