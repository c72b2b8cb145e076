//! What `ffprobe` tells about one stream.

use std::collections::BTreeMap;

use domain::{quality::PictureSize, time::MediaTime, tracks::AudioTrack};
use serde::Deserialize;

use super::{colour::Colour, probe::signed_seconds};
use crate::choice::{self, Pictures};

/// How the names of the pixel formats of red, green and blue begin, a palette's included.
const RGB: [&str; 14] = [
    "gbr", "rgb", "bgr", "argb", "abgr", "0rgb", "0bgr", "rgba", "bgra", "pal8", "x2rgb", "x2bgr", "bayer",
    "monow",
];

/// The length of a tick in seconds, as a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeBase {
    /// Numerator, at least 1.
    pub num: u32,
    /// Denominator, at least 1.
    pub den: u32,
}

impl TimeBase {
    /// When a clock of this unit shows `ticks`.
    #[must_use]
    pub fn time(self, ticks: i64) -> MediaTime {
        MediaTime::from_ticks(ticks.saturating_mul(self.num.into()), self.den)
    }

    /// What it shows at `at`, rounded down.
    #[must_use]
    pub fn ticks(self, at: MediaTime) -> i64 {
        let ticks = i128::from(at.0) * i128::from(self.den);
        i64::try_from(ticks.div_euclid(1_000_000 * i128::from(self.num.max(1)))).unwrap_or(i64::MAX)
    }
}

/// The film: the video stream that is no cover and no thumbnail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoStream {
    /// The stream's number in the file.
    pub index: u32,
    /// FFmpeg's name of the codec.
    pub codec: String,
    /// The unit of the stream's timestamps.
    pub time_base: TimeBase,
    /// Width and height in square pixels before a pixel aspect is applied, upright.
    pub upright: PictureSize,
    /// The picture as it is shown: upright and with square pixels.
    pub shown: PictureSize,
    /// Whether it is coded lying on its side.
    pub turned: bool,
    /// What its numbers mean.
    pub colour: Colour,
    /// Whether frames may be two fields of different instants; each frame says whether it is.
    pub may_interlace: bool,
}

/// The sound that is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioStream {
    /// The stream's number in the file.
    pub index: u32,
    /// FFmpeg's name of the codec.
    pub codec: String,
    /// The unit of the stream's timestamps.
    pub time_base: TimeBase,
    /// Samples a second.
    pub sample_rate: u32,
    /// How many channels.
    pub channels: u32,
    /// The number of the stream that is its right channel, where cameras write each channel as a stream.
    pub right: Option<u32>,
    /// Bits of a sample as far as a codec without loss tells; 0 for the others.
    pub bits: u32,
}

/// A stream as `ffprobe` prints it.
#[derive(Deserialize)]
pub(super) struct StreamAnswer {
    pub(super) index: u32,
    codec_type: Option<String>,
    codec_name: Option<String>,
    time_base: Option<String>,
    start_time: Option<String>,
    avg_frame_rate: Option<String>,
    nb_frames: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    sample_aspect_ratio: Option<String>,
    sample_rate: Option<String>,
    channels: Option<u32>,
    bits_per_sample: Option<u32>,
    bits_per_raw_sample: Option<String>,
    pix_fmt: Option<String>,
    color_range: Option<String>,
    color_space: Option<String>,
    color_transfer: Option<String>,
    color_primaries: Option<String>,
    field_order: Option<String>,
    #[serde(default)]
    disposition: Disposition,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    side_data_list: Vec<SideData>,
}

#[derive(Default, Deserialize)]
struct Disposition {
    #[serde(default)]
    default: u8,
    #[serde(default)]
    attached_pic: u8,
    #[serde(default)]
    timed_thumbnails: u8,
    #[serde(default)]
    still_image: u8,
    #[serde(default)]
    comment: u8,
    #[serde(default)]
    lyrics: u8,
    #[serde(default)]
    karaoke: u8,
    #[serde(default)]
    hearing_impaired: u8,
    #[serde(default)]
    visual_impaired: u8,
    #[serde(default)]
    descriptions: u8,
}

impl Disposition {
    const fn is_cover(&self) -> bool {
        self.attached_pic != 0 || self.timed_thumbnails != 0
    }

    const fn is_special(&self) -> bool {
        self.comment
            | self.lyrics
            | self.karaoke
            | self.hearing_impaired
            | self.visual_impaired
            | self.descriptions
            != 0
    }
}

#[derive(Deserialize)]
struct SideData {
    rotation: Option<f64>,
}

impl StreamAnswer {
    /// The stream as a picture, unless it is a cover.
    pub(super) fn video(&self) -> Option<VideoStream> {
        if self.codec_type.as_deref() != Some("video") || self.disposition.is_cover() {
            return None;
        }
        let (width, height) = (self.width.filter(|w| *w > 0)?, self.height.filter(|h| *h > 0)?);
        let (num, den) = fraction(self.time_base.as_deref()?, '/')?;
        let (across, down) =
            self.sample_aspect_ratio.as_deref().and_then(|ratio| fraction(ratio, ':')).unwrap_or((1, 1));
        let square = (u64::from(width) * u64::from(across) + u64::from(down) / 2) / u64::from(down);
        let square = u32::try_from(square.clamp(1, 1 << 16)).unwrap_or(width);
        let rotation = self.side_data_list.iter().find_map(|data| data.rotation).unwrap_or(0.0);
        let turned = (rotation.abs() % 180.0 - 90.0).abs() < 1.0;
        let upright = |w, h| {
            if turned { PictureSize { width: h, height: w } } else { PictureSize { width: w, height: h } }
        };
        Some(VideoStream {
            index: self.index,
            codec: self.codec_name.clone().unwrap_or_default(),
            time_base: TimeBase { num, den },
            upright: upright(width, height),
            shown: upright(square, height),
            turned,
            colour: self.colour(),
            may_interlace: self.may_interlace(),
        })
    }

    /// What says whether this is the film.
    pub(super) fn pictures(&self) -> Pictures {
        let is_still = self.disposition.still_image != 0;
        Pictures {
            count: self.nb_frames.as_deref().and_then(|count| count.parse().ok()).or(is_still.then_some(1)),
            area: u64::from(self.width.unwrap_or(0)) * u64::from(self.height.unwrap_or(0)),
            is_stills: self.codec_name.as_deref().is_some_and(choice::is_stills),
            is_default: self.disposition.default != 0,
            is_cover: self.video().is_none(),
        }
    }

    /// How long a picture is shown on average, as the file has it.
    pub(super) fn frame(&self) -> Option<MediaTime> {
        let (pictures, seconds) = fraction(self.avg_frame_rate.as_deref()?, '/')?;
        Some(MediaTime(i64::from(seconds) * 1_000_000 / i64::from(pictures)))
    }

    /// When it begins, on the file's clock.
    pub(super) fn start(&self) -> Option<MediaTime> {
        self.start_time.as_deref().filter(|text| *text != "N/A").map(|text| signed_seconds(Some(text)))
    }

    /// The stream as a person chooses among them, as the `number`th sound.
    pub(super) fn sound(&self, number: u32, stream: &AudioStream) -> AudioTrack {
        let tag = |name: &str| {
            let found = self.tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
        };
        let language = tag("language").filter(|language| !matches!(*language, "und" | "mis" | "mul" | "zxx"));
        AudioTrack {
            number,
            stream: self.index,
            language: language.map(str::to_ascii_lowercase),
            title: tag("title").map(str::to_owned),
            codec: stream.codec.clone(),
            sample_rate: stream.sample_rate,
            channels: stream.channels,
            is_default: self.disposition.default != 0,
            is_special: self.disposition.is_special(),
        }
    }

    fn colour(&self) -> Colour {
        let said =
            |word: &Option<String>| word.clone().filter(|w| !matches!(w.as_str(), "unknown" | "reserved"));
        let format = self.pix_fmt.as_deref().unwrap_or_default();
        let rgb =
            self.color_space.as_deref() == Some("gbr") || RGB.iter().any(|name| format.starts_with(name));
        Colour {
            rgb,
            full_range: rgb || self.color_range.as_deref() == Some("pc") || format.starts_with("yuvj"),
            matrix: said(&self.color_space),
            transfer: said(&self.color_transfer),
            primaries: said(&self.color_primaries),
        }
    }

    /// The stream tells of its first frames only, so where the codec has fields every frame is asked.
    fn may_interlace(&self) -> bool {
        let codec = self.codec_name.as_deref().unwrap_or_default();
        let said = matches!(self.field_order.as_deref(), Some("tt" | "bb" | "tb" | "bt"));
        said || matches!(codec, "h264" | "mpeg2video" | "vc1")
    }

    /// The stream as sound.
    pub(super) fn audio(&self) -> Option<AudioStream> {
        if self.codec_type.as_deref() != Some("audio") {
            return None;
        }
        let sample_rate = self.sample_rate.as_deref()?.parse().ok().filter(|rate| *rate > 0)?;
        let channels = self.channels.filter(|channels| *channels > 0)?;
        let (num, den) =
            self.time_base.as_deref().and_then(|base| fraction(base, '/')).unwrap_or((1, sample_rate));
        Some(AudioStream {
            index: self.index,
            time_base: TimeBase { num, den },
            codec: self.codec_name.clone().unwrap_or_default(),
            sample_rate,
            channels,
            right: None,
            bits: self
                .bits_per_raw_sample
                .as_deref()
                .and_then(|bits| bits.parse().ok())
                .or(self.bits_per_sample)
                .unwrap_or(0),
        })
    }
}

/// Two positive numbers around `separator`.
fn fraction(text: &str, separator: char) -> Option<(u32, u32)> {
    let (a, b) = text.split_once(separator)?;
    let (a, b): (u32, u32) = (a.parse().ok()?, b.parse().ok()?);
    (a > 0 && b > 0).then_some((a, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(json: &str) -> StreamAnswer {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn reads_fractions() {
        assert_eq!(fraction("1001/30000", '/'), Some((1001, 30_000)));
        assert_eq!(fraction("0:1", ':'), None);
    }

    #[test]
    fn knows_the_colour_and_fields() {
        let video = |more: &str| {
            let json = format!(
                r#"{{"index":0,"codec_type":"video","width":64,"height":64,"time_base":"1/25",{more}}}"#
            );
            stream(&json).video().unwrap()
        };
        let one =
            video(r#""codec_name":"prores","pix_fmt":"yuvj422p","color_space":"unknown","field_order":"tt""#);
        assert_eq!((one.colour.range(), one.colour.matrix, one.may_interlace), ("pc", None, true));
        let two = video(
            r#""codec_name":"vp9","pix_fmt":"gbrp","color_transfer":"bt709","field_order":"progressive""#,
        );
        assert!(two.colour.rgb && two.colour.full_range && !two.may_interlace);
        assert_eq!(two.colour.transfer.as_deref(), Some("bt709"));
    }

    #[test]
    fn knows_the_bits_of_a_sample() {
        let audio = |more: &str| {
            let json =
                format!(r#"{{"index":1,"codec_type":"audio","sample_rate":"48000","channels":2,{more}}}"#);
            stream(&json).audio().unwrap().bits
        };
        assert_eq!(audio(r#""bits_per_sample":0,"bits_per_raw_sample":"24""#), 24);
        assert_eq!(audio(r#""bits_per_sample":16"#), 16);
        assert_eq!(audio(r#""bits_per_sample":0"#), 0);
    }

    #[test]
    fn a_picture_is_shown_upright_with_square_pixels() {
        let json = r#"{"index":0,"codec_type":"video","width":720,"height":576,"time_base":"1/25",
            "sample_aspect_ratio":"16:15","side_data_list":[{"rotation":-90}]}"#;
        let video = stream(json).video().unwrap();
        assert_eq!(video.upright, PictureSize { width: 576, height: 720 });
        assert_eq!(video.shown, PictureSize { width: 576, height: 768 });
    }
}
