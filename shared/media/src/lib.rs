//! Media: MP4 sample tables, and FFmpeg as a process.

mod browser;
mod choice;
pub mod engine;
pub mod fan_out;
pub mod ffmpeg;
mod gif;
pub mod keyframe;
pub mod measure;
pub mod mp4;
pub mod process;
pub mod remux;
mod smart;
pub mod ts;
pub mod whole;
