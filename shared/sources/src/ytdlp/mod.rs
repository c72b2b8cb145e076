//! What yt-dlp tells of a page, in our own words. yt-dlp itself is a program that runs elsewhere; here is what its
//! answers mean: which media a page has, which of it a job takes, and why there may be none.
//!
//! Its answer is made of what strangers' pages say, so nothing in it is relied on: a field that is missing or odd is as
//! if it were not there, an address that is no http(s) URL is none.

mod choose;
mod hosts;
mod page;
mod refusal;
#[cfg(test)]
mod youtube;

pub use choose::{Choice, Wanted};
pub use hosts::is_page;
pub use page::{Address, Caption, Delivery, Media, Page};
pub use refusal::refusal;

/// The longest answer of yt-dlp that is read, in bytes. Captions in 150 languages make some 3 MB.
pub const ANSWER_BYTES_MAX: u64 = 32 << 20;
