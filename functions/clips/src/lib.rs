//! `/v1/clip`, `/v1/download`, `/v1/transcript` and what belongs to them: look at a source, ask for a price, a clip, a
//! whole video, what is said in it or when, follow or cancel the job, read the balance; `/v1/clips` and `/v1/storage`, what
//! came of it.

use domain::{account::Scope, rate::Limit};
use runtime::{
    Endpoint, ExecutionCall, Function, Grant, Item, Object, Prefix, Queue, Route, Var, describe, handler,
};

pub mod accept;
pub mod analyze;
mod at_once;
pub mod audio;
pub mod auto;
pub mod balance;
pub mod cancel;
pub mod create;
pub mod download;
pub mod get;
pub mod info;
pub mod library;
pub mod max_cost;
pub mod moments;
pub mod quote;
pub mod storage;
pub mod transcript;
pub mod upload;

/// The grants to accept a job: look at its source, hold its price, start it.
const ACCEPT: &[Grant] = &[
    Grant::Table(&[Item::BatchGet, Item::Get, Item::Put]),
    Grant::Objects(Prefix::Index, &[Object::Get, Object::Put]),
    Grant::Invoke(Function::Probe),
    Grant::Queue(Queue::Dispatch),
    Grant::Start,
];
const ACCEPT_SETTINGS: &[Var] =
    &[Var::ClipSlots, Var::ClipJobsPerHour, Var::Sources, Var::AllowPrivateSources, Var::LookSeconds];

/// What bounds the links that are handed out.
const DELIVER: &[Var] = &[Var::BonusDeliveryGb, Var::DeliveryGb];

/// The grants to move a clip: copy its files, point it to the copies, delete the files that it had.
const MOVE: &[Grant] = &[
    Grant::Table(&[Item::Delete, Item::Get, Item::Put]),
    Grant::Objects(Prefix::Clips, &[Object::Abort, Object::Delete, Object::Get, Object::Put]),
    Grant::MissingObjects,
];

/// The endpoints of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::open("clips.info", Route::post("/v1/clip/info"), handler!(info::handle; app, request))
        .described(describe!(info::operation))
        .settings(&[Var::Sources, Var::AllowPrivateSources, Var::OpenLookSeconds])
        .may(&[Grant::Table(&[Item::Get, Item::Put]), Grant::Invoke(Function::Probe)]),
    Endpoint::keyed(
        "clips.quote",
        Route::post("/v1/clip/quote"),
        Scope::ClipsWrite,
        Limit::Requests,
        handler!(quote::handle; app, caller, request),
    )
    .described(describe!(quote::operation))
    .settings(&[Var::Sources, Var::AllowPrivateSources, Var::LookSeconds])
    .may(&[Grant::Table(&[Item::Get]), Grant::Invoke(Function::Probe)]),
    Endpoint::keyed(
        "clips.create",
        Route::post("/v1/clip"),
        Scope::ClipsWrite,
        Limit::Requests,
        handler!(create::handle; app, caller, request),
    )
    .described(describe!(create::operation))
    .settings(ACCEPT_SETTINGS)
    .may(ACCEPT),
    Endpoint::keyed(
        "clips.auto",
        Route::post("/v1/clip/auto"),
        Scope::ClipsWrite,
        Limit::Requests,
        handler!(auto::handle; app, caller, request),
    )
    .described(describe!(auto::operation))
    .settings(ACCEPT_SETTINGS)
    .may(ACCEPT),
    Endpoint::keyed(
        "clips.analyze",
        Route::post("/v1/clip/analyze"),
        Scope::ClipsWrite,
        Limit::Requests,
        handler!(analyze::handle; app, caller, request),
    )
    .described(describe!(analyze::operation))
    .settings(ACCEPT_SETTINGS)
    .may(&[
        Grant::Table(&[Item::BatchGet, Item::Get, Item::Put]),
        Grant::Objects(Prefix::Index, &[Object::Get, Object::Put]),
        Grant::Invoke(Function::Probe),
        Grant::Invoke(Function::Words),
        Grant::Invoke(Function::Find),
        Grant::Queue(Queue::Dispatch),
        Grant::Start,
    ]),
    Endpoint::keyed(
        "clips.download",
        Route::post("/v1/download"),
        Scope::ClipsWrite,
        Limit::Requests,
        handler!(download::handle; app, caller, request),
    )
    .described(describe!(download::operation))
    .settings(ACCEPT_SETTINGS)
    .may(ACCEPT),
    // GetObject is what a presigned link is allowed to do.
    Endpoint::keyed(
        "clips.get",
        Route::get("/v1/clip/{job_id}"),
        Scope::ClipsRead,
        Limit::StatusReads,
        handler!(get::handle; app, caller, request),
    )
    .described(describe!(get::operation))
    .settings(DELIVER)
    .may(&[Grant::Table(&[Item::BatchGet, Item::Get]), Grant::Objects(Prefix::Clips, &[Object::Get])]),
    Endpoint::keyed(
        "clips.cancel",
        Route::post("/v1/clip/{job_id}/cancel"),
        Scope::ClipsWrite,
        Limit::Requests,
        handler!(cancel::handle; app, caller, request),
    )
    .described(describe!(cancel::operation))
    .may(&[
        Grant::Table(&[Item::Delete, Item::Get, Item::Put]),
        Grant::Queue(Queue::Dispatch),
        Grant::Queue(Queue::Webhooks),
        Grant::Executions(&[ExecutionCall::Stop]),
    ]),
    Endpoint::keyed(
        "clips.transcript",
        Route::post("/v1/transcript"),
        Scope::ClipsWrite,
        Limit::Requests,
        handler!(transcript::handle; app, caller, request),
    )
    .described(describe!(transcript::operation))
    .settings(&[Var::Sources, Var::LookSeconds])
    .may(&[
        Grant::Table(&[Item::BatchGet, Item::Get, Item::Put]),
        Grant::Objects(Prefix::Answers, &[Object::Get, Object::Put]),
        Grant::Invoke(Function::Captions),
    ]),
    Endpoint::keyed(
        "clips.balance",
        Route::get("/v1/balance"),
        Scope::Billing,
        Limit::Requests,
        handler!(balance::handle; app, caller, request),
    )
    .described(describe!(balance::operation))
    .may(&[Grant::Table(&[Item::Get])]),
    // PutObject is what the links are allowed to do.
    Endpoint::keyed(
        "clips.upload_request",
        Route::post("/v1/upload/request"),
        Scope::ClipsWrite,
        Limit::Requests,
        handler!(upload::request::handle; app, caller, request),
    )
    .described(describe!(upload::request::operation))
    .may(&[Grant::Table(&[Item::Put]), Grant::Objects(Prefix::Uploads, &[Object::Put])]),
    Endpoint::keyed(
        "clips.upload_initiate",
        Route::post("/v1/upload/multipart/initiate"),
        Scope::ClipsWrite,
        Limit::Requests,
        handler!(upload::initiate::handle; app, caller, request),
    )
    .described(describe!(upload::initiate::operation))
    .may(&[Grant::Table(&[Item::Put]), Grant::Objects(Prefix::Uploads, &[Object::Abort, Object::Put])]),
    Endpoint::keyed(
        "clips.upload_complete",
        Route::post("/v1/upload/multipart/complete"),
        Scope::ClipsWrite,
        Limit::Requests,
        handler!(upload::complete::handle; app, caller, request),
    )
    .described(describe!(upload::complete::operation))
    .may(&[
        Grant::Table(&[Item::Get]),
        Grant::Objects(Prefix::Uploads, &[Object::Parts]),
        Grant::Queue(Queue::Uploads),
    ]),
    Endpoint::keyed(
        "clips.upload_get",
        Route::get("/v1/upload/{file_id}"),
        Scope::ClipsRead,
        Limit::StatusReads,
        handler!(upload::get::handle; app, caller, request),
    )
    .described(describe!(upload::get::operation))
    .may(&[
        Grant::Table(&[Item::Get]),
        Grant::Objects(Prefix::Uploads, &[Object::Get]),
        Grant::MissingObjects,
        Grant::Queue(Queue::Uploads),
    ]),
    Endpoint::keyed(
        "clips.list",
        Route::get("/v1/clips"),
        Scope::ClipsRead,
        Limit::Requests,
        handler!(library::list::handle; app, caller, request),
    )
    .described(describe!(library::list::operation))
    .settings(DELIVER)
    .may(&[
        Grant::Table(&[Item::BatchGet, Item::Get, Item::Query]),
        Grant::Objects(Prefix::Clips, &[Object::Get]),
    ]),
    Endpoint::keyed(
        "clips.rename",
        Route::patch("/v1/clips/{id}"),
        Scope::ClipsWrite,
        Limit::Requests,
        handler!(library::rename::handle; app, caller, request),
    )
    .described(describe!(library::rename::operation)),
    Endpoint::keyed(
        "clips.delete",
        Route::delete("/v1/clips/{id}"),
        Scope::ClipsWrite,
        Limit::Requests,
        handler!(library::delete::handle; app, caller, request),
    )
    .described(describe!(library::delete::operation))
    .may(&[
        Grant::Table(&[Item::Delete, Item::Get, Item::Put]),
        Grant::Objects(Prefix::Clips, &[Object::Delete]),
    ]),
    Endpoint::keyed(
        "clips.pin",
        Route::post("/v1/clips/{id}/pin"),
        Scope::ClipsWrite,
        Limit::Requests,
        handler!(library::pin::handle; app, caller, request),
    )
    .described(describe!(library::pin::operation))
    .may(MOVE),
    Endpoint::keyed(
        "clips.unpin",
        Route::post("/v1/clips/{id}/unpin"),
        Scope::ClipsWrite,
        Limit::Requests,
        handler!(library::unpin::handle; app, caller, request),
    )
    .described(describe!(library::unpin::operation))
    .may(MOVE),
    Endpoint::keyed(
        "clips.storage",
        Route::get("/v1/storage"),
        Scope::ClipsRead,
        Limit::Requests,
        handler!(storage::get::handle; app, caller, request),
    )
    .described(describe!(storage::get::operation))
    .may(&[Grant::Table(&[Item::Get])]),
    Endpoint::keyed(
        "clips.storage_purchase",
        Route::post("/v1/storage/purchase"),
        Scope::Billing,
        Limit::Requests,
        handler!(storage::purchase::handle; app, caller, request),
    )
    .described(describe!(storage::purchase::operation))
    .may(&[Grant::Table(&[Item::BatchGet, Item::Get, Item::Put])]),
];
