//! Looking at a source before work or money is spent on it: what it is, its index, what is said in it.
//!
//! Apart from `runtime`, so that functions which look at no source carry no media code.

mod budget;
mod captions;
mod index;
mod probe;
pub mod words;

pub use budget::Payer;
pub use captions::{CaptionsAnswer, CaptionsRequest, captions};
pub use index::{Remote, protected, read_index, read_index_for, read_text_tracks};
pub use probe::{ProbeAnswer, ProbeError, ProbeRequest, Prober, prober, titled};

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_of_time_limits_has_ffmpegs_own() {
        assert_eq!(runtime::time_limits::FFMPEG, media::ffmpeg::TIME_LIMIT);
    }
}
