//! H.264: its decoder configuration record (`avcC`, ISO/IEC 14496-15 5.3.3.1), its NAL units, and its encoder.

mod sps;

use std::borrow::Cow;

use domain::quality::PictureSize;

use super::{
    Reason,
    bits::BitReader,
    codec::{Codec, Entry, Role, Sets, push_set, read_sets},
};
use crate::{
    ffmpeg::{Args, Colour},
    mp4::boxes::{Cursor, FourCc, ParseError},
};
use sps::Sps;

/// How many parameter sets of a kind an `avcC` can hold.
const SETS_MAX: usize = 31;

/// Few frames, seen next to the source's own: quality first, at the cost of bits. Without reordering, what is encoded
/// fits every source's buffering, and the order of decoding is that of showing.
const ENCODER: &str = "-c:v libx264 -preset ultrafast -tune psnr -bf 0 -refs 1";

/// A constant quantizer, since a constant rate factor spends too little on what is hard to encode: 44 dB on noise,
/// where a factor of 18, which takes as many bits elsewhere, has 34.
const QUANTIZER: u32 = 17;

/// By how much the quantizer's scale is longer with 10 bits (`QpBdOffset`, H.264 7.4.2.1.1).
const QUANTIZER_OFFSET_10: u32 = 12;

/// `stitchable` keeps what the parameter sets say independent of the content, so that all ends share one pair.
const PARAMETERS: &str = "keyint=infinite:scenecut=0:open-gop=0:aud=0:stitchable=1:weightp=0";

/// H.264 pictures that an encoder can match.
pub(super) struct Avc {
    config: Config,
    /// The set that the encoder has to match.
    sps: Sps,
}

impl Avc {
    pub(super) fn read(entry: Entry<'_>) -> Result<Self, Reason> {
        let config = Config::read(entry)?;
        let sps = common_set(&config)?;
        Ok(Self { config, sps })
    }
}

impl Codec for Avc {
    fn name(&self) -> &'static str {
        "h264"
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

    /// H.264 table 7-1.
    fn role(&self, nal: &[u8]) -> Role {
        let header = nal.first().copied().unwrap_or(0);
        match header & 31 {
            1 => Role::Slice { is_reference: header >> 5 & 3 != 0 }, // `nal_ref_idc`
            5 => Role::Idr,
            7 | 8 => Role::Set,
            // Data partitions (A to C), and the prefixes, sets and slices of scalable and multi-view streams.
            2..=4 | 14 | 15 | 20 | 21 => Role::Alien,
            _ => Role::Extra,
        }
    }

    fn sets(&self) -> Vec<&[u8]> {
        self.config.sps.iter().chain(&self.config.pps).map(Vec::as_slice).collect()
    }

    fn encoder(&self, args: Args) -> Result<Args, Reason> {
        let id = self.config.free_id().ok_or(Reason::NoFreeId)?;
        let profile = self.sps.profile_name().ok_or(self.sps.unmatched())?;
        // What makes a set one of the High profiles; the preset leaves it out.
        let transform = u8::from(profile.starts_with("high"));
        let parameters = format!("sps-id={id}:8x8dct={transform}:{PARAMETERS}");
        let quantizer = QUANTIZER + if profile == "high10" { QUANTIZER_OFFSET_10 } else { 0 };
        let args = args.words(ENCODER).option("-qp", quantizer.to_string());
        Ok(args.option("-profile:v", profile).option("-x264-params", parameters))
    }

    fn adopt(&self, made: Entry<'_>) -> Result<Sets, Reason> {
        let id = self.config.free_id().ok_or(Reason::NoFreeId)?;
        let config = Config::read(made)?;
        let (sps, pps) = match (config.sps.as_slice(), config.pps.as_slice(), config.length_size) {
            ([sps], [pps], 4) => (sps, pps),
            _ => return Err(Reason::EndSets),
        };
        let made = Sps::parse(sps).ok_or(Reason::EndSets)?;
        let source = &self.sps;
        let fits = made.id == id
            && pps_ids(pps) == Some((id, id))
            && (made.sampling, made.picture, made.progressive)
                == (source.sampling, source.picture, source.progressive);
        let sps = made.like(source).filter(|_| fits).ok_or(Reason::EndSets)?;
        Ok(Sets { sps, pps: pps.clone() })
    }

    fn adopted<'a>(&self, slice: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        Some(Cow::Borrowed(slice))
    }

    fn messages<'a>(&self, nal: &'a [u8]) -> Option<&'a [u8]> {
        nal.split_first().filter(|(header, _)| *header & 31 == 6).map(|(_, messages)| messages)
    }

    fn message_header(&self) -> &'static [u8] {
        &[6]
    }

    fn is_trailer(&self, _: &[u8]) -> bool {
        false
    }

    fn entry(&self) -> FourCc {
        *b"avc1"
    }

    fn record(&self, more: Option<&Sets>) -> (FourCc, Vec<u8>) {
        (*b"avcC", self.config.write(more))
    }
}

/// A decoder configuration record.
#[derive(Clone, Debug)]
struct Config {
    /// Profile, compatibility and level, verbatim.
    head: [u8; 3],
    length_size: usize,
    sps: Vec<Vec<u8>>,
    pps: Vec<Vec<u8>>,
    /// What follows the sets: chroma format and bit depths in the High profiles.
    rest: Vec<u8>,
}

impl Config {
    fn read(entry: Entry<'_>) -> Result<Self, Reason> {
        Self::parse(entry.record(b"avcC")?).map_err(|_| Reason::ParameterSets)
    }

    /// Reads the body of an `avcC`.
    fn parse(body: &[u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor(body);
        let [version, profile, compatible, level, length, sps_count] = cursor.array()?;
        if version != 1 || length & 3 == 2 {
            return Err(ParseError::Unsupported("another version of avcC"));
        }
        let sps = read_sets(&mut cursor, (sps_count & 31).into())?;
        let [pps_count] = cursor.array()?;
        let pps = read_sets(&mut cursor, pps_count.into())?;
        Ok(Self {
            head: [profile, compatible, level],
            length_size: usize::from(length & 3) + 1,
            sps,
            pps,
            rest: cursor.0.to_vec(),
        })
    }

    /// Writes the body of an `avcC` for NAL units with 4 bytes of length, with these further sets.
    fn write(&self, more: Option<&Sets>) -> Vec<u8> {
        let mut out = vec![1];
        out.extend_from_slice(&self.head);
        out.push(0xff);
        for (mark, own, more) in
            [(0xe0, &self.sps, more.map(|sets| &sets.sps)), (0, &self.pps, more.map(|sets| &sets.pps))]
        {
            let all: Vec<&Vec<u8>> = own.iter().chain(more).collect();
            out.push(mark | u8::try_from(all.len()).unwrap_or(u8::MAX));
            all.into_iter().for_each(|set| push_set(&mut out, set));
        }
        out.extend_from_slice(&self.rest);
        out
    }

    /// An id that neither a sequence nor a picture parameter set has: the encoder numbers both alike.
    fn free_id(&self) -> Option<u32> {
        if self.sps.len() >= SETS_MAX || self.pps.len() >= usize::from(u8::MAX) {
            return None;
        }
        let sps = self.sps.iter().map(|set| Sps::parse(set).map(|sps| sps.id));
        let pps = self.pps.iter().map(|set| pps_ids(set).map(|(id, _)| id));
        let used: Vec<u32> = sps.chain(pps).collect::<Option<_>>()?;
        (0..32).rev().find(|id| !used.contains(id))
    }
}

/// The one kind of picture that all sets of the source describe.
fn common_set(config: &Config) -> Result<Sps, Reason> {
    let sets: Option<Vec<Sps>> = config.sps.iter().map(|set| Sps::parse(set)).collect();
    let mut sets = sets.ok_or(Reason::ParameterSets)?;
    let first = sets.pop().ok_or(Reason::ParameterSets)?;
    if sets.iter().any(|other| !other.shows_like(&first)) {
        return Err(Reason::SetsChange);
    }
    if first.profile_name().is_none() {
        return Err(first.unmatched());
    }
    if !first.progressive {
        return Err(Reason::Interlaced);
    }
    Ok(first)
}

/// The ids of a picture parameter set and of the sequence parameter set that it refers to (7.3.2.2).
fn pps_ids(nal: &[u8]) -> Option<(u32, u32)> {
    // Both ids are far below the first place where an emulation prevention byte could stand.
    let mut reader = BitReader::new(nal, 8);
    Some((reader.ue()?, reader.ue()?))
}
