//! The numbers of parameter sets, and other ones in their place (H.265 7.3.2.3.1, 7.3.6.1).

use std::ops::RangeInclusive;

use super::super::bits::{BitReader, BitWriter, content_end, escape, unescape};

/// The numbers that a sequence parameter set can have.
pub(super) const SPS_IDS: RangeInclusive<u32> = 0..=15;

/// Numbers for the encoder's picture parameter set. Each takes 9 bits in a slice header, where the encoder's 0 takes
/// one: a byte more, so that all behind it stays aligned as it is and need not be understood.
pub(super) const PPS_IDS: RangeInclusive<u32> = 15..=30;

/// How many bits such a number has, and a NAL unit's header.
const PPS_ID_LEN: u32 = 9;
const HEADER_LEN: usize = 16;

/// The number of a picture parameter set.
pub(super) fn of_picture_set(nal: &[u8]) -> Option<u32> {
    BitReader::new(&unescape(nal), HEADER_LEN).ue()
}

/// The encoder's picture parameter set under the number `pps_id`, referring to `sps_id`.
pub(super) fn picture_set(nal: &[u8], sps_id: u32, pps_id: u32) -> Option<Vec<u8>> {
    let rbsp = unescape(nal);
    let mut reader = BitReader::new(&rbsp, HEADER_LEN);
    if (reader.ue()?, reader.ue()?) != (0, 0) {
        return None;
    }
    let mut bits = BitWriter::default();
    bits.copy(&rbsp, 0..HEADER_LEN)?;
    bits.ue(pps_id);
    bits.ue(sps_id);
    bits.copy(&rbsp, reader.at..content_end(&rbsp)?)?;
    Some(escape(&bits.finish()))
}

/// A picture's only slice, which refers to set 0, referring to `pps_id` of [`PPS_IDS`] instead.
pub(super) fn slice(nal: &[u8], pps_id: u32) -> Option<Vec<u8>> {
    let rbsp = unescape(nal);
    let (header, rest) = rbsp.split_at_checked(2)?;
    let (first, rest) = rest.split_first()?;
    let is_irap = (16..=23).contains(&(header.first()? >> 1 & 63));
    // `first_slice_segment_in_pic_flag`, for IRAP pictures `no_output_of_prior_pics_flag`, and number 0 as 1 bit.
    let flags = if is_irap { 2 } else { 1 };
    let expected = if is_irap { 0b101 } else { 0b11 };
    if first >> (7 - flags) != expected {
        return None;
    }
    let before = u32::from(first >> (8 - flags)) << PPS_ID_LEN | (pps_id + 1);
    let behind = 7 - flags;
    let both = before << behind | u32::from(first & ((1 << behind) - 1));
    let [_, _, high, low] = both.to_be_bytes();
    Some(escape(&[header, &[high, low], rest].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn only_the_number_changes(
            id in PPS_IDS,
            is_irap: bool,
            mut rest in prop::collection::vec(prop::sample::select(vec![0u8, 0, 1, 2, 3, 77, 255]), 1..30),
        ) {
            rest.push(0x80);
            let header = [if is_irap { 20 << 1 } else { 1 << 1 }, 1];
            let flags = if is_irap { 2 } else { 1 };
            rest[0] = (rest[0] & (0x7f >> flags)) | 0x80 | (0x80 >> flags);
            let rbsp = [&header[..], &rest].concat();
            let made = unescape(&slice(&escape(&rbsp), id).unwrap());
            prop_assert_eq!(made.len(), rbsp.len() + 1);
            let mut reader = BitReader::new(&made, HEADER_LEN);
            prop_assert_eq!(reader.flag(), Some(true));
            prop_assert!(!is_irap || reader.flag() == Some(false));
            prop_assert_eq!(reader.ue(), Some(id));
            let mut old = BitReader::new(&rbsp, reader.at - 8);
            while let Some(bit) = reader.flag() {
                prop_assert_eq!(old.flag(), Some(bit));
            }
            prop_assert_eq!(old.flag(), None);
        }

        #[test]
        fn a_set_keeps_what_follows_its_numbers(sps in SPS_IDS, pps in PPS_IDS, rest: u32) {
            let mut bits = BitWriter::default();
            bits.copy(&[34 << 1, 1], 0..16).unwrap();
            bits.ue(0);
            bits.ue(0);
            bits.copy(&rest.to_be_bytes(), 0..32).unwrap();
            let made = unescape(&picture_set(&escape(&bits.finish()), sps, pps).unwrap());
            let mut reader = BitReader::new(&made, HEADER_LEN);
            prop_assert_eq!((reader.ue(), reader.ue(), reader.bits(32)), (Some(pps), Some(sps), Some(rest)));
            prop_assert_eq!(content_end(&made), Some(reader.at));
            prop_assert_eq!(of_picture_set(&made), Some(pps));
        }
    }

    #[test]
    fn what_is_not_expected_is_refused() {
        assert_eq!(slice(&[2, 1, 0b0100_0000, 9], 15), None, "another slice of the picture");
        assert_eq!(slice(&[2, 1, 0b1010_0000, 9], 15), None, "another set");
        assert_eq!(slice(&[40, 1, 0b1110_0000, 9], 15), None, "drops pictures");
        assert_eq!((slice(&[], 15), slice(&[2, 1], 15)), (None, None));
    }
}
