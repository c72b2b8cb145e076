//! Output formats and picture quality: what may be asked for, what is delivered, and the size of the picture.

use serde::{Deserialize, Serialize};

/// A container that a clip can be delivered in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// H.264 and AAC in MP4.
    Mp4,
    /// MPEG-1 layer III audio at 192 kbit/s.
    Mp3,
    /// Animated GIF at 15 frames a second.
    Gif,
    /// AAC in MP4: the source's own packets where it has them, else 192 kbit/s.
    M4a,
    /// PCM of 16 bit, or of 24 where the source has more.
    Wav,
    /// The same without loss in fewer bytes (RFC 9639).
    Flac,
}

impl Format {
    /// All formats, in the order the documentation names them.
    pub const ALL: [Self; 6] = [Self::Mp4, Self::Mp3, Self::Gif, Self::M4a, Self::Wav, Self::Flac];

    /// The word in requests and answers, which is also the file name's extension.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Mp3 => "mp3",
            Self::Gif => "gif",
            Self::M4a => "m4a",
            Self::Wav => "wav",
            Self::Flac => "flac",
        }
    }

    /// The media type (RFC 6838); WAV has none that is registered, this is what browsers and players say.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Mp4 => "video/mp4",
            Self::Mp3 => "audio/mpeg",
            Self::Gif => "image/gif",
            Self::M4a => "audio/mp4",
            Self::Wav => "audio/wav",
            Self::Flac => "audio/flac",
        }
    }

    /// Whether a clip in this format has a picture.
    #[must_use]
    pub const fn has_picture(self) -> bool {
        matches!(self, Self::Mp4 | Self::Gif)
    }

    /// Reads the word of a request.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.extension() == word)
    }
}

/// The largest picture a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Quality {
    /// Short side up to 720.
    #[serde(rename = "720p")]
    P720,
    /// Short side up to 1080.
    #[serde(rename = "1080p")]
    P1080,
    /// Short side up to 2160.
    #[serde(rename = "4k")]
    K4,
}

impl Quality {
    /// The words of requests.
    pub const WORDS: [&'static str; 5] = ["720p", "1080p", "4k", "medium", "high"];

    /// Reads the word of a request; `high` is 1080p and `medium` is 720p.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "720p" | "medium" => Some(Self::P720),
            "1080p" | "high" => Some(Self::P1080),
            "4k" => Some(Self::K4),
            _ => None,
        }
    }

    /// The word in requests and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::P720 => "720p",
            Self::P1080 => "1080p",
            Self::K4 => "4k",
        }
    }

    /// The bound of the picture's short side, in pixels. The short side names a quality: a 1080×1920 portrait
    /// and a 2560×1080 film are both 1080p.
    const fn short_side_max(self) -> u32 {
        match self {
            Self::P720 => 720,
            Self::P1080 => 1080,
            Self::K4 => 2160,
        }
    }
}

/// The longest side of a poster, in pixels.
const POSTER_SIDE_MAX: u32 = 1280;

/// Width and height of a picture as it is shown, in pixels (rotation and pixel aspect applied).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PictureSize {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

impl PictureSize {
    const fn short(self) -> u32 {
        if self.width < self.height { self.width } else { self.height }
    }

    const fn long(self) -> u32 {
        if self.width < self.height { self.height } else { self.width }
    }

    /// The size delivered for a request of `quality`: never larger than the source, both sides even as H.264
    /// with 4:2:0 chroma demands. A picture that is only odd loses its last row or column, no pixel is resampled.
    #[must_use]
    pub fn delivered(self, quality: Quality) -> Self {
        let (short, bound) = (u64::from(self.short()), u64::from(quality.short_side_max()));
        let even = |side: u64| u32::try_from((side / 2 * 2).max(2)).unwrap_or(2);
        let scale = |side: u32| {
            if short <= bound {
                even(side.into())
            } else {
                even((u64::from(side) * bound + short / 2) / short)
            }
        };
        Self { width: scale(self.width), height: scale(self.height) }
    }

    /// The largest picture of the same shape within `bound`, never larger than this one. One that is made smaller has
    /// even sides.
    #[must_use]
    pub fn within(self, bound: Self) -> Self {
        if self.width <= bound.width && self.height <= bound.height {
            return self;
        }
        let (width, height) = (u64::from(self.width.max(1)), u64::from(self.height.max(1)));
        let (most, tallest) = (u64::from(bound.width), u64::from(bound.height));
        let (across, down) = if width * tallest >= height * most {
            (most, height * most / width)
        } else {
            (width * tallest / height, tallest)
        };
        let even = |side: u64| u32::try_from((side / 2 * 2).max(2)).unwrap_or(2);
        Self { width: even(across), height: even(down) }
    }

    /// The poster of this picture: as large as a share page shows it.
    #[must_use]
    pub fn poster(self) -> Self {
        self.within(Self { width: POSTER_SIDE_MAX, height: POSTER_SIDE_MAX })
    }

    /// Whether this picture is within the bound of `quality`.
    #[must_use]
    pub const fn fits(self, quality: Quality) -> bool {
        self.short() <= quality.short_side_max()
    }

    /// The name of this picture's quality: `4k`, or the short side as in `1080p` and `480p`.
    #[must_use]
    pub fn label(self) -> String {
        if self.is_4k() { "4k".to_owned() } else { format!("{}p", self.short()) }
    }

    /// Whether this is true 4K, the only size that costs more: at least 3840 by 1600 or 2160 on the short side.
    #[must_use]
    pub const fn is_4k(self) -> bool {
        self.short() >= 2160 || (self.long() >= 3840 && self.short() > 1080)
    }

    /// The tallest quality this source can deliver, as `max_height` of `POST /v1/clip/info` names it.
    #[must_use]
    pub const fn max_height(self) -> u32 {
        self.short()
    }

    /// The aspect ratio in words: a common ratio within one per cent, else the reduced fraction.
    #[must_use]
    pub fn aspect_ratio(self) -> String {
        const COMMON: [(u32, u32); 9] =
            [(16, 9), (9, 16), (4, 3), (3, 4), (1, 1), (21, 9), (3, 2), (2, 3), (4, 5)];
        let (w, h) = (u64::from(self.width), u64::from(self.height));
        for (a, b) in COMMON {
            let (left, right) = (w * u64::from(b), h * u64::from(a));
            if left.abs_diff(right) * 100 <= right {
                return format!("{a}:{b}");
            }
        }
        let divisor = gcd(self.width, self.height).max(1);
        format!("{}:{}", self.width / divisor, self.height / divisor)
    }
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn size(width: u32, height: u32) -> PictureSize {
        PictureSize { width, height }
    }

    #[test]
    fn words_and_aliases() {
        assert_eq!(Quality::parse("high"), Some(Quality::P1080));
        assert_eq!(Quality::parse("medium"), Some(Quality::P720));
        assert_eq!(Quality::parse("8k"), None);
        assert_eq!(Format::parse("gif"), Some(Format::Gif));
        assert_eq!(Format::parse("MP4"), None);
        for format in Format::ALL {
            assert_eq!(Format::parse(format.extension()), Some(format));
            assert_eq!(serde_json::to_string(&format).unwrap(), format!("{:?}", format.extension()));
            assert_eq!(format.has_picture(), !format.media_type().starts_with("audio/"));
        }
    }

    #[test]
    fn downgrades_and_never_upscales() {
        for (source, quality, delivered, label) in [
            (size(1920, 1080), Quality::K4, size(1920, 1080), "1080p"),
            (size(3840, 2160), Quality::K4, size(3840, 2160), "4k"),
            (size(3840, 2160), Quality::P1080, size(1920, 1080), "1080p"),
            (size(1080, 1920), Quality::P720, size(720, 1280), "720p"),
            (size(854, 480), Quality::P720, size(854, 480), "480p"),
            (size(427, 241), Quality::P720, size(426, 240), "240p"),
            (size(2560, 1440), Quality::K4, size(2560, 1440), "1440p"),
            (size(2560, 1440), Quality::P1080, size(1920, 1080), "1080p"),
            (size(3840, 1600), Quality::K4, size(3840, 1600), "4k"),
            (size(2880, 2160), Quality::P1080, size(1440, 1080), "1080p"),
            (size(1, 1), Quality::K4, size(2, 2), "2p"),
        ] {
            assert_eq!(source.delivered(quality), delivered, "{source:?} {quality:?}");
            assert_eq!(delivered.label(), label);
        }
    }

    #[test]
    fn a_smaller_picture_keeps_the_shape() {
        assert_eq!(size(1080, 1920).poster(), size(720, 1280));
        assert_eq!(size(320, 180).poster(), size(320, 180));
        assert_eq!(size(8000, 2).poster(), size(1280, 2));
        assert_eq!(size(1920, 1080).within(size(640, u32::MAX)), size(640, 360));
        assert_eq!(size(1920, 1080).within(size(640, 100)), size(176, 100));
        assert_eq!(size(1920, 1080).within(size(1, 1)), size(2, 2));
    }

    #[test]
    fn names_common_aspect_ratios() {
        assert_eq!(size(1920, 1080).aspect_ratio(), "16:9");
        assert_eq!(size(854, 480).aspect_ratio(), "16:9");
        assert_eq!(size(720, 1280).aspect_ratio(), "9:16");
        assert_eq!(size(500, 100).aspect_ratio(), "5:1");
    }

    proptest! {
        #[test]
        fn delivered_is_even_bounded_and_not_larger(w in 2u32..8192, h in 2u32..8192, q in 0usize..3) {
            let quality = [Quality::P720, Quality::P1080, Quality::K4][q];
            let out = size(w, h).delivered(quality);
            prop_assert!(out.width.is_multiple_of(2) && out.height.is_multiple_of(2));
            prop_assert!(out.width <= w && out.height <= h);
            prop_assert!(out.short() <= quality.short_side_max());
            prop_assert_eq!(out.delivered(quality), out, "a delivered size is stable");
        }
    }
}
