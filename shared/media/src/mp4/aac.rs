//! What an `mp4a` sample entry says of AAC sound: the `esds` box (ISO/IEC 14496-14, 5.6) and the decoder
//! configuration in it (ISO/IEC 14496-3, 1.6.2.1).

use super::boxes::{Children, Cursor, find};

/// Where the boxes begin in the body of an audio sample entry (ISO/IEC 14496-12, 12.2.3).
const ENTRY_FIELDS_LEN: usize = 28;

/// The tags of descriptors (ISO/IEC 14496-1, 7.2.2.1).
const ES: u8 = 3;
const DECODER_CONFIG: u8 = 4;
const DECODER_SPECIFIC: u8 = 5;

/// Object types of the whole stream (14496-1, 7.2.6.6) and of the sound (14496-3, 1.5.1.1).
const MPEG4_AUDIO: u8 = 0x40;
const AAC_LC: u8 = 2;

/// Samples a second by index (14496-3, 1.6.3.4).
const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// Plain AAC sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aac {
    /// Samples a second.
    pub(crate) rate: u32,
    pub(crate) channels: u32,
}

impl Aac {
    /// Reads the first entry of a `stsd`. `None` for everything but AAC-LC with an ordinary layout of at most six
    /// channels and no extension: what else there may be is left to FFmpeg.
    pub(crate) fn read(stsd: &[u8]) -> Option<Self> {
        let (kind, entry) = Children(stsd.get(8..)?).next()?.ok()?;
        let is_plain = kind == *b"mp4a" && entry.get(8..10) == Some(&[0, 0]);
        let esds = find(entry.get(ENTRY_FIELDS_LEN..)?, b"esds").ok()?.filter(|_| is_plain)?;
        let es = descriptor(&mut Cursor(esds.get(4..)?), ES)?;
        let (flags, mut rest) = (*es.get(2)?, Cursor(es.get(3..)?));
        if flags & 0xe0 != 0 {
            return None; // dependent streams and URLs
        }
        let config = descriptor(&mut rest, DECODER_CONFIG)?;
        let specific = descriptor(&mut Cursor(config.get(13..)?), DECODER_SPECIFIC)?;
        (*config.first()? == MPEG4_AUDIO).then(|| Self::specific(specific)).flatten()
    }

    /// `AudioSpecificConfig`.
    fn specific(config: &[u8]) -> Option<Self> {
        let [a, b] = *config.first_chunk()?;
        let (object, rate, layout) = (a >> 3, (a & 7) << 1 | b >> 7, b >> 3 & 15);
        // Short frames, a core coder or an extension: none of these is plain.
        let is_plain = object == AAC_LC && b & 7 == 0 && (1..=6).contains(&layout);
        // Behind it, FFmpeg says that there is no spectral band replication (sync word 0x2b7, 14496-3, 1.6.5.1).
        let no_more = matches!(config.get(2..)?, [] | [0x56, 0xe5, 0, ..]);
        let rate = *RATES.get(usize::from(rate))?;
        (is_plain && no_more).then_some(Self { rate, channels: layout.into() })
    }
}

/// The body of the descriptor that comes next, if it has this tag. Its length is a number of up to 4 × 7 bits
/// (14496-1, 8.3.3).
fn descriptor<'a>(cursor: &mut Cursor<'a>, tag: u8) -> Option<&'a [u8]> {
    let [found] = cursor.array().ok()?;
    let mut len = 0;
    for _ in 0..4 {
        let [byte] = cursor.array().ok()?;
        len = len << 7 | usize::from(byte & 127);
        if byte < 128 {
            break;
        }
    }
    cursor.bytes(len).ok().filter(|_| found == tag)
}

#[cfg(test)]
mod tests {
    use super::{super::boxes::write, *};

    fn stsd(specific: &[u8]) -> Vec<u8> {
        let len = |n: usize| u8::try_from(n + specific.len()).unwrap();
        let mut out = vec![0, 0, 0, 0, 0, 0, 0, 1];
        write(&mut out, b"mp4a", |out| {
            out.extend([0; 28]);
            write(out, b"esds", |out| {
                out.extend([0, 0, 0, 0, ES, 0x80, 0x80, 0x80, len(20), 0, 1, 0]);
                out.extend([DECODER_CONFIG, len(15), MPEG4_AUDIO, 0x15]);
                out.extend([0; 11]);
                out.extend([DECODER_SPECIFIC, len(0)]);
                out.extend(specific);
            });
        });
        out
    }

    #[test]
    fn plain_sound_is_told_from_all_else() {
        let stereo = Some(Aac { rate: 48_000, channels: 2 });
        assert_eq!(Aac::read(&stsd(&[0x11, 0x90])), stereo);
        assert_eq!(Aac::read(&stsd(&[0x11, 0x90, 0x56, 0xe5, 0])), stereo);
        assert_eq!(Aac::read(&stsd(&[0x12, 0x08])), Some(Aac { rate: 44_100, channels: 1 }));
        for other in [&[0x11, 0x90, 0x56, 0xe5, 0x80][..], &[0x2b, 0x11, 0x88], &[0x11, 0x94], &[0x11], &[]] {
            assert_eq!(Aac::read(&stsd(other)), None, "{other:?}");
        }
        for len in 0..stsd(&[0x11, 0x90]).len() {
            assert_eq!(Aac::read(&stsd(&[0x11, 0x90])[..len]), None);
        }
    }
}
