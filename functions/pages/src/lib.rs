//! What is there to read: the API description, later the pages.

use runtime::{Endpoint, Route, Trigger, Var, handler};

pub mod openapi;

/// The endpoints of this area.
pub const ENDPOINTS: &[Endpoint] = &[Endpoint {
    handler: "pages.openapi",
    trigger: Trigger::Open(
        Route { method: "GET", path: "/openapi.json" },
        handler!(openapi::handle; app, request),
    ),
    env: &[Var::TableName, Var::OpenRequestsPerMinute],
    actions: &["dynamodb:UpdateItem"],
}];
