//! Accounts: signing in without passwords, API keys, the account itself and its transactions, and the two queues
//! behind them, mail and erasure.
//!
//! Invariants: no answer tells whether an address is known; a secret is shown or sent once and stored as its digest
//! only; whoever signs in gets a session that nobody knew before.

use domain::{account::Scope, rate::Limit};
use runtime::{Endpoint, Route, Trigger, Var, handler};

pub mod begin;
pub mod close;
pub mod create_key;
pub mod delete_key;
pub mod erase;
pub mod get;
pub mod list_keys;
pub mod login;
pub mod logout;
pub mod mail;
pub mod page;
mod secrets;
pub mod signup;
pub mod transaction;
pub mod transactions;
pub mod update;
pub mod verify;

/// What it takes to send a link: count, write it down, hand it to the mail queue.
const BEGIN_ENV: &[Var] = &[Var::TableName, Var::MailQueueUrl, Var::OpenRequestsPerMinute, Var::MailsPerHour];
const BEGIN_ACTIONS: &[&str] = &["dynamodb:PutItem", "dynamodb:UpdateItem", "sqs:SendMessage"];

/// The endpoints of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        handler: "accounts.signup",
        trigger: Trigger::Open(
            Route { method: "POST", path: "/v1/auth/signup" },
            handler!(signup::handle; app, request),
        ),
        env: BEGIN_ENV,
        actions: BEGIN_ACTIONS,
    },
    Endpoint {
        handler: "accounts.login",
        trigger: Trigger::Open(
            Route { method: "POST", path: "/v1/auth/login" },
            handler!(login::handle; app, request),
        ),
        env: BEGIN_ENV,
        actions: BEGIN_ACTIONS,
    },
    Endpoint {
        handler: "accounts.page",
        trigger: Trigger::Page(
            Route { method: "GET", path: "/sign-in" },
            handler!(page::handle; app, request),
        ),
        env: &[Var::TableName, Var::OpenRequestsPerMinute],
        actions: &["dynamodb:UpdateItem"],
    },
    Endpoint {
        handler: "accounts.verify",
        trigger: Trigger::Open(
            Route { method: "POST", path: "/v1/auth/verify" },
            handler!(verify::handle; app, request),
        ),
        env: &[Var::TableName, Var::OpenRequestsPerMinute],
        actions: &[
            "dynamodb:BatchGetItem",
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
        ],
    },
    Endpoint {
        handler: "accounts.logout",
        trigger: Trigger::Session(
            Route { method: "POST", path: "/v1/auth/logout" },
            handler!(logout::handle; app, session, request),
        ),
        env: &[Var::TableName],
        actions: &["dynamodb:DeleteItem", "dynamodb:GetItem"],
    },
    Endpoint {
        handler: "accounts.list_keys",
        trigger: Trigger::Session(
            Route { method: "GET", path: "/v1/keys" },
            handler!(list_keys::handle; app, session, request),
        ),
        env: &[Var::TableName],
        actions: &["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"],
    },
    Endpoint {
        handler: "accounts.create_key",
        trigger: Trigger::Session(
            Route { method: "POST", path: "/v1/keys" },
            handler!(create_key::handle; app, session, request),
        ),
        env: &[Var::TableName],
        actions: &["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
    },
    Endpoint {
        handler: "accounts.delete_key",
        trigger: Trigger::Session(
            Route { method: "DELETE", path: "/v1/keys/{id}" },
            handler!(delete_key::handle; app, session, request),
        ),
        env: &[Var::TableName],
        actions: &["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:UpdateItem"],
    },
    Endpoint {
        handler: "accounts.get",
        trigger: Trigger::Session(
            Route { method: "GET", path: "/v1/account" },
            handler!(get::handle; app, session, request),
        ),
        env: &[Var::TableName],
        actions: &["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
    },
    Endpoint {
        handler: "accounts.update",
        trigger: Trigger::Session(
            Route { method: "PATCH", path: "/v1/account" },
            handler!(update::handle; app, session, request),
        ),
        env: &[Var::TableName],
        actions: &["dynamodb:GetItem", "dynamodb:UpdateItem"],
    },
    Endpoint {
        handler: "accounts.close",
        trigger: Trigger::Session(
            Route { method: "DELETE", path: "/v1/account" },
            handler!(close::handle; app, session, request),
        ),
        env: &[Var::TableName, Var::EraseQueueUrl],
        actions: &[
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
            "sqs:SendMessage",
        ],
    },
    Endpoint {
        handler: "accounts.transactions",
        trigger: Trigger::Keyed(
            Route { method: "GET", path: "/v1/transactions" },
            Scope::Billing,
            Limit::Requests,
            handler!(transactions::handle; app, caller, request),
        ),
        env: &[Var::TableName],
        actions: &["dynamodb:Query", "dynamodb:UpdateItem"],
    },
    Endpoint {
        handler: "accounts.transaction",
        trigger: Trigger::Keyed(
            Route { method: "GET", path: "/v1/transactions/{id}" },
            Scope::Billing,
            Limit::Requests,
            handler!(transaction::handle; app, caller, request),
        ),
        env: &[Var::TableName],
        actions: &["dynamodb:GetItem", "dynamodb:UpdateItem"],
    },
    Endpoint {
        handler: "accounts.mail",
        trigger: Trigger::Queue(handler!(mail::handle; app, message)),
        env: &[Var::MailFrom, Var::PublicUrl],
        actions: &["ses:SendEmail"],
    },
    Endpoint {
        handler: "accounts.erase",
        trigger: Trigger::Queue(handler!(erase::handle; app, message)),
        env: &[Var::TableName, Var::MediaBucket],
        actions: &[
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
            "s3:AbortMultipartUpload",
            "s3:DeleteObject",
        ],
    },
];
