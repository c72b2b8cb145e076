//! The decoder configuration record (`avcC`, ISO/IEC 14496-15 5.3.3.1) and NAL units in samples (5.3.2).

use std::ops::Range;

use super::{Reason, bits::BitReader, sps::Sps};
use crate::mp4::boxes::{Children, Cursor, ParseError, write};

/// The kinds of NAL units that matter here (H.264 table 7-1).
pub(super) mod kind {
    pub(in super::super) const SLICE: u8 = 1;
    pub(in super::super) const IDR: u8 = 5;
    pub(in super::super) const SEI: u8 = 6;
    pub(in super::super) const SPS: u8 = 7;
    pub(in super::super) const PPS: u8 = 8;
}

/// Where the boxes begin in the body of a visual sample entry (ISO/IEC 14496-12, 12.1.3).
const ENTRY_FIELDS_LEN: usize = 78;

/// How many parameter sets of a kind an `avcC` can hold.
const SETS_MAX: usize = 31;

/// A decoder configuration record.
#[derive(Clone, Debug)]
pub(super) struct Config {
    /// Profile, compatibility and level, verbatim.
    head: [u8; 3],
    /// Length in bytes of the field before each NAL unit.
    pub(super) length_size: usize,
    pub(super) sps: Vec<Vec<u8>>,
    pub(super) pps: Vec<Vec<u8>>,
    /// What follows the sets: chroma format and bit depths in the High profiles.
    rest: Vec<u8>,
}

impl Config {
    /// Reads the body of an `avcC`.
    pub(super) fn parse(body: &[u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor(body);
        let [version, profile, compatible, level, length, sps_count] = cursor.array()?;
        if version != 1 || length & 3 == 2 {
            return Err(ParseError::Unsupported("another version of avcC"));
        }
        let sps = sets(&mut cursor, sps_count & 31)?;
        let [pps_count] = cursor.array()?;
        let pps = sets(&mut cursor, pps_count)?;
        Ok(Self {
            head: [profile, compatible, level],
            length_size: usize::from(length & 3) + 1,
            sps,
            pps,
            rest: cursor.0.to_vec(),
        })
    }

    /// Writes the body of an `avcC` for NAL units with 4 bytes of length, with these further sets.
    pub(super) fn write(&self, more: Option<&Sets>, out: &mut Vec<u8>) {
        out.push(1);
        out.extend_from_slice(&self.head);
        out.push(0xff);
        for (mark, own, more) in
            [(0xe0, &self.sps, more.map(|sets| &sets.sps)), (0, &self.pps, more.map(|sets| &sets.pps))]
        {
            let all: Vec<&Vec<u8>> = own.iter().chain(more).collect();
            out.push(mark | u8::try_from(all.len()).unwrap_or(u8::MAX));
            for set in all {
                out.extend_from_slice(&u16::try_from(set.len()).unwrap_or(u16::MAX).to_be_bytes());
                out.extend_from_slice(set);
            }
        }
        out.extend_from_slice(&self.rest);
    }

    /// An id that neither a sequence nor a picture parameter set has: the encoder numbers both alike.
    pub(super) fn free_id(&self) -> Option<u32> {
        if self.sps.len() >= SETS_MAX || self.pps.len() >= usize::from(u8::MAX) {
            return None;
        }
        let sps = self.sps.iter().map(|set| Sps::parse(set).map(|sps| sps.id));
        let pps = self.pps.iter().map(|set| pps_ids(set).map(|(id, _)| id));
        let used: Vec<u32> = sps.chain(pps).collect::<Option<_>>()?;
        (0..32).rev().find(|id| !used.contains(id))
    }

    /// Whether `nal` is one of these sets.
    pub(super) fn has(&self, nal: &[u8]) -> bool {
        self.sps.iter().chain(&self.pps).any(|set| set == nal)
    }
}

/// The two parameter sets of the encoder's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sets {
    pub(super) sps: Vec<u8>,
    pub(super) pps: Vec<u8>,
}

fn sets(cursor: &mut Cursor<'_>, count: u8) -> Result<Vec<Vec<u8>>, ParseError> {
    let set = |_| {
        let len = cursor.u16()?;
        Ok(cursor.bytes(len.into())?.to_vec())
    };
    (0..count).map(set).collect()
}

/// The ids of a picture parameter set and of the sequence parameter set that it refers to (7.3.2.2).
pub(super) fn pps_ids(nal: &[u8]) -> Option<(u32, u32)> {
    // Both ids are far below the first place where an emulation prevention byte could stand.
    let mut reader = BitReader::new(nal, 8);
    Some((reader.ue()?, reader.ue()?))
}

/// The places of the NAL units in a sample, without their lengths; `None` when these do not add up.
pub(super) fn units(sample: &[u8], length_size: usize) -> Option<Vec<Range<usize>>> {
    let (mut units, mut at) = (Vec::new(), 0);
    while at < sample.len() {
        let field = sample.get(at..at + length_size)?;
        let len = field.iter().fold(0usize, |len, byte| len << 8 | usize::from(*byte));
        at += length_size;
        if len == 0 || len > sample.len() - at {
            return None;
        }
        units.push(at..at + len);
        at += len;
    }
    Some(units)
}

/// The NAL unit's kind.
pub(super) fn kind_of(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |byte| byte & 31)
}

/// Whether the NAL unit is, or may be, part of a picture that others refer to (`nal_ref_idc`, 7.4.1).
pub(super) fn is_reference(nal: &[u8]) -> bool {
    nal.first().is_none_or(|byte| byte >> 5 & 3 != 0)
}

/// Appends a NAL unit with 4 bytes of length.
pub(super) fn push_unit(out: &mut Vec<u8>, nal: &[u8]) {
    out.extend_from_slice(&u32::try_from(nal.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(nal);
}

/// The sample entry that the samples use (`stsd`, from 1): its type and body.
fn entry(stsd: &[u8], description: u32) -> Result<([u8; 4], &[u8]), Reason> {
    let entries = Children(stsd.get(8..).unwrap_or_default());
    let position = usize::try_from(description).unwrap_or(0).saturating_sub(1);
    match entries.into_iter().nth(position) {
        Some(Ok(entry)) => Ok(entry),
        _ => Err(Reason::Codec("no sample description".to_owned())),
    }
}

/// The configuration in a `stsd`, whose entry must be `avc1`: under another name the sets may lie in the samples.
pub(super) fn config(stsd: &[u8], description: u32) -> Result<Config, Reason> {
    let (kind, body) = entry(stsd, description)?;
    if kind != *b"avc1" {
        return Err(Reason::Codec(String::from_utf8_lossy(&kind).into_owned()));
    }
    let boxes = Children(body.get(ENTRY_FIELDS_LEN..).unwrap_or_default());
    let avcc = boxes.filter_map(Result::ok).find(|(kind, _)| kind == b"avcC");
    let (_, avcc) = avcc.ok_or(Reason::ParameterSets)?;
    Config::parse(avcc).map_err(|_| Reason::ParameterSets)
}

/// The body of a `stsd` with the one entry in use, verbatim but for its `avcC`: pixel aspect, colours and light
/// levels stay.
pub(super) fn stsd_with(
    stsd: &[u8],
    description: u32,
    config: &Config,
    more: Option<&Sets>,
) -> Result<Vec<u8>, Reason> {
    let (kind, body) = entry(stsd, description)?;
    let (fields, boxes) = body.split_at_checked(ENTRY_FIELDS_LEN).ok_or(Reason::ParameterSets)?;
    let mut out = vec![0, 0, 0, 0, 0, 0, 0, 1];
    write(&mut out, &kind, |out| {
        out.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]); // the one data reference there is
        out.extend_from_slice(fields.get(8..).unwrap_or_default());
        for child in Children(boxes).filter_map(Result::ok) {
            match child {
                (kind, _) if kind == *b"avcC" => write(out, &kind, |out| config.write(more, out)),
                (kind, body) => write(out, &kind, |out| out.extend_from_slice(body)),
            }
        }
    });
    Ok(out)
}
