//! The sequence parameter set (H.264 7.3.2.1.1 and E.1.1): what of it decides whether two streams can stand in one
//! track, and a set for the encoder's stream that says of the picture what the source's says.

use std::ops::Range;

use domain::quality::PictureSize;

use super::super::{
    Reason,
    bits::{BitReader, BitWriter, escape, unescape},
    signal::Signal,
};
use crate::ffmpeg::Colour;

/// The profiles whose streams an encoder can match (A.2), 4:2:0.
const BASELINE: u8 = 66;
const MAIN: u8 = 77;
const HIGH: u8 = 100;
const HIGH_10: u8 = 110;

/// 4:2:0 with 8 or 10 bits.
const SAMPLING_8: (u32, u32, u32) = (1, 8, 8);
const SAMPLING_10: (u32, u32, u32) = (1, 10, 10);

/// `constraint_set3_flag`, which makes High 10 its intra-only variant (A.2.8): the ends could not be like it.
const INTRA_ONLY: u8 = 0x10;

/// A sequence parameter set. Ranges are bits of `rbsp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sps {
    /// The NAL unit without emulation prevention bytes.
    rbsp: Vec<u8>,
    /// `profile_idc`.
    pub(super) profile: u8,
    /// `seq_parameter_set_id`.
    pub(super) id: u32,
    /// `chroma_format_idc` and the bit depths of luma and chroma.
    pub(super) sampling: (u32, u32, u32),
    /// Width and height in macroblocks, and how much is cropped from each side.
    pub(super) picture: (u32, u32, [u32; 4]),
    /// `frame_mbs_only_flag`: no field and no macroblock pair of a field.
    pub(super) progressive: bool,
    /// `vui_parameters_present_flag`.
    vui_at: usize,
    vui: Option<Vui>,
}

/// The video usability information.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Vui {
    /// Aspect, colours, chroma location and timing.
    display: Range<usize>,
    /// From `bitstream_restriction_flag` to the end.
    restriction: Range<usize>,
    signal: Signal,
    /// `max_dec_frame_buffering`.
    buffering: Option<u32>,
}

impl Sps {
    /// Reads a NAL unit; `None` if it is damaged.
    pub(super) fn parse(nal: &[u8]) -> Option<Self> {
        let rbsp = unescape(nal);
        let (kind, profile) = (*rbsp.first()?, *rbsp.get(1)?);
        if kind & 31 != 7 {
            return None;
        }
        let mut r = BitReader::new(&rbsp, 32);
        let id = r.ue()?;
        let sampling = if has_sampling(profile) { sampling(&mut r)? } else { (1, 8, 8) };
        r.ue()?; // log2_max_frame_num_minus4
        order_count(&mut r)?;
        r.ue()?; // max_num_ref_frames
        r.flag()?;
        let (width, units) = (r.ue()?.checked_add(1)?, r.ue()?.checked_add(1)?);
        let progressive = r.flag()?;
        if !progressive {
            r.flag()?;
        }
        r.flag()?;
        let crop = if r.flag()? { [r.ue()?, r.ue()?, r.ue()?, r.ue()?] } else { [0; 4] };
        let vui_at = r.at;
        let vui = if r.flag()? { Some(Vui::parse(&mut r)?) } else { None };
        Some(Self { profile, id, sampling, picture: (width, units, crop), progressive, vui_at, vui, rbsp })
    }

    /// Whether the encoder can make a stream of this profile; its name for the encoder.
    pub(super) fn profile_name(&self) -> Option<&'static str> {
        let is_intra = self.rbsp.get(2).is_none_or(|constraints| constraints & INTRA_ONLY != 0);
        match (self.profile, self.sampling) {
            (BASELINE, SAMPLING_8) => Some("baseline"),
            (MAIN, SAMPLING_8) => Some("main"),
            (HIGH, SAMPLING_8) => Some("high"),
            (HIGH_10, SAMPLING_8) if !is_intra => Some("high"),
            (HIGH_10, SAMPLING_10) if !is_intra => Some("high10"),
            _ => None,
        }
    }

    pub(super) const fn unmatched(&self) -> Reason {
        Reason::Profile { codec: "H.264", profile: self.profile }
    }

    /// The size of progressive 4:2:0 pictures in pixels, if these are square or nothing is said of them.
    pub(super) fn square_picture(&self) -> Option<PictureSize> {
        let (width, height, [left, right, top, bottom]) = self.picture;
        let side = |blocks: u32, a: u32, b: u32| {
            blocks.checked_mul(16)?.checked_sub(a.checked_add(b)?.checked_mul(2)?).filter(|side| *side > 0)
        };
        let square = self.vui.as_ref().is_none_or(|vui| vui.signal.is_square);
        let known = square && self.progressive && self.sampling.0 == 1;
        known.then_some(())?;
        Some(PictureSize { width: side(width, left, right)?, height: side(height, top, bottom)? })
    }

    /// What the numbers of the pictures mean.
    pub(super) fn colour(&self) -> Colour {
        self.vui.as_ref().map(|vui| vui.signal.colour.clone()).unwrap_or_default()
    }

    /// Whether pictures of both are shown alike: same samples, same size, same description.
    pub(super) fn shows_like(&self, other: &Self) -> bool {
        let shape = |sps: &Self| (sps.profile, sps.sampling, sps.picture, sps.progressive);
        let described = |sps: &Self| {
            let mut bits = BitWriter::default();
            sps.vui.as_ref().and_then(|vui| bits.copy(&sps.rbsp, vui.display.clone()));
            bits.finish()
        };
        shape(self) == shape(other) && described(self) == described(other)
    }

    /// This set, the encoder's, with the profile, level, colours, aspect, timing and buffering of `source`: a decoder
    /// that goes from one stream to the other sees nothing change, and so neither starts anew nor drops pictures
    /// (C.4.4). The encoder's stream needs one reference picture and no reordering, which every set allows; `None` if
    /// this one does not, or if the two have another syntax.
    pub(super) fn like(&self, source: &Self) -> Option<Vec<u8>> {
        if has_sampling(self.profile) != has_sampling(source.profile) {
            return None;
        }
        let mut bits = BitWriter::default();
        bits.copy(&self.rbsp, 0..8)?;
        bits.copy(&source.rbsp, 8..32)?;
        bits.copy(&self.rbsp, 32..self.vui_at)?;
        bits.flag(source.vui.is_some());
        if let Some(vui) = &source.vui {
            if vui.buffering == Some(0) {
                return None;
            }
            bits.copy(&source.rbsp, vui.display.clone())?;
            // No buffering model and no picture structure: both come with messages that the encoder does not write.
            (0..3).for_each(|_| bits.flag(false));
            bits.copy(&source.rbsp, vui.restriction.clone())?;
        }
        Some(escape(&bits.finish()))
    }
}

/// The profiles with `chroma_format_idc` and what follows it (7.3.2.1.1).
const fn has_sampling(profile: u8) -> bool {
    matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135)
}

fn sampling(r: &mut BitReader<'_>) -> Option<(u32, u32, u32)> {
    let chroma = r.ue()?;
    if chroma == 3 {
        r.flag()?;
    }
    let depths = (r.ue()?.checked_add(8)?, r.ue()?.checked_add(8)?);
    r.flag()?;
    if r.flag()? {
        for list in 0..if chroma == 3 { 12 } else { 8 } {
            if r.flag()? {
                scaling_list(r, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Some((chroma, depths.0, depths.1))
}

/// `scaling_list()` (7.3.2.1.1.1).
fn scaling_list(r: &mut BitReader<'_>, size: u32) -> Option<()> {
    let (mut last, mut next) = (8, 8);
    for _ in 0..size {
        if next != 0 {
            next = (last + r.se()?).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Some(())
}

/// `pic_order_cnt_type` and its fields.
fn order_count(r: &mut BitReader<'_>) -> Option<()> {
    match r.ue()? {
        0 => r.ue().map(|_| ()),
        1 => {
            r.flag()?;
            r.se()?;
            r.se()?;
            let count = r.ue().filter(|count| *count < 256)?;
            (0..count).try_for_each(|_| r.se().map(|_| ()))
        }
        _ => Some(()),
    }
}

impl Vui {
    fn parse(r: &mut BitReader<'_>) -> Option<Self> {
        let start = r.at;
        let signal = Signal::read(r)?;
        if r.flag()? {
            r.bits(32)?;
            r.bits(32)?;
            r.flag()?;
        }
        let display = start..r.at;
        let (nal, vcl) = (buffering_model(r)?, buffering_model(r)?);
        if nal || vcl {
            r.flag()?;
        }
        r.flag()?;
        let restriction = r.at;
        let mut buffering = None;
        if r.flag()? {
            r.flag()?;
            for _ in 0..5 {
                r.ue()?;
            }
            buffering = Some(r.ue()?);
        }
        Some(Self { display, restriction: restriction..r.at, signal, buffering })
    }
}

/// A flag and, if it is set, `hrd_parameters()` (E.1.2).
fn buffering_model(r: &mut BitReader<'_>) -> Option<bool> {
    if !r.flag()? {
        return Some(false);
    }
    let count = r.ue().filter(|count| *count < 32)?;
    r.bits(8)?;
    for _ in 0..=count {
        r.ue()?;
        r.ue()?;
        r.flag()?;
    }
    r.bits(20)?;
    Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What x264 wrote for 320×180 at 25 frames a second, High profile.
    const X264: [u8; 26] = [
        0x67, 0x64, 0x00, 0x0c, 0xac, 0xd9, 0x41, 0x41, 0x9f, 0x9f, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10,
        0x00, 0x00, 0x03, 0x03, 0x20, 0xf1, 0x42, 0x99, 0x60,
    ];

    #[test]
    fn a_set_like_itself_is_itself() {
        let sps = Sps::parse(&X264).unwrap();
        assert_eq!((sps.profile_name(), sps.id, sps.sampling), (Some("high"), 0, (1, 8, 8)));
        // 12 rows of macroblocks, of which 12 lines are cropped, in units of 2.
        assert_eq!((sps.picture, sps.progressive), ((20, 12, [0, 0, 0, 6]), true));
        assert!(sps.shows_like(&sps));
        assert_eq!(sps.like(&sps).unwrap(), X264);
    }

    #[test]
    fn profile_and_level_are_the_sources() {
        let sps = Sps::parse(&X264).unwrap();
        let mut other = X264;
        other[3] = 42;
        let source = Sps::parse(&other).unwrap();
        assert_eq!(sps.like(&source).unwrap(), other);
        other[1] = MAIN;
        assert_eq!(Sps::parse(&other).and_then(|source| sps.like(&source)), None);
    }

    proptest! {
        #[test]
        fn nothing_makes_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), at in 0usize..26, bit in 0u8..8) {
            let _ = Sps::parse(&bytes);
            let mut changed = X264;
            changed[at] ^= 1 << bit;
            let own = Sps::parse(&X264).unwrap();
            let _ = Sps::parse(&changed).map(|sps| (own.like(&sps), sps.like(&own), own.shows_like(&sps)));
        }
    }
}
