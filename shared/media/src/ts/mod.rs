//! The beginning of an MPEG transport stream (ISO/IEC 13818-1): when it begins, by its own clock.

mod sets;

use std::collections::BTreeMap;

use domain::time::MediaTime;

pub use sets::sets_for;

/// Length of a packet in bytes (2.4.3.2).
const PACKET: usize = 188;
const SYNC: u8 = 0x47;

/// The clock's ticks a second, and after how many it begins anew.
const RATE: u32 = 90_000;
const WRAP: i64 = 1 << 33;

/// After this long the clock begins anew, but for a part of a microsecond.
const WRAP_TIME: i64 = WRAP * 100 / 9;

/// `stream_type` of pictures and of sound (2.4.4.9, and ATSC's for AC-3).
const PICTURES: [u8; 6] = [0x01, 0x02, 0x10, 0x1b, 0x24, 0x33];
const SOUNDS: [u8; 6] = [0x03, 0x04, 0x0f, 0x11, 0x81, 0x87];

/// What the first packets tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// When the first picture or sound is presented.
    pub earliest: MediaTime,
    /// When the first picture is presented, if there is one.
    pub picture: Option<MediaTime>,
    /// Whether each stream has told when it begins. Else `earliest` may be earlier yet.
    pub is_complete: bool,
}

/// Whether these bytes are the beginning of a transport stream.
#[must_use]
pub fn is_transport(bytes: &[u8]) -> bool {
    bytes.first() == Some(&SYNC)
        && bytes.get(PACKET).is_none_or(|sync| *sync == SYNC)
        && bytes.len() >= PACKET
}

/// So many packets in a row are no accident.
const PACKETS_SURE: usize = 5;

/// The most that is looked through for a stream that something else stands in front of, in bytes.
const FRONT_MAX: usize = 1 << 20;

/// Where a transport stream begins that something else stands in front of: a picture, behind which some sites hide their
/// segments, or a tag. `None` if there is none, or nothing in front of it.
#[must_use]
pub fn behind_front(bytes: &[u8]) -> Option<usize> {
    const FRONTS: [&[u8]; 6] = [b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF", b"ID3"];
    if !FRONTS.iter().any(|front| bytes.starts_with(front)) {
        return None;
    }
    let begins = |at: &usize| {
        (0..PACKETS_SURE).all(|n| bytes.get(at + n * PACKET) == Some(&SYNC))
            // The first packets are the tables.
            && bytes.get(at + 1).is_some_and(|high| high & 0x80 == 0)
    };
    (1..bytes.len().min(FRONT_MAX)).find(begins)
}

/// Whether packets of this transport stream, or of a part of one, were lost on their way: those of each stream are counted
/// (2.4.3.3).
#[must_use]
pub fn has_losses(bytes: &[u8]) -> bool {
    /// The stream of packets that only fill.
    const FILLING: u16 = 0x1fff;
    let mut counts: BTreeMap<u16, u8> = BTreeMap::new();
    bytes.chunks_exact(PACKET).any(|packet| {
        let [SYNC, high, low, control, rest @ ..] = packet else { return true };
        let (pid, count) = (u16::from_be_bytes([high & 0x1f, *low]), control & 0x0f);
        let (has_payload, has_field) = (control & 0x10 != 0, control & 0x20 != 0);
        let begins_anew = has_field && matches!(rest, [len, flags, ..] if *len > 0 && flags & 0x80 != 0);
        if pid == FILLING || !has_payload {
            return false;
        }
        let before = counts.insert(pid, count);
        // A packet may be sent twice.
        high & 0x80 != 0
            || (!begins_anew && before.is_some_and(|before| count != before && count != (before + 1) & 0x0f))
    })
}

/// Reads the beginning of a transport stream; `None` if none of its streams has begun.
#[must_use]
pub fn opening(bytes: &[u8]) -> Option<Opening> {
    let mut reader = Reader::default();
    for packet in bytes.chunks_exact(PACKET) {
        reader.packet(packet);
        if reader.is_complete() {
            break;
        }
    }
    let mut begun = reader.streams().filter_map(|(_, stream)| stream.first);
    let first = begun.next()?;
    let earliest = begun.map(|pts| signed(pts - first)).fold(0, i64::min);
    let earliest = (first + earliest).rem_euclid(WRAP);
    // Behind the earliest, although the clock may begin anew between the two.
    let after = |pts: i64| earliest + (pts - earliest).rem_euclid(WRAP);
    let mut pictures = reader.streams().filter(|(_, stream)| stream.is_picture);
    let picture = pictures.find_map(|(_, stream)| stream.first);
    let picture = picture.map(|pts| MediaTime::from_ticks(after(pts), RATE));
    let earliest = MediaTime::from_ticks(earliest, RATE);
    Some(Opening { earliest, picture, is_complete: reader.is_complete() })
}

/// The one of all times that a clock which begins anew shows as `at` that is nearest to `expected`.
#[must_use]
pub fn nearest(at: MediaTime, expected: MediaTime) -> MediaTime {
    let off = expected.0.saturating_sub(at.0);
    let turns = off.saturating_add(WRAP_TIME / 2).div_euclid(WRAP_TIME);
    // In ticks, because a turn is no whole number of microseconds.
    let turned = i128::from(turns) * i128::from(WRAP) * 100;
    MediaTime(at.0.saturating_add(i64::try_from((turned + 4).div_euclid(9)).unwrap_or(0)))
}

/// A difference of two times, whichever way round is shorter.
const fn signed(ticks: i64) -> i64 {
    (ticks + WRAP / 2).rem_euclid(WRAP) - WRAP / 2
}

#[derive(Default)]
struct Reader {
    /// Where the programmes' maps are, in the order of the table.
    maps: Vec<u16>,
    /// Those that were read, and the streams in them.
    read: BTreeMap<u16, BTreeMap<u16, Elementary>>,
}

/// Picture or sound, and its first presentation time.
#[derive(Clone, Copy)]
struct Elementary {
    /// Its `stream_type`.
    kind: u8,
    is_picture: bool,
    first: Option<i64>,
}

impl Reader {
    /// The streams of the first programme with a picture, else of the first one.
    fn streams(&self) -> impl Iterator<Item = (&u16, &Elementary)> {
        let programmes = || self.maps.iter().filter_map(|map| self.read.get(map));
        let has_picture =
            |streams: &&BTreeMap<u16, Elementary>| streams.values().any(|stream| stream.is_picture);
        let chosen =
            programmes().find(has_picture).or_else(|| programmes().find(|streams| !streams.is_empty()));
        chosen.into_iter().flatten()
    }

    fn is_complete(&self) -> bool {
        let is_known = !self.maps.is_empty() && self.maps.iter().all(|map| self.read.contains_key(map));
        is_known
            && self.streams().next().is_some()
            && self.streams().all(|(_, stream)| stream.first.is_some())
    }

    fn packet(&mut self, packet: &[u8]) {
        let Some((pid, true, payload)) = payload(packet) else { return };
        if pid == 0 && self.maps.is_empty() {
            self.maps = section(payload, 0).map(programmes).unwrap_or_default();
        } else if self.maps.contains(&pid) && !self.read.contains_key(&pid) {
            if let Some(section) = section(payload, 2) {
                self.read.insert(pid, streams(section));
            }
        } else if let Some(Elementary { first: first @ None, .. }) =
            self.read.values_mut().find_map(|streams| streams.get_mut(&pid))
        {
            *first = presentation_time(payload);
        }
    }
}

/// A packet's stream, whether a unit of it begins here, and its payload (2.4.3.2); `None` for one without.
fn payload(packet: &[u8]) -> Option<(u16, bool, &[u8])> {
    let [SYNC, high, low, control, rest @ ..] = packet else { return None };
    let skip = match control >> 4 & 3 {
        1 => 0,
        3 => 1 + rest.first().map_or(0, |len| usize::from(*len)),
        _ => return None,
    };
    Some((u16::from_be_bytes([high & 0x1f, *low]), high & 0x40 != 0, rest.get(skip..)?))
}

/// The body of the section of table `id` that begins in a packet (2.4.4), behind its length, without its checksum.
fn section(payload: &[u8], id: u8) -> Option<&[u8]> {
    let pointer = usize::from(*payload.first()?);
    let [table, high, low, body @ ..] = payload.get(1 + pointer..)? else { return None };
    let len = usize::from(u16::from_be_bytes([high & 0x0f, *low]));
    // What reaches into the next packet is left out.
    let body = body.get(..len.saturating_sub(4).min(body.len()))?;
    (*table == id).then_some(body)
}

/// The programmes' maps (2.4.4.3).
fn programmes(body: &[u8]) -> Vec<u16> {
    let entries =
        body.get(5..).unwrap_or_default().chunks_exact(4).filter_map(|entry| entry.first_chunk::<4>());
    let maps = entries.filter(|[a, b, ..]| (*a, *b) != (0, 0));
    maps.map(|[_, _, high, low]| u16::from_be_bytes([high & 0x1f, *low])).collect()
}

/// The streams of picture and sound in a map (2.4.4.8).
fn streams(body: &[u8]) -> BTreeMap<u16, Elementary> {
    let mut streams = BTreeMap::new();
    let twelve = |high: u8, low: u8| usize::from(u16::from_be_bytes([high & 0x0f, low]));
    let Some([high, low]) = body.get(7..9) else { return streams };
    let mut rest = body.get(9 + twelve(*high, *low)..).unwrap_or_default();
    while let [kind, pid_high, pid_low, high, low, behind @ ..] = rest {
        let is_picture = PICTURES.contains(kind);
        if is_picture || SOUNDS.contains(kind) {
            let pid = u16::from_be_bytes([pid_high & 0x1f, *pid_low]);
            streams.insert(pid, Elementary { kind: *kind, is_picture, first: None });
        }
        rest = behind.get(twelve(*high, *low)..).unwrap_or_default();
    }
    streams
}

/// The presentation time of a PES packet (2.4.3.6).
fn presentation_time(payload: &[u8]) -> Option<i64> {
    let [0, 0, 1, _, _, _, _, flags, _, a, b, c, d, e, ..] = payload else { return None };
    if flags & 0x80 == 0 {
        return None;
    }
    let [a, b, c, d, e] = [a, b, c, d, e].map(|byte| i64::from(*byte));
    Some((a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1)
}

/// The time at which a segment of packed sound begins, and where its sound does: an ID3 tag in front tells it (RFC 8216,
/// section 3.4).
#[must_use]
pub fn packed(bytes: &[u8]) -> Option<(MediaTime, usize)> {
    const OWNER: &[u8] = b"com.apple.streaming.transportStreamTimestamp\0";
    let [b'I', b'D', b'3', _, _, _, a, b, c, d, ..] = bytes else { return None };
    let len = [a, b, c, d].iter().fold(0, |len, byte| len << 7 | usize::from(**byte & 0x7f));
    let tag = bytes.get(10..10 + len)?;
    let at = tag.windows(OWNER.len()).position(|window| window == OWNER)? + OWNER.len();
    let ticks = u64::from_be_bytes(tag.get(at..at + 8)?.try_into().ok()?);
    let ticks = i64::try_from(ticks & 0x1_ffff_ffff).ok()?;
    Some((MediaTime::from_ticks(ticks, RATE), 10 + len))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet of `pid` that begins `payload`.
    pub(super) fn packet(pid: u16, payload: &[u8]) -> Vec<u8> {
        let [high, low] = pid.to_be_bytes();
        let mut packet = vec![SYNC, high | 0x40, low, 0x10];
        packet.extend(payload);
        packet.resize(PACKET, 0xff);
        packet
    }

    pub(super) fn pes(pts: i64) -> Vec<u8> {
        let byte = |shift: i64| u8::try_from(pts >> shift & 0x7f).unwrap() << 1 | 1;
        let (a, b, d) =
            (u8::try_from(pts >> 30 & 7).unwrap() << 1 | 0x21, (pts >> 22) as u8, (pts >> 7) as u8);
        vec![0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5, a, b, byte(15), d, byte(0)]
    }

    pub(super) fn tables() -> Vec<u8> {
        let mut bytes = packet(0, &[0, 0, 0xb0, 13, 0, 1, 0xc1, 0, 0, 0, 1, 0xe0, 0x20, 0, 0, 0, 0]);
        let map = [0x1b, 0xe1, 0, 0xf0, 0, 0x0f, 0xe1, 1, 0xf0, 0, 0x15, 0xe1, 2, 0xf0, 0];
        let mut section = vec![0, 2, 0xb0, 9 + 15 + 4, 0, 1, 0xc1, 0, 0, 0xe1, 0, 0xf0, 0];
        section.extend(map);
        section.extend([0; 4]);
        bytes.extend(packet(0x20, &section));
        bytes
    }

    #[test]
    fn the_first_time_of_all_streams() {
        let mut bytes = tables();
        assert_eq!(opening(&bytes), None);
        bytes.extend(packet(0x100, &pes(129_000)));
        let (one, picture) = (opening(&bytes).unwrap(), Some(MediaTime(1_433_333)));
        assert_eq!(one, Opening { earliest: MediaTime(1_433_333), picture, is_complete: false });
        bytes.extend(packet(0x101, &pes(126_000)));
        let both = Opening { earliest: MediaTime(1_400_000), picture, is_complete: true };
        assert_eq!(opening(&bytes), Some(both));
        assert!(is_transport(&bytes));
    }

    #[test]
    fn a_clock_that_begins_anew() {
        let mut bytes = tables();
        bytes.extend(packet(0x100, &pes(900)));
        bytes.extend(packet(0x101, &pes(WRAP - 900)));
        let opening = opening(&bytes).unwrap();
        assert_eq!(
            opening.earliest,
            MediaTime::from_ticks(WRAP - 900, RATE),
            "20 ms before, not a day behind"
        );
        assert_eq!(opening.picture, Some(MediaTime::from_ticks(WRAP + 900, RATE)));
        let hour = MediaTime(3_600_000_000);
        for turns in -2..3 {
            let shown = MediaTime::from_ticks(3600 * i64::from(RATE) + turns * WRAP, RATE);
            assert!(nearest(shown, MediaTime(hour.0 + 900_000)).0.abs_diff(hour.0) <= 1, "{turns}");
        }
    }

    #[test]
    fn what_stands_in_front_is_passed_over() {
        let stream: Vec<u8> = [tables(), packet(0x100, &pes(129_000)).repeat(4)].concat();
        for front in [&b"\x89PNG\r\n\x1a\n and a picture"[..], b"ID3\x04\0\0\0\0\0\x04abcd", b"GIF89a G G G"]
        {
            let hidden = [front, &stream].concat();
            assert_eq!(behind_front(&hidden), Some(front.len()));
            assert!(!is_transport(&hidden));
        }
        assert_eq!((behind_front(&stream), behind_front(b"ID3\x04 and no stream")), (None, None));
    }

    #[test]
    fn the_programme_with_a_picture_counts() {
        // The first programme is a radio station, a day ahead.
        let mut bytes =
            packet(0, &[0, 0, 0xb0, 17, 0, 1, 0xc1, 0, 0, 0, 2, 0xe0, 0x30, 0, 1, 0xe0, 0x20, 0, 0, 0, 0]);
        let radio =
            [0, 2, 0xb0, 9 + 5 + 4, 0, 1, 0xc1, 0, 0, 0xe2, 0, 0xf0, 0, 0x0f, 0xe2, 0, 0xf0, 0, 0, 0, 0, 0];
        bytes.extend(packet(0x30, &radio));
        bytes.extend(packet(0x200, &pes(9_000_000)));
        bytes.extend(&tables()[PACKET..]);
        bytes.extend(packet(0x101, &pes(126_000)));
        bytes.extend(packet(0x100, &pes(129_000)));
        let opening = opening(&bytes).unwrap();
        let picture = Some(MediaTime(1_433_333));
        assert_eq!(opening, Opening { earliest: MediaTime(1_400_000), picture, is_complete: true });
    }

    #[test]
    fn lost_packets_are_seen() {
        let counted = |counts: &[u8]| {
            let packets = counts.iter().map(|count| {
                let mut one = packet(0x100, &[]);
                one[3] = 0x10 | count;
                one
            });
            packets.flatten().collect::<Vec<u8>>()
        };
        assert!(!has_losses(&counted(&[14, 15, 0, 0, 1])), "one is sent twice");
        assert!(has_losses(&counted(&[14, 15, 1])));
        let mut anew = counted(&[3, 9]);
        anew[PACKET + 3..PACKET + 6].copy_from_slice(&[0x39, 1, 0x80]);
        assert!(!has_losses(&anew), "the count is said to begin anew");
        let mut filled = counted(&[3]);
        filled.extend(packet(0x1fff, &[]));
        filled.extend(packet(0x1fff, &[]));
        assert!(!has_losses(&filled));
    }

    #[test]
    fn packed_sound() {
        let mut tag =
            b"ID3\x04\0\0\0\0\0\x3fPRIV\0\0\0\x35\0\0com.apple.streaming.transportStreamTimestamp\0".to_vec();
        tag.extend(126_000_u64.to_be_bytes());
        tag.extend([0xff, 0xf1]);
        assert_eq!(packed(&tag), Some((MediaTime(1_400_000), 10 + 0x3f)));
        assert_eq!(packed(&tag[..40]), None);
    }

    #[test]
    fn noise_is_survived() {
        let mut seed = 7_u32;
        let mut noise: Vec<u8> = (0..PACKET * 400)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as u8
            })
            .collect();
        noise.chunks_mut(PACKET).for_each(|packet| packet[..3].copy_from_slice(&[SYNC, 0x40, 0]));
        let _ = opening(&noise);
        let mut bytes = tables();
        bytes.extend(noise);
        let _ = opening(&bytes);
    }
}
