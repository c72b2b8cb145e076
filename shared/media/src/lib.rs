//! Media: MP4 sample tables, and FFmpeg as a process.

pub mod engine;
pub mod ffmpeg;
pub mod mp4;
mod smart;
pub mod whole;
