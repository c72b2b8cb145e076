//! The functions that look through what is said. They read nothing but words that others have kept, so that models never
//! share a process with the parsers of strangers' media.

use runtime::{Endpoint, Grant, Item, Object, Prefix, handler};

pub mod find;
mod large;

/// The endpoints of this area.
pub const ENDPOINTS: &[Endpoint] = &[Endpoint::stage("speech.find", handler!(find::handle; app, input))
    // Two processors: seconds for three hours of speech that nobody has looked through before.
    .memory_mb(3538)
    .timeout_s(60)
    .may(&[
        Grant::Table(&[Item::Get, Item::Update]),
        Grant::Objects(Prefix::Words, &[Object::Get, Object::Put]),
        Grant::LargeModel,
    ])];
