//! Start-up and dispatch: which endpoint this function is, and what happens around its handler.
//!
//! Starts are cheap (`cargo xtask bench coldstart` measures them). What an endpoint needs is made before it asks for
//! work, so no request waits for it. Credentials come from the environment, where Lambda puts them, and from nowhere
//! else.

use std::{any::Any, future::Future, panic::AssertUnwindSafe, sync::Arc};

use domain::{
    account::Scope,
    rate::{Decision, Limit},
};
use futures_util::FutureExt;
use lambda_http::{
    Body, Request, RequestExt, Response,
    http::{HeaderMap, Method, StatusCode, header},
};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;
use tracing::{Instrument, Level, error, info};

use crate::{
    ApiError, ApiRequest, ApiResponse, App, Caller, Described, Endpoint, StageError, Trigger,
    auth::{authenticate, authenticate_session, count_open},
    env::Config,
    events::{Batch, BatchAnswer, FailedMessage},
    invocation::Invocation,
    metrics::Metric,
};

type Error = lambda_runtime::Error;

/// Runs the endpoint that this function is configured to be, until Lambda ends the environment.
///
/// A zip function's handler arrives as `_HANDLER`, a container function's as its first argument.
///
/// # Errors
/// When the handler is not in `endpoints`, a declared variable is missing or wrong, or the Runtime API fails. All
/// of these end the environment, and Lambda reports them as failures of its initialisation.
///
/// A debug build that is started with `--describe` prints its table instead, as JSON ([`Described`]).
pub fn serve(endpoints: &'static [Endpoint]) -> Result<(), Error> {
    if cfg!(debug_assertions) && std::env::args().nth(1).as_deref() == Some("--describe") {
        let rows: Vec<Described> = endpoints.iter().map(Described::from).collect();
        return Ok(serde_json::to_writer(std::io::stdout(), &rows)?);
    }
    init_log();
    start(endpoints).inspect_err(|problem| error!(%problem, "cannot serve"))
}

fn start(endpoints: &'static [Endpoint]) -> Result<(), Error> {
    let handler = std::env::args().nth(1).or_else(|| std::env::var("_HANDLER").ok()).unwrap_or_default();
    let endpoint = endpoints.iter().find(|endpoint| endpoint.handler == handler).ok_or_else(|| {
        format!("no endpoint has the handler {handler:?} (from the first argument or _HANDLER)")
    })?;
    let config = Config::read(&endpoint.env(), |name| std::env::var(name).ok())?;
    // An environment answers one request at a time, on a part of a core: threads would only be made, and wait.
    let mut runtime = match endpoint.route() {
        Some(_) => tokio::runtime::Builder::new_current_thread(),
        None => tokio::runtime::Builder::new_multi_thread(),
    };
    runtime.enable_all().build()?.block_on(run(endpoint, config))
}

async fn run(endpoint: &'static Endpoint, config: Config) -> Result<(), Error> {
    let app = Arc::new(App::connect(config).await?);
    match endpoint.route() {
        Some(_) => {
            let answer = move |request| answer(endpoint, Arc::clone(&app), request);
            lambda_http::run(lambda_http::service_fn(answer)).await
        }
        None => {
            lambda_runtime::run(service_fn(move |event| perform(endpoint, Arc::clone(&app), event))).await
        }
    }
}

/// One JSON line an event on standard output, which Lambda sends to CloudWatch Logs. `RUST_LOG` sets the level.
fn init_log() {
    use tracing_subscriber::{filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};
    let usual = || Targets::new().with_default(Level::INFO).with_target("aws_config", Level::WARN);
    let wanted = std::env::var("RUST_LOG").ok().and_then(|levels| levels.parse().ok());
    let lines = fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
    let lines = tracing_subscriber::registry().with(lines.with_writer(std::io::stdout));
    // Fails only when a subscriber is set already, as in tests.
    let _ = lines.with(wanted.unwrap_or_else(usual)).try_init();
    std::panic::set_hook(Box::new(|panic| error!(%panic, "a handler panicked")));
}

/// Answers an HTTP request: the handler's answer, or the problem that kept it from giving one.
async fn answer(
    endpoint: &'static Endpoint,
    app: Arc<App>,
    request: Request,
) -> Result<Response<Body>, Error> {
    // Not the path: that of a clip's page is its secret.
    let (method, route) = (request.method().clone(), endpoint.route().map(|route| route.path));
    let parameters = request.path_parameters();
    let seen_by_people =
        endpoint.is_page() || (matches!(endpoint.trigger, Trigger::Rest(_)) && wants_page(request.headers()));
    let invocation =
        Invocation::begin(&app, endpoint, request.lambda_context_ref(), parameters.first("job_id"));
    let request_id = invocation.request_id();
    let mut limits = Vec::new();
    let response = caught(handle(endpoint, Arc::clone(&app), ApiRequest::new(request), &mut limits))
        .instrument(invocation.span.clone())
        .await
        .unwrap_or_else(|panic| Err(ApiError::internal(panic)));
    let internal = response.as_ref().err().and_then(ApiError::internals).map(str::to_owned);
    let response = response.unwrap_or_else(|problem| match seen_by_people {
        true => problem.page(request_id),
        false => problem.response(request_id),
    });
    let response = if method == Method::HEAD { response.without_body() } else { response };
    let response = limits.into_iter().fold(response, ApiResponse::limited);
    let (status, duration_ms) = (response.status().as_u16(), invocation.elapsed_ms());
    invocation.span.in_scope(|| match internal {
        Some(internal) => error!(%method, route, status, duration_ms, internal, "answered"),
        None => info!(%method, route, status, duration_ms, "answered"),
    });
    if response.status() == StatusCode::INTERNAL_SERVER_ERROR {
        invocation.failed(&app);
    }
    invocation.end(&app);
    Ok(response.with_header("x-request-id", request_id).into_lambda())
}

/// Whether this is a browser that somebody has typed an address into.
fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("text/html"))
}

/// The answer of the endpoint's handler, or why it was not asked. `limits` gets what the request was counted in, so
/// that every answer from there on tells of it.
async fn handle(
    endpoint: &Endpoint,
    app: Arc<App>,
    request: ApiRequest,
    limits: &mut Vec<Decision>,
) -> Result<ApiResponse, ApiError> {
    match endpoint.trigger {
        Trigger::Open(_, run) | Trigger::Page(_, run) => {
            limits.push(count_open(&request, &app).await?);
            within(limits)?;
            run(app, request).await
        }
        Trigger::Uncounted(_, run) | Trigger::Rest(run) => run(app, request).await,
        Trigger::Keyed(_, scope, limit, run) => {
            let caller = owner(&app, &request, (scope, limit), limits).await?;
            run(app, caller, request).await
        }
        Trigger::Session(_, run) => {
            let (session, counted) = authenticate_session(request.method(), request.headers(), &app).await?;
            limits.push(counted);
            within(limits)?;
            run(app, session, request).await
        }
        Trigger::Stage(_) | Trigger::Queue(..) | Trigger::Schedule(..) => {
            Err(ApiError::internal("this endpoint answers no HTTP requests"))
        }
    }
}

/// The owner of the request's key or session, if that may do this and its limits allow it.
async fn owner(
    app: &App,
    request: &ApiRequest,
    (scope, limit): (Scope, Limit),
    limits: &mut Vec<Decision>,
) -> Result<Caller, ApiError> {
    let (caller, decisions) = authenticate(request, limit, app).await?;
    limits.extend(decisions);
    within(limits)?;
    if scope.allowed_by(&caller.scopes) { Ok(caller) } else { Err(ApiError::missing_scope(scope.word())) }
}

/// 429 if one of the limits refuses the request.
fn within(limits: &[Decision]) -> Result<(), ApiError> {
    let refused = limits.iter().copied().filter(|limit| !limit.allowed).reduce(Decision::stricter);
    refused.map_or(Ok(()), |limit| Err(ApiError::rate_limited("requests", limit)))
}

/// Performs what a state, a queue or a timer asks for.
async fn perform(
    endpoint: &'static Endpoint,
    app: Arc<App>,
    event: LambdaEvent<Value>,
) -> Result<Value, Diagnostic> {
    let job = event.payload.get("job_id").and_then(Value::as_str);
    let invocation = Invocation::begin(&app, endpoint, Some(&event.context), job);
    let outcome = caught(dispatch(endpoint, Arc::clone(&app), event.payload))
        .instrument(invocation.span.clone())
        .await
        .unwrap_or_else(|panic| Err(StageError::Passing(panic)));
    let duration_ms = invocation.elapsed_ms();
    invocation.span.in_scope(|| match &outcome {
        Ok(_) => info!(duration_ms, "done"),
        Err(error) => error!(duration_ms, error = error.name(), reason = %error, "failed"),
    });
    if let (Trigger::Stage(_), Ok(_)) = (endpoint.trigger, &outcome) {
        let ms = i64::try_from(duration_ms).unwrap_or(i64::MAX);
        app.metrics().add_ms(Metric::StageSeconds.of(endpoint.name()), ms);
    }
    invocation.end(&app);
    outcome
        .map_err(|error| Diagnostic { error_type: error.name().to_owned(), error_message: error.message() })
}

async fn dispatch(endpoint: &Endpoint, app: Arc<App>, payload: Value) -> Result<Value, StageError> {
    match endpoint.trigger {
        Trigger::Stage(run) => run(app, payload).await,
        Trigger::Schedule(_, run) => run(app).await.map(|()| Value::Null),
        Trigger::Queue(_, run) => {
            let batch: Batch =
                serde_json::from_value(payload).map_err(|error| StageError::Passing(error.to_string()))?;
            let mut answer = BatchAnswer::default();
            for message in batch.records {
                if let Err(error) = run(Arc::clone(&app), message.body).await {
                    error!(message_id = message.message_id, reason = %error, "message failed, will come again");
                    answer.batch_item_failures.push(FailedMessage { item_identifier: message.message_id });
                }
            }
            serde_json::to_value(answer).map_err(|error| StageError::Passing(error.to_string()))
        }
        Trigger::Open(..)
        | Trigger::Page(..)
        | Trigger::Uncounted(..)
        | Trigger::Rest(_)
        | Trigger::Keyed(..)
        | Trigger::Session(..) => {
            Err(StageError::Passing("this endpoint answers HTTP requests only".to_owned()))
        }
    }
}

/// Runs `work`; a panic becomes an error with the panic's message, for the log.
async fn caught<T>(work: impl Future<Output = T>) -> Result<T, String> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        format!("panic: {}", text.unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_and_not_the_end() {
        let outcome = caught(async { panic!("secret {}", 7) }).await;
        let problem = outcome.map_err(ApiError::internal).unwrap_err();
        assert_eq!(problem.internals(), Some("panic: secret 7"));
        let body = problem.response("r-7").into_body();
        assert!(!String::from_utf8(body).unwrap().contains("secret"));
    }
}
