//! The sequence parameter set (H.265 7.3.2.2.1): what of it decides whether two streams can stand in one track, and a
//! set for the encoder's stream that says of the picture what the source's says.

use std::ops::Range;

use domain::quality::PictureSize;

use super::{
    super::bits::{BitReader, BitWriter, escape, unescape},
    kind, kind_of,
    syntax::{profile, read_tools},
    vui::Vui,
};
use crate::ffmpeg::Colour;

/// The profiles whose streams the encoder can match (A.3.2, A.3.3): Main and Main 10.
const PROFILES: std::ops::RangeInclusive<u8> = 1..=2;

/// The smallest coding blocks that the encoder knows, the fastest first.
const BLOCKS: [u32; 3] = [16, 8, 32];

/// A sequence parameter set. Ranges are bits of `rbsp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sps {
    /// The NAL unit without emulation prevention bytes.
    rbsp: Vec<u8>,
    /// `general_profile_idc`; 0 in another profile space.
    pub(super) profile: u8,
    /// Whether the source says that it is interlaced.
    pub(super) is_interlaced: bool,
    /// Where the number stands, behind the video parameter set's, profile, tier and level.
    id_at: usize,
    /// `sps_seq_parameter_set_id`.
    pub(super) id: u32,
    /// `chroma_format_idc` and the bit depths of luma and chroma.
    sampling: (u32, u32, u32),
    /// Width and height in luma samples, and the conformance window, in units of two samples.
    picture: (u32, u32, [u32; 4]),
    /// From `chroma_format_idc` to `log2_max_pic_order_cnt_lsb_minus4`.
    shape: Range<usize>,
    /// Of the highest sub-layer: `sps_max_dec_pic_buffering_minus1`, `sps_max_num_reorder_pics` and
    /// `sps_max_latency_increase_plus1`.
    buffering: [u32; 3],
    /// From the size of coding blocks to `strong_intra_smoothing_enabled_flag`.
    tools: Range<usize>,
    vui: Option<Vui>,
}

impl Sps {
    /// Reads a NAL unit; `None` if it is damaged.
    pub(super) fn parse(nal: &[u8]) -> Option<Self> {
        let rbsp = unescape(nal);
        if kind_of(&rbsp) != kind::SPS {
            return None;
        }
        let mut r = BitReader::new(&rbsp, 20);
        let layers = r.bits(3)? + 1;
        r.flag()?; // sps_temporal_id_nesting_flag
        let (profile, is_interlaced) = profile(&mut r, layers)?;
        let id_at = r.at;
        let id = r.ue()?;
        let shape = r.at;
        let chroma = r.ue()?;
        if chroma == 3 {
            r.flag()?;
        }
        let (width, height) = (r.ue()?, r.ue()?);
        let window = if r.flag()? { [r.ue()?, r.ue()?, r.ue()?, r.ue()?] } else { [0; 4] };
        let sampling = (chroma, r.ue()?.checked_add(8)?, r.ue()?.checked_add(8)?);
        let count_bits = r.ue()?.checked_add(4).filter(|bits| *bits <= 16)?;
        let shape = shape..r.at;
        let mut buffering = [0; 3];
        for _ in 0..if r.flag()? { layers } else { 1 } {
            buffering = [r.ue()?, r.ue()?, r.ue()?];
        }
        let tools = r.at;
        read_tools(&mut r, count_bits)?;
        let tools = tools..r.at;
        let vui = if r.flag()? { Some(Vui::parse(&mut r)?) } else { None };
        let is_interlaced = is_interlaced || vui.as_ref().is_some_and(|vui| vui.has_fields);
        let picture = (width, height, window);
        Some(Self {
            profile,
            is_interlaced,
            id_at,
            id,
            sampling,
            picture,
            shape,
            buffering,
            tools,
            vui,
            rbsp,
        })
    }

    /// Whether the encoder can make pictures of this profile and sampling: 4:2:0 with 8 or 10 bits.
    pub(super) fn can_be_matched(&self) -> bool {
        PROFILES.contains(&self.profile) && matches!(self.sampling, (1, 8, 8) | (1, 10, 10))
    }

    /// The size of 4:2:0 pictures as they are shown.
    fn shown(&self) -> Option<PictureSize> {
        let (width, height, [left, right, top, bottom]) = self.picture;
        let side = |side: u32, a: u32, b: u32| {
            side.checked_sub(a.checked_add(b)?.checked_mul(2)?).filter(|side| *side > 0)
        };
        Some(PictureSize { width: side(width, left, right)?, height: side(height, top, bottom)? })
    }

    /// What the numbers of the pictures mean.
    pub(super) fn colour(&self) -> Colour {
        self.vui.as_ref().map(|vui| vui.signal.colour.clone()).unwrap_or_default()
    }

    /// [`Self::shown`], if the pixels are square or nothing is said of them.
    pub(super) fn square_picture(&self) -> Option<PictureSize> {
        self.shown().filter(|_| self.vui.as_ref().is_none_or(|vui| vui.signal.is_square))
    }

    /// The size of the encoder's smallest block with which it fills pictures up to the source's coded size.
    pub(super) fn block(&self) -> Option<u32> {
        let PictureSize { width, height } = self.shown()?;
        let fills = |block: &u32| {
            let coded = |side: u32| side.checked_next_multiple_of(*block);
            (coded(width), coded(height)) == (Some(self.picture.0), Some(self.picture.1))
        };
        BLOCKS.into_iter().find(fills)
    }

    /// Whether pictures of both are shown alike: same samples, same size, same description.
    pub(super) fn shows_like(&self, other: &Self) -> bool {
        let shape = |sps: &Self| (sps.profile, sps.sampling, sps.picture, sps.is_interlaced);
        let described = |sps: &Self| {
            let mut bits = BitWriter::default();
            sps.vui.as_ref().and_then(|vui| vui.describe(&sps.rbsp, &mut bits));
            bits.finish()
        };
        shape(self) == shape(other) && described(self) == described(other)
    }

    /// This set, the encoder's, under the number `id`, with the profile, level, layers, buffering, colours and aspect
    /// of `source`, and belonging to the same video parameter set: a decoder that goes from one stream to the other
    /// sees nothing change, and so drops no pictures (C.5.2.2). `None` if the two have not the same pictures, or if the
    /// encoder's stream needs more buffers.
    pub(super) fn like(&self, source: &Self, id: u32) -> Option<Vec<u8>> {
        let ([own, reorder, _], [buffers, ..]) = (self.buffering, source.buffering);
        let fits = self.id == 0
            && (self.sampling, self.picture) == (source.sampling, source.picture)
            && reorder == 0
            && own <= buffers;
        fits.then_some(())?;
        let mut bits = BitWriter::default();
        bits.copy(&source.rbsp, 0..source.id_at)?;
        bits.ue(id);
        bits.copy(&self.rbsp, self.shape.clone())?;
        bits.flag(false); // what follows is said of the highest sub-layer, and holds for all
        source.buffering.into_iter().for_each(|value| bits.ue(value));
        bits.copy(&self.rbsp, self.tools.clone())?;
        bits.flag(source.vui.is_some());
        if let Some(vui) = &source.vui {
            vui.describe(&source.rbsp, &mut bits)?;
        }
        bits.flag(false); // sps_extension_present_flag
        Some(escape(&bits.finish()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What x265 wrote for 320×180 at 25 frames a second with 10 bits, BT.2020 colours, a buffering model and blocks of 8.
    const X265: [u8; 56] = [
        0x42, 0x01, 0x01, 0x02, 0x20, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00,
        0x3f, 0xa0, 0x0a, 0x08, 0x0b, 0x9f, 0x6d, 0x96, 0x56, 0x5b, 0x93, 0x0b, 0xc0, 0x5a, 0x84, 0x88, 0x04,
        0x82, 0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x32, 0xc1, 0x39, 0x2c, 0xbc, 0x00, 0x1e,
        0x84, 0x80, 0x03, 0xd0, 0x91,
    ];

    #[test]
    fn a_set_is_read() {
        let sps = Sps::parse(&X265).unwrap();
        assert_eq!((sps.profile, sps.id, sps.sampling), (2, 0, (1, 10, 10)));
        assert_eq!((sps.picture, sps.is_interlaced), ((320, 184, [0, 0, 0, 2]), false));
        assert_eq!(sps.square_picture(), Some(PictureSize { width: 320, height: 180 }));
        assert_eq!((sps.block(), sps.buffering), (Some(8), [4, 2, 4]));
        assert!(sps.can_be_matched() && sps.shows_like(&sps));
        assert_eq!(sps.like(&sps, 9), None, "it needs reordering");
    }

    #[test]
    fn a_set_like_another_has_its_description() {
        let source = Sps::parse(&X265).unwrap();
        let mut made = source.clone();
        made.buffering = [2, 0, 0];
        let like = Sps::parse(&made.like(&source, 9).unwrap()).unwrap();
        assert_eq!((like.id, like.buffering), (9, source.buffering));
        assert!(like.shows_like(&source));
        assert_eq!(made.like(&Sps { buffering: [1, 0, 0], ..source.clone() }, 9), None, "too few buffers");
        made.picture.1 += 8;
        assert_eq!(made.like(&source, 9), None, "another size");
    }

    proptest! {
        #[test]
        fn nothing_makes_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), at in 0usize..56, bit in 0u8..8) {
            let _ = Sps::parse(&bytes);
            let mut changed = X265;
            changed[at] ^= 1 << bit;
            let own = Sps::parse(&X265).unwrap();
            let _ = Sps::parse(&changed).map(|sps| (own.like(&sps, 3), sps.like(&own, 3), own.shows_like(&sps), sps.block()));
        }
    }
}
