//! HLS playlists (RFC 8216). What a line means that is not known here does not matter, by section 6.3.1.

mod media;
#[cfg(test)]
mod tests;

use domain::{
    quality::{PictureSize, Quality},
    tracks::{self, AudioTrack, AudioWish},
};
use url::Url;

use self::media::Reader;
use super::{Candidate, Codecs, RENDITIONS_MAX, Rendition, choose, damaged, picture, resolve, unsupported};
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
    language: Option<String>,
    name: Option<String>,
    is_default: bool,
    is_selected: bool,
}

impl Sound {
    /// As a person chooses among them, as the `number`th one.
    fn track(&self, number: u32) -> AudioTrack {
        AudioTrack {
            number,
            language: self.language.clone(),
            title: self.name.clone(),
            is_default: self.is_default,
            ..AudioTrack::default()
        }
    }
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
    /// The sounds to choose among, if there are several.
    pub tracks: Vec<AudioTrack>,
}

impl Master {
    /// The variant for a picture of `quality`, with the sound that `wish` names, else the default one.
    ///
    /// # Errors
    /// [`SourceError::Unsupported`] if there is none.
    pub fn choose(&self, quality: Quality, wish: Option<&AudioWish>) -> Result<Chosen, SourceError> {
        let seen = self.variants.iter().any(|variant| !variant.is_sound());
        let fit: Vec<_> = self.variants.iter().filter(|variant| !(seen && variant.is_sound())).collect();
        let place = choose(fit.iter().map(|variant| variant.candidate()), quality);
        let variant = place.and_then(|place| fit.get(place)).ok_or_else(|| damaged("it names no variant"))?;
        let group = variant.audio_group.as_ref();
        let sounds = || self.sounds.iter().filter(|sound| Some(&sound.group) == group);
        let tracks: Vec<AudioTrack> =
            (1..).zip(sounds()).map(|(number, sound)| sound.track(number)).collect();
        let wished = match wish.filter(|_| tracks.len() > 1) {
            Some(wish) => {
                let choice =
                    tracks::choose(&tracks, Some(wish)).map_err(|why| unsupported(why.to_string()))?;
                choice.and_then(|choice| sounds().nth(choice.track))
            }
            None => None,
        };
        let sound = wished
            .or_else(|| sounds().find(|sound| sound.is_default))
            .or_else(|| sounds().find(|sound| sound.is_selected))
            .or_else(|| sounds().next());
        let told = variant.codecs.map(|codecs| codecs.audio);
        Ok(Chosen {
            main: variant.url.clone(),
            sound: sound.and_then(|sound| sound.url.clone()).filter(|url| *url != variant.url),
            picture: variant.picture,
            has_audio: if sound.is_some() { Some(true) } else { told },
            tracks,
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
                    language: told.get("LANGUAGE").map(str::to_owned),
                    name: told.get("NAME").map(str::to_owned),
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
