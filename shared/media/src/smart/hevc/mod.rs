//! H.265: its NAL units and its encoder.
//!
//! libx265 numbers its parameter sets 0, as almost every source does. So they are numbered anew, and with them the
//! set that each slice names (`ids`).

mod config;
mod ids;
mod sps;
mod syntax;
mod vui;

use std::borrow::Cow;

use domain::quality::PictureSize;

use super::{
    Reason,
    codec::{Codec, Entry, Role, Sets},
};
use crate::{
    ffmpeg::{Args, Colour},
    mp4::boxes::FourCc,
};
use config::Config;
use sps::Sps;

/// As for H.264: quality first, no reordering. A constant quantizer, since the encoder's constant rate factor spends
/// too little on noise: 43 dB there, 50 elsewhere.
const ENCODER: &str = "-c:v libx265 -preset ultrafast -tune psnr";

/// Without wavefronts, no slice header names places in the slice. All else that a set could say of the content, and
/// all words, are off.
const PARAMETERS: &str = "qp=15:keyint=-1:scenecut=0:open-gop=0:bframes=0:ref=1:weightp=0:wpp=0:slices=1:aud=0:\
                          hrd=0:info=0:repeat-headers=0:log-level=error";

/// The kinds of NAL units that matter here (H.265 table 7-1).
mod kind {
    pub(super) const IDR_W_RADL: u8 = 19;
    pub(super) const IDR_N_LP: u8 = 20;
    pub(super) const VPS: u8 = 32;
    pub(super) const SPS: u8 = 33;
    pub(super) const PPS: u8 = 34;
    pub(super) const PREFIX_SEI: u8 = 39;
    /// What Dolby Vision says of a picture (Dolby Vision Streams Within the ISO Base Media File Format, 2.2).
    pub(super) const DOLBY_VISION: u8 = 62;
}

/// The NAL unit's kind.
fn kind_of(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |byte| byte >> 1 & 63)
}

/// H.265 pictures that an encoder can match.
pub(super) struct Hevc {
    config: Config,
    /// The set that the encoder has to match.
    sps: Sps,
}

impl Hevc {
    pub(super) fn read(entry: Entry<'_>) -> Result<Self, Reason> {
        let config = Config::read(entry)?;
        let sps = common_set(&config)?;
        Ok(Self { config, sps })
    }
}

impl Codec for Hevc {
    fn name(&self) -> &'static str {
        "hevc"
    }

    fn square_picture(&self) -> Option<PictureSize> {
        self.sps.square_picture()
    }

    fn colour(&self) -> Colour {
        self.sps.colour()
    }

    fn length_size(&self) -> usize {
        self.config.length_size
    }

    fn role(&self, nal: &[u8]) -> Role {
        let layer = match nal {
            [first, second, ..] => (first & 1) << 5 | second >> 3,
            _ => return Role::Alien,
        };
        match kind_of(nal) {
            _ if layer > 0 => Role::Alien, // scalable and multi-view streams
            kind::IDR_W_RADL | kind::IDR_N_LP => Role::Idr,
            // Even a picture that no other needs may be named by others, and is then missed.
            0..=9 | 16..=18 | 21 => Role::Slice { is_reference: true },
            kind::VPS..=kind::PPS => Role::Set,
            35..=40 | 48..=kind::DOLBY_VISION => Role::Extra,
            _ => Role::Alien,
        }
    }

    fn sets(&self) -> Vec<&[u8]> {
        [kind::VPS, kind::SPS, kind::PPS].into_iter().flat_map(|kind| self.config.sets(kind)).collect()
    }

    fn encoder(&self, args: Args) -> Result<Args, Reason> {
        let block = self.sps.block().ok_or(Reason::EndSets)?;
        let parameters = format!("min-cu-size={block}:{PARAMETERS}");
        Ok(args.words(ENCODER).option("-x265-params", parameters))
    }

    fn adopt(&self, made: Entry<'_>) -> Result<Sets, Reason> {
        let (sps_id, pps_id) = self.config.free_ids().ok_or(Reason::NoFreeId)?;
        let made = Config::read(made)?;
        let (all_sps, all_pps) = (made.sets(kind::SPS), made.sets(kind::PPS));
        let (sps, pps) = match (all_sps.as_slice(), all_pps.as_slice(), made.length_size) {
            ([sps], [pps], 4) => (sps, pps),
            _ => return Err(Reason::EndSets),
        };
        let sps = Sps::parse(sps).and_then(|made| made.like(&self.sps, sps_id)).ok_or(Reason::EndSets)?;
        let pps = ids::picture_set(pps, sps_id, pps_id).ok_or(Reason::EndSets)?;
        Ok(Sets { sps, pps })
    }

    fn adopted<'a>(&self, slice: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let (_, pps_id) = self.config.free_ids()?;
        ids::slice(slice, pps_id).map(Cow::Owned)
    }

    fn messages<'a>(&self, nal: &'a [u8]) -> Option<&'a [u8]> {
        nal.get(2..).filter(|_| kind_of(nal) == kind::PREFIX_SEI)
    }

    fn message_header(&self) -> &'static [u8] {
        &[kind::PREFIX_SEI << 1, 1]
    }

    fn is_trailer(&self, nal: &[u8]) -> bool {
        kind_of(nal) == kind::DOLBY_VISION
    }

    fn entry(&self) -> FourCc {
        *b"hvc1"
    }

    fn record(&self, more: Option<&Sets>) -> (FourCc, Vec<u8>) {
        (*b"hvcC", self.config.write(more))
    }
}

/// The one kind of picture that all sets of the source describe.
fn common_set(config: &Config) -> Result<Sps, Reason> {
    let sets: Option<Vec<Sps>> = config.sets(kind::SPS).into_iter().map(Sps::parse).collect();
    let mut sets = sets.ok_or(Reason::ParameterSets)?;
    let first = sets.pop().ok_or(Reason::ParameterSets)?;
    if config.sets(kind::VPS).is_empty() || config.sets(kind::PPS).is_empty() {
        return Err(Reason::ParameterSets);
    }
    if sets.iter().any(|other| !other.shows_like(&first)) {
        return Err(Reason::SetsChange);
    }
    if !first.can_be_matched() {
        return Err(Reason::Profile { codec: "H.265", profile: first.profile });
    }
    if first.is_interlaced {
        return Err(Reason::Interlaced);
    }
    Ok(first)
}
