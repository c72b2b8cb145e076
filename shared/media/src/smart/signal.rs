//! How pictures are shown, in the words that H.264 (E.1.1) and H.265 (E.2.1) have in common: the beginning of the video
//! usability information, up to the place of chroma.

use super::bits::BitReader;
use crate::ffmpeg::Colour;

/// The code for "not said" of primaries, transfer and matrix (ITU-T H.273, tables 2 to 4).
const UNSPECIFIED: u32 = 2;

/// `aspect_ratio_idc` of a ratio that is spelled out.
const EXTENDED_SAR: u32 = 255;

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signal {
    /// Whether the pixels are square, or nothing is said of them.
    pub(super) is_square: bool,
    pub(super) colour: Colour,
}

impl Signal {
    /// Reads aspect, overscan, colours and the place of chroma.
    pub(super) fn read(r: &mut BitReader<'_>) -> Option<Self> {
        let is_square = !r.flag()?
            || match r.bits(8)? {
                0 | 1 => true,
                EXTENDED_SAR => r.bits(16)? == r.bits(16)?,
                _ => false,
            };
        if r.flag()? {
            r.flag()?; // overscan_appropriate_flag
        }
        let colour = colour(r)?;
        if r.flag()? {
            r.ue()?; // chroma_sample_loc_type_top_field and …_bottom_field
            r.ue()?;
        }
        Some(Self { is_square, colour })
    }
}

/// `video_signal_type_present_flag` and what follows from it.
fn colour(r: &mut BitReader<'_>) -> Option<Colour> {
    let (mut full_range, mut codes) = (false, [UNSPECIFIED; 3]);
    if r.flag()? {
        r.bits(3)?; // video_format
        full_range = r.flag()?;
        if r.flag()? {
            codes = [r.bits(8)?, r.bits(8)?, r.bits(8)?];
        }
    }
    Some(Colour::from_codes(full_range, codes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_said_and_no_more() {
        // No aspect, no overscan; format 5, full range, described: BT.2020, PQ, BT.2020; no place of chroma.
        let said = [0b0011_0111, 0b0000_1001, 0b0001_0000, 0b0000_1001, 0];
        let mut reader = BitReader::new(&said, 0);
        let colour = Colour::from_codes(true, [9, 16, 9]);
        assert_eq!(Signal::read(&mut reader), Some(Signal { is_square: true, colour }));
        assert_eq!(reader.at, 33);
        assert_eq!(Signal::read(&mut BitReader::new(&said[..2], 0)), None);
        // An aspect of 4:3, which is number 14.
        let wide = [0b1000_0111, 0b0000_0000];
        assert_eq!(Signal::read(&mut BitReader::new(&wide, 0)).map(|signal| signal.is_square), Some(false));
    }
}
