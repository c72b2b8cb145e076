//! The bits of a parameter set (H.264 7.2 and 9.1, H.265 7.2 and 9.2) and their protection against start codes
//! (7.4.1 and 7.4.2 there).

use std::ops::Range;

/// Reads bits from the front; every read is `None` at the end.
#[derive(Clone)]
pub(super) struct BitReader<'a> {
    data: &'a [u8],
    /// The next bit.
    pub(super) at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) const fn new(data: &'a [u8], at: usize) -> Self {
        Self { data, at }
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        let byte = self.data.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// `u(count)`, up to 32 bits.
    pub(super) fn bits(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0u32, |value, _| Some(value << 1 | u32::from(self.flag()?)))
    }

    /// `ue(v)`.
    pub(super) fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1 << zeros) - 1 + self.bits(zeros)?)
    }

    /// `se(v)`.
    pub(super) fn se(&mut self) -> Option<i64> {
        let code = i64::from(self.ue()?);
        Some(if code % 2 == 0 { -code / 2 } else { (code + 1) / 2 })
    }
}

/// Writes bits one behind the other.
#[derive(Default)]
pub(super) struct BitWriter {
    data: Vec<u8>,
    used: usize,
}

impl BitWriter {
    pub(super) fn flag(&mut self, bit: bool) {
        if self.used.is_multiple_of(8) {
            self.data.push(0);
        }
        if let Some(last) = self.data.last_mut() {
            *last |= u8::from(bit) << (7 - self.used % 8);
        }
        self.used += 1;
    }

    /// `ue(v)`, up to 2^31.
    pub(super) fn ue(&mut self, value: u32) {
        let code = u64::from(value) + 1;
        let length = code.ilog2();
        (0..length).for_each(|_| self.flag(false));
        (0..=length).rev().for_each(|bit| self.flag(code >> bit & 1 == 1));
    }

    /// The bits `range` of `data`; `None` if they are not there.
    pub(super) fn copy(&mut self, data: &[u8], range: Range<usize>) -> Option<()> {
        let mut reader = BitReader::new(data, range.start);
        while reader.at < range.end {
            self.flag(reader.flag()?);
        }
        Some(())
    }

    /// Ends with the stop bit (`rbsp_trailing_bits`).
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.flag(true);
        self.data
    }
}

/// Where the content of a NAL unit without emulation prevention bytes ends: at its stop bit.
pub(super) fn content_end(rbsp: &[u8]) -> Option<usize> {
    let last = rbsp.iter().rposition(|byte| *byte != 0)?;
    let zeros = usize::try_from(rbsp.get(last)?.trailing_zeros()).ok()?;
    Some(last * 8 + 7 - zeros)
}

/// Takes the emulation prevention bytes out of a NAL unit.
pub(super) fn unescape(nal: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(nal.len());
    let mut zeros = 0;
    for &byte in nal {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

/// Puts the emulation prevention bytes in.
pub(super) fn escape(rbsp: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(rbsp.len() + 4);
    let mut zeros = 0;
    for &byte in rbsp {
        if zeros == 2 && byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_exp_golomb_codes() {
        // 1 | 010 | 011 | 00100 | 00101
        let data = [0b1010_0110, 0b0100_0010, 0b1000_0000];
        let mut reader = BitReader::new(&data, 0);
        assert_eq!((reader.ue(), reader.se(), reader.se()), (Some(0), Some(1), Some(-1)));
        assert_eq!((reader.ue(), reader.ue(), reader.at), (Some(3), Some(4), 17));
        assert_eq!(BitReader::new(&[0; 9], 0).ue(), None);
    }

    #[test]
    fn what_is_finished_ends_at_its_stop_bit() {
        let mut bits = BitWriter::default();
        for value in [0, 1, 6, 30, u32::MAX - 1] {
            bits.ue(value);
        }
        let data = bits.finish();
        let mut reader = BitReader::new(&data, 0);
        assert_eq!(
            (reader.ue(), reader.ue(), reader.ue(), reader.ue()),
            (Some(0), Some(1), Some(6), Some(30))
        );
        assert_eq!(content_end(&data), Some(1 + 3 + 5 + 9 + 63));
        assert_eq!((content_end(&[0, 0]), content_end(&[])), (None, None));
    }

    proptest! {
        #[test]
        fn what_is_protected_has_no_start_code_and_reads_back(
            data in prop::collection::vec(prop::sample::select(vec![0u8, 0, 1, 2, 3, 4, 255]), 0..40),
        ) {
            let mut data = data;
            data.push(0x80); // a NAL unit never ends in a zero
            let escaped = escape(&data);
            prop_assert!(!escaped.windows(3).any(|w| w[0] == 0 && w[1] == 0 && w[2] < 3));
            prop_assert_eq!(unescape(&escaped), data);
        }
    }
}
