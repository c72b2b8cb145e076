//! Which colours a scene is shown with.

use super::{Rgb, distance};

/// Colours are counted by the upper five bits of each channel.
const BITS: u32 = 5;
const CELLS: usize = 1 << (3 * BITS);

/// Colours are looked up by the upper six.
const LOOKUP_BITS: u32 = 6;

/// How often the colours are moved to the middle of what they stand for.
const ROUNDS: usize = 3;

/// How often each colour occurs.
pub(super) struct Histogram {
    cells: Vec<Cell>,
    any: bool,
}

#[derive(Clone, Copy, Default)]
struct Cell {
    count: u64,
    sum: [u64; 3],
}

impl Default for Histogram {
    fn default() -> Self {
        Self { cells: vec![Cell::default(); CELLS], any: false }
    }
}

impl Histogram {
    /// Counts the pixels of `picture` that differ from `last` by more than `allowed`; all of them if that is empty.
    pub(super) fn add(&mut self, picture: &[u8], last: &[u8], allowed: u32) {
        let last = last.chunks_exact(3).map(Some).chain(std::iter::repeat(None));
        for (pixel, last) in picture.chunks_exact(3).zip(last) {
            let [r, g, b] = *pixel else { continue };
            if let Some([r0, g0, b0]) = last
                && distance([r, g, b], [*r0, *g0, *b0]) <= allowed
            {
                continue;
            }
            let place = [r, g, b].iter().fold(0, |place, c| place << BITS | usize::from(c >> (8 - BITS)));
            if let Some(cell) = self.cells.get_mut(place) {
                cell.count += 1;
                cell.sum[0] += u64::from(r);
                cell.sum[1] += u64::from(g);
                cell.sum[2] += u64::from(b);
                self.any = true;
            }
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        !self.any
    }

    /// The colours that occur, and how much each of them weighs: a large area needs no more colours than its shades.
    fn colours(&self) -> Vec<(Rgb, u64)> {
        let seen = self.cells.iter().filter(|cell| cell.count > 0);
        seen.map(|cell| (mean(cell.sum, cell.count), weight(cell.count))).collect()
    }
}

fn mean(sum: [u64; 3], count: u64) -> Rgb {
    sum.map(|sum| u8::try_from((sum + count / 2) / count.max(1)).unwrap_or(255))
}

/// Grows more slowly than the area: small things of a colour of their own count too.
const fn weight(count: u64) -> u64 {
    count.isqrt() * 4 + count / 64 + 1
}

/// The colours of a scene.
#[derive(Clone)]
pub(super) struct Palette {
    colours: Vec<Rgb>,
    /// The nearest colour to each, as far as it was asked for; 255 for not yet.
    lookup: Vec<u8>,
}

impl PartialEq for Palette {
    fn eq(&self, other: &Self) -> bool {
        self.colours == other.colours
    }
}

impl Palette {
    /// At most `count` colours for what was counted: boxes of colours are halved where they are widest (median cut), then
    /// the means are moved.
    pub(super) fn of(counted: &Histogram, count: usize) -> Self {
        let all = counted.colours();
        let mut boxes = vec![all.clone()];
        while boxes.len() < count {
            let widest = boxes.iter().enumerate().max_by_key(|(_, colours)| spread(colours).1);
            let Some((widest, _)) = widest.filter(|(_, colours)| colours.len() > 1) else { break };
            let mut colours = boxes.swap_remove(widest);
            let (channel, _) = spread(&colours);
            colours.sort_unstable_by_key(|(rgb, _)| rgb.get(channel).copied());
            let half = colours.iter().map(|(_, weight)| weight).sum::<u64>() / 2;
            let mut sum = 0;
            let middle = colours.iter().position(|(_, weight)| {
                sum += weight;
                sum > half
            });
            let middle = middle.unwrap_or(0).clamp(1, colours.len() - 1);
            let rest = colours.split_off(middle);
            boxes.extend([colours, rest]);
        }
        let colours =
            boxes.iter().filter(|colours| !colours.is_empty()).map(|colours| middle(colours)).collect();
        let mut palette = Self { colours, lookup: Vec::new() };
        for _ in 0..ROUNDS {
            palette = palette.moved(&all);
        }
        palette.lookup = vec![u8::MAX; 1 << (3 * LOOKUP_BITS)];
        palette
    }

    /// Each colour in the middle of those that it is the nearest to.
    fn moved(&self, all: &[(Rgb, u64)]) -> Self {
        let mut groups = vec![Vec::new(); self.colours.len()];
        for (rgb, weight) in all {
            if let Some(group) = groups.get_mut(self.search(*rgb)) {
                group.push((*rgb, *weight));
            }
        }
        let moved = self
            .colours
            .iter()
            .zip(&groups)
            .map(|(old, group)| if group.is_empty() { *old } else { middle(group) });
        Self { colours: moved.collect(), lookup: Vec::new() }
    }

    fn search(&self, rgb: Rgb) -> usize {
        let near = self.colours.iter().enumerate().min_by_key(|(_, colour)| distance(**colour, rgb));
        near.map_or(0, |(index, _)| index)
    }

    /// The index of the nearest colour.
    pub(super) fn nearest(&mut self, rgb: Rgb) -> u8 {
        let place = rgb.iter().fold(0, |place, c| place << LOOKUP_BITS | usize::from(c >> (8 - LOOKUP_BITS)));
        match self.lookup.get(place).copied() {
            Some(index) if index != u8::MAX => index,
            _ => {
                // The middle of all that is looked up here.
                let middle =
                    rgb.map(|c| c >> (8 - LOOKUP_BITS) << (8 - LOOKUP_BITS) | 1 << (7 - LOOKUP_BITS));
                let index = u8::try_from(self.search(middle)).unwrap_or(0);
                if let Some(known) = self.lookup.get_mut(place) {
                    *known = index;
                }
                index
            }
        }
    }

    pub(super) fn colour(&self, index: u8) -> Rgb {
        self.colours.get(usize::from(index)).copied().unwrap_or_default()
    }

    /// 256 colours as a file has them.
    pub(super) fn table(&self) -> Vec<u8> {
        let mut table = self.colours.concat();
        table.resize(256 * 3, 0);
        table
    }
}

/// The channel in which colours differ most, and how much they do, weighted.
fn spread(colours: &[(Rgb, u64)]) -> (usize, u64) {
    let weight: u64 = colours.iter().map(|(_, weight)| weight).sum();
    let width = |channel: usize| {
        let values = || colours.iter().filter_map(|(rgb, _)| rgb.get(channel).copied());
        u64::from(values().max().unwrap_or(0) - values().min().unwrap_or(0))
    };
    let seen = [2, 4, 1];
    let widths = (0..3).map(|channel| width(channel) * seen.get(channel).copied().unwrap_or(1));
    let (channel, widest) = widths.enumerate().max_by_key(|(_, width)| *width).unwrap_or((0, 0));
    (channel, if colours.len() > 1 { widest * widest * weight.isqrt() } else { 0 })
}

fn middle(colours: &[(Rgb, u64)]) -> Rgb {
    let weight: u64 = colours.iter().map(|(_, weight)| weight).sum();
    let sum = |channel: usize| {
        colours.iter().map(|(rgb, weight)| u64::from(rgb.get(channel).copied().unwrap_or(0)) * weight).sum()
    };
    mean([sum(0), sum(1), sum(2)], weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(picture: &[Rgb], count: usize) -> Palette {
        let mut counted = Histogram::default();
        counted.add(&picture.concat(), &[], 0);
        Palette::of(&counted, count)
    }

    #[test]
    fn few_colours_are_kept_as_they_are() {
        let picture = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [250, 250, 250], [255, 0, 0]];
        let mut palette = of(&picture, 255);
        for rgb in picture {
            let index = palette.nearest(rgb);
            assert_eq!(palette.colour(index), rgb);
        }
        assert_eq!(palette.table().len(), 768);
    }

    #[test]
    fn many_colours_become_near_ones() {
        let picture: Vec<Rgb> = (0..=255).flat_map(|a| (0..16).map(move |b| [a, b * 16, 255 - a])).collect();
        let mut palette = of(&picture, 255);
        let far = picture.iter().map(|rgb| {
            let index = palette.nearest(*rgb);
            distance(palette.colour(index), *rgb)
        });
        assert!(far.max().unwrap() < 15 * 15, "the furthest is {}", of(&picture, 255).colours.len());
    }

    #[test]
    fn what_stays_is_not_counted() {
        let mut counted = Histogram::default();
        counted.add(&[1, 2, 3, 200, 0, 0], &[1, 2, 4, 0, 0, 0], 9);
        assert_eq!(counted.colours(), [([200, 0, 0], weight(1))]);
    }
}
