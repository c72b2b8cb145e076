//! Parameter sets that stand in the first segment of a stream only.
//!
//! Each segment should begin with the parameter sets of its picture (RFC 8216, section 3). FFmpeg puts them in front of
//! IDR pictures only, when it copies H.264, and where groups are open only the first picture is one. A player that
//! begins with the first segment does not notice; a cut from later ones does, and gets them from the first one here.

use super::{PACKET, Reader, SYNC};

/// `stream_type` of H.264 and H.265 (ISO/IEC 13818-1, 2.4.4.9).
const AVC: u8 = 0x1b;
const HEVC: u8 = 0x24;

/// Bytes of a packet behind its header.
const PAYLOAD: usize = PACKET - 4;

/// Packets with the parameter sets of `first`, to be put into `segment` at the answered offset: right before its first
/// picture, at that picture's time. `None` if the segment has its own, or `first` has none. Both are beginnings of
/// segments of one transport stream.
#[must_use]
pub fn sets_for(segment: &[u8], first: &[u8]) -> Option<(usize, Vec<u8>)> {
    let here = Picture::first(segment)?;
    if here.sets().is_some() {
        return None;
    }
    let sets = Picture::first(first).filter(|there| there.kind == here.kind)?.sets()?;
    Some((here.at, here.led_by(&sets)))
}

/// The first picture of a transport stream, as far as it is here.
struct Picture {
    kind: u8,
    pid: u16,
    /// Where its first packet begins, and the counter of that.
    at: usize,
    counter: u8,
    /// The PES packet's header, and what of its body is here.
    header: Vec<u8>,
    body: Vec<u8>,
}

impl Picture {
    fn first(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::default();
        let mut picture: Option<Self> = None;
        for (n, packet) in bytes.chunks_exact(PACKET).enumerate() {
            reader.packet(packet);
            let Some((pid, begins, payload)) = super::payload(packet) else { continue };
            match &mut picture {
                None => {
                    let stream =
                        reader.streams().find(|(own, stream)| **own == pid && begins && stream.is_picture);
                    let Some((_, stream)) = stream else { continue };
                    let header_len = 9 + usize::from(*payload.get(8)?);
                    let (header, body) = payload.split_at_checked(header_len)?;
                    let counter = packet.get(3)? & 0x0f;
                    let (header, body) = (header.to_vec(), body.to_vec());
                    picture = Some(Self { kind: stream.kind, pid, at: n * PACKET, counter, header, body });
                }
                Some(this) if pid == this.pid && begins => break,
                Some(this) if pid == this.pid => this.body.extend_from_slice(payload),
                Some(_) => {}
            }
        }
        picture
    }

    /// The parameter sets in front of its first slice, as a byte stream; `None` if not all are there.
    fn sets(&self) -> Option<Vec<u8>> {
        let mut sets = Vec::new();
        let (mut of_sequence, mut of_picture) = (false, false);
        for nal in nals(&self.body) {
            let role = *nal.first()?;
            let (is_slice, sequence, picture, other) = match self.kind {
                AVC => (matches!(role & 0x1f, 1..=5), role & 0x1f == 7, role & 0x1f == 8, false),
                HEVC => (role >> 1 < 32, role >> 1 == 33, role >> 1 == 34, role >> 1 == 32),
                _ => return None,
            };
            if is_slice {
                break;
            }
            if sequence || picture || other {
                sets.extend_from_slice(&[0, 0, 0, 1]);
                sets.extend_from_slice(nal);
            }
            of_sequence |= sequence;
            of_picture |= picture;
        }
        (of_sequence && of_picture).then_some(sets)
    }

    /// A PES packet of this picture's time with `sets`, in transport packets whose counters lead to this picture's.
    fn led_by(&self, sets: &[u8]) -> Vec<u8> {
        let mut unit = [self.header.as_slice(), sets].concat();
        // Of no told length, as pictures may be (2.4.3.7).
        if let Some(len) = unit.get_mut(4..6) {
            len.fill(0);
        }
        let parts = unit.chunks(PAYLOAD);
        let count = u8::try_from(parts.len() % 16).unwrap_or(0);
        let mut counter = self.counter.wrapping_sub(count);
        let [high, low] = self.pid.to_be_bytes();
        let mut packets = Vec::with_capacity(parts.len() * PACKET);
        for (n, part) in parts.enumerate() {
            let begins = if n == 0 { 0x40 } else { 0 };
            let fill = PAYLOAD - part.len();
            let control = if fill > 0 { 0x30 } else { 0x10 } | counter & 0x0f;
            packets.extend_from_slice(&[SYNC, begins | high, low, control]);
            // The adaptation field fills the packet (2.4.3.5): its length, flags, stuffing.
            if let Some(len) = fill.checked_sub(1) {
                packets.push(u8::try_from(len).unwrap_or(0));
                packets.extend(std::iter::repeat_n(0, len.min(1)));
                packets.extend(std::iter::repeat_n(0xff, len.saturating_sub(1)));
            }
            packets.extend_from_slice(part);
            counter = counter.wrapping_add(1);
        }
        packets
    }
}

/// The NAL units of a byte stream (ISO/IEC 14496-10, annex B), without the zeros behind them.
fn nals(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let starts = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        rest.windows(3).position(|three| three == [0, 0, 1]).map(|at| from + at)
    };
    let mut next = starts(0);
    std::iter::from_fn(move || {
        let from = next? + 3;
        next = starts(from);
        let nal = bytes.get(from..next.unwrap_or(bytes.len()))?;
        let len = nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        nal.get(..len)
    })
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{packet, pes, tables},
        *,
    };

    const SETS: &[u8] = &[0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x68, 3];
    const SLICE: &[u8] = &[0, 0, 1, 0x65, 0xaa];

    fn segment(picture: &[u8], counter: u8) -> Vec<u8> {
        let mut bytes = tables();
        let mut first = packet(0x100, &[pes(129_000).as_slice(), picture].concat());
        first[3] |= counter;
        bytes.extend(first);
        bytes
    }

    #[test]
    fn a_segment_gets_the_sets_that_it_lacks() {
        let bare = segment(SLICE, 0);
        let first = segment(&[&[0, 0, 1, 9, 0xf0], SETS, SLICE].concat(), 3);
        let (at, packets) = sets_for(&bare, &first).unwrap();
        assert_eq!((at, packets.len()), (2 * PACKET, PACKET));
        assert_eq!(packets[..4], [SYNC, 0x41, 0, 0x3f], "the counter before 0 is 15");
        assert!(packets.ends_with(SETS));
        let mended = [&bare[..at], &packets, &bare[at..]].concat();
        assert_eq!(
            super::super::opening(&mended).unwrap().picture,
            super::super::opening(&bare).unwrap().picture
        );
        assert_eq!(Picture::first(&mended).unwrap().sets().unwrap(), SETS);
        assert!(sets_for(&mended, &first).is_none(), "it has its own now");
        assert!(sets_for(&bare, &bare).is_none(), "there are none");
    }

    #[test]
    fn long_sets_take_several_packets() {
        let long = [&[0, 0, 0, 1, 0x67][..], &[7; 400], &[0, 0, 0, 1, 0x68, 3]].concat();
        for cut in 0..PACKET {
            let picture =
                Picture { kind: AVC, pid: 0x100, at: 0, counter: 1, header: pes(0), body: Vec::new() };
            let packets = picture.led_by(&long[cut..]);
            let payloads: Vec<u8> = packets
                .chunks(PACKET)
                .flat_map(|one| super::super::payload(one).unwrap().2)
                .copied()
                .collect();
            assert!(packets.len().is_multiple_of(PACKET) && payloads.ends_with(&long[cut..]), "{cut}");
            let last = packets.len() - PACKET;
            assert_eq!(packets[last + 3] & 0x0f, 0, "the picture's own packet has 1");
        }
    }

    #[test]
    fn noise_is_survived() {
        assert!(sets_for(&[], &[]).is_none());
        let all = segment(&[SETS, SLICE].concat(), 0);
        for len in 0..all.len() {
            let _ = sets_for(&all[..len], &all);
        }
    }
}
