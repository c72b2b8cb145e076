//! `/v1/webhooks`: the addresses that are told of what happens to an account, and the log of what they were told; `deliver`,
//! which tells them, and `sweep`, which sees to it that it does.

use domain::{
    account::Scope,
    ids::AccountId,
    rate::Limit,
    webhook::{Receiver, Topic, Webhooks},
};
use runtime::{ApiError, ApiRequest, App, Endpoint, Route, Trigger, Var, handler};
use store::StoreError;

pub mod create;
pub mod delete;
pub mod deliver;
pub mod deliveries;
pub mod get;
pub mod list;
pub mod replay;
mod root;
pub mod rotate;
pub mod sweep;
pub mod test;
pub mod update;
pub mod view;

/// The endpoints of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        handler: "webhooks.create",
        trigger: Trigger::Keyed(
            Route { method: "POST", path: "/v1/webhooks" },
            Scope::Webhooks,
            Limit::Requests,
            handler!(create::handle; app, caller, request),
        ),
        env: &[Var::TableName, Var::WebhooksSecretArn, Var::AllowPrivateSources],
        actions: &[
            "dynamodb:ConditionCheckItem",
            "dynamodb:GetItem",
            "dynamodb:UpdateItem",
            "secretsmanager:GetSecretValue",
        ],
    },
    Endpoint {
        handler: "webhooks.list",
        trigger: Trigger::Keyed(
            Route { method: "GET", path: "/v1/webhooks" },
            Scope::Webhooks,
            Limit::Requests,
            handler!(list::handle; app, caller, request),
        ),
        env: &[Var::TableName],
        actions: &["dynamodb:GetItem", "dynamodb:UpdateItem"],
    },
    Endpoint {
        handler: "webhooks.get",
        trigger: Trigger::Keyed(
            Route { method: "GET", path: "/v1/webhooks/{id}" },
            Scope::Webhooks,
            Limit::Requests,
            handler!(get::handle; app, caller, request),
        ),
        env: &[Var::TableName],
        actions: &["dynamodb:GetItem", "dynamodb:UpdateItem"],
    },
    Endpoint {
        handler: "webhooks.update",
        trigger: Trigger::Keyed(
            Route { method: "PATCH", path: "/v1/webhooks/{id}" },
            Scope::Webhooks,
            Limit::Requests,
            handler!(update::handle; app, caller, request),
        ),
        env: &[Var::TableName, Var::AllowPrivateSources],
        actions: &["dynamodb:ConditionCheckItem", "dynamodb:GetItem", "dynamodb:UpdateItem"],
    },
    Endpoint {
        handler: "webhooks.delete",
        trigger: Trigger::Keyed(
            Route { method: "DELETE", path: "/v1/webhooks/{id}" },
            Scope::Webhooks,
            Limit::Requests,
            handler!(delete::handle; app, caller, request),
        ),
        env: &[Var::TableName],
        actions: &["dynamodb:ConditionCheckItem", "dynamodb:GetItem", "dynamodb:UpdateItem"],
    },
    Endpoint {
        handler: "webhooks.rotate",
        trigger: Trigger::Keyed(
            Route { method: "POST", path: "/v1/webhooks/{id}/rotate" },
            Scope::Webhooks,
            Limit::Requests,
            handler!(rotate::handle; app, caller, request),
        ),
        env: &[Var::TableName, Var::WebhooksSecretArn],
        actions: &[
            "dynamodb:ConditionCheckItem",
            "dynamodb:GetItem",
            "dynamodb:UpdateItem",
            "secretsmanager:GetSecretValue",
        ],
    },
    Endpoint {
        handler: "webhooks.test",
        trigger: Trigger::Keyed(
            Route { method: "POST", path: "/v1/webhooks/{id}/test" },
            Scope::Webhooks,
            Limit::Requests,
            handler!(test::handle; app, caller, request),
        ),
        env: &[Var::TableName, Var::WebhooksQueueUrl],
        actions: &["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "sqs:SendMessage"],
    },
    Endpoint {
        handler: "webhooks.deliveries",
        trigger: Trigger::Keyed(
            Route { method: "GET", path: "/v1/webhooks/{id}/deliveries" },
            Scope::Webhooks,
            Limit::Requests,
            handler!(deliveries::handle; app, caller, request),
        ),
        env: &[Var::TableName],
        actions: &["dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem"],
    },
    Endpoint {
        handler: "webhooks.replay",
        trigger: Trigger::Keyed(
            Route { method: "POST", path: "/v1/webhooks/{id}/deliveries/{delivery_id}/replay" },
            Scope::Webhooks,
            Limit::Requests,
            handler!(replay::handle; app, caller, request),
        ),
        env: &[Var::TableName, Var::WebhooksQueueUrl],
        actions: &["dynamodb:GetItem", "dynamodb:UpdateItem", "sqs:SendMessage"],
    },
    Endpoint {
        handler: "webhooks.deliver",
        trigger: Trigger::Queue(handler!(deliver::handle; app, message)),
        env: &[
            Var::TableName,
            Var::WebhooksQueueUrl,
            Var::WebhooksDeadLettersUrl,
            Var::WebhooksSecretArn,
            Var::AllowPrivateSources,
        ],
        actions: &[
            "dynamodb:ConditionCheckItem",
            "dynamodb:GetItem",
            "dynamodb:UpdateItem",
            "secretsmanager:GetSecretValue",
            "sqs:SendMessage",
        ],
    },
    Endpoint {
        handler: "webhooks.sweep",
        trigger: Trigger::Schedule(handler!(sweep::handle; app)),
        env: &[Var::TableName, Var::WebhooksQueueUrl],
        actions: &["dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem", "sqs:SendMessage"],
    },
];

/// The receiver that a path names: an endpoint's id, or `jobs`.
fn receiver(request: &ApiRequest) -> Result<Receiver, ApiError> {
    Receiver::parse(&request.path("id")).ok_or_else(no_webhook)
}

/// Changes the caller's webhooks by `decide`; what it refuses is `refusal`.
///
/// # Errors
/// `refusal`; 401 if the account was closed a moment ago.
async fn change<T>(
    app: &App,
    account: &AccountId,
    refusal: impl FnOnce() -> ApiError,
    decide: impl Fn(&mut Webhooks) -> Option<T>,
) -> Result<T, ApiError> {
    let changed = app.table()?.change_webhooks(account, |webhooks| decide(webhooks).ok_or(()));
    match changed.await {
        Ok(changed) => changed.map_err(|()| refusal()),
        Err(StoreError::NotFound) => Err(ApiError::invalid_key()),
        Err(problem) => Err(problem.into()),
    }
}

fn no_webhook() -> ApiError {
    ApiError::not_found("webhook")
}

/// 409: nothing is sent to an endpoint that is off.
fn is_off() -> ApiError {
    ApiError::conflict("webhook_disabled", "this webhook is off; switch it on first, with `enabled`")
}

/// The topics that a request names; none of them is all of them.
fn topics(words: &[String]) -> Result<Vec<Topic>, ApiError> {
    let read = |word: &String| Topic::parse(word).ok_or_else(unknown_topic);
    words.iter().map(read).collect()
}

fn unknown_topic() -> ApiError {
    let known: Vec<String> = Topic::ALL.iter().map(|topic| format!("`{}`", topic.word())).collect();
    ApiError::bad_request(format!("`events` may have {}; leave it empty for all", known.join(", ")))
}
