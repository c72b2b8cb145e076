//! Writing an animated GIF (GIF89a) that looks like its source and is small.
//!
//! Three things make it small. A pixel that is shown nearly as it should be stays (nothing is smaller than what is not
//! sent). Where one colour would do as well as another, the one that continues what the compressor has seen is taken
//! (`lzw`). And colours are chosen anew for each scene, of what changes in it (`palette`), so that 255 are enough.
//!
//! Invariant: no pixel is shown further from its source than [`Settings`] allow for, but for the colours that the palette
//! does not have.

mod lzw;
mod palette;

use std::io::{self, Write};

use palette::{Histogram, Palette};

/// How many colours a picture has; one more index means "stays as it is".
const COLOURS: usize = 255;
const STAYS: u8 = 255;

/// Pictures that share a palette are held until it is known: so many at most, and so many bytes.
const SCENE_PICTURES_MAX: usize = 24;
const SCENE_BYTES_MAX: usize = 64 << 20;

/// From this mean difference of the channels on, another scene begins.
const CUT_MIN: u64 = 28;
/// Each so many pixels one is compared for that.
const CUT_STEP: usize = 31;

/// The clock of GIF in ticks a second.
const CLOCK: u64 = 100;

/// How a GIF is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) width: u16,
    pub(crate) height: u16,
    /// Pictures a second.
    pub(crate) rate: u64,
    /// How far a pixel may be shown from its source: in steps of 0 to 255, by the channels' weighted mean.
    pub(crate) slack: u16,
}

/// A colour: red, green, blue.
type Rgb = [u8; 3];

/// The weighted square of the distance of two colours; the eye sees green best.
fn distance(a: Rgb, b: Rgb) -> u32 {
    let [r, g, b] = [0, 1, 2].map(|n: usize| {
        let off = u32::from(a.get(n).copied().unwrap_or(0).abs_diff(b.get(n).copied().unwrap_or(0)));
        off * off
    });
    (2 * r + 4 * g + b) / 7
}

/// Writes pictures one by one.
pub(crate) struct Writer<W> {
    out: W,
    settings: Settings,
    /// Those of the scene, until its palette is known.
    scene: Vec<Vec<u8>>,
    /// What is shown so far.
    shown: Vec<u8>,
    global: Option<Palette>,
    written: u64,
    bytes: u64,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(out: W, settings: Settings) -> Self {
        Self { out, settings, scene: Vec::new(), shown: Vec::new(), global: None, written: 0, bytes: 0 }
    }

    /// How many bytes were written so far.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the next picture: `width` × `height` pixels of three bytes.
    pub(crate) fn picture(&mut self, rgb: Vec<u8>) -> io::Result<()> {
        let is_full =
            self.scene.len() >= SCENE_PICTURES_MAX || (self.scene.len() + 1) * rgb.len() > SCENE_BYTES_MAX;
        let is_cut = || self.scene.last().is_some_and(|last| differ(last, &rgb));
        if !self.scene.is_empty() && (is_full || is_cut()) {
            self.write_scene()?;
        }
        self.scene.push(rgb);
        Ok(())
    }

    /// Writes what is left, and the end.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        self.write_scene()?;
        self.put(&[0x3b])?;
        self.out.flush()?;
        Ok(self.bytes)
    }

    fn write_scene(&mut self) -> io::Result<()> {
        let scene = std::mem::take(&mut self.scene);
        let Some(first) = scene.first() else { return Ok(()) };
        let mut counted = Histogram::default();
        let allowed = self.allowed();
        let mut last: &[u8] = &self.shown;
        for picture in &scene {
            counted.add(picture, last, allowed);
            last = picture;
        }
        if counted.is_empty() {
            counted.add(first, &[], allowed);
        }
        let mut palette = Palette::of(&counted, COLOURS);
        if self.global.is_none() {
            self.write_front(&palette)?;
            self.global = Some(palette.clone());
        }
        for picture in &scene {
            self.write_picture(picture, &mut palette)?;
        }
        Ok(())
    }

    /// The square of the slack.
    fn allowed(&self) -> u32 {
        u32::from(self.settings.slack).pow(2)
    }

    /// Header, size of the screen, colours of the first scene, and the word to go on for ever.
    fn write_front(&mut self, palette: &Palette) -> io::Result<()> {
        let Settings { width, height, .. } = self.settings;
        let (width, height) = (width.to_le_bytes(), height.to_le_bytes());
        self.put(b"GIF89a")?;
        self.put(&[width[0], width[1], height[0], height[1], 0xf7, 0, 0])?;
        self.put(&palette.table())?;
        self.put(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0")
    }

    fn write_picture(&mut self, picture: &[u8], palette: &mut Palette) -> io::Result<()> {
        let (width, allowed) = (usize::from(self.settings.width), self.allowed());
        let is_first = self.shown.is_empty();
        if is_first {
            self.shown = vec![0; picture.len()];
        }
        let area = match is_first {
            true => Some((0, 0, width, usize::from(self.settings.height))),
            false => changed(picture, &self.shown, width, allowed),
        };
        // A picture that changes nothing is one pixel that stays.
        let (left, top, across, down) = area.unwrap_or((0, 0, 1, 1));
        let mut cells = Vec::with_capacity(across * down);
        for y in top..top + down {
            for x in left..left + across {
                let at = (y * width + x) * 3;
                let (wanted, shown) = (pixel(picture, at), pixel(&self.shown, at));
                let stays = !is_first && distance(wanted, shown) <= allowed;
                let index = if stays { STAYS } else { palette.nearest(dithered(wanted, x, y)) };
                cells.push(lzw::Cell { wanted, shown: (!is_first).then_some(shown), index });
            }
        }
        let (body, indices) = lzw::compress(&cells, palette, allowed);
        let positions =
            (top..top + down).flat_map(|y| (left..left + across).map(move |x| (y * width + x) * 3));
        for (at, index) in positions.zip(indices) {
            if index != STAYS
                && let Some(shown) = self.shown.get_mut(at..at + 3)
            {
                shown.copy_from_slice(&palette.colour(index));
            }
        }
        let is_local = self.global.as_ref() != Some(palette);
        self.write_frame((left, top, across, down), is_local.then_some(&*palette), &body)
    }

    fn write_frame(
        &mut self,
        (left, top, across, down): (usize, usize, usize, usize),
        colours: Option<&Palette>,
        body: &[u8],
    ) -> io::Result<()> {
        // Each picture begins at the tick that is nearest to its time.
        let tick = |n: u64| (n * CLOCK + self.settings.rate / 2) / self.settings.rate.max(1);
        let delay =
            u16::try_from(tick(self.written + 1) - tick(self.written)).unwrap_or(u16::MAX).to_le_bytes();
        let side = |len: usize| u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes();
        let [left, top, across, down] = [left, top, across, down].map(side);
        // What was shown stays below; one index is transparent.
        self.put(&[0x21, 0xf9, 4, 0x05, delay[0], delay[1], STAYS, 0])?;
        let flags = if colours.is_some() { 0x87 } else { 0 };
        self.put(&[0x2c, left[0], left[1], top[0], top[1], across[0], across[1], down[0], down[1], flags])?;
        if let Some(colours) = colours {
            self.put(&colours.table())?;
        }
        self.put(&[8])?;
        for block in body.chunks(255) {
            self.put(&[u8::try_from(block.len()).unwrap_or(255)])?;
            self.put(block)?;
        }
        self.written += 1;
        self.put(&[0])
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

fn pixel(rgb: &[u8], at: usize) -> Rgb {
    rgb.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default()
}

/// Whether two pictures are of different scenes.
fn differ(one: &[u8], other: &[u8]) -> bool {
    let (mut sum, mut count) = (0_u64, 0_u64);
    for (a, b) in one.iter().zip(other).step_by(CUT_STEP) {
        sum += u64::from(a.abs_diff(*b));
        count += 1;
    }
    count > 0 && sum / count >= CUT_MIN
}

/// The smallest rectangle around the pixels that are shown too far from `picture`; `None` if there are none.
fn changed(picture: &[u8], shown: &[u8], width: usize, allowed: u32) -> Option<(usize, usize, usize, usize)> {
    let (mut left, mut right, mut top, mut bottom) = (usize::MAX, 0, usize::MAX, 0);
    for (n, (wanted, shown)) in picture.chunks_exact(3).zip(shown.chunks_exact(3)).enumerate() {
        if wanted != shown && distance(pixel(wanted, 0), pixel(shown, 0)) > allowed {
            let (x, y) = (n % width.max(1), n / width.max(1));
            (left, right) = (left.min(x), right.max(x));
            (top, bottom) = (top.min(y), bottom.max(y));
        }
    }
    (left <= right && top <= bottom).then(|| (left, top, right - left + 1, bottom - top + 1))
}

/// The order in which a block of 4 × 4 pixels is brightened (Bayer): always the same, so that what does not move does not
/// flicker, and repeats, which compresses.
const ORDER: [i16; 16] = [0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5];

/// A pixel, a little brighter or darker by its place, so that areas between two colours look like their mean.
fn dithered(rgb: Rgb, x: usize, y: usize) -> Rgb {
    let off = ORDER.get(y % 4 * 4 + x % 4).map_or(0, |order| (order - 8) / 2);
    rgb.map(|channel| u8::try_from((i16::from(channel) + off).clamp(0, 255)).unwrap_or(channel))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings { width: 40, height: 30, rate: 15, slack: 6 };

    fn written(settings: Settings, pictures: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes, settings);
        pictures.iter().for_each(|picture| writer.picture(picture.clone()).unwrap());
        let count = writer.finish().unwrap();
        assert_eq!(count, bytes.len() as u64);
        bytes
    }

    fn plain(colour: Rgb) -> Vec<u8> {
        colour.repeat(40 * 30)
    }

    #[test]
    fn a_picture_that_stays_costs_nothing() {
        let one = written(SETTINGS, &[plain([10, 200, 30])]);
        let ten = written(SETTINGS, &vec![plain([10, 200, 30]); 10]);
        assert!(ten.len() - one.len() <= 9 * 25, "{} bytes, then {}", one.len(), ten.len());
        assert_eq!((&one[..6], one.last()), (&b"GIF89a"[..], Some(&0x3b)));
    }

    #[test]
    fn only_what_changes_is_sent() {
        let mut second = plain([0, 0, 0]);
        let at = (7 * 40 + 5) * 3;
        second[at..at + 6].copy_from_slice(&[255; 6]);
        assert_eq!(changed(&second, &plain([0, 0, 0]), 40, 36), Some((5, 7, 2, 1)));
        assert_eq!(changed(&plain([4, 4, 4]), &plain([0, 0, 0]), 40, 36), None);
    }

    #[test]
    fn another_scene_has_its_own_colours() {
        assert!(differ(&plain([0, 0, 0]), &plain([90, 90, 90])) && !differ(&plain([0; 3]), &plain([9; 3])));
        let bytes = written(SETTINGS, &[plain([0, 0, 0]), plain([200, 90, 90])]);
        let local = bytes.windows(2).filter(|pair| *pair == [0x1e, 0x87] || *pair == [0, 0x87]).count();
        assert!(local >= 1, "a table of the second scene's own");
    }

    #[test]
    fn pictures_come_at_their_ticks() {
        let bytes = written(SETTINGS, &(0..15).map(|n| plain([n * 17, 0, 0])).collect::<Vec<_>>());
        let delays =
            bytes.windows(8).filter(|w| w[..4] == [0x21, 0xf9, 4, 5] && w[7] == 0).map(|w| u32::from(w[4]));
        assert_eq!(delays.sum::<u32>(), 100, "15 pictures take a second");
    }
}
