//! What is there for anyone to see: shared clips, as pages and for programs, and the API description.
//!
//! Invariants: whoever has a clip's link sees the clip and nothing of its owner; what has expired, was deleted or never
//! was is one and the same 404; pages work without their script.

use runtime::{Endpoint, Route, Trigger, Var, handler};

pub mod clip;
pub mod embed;
mod html;
pub mod oembed;
pub mod openapi;
pub mod script;
pub mod share;
mod shown;
pub mod view;

/// What it takes to show a clip: count the request, read the clip, sign links to its files.
const SHOW_ENV: &[Var] = &[Var::TableName, Var::MediaBucket, Var::PageUrl, Var::OpenRequestsPerMinute];
const SHOW_ACTIONS: &[&str] = &["dynamodb:GetItem", "dynamodb:UpdateItem", "s3:GetObject"];

/// The endpoints of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        handler: "pages.share",
        trigger: Trigger::Open(
            Route { method: "GET", path: "/v1/share/{clip_id}" },
            handler!(share::handle; app, request),
        ),
        env: SHOW_ENV,
        actions: SHOW_ACTIONS,
    },
    Endpoint {
        handler: "pages.view",
        trigger: Trigger::Open(
            Route { method: "POST", path: "/v1/share/{clip_id}/view" },
            handler!(view::handle; app, request),
        ),
        env: &[Var::TableName, Var::OpenRequestsPerMinute],
        actions: &["dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
    },
    Endpoint {
        handler: "pages.clip",
        trigger: Trigger::Page(
            Route { method: "GET", path: "/c/{clip_id}" },
            handler!(clip::handle; app, request),
        ),
        env: SHOW_ENV,
        actions: SHOW_ACTIONS,
    },
    Endpoint {
        handler: "pages.embed",
        trigger: Trigger::Page(
            Route { method: "GET", path: "/embed/{clip_id}" },
            handler!(embed::handle; app, request),
        ),
        env: SHOW_ENV,
        actions: SHOW_ACTIONS,
    },
    Endpoint {
        handler: "pages.oembed",
        trigger: Trigger::Open(
            Route { method: "GET", path: "/oembed" },
            handler!(oembed::handle; app, request),
        ),
        env: SHOW_ENV,
        actions: SHOW_ACTIONS,
    },
    Endpoint {
        handler: "pages.script",
        trigger: Trigger::Open(
            Route { method: "GET", path: "/share.js" },
            handler!(script::handle; app, request),
        ),
        env: &[Var::TableName, Var::OpenRequestsPerMinute],
        actions: &["dynamodb:UpdateItem"],
    },
    Endpoint {
        handler: "pages.openapi",
        trigger: Trigger::Open(
            Route { method: "GET", path: "/openapi.json" },
            handler!(openapi::handle; app, request),
        ),
        env: &[Var::TableName, Var::OpenRequestsPerMinute],
        actions: &["dynamodb:UpdateItem"],
    },
];
