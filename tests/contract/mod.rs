//! Files that must agree.

mod asl;
mod calls;
mod deployed;
mod ffmpeg;
mod generated;
mod image;
mod layers;
mod metrics;
mod places;
pub(crate) mod template;
mod time_limits;
