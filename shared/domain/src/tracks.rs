//! Which of a source's sounds is meant.
//!
//! The rule: the one that the request names, by number or by language; else the file's own default, else the first. Mono
//! tracks that lie side by side, as cameras write them, are the left and the right of one sound.

use serde::{Deserialize, Serialize};

use crate::{
    clip::{Refusal, bad, clipped},
    language,
    source::SourceInfo,
};

/// The most tracks that are told of a source.
pub const TRACKS_MAX: usize = 32;

/// The longest title of a track that is kept, in characters.
const TITLE_CHARS_MAX: usize = 100;

/// A sound that a source has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioTrack {
    /// Its place among the source's sounds, from 1.
    pub number: u32,
    /// FFmpeg's number of the stream; it is not kept.
    #[serde(skip)]
    pub stream: u32,
    /// What is spoken, as the source says it (`eng`, `de`); `None` where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Its name in the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// FFmpeg's name of the codec.
    pub codec: String,
    /// Samples a second.
    pub sample_rate: u32,
    /// How many channels.
    pub channels: u32,
    /// Whether the source says that this is the one to play.
    #[serde(default)]
    pub is_default: bool,
    /// Whether it is for some listeners only: a commentary, a description of the picture.
    #[serde(default)]
    pub is_special: bool,
}

impl AudioTrack {
    /// The only sound of a source that tells no more of it.
    #[must_use]
    pub fn only() -> Self {
        Self { number: 1, ..Self::default() }
    }

    /// The same, with a bound on what a stranger's file may have filled it with.
    #[must_use]
    pub fn bounded(self) -> Self {
        let clean = |text: String, max: usize| -> Option<String> {
            let text: String = text.chars().filter(|c| !c.is_control()).take(max).collect();
            (!text.trim().is_empty()).then_some(text)
        };
        let title = self.title.and_then(|title| clean(title, TITLE_CHARS_MAX));
        let language = self.language.and_then(|language| clean(language, language::TAG_CHARS_MAX));
        Self { title, language, ..self }
    }

    fn speaks(&self, language: &str) -> bool {
        self.language.as_deref().is_some_and(|own| language::matches(language, own))
    }
}

/// The sound that a request names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AudioWish {
    /// By its place among the source's sounds, from 1.
    Number(u32),
    /// By what is spoken: `en`, `eng` and `en-GB` are all English.
    Language(String),
}

impl AudioWish {
    /// Reads a language, or a number in text.
    ///
    /// # Errors
    /// [`Refusal::BadRequest`].
    pub fn parse(word: &str) -> Result<Self, Refusal> {
        if let Ok(number) = word.parse() {
            return Self::numbered(number);
        }
        if language::is_tag(word) {
            return Ok(Self::Language(word.to_ascii_lowercase()));
        }
        Err(bad(format!(
            "`audio` must be a track's number from 1 on, or a language like \"en\", not {:?}",
            clipped(word)
        )))
    }

    /// The `number`th sound.
    ///
    /// # Errors
    /// [`Refusal::BadRequest`] for 0.
    pub fn numbered(number: u32) -> Result<Self, Refusal> {
        if number == 0 { Err(bad("`audio` counts tracks from 1")) } else { Ok(Self::Number(number)) }
    }
}

/// What is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The position of the sound, or of its left channel.
    pub track: usize,
    /// The position of its right channel, where that is a track of its own.
    pub right: Option<usize>,
}

/// Which of `tracks` is heard; `None` if there are none.
///
/// # Errors
/// [`Refusal::BadRequest`] if the wish names none of them; it says which there are.
pub fn choose(tracks: &[AudioTrack], wish: Option<&AudioWish>) -> Result<Option<Choice>, Refusal> {
    let one = |track| Choice { track, right: None };
    let among = |suits: &dyn Fn(&AudioTrack) -> bool| {
        let default = tracks.iter().position(|track| track.is_default && suits(track));
        let plain = || tracks.iter().position(|track| !track.is_special && suits(track));
        default.or_else(plain).or_else(|| tracks.iter().position(suits))
    };
    match wish {
        _ if tracks.is_empty() => Ok(None),
        None if are_channels(tracks) => Ok(Some(Choice { track: 0, right: Some(1) })),
        None => Ok(among(&|_| true).map(one)),
        Some(AudioWish::Number(number)) => {
            let found = tracks.iter().position(|track| track.number == *number);
            found
                .map(|track| Some(one(track)))
                .ok_or_else(|| bad(format!("`audio` is {number}, and the source has {}", told(tracks))))
        }
        Some(AudioWish::Language(language)) => {
            let found = among(&|track: &AudioTrack| track.speaks(language));
            found.map(|track| Some(one(track))).ok_or_else(|| {
                bad(format!("`audio` is {:?}, and the source has {}", clipped(language), told(tracks)))
            })
        }
    }
}

/// Checks that `source` has the sound that is asked for.
///
/// # Errors
/// [`Refusal::BadRequest`] if it is not there, [`Refusal::Source`] where the source does not tell which there are.
pub fn must_offer(source: &SourceInfo, wish: Option<&AudioWish>) -> Result<(), Refusal> {
    if wish.is_some() && source.tracks.is_empty() {
        return Err(Refusal::Source(
            "The source does not tell its audio tracks; leave out `audio`.".to_owned(),
        ));
    }
    choose(&source.tracks, wish).map(drop)
}

/// Whether these tracks are the channels of one sound: all of them mono, of one kind, and none of another language.
#[must_use]
pub fn are_channels(tracks: &[AudioTrack]) -> bool {
    let [first, second, ..] = tracks else { return false };
    let alike = |track: &AudioTrack| {
        track.channels == 1
            && !track.is_special
            && (&track.codec, track.sample_rate) == (&first.codec, first.sample_rate)
            && track.language == first.language
    };
    let defaults = tracks.iter().filter(|track| track.is_default).count();
    // A file whose default lies further back means that one.
    let is_first = defaults == 0 || defaults == tracks.len() || first.is_default || second.is_default;
    tracks.iter().all(alike) && is_first
}

/// The sounds that may stand in for `chosen` if there is nothing to be heard in it, in order: those of the same language,
/// or of none that is told.
#[must_use]
pub fn stand_ins(tracks: &[AudioTrack], chosen: usize) -> Vec<usize> {
    let Some(silent) = tracks.get(chosen) else { return Vec::new() };
    let same = |track: &AudioTrack| {
        !track.is_special
            && (track.language.is_none() || silent.language.is_none() || track.language == silent.language)
    };
    (0..tracks.len()).filter(|n| *n != chosen && tracks.get(*n).is_some_and(same)).collect()
}

/// The tracks, in words.
fn told(tracks: &[AudioTrack]) -> String {
    let one = |track: &AudioTrack| {
        let language = track.language.as_deref().unwrap_or("no language");
        format!("{} ({language})", track.number)
    };
    let list: Vec<String> = tracks.iter().take(TRACKS_MAX).map(one).collect();
    format!("{} audio track{}: {}", tracks.len(), if tracks.len() == 1 { "" } else { "s" }, list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn track(number: u32, language: &str, channels: u32, is_default: bool) -> AudioTrack {
        AudioTrack {
            number,
            language: (!language.is_empty()).then(|| language.to_owned()),
            codec: "aac".to_owned(),
            sample_rate: 48_000,
            channels,
            is_default,
            ..AudioTrack::default()
        }
    }

    fn chosen(tracks: &[AudioTrack], wish: Option<&str>) -> Result<Option<Choice>, Refusal> {
        choose(tracks, wish.map(|word| AudioWish::parse(word).unwrap()).as_ref())
    }

    #[test]
    fn the_wish_then_the_default_then_the_first() {
        let tracks = [track(1, "deu", 2, false), track(2, "eng", 2, true), track(3, "eng", 2, false)];
        let at = |wish| chosen(&tracks, wish).map(|choice| choice.map(|choice| choice.track));
        assert_eq!(at(None), Ok(Some(1)));
        for german in ["de", "deu", "ger", "DE", "de-AT", "1"] {
            assert_eq!(at(Some(german)), Ok(Some(0)), "{german}");
        }
        assert_eq!((at(Some("en")), at(Some("3"))), (Ok(Some(1)), Ok(Some(2))));
        let Err(Refusal::BadRequest(text)) = at(Some("fr")) else { panic!("there is no French") };
        assert!(text.contains("1 (deu), 2 (eng), 3 (eng)"), "{text}");
        assert!(at(Some("4")).is_err() && AudioWish::parse("0").is_err() && AudioWish::parse("e n").is_err());
        let plain = [track(1, "", 2, false), track(2, "", 2, false)];
        assert_eq!(chosen(&plain, None), Ok(Some(Choice { track: 0, right: None })));
        assert_eq!(chosen(&[], Some("1")), Ok(None));
        // A commentary in front is not what is meant.
        let special = AudioTrack { is_special: true, ..track(1, "eng", 2, false) };
        let tracks = [special, track(2, "eng", 2, false)];
        assert_eq!(chosen(&tracks, Some("en")).unwrap().unwrap().track, 1);
    }

    #[test]
    fn a_cameras_tracks_are_channels_and_languages_are_not() {
        let camera: Vec<_> = (1..5).map(|n| track(n, "", 1, n == 1)).collect();
        assert_eq!(chosen(&camera, None), Ok(Some(Choice { track: 0, right: Some(1) })));
        assert_eq!(chosen(&camera, Some("2")), Ok(Some(Choice { track: 1, right: None })));
        let languages = [track(1, "eng", 1, true), track(2, "deu", 1, false)];
        assert_eq!(chosen(&languages, None), Ok(Some(Choice { track: 0, right: None })));
        assert_eq!(stand_ins(&languages, 0), Vec::<usize>::new());
        assert_eq!(stand_ins(&camera, 0), [1, 2, 3]);
        assert!(!are_channels(&camera[..1]));
    }

    proptest! {
        #[test]
        fn what_is_chosen_is_there_and_suits(
            kinds in prop::collection::vec((prop::sample::select(vec!["", "eng", "deu"]), 1u32..3, any::<bool>()), 0..6),
            wish in prop::option::of(prop::sample::select(vec!["1", "2", "6", "en", "de", "fr"])),
        ) {
            let tracks: Vec<_> = (1..).zip(kinds).map(|(n, (l, c, d))| track(n, l, c, d)).collect();
            match chosen(&tracks, wish) {
                Ok(None) => prop_assert!(tracks.is_empty()),
                Ok(Some(Choice { track, right })) => {
                    prop_assert!(track < tracks.len() && right.is_none_or(|right| right < tracks.len()));
                    if let Some(language @ ("en" | "de")) = wish {
                        prop_assert!(tracks[track].speaks(language));
                    }
                }
                Err(_) => prop_assert!(wish.is_some()),
            }
        }
    }
}
