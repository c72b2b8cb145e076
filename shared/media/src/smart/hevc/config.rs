//! The decoder configuration record of H.265 (`hvcC`, ISO/IEC 14496-15 8.3.3.1).

use super::{
    super::{
        Reason,
        codec::{Entry, Sets, push_set, read_sets},
    },
    ids::{self, PPS_IDS, SPS_IDS},
    kind,
    sps::Sps,
};
use crate::mp4::boxes::{Cursor, ParseError};

/// How many bytes stand before the arrays.
const HEAD_LEN: usize = 22;

/// Where in these the number of threads that decode in parallel stands: the least spatial segmentation and the type
/// of parallelism. Zero says nothing.
const PARALLELISM: std::ops::Range<usize> = 13..16;
const NO_PARALLELISM: [u8; 3] = [0xf0, 0, 0xfc];

/// In the last of these, the length of the length field, minus one.
const LENGTH_SIZE: u8 = 3;

/// No NAL unit of the array's kind lies in a sample (`array_completeness`).
const COMPLETE: u8 = 0x80;

/// A decoder configuration record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Config {
    head: [u8; HEAD_LEN],
    pub(super) length_size: usize,
    /// NAL units by kind.
    arrays: Vec<(u8, Vec<Vec<u8>>)>,
}

impl Config {
    pub(super) fn read(entry: Entry<'_>) -> Result<Self, Reason> {
        Self::parse(entry.record(b"hvcC")?).map_err(|_| Reason::ParameterSets)
    }

    /// Reads the body of an `hvcC`.
    fn parse(body: &[u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor(body);
        let head: [u8; HEAD_LEN] = cursor.array()?;
        let [version, .., length] = head;
        if version != 1 || length & LENGTH_SIZE == 2 {
            return Err(ParseError::Unsupported("another version of hvcC"));
        }
        let [count] = cursor.array()?;
        let array = |_| {
            let [kind] = cursor.array()?;
            let count = cursor.u16()?;
            Ok((kind & 63, read_sets(&mut cursor, count)?))
        };
        let arrays = (0..count).map(array).collect::<Result<_, _>>()?;
        Ok(Self { head, length_size: usize::from(length & LENGTH_SIZE) + 1, arrays })
    }

    /// Writes the body of an `hvcC` for NAL units with 4 bytes of length, with these further sets.
    pub(super) fn write(&self, more: Option<&Sets>) -> Vec<u8> {
        let mut out = self.head.to_vec();
        if let Some(length) = out.last_mut() {
            *length |= LENGTH_SIZE;
        }
        if let Some(field) = out.get_mut(PARALLELISM).filter(|_| more.is_some()) {
            field.copy_from_slice(&NO_PARALLELISM);
        }
        out.push(u8::try_from(self.arrays.len()).unwrap_or(u8::MAX));
        for (number, (kind, own)) in self.arrays.iter().enumerate() {
            let is_first = self.arrays.iter().position(|(other, _)| other == kind) == Some(number);
            let more = more.filter(|_| is_first).and_then(|sets| match *kind {
                kind::SPS => Some(&sets.sps),
                kind::PPS => Some(&sets.pps),
                _ => None,
            });
            let is_set = (kind::VPS..=kind::PPS).contains(kind);
            out.push(if is_set { COMPLETE } else { 0 } | kind);
            let all: Vec<&Vec<u8>> = own.iter().chain(more).collect();
            out.extend_from_slice(&u16::try_from(all.len()).unwrap_or(u16::MAX).to_be_bytes());
            all.into_iter().for_each(|nal| push_set(&mut out, nal));
        }
        out
    }

    /// The NAL units of a kind.
    pub(super) fn sets(&self, kind: u8) -> Vec<&[u8]> {
        let arrays = self.arrays.iter().filter(|(other, _)| *other == kind);
        arrays.flat_map(|(_, nals)| nals.iter().map(Vec::as_slice)).collect()
    }

    /// Numbers that no sequence and no picture parameter set has.
    pub(super) fn free_ids(&self) -> Option<(u32, u32)> {
        let sps = self.sets(kind::SPS).into_iter().map(|set| Sps::parse(set).map(|sps| sps.id));
        let sps: Vec<u32> = sps.collect::<Option<_>>()?;
        let pps: Vec<u32> =
            self.sets(kind::PPS).into_iter().map(ids::of_picture_set).collect::<Option<_>>()?;
        let free = |used: &[u32], id: &u32| !used.contains(id);
        Some((SPS_IDS.rev().find(|id| free(&sps, id))?, PPS_IDS.rev().find(|id| free(&pps, id))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written() {
        let mut body = vec![1; HEAD_LEN];
        body.extend([3]);
        body.extend([COMPLETE | kind::SPS, 0, 1, 0, 2, 66, 1]);
        body.extend([COMPLETE | kind::PPS, 0, 2, 0, 1, 68, 0, 2, 68, 9]);
        body.extend([kind::PREFIX_SEI, 0, 1, 0, 1, 78]);
        let config = Config::parse(&body).unwrap();
        assert_eq!((config.length_size, config.sets(kind::PPS)), (2, vec![&[68][..], &[68, 9]]));
        body[HEAD_LEN - 1] |= 3;
        assert_eq!(config.write(None), body);
        let more = config.write(Some(&Sets { sps: vec![1], pps: vec![2, 3] }));
        let more = Config::parse(&more).unwrap();
        assert_eq!(more.sets(kind::SPS), [&[66, 1][..], &[1]]);
        assert_eq!(more.sets(kind::PPS), [&[68][..], &[68, 9], &[2, 3]]);
        assert_eq!(more.sets(kind::PREFIX_SEI), [&[78]]);
        for len in 0..body.len() {
            assert!(Config::parse(&body[..len]).is_err());
        }
    }
}
