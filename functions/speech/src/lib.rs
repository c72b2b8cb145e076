//! The functions that listen to what is said, and look through it; they run in a container with the models (`Dockerfile`).
//! They read nothing but samples and words that others have left, so that models never share a process with the parsers of
//! strangers' media.

use runtime::{Endpoint, Grant, Item, Object, Prefix, Var, handler};

pub mod divide;
pub mod find;
pub mod gather;
mod large;
pub mod listen;
mod models;
mod sound;

/// The endpoints of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::stage("speech.divide", handler!(divide::handle; app, input))
        .memory_mb(1769)
        // A minute for three hours of sound.
        .timeout_s(300)
        .settings(&[Var::SpeechModel])
        .may(&[Grant::Table(&[Item::Get, Item::Update]), Grant::Objects(Prefix::Work, &[Object::Get])]),
    Endpoint::stage("speech.listen", handler!(listen::handle; app, input))
        // One processor: a second thread gains nothing, so pieces run side by side.
        .memory_mb(1769)
        .timeout_s(900)
        .many()
        .settings(&[Var::SpeechModel])
        .may(&[
            Grant::Table(&[Item::Get, Item::Update]),
            Grant::Objects(Prefix::Work, &[Object::Get, Object::Put]),
        ]),
    Endpoint::stage("speech.gather", handler!(gather::handle; app, input)).memory_mb(512).may(&[
        Grant::Table(&[Item::Get, Item::Update]),
        Grant::Objects(Prefix::Work, &[Object::Get]),
        Grant::Objects(Prefix::Words, &[Object::Put]),
    ]),
    Endpoint::stage("speech.find", handler!(find::handle; app, input))
        // Two processors: seconds for three hours of speech that nobody has looked through before.
        .memory_mb(3538)
        .timeout_s(60)
        .may(&[
            Grant::Table(&[Item::Get, Item::Update]),
            Grant::Objects(Prefix::Words, &[Object::Get, Object::Put]),
            Grant::LargeModel,
        ]),
];
