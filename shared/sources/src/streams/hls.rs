//! HLS playlists (RFC 8216). What a line means that is not known here does not matter, by section 6.3.1.

use std::{ops::Range, sync::Arc};

use domain::{
    quality::{PictureSize, Quality},
    time::MediaTime,
};
use url::Url;

use super::{
    Candidate, Codecs, DURATION_MAX, Key, Piece, Place, RENDITIONS_MAX, Rendition, SEGMENTS_MAX, Segment,
    choose, damaged, picture, resolve, unsupported,
};
use crate::SourceError;

/// A playlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Playlist {
    /// It names others.
    Master(Master),
    /// It names segments.
    Media(Rendition),
}

/// The variants of a presentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Master {
    variants: Vec<Variant>,
    sounds: Vec<Sound>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Variant {
    url: Url,
    picture: Option<PictureSize>,
    bandwidth: u64,
    /// `None` where they are not told.
    codecs: Option<Codecs>,
    audio_group: Option<String>,
}

impl Variant {
    fn candidate(&self) -> Candidate {
        let plain = self.codecs.is_none_or(|codecs| codecs.plain);
        Candidate { picture: self.picture, plain, bandwidth: self.bandwidth }
    }

    /// Whether it is known to be without a picture.
    fn is_sound(&self) -> bool {
        self.picture.is_none() && self.codecs.is_some_and(|codecs| !codecs.video)
    }
}

/// An `EXT-X-MEDIA` of type `AUDIO`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sound {
    group: String,
    /// `None` if it is within the variants' own segments.
    url: Option<Url>,
    is_default: bool,
    is_selected: bool,
}

/// What is taken of a master playlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The media playlist with the picture, and with the sound if `sound` is `None`.
    pub main: Url,
    /// The media playlist with the sound alone.
    pub sound: Option<Url>,
    /// The picture, where it is told.
    pub picture: Option<PictureSize>,
    /// Whether there is sound, where it is told.
    pub has_audio: Option<bool>,
}

impl Master {
    /// The variant for a picture of `quality`.
    ///
    /// # Errors
    /// [`SourceError::Unsupported`] if there is none.
    pub fn choose(&self, quality: Quality) -> Result<Chosen, SourceError> {
        let seen = self.variants.iter().any(|variant| !variant.is_sound());
        let fit: Vec<_> = self.variants.iter().filter(|variant| !(seen && variant.is_sound())).collect();
        let place = choose(fit.iter().map(|variant| variant.candidate()), quality);
        let variant = place.and_then(|place| fit.get(place)).ok_or_else(|| damaged("it names no variant"))?;
        let group = variant.audio_group.as_ref();
        let sounds = || self.sounds.iter().filter(|sound| Some(&sound.group) == group);
        let sound = sounds()
            .find(|sound| sound.is_default)
            .or_else(|| sounds().find(|sound| sound.is_selected))
            .or_else(|| sounds().next());
        let told = variant.codecs.map(|codecs| codecs.audio);
        Ok(Chosen {
            main: variant.url.clone(),
            sound: sound.and_then(|sound| sound.url.clone()).filter(|url| *url != variant.url),
            picture: variant.picture,
            has_audio: if sound.is_some() { Some(true) } else { told },
        })
    }
}

impl Playlist {
    /// Reads the text of a playlist that came from `base`.
    ///
    /// # Errors
    /// [`SourceError::Unsupported`] for what is damaged or is not cut: a live stream, DRM.
    pub fn parse(text: &str, base: &Url) -> Result<Self, SourceError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        if !lines.next().is_some_and(|line| line.starts_with("#EXTM3U")) {
            return Err(damaged("it does not begin with #EXTM3U"));
        }
        if lines.clone().any(|line| line.starts_with("#EXT-X-STREAM-INF")) {
            master(lines, base).map(Self::Master)
        } else {
            Reader::new(base).read(lines).map(Self::Media)
        }
    }
}

fn master<'a>(lines: impl Iterator<Item = &'a str>, base: &Url) -> Result<Master, SourceError> {
    let mut master = Master { variants: Vec::new(), sounds: Vec::new() };
    let mut told = None;
    for line in lines {
        if master.variants.len() + master.sounds.len() > RENDITIONS_MAX {
            return Err(damaged(format!("it names more than {RENDITIONS_MAX} renditions")));
        }
        if let Some(rest) = line.strip_prefix("#EXT-X-STREAM-INF:") {
            told = Some(Attributes(rest));
        } else if let Some(rest) = line.strip_prefix("#EXT-X-MEDIA:") {
            let told = Attributes(rest);
            if told.get("TYPE") == Some("AUDIO") {
                let url = told.get("URI").map(|uri| address(base, uri)).transpose()?;
                master.sounds.push(Sound {
                    group: told.get("GROUP-ID").unwrap_or_default().to_owned(),
                    url,
                    is_default: told.get("DEFAULT") == Some("YES"),
                    is_selected: told.get("AUTOSELECT") == Some("YES"),
                });
            }
        } else if !line.starts_with('#')
            && let Some(told) = told.take()
        {
            let size = told.get("RESOLUTION").and_then(|size| size.split_once(['x', 'X']));
            let size = size.and_then(|(w, h)| picture(w.parse().ok()?, h.parse().ok()?));
            master.variants.push(Variant {
                url: address(base, line)?,
                picture: size,
                bandwidth: told.get("BANDWIDTH").and_then(|bits| bits.parse().ok()).unwrap_or(0),
                codecs: told.get("CODECS").map(Codecs::parse),
                audio_group: told.get("AUDIO").map(str::to_owned),
            });
        }
    }
    Ok(master)
}

/// An address in a playlist. Variables (`EXT-X-DEFINE`) are not filled in.
fn address(base: &Url, text: &str) -> Result<Url, SourceError> {
    if text.contains("{$") {
        return Err(unsupported("its playlist uses variables; give the address of a playlist without them"));
    }
    resolve(base, text)
}

/// An attribute list (section 4.2).
#[derive(Clone, Copy)]
struct Attributes<'a>(&'a str);

impl<'a> Attributes<'a> {
    /// The value of the first attribute of this name, without its quotes.
    fn get(self, name: &str) -> Option<&'a str> {
        let mut rest = self.0;
        while let Some((this, behind)) = rest.split_once('=') {
            let (value, next) = match behind.strip_prefix('"') {
                Some(quoted) => {
                    let (value, next) = quoted.split_once('"')?;
                    (value, next.trim_start().strip_prefix(',').unwrap_or_default())
                }
                None => behind.split_once(',').unwrap_or((behind, "")),
            };
            if this.trim() == name {
                return Some(value.trim());
            }
            rest = next;
        }
        None
    }
}

/// The key that is in force, and its vector if that is given.
#[derive(Clone)]
struct InForce {
    url: Url,
    iv: Option<[u8; 16]>,
}

/// A media playlist as it is read, line by line.
struct Reader<'a> {
    base: &'a Url,
    segments: Vec<Segment>,
    key: Option<InForce>,
    init: Option<Arc<Piece>>,
    number: u64,
    run: u32,
    at: MediaTime,
    duration: Option<MediaTime>,
    range: Option<&'a str>,
    gap: bool,
    ended: bool,
}

impl<'a> Reader<'a> {
    const fn new(base: &'a Url) -> Self {
        Self {
            base,
            segments: Vec::new(),
            key: None,
            init: None,
            number: 0,
            run: 0,
            at: MediaTime::ZERO,
            duration: None,
            range: None,
            gap: false,
            ended: false,
        }
    }

    fn read(mut self, lines: impl Iterator<Item = &'a str>) -> Result<Rendition, SourceError> {
        for line in lines {
            match line.strip_prefix('#') {
                Some(tag) => self.tag(tag)?,
                None => self.segment(line)?,
            }
        }
        if !self.ended {
            return Err(unsupported(
                "it is a live stream, or one that has not ended; try again when it is over",
            ));
        }
        if self.segments.is_empty() {
            return Err(damaged("it names no segment"));
        }
        Ok(Rendition { segments: self.segments, zero: None })
    }

    fn tag(&mut self, tag: &'a str) -> Result<(), SourceError> {
        let (name, value) = tag.split_once(':').unwrap_or((tag, ""));
        match name {
            "EXTINF" => self.duration = Some(seconds(value.split(',').next().unwrap_or_default())?),
            "EXT-X-BYTERANGE" => self.range = Some(value),
            "EXT-X-DISCONTINUITY" => self.run = self.run.saturating_add(1),
            "EXT-X-GAP" => self.gap = true,
            "EXT-X-ENDLIST" => self.ended = true,
            "EXT-X-PLAYLIST-TYPE" => self.ended |= value.trim() == "VOD",
            "EXT-X-MEDIA-SEQUENCE" => {
                self.number = value.trim().parse().map_err(|_| damaged("a sequence number is none"))?;
            }
            "EXT-X-I-FRAMES-ONLY" => {
                return Err(unsupported("its playlist is one of still pictures; give that of the video"));
            }
            "EXT-X-KEY" => self.key = self.key(Attributes(value))?,
            "EXT-X-MAP" => self.init = Some(Arc::new(self.map(Attributes(value))?)),
            _ => {}
        }
        Ok(())
    }

    fn key(&self, told: Attributes<'_>) -> Result<Option<InForce>, SourceError> {
        match told.get("METHOD") {
            Some("NONE") => return Ok(None),
            Some("AES-128") if told.get("KEYFORMAT").is_none_or(|format| format == "identity") => {}
            _ => return Err(protected()),
        }
        let url = address(self.base, told.get("URI").ok_or_else(|| damaged("a key has no address"))?)?;
        let iv = match told.get("IV") {
            Some(digits) => Some(vector(digits).ok_or_else(|| damaged("an IV is none"))?),
            None => None,
        };
        Ok(Some(InForce { url, iv }))
    }

    /// The key for what is fetched now; without a vector of its own, the segment's number is it (section 5.2).
    fn key_now(&self) -> Option<Key> {
        let key = self.key.as_ref()?;
        let iv = key.iv.unwrap_or_else(|| u128::from(self.number).to_be_bytes());
        Some(Key { url: key.url.clone(), iv })
    }

    fn map(&self, told: Attributes<'_>) -> Result<Piece, SourceError> {
        let url = address(self.base, told.get("URI").ok_or_else(|| damaged("a map has no address"))?)?;
        let range = told.get("BYTERANGE").map(|text| byte_range(text, Some(0))).transpose()?;
        Ok(Piece { place: Place { url, range }, key: self.key_now() })
    }

    fn segment(&mut self, line: &str) -> Result<(), SourceError> {
        // An address that no EXTINF stands in front of is no segment.
        let Some(duration) = self.duration.take() else { return Ok(()) };
        if self.segments.len() >= SEGMENTS_MAX {
            return Err(unsupported(format!("it has more than {SEGMENTS_MAX} segments")));
        }
        let url = address(self.base, line)?;
        let before = self.segments.last().map(|segment| &segment.piece.place);
        let next = before.filter(|place| place.url == url).and_then(|place| Some(place.range.as_ref()?.end));
        let range = self.range.take().map(|text| byte_range(text, next)).transpose()?;
        let end = MediaTime(self.at.0.saturating_add(duration.0));
        if end.0 > DURATION_MAX {
            return Err(damaged("it is absurdly long"));
        }
        self.segments.push(Segment {
            piece: Piece { place: Place { url, range }, key: self.key_now() },
            init: self.init.clone(),
            start: self.at,
            end,
            run: self.run,
            gap: std::mem::take(&mut self.gap),
        });
        self.at = end;
        self.number = self.number.wrapping_add(1);
        Ok(())
    }
}

fn protected() -> SourceError {
    unsupported("it is protected (DRM); only streams without protection or with AES-128 can be cut")
}

/// A decimal number of seconds.
fn seconds(text: &str) -> Result<MediaTime, SourceError> {
    let seconds: f64 = text.trim().parse().map_err(|_| damaged("a duration is none"))?;
    let time = MediaTime::from_seconds(seconds).ok().filter(|time| (0..=DURATION_MAX).contains(&time.0));
    time.ok_or_else(|| damaged("a duration is none"))
}

/// `n[@o]` (section 4.3.2.2); without an offset it begins where the one before it ended.
fn byte_range(text: &str, next: Option<u64>) -> Result<Range<u64>, SourceError> {
    let wrong = || damaged("a byte range is none");
    let (len, start) = match text.trim().split_once('@') {
        Some((len, start)) => (len, Some(start.parse().map_err(|_| wrong())?)),
        None => (text.trim(), next),
    };
    let len: u64 = len.parse().map_err(|_| wrong())?;
    let start: u64 = start.ok_or_else(wrong)?;
    let end = start.checked_add(len).filter(|end| *end > start && *end < 1 << 62);
    Ok(start..end.ok_or_else(wrong)?)
}

/// `0x` and up to 32 hexadecimal digits.
fn vector(text: &str) -> Option<[u8; 16]> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    if digits.is_empty() || digits.starts_with('+') {
        return None;
    }
    u128::from_str_radix(digits, 16).ok().map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Url {
        Url::parse("https://example.com/a/b/index.m3u8?token=1").unwrap()
    }

    fn media(body: &str) -> Result<Rendition, SourceError> {
        match Playlist::parse(&format!("#EXTM3U\n{body}"), &base())? {
            Playlist::Media(rendition) => Ok(rendition),
            Playlist::Master(_) => panic!("a master playlist"),
        }
    }

    fn master(body: &str) -> Master {
        match Playlist::parse(&format!("\u{feff}#EXTM3U\r\n{body}"), &base()).unwrap() {
            Playlist::Master(master) => master,
            Playlist::Media(_) => panic!("a media playlist"),
        }
    }

    #[test]
    fn segments_have_times_addresses_ranges_and_keys() {
        let text = "#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-MAP:URI=\"init.mp4\",BYTERANGE=\"100@20\"\n\
            #EXTINF:2.5,a, b\n#EXT-X-BYTERANGE:10@5\nall.ts\n#EXTINF:1.5\n#EXT-X-BYTERANGE:20\nall.ts\n\
            #EXT-X-KEY:METHOD=AES-128,URI=\"../key?a=1,2\",IV=0x0F\n#EXTINF:1,\n/root.ts\n\
            #EXT-X-KEY:METHOD=AES-128,URI=\"../key\"\n#EXT-X-DISCONTINUITY\n#EXTINF:1,\n//cdn.example.org/x.ts\n\
            #EXT-X-KEY:METHOD=NONE\n#EXT-X-GAP\n#EXTINF:1,\nlast.ts\n#EXT-X-ENDLIST\n";
        let list = media(text).unwrap();
        assert_eq!(list.duration(), MediaTime(7_000_000));
        let [a, b, c, d, e] = &list.segments[..] else { panic!("{list:?}") };
        assert_eq!((a.start, a.end, b.end), (MediaTime(0), MediaTime(2_500_000), MediaTime(4_000_000)));
        assert_eq!((&a.piece.place.range, &b.piece.place.range), (&Some(5..15), &Some(15..35)));
        assert_eq!(a.init.as_ref().unwrap().place.range, Some(20..120));
        assert_eq!(a.piece.place.url.as_str(), "https://example.com/a/b/all.ts");
        let key = c.piece.key.as_ref().unwrap();
        assert_eq!((key.url.as_str(), key.iv[15]), ("https://example.com/a/key?a=1,2", 15));
        assert_eq!(c.piece.place.url.as_str(), "https://example.com/root.ts");
        assert_eq!(d.piece.place.url.as_str(), "https://cdn.example.org/x.ts");
        assert_eq!(d.piece.key.as_ref().unwrap().iv[15], 10, "the fourth segment's number");
        assert_eq!((a.run, d.run, &e.piece.key, d.gap, e.gap), (0, 1, &None, false, true));

        let at = |from, until| list.around(MediaTime(from), MediaTime(until));
        assert_eq!(at(0, 1), 0..1);
        assert_eq!(at(2_500_000, 4_000_000), 1..2);
        assert_eq!(at(2_499_999, 4_000_001), 0..3);
        assert_eq!(at(99_000_000, 99_000_001), 4..5);
    }

    #[test]
    fn chooses_a_variant_and_its_sound() {
        let text = "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x, y\",URI=\"fr.m3u8\"\n\
            #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",DEFAULT=YES,URI=\"en.m3u8\"\n\
            #EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",URI=\"s.m3u8\"\n\
            #EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS=\"mp4a.40.2\"\nsound.m3u8\n\
            #EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=1280x720,CODECS=\"avc1.64001f,mp4a.40.2\",AUDIO=\"a\"\n720.m3u8\n\
            #EXT-X-STREAM-INF:BANDWIDTH=800000,RESOLUTION=1920x1080,CODECS=\"hvc1.1\"\n1080.m3u8\n";
        let master = master(text);
        let at = |quality| master.choose(quality).unwrap();
        assert_eq!(at(Quality::P720).main.path(), "/a/b/720.m3u8");
        assert_eq!(at(Quality::P720).sound.unwrap().path(), "/a/b/en.m3u8");
        let large = at(Quality::P1080);
        assert_eq!((large.main.path(), large.sound, large.has_audio), ("/a/b/1080.m3u8", None, Some(false)));
        assert_eq!(large.picture, Some(PictureSize { width: 1920, height: 1080 }));
    }

    #[test]
    fn what_cannot_be_cut_is_told_apart() {
        let told = |body: &str| media(body).unwrap_err().to_string();
        assert!(told("#EXTINF:2,\na.ts\n").contains("live"));
        let drm = "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://x\"\n#EXTINF:2,\na.ts\n#EXT-X-ENDLIST";
        assert!(told(drm).contains("DRM"));
        let widevine = "#EXT-X-KEY:METHOD=AES-128,URI=\"k\",KEYFORMAT=\"com.widevine\"\n#EXTINF:2,\na.ts";
        assert!(told(widevine).contains("DRM"));
        assert!(told("#EXT-X-DEFINE:NAME=\"a\",VALUE=\"b\"\n#EXTINF:2,\n{$a}.ts\n").contains("variables"));
        assert!(told("#EXT-X-I-FRAMES-ONLY").contains("still"));
    }

    #[test]
    fn hostile_texts_end_in_an_error() {
        let many = "#EXTINF:0,\na\n".repeat(SEGMENTS_MAX + 1);
        for body in [
            "",
            "#EXT-X-ENDLIST",
            "a.ts\n#EXT-X-ENDLIST",
            "#EXTINF:nan,\na\n#EXT-X-ENDLIST",
            "#EXTINF:-1,\na\n#EXT-X-ENDLIST",
            "#EXTINF:1e300,\na\n#EXT-X-ENDLIST",
            "#EXTINF:600000,\na\n#EXTINF:600000,\na\n#EXT-X-ENDLIST",
            "#EXTINF:1,\n#EXT-X-BYTERANGE:5\na\n#EXT-X-ENDLIST",
            "#EXTINF:1,\n#EXT-X-BYTERANGE:0@5\na\n#EXT-X-ENDLIST",
            "#EXTINF:1,\n#EXT-X-BYTERANGE:18446744073709551615@18446744073709551615\na\n#EXT-X-ENDLIST",
            "#EXTINF:1,\nhttp://[::bad\n#EXT-X-ENDLIST",
            "#EXT-X-MAP:BYTERANGE=\"1@0\"\n#EXTINF:1,\na\n#EXT-X-ENDLIST",
            "#EXT-X-KEY:METHOD=AES-128\n#EXTINF:1,\na\n#EXT-X-ENDLIST",
            "#EXT-X-KEY:METHOD=AES-128,URI=\"k\",IV=0x112233445566778899aabbccddeeff0011\n#EXT-X-ENDLIST",
            "#EXT-X-KEY:METHOD=AES-128,URI=\"k,IV=0x1\n#EXT-X-ENDLIST",
            "#EXT-X-MEDIA-SEQUENCE:-1\n#EXT-X-ENDLIST",
            &many,
        ] {
            assert!(media(body).is_err(), "{}", &body[..body.len().min(80)]);
        }
        assert!(Playlist::parse("#EXT\n", &base()).is_err());
        let crowd = "#EXT-X-STREAM-INF:BANDWIDTH=1\na\n".repeat(RENDITIONS_MAX + 2);
        assert!(Playlist::parse(&format!("#EXTM3U\n{crowd}"), &base()).is_err());
        let Playlist::Master(none) = Playlist::parse("#EXTM3U\n#EXT-X-STREAM-INF:", &base()).unwrap() else {
            panic!("a media playlist");
        };
        assert!(none.choose(Quality::P720).is_err());
    }
}
