//! The stages of a job that need no ffmpeg, and the nets below them: reserve, settle, release, dispatch, sweep,
//! reconcile.

use runtime::{Endpoint, Trigger, Var, handler};

pub mod dispatch;
mod end;
pub mod reconcile;
pub mod release;
pub mod release_aborted;
pub mod reserve;
pub mod settle;
pub mod sweep;

/// What it takes to end a job well: read it, move its money, tell of it, wake `dispatch`, clear its work files.
const END_ENV: &[Var] = &[Var::TableName, Var::MediaBucket, Var::DispatchQueueUrl, Var::WebhooksQueueUrl];
const END_ACTIONS: &[&str] = &[
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "s3:DeleteObject",
    "sqs:SendMessage",
];
/// The same, and to give up an upload in parts.
const FAIL_ACTIONS: &[&str] = &[
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "sqs:SendMessage",
];

/// The endpoints of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        handler: "stages.reserve",
        trigger: Trigger::Stage(handler!(reserve::handle; app, input)),
        env: &[Var::TableName],
        actions: &["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
    },
    Endpoint {
        handler: "stages.settle",
        trigger: Trigger::Stage(handler!(settle::handle; app, input)),
        env: END_ENV,
        actions: END_ACTIONS,
    },
    Endpoint {
        handler: "stages.release",
        trigger: Trigger::Stage(handler!(release::handle; app, input)),
        env: END_ENV,
        actions: FAIL_ACTIONS,
    },
    Endpoint {
        handler: "stages.release_aborted",
        trigger: Trigger::Queue(handler!(release_aborted::handle; app, message)),
        env: END_ENV,
        actions: FAIL_ACTIONS,
    },
    Endpoint {
        handler: "stages.dispatch",
        trigger: Trigger::Queue(handler!(dispatch::handle; app, message)),
        env: &[Var::TableName, Var::ClipMachineArn, Var::ClipSlots],
        actions: &[
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
            "states:StartExecution",
        ],
    },
    Endpoint {
        handler: "stages.sweep",
        trigger: Trigger::Schedule(handler!(sweep::handle; app)),
        env: &[
            Var::TableName,
            Var::MediaBucket,
            Var::DispatchQueueUrl,
            Var::WebhooksQueueUrl,
            Var::ClipMachineArn,
        ],
        actions: &[
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
            "s3:AbortMultipartUpload",
            "s3:DeleteObject",
            "sqs:SendMessage",
            "states:DescribeExecution",
            "states:StartExecution",
            "states:StopExecution",
        ],
    },
    Endpoint {
        handler: "stages.reconcile",
        trigger: Trigger::Schedule(handler!(reconcile::handle; app)),
        env: &[Var::TableName],
        actions: &["dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:UpdateItem"],
    },
];
