//! Shared clips: who counts as a viewer, what a clip is called, and the size of a player in somebody else's page.

use crate::{
    ids::{JobId, digest},
    quality::{Format, PictureSize},
    time::MediaTime,
};

/// A player's longest side in pixels, if whoever embeds it names no bound.
const EMBED_SIDE_MAX: u32 = 640;
/// The player of a clip without a picture, in pixels: a line of words and the controls.
const SOUND: PictureSize = PictureSize { width: 480, height: 132 };

/// A viewer of a clip on one day, by the day's secret `salt`. Whoever has the salt could try all addresses, so it must
/// go when the day is over; then nothing leads from here back to anybody.
#[must_use]
pub fn viewer(salt: &str, clip: &JobId, client: &str) -> String {
    digest(&format!("{salt} {clip} {client}"))
}

/// What a clip is called on its page: its name without the extension that only repeats the format.
#[must_use]
pub fn title(name: &str, format: Format) -> &str {
    let bare = name.strip_suffix(format.extension()).and_then(|rest| rest.strip_suffix('.'));
    bare.filter(|bare| !bare.trim().is_empty()).unwrap_or(name)
}

/// The size of the player of a clip, within the bounds that whoever embeds it names.
#[must_use]
pub fn player(picture: Option<PictureSize>, width_max: Option<u32>, height_max: Option<u32>) -> PictureSize {
    let usual = if width_max.or(height_max).is_some() { u32::MAX } else { EMBED_SIDE_MAX };
    let (width, height) = (width_max.unwrap_or(usual), height_max.unwrap_or(usual));
    picture.map_or_else(
        || PictureSize { width: SOUND.width.min(width), height: SOUND.height.min(height) },
        |picture| picture.within(PictureSize { width, height }),
    )
}

/// A length as players show it, `0:03` or `1:02:03`: whole seconds that have passed, at least one.
#[must_use]
pub fn clock(duration: MediaTime) -> String {
    MediaTime((duration.0 / 1_000_000).max(1) * 1_000_000).to_string()
}

/// A number of bytes as people read it: `758.9 kB`, `1.25 GB`.
#[must_use]
#[allow(clippy::cast_precision_loss)] // shown with four digits
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

/// A time that is left, in words: `23 hours`, `1 minute`.
#[must_use]
pub fn left(ms: i64) -> String {
    let minutes = ms.max(0) / 60_000;
    let (number, unit) = match minutes {
        0 => return "less than a minute".to_owned(),
        1..60 => (minutes, "minute"),
        60..2880 => (minutes / 60, "hour"),
        _ => (minutes / 1440, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL_HD: Option<PictureSize> = Some(PictureSize { width: 1920, height: 1080 });

    #[test]
    fn a_viewer_is_one_by_salt_clip_and_address() {
        let (one, two) = (JobId::from_random([1; 16]), JobId::from_random([2; 16]));
        let first = viewer("s", &one, "192.0.2.1");
        assert_eq!(first, viewer("s", &one, "192.0.2.1"));
        for other in
            [viewer("t", &one, "192.0.2.1"), viewer("s", &two, "192.0.2.1"), viewer("s", &one, "192.0.2.2")]
        {
            assert_ne!(first, other);
        }
        assert!(!first.contains("192"));
    }

    #[test]
    fn titles_lose_their_extension_only() {
        assert_eq!(title("clip_2-00.mp4", Format::Mp4), "clip_2-00");
        assert_eq!(title("Intro.mp3", Format::Mp4), "Intro.mp3");
        assert_eq!(title(".gif", Format::Gif), ".gif");
        assert_eq!(title("雨", Format::Gif), "雨");
    }

    #[test]
    fn a_player_fits_where_it_is_put() {
        let size = |width, height| PictureSize { width, height };
        assert_eq!(player(FULL_HD, None, None), size(640, 360));
        assert_eq!(player(FULL_HD, Some(1280), None), size(1280, 720));
        assert_eq!(player(FULL_HD, Some(9999), Some(9999)), size(1920, 1080));
        assert_eq!(player(FULL_HD, Some(300), Some(90)), size(160, 90));
        assert_eq!(player(None, None, None), SOUND);
        assert_eq!(player(None, Some(300), Some(100)), size(300, 100));
    }

    #[test]
    fn numbers_in_words() {
        assert_eq!(clock(MediaTime(2_730_000)), "0:02");
        assert_eq!(clock(MediaTime(1)), "0:01");
        assert_eq!(clock(MediaTime(3_723_400_000)), "1:02:03");
        for (bytes, words) in
            [(12, "12 B"), (758_900, "758.9 kB"), (9_500_000, "9.5 MB"), (1_250_000_000, "1.25 GB")]
        {
            assert_eq!(size(bytes), words);
        }
        for (ms, words) in [
            (59_999, "less than a minute"),
            (60_000, "1 minute"),
            (86_399_000, "23 hours"),
            (3_600_000, "1 hour"),
            (3 * 86_400_000, "3 days"),
        ] {
            assert_eq!(left(ms), words);
        }
    }
}
