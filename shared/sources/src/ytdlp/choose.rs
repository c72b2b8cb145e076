//! Which of a video's renditions a job takes.
//!
//! The picture that was asked for comes first: the largest within the bound, or else the smallest beyond it. Of those
//! with the same short side it is the one that can be cut without encoding (H.264, then H.265) in plain SDR, then one
//! file rather than a list of segments, then more frames and bits.

use std::cmp::Ordering;

use domain::quality::{PictureSize, Quality};

use super::page::{Address, Delivery, Media, Page};

/// What a job needs of a video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The largest picture; `None` for sound alone.
    pub picture: Option<Quality>,
    /// Whether the sound is needed.
    pub sound: bool,
}

/// The renditions to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // there is one at a time
pub enum Choice {
    /// One file with all of it.
    File(Address),
    /// The picture in one file and the sound in another.
    Pair {
        /// The picture.
        video: Address,
        /// The sound.
        audio: Address,
    },
    /// An HLS playlist.
    Hls(Address),
    /// A DASH manifest.
    Dash(Address),
}

impl Page {
    /// What to fetch for a job that needs `wanted`; `None` if the page has nothing of it. A video without sound is taken
    /// where there is none with it.
    #[must_use]
    pub fn choose(&self, wanted: Wanted) -> Option<Choice> {
        let Some(quality) = wanted.picture else {
            return self.sound(true).or_else(|| self.sound(false)).map(alone);
        };
        let has_sound = self.media.iter().any(|media| media.has_audio && media.delivery == Delivery::File);
        let usable = |media: &&Media| {
            // A picture of an HLS or DASH rendition comes with the sound that its playlist names.
            let sounds =
                media.has_audio || media.delivery != Delivery::File || has_sound || !self.has_sound();
            media.has_video && (sounds || !wanted.sound)
        };
        let video = self.media.iter().filter(usable).max_by(|a, b| rank(a, b, quality))?;
        if video.has_audio || !wanted.sound || video.delivery != Delivery::File {
            return Some(alone(video));
        }
        match self.sound(true) {
            Some(audio) => Some(Choice::Pair { video: video.address.clone(), audio: audio.address.clone() }),
            None => Some(alone(video)),
        }
    }

    /// The picture of what was chosen, where the page tells it.
    #[must_use]
    pub fn picture_of(&self, choice: &Choice) -> Option<PictureSize> {
        let (Choice::File(picture)
        | Choice::Pair { video: picture, .. }
        | Choice::Hls(picture)
        | Choice::Dash(picture)) = choice;
        self.media.iter().find(|media| media.address == *picture)?.picture
    }

    fn has_sound(&self) -> bool {
        self.media.iter().any(|media| media.has_audio)
    }

    /// The best sound: in a file, by itself if there is one.
    fn sound(&self, in_a_file: bool) -> Option<&Media> {
        let usable = |media: &&Media| media.has_audio && (media.delivery == Delivery::File) == in_a_file;
        self.media.iter().filter(usable).max_by(|a, b| {
            a.language_preference
                .total_cmp(&b.language_preference)
                .then(b.has_video.cmp(&a.has_video))
                .then(is_aac(a).cmp(&is_aac(b)))
                .then(a.bitrate.total_cmp(&b.bitrate))
        })
    }
}

fn alone(media: &Media) -> Choice {
    let address = media.address.clone();
    match media.delivery {
        Delivery::File => Choice::File(address),
        Delivery::Hls => Choice::Hls(address),
        Delivery::Dash => Choice::Dash(address),
    }
}

fn rank(a: &Media, b: &Media, quality: Quality) -> Ordering {
    let fits = |media: &Media| media.picture.is_none_or(|size| size.fits(quality));
    let short = |media: &Media| media.picture.map_or(0, PictureSize::max_height);
    let by_size = match (fits(a), fits(b)) {
        (true, true) => short(a).cmp(&short(b)),
        (false, false) => short(b).cmp(&short(a)),
        (a, b) => a.cmp(&b),
    };
    let whole = |media: &Media| (media.delivery == Delivery::File, media.has_audio);
    by_size
        .then(b.is_hdr.cmp(&a.is_hdr))
        .then(copied(a).cmp(&copied(b)))
        .then(whole(a).cmp(&whole(b)))
        .then(a.fps.total_cmp(&b.fps))
        .then(a.bitrate.total_cmp(&b.bitrate))
}

/// How likely the picture can be copied (RFC 6381 names).
fn copied(media: &Media) -> u8 {
    let starts = |names: &[&str]| names.iter().any(|name| media.video_codec.starts_with(name));
    if starts(&["avc1", "avc3", "h264"]) {
        3
    } else if starts(&["hvc1", "hev1", "hevc", "h265"]) {
        2
    } else if media.video_codec.is_empty() {
        1
    } else {
        0
    }
}

fn is_aac(media: &Media) -> bool {
    media.audio_codec.starts_with("mp4a") || media.audio_codec == "aac"
}
