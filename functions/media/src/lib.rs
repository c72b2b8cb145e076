//! The functions that touch media; they run in a container with ffmpeg (`Dockerfile`).

use runtime::{Endpoint, Trigger, Var, handler};

pub mod assemble;
pub mod captions;
pub mod download;
pub mod inspect;
mod job;
pub mod join;
mod opening;
mod page;
pub mod plan;
pub mod probe;
pub mod process;
mod secrets;
mod source;
mod stream;
pub mod transfer;
pub mod upload;
mod work;
mod ytdlp;

/// The endpoints of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        handler: "media.probe",
        trigger: Trigger::Stage(handler!(probe::handle; app, input)),
        env: &[Var::AllowPrivateSources, Var::PageSecretArn],
        actions: &["secretsmanager:GetSecretValue"],
    },
    Endpoint {
        handler: "media.captions",
        trigger: Trigger::Stage(handler!(captions::handle; app, input)),
        env: &[Var::TableName, Var::MediaBucket, Var::AllowPrivateSources, Var::PageSecretArn],
        actions: &["dynamodb:GetItem", "s3:GetObject", "secretsmanager:GetSecretValue"],
    },
    Endpoint {
        handler: "media.inspect",
        trigger: Trigger::Queue(handler!(inspect::handle; app, message)),
        env: &[Var::TableName, Var::MediaBucket],
        actions: &[
            "dynamodb:GetItem",
            "dynamodb:UpdateItem",
            "s3:DeleteObject",
            "s3:GetObject",
            "s3:ListBucket",
            "s3:PutObject",
        ],
    },
    Endpoint {
        handler: "media.download",
        trigger: Trigger::Stage(handler!(download::handle; app, input)),
        env: &[Var::TableName, Var::MediaBucket, Var::AllowPrivateSources, Var::PageSecretArn],
        actions: &[
            "dynamodb:GetItem",
            "dynamodb:UpdateItem",
            "s3:GetObject",
            "s3:PutObject",
            "secretsmanager:GetSecretValue",
        ],
    },
    Endpoint {
        handler: "media.process",
        trigger: Trigger::Stage(handler!(process::handle; app, input)),
        env: &[Var::TableName, Var::MediaBucket],
        actions: &["dynamodb:GetItem", "dynamodb:UpdateItem", "s3:GetObject", "s3:PutObject"],
    },
    Endpoint {
        handler: "media.join",
        trigger: Trigger::Stage(handler!(join::handle; app, input)),
        env: &[Var::TableName, Var::MediaBucket],
        actions: &["dynamodb:GetItem", "dynamodb:UpdateItem", "s3:GetObject", "s3:PutObject"],
    },
    Endpoint {
        handler: "media.upload",
        trigger: Trigger::Stage(handler!(upload::handle; app, input)),
        env: &[Var::TableName, Var::MediaBucket],
        actions: &["dynamodb:GetItem", "dynamodb:UpdateItem", "s3:GetObject", "s3:PutObject"],
    },
    Endpoint {
        handler: "media.plan",
        trigger: Trigger::Stage(handler!(plan::handle; app, input)),
        env: &[Var::TableName, Var::MediaBucket, Var::AllowPrivateSources],
        actions: &["dynamodb:GetItem", "dynamodb:UpdateItem", "s3:GetObject", "s3:PutObject"],
    },
    Endpoint {
        handler: "media.transfer",
        trigger: Trigger::Stage(handler!(transfer::handle; app, input)),
        env: &[Var::TableName, Var::MediaBucket, Var::AllowPrivateSources],
        actions: &["dynamodb:GetItem", "dynamodb:UpdateItem", "s3:GetObject", "s3:PutObject"],
    },
    Endpoint {
        handler: "media.assemble",
        trigger: Trigger::Stage(handler!(assemble::handle; app, input)),
        env: &[Var::TableName, Var::MediaBucket, Var::AllowPrivateSources],
        actions: &["dynamodb:GetItem", "dynamodb:UpdateItem", "s3:GetObject", "s3:PutObject"],
    },
];
