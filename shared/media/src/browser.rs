//! Which files every current browser plays straight from their address. In doubt it is none: a preview that stays black
//! is worse than no preview.

use crate::{
    ffmpeg::Probe,
    mp4::{Index, boxes::find},
};

/// Profiles of H.264 with 8 bits and 4:2:0: Baseline, Main, High (ITU-T H.264, annex A.2).
const AVC_PROFILES: [u8; 3] = [66, 77, 100];
/// The brand of QuickTime's own files, which not every browser takes for MP4.
const QUICKTIME: &[u8] = b"qt  ";
/// Where the child boxes of a visual sample entry begin (ISO/IEC 14496-12, 12.1.3).
const VISUAL_ENTRY_LEN: usize = 78;
/// EBML's DocType and its value (RFC 8794, 11.2.7), which alone tells WebM from other Matroska files.
const WEBM: &[u8] = b"\x42\x82\x84webm";
/// The DocType stands among the first elements of the file.
const EBML_HEADER_LEN: usize = 64;

impl Index {
    /// Whether every current browser plays this file: MP4 with H.264 and AAC.
    #[must_use]
    pub fn plays_in_browsers(&self) -> bool {
        let brand = self.ftyp.as_ref().and_then(|ftyp| ftyp.get(8..12));
        let picture = self.video.as_ref().is_none_or(|video| {
            video.codec == *b"avc1" && avc_profile(&video.stsd).is_some_and(|it| AVC_PROFILES.contains(&it))
        });
        let sound = self.audio.as_ref().is_none_or(|audio| audio.codec == *b"mp4a");
        brand.is_some_and(|brand| brand != QUICKTIME) && picture && sound
    }
}

/// The profile in the first `avcC` of a `stsd` (ISO/IEC 14496-15, 5.3.3.1).
fn avc_profile(stsd: &[u8]) -> Option<u8> {
    let entry = find(stsd.get(8..)?, b"avc1").ok()??;
    find(entry.get(VISUAL_ENTRY_LEN..)?, b"avcC").ok()??.get(1).copied()
}

impl Probe {
    /// Whether every current browser plays this file, which begins with `head`: WebM, MP3, FLAC, WAV.
    #[must_use]
    pub fn plays_in_browsers(&self, head: &[u8]) -> bool {
        let head = &head[..head.len().min(EBML_HEADER_LEN)];
        let picture = self.video.as_ref().map(|video| video.codec.as_str());
        let sound = self.audio.as_ref().map(|audio| audio.codec.as_str());
        match self.container.as_str() {
            "matroska,webm" => {
                head.windows(WEBM.len()).any(|window| window == WEBM)
                    && matches!(picture, None | Some("vp8" | "vp9"))
                    && matches!(sound, None | Some("opus" | "vorbis"))
            }
            // The picture that ffprobe may see in a sound file is its cover.
            "mp3" => sound == Some("mp3"),
            "flac" => sound == Some("flac"),
            "wav" => matches!(sound, Some("pcm_u8" | "pcm_s16le" | "pcm_s24le")),
            _ => false,
        }
    }
}
