//! The table of endpoints: the one source for dispatch, for the API description and for the tests that compare it
//! with `template.yaml`.

use std::sync::Arc;

use domain::{account::Scope, rate::Limit};
use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::{ApiError, ApiRequest, ApiResponse, App, Caller, Session, StageError, env::Var};

/// One function of the stack.
#[derive(Clone, Copy)]
pub struct Endpoint {
    /// `area.name`, the function's handler in `template.yaml`.
    pub handler: &'static str,
    /// What calls it.
    pub trigger: Trigger,
    /// The environment variables it has.
    pub env: &'static [Var],
    /// The AWS actions it may use, beside writing its log.
    pub actions: &'static [&'static str],
}

/// Where an HTTP endpoint is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Upper-case HTTP method.
    pub method: &'static str,
    /// Path with `{parameters}`.
    pub path: &'static str,
}

type Answer<T, E> = BoxFuture<'static, Result<T, E>>;

/// What calls an endpoint, and the function that answers.
#[derive(Clone, Copy)]
pub enum Trigger {
    /// A request through API Gateway, by anyone. It counts for the client's address.
    Open(Route, fn(Arc<App>, ApiRequest) -> Answer<ApiResponse, ApiError>),
    /// A page that anyone opens in a browser: GET, and HEAD for whoever only looks whether it is there. It counts for the
    /// client's address, and what goes wrong is a page, too.
    Page(Route, fn(Arc<App>, ApiRequest) -> Answer<ApiResponse, ApiError>),
    /// A request through API Gateway, by the owner of a key that has the right. It counts for the key, as the limit
    /// says.
    Keyed(Route, Scope, Limit, fn(Arc<App>, Caller, ApiRequest) -> Answer<ApiResponse, ApiError>),
    /// A request through API Gateway, from a browser that has signed in.
    Session(Route, fn(Arc<App>, Session, ApiRequest) -> Answer<ApiResponse, ApiError>),
    /// A state of the state machine, or a direct invocation: JSON in, JSON out.
    Stage(fn(Arc<App>, Value) -> Answer<Value, StageError>),
    /// Messages of a queue, one call each; those that fail come again.
    Queue(fn(Arc<App>, String) -> Answer<(), StageError>),
    /// A timer.
    Schedule(fn(Arc<App>) -> Answer<(), StageError>),
}

impl Endpoint {
    /// The route, for an HTTP endpoint.
    #[must_use]
    pub const fn route(&self) -> Option<Route> {
        match self.trigger {
            Trigger::Open(route, _)
            | Trigger::Page(route, _)
            | Trigger::Keyed(route, ..)
            | Trigger::Session(route, _) => Some(route),
            Trigger::Stage(_) | Trigger::Queue(_) | Trigger::Schedule(_) => None,
        }
    }

    /// Every route that leads to it.
    #[must_use]
    pub fn routes(&self) -> Vec<Route> {
        let head = |route| Route { method: "HEAD", ..route };
        self.route().into_iter().chain(self.route().filter(|_| self.is_page()).map(head)).collect()
    }

    /// Whether people see its answers.
    #[must_use]
    pub const fn is_page(&self) -> bool {
        matches!(self.trigger, Trigger::Page(..))
    }

    /// Whether only the owner of an API key may call it.
    #[must_use]
    pub const fn needs_key(&self) -> bool {
        matches!(self.trigger, Trigger::Keyed(..))
    }

    /// Whether only a browser that has signed in may call it.
    #[must_use]
    pub const fn needs_session(&self) -> bool {
        matches!(self.trigger, Trigger::Session(..))
    }

    /// Whether its requests are counted, for a key or for an address.
    #[must_use]
    pub const fn is_limited(&self) -> bool {
        matches!(self.trigger, Trigger::Open(..) | Trigger::Page(..) | Trigger::Keyed(..))
    }

    /// The area, which names the binary and the folder under `functions/`.
    #[must_use]
    pub fn area(&self) -> &'static str {
        self.handler.split_once('.').map_or(self.handler, |(area, _)| area)
    }

    /// Its name within the area.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.handler.split_once('.').map_or(self.handler, |(_, name)| name)
    }
}

/// Makes a plain function pointer of an `async fn`, for the table of endpoints.
#[macro_export]
macro_rules! handler {
    ($function:path; $($argument:ident),+) => {
        |$($argument),+| ::std::boxed::Box::pin($function($($argument),+))
    };
}
