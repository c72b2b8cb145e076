//! The video signal type, which H.264 (E.1.1) and H.265 (E.2.1) write alike.

use super::bits::BitReader;
use crate::ffmpeg::Colour;

/// The code for "not said" of primaries, transfer and matrix (ITU-T H.273, tables 2 to 4).
const UNSPECIFIED: u32 = 2;

/// Reads `video_signal_type_present_flag` and what follows from it.
pub(super) fn colour(r: &mut BitReader<'_>) -> Option<Colour> {
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
        // Present, format 5, full range, described: BT.2020, PQ, BT.2020.
        let said = [0b1_101_1_1_00, 0b0010_0100, 0b0100_0000, 0b0010_0100];
        let mut reader = BitReader::new(&said, 0);
        assert_eq!(colour(&mut reader), Some(Colour::from_codes(true, [9, 16, 9])));
        assert_eq!(reader.at, 30);
        assert_eq!(colour(&mut BitReader::new(&[0], 0)), Some(Colour::default()));
        assert_eq!(colour(&mut BitReader::new(&said[..2], 0)), None);
    }
}
