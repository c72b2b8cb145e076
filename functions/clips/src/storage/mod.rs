//! `/v1/storage`: the room for pinned clips.

pub mod get;
pub mod purchase;
