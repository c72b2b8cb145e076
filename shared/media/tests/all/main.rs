//! The engine and what it reads, on files that FFmpeg makes here. One program: to link it takes longer than to compile it.

#[path = "../kit/mod.rs"]
mod kit;

mod damage;
mod exact;
mod fan_out;
mod formats;
mod fragments;
mod gaps;
mod media;
mod odd;
mod pair;
mod picture;
mod regressions;
mod span;
mod transport;
mod whole;
