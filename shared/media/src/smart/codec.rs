//! What a smart cut has to know of a codec, and the NAL units that both codecs are made of (ISO/IEC 14496-15, 5.3.2
//! and 8.3.2).

use std::{borrow::Cow, ops::Range};

use domain::quality::PictureSize;

use super::{Reason, avc::Avc, hevc::Hevc};
use crate::{
    ffmpeg::{Args, Colour},
    mp4::boxes::{Children, Cursor, FourCc, ParseError, write},
};

/// Where the boxes begin in the body of a visual sample entry (ISO/IEC 14496-12, 12.1.3).
const ENTRY_FIELDS_LEN: usize = 78;

/// What a NAL unit is to a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A slice of an IDR picture: nothing behind it refers to anything before it.
    Idr,
    /// A slice of another picture.
    Slice {
        /// Whether another picture may refer to it.
        is_reference: bool,
    },
    /// A parameter set.
    Set,
    /// What may go along with a picture: delimiters, messages.
    Extra,
    /// What a plain stream does not have.
    Alien,
}

/// The two parameter sets of the encoder's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sets {
    /// Of the sequence.
    pub(super) sps: Vec<u8>,
    /// Of the picture.
    pub(super) pps: Vec<u8>,
}

/// The decoder configuration of a track whose pictures an encoder can match.
pub(super) trait Codec: Send + Sync {
    /// FFmpeg's name of the codec and of its byte stream format.
    fn name(&self) -> &'static str;

    /// The size of the pictures in pixels, if these are square or nothing is said of them.
    fn square_picture(&self) -> Option<PictureSize>;

    /// What the numbers of the pictures mean.
    fn colour(&self) -> Colour;

    /// Length in bytes of the field before each NAL unit.
    fn length_size(&self) -> usize;

    /// What a NAL unit is; the beginning of it is enough.
    fn role(&self, nal: &[u8]) -> Role;

    /// All parameter sets, in the order in which a decoder needs them.
    fn sets(&self) -> Vec<&[u8]>;

    /// The encoder that makes pictures like these.
    fn encoder(&self, args: Args) -> Result<Args, Reason>;

    /// The sets of what the encoder made, under numbers that are free here; fails if they do not fit.
    fn adopt(&self, made: Entry<'_>) -> Result<Sets, Reason>;

    /// A slice of the encoder's stream, referring to the sets as they were adopted; `None` if it is not as expected.
    fn adopted<'a>(&self, slice: &'a [u8]) -> Option<Cow<'a, [u8]>>;

    /// The messages in a NAL unit, if it holds any that stand before the slices.
    fn messages<'a>(&self, nal: &'a [u8]) -> Option<&'a [u8]>;

    /// The header of a NAL unit of such messages.
    fn message_header(&self) -> &'static [u8];

    /// Whether the NAL unit stands behind the slices and belongs to the picture however that is encoded.
    fn is_trailer(&self, nal: &[u8]) -> bool;

    /// The sample entry's type under which no sample may carry sets.
    fn entry(&self) -> FourCc;

    /// The box of the configuration: its type and, with these further sets, its body, for NAL units with 4 bytes of
    /// length.
    fn record(&self, more: Option<&Sets>) -> (FourCc, Vec<u8>);
}

/// Reads the configuration that the samples of a track use (`stsd`, from 1).
pub(super) fn read(stsd: &[u8], description: u32) -> Result<Box<dyn Codec>, Reason> {
    let entry = Entry::find(stsd, description)?;
    match &entry.kind {
        // Under `avc3`, the sets may lie in the samples only.
        b"avc1" => Ok(Box::new(Avc::read(entry)?)),
        // Under `hev1`, they may also; but this is what FFmpeg writes, which puts them into the configuration.
        b"hvc1" | b"hev1" => Ok(Box::new(Hevc::read(entry)?)),
        kind => Err(Reason::Codec(String::from_utf8_lossy(kind).into_owned())),
    }
}

/// A visual sample entry.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    kind: FourCc,
    fields: &'a [u8],
    boxes: &'a [u8],
}

impl<'a> Entry<'a> {
    /// The entry that the samples use.
    pub(super) fn find(stsd: &'a [u8], description: u32) -> Result<Self, Reason> {
        let entries = Children(stsd.get(8..).unwrap_or_default());
        let position = usize::try_from(description).unwrap_or(0).saturating_sub(1);
        let Some(Ok((kind, body))) = entries.into_iter().nth(position) else {
            return Err(Reason::Codec("no sample description".to_owned()));
        };
        let (fields, boxes) = body.split_at_checked(ENTRY_FIELDS_LEN).ok_or(Reason::ParameterSets)?;
        Ok(Self { kind, fields, boxes })
    }

    /// The body of the box `kind`, which holds the configuration.
    pub(super) fn record(&self, kind: &FourCc) -> Result<&'a [u8], Reason> {
        let found = Children(self.boxes).filter_map(Result::ok).find(|(found, _)| found == kind);
        found.map(|(_, body)| body).ok_or(Reason::ParameterSets)
    }

    /// The body of a `stsd` with this one entry, verbatim but for the configuration: pixel aspect, colours and light
    /// levels stay.
    pub(super) fn stsd(&self, codec: &dyn Codec, more: Option<&Sets>) -> Vec<u8> {
        let (record, body) = codec.record(more);
        let mut out = vec![0, 0, 0, 0, 0, 0, 0, 1];
        write(&mut out, &codec.entry(), |out| {
            out.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]); // the one data reference there is
            out.extend_from_slice(self.fields.get(8..).unwrap_or_default());
            for (kind, verbatim) in Children(self.boxes).filter_map(Result::ok) {
                let body = if kind == record { &body } else { verbatim };
                write(out, &kind, |out| out.extend_from_slice(body));
            }
        });
        out
    }
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

/// Appends a NAL unit with 4 bytes of length.
pub(super) fn push_unit(out: &mut Vec<u8>, nal: &[u8]) {
    out.extend_from_slice(&u32::try_from(nal.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(nal);
}

/// `count` NAL units, each behind 2 bytes of length, as configurations hold them.
pub(super) fn read_sets(cursor: &mut Cursor<'_>, count: u16) -> Result<Vec<Vec<u8>>, ParseError> {
    let set = |_| {
        let len = cursor.u16()?;
        Ok(cursor.bytes(len.into())?.to_vec())
    };
    (0..count).map(set).collect()
}

/// Appends such a NAL unit.
pub(super) fn push_set(out: &mut Vec<u8>, nal: &[u8]) {
    out.extend_from_slice(&u16::try_from(nal.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(nal);
}
