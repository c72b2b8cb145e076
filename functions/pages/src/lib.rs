//! What is there to read: the API description, later the pages.

use runtime::{Endpoint, Route, Trigger, handler};

pub mod openapi;

/// The endpoints of this area.
pub const ENDPOINTS: &[Endpoint] = &[Endpoint {
    handler: "pages.openapi",
    trigger: Trigger::Open(
        Route { method: "GET", path: "/openapi.json" },
        handler!(openapi::handle; app, request),
    ),
    env: &[],
    actions: &[],
}];
