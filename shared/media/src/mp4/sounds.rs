//! The sounds of a movie as a person chooses among them.

use domain::tracks::AudioTrack;

use super::{
    aac::Aac,
    boxes::{Children, find},
    track::Track,
};

/// The handler's names that programs write of themselves, which name no track.
const NAMELESS: [&str; 4] = ["SoundHandler", "Core Media Audio", "Apple Sound Media Handler", "Stereo"];

/// What the `number`th sound is, which `track` was read from `trak`.
pub(super) fn describe(number: u32, trak: &[u8], track: &Track) -> AudioTrack {
    let entry =
        track.stsd.get(8..).and_then(|entries| Children(entries).next()?.ok()).map(|(_, entry)| entry);
    let word = |at: usize| {
        entry
            .and_then(|entry| entry.get(at..at + 2))
            .map_or(0, |b| b.iter().fold(0_u32, |value, byte| value << 8 | u32::from(*byte)))
    };
    let (channels, rate) = match Aac::read(&track.stsd) {
        Some(Aac { rate, channels }) => (channels, rate),
        // QuickTime's version 2 has them further back (QuickTime File Format, sound sample description).
        None if word(8) == 2 => (word(42), track.timescale),
        None => (word(16), word(24)),
    };
    AudioTrack {
        number,
        stream: track.number,
        language: language(track.language),
        title: title(trak),
        codec: codec(track.codec),
        sample_rate: if rate == 0 { track.timescale } else { rate },
        channels,
        is_default: track.is_enabled,
        is_special: false,
    }
}

/// FFmpeg's name of a sample entry's codec.
fn codec(entry: [u8; 4]) -> String {
    match &entry {
        b"mp4a" => "aac",
        b".mp3" => "mp3",
        b"Opus" => "opus",
        b"ac-3" => "ac3",
        b"ec-3" => "eac3",
        b"alac" => "alac",
        b"fLaC" => "flac",
        b"samr" => "amr_nb",
        b"sawb" => "amr_wb",
        b"sowt" | b"twos" | b"lpcm" | b"in24" | b"in32" | b"fl32" | b"raw " | b"ipcm" => "pcm",
        other => return String::from_utf8_lossy(other).trim().to_owned(),
    }
    .to_owned()
}

/// A packed ISO 639-2 code (ISO/IEC 14496-12, 8.4.2.3): three letters of five bits. Below 0x400 it is one of QuickTime's
/// own numbers.
fn language(packed: u16) -> Option<String> {
    if packed < 0x400 {
        return None;
    }
    let letter = |shift: u16| char::from(u8::try_from(packed >> shift & 0x1f).unwrap_or(0) + 0x60);
    let name: String = [letter(10), letter(5), letter(0)].into_iter().collect();
    let is_name = name.chars().all(|c| c.is_ascii_lowercase());
    (is_name && !matches!(name.as_str(), "und" | "mis" | "mul" | "zxx")).then_some(name)
}

/// The track's own name, or its handler's.
fn title(trak: &[u8]) -> Option<String> {
    let udta = find(trak, b"udta").ok()?;
    let own = udta.and_then(|udta| find(udta, b"name").ok()?);
    let handler = || find(find(trak, b"mdia").ok()??, b"hdlr").ok()??.get(24..);
    let bytes = own.or_else(handler)?;
    let text = String::from_utf8_lossy(bytes);
    // QuickTime counts the letters, MP4 ends with a zero.
    let text = text.trim_matches(|c: char| c.is_control()).trim();
    (!text.is_empty() && !NAMELESS.contains(&text)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_packed() {
        assert_eq!(language(0x15c7), Some("eng".to_owned()));
        assert_eq!(
            (language(0x55c4), language(0), language(0x7fff)),
            (None, None, None),
            "und, QuickTime, nothing"
        );
    }
}
