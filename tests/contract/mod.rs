//! Files that must agree.

mod asl;
mod ffmpeg;
mod generated;
mod layers;
mod template;
