//! Transport streams that nobody thought of: packets that are right, changed at random. None may cause a panic or take long.
//! `ODD_SECONDS=600 cargo test -p clipwright-media odd` looks for longer.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use media::ts;

const PACKET: usize = 188;

/// Random numbers that are the same in each run (xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (sides.max(1) as u64)).unwrap()
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.roll(256)).unwrap()
    }
}

/// A packet of this stream, with a beginning of a table or of an elementary stream in it.
fn packet(dice: &mut Dice) -> [u8; PACKET] {
    let mut packet = [0xff; PACKET];
    let pid = [0, 0x100, 0x101, 0x1000, 0x1fff][dice.roll(5)];
    let [high, low] = u16::to_be_bytes(pid);
    let control = [0x10, 0x20, 0x30, 0x00][dice.roll(4)] | (dice.byte() & 0x0f);
    packet[..4].copy_from_slice(&[0x47, high | ((dice.byte() & 1) << 6), low, control]);
    let at = if control & 0x20 == 0 { 4 } else { 5 + dice.roll(60) };
    if control & 0x20 != 0 {
        packet[4] = u8::try_from(at - 5).unwrap();
    }
    let begins: &[u8] = match dice.roll(5) {
        0 => &[0, 0, 0xb0, 13, 0, 1, 0xc1, 0, 0, 0, 1, 0xf0, 0, 0, 0, 0, 0],
        1 => &[0, 2, 0xb0, 23, 0, 1, 0xc1, 0, 0, 0xe1, 0, 0xf0, 0, 0x1b, 0xe1, 0, 0xf0, 0, 0x0f, 0xe1, 1, 0xf0, 0, 0, 0, 0, 0],
        2 => &[0, 0, 1, 0xe0, 0, 0, 0x80, 0xc0, 10, 0x31, 0, 1, 0, 1, 0x11, 0, 1, 0, 1, 0, 0, 0, 1, 0x67, 0x42, 0, 0, 1, 0x68, 0xce],
        3 => &[0, 0, 1, 0xc0, 0, 8, 0x80, 0x80, 5, 0x21, 0xff, 0xff, 0xff, 0xff],
        _ => b"ID3\x04\x00\x00\x00\x00\x00\x3fPRIV\x00\x00\x00\x35\x00\x00com.apple.streaming.transportStreamTimestamp\x00\x00\x00\x00\x00\x00\x00\x00\x01",
    };
    let room = &mut packet[at..];
    let len = begins.len().min(room.len());
    room[..len].copy_from_slice(&begins[..len]);
    packet
}

#[test]
fn no_transport_stream_is_too_odd() {
    let seconds = std::env::var("ODD_SECONDS").ok().and_then(|text| text.parse().ok());
    let limit = Duration::from_secs(seconds.unwrap_or(2));
    let start =
        if seconds.is_some() { (u64::from(std::process::id()) << 20) | 1 } else { 0x9e37_79b9_7f4a_7c15 };
    let (mut dice, begun, mut tried) = (Dice(start), Instant::now(), 0_u64);
    while begun.elapsed() < limit {
        let mut bytes: Vec<u8> = (0..dice.roll(40)).flat_map(|_| packet(&mut dice)).collect();
        for _ in 0..dice.roll(8) {
            let at = dice.roll(bytes.len() + 1);
            match dice.roll(3) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, dice.byte()),
                _ if at < bytes.len() => bytes[at] = dice.byte(),
                _ => {}
            }
        }
        let (told, before) = (bytes.clone(), Instant::now());
        let outcome = std::panic::catch_unwind(|| {
            let _ =
                (ts::is_transport(&bytes), ts::has_losses(&bytes), ts::opening(&bytes), ts::packed(&bytes));
            assert!(ts::behind_front(&bytes).is_none_or(|at| at < bytes.len()));
            let other = &bytes[bytes.len() / 2..];
            let _ = (ts::sets_for(&bytes, other), ts::sets_for(other, &bytes));
        });
        assert!(outcome.is_ok(), "too odd: {told:?}");
        assert!(before.elapsed() < Duration::from_secs(5), "{:?}: {told:?}", before.elapsed());
        tried += 1;
    }
    assert!(tried > 5, "{tried} streams");
}
