//! The table of endpoints: the one source for dispatch, for every template of functions, for the API and its description.
//!
//! The functions of an area share one build artefact. Each is started with its handler's name (`_HANDLER` in a zip, the
//! container's command otherwise), and `serve` picks that row of the area's `ENDPOINTS`. A debug build prints its table
//! (`clips --describe`), so nothing that reads the tables is compiled against the areas, and cargo alone says which
//! areas there are.

use std::sync::Arc;

use domain::{account::Scope, rate::Limit};
use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::{
    ApiError, ApiRequest, ApiResponse, App, Caller, Grant, Item, Operation, Queue, Session, StageError,
    env::Var,
};

/// The usual memory in MB: enough for everything that moves no media.
const MEMORY_MB: u32 = 256;

/// The usual time limit in seconds: API Gateway waits for 30.
const TIMEOUT_S: u32 = 29;

/// The scratch space in MB that Lambda gives for nothing.
const SCRATCH_MB: u32 = 512;

/// One function of the stack.
#[derive(Clone, Copy)]
pub struct Endpoint {
    /// `area.name`, the function's handler.
    pub handler: &'static str,
    /// What calls it.
    pub trigger: Trigger,
    /// Memory in MB, from which its share of a processor follows.
    pub memory_mb: u32,
    /// How many seconds one call may take.
    pub timeout_s: u32,
    /// Scratch space in MB.
    pub scratch_mb: u32,
    /// Whether one job starts many of it at once, which the operator may bound.
    pub many: bool,
    /// The endpoint in the API's description.
    pub operation: Option<fn() -> Operation>,
    settings: &'static [Var],
    grants: &'static [Grant],
}

/// Where an HTTP endpoint is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Upper-case HTTP method.
    pub method: &'static str,
    /// Path with `{parameters}`.
    pub path: &'static str,
}

impl Route {
    /// GET.
    #[must_use]
    pub const fn get(path: &'static str) -> Self {
        Self { method: "GET", path }
    }

    /// POST.
    #[must_use]
    pub const fn post(path: &'static str) -> Self {
        Self { method: "POST", path }
    }

    /// PATCH.
    #[must_use]
    pub const fn patch(path: &'static str) -> Self {
        Self { method: "PATCH", path }
    }

    /// DELETE.
    #[must_use]
    pub const fn delete(path: &'static str) -> Self {
        Self { method: "DELETE", path }
    }
}

/// What no other route takes, as API Gateway has it in a definition.
const REST: Route = Route { method: "ANY", path: "/$default" };

/// When a timer calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// As EventBridge Scheduler writes it: `rate(1 minute)`, `cron(7 * * * ? *)` (UTC).
    pub expression: &'static str,
    /// How often a call that failed is made again; `None` leaves it to AWS.
    pub retries: Option<u32>,
}

type Answer<T, E> = BoxFuture<'static, Result<T, E>>;
type OpenHandler = fn(Arc<App>, ApiRequest) -> Answer<ApiResponse, ApiError>;
type KeyedHandler = fn(Arc<App>, Caller, ApiRequest) -> Answer<ApiResponse, ApiError>;
type SessionHandler = fn(Arc<App>, Session, ApiRequest) -> Answer<ApiResponse, ApiError>;
type StageHandler = fn(Arc<App>, Value) -> Answer<Value, StageError>;
type QueueHandler = fn(Arc<App>, String) -> Answer<(), StageError>;
type ScheduleHandler = fn(Arc<App>) -> Answer<(), StageError>;

/// What calls an endpoint, and the function that answers.
#[derive(Clone, Copy)]
pub enum Trigger {
    /// A request through API Gateway, by anyone. It counts for the client's address.
    Open(Route, OpenHandler),
    /// A page that anyone opens in a browser. It counts for the client's address, and what goes wrong is a page, too.
    Page(Route, OpenHandler),
    /// A request through API Gateway that counts for nobody: by a service that signs what it sends, which its handler checks,
    /// and whose events a limit would keep back; or for a file that is the same for all, for which nothing is read.
    Uncounted(Route, OpenHandler),
    /// A request that no route takes, by anyone. It counts for nobody: nothing is read or written for it.
    Rest(OpenHandler),
    /// A request through API Gateway, by the owner of a key that has the right, or from a browser that has signed in, which
    /// has all rights. It counts for the key, or for all browsers of the account, as the limit says.
    Keyed(Route, Scope, Limit, KeyedHandler),
    /// A request through API Gateway, from a browser that has signed in. It counts for the account.
    Session(Route, SessionHandler),
    /// A state of the state machine, or a direct invocation: JSON in, JSON out.
    Stage(StageHandler),
    /// Messages of a queue, one call each; those that fail come again.
    Queue(Queue, QueueHandler),
    /// A timer.
    Schedule(Schedule, ScheduleHandler),
}

impl Endpoint {
    const fn new(handler: &'static str, trigger: Trigger) -> Self {
        Self {
            handler,
            trigger,
            memory_mb: MEMORY_MB,
            timeout_s: TIMEOUT_S,
            scratch_mb: SCRATCH_MB,
            many: false,
            operation: None,
            settings: &[],
            grants: &[],
        }
    }

    /// One for anyone: [`Trigger::Open`].
    #[must_use]
    pub const fn open(handler: &'static str, route: Route, answers: OpenHandler) -> Self {
        Self::new(handler, Trigger::Open(route, answers))
    }

    /// A page for anyone: [`Trigger::Page`].
    #[must_use]
    pub const fn page(handler: &'static str, route: Route, answers: OpenHandler) -> Self {
        Self::new(handler, Trigger::Page(route, answers))
    }

    /// One that counts for nobody: [`Trigger::Uncounted`].
    #[must_use]
    pub const fn uncounted(handler: &'static str, route: Route, answers: OpenHandler) -> Self {
        Self::new(handler, Trigger::Uncounted(route, answers))
    }

    /// One for what no route takes: [`Trigger::Rest`].
    #[must_use]
    pub const fn rest(handler: &'static str, answers: OpenHandler) -> Self {
        Self::new(handler, Trigger::Rest(answers))
    }

    /// One for owners of keys with a right: [`Trigger::Keyed`].
    #[must_use]
    pub const fn keyed(
        handler: &'static str,
        route: Route,
        scope: Scope,
        limit: Limit,
        answers: KeyedHandler,
    ) -> Self {
        Self::new(handler, Trigger::Keyed(route, scope, limit, answers))
    }

    /// One for browsers that have signed in: [`Trigger::Session`].
    #[must_use]
    pub const fn session(handler: &'static str, route: Route, answers: SessionHandler) -> Self {
        Self::new(handler, Trigger::Session(route, answers))
    }

    /// A stage of a job, or what other functions call: [`Trigger::Stage`].
    #[must_use]
    pub const fn stage(handler: &'static str, performs: StageHandler) -> Self {
        Self::new(handler, Trigger::Stage(performs))
    }

    /// One that a queue calls: [`Trigger::Queue`].
    #[must_use]
    pub const fn queue(handler: &'static str, queue: Queue, takes: QueueHandler) -> Self {
        Self::new(handler, Trigger::Queue(queue, takes))
    }

    /// One that a timer calls: [`Trigger::Schedule`].
    #[must_use]
    pub const fn schedule(handler: &'static str, schedule: Schedule, runs: ScheduleHandler) -> Self {
        Self::new(handler, Trigger::Schedule(schedule, runs))
    }

    /// With more memory than usual, in MB.
    #[must_use]
    pub const fn memory_mb(mut self, memory_mb: u32) -> Self {
        self.memory_mb = memory_mb;
        self
    }

    /// With another time limit than usual, in seconds.
    #[must_use]
    pub const fn timeout_s(mut self, timeout_s: u32) -> Self {
        self.timeout_s = timeout_s;
        self
    }

    /// With more scratch space than usual, in MB.
    #[must_use]
    pub const fn scratch_mb(mut self, scratch_mb: u32) -> Self {
        self.scratch_mb = scratch_mb;
        self
    }

    /// One job starts many of it at once, so the operator may bound how many there are.
    #[must_use]
    pub const fn many(mut self) -> Self {
        self.many = true;
        self
    }

    /// Described by this function: see [`describe!`](crate::describe).
    #[must_use]
    pub const fn described(mut self, operation: Option<fn() -> Operation>) -> Self {
        self.operation = operation;
        self
    }

    /// With these variables, beside those that tell the names of what it may use.
    #[must_use]
    pub const fn settings(mut self, settings: &'static [Var]) -> Self {
        self.settings = settings;
        self
    }

    /// It may do this, beside what its callers' authentication and limits take.
    #[must_use]
    pub const fn may(mut self, grants: &'static [Grant]) -> Self {
        self.grants = grants;
        self
    }

    /// All that it may do, beside writing its log.
    #[must_use]
    pub fn grants(&self) -> Vec<Grant> {
        // Counting is an update; who has a session is read.
        let by_caller: &[Grant] = match self.trigger {
            Trigger::Open(..) | Trigger::Page(..) => &[Grant::Table(&[Item::Update])],
            Trigger::Keyed(..) | Trigger::Session(..) => &[Grant::Table(&[Item::Get, Item::Update])],
            Trigger::Uncounted(..)
            | Trigger::Rest(_)
            | Trigger::Stage(_)
            | Trigger::Queue(..)
            | Trigger::Schedule(..) => &[],
        };
        [by_caller, self.grants].concat()
    }

    /// The environment variables that it has: names of what it may use, then settings.
    #[must_use]
    pub fn env(&self) -> Vec<Var> {
        let by_caller: &[Var] = match self.trigger {
            Trigger::Open(..) | Trigger::Page(..) => &[Var::OpenRequestsPerMinute],
            _ => &[],
        };
        let names = self.grants().into_iter().filter_map(Grant::var);
        let mut env: Vec<Var> = Vec::new();
        for var in names.chain(by_caller.iter().copied()).chain(self.settings.iter().copied()) {
            if !env.contains(&var) {
                env.push(var);
            }
        }
        env
    }

    /// The route, for an HTTP endpoint.
    #[must_use]
    pub const fn route(&self) -> Option<Route> {
        match self.trigger {
            Trigger::Open(route, _)
            | Trigger::Page(route, _)
            | Trigger::Uncounted(route, _)
            | Trigger::Keyed(route, ..)
            | Trigger::Session(route, _) => Some(route),
            Trigger::Rest(_) => Some(REST),
            Trigger::Stage(_) | Trigger::Queue(..) | Trigger::Schedule(..) => None,
        }
    }

    /// Every route that leads to it: HEAD is answered like GET without the body (RFC 9110, section 9.3.2), for which an
    /// HTTP API needs a route of its own.
    #[must_use]
    pub fn routes(&self) -> Vec<Route> {
        let head = |route| Route { method: "HEAD", ..route };
        let own = self.route();
        own.into_iter().chain(own.filter(|route| route.method == "GET").map(head)).collect()
    }

    /// Whether people see its answers.
    #[must_use]
    pub const fn is_page(&self) -> bool {
        matches!(self.trigger, Trigger::Page(..))
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
