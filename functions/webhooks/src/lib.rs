//! `/v1/webhooks`: the addresses that are told of what happens to an account, and the log of what they were told; `deliver`,
//! which tells them, and `sweep`, which sees to it that it does.

use domain::{
    account::Scope,
    ids::AccountId,
    rate::Limit,
    webhook::{Receiver, Topic, Webhooks},
};
use runtime::{
    ApiError, ApiRequest, App, Endpoint, Grant, Item, Queue, Route, Schedule, Secret, Var, describe, handler,
};
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

/// When what waits is looked after. A failed call is not repeated: the next one comes in a minute.
const EVERY_MINUTE: Schedule = Schedule { expression: "rate(1 minute)", retries: Some(0) };

/// The endpoints of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::keyed(
        "webhooks.create",
        Route::post("/v1/webhooks"),
        Scope::Webhooks,
        Limit::Requests,
        handler!(create::handle; app, caller, request),
    )
    .described(describe!(create::operation))
    .settings(&[Var::AllowPrivateSources])
    .may(&[Grant::Table(&[Item::Check, Item::Get]), Grant::Secret(Secret::Webhooks)]),
    Endpoint::keyed(
        "webhooks.list",
        Route::get("/v1/webhooks"),
        Scope::Webhooks,
        Limit::Requests,
        handler!(list::handle; app, caller, request),
    )
    .described(describe!(list::operation))
    .may(&[Grant::Table(&[Item::Get])]),
    Endpoint::keyed(
        "webhooks.get",
        Route::get("/v1/webhooks/{id}"),
        Scope::Webhooks,
        Limit::Requests,
        handler!(get::handle; app, caller, request),
    )
    .described(describe!(get::operation))
    .may(&[Grant::Table(&[Item::Get])]),
    Endpoint::keyed(
        "webhooks.update",
        Route::patch("/v1/webhooks/{id}"),
        Scope::Webhooks,
        Limit::Requests,
        handler!(update::handle; app, caller, request),
    )
    .described(describe!(update::operation))
    .settings(&[Var::AllowPrivateSources])
    .may(&[Grant::Table(&[Item::Check, Item::Get])]),
    Endpoint::keyed(
        "webhooks.delete",
        Route::delete("/v1/webhooks/{id}"),
        Scope::Webhooks,
        Limit::Requests,
        handler!(delete::handle; app, caller, request),
    )
    .described(describe!(delete::operation))
    .may(&[Grant::Table(&[Item::Check, Item::Get])]),
    Endpoint::keyed(
        "webhooks.rotate",
        Route::post("/v1/webhooks/{id}/rotate"),
        Scope::Webhooks,
        Limit::Requests,
        handler!(rotate::handle; app, caller, request),
    )
    .described(describe!(rotate::operation))
    .may(&[Grant::Table(&[Item::Check, Item::Get]), Grant::Secret(Secret::Webhooks)]),
    Endpoint::keyed(
        "webhooks.test",
        Route::post("/v1/webhooks/{id}/test"),
        Scope::Webhooks,
        Limit::Requests,
        handler!(test::handle; app, caller, request),
    )
    .described(describe!(test::operation))
    .may(&[Grant::Table(&[Item::Get, Item::Put]), Grant::Queue(Queue::Webhooks)]),
    Endpoint::keyed(
        "webhooks.deliveries",
        Route::get("/v1/webhooks/{id}/deliveries"),
        Scope::Webhooks,
        Limit::Requests,
        handler!(deliveries::handle; app, caller, request),
    )
    .described(describe!(deliveries::operation))
    .may(&[Grant::Table(&[Item::Get, Item::Query])]),
    Endpoint::keyed(
        "webhooks.replay",
        Route::post("/v1/webhooks/{id}/deliveries/{delivery_id}/replay"),
        Scope::Webhooks,
        Limit::Requests,
        handler!(replay::handle; app, caller, request),
    )
    .described(describe!(replay::operation))
    .may(&[Grant::Table(&[Item::Get]), Grant::Queue(Queue::Webhooks)]),
    Endpoint::queue("webhooks.deliver", Queue::Webhooks, handler!(deliver::handle; app, message))
        .timeout_s(30)
        .settings(&[Var::AllowPrivateSources])
        .may(&[
            Grant::Table(&[Item::Check, Item::Get, Item::Update]),
            Grant::Secret(Secret::Webhooks),
            Grant::Queue(Queue::Webhooks),
            Grant::Queue(Queue::WebhooksDeadLetters),
        ]),
    // Up to the next call: thousands of orders may be due.
    Endpoint::schedule("webhooks.sweep", EVERY_MINUTE, handler!(sweep::handle; app))
        .memory_mb(512)
        .timeout_s(60)
        .may(&[Grant::Table(&[Item::Get, Item::Update]), Grant::OpenIndex, Grant::Queue(Queue::Webhooks)]),
];

/// The receiver that a path names: a webhook's id, or `jobs`.
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

/// 409: nothing is sent to a webhook that is off.
fn is_off() -> ApiError {
    ApiError::conflict("webhook_disabled", "this webhook is off; switch it on first, with `enabled`")
}

/// The topics that a request names; an empty list means all of them.
fn topics(words: &[String]) -> Result<Vec<Topic>, ApiError> {
    let read = |word: &String| Topic::parse(word).ok_or_else(unknown_topic);
    words.iter().map(read).collect()
}

fn unknown_topic() -> ApiError {
    let known: Vec<String> = Topic::ALL.iter().map(|topic| format!("`{}`", topic.word())).collect();
    ApiError::bad_request(format!("`events` may have {}; leave it empty for all", known.join(", ")))
}
