//! The compressor of GIF (GIF89a, appendix F), which takes liberties: where the next pixel would end a run that is known,
//! another colour that is as good for it may continue the run.

use super::{Rgb, STAYS, distance, palette::Palette};

/// Codes have at most so many bits.
const BITS_MAX: u32 = 12;
const CODES_MAX: usize = 1 << BITS_MAX;
/// Pixels are bytes; the two codes behind them begin anew, and end.
const CLEAR: u16 = 256;
const END: u16 = 257;
const FIRST: u16 = 258;
/// No code.
const NONE: u16 = u16::MAX;

/// A pixel to send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    /// What it should look like.
    pub(super) wanted: Rgb,
    /// What is shown there, if anything is.
    pub(super) shown: Option<Rgb>,
    /// The index that suits it best.
    pub(super) index: u8,
}

/// The compressed pixels, and the indices that were sent. One may stand in for another if it is no further from the
/// pixel than `allowed`.
pub(super) fn compress(cells: &[Cell], palette: &Palette, allowed: u32) -> (Vec<u8>, Vec<u8>) {
    let mut bits = Bits::default();
    let mut runs = Runs::default();
    let mut sent = Vec::with_capacity(cells.len());
    bits.put(CLEAR, runs.width());
    let mut run = NONE;
    for cell in cells {
        if run == NONE {
            run = u16::from(cell.index);
            sent.push(cell.index);
            continue;
        }
        if let Some((next, index)) = runs.next(run, cell, palette, allowed) {
            run = next;
            sent.push(index);
            continue;
        }
        bits.put(run, runs.width());
        if runs.add(run, cell.index) {
            bits.put(CLEAR, BITS_MAX);
            runs = Runs::default();
        }
        run = u16::from(cell.index);
        sent.push(cell.index);
    }
    if run != NONE {
        bits.put(run, runs.width());
        runs.count();
    }
    bits.put(END, runs.width());
    (bits.finish(), sent)
}

/// The runs that are known: each is another one and a pixel.
struct Runs {
    /// By code: the pixel that it ends with, its first continuation, and the next continuation of the same run.
    pixel: Vec<u8>,
    child: Vec<u16>,
    sibling: Vec<u16>,
    next: u16,
}

impl Default for Runs {
    fn default() -> Self {
        let len = CODES_MAX;
        Self { pixel: vec![0; len], child: vec![NONE; len], sibling: vec![NONE; len], next: FIRST }
    }
}

impl Runs {
    /// How many bits the next code has: as many as the decoder thinks, who is one run behind.
    fn width(&self) -> u32 {
        let last = u32::from(self.next.saturating_sub(1)).max(u32::from(END));
        (32 - last.leading_zeros()).clamp(9, BITS_MAX)
    }

    /// The continuation of `run` that suits `cell`: the best one if it is known, else the nearest that is allowed.
    fn next(&self, run: u16, cell: &Cell, palette: &Palette, allowed: u32) -> Option<(u16, u8)> {
        let mut best = None;
        let mut code = self.child.get(usize::from(run)).copied().unwrap_or(NONE);
        while code != NONE {
            let pixel = self.pixel.get(usize::from(code)).copied().unwrap_or(0);
            if pixel == cell.index {
                return Some((code, pixel));
            }
            let looks = if pixel == STAYS { cell.shown } else { Some(palette.colour(pixel)) };
            if let Some(off) = looks.map(|looks| distance(looks, cell.wanted)).filter(|off| *off <= allowed)
                && best.is_none_or(|(known, _, _)| off < known)
            {
                best = Some((off, code, pixel));
            }
            code = self.sibling.get(usize::from(code)).copied().unwrap_or(NONE);
        }
        best.map(|(_, code, pixel)| (code, pixel))
    }

    /// Learns that `run` may be followed by `pixel`; true if no more can be learnt.
    fn add(&mut self, run: u16, pixel: u8) -> bool {
        let (code, run) = (usize::from(self.next), usize::from(run));
        if let (Some(own), Some(sibling), Some(child)) =
            (self.pixel.get_mut(code), self.sibling.get_mut(code), self.child.get_mut(run))
        {
            *own = pixel;
            *sibling = *child;
            *child = self.next;
        }
        self.count();
        usize::from(self.next) >= CODES_MAX
    }

    fn count(&mut self) {
        self.next = self.next.saturating_add(1);
    }
}

/// Codes one behind the other, the lowest bit first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    rest: u32,
    len: u32,
}

impl Bits {
    fn put(&mut self, code: u16, width: u32) {
        self.rest |= u32::from(code) << self.len;
        self.len += width;
        while self.len >= 8 {
            let [low, ..] = self.rest.to_le_bytes();
            self.bytes.push(low);
            self.rest >>= 8;
            self.len -= 8;
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.len > 0 {
            let [low, ..] = self.rest.to_le_bytes();
            self.bytes.push(low);
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gif::palette::Histogram;
    use proptest::prelude::*;

    /// As any decoder reads it.
    fn decompress(bytes: &[u8]) -> Vec<u8> {
        let (mut out, mut at) = (Vec::new(), 0_usize);
        let mut table: Vec<Vec<u8>> = Vec::new();
        let (mut width, mut last) = (9, None::<Vec<u8>>);
        loop {
            let mut code = 0_usize;
            for bit in 0..width {
                code |= usize::from(bytes[at / 8] >> (at % 8) & 1) << bit;
                at += 1;
            }
            if code == usize::from(CLEAR) {
                table = (0..=255).map(|byte| vec![byte]).chain([vec![], vec![]]).collect();
                (width, last) = (9, None);
                continue;
            }
            if code == usize::from(END) {
                return out;
            }
            let run = match (table.get(code), &last) {
                (Some(run), _) => run.clone(),
                (None, Some(last)) => [&last[..], &last[..1]].concat(),
                (None, None) => panic!("a code that is not known"),
            };
            if let Some(last) = &last
                && table.len() < CODES_MAX
            {
                table.push([&last[..], &run[..1]].concat());
            }
            if table.len() >= 1 << width && width < 12 {
                width += 1;
            }
            out.extend(&run);
            last = Some(run);
        }
    }

    fn palette() -> Palette {
        let mut counted = Histogram::default();
        counted.add(&(0..=254_u8).flat_map(|n| [n, n, n]).collect::<Vec<u8>>(), &[], 0);
        Palette::of(&counted, 255)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn what_is_read_is_what_was_sent_and_near(
            noise in prop::collection::vec(any::<u8>(), 1..6000),
            shade in 1u8..=255,
            slack in 0u32..30,
        ) {
            let mut palette = palette();
            let cells: Vec<Cell> = noise.iter().map(|n| {
                let wanted = [n % shade; 3];
                Cell { wanted, shown: None, index: palette.nearest(wanted) }
            }).collect();
            let (bytes, sent) = compress(&cells, &palette, slack * slack);
            prop_assert_eq!(&decompress(&bytes), &sent);
            for (cell, index) in cells.iter().zip(&sent) {
                let off = distance(palette.colour(*index), cell.wanted);
                prop_assert!(*index == cell.index || off <= slack * slack);
            }
        }
    }

    #[test]
    fn liberties_make_it_smaller() {
        let (mut palette, mut seed) = (palette(), 7_u32);
        let mut noise = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Colours are counted by their upper five bits: shades of 8 are told apart.
            64 + 8 * (seed >> 28 & 7) as u8
        };
        let cells: Vec<Cell> = (0..20_000)
            .map(|_| {
                let wanted = [noise(); 3];
                Cell { wanted, shown: None, index: palette.nearest(wanted) }
            })
            .collect();
        let len = |slack: u32| compress(&cells, &palette, slack * slack).0.len();
        assert!(len(16) * 4 < len(0) * 3, "{} and {} bytes", len(16), len(0));
    }
}
