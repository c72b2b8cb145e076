//! `/v1/clip`, `/v1/download`, `/v1/transcript` and what belongs to them: look at a source, ask for a price, a clip, a
//! whole video or what is said in it, follow or cancel the job, read the balance; `/v1/clips` and `/v1/storage`, what
//! came of it.

use domain::{account::Scope, rate::Limit};
use runtime::{Endpoint, Route, Trigger, Var, handler};

pub mod accept;
pub mod balance;
pub mod cancel;
pub mod create;
pub mod download;
pub mod get;
pub mod info;
pub mod library;
pub mod max_cost;
pub mod quote;
pub mod storage;
pub mod transcript;
pub mod upload;

/// What it takes to accept a job: look at its source, hold its price, start it.
const ACCEPT_ENV: &[Var] = &[
    Var::TableName,
    Var::ClipMachineArn,
    Var::DispatchQueueUrl,
    Var::ClipSlots,
    Var::ClipJobsPerHour,
    Var::ProbeFunction,
    Var::MediaBucket,
    Var::Sources,
    Var::AllowPrivateSources,
];
const ACCEPT_ACTIONS: &[&str] = &[
    "dynamodb:BatchGetItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "lambda:InvokeFunction",
    "s3:GetObject",
    "s3:PutObject",
    "sqs:SendMessage",
    "states:StartExecution",
];

/// What it takes to move a clip: copy its files, point it to the copies, delete the files that it had. Who may list the
/// bucket is told "not found" of a file that has gone; others are told "denied".
const MOVE_ACTIONS: &[&str] = &[
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:PutObject",
];

/// The endpoints of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        handler: "clips.info",
        trigger: Trigger::Open(
            Route { method: "POST", path: "/v1/clip/info" },
            handler!(info::handle; app, request),
        ),
        env: &[
            Var::TableName,
            Var::OpenRequestsPerMinute,
            Var::ProbeFunction,
            Var::Sources,
            Var::AllowPrivateSources,
        ],
        actions: &["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "lambda:InvokeFunction"],
    },
    Endpoint {
        handler: "clips.quote",
        trigger: Trigger::Keyed(
            Route { method: "POST", path: "/v1/clip/quote" },
            Scope::ClipsWrite,
            Limit::Requests,
            handler!(quote::handle; app, caller, request),
        ),
        env: &[Var::TableName, Var::ProbeFunction, Var::Sources, Var::AllowPrivateSources],
        actions: &["dynamodb:GetItem", "dynamodb:UpdateItem", "lambda:InvokeFunction"],
    },
    Endpoint {
        handler: "clips.create",
        trigger: Trigger::Keyed(
            Route { method: "POST", path: "/v1/clip" },
            Scope::ClipsWrite,
            Limit::Requests,
            handler!(create::handle; app, caller, request),
        ),
        env: ACCEPT_ENV,
        actions: ACCEPT_ACTIONS,
    },
    Endpoint {
        handler: "clips.download",
        trigger: Trigger::Keyed(
            Route { method: "POST", path: "/v1/download" },
            Scope::ClipsWrite,
            Limit::Requests,
            handler!(download::handle; app, caller, request),
        ),
        env: ACCEPT_ENV,
        actions: ACCEPT_ACTIONS,
    },
    Endpoint {
        handler: "clips.get",
        trigger: Trigger::Keyed(
            Route { method: "GET", path: "/v1/clip/{job_id}" },
            Scope::ClipsRead,
            Limit::StatusReads,
            handler!(get::handle; app, caller, request),
        ),
        env: &[Var::TableName, Var::MediaBucket],
        // GetObject is what a presigned link is allowed to do.
        actions: &["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:UpdateItem", "s3:GetObject"],
    },
    Endpoint {
        handler: "clips.cancel",
        trigger: Trigger::Keyed(
            Route { method: "POST", path: "/v1/clip/{job_id}/cancel" },
            Scope::ClipsWrite,
            Limit::Requests,
            handler!(cancel::handle; app, caller, request),
        ),
        env: &[Var::TableName, Var::ClipMachineArn, Var::DispatchQueueUrl, Var::WebhooksQueueUrl],
        actions: &[
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
            "sqs:SendMessage",
            "states:StopExecution",
        ],
    },
    Endpoint {
        handler: "clips.transcript",
        trigger: Trigger::Keyed(
            Route { method: "POST", path: "/v1/transcript" },
            Scope::ClipsWrite,
            Limit::Requests,
            handler!(transcript::handle; app, caller, request),
        ),
        env: &[Var::TableName, Var::MediaBucket, Var::CaptionsFunction, Var::Sources],
        actions: &[
            "dynamodb:BatchGetItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
            "lambda:InvokeFunction",
            "s3:GetObject",
            "s3:PutObject",
        ],
    },
    Endpoint {
        handler: "clips.balance",
        trigger: Trigger::Keyed(
            Route { method: "GET", path: "/v1/balance" },
            Scope::Billing,
            Limit::Requests,
            handler!(balance::handle; app, caller, request),
        ),
        env: &[Var::TableName],
        actions: &["dynamodb:GetItem", "dynamodb:UpdateItem"],
    },
    Endpoint {
        handler: "clips.upload_request",
        trigger: Trigger::Keyed(
            Route { method: "POST", path: "/v1/upload/request" },
            Scope::ClipsWrite,
            Limit::Requests,
            handler!(upload::request::handle; app, caller, request),
        ),
        env: &[Var::TableName, Var::MediaBucket],
        // PutObject is what the links are allowed to do.
        actions: &["dynamodb:PutItem", "dynamodb:UpdateItem", "s3:PutObject"],
    },
    Endpoint {
        handler: "clips.upload_initiate",
        trigger: Trigger::Keyed(
            Route { method: "POST", path: "/v1/upload/multipart/initiate" },
            Scope::ClipsWrite,
            Limit::Requests,
            handler!(upload::initiate::handle; app, caller, request),
        ),
        env: &[Var::TableName, Var::MediaBucket],
        actions: &["dynamodb:PutItem", "dynamodb:UpdateItem", "s3:AbortMultipartUpload", "s3:PutObject"],
    },
    Endpoint {
        handler: "clips.upload_complete",
        trigger: Trigger::Keyed(
            Route { method: "POST", path: "/v1/upload/multipart/complete" },
            Scope::ClipsWrite,
            Limit::Requests,
            handler!(upload::complete::handle; app, caller, request),
        ),
        env: &[Var::TableName, Var::MediaBucket, Var::UploadsQueueUrl],
        actions: &[
            "dynamodb:GetItem",
            "dynamodb:UpdateItem",
            "s3:ListMultipartUploadParts",
            "sqs:SendMessage",
        ],
    },
    Endpoint {
        handler: "clips.upload_get",
        trigger: Trigger::Keyed(
            Route { method: "GET", path: "/v1/upload/{file_id}" },
            Scope::ClipsRead,
            Limit::StatusReads,
            handler!(upload::get::handle; app, caller, request),
        ),
        env: &[Var::TableName, Var::MediaBucket, Var::UploadsQueueUrl],
        // Who may list the bucket is told "not found" of a file that has not arrived; others are told "denied".
        actions: &[
            "dynamodb:GetItem",
            "dynamodb:UpdateItem",
            "s3:GetObject",
            "s3:ListBucket",
            "sqs:SendMessage",
        ],
    },
    Endpoint {
        handler: "clips.list",
        trigger: Trigger::Keyed(
            Route { method: "GET", path: "/v1/clips" },
            Scope::ClipsRead,
            Limit::Requests,
            handler!(library::list::handle; app, caller, request),
        ),
        env: &[Var::TableName, Var::MediaBucket],
        actions: &[
            "dynamodb:BatchGetItem",
            "dynamodb:GetItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
            "s3:GetObject",
        ],
    },
    Endpoint {
        handler: "clips.rename",
        trigger: Trigger::Keyed(
            Route { method: "PATCH", path: "/v1/clips/{id}" },
            Scope::ClipsWrite,
            Limit::Requests,
            handler!(library::rename::handle; app, caller, request),
        ),
        env: &[Var::TableName],
        actions: &["dynamodb:UpdateItem"],
    },
    Endpoint {
        handler: "clips.delete",
        trigger: Trigger::Keyed(
            Route { method: "DELETE", path: "/v1/clips/{id}" },
            Scope::ClipsWrite,
            Limit::Requests,
            handler!(library::delete::handle; app, caller, request),
        ),
        env: &[Var::TableName, Var::MediaBucket],
        actions: &[
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
            "s3:DeleteObject",
        ],
    },
    Endpoint {
        handler: "clips.pin",
        trigger: Trigger::Keyed(
            Route { method: "POST", path: "/v1/clips/{id}/pin" },
            Scope::ClipsWrite,
            Limit::Requests,
            handler!(library::pin::handle; app, caller, request),
        ),
        env: &[Var::TableName, Var::MediaBucket],
        actions: MOVE_ACTIONS,
    },
    Endpoint {
        handler: "clips.unpin",
        trigger: Trigger::Keyed(
            Route { method: "POST", path: "/v1/clips/{id}/unpin" },
            Scope::ClipsWrite,
            Limit::Requests,
            handler!(library::unpin::handle; app, caller, request),
        ),
        env: &[Var::TableName, Var::MediaBucket],
        actions: MOVE_ACTIONS,
    },
    Endpoint {
        handler: "clips.storage",
        trigger: Trigger::Keyed(
            Route { method: "GET", path: "/v1/storage" },
            Scope::ClipsRead,
            Limit::Requests,
            handler!(storage::get::handle; app, caller, request),
        ),
        env: &[Var::TableName],
        actions: &["dynamodb:GetItem", "dynamodb:UpdateItem"],
    },
    Endpoint {
        handler: "clips.storage_purchase",
        trigger: Trigger::Keyed(
            Route { method: "POST", path: "/v1/storage/purchase" },
            Scope::Billing,
            Limit::Requests,
            handler!(storage::purchase::handle; app, caller, request),
        ),
        env: &[Var::TableName],
        actions: &["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
    },
];
