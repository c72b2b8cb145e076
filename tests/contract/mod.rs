//! Files that must agree.

mod asl;
mod calls;
mod ffmpeg;
mod generated;
mod layers;
mod template;
