//! The functions that touch media; they run in a container with ffmpeg (`Dockerfile`).

use runtime::{Endpoint, Grant, Item, Object, Prefix, Queue, Secret, Var, handler};

pub mod assemble;
pub mod captions;
pub mod download;
pub mod hear;
pub mod inspect;
mod job;
pub mod join;
mod opening;
mod page;
pub mod plan;
pub mod probe;
pub mod process;
mod secrets;
mod sound;
mod source;
mod stream;
pub mod transfer;
pub mod upload;
pub mod words;
mod work;
mod ytdlp;

/// The endpoints of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::stage("media.probe", handler!(probe::handle; app, input))
        .memory_mb(1769)
        .scratch_mb(2048)
        .settings(&[Var::AllowPrivateSources])
        .may(&[Grant::Secret(Secret::Page)]),
    Endpoint::stage("media.captions", handler!(captions::handle; app, input))
        .memory_mb(1769)
        .settings(&[Var::AllowPrivateSources])
        .may(&[
            Grant::Table(&[Item::Get]),
            Grant::Objects(Prefix::Uploads, &[Object::Get]),
            Grant::Secret(Secret::Page),
        ]),
    Endpoint::stage("media.words", handler!(words::handle; app, input))
        .memory_mb(1769)
        .settings(&[Var::AllowPrivateSources])
        .may(&[
            Grant::Table(&[Item::Get, Item::Update]),
            Grant::Objects(Prefix::Uploads, &[Object::Get]),
            Grant::Objects(Prefix::Index, &[Object::Get]),
            Grant::Objects(Prefix::Words, &[Object::Get, Object::Put]),
            Grant::Secret(Secret::Page),
        ]),
    Endpoint::stage("media.hear", handler!(hear::handle; app, input))
        .memory_mb(1769)
        .timeout_s(900)
        .scratch_mb(10240)
        .settings(&[Var::AllowPrivateSources])
        .may(&[
            Grant::Secret(Secret::Page),
            Grant::Table(&[Item::Get, Item::Update]),
            Grant::Objects(Prefix::Work, &[Object::Put]),
            Grant::Objects(Prefix::Uploads, &[Object::Get]),
            Grant::Objects(Prefix::Index, &[Object::Get, Object::Put]),
        ]),
    Endpoint::queue("media.inspect", Queue::Uploads, handler!(inspect::handle; app, message))
        .memory_mb(1024)
        // S3 may take minutes to put the parts of 5 GB together.
        .timeout_s(300)
        .scratch_mb(2048)
        .may(&[
            Grant::Table(&[Item::Get, Item::Update]),
            Grant::Objects(Prefix::Uploads, &[Object::Delete, Object::Get, Object::Put]),
            Grant::Objects(Prefix::Index, &[Object::Get, Object::Put]),
            Grant::MissingObjects,
        ]),
    Endpoint::stage("media.download", handler!(download::handle; app, input))
        .memory_mb(1769)
        .timeout_s(900)
        .scratch_mb(10240)
        .settings(&[Var::AllowPrivateSources])
        .may(&[
            Grant::Secret(Secret::Page),
            Grant::Table(&[Item::Get, Item::Update]),
            Grant::Objects(Prefix::Work, &[Object::Put]),
            Grant::Objects(Prefix::Uploads, &[Object::Get]),
            Grant::Objects(Prefix::Index, &[Object::Get, Object::Put]),
        ]),
    Endpoint::stage("media.process", handler!(process::handle; app, input))
        .memory_mb(8846)
        .timeout_s(900)
        .scratch_mb(10240)
        .many()
        .may(&[
            Grant::Table(&[Item::Get, Item::Update]),
            Grant::Objects(Prefix::Work, &[Object::Get, Object::Put]),
        ]),
    Endpoint::stage("media.join", handler!(join::handle; app, input))
        .memory_mb(3538)
        .timeout_s(900)
        .scratch_mb(10240)
        .may(&[
            Grant::Table(&[Item::Get, Item::Update]),
            Grant::Objects(Prefix::Work, &[Object::Get, Object::Put]),
        ]),
    Endpoint::stage("media.upload", handler!(upload::handle; app, input)).memory_mb(512).timeout_s(300).may(
        &[
            Grant::Table(&[Item::Get, Item::Update]),
            Grant::Objects(Prefix::Work, &[Object::Get]),
            Grant::Objects(Prefix::Clips, &[Object::Put]),
        ],
    ),
    Endpoint::stage("media.plan", handler!(plan::handle; app, input))
        .memory_mb(1769)
        .timeout_s(300)
        .settings(&[Var::AllowPrivateSources])
        .may(&[
            Grant::Table(&[Item::Get, Item::Update]),
            Grant::Objects(Prefix::Clips, &[Object::Put]),
            Grant::Objects(Prefix::Work, &[Object::Put]),
            Grant::Objects(Prefix::Uploads, &[Object::Get]),
            Grant::Objects(Prefix::Index, &[Object::Get, Object::Put]),
        ]),
    Endpoint::stage("media.transfer", handler!(transfer::handle; app, input))
        .memory_mb(512)
        .timeout_s(900)
        .many()
        .settings(&[Var::AllowPrivateSources])
        .may(&[
            Grant::Table(&[Item::Get, Item::Update]),
            Grant::Objects(Prefix::Uploads, &[Object::Get]),
            Grant::Objects(Prefix::Work, &[Object::Get]),
            Grant::Objects(Prefix::Clips, &[Object::Put]),
            Grant::Objects(Prefix::Work, &[Object::Put]),
        ]),
    Endpoint::stage("media.assemble", handler!(assemble::handle; app, input))
        .memory_mb(3538)
        .timeout_s(900)
        .scratch_mb(2048)
        .settings(&[Var::AllowPrivateSources])
        .may(&[
            Grant::Table(&[Item::Get, Item::Update]),
            Grant::Objects(Prefix::Clips, &[Object::Get]),
            Grant::Objects(Prefix::Uploads, &[Object::Get]),
            Grant::Objects(Prefix::Work, &[Object::Get]),
            Grant::Objects(Prefix::Clips, &[Object::Put]),
        ]),
];
