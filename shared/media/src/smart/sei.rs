//! The messages that belong to a picture however it is encoded (`sei_message`, H.264 7.3.2.3.1, H.265 7.3.5; both
//! number these alike).

use super::{
    bits::{escape, unescape},
    codec::Codec,
};

/// Captions and dynamic HDR metadata (`user_data_registered_itu_t_t35`): of each picture.
const REGISTERED: u32 = 4;

/// What holds from an IDR picture on: frame packing, display orientation, mastering display, content light level,
/// preferred transfer characteristics, ambient light.
const PERSISTENT: [u32; 6] = [45, 47, 137, 144, 147, 148];

/// A NAL unit with the messages of the source's picture `nals` that the encoded one has to have too; and, if a
/// sequence begins with it, with the persistent ones of the picture `begin`. `None` if there are none.
pub(super) fn carried(codec: &dyn Codec, nals: &[&[u8]], begin: Option<&[&[u8]]>) -> Option<Vec<u8>> {
    let mut messages = Vec::new();
    for nal in begin.into_iter().flatten().filter_map(|nal| codec.messages(nal)) {
        pick(nal, &PERSISTENT, &mut messages);
    }
    for nal in nals.iter().filter_map(|nal| codec.messages(nal)) {
        pick(nal, &[REGISTERED], &mut messages);
    }
    if messages.is_empty() {
        return None;
    }
    messages.push(0x80); // rbsp_trailing_bits
    Some([codec.message_header(), &escape(&messages)].concat())
}

/// Appends the messages of the `wanted` types, without emulation prevention bytes.
fn pick(messages: &[u8], wanted: &[u32], out: &mut Vec<u8>) {
    let messages = unescape(messages);
    let mut rest = messages.as_slice();
    while let Some((kind, message, behind)) = first(rest) {
        if wanted.contains(&kind) {
            out.extend_from_slice(message);
        }
        rest = behind;
    }
}

/// The type of the first message, all of its bytes, and what follows; `None` at the end.
fn first(messages: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    if matches!(messages, [] | [0x80, ..]) {
        return None;
    }
    let (kind, size_at) = number(messages, 0)?;
    let (size, body_at) = number(messages, size_at)?;
    let end = body_at.checked_add(usize::try_from(size).ok()?)?;
    let (message, behind) = messages.split_at_checked(end)?;
    Some((kind, message, behind))
}

/// A number that bytes of 255 make longer, and where it ends.
fn number(data: &[u8], mut at: usize) -> Option<(u32, usize)> {
    let mut sum = 0u32;
    loop {
        let byte = *data.get(at)?;
        at += 1;
        sum = sum.checked_add(byte.into())?;
        if byte != 255 {
            return Some((sum, at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wanted_is_picked() {
        // A buffering period, captions with protected zeros, unregistered data, captions.
        let nal = [&[0, 1, 9, 4, 5, 0xb5, 0, 0, 3, 1, 7][..], &[5, 1, 0, 4, 1, 8, 0x80]].concat();
        let mut out = Vec::new();
        pick(&nal, &[REGISTERED], &mut out);
        assert_eq!(out, [4, 5, 0xb5, 0, 0, 1, 7, 4, 1, 8]);
        out.clear();
        pick(&nal, &PERSISTENT, &mut out);
        assert!(out.is_empty());
    }

    #[test]
    fn messages_are_told_apart() {
        let mut long = vec![4, 255, 1];
        long.extend([7; 256]);
        let all = [&[5, 2, 9, 9][..], &long, &[0x80]].concat();
        let (kind, message, rest) = first(&all).unwrap();
        assert_eq!((kind, message), (5, &[5, 2, 9, 9][..]));
        let (kind, message, rest) = first(rest).unwrap();
        assert_eq!((kind, message, rest), (4, &long[..], &[0x80][..]));
        assert_eq!(first(rest), None);
        for cut in 0..long.len() {
            assert_eq!(first(&long[..cut]), None);
        }
    }
}
