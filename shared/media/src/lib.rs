//! Media: MP4 sample tables, and FFmpeg as a process.

mod browser;
pub mod engine;
pub mod fan_out;
pub mod ffmpeg;
pub mod keyframe;
pub mod mp4;
pub mod process;
pub mod remux;
mod smart;
pub mod ts;
pub mod whole;
