//! The stages of a job that need no ffmpeg, and the nets below them: reserve, choose, lose, settle, release, dispatch,
//! sweep, reconcile.

use runtime::{Endpoint, ExecutionCall, Grant, Item, Object, Prefix, Queue, Schedule, Var, handler};

pub mod choose;
pub mod dispatch;
mod end;
pub mod lose;
pub mod reconcile;
pub mod release;
pub mod release_aborted;
pub mod reserve;
pub mod settle;
pub mod sweep;

/// The grants to complete a job: read it and its parts, move its money, raise its events, wake `dispatch`, clear its work files.
const END: &[Grant] = &[
    Grant::Table(&[Item::BatchGet, Item::Delete, Item::Get, Item::Put, Item::Update]),
    Grant::Objects(Prefix::Work, &[Object::Delete]),
    Grant::Queue(Queue::Dispatch),
    Grant::Queue(Queue::Webhooks),
];

/// The grants to fail a job: the same, but for reading its parts at once, and to give up an upload in parts.
const FAIL: &[Grant] = &[
    Grant::Table(&[Item::Delete, Item::Get, Item::Put, Item::Update]),
    Grant::Objects(Prefix::Clips, &[Object::Abort]),
    Grant::Objects(Prefix::Work, &[Object::Delete]),
    Grant::Queue(Queue::Dispatch),
    Grant::Queue(Queue::Webhooks),
];

/// Functions that look after work that got stuck. A failed call is not repeated: the next one comes in a minute.
const EVERY_MINUTE: Schedule = Schedule { expression: "rate(1 minute)", retries: Some(0) };

/// The call at 2:07 (UTC) begins, each goes on where the one before had to stop, the rest find that all is done.
const EVERY_HOUR: Schedule = Schedule { expression: "cron(7 * * * ? *)", retries: None };

/// The endpoints of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::stage("stages.reserve", handler!(reserve::handle; app, input)).may(&[Grant::Table(&[
        Item::Get,
        Item::Put,
        Item::Update,
    ])]),
    Endpoint::stage("stages.choose", handler!(choose::handle; app, input)).may(&[Grant::Table(&[
        Item::Get,
        Item::Put,
        Item::Update,
    ])]),
    Endpoint::stage("stages.lose", handler!(lose::handle; app, input))
        .may(&[Grant::Table(&[Item::Get, Item::Update])]),
    Endpoint::stage("stages.settle", handler!(settle::handle; app, input)).may(END),
    Endpoint::stage("stages.release", handler!(release::handle; app, input)).may(FAIL),
    Endpoint::queue(
        "stages.release_aborted",
        Queue::Aborted,
        handler!(release_aborted::handle; app, message),
    )
    .may(FAIL),
    Endpoint::queue("stages.dispatch", Queue::Dispatch, handler!(dispatch::handle; app, message))
        .settings(&[Var::ClipSlots])
        .may(&[Grant::Table(&[Item::Delete, Item::Get, Item::Query, Item::Update]), Grant::Start]),
    // Up to the next call: thousands of things may be due.
    Endpoint::schedule("stages.sweep", EVERY_MINUTE, handler!(sweep::handle; app))
        .memory_mb(1024)
        .timeout_s(60)
        .may(&[
            Grant::Table(&[Item::Delete, Item::Get, Item::Put, Item::Update]),
            Grant::OpenIndex,
            Grant::Objects(Prefix::Clips, &[Object::Abort]),
            Grant::Objects(Prefix::Clips, &[Object::Delete]),
            Grant::Objects(Prefix::Work, &[Object::Delete]),
            Grant::Queue(Queue::Dispatch),
            Grant::Queue(Queue::Webhooks),
            Grant::Start,
            Grant::Executions(&[ExecutionCall::Describe, ExecutionCall::Stop]),
        ]),
    Endpoint::schedule("stages.reconcile", EVERY_HOUR, handler!(reconcile::handle; app))
        .memory_mb(512)
        .timeout_s(900)
        .may(&[Grant::Table(&[Item::Get, Item::Query, Item::Scan, Item::Update])]),
];
