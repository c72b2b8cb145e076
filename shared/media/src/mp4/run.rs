//! Runs of samples in a fragment (`trun`, ISO/IEC 14496-12, 8.8.8).

use super::boxes::{Cursor, ParseError};

/// Flags of `trun` (8.8.8.1).
mod trun {
    pub(super) const DATA_OFFSET: u32 = 1;
    pub(super) const FIRST_FLAGS: u32 = 4;
    pub(super) const DURATION: u32 = 0x100;
    pub(super) const SIZE: u32 = 0x200;
    pub(super) const FLAGS: u32 = 0x400;
    pub(super) const CTS: u32 = 0x800;
}

/// What a sample is unless a fragment says otherwise (`trex`, 8.8.3; `tfhd`, 8.8.7).
#[derive(Clone, Copy, Default)]
pub(super) struct Defaults {
    pub(super) description: u32,
    pub(super) duration: u32,
    pub(super) size: u32,
    pub(super) flags: u32,
}

/// A `trun` (8.8.8).
pub(super) struct Run<'a> {
    flags: u32,
    pub(super) count: u32,
    pub(super) data_offset: Option<i32>,
    first_flags: u32,
    defaults: Defaults,
    entries: &'a [u8],
}

/// A sample of a run.
pub(super) struct Entry {
    pub(super) duration: u32,
    pub(super) size: u32,
    pub(super) flags: u32,
    /// Composition offset in ticks.
    pub(super) cts: i32,
}

impl<'a> Run<'a> {
    pub(super) fn read(body: &'a [u8], defaults: Defaults) -> Result<Self, ParseError> {
        let mut cursor = Cursor(body);
        let (_, flags) = cursor.version_flags()?;
        let count = cursor.u32()?;
        let data_offset = if flags & trun::DATA_OFFSET != 0 { Some(cursor.i32()?) } else { None };
        let first_flags = if flags & trun::FIRST_FLAGS != 0 { cursor.u32()? } else { defaults.flags };
        let run = Self { flags, count, data_offset, first_flags, defaults, entries: cursor.0 };
        if run.entries.len() / run.width().max(1) < count as usize && run.width() > 0 {
            return Err(ParseError::Malformed("a table is larger than its box"));
        }
        if run.width() == 0 && run.defaults.size == 0 && count > 1 {
            return Err(ParseError::Malformed("samples without bytes"));
        }
        Ok(run)
    }

    /// Length of an entry in bytes.
    const fn width(&self) -> usize {
        let fields = trun::DURATION | trun::SIZE | trun::FLAGS | trun::CTS;
        4 * (self.flags & fields).count_ones() as usize
    }

    /// How many bytes the samples have together: at most 2^64, as there are 2^32 sizes of 32 bits.
    pub(super) fn bytes(&self) -> u64 {
        if self.flags & trun::SIZE == 0 {
            return u64::from(self.defaults.size) * u64::from(self.count);
        }
        (0..self.count).map(|number| u64::from(self.entry(number).size)).sum()
    }

    pub(super) fn entry(&self, number: u32) -> Entry {
        let at = number as usize * self.width();
        let mut fields = Cursor(self.entries.get(at..).unwrap_or_default());
        let mut field = |flag: u32, default: u32| {
            if self.flags & flag == 0 { default } else { fields.u32().unwrap_or(default) }
        };
        let flags = if number == 0 { self.first_flags } else { self.defaults.flags };
        Entry {
            duration: field(trun::DURATION, self.defaults.duration),
            size: field(trun::SIZE, self.defaults.size),
            flags: field(trun::FLAGS, flags),
            // Unsigned in version 0 by the standard, and read as signed by everyone.
            cts: field(trun::CTS, 0).cast_signed(),
        }
    }
}
