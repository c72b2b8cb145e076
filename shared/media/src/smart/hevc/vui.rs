//! The video usability information (H.265 E.2.1), as far as it says how pictures are shown.

use std::ops::Range;

use super::super::{
    bits::{BitReader, BitWriter},
    signal::Signal,
};

/// Ranges are bits of the sequence parameter set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Vui {
    /// Aspect, overscan, colours, chroma location, and what chroma says when there is none.
    colours: Range<usize>,
    /// `default_display_window_flag` and the window.
    window: Range<usize>,
    /// `vui_timing_info_present_flag` and the clock.
    timing: Range<usize>,
    pub(super) signal: Signal,
    /// `field_seq_flag`: pictures are fields.
    pub(super) has_fields: bool,
}

impl Vui {
    pub(super) fn parse(r: &mut BitReader<'_>) -> Option<Self> {
        let start = r.at;
        let signal = Signal::read(r)?;
        r.flag()?; // neutral_chroma_indication_flag
        let colours = start..r.at;
        let has_fields = r.flag()?;
        r.flag()?; // frame_field_info_present_flag
        let start = r.at;
        if r.flag()? {
            for _ in 0..4 {
                r.ue()?;
            }
        }
        let window = start..r.at;
        if r.flag()? {
            r.bits(32)?;
            r.bits(32)?;
        }
        Some(Self { colours, timing: window.end..r.at, window, signal, has_fields })
    }

    /// Writes the same description for a stream of frames that has neither a buffering model, nor messages on the
    /// structure of pictures, nor a picture for each tick, nor restrictions.
    pub(super) fn describe(&self, rbsp: &[u8], bits: &mut BitWriter) -> Option<()> {
        bits.copy(rbsp, self.colours.clone())?;
        bits.flag(false); // field_seq_flag
        bits.flag(false); // frame_field_info_present_flag
        bits.copy(rbsp, self.window.clone())?;
        bits.copy(rbsp, self.timing.clone())?;
        if self.timing.len() > 1 {
            bits.flag(false); // vui_poc_proportional_to_timing_flag
            bits.flag(false); // vui_hrd_parameters_present_flag
        }
        bits.flag(false); // bitstream_restriction_flag
        Some(())
    }
}
