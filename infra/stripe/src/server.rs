//! One request of the API: who asks, whether it was asked before, what it changes, and what it is answered.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use serde::Serialize;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;

use crate::error::{ApiError, Effect};
use crate::fault::{Answer, Fault, When};
use crate::form::Params;
use crate::journal::{Journal, KEPT_SECONDS};
use crate::state::{Change, Kept, State};
use crate::tx::{self, Cause, Tx};
use crate::{VERSION, control, expand, pages, routes};

/// More than any request has.
const BODY_BYTES_MAX: usize = 1024 * 1024;
const KEY_CHARS_MAX: usize = 255;
/// How many calls are remembered for `/_local/stripe/calls`.
const CALLS_MAX: usize = 10_000;

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Server {
    inner: Mutex<Inner>,
    pub(crate) key: String,
    /// What addresses of pages begin with.
    pub(crate) base: String,
    /// Something may be due.
    pub(crate) wake: Notify,
    /// Calls of the API that are under way.
    under_way: Mutex<JoinSet<()>>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    journal: Journal,
    /// Idempotency keys of calls that run now.
    running: BTreeSet<String>,
    faults: Vec<Fault>,
    calls: VecDeque<Call>,
    requests: u64,
}

/// A call that was made.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Call {
    method: String,
    path: String,
    /// Nothing, if it was not answered.
    status: Option<u16>,
    idempotency_key: Option<String>,
    replayed: bool,
}

/// What a request is answered.
#[derive(Debug)]
struct Reply {
    status: u16,
    body: String,
    replay_of: Option<String>,
}

/// Milliseconds since 1970, by the real clock.
pub(crate) fn real_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl Server {
    pub(crate) fn new(state: State, journal: Journal, key: String, base: String) -> Self {
        let (running, faults, calls) = (BTreeSet::new(), Vec::new(), VecDeque::new());
        let inner = Inner { state, journal, running, faults, calls, requests: 0 };
        let under_way = Mutex::default();
        Self { inner: Mutex::new(inner), key, base, wake: Notify::new(), under_way }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A change is applied whole or not at all, so what a panic left is sound.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the state.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.inner().state)
    }

    /// Changes the state. If the change cannot be kept it does not happen, and is asked for again by whoever needs it.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&State) -> (T, Change)) -> T {
        let mut inner = self.inner();
        let (result, change) = change(&inner.state);
        if let Err(error) = inner.keep(change) {
            tracing::error!("the local Stripe cannot keep its state: {error:#}");
        }
        result
    }

    /// Carries out what is not a call of the API: a page's form, or a control call.
    pub(crate) fn act<T>(&self, act: impl FnOnce(&mut Tx<'_>) -> Result<T, ApiError>) -> Result<T, ApiError> {
        let mut inner = self.inner();
        let mut tx = Tx::new(&inner.state, inner.now(), &self.base, Cause::default());
        let result = act(&mut tx);
        let keeps = result.as_ref().err().is_none_or(|error| error.effect == Effect::Changes);
        let change = if keeps { tx.change() } else { Change::default() };
        inner.keep(change).map_err(|error| ApiError::internal(format!("{error:#}")))?;
        drop(inner);
        self.wake.notify_one();
        result
    }

    pub(crate) fn set_faults(&self, set: impl FnOnce(&mut Vec<Fault>)) -> Vec<Fault> {
        let mut inner = self.inner();
        set(&mut inner.faults);
        inner.faults.clone()
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.inner().calls.iter().cloned().collect()
    }

    /// Ends the calls that are under way.
    pub(crate) fn end_calls(&self) {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

impl Inner {
    fn now(&self) -> i64 {
        real_ms() / 1000 + self.state.settings.offset
    }

    fn keep(&mut self, change: Change) -> anyhow::Result<()> {
        if change.is_empty() {
            return Ok(());
        }
        self.journal.append(&change)?;
        self.state.apply(change);
        Ok(())
    }
}

/// An answer's whole body is there at once.
pub(crate) type Response = hyper::Response<Full<Bytes>>;

/// A request that is not to be answered: its connection breaks.
#[derive(Debug)]
pub(crate) struct Unanswered;

impl std::fmt::Display for Unanswered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a test asked for no answer")
    }
}

impl std::error::Error for Unanswered {}

/// Answers every request.
pub(crate) async fn handle(server: Arc<Server>, request: Request<Incoming>) -> Result<Response, Unanswered> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or_default();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, "The request is too large.\n"));
    };
    let body = body.to_bytes();
    if path.starts_with(crate::CONTROL) {
        return Ok(control::answer(&server, &parts.method, &path, &body).await);
    }
    if !path.starts_with("/v1/") {
        return Ok(pages::answer(&server, &parts.method, &path, query, &body));
    }
    // Whoever stops waiting does not stop the call: it ends by itself, as it would far away.
    let (answered, answer) = oneshot::channel();
    let (calls, query) = (Arc::clone(&server), query.to_owned());
    let call = async move {
        let answer = api(&server, &parts.method, &path, &query, &parts.headers, &body).await;
        let _ = answered.send(answer);
    };
    {
        let mut under_way = calls.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        while under_way.try_join_next().is_some() {}
        under_way.spawn(call);
    }
    answer.await.unwrap_or(Err(Unanswered))
}

pub(crate) fn plain(status: StatusCode, text: &str) -> Response {
    answer(status, "text/plain; charset=utf-8", text.to_owned())
}

pub(crate) fn answer(status: StatusCode, kind: &'static str, text: String) -> Response {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// What a call of the API is: its line in the list of calls, and its idempotency key.
struct Asked<'a> {
    method: &'a Method,
    path: &'a str,
    params: Params,
    key: Option<String>,
    request: String,
}

async fn api(
    server: &Server,
    method: &Method,
    path: &str,
    query: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, Unanswered> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let request = {
        let mut inner = server.inner();
        inner.requests += 1;
        let number = inner.requests.wrapping_add(real_ms().unsigned_abs() << 16);
        format!("req_{}", tx::letters(inner.state.settings.seed, number, 14))
    };
    // Only what changes something is idempotent by a key.
    let key = header("idempotency-key").filter(|_| method == Method::POST).map(str::to_owned);
    let asked = authorize(&server.key, headers).and_then(|()| {
        let mut text = query.as_bytes().to_vec();
        if !text.is_empty() && !body.is_empty() {
            text.push(b'&');
        }
        text.extend_from_slice(body);
        let params = Params::parse(&text)?;
        if key.as_ref().is_some_and(|key| key.is_empty() || key.chars().count() > KEY_CHARS_MAX) {
            let message = format!("Idempotency keys have 1 to {KEY_CHARS_MAX} characters.");
            return Err(ApiError::form(message).code("invalid_idempotency_key"));
        }
        Ok(Asked { method, path, params, key: key.clone(), request: request.clone() })
    });
    let reply = match asked {
        Ok(asked) => run(server, &asked).await,
        Err(error) => Some(Reply::error(&error)),
    };
    server.wake.notify_one();
    {
        let mut inner = server.inner();
        if inner.calls.len() >= CALLS_MAX {
            inner.calls.pop_front();
        }
        inner.calls.push_back(Call {
            method: method.to_string(),
            path: path.to_owned(),
            status: reply.as_ref().map(|reply| reply.status),
            idempotency_key: key.clone(),
            replayed: reply.as_ref().is_some_and(|reply| reply.replay_of.is_some()),
        });
    }
    let reply = reply.ok_or(Unanswered)?;
    let version = header("stripe-version").unwrap_or(VERSION);
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = answer(status, "application/json", reply.body);
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    };
    set("request-id", &request);
    set("stripe-version", version);
    if let Some(key) = &key {
        set("idempotency-key", key);
    }
    if let Some(original) = &reply.replay_of {
        set("original-request", original);
        set("idempotent-replayed", "true");
    }
    if reply.status == 401 {
        set("www-authenticate", "Bearer realm=\"Stripe\"");
    }
    Ok(response)
}

fn authorize(key: &str, headers: &HeaderMap) -> Result<(), ApiError> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    let given = if scheme.eq_ignore_ascii_case("bearer") {
        rest.trim().to_owned()
    } else if scheme.eq_ignore_ascii_case("basic") {
        let decoded = base64::engine::general_purpose::STANDARD.decode(rest.trim()).unwrap_or_default();
        let text = String::from_utf8(decoded).unwrap_or_default();
        text.split(':').next().unwrap_or_default().to_owned()
    } else {
        String::new()
    };
    if given.is_empty() {
        return Err(ApiError::unauthorized(
            "You did not provide an API key. You need to provide your API key in the Authorization header, using \
             Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See \
             https://stripe.com/docs/api#authentication for details, or we can help at \
             https://support.stripe.com/.",
        ));
    }
    if given != key {
        let shown: String = given.chars().take(7).collect();
        return Err(ApiError::unauthorized(format!("Invalid API Key provided: {shown}****")));
    }
    Ok(())
}

/// Nothing, if it is not to be answered.
async fn run(server: &Server, asked: &Asked<'_>) -> Option<Reply> {
    if let Some(key) = &asked.key {
        let mut inner = server.inner();
        if let Some(reply) = before(&inner, key, asked) {
            return Some(reply);
        }
        inner.running.insert(key.clone());
    }
    // However this ends, the key is free again.
    let _running = Running { server, key: asked.key.as_deref() };
    let fault = server.inner().take_fault(asked);
    let delay = fault.as_ref().map_or(0, |fault| fault.delay_ms);
    let before = fault.as_ref().is_some_and(|fault| fault.when == When::Before);
    if before {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let error = match fault.as_ref().map(|fault| fault.answer) {
        Some(Answer::None) if before => return None,
        Some(Answer::Status(status)) => Some(ApiError::asked_for(status)),
        _ => None,
    };
    let reply = server.inner().carry_out(server, asked, error.as_ref(), before);
    if fault.is_some() && !before {
        // What happened has happened, and its events are on their way, whatever the client learns.
        server.wake.notify_one();
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    match fault.map(|fault| fault.answer) {
        Some(Answer::None) => None,
        _ => Some(reply),
    }
}

/// What a call is answered whose key was used before.
fn before(inner: &Inner, key: &str, asked: &Asked<'_>) -> Option<Reply> {
    if inner.running.contains(key) {
        return Some(Reply::error(&ApiError::in_progress(key)));
    }
    let kept = inner.state.kept.get(key).filter(|kept| inner.now() - kept.at < KEPT_SECONDS)?;
    if kept.path != asked.path || kept.method != asked.method.as_str() {
        return Some(Reply::error(&ApiError::other_parameters(format!(
            "Keys for idempotent requests can only be used for the same endpoint they were first used for \
             ('{}' vs '{}'). Try using a key other than '{key}' if you meant to execute a different request.",
            asked.path, kept.path
        ))));
    }
    if kept.params != asked.params.canonical() {
        return Some(Reply::error(&ApiError::other_parameters(format!(
            "Keys for idempotent requests can only be used with the same parameters they were first used with. \
             Try using a key other than '{key}' if you meant to execute a different request."
        ))));
    }
    Some(Reply { status: kept.status, body: kept.body.clone(), replay_of: Some(kept.request.clone()) })
}

struct Running<'a> {
    server: &'a Server,
    key: Option<&'a str>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.server.inner().running.remove(key);
        }
    }
}

impl Inner {
    fn take_fault(&mut self, asked: &Asked<'_>) -> Option<Fault> {
        let mut taken = None;
        for fault in &mut self.faults {
            if taken.is_none() && fault.meets(asked.method.as_str(), asked.path) {
                taken = Some(fault.clone());
            }
        }
        self.faults.retain(|fault| fault.times > 0);
        taken
    }

    /// Carries a call out, and keeps what it changed together with its answer. `fault`: what it is answered instead.
    fn carry_out(
        &mut self,
        server: &Server,
        asked: &Asked<'_>,
        fault: Option<&ApiError>,
        before: bool,
    ) -> Reply {
        let cause = Cause { request: Some(asked.request.clone()), idempotency_key: asked.key.clone() };
        let mut tx = Tx::new(&self.state, self.now(), &server.base, cause);
        let mut effect = Effect::Changes;
        let mut reply = match fault {
            Some(fault) if before => Reply::error(fault),
            _ => execute(&mut tx, asked, &mut effect),
        };
        if let Some(fault) = fault {
            if before || fault.effect == Effect::Nothing {
                effect = fault.effect;
            }
            reply = Reply::error(fault);
        }
        let now = tx.now;
        let mut change = tx.change();
        if effect != Effect::Changes {
            change = Change { counter: self.state.counter, ..Change::default() };
        }
        if effect != Effect::Nothing
            && let Some(key) = &asked.key
        {
            change.kept = Some(Kept {
                key: key.clone(),
                method: asked.method.to_string(),
                path: asked.path.to_owned(),
                params: asked.params.canonical(),
                request: asked.request.clone(),
                status: reply.status,
                body: reply.body.clone(),
                at: now,
            });
        }
        match self.keep(change) {
            Ok(()) => reply,
            Err(error) => Reply::error(&ApiError::internal(format!("The state cannot be kept: {error:#}"))),
        }
    }
}

/// Finds and calls what answers.
fn execute(tx: &mut Tx<'_>, asked: &Asked<'_>, effect: &mut Effect) -> Reply {
    let result = routes::call(tx, asked.method.as_str(), asked.path, &asked.params)
        .and_then(|value| expand::expand(tx, value, &asked.params.texts("expand")?));
    match result {
        Ok(value) => Reply { status: 200, body: pretty(&value), replay_of: None },
        Err(error) => {
            *effect = error.effect;
            Reply::error(&error)
        }
    }
}

impl Reply {
    fn error(error: &ApiError) -> Self {
        Self { status: error.status, body: pretty(&error.body()), replay_of: None }
    }
}

fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
