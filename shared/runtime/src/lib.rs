//! What every function shares: the table of endpoints, start-up, errors, authentication and the request log.
//!
//! A function's `main` is one call, [`serve`]. Invariants: configuration is read once, at start-up, and only the
//! variables an endpoint declares exist for it; a panic is a 500 with a request id; internals are logged, never
//! sent.

mod app;
mod auth;
mod calls;
mod cookie;
mod delivery;
mod described;
mod ending;
mod endpoint;
mod env;
mod errors;
mod events;
mod grant;
mod http;
mod invocation;
mod invoke;
mod json;
mod metrics;
mod operation;
pub mod paging;
pub mod progress;
mod serve;
pub mod sweep;
pub mod time_limits;
mod trace;

pub use app::{App, AppError, Execution};
pub use auth::{Caller, SESSION_COOKIE, Session, identify};
pub use calls::Calls;
pub use delivery::Delivery;
pub use described::{CalledBy, Described, DescribedRoute, Statement};
pub use endpoint::{Endpoint, Route, Schedule, Trigger};
pub use env::{Config, ConfigError, Var, stripe_endpoint};
pub use errors::{ApiError, StageError};
pub use grant::{ExecutionCall, Function, Grant, Item, Object, Prefix, Queue, Secret};
pub use http::{ApiRequest, ApiResponse};
pub use lambda_http::http::StatusCode;
pub use metrics::{Dimension, Metric, Metrics, NAMESPACE, Series, Unit};
pub use operation::{Operation, QueryParameter};
pub use serve::serve;
