//! `audio` in requests, and the sounds of a source in answers.

use std::fmt;

use domain::tracks::{AudioTrack, AudioWish};
use runtime::ApiError;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::json;
use utoipa::{
    ToSchema,
    openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type},
};

/// The sound that a request names: a number, or a language in text.
#[derive(Clone, Debug, Default)]
pub struct AudioInput(Option<Named>);

#[derive(Clone, Debug)]
enum Named {
    Number(u64),
    Text(String),
}

/// A track's number from 1 on, or a language.
pub(crate) fn schema() -> Schema {
    let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
    let language = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$|^[0-9]+$"));
    OneOfBuilder::new()
        .description(Some(
            "Which of the source's sounds: its number as `POST /v1/clip/info` lists them, or a language (`en`, `eng`, \
             `en-GB`). Left out, it is the source's default.",
        ))
        .item(number)
        .item(language)
        .examples([json!(2), json!("en")])
        .into()
}

impl AudioInput {
    /// The sound that is asked for, if one is.
    ///
    /// # Errors
    /// 400 for what can be none.
    pub(crate) fn wish(self) -> Result<Option<AudioWish>, ApiError> {
        let wish = match self.0 {
            None => return Ok(None),
            Some(Named::Number(number)) => AudioWish::numbered(u32::try_from(number).unwrap_or(u32::MAX)),
            Some(Named::Text(text)) => AudioWish::parse(&text),
        };
        Ok(Some(wish?))
    }
}

impl<'de> Deserialize<'de> for AudioInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = AudioInput;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a track's number from 1 on, or a language like \"en\"")
            }

            fn visit_u64<E>(self, number: u64) -> Result<AudioInput, E> {
                Ok(AudioInput(Some(Named::Number(number))))
            }

            fn visit_str<E>(self, text: &str) -> Result<AudioInput, E> {
                Ok(AudioInput(Some(Named::Text(text.to_owned()))))
            }

            fn visit_unit<E>(self) -> Result<AudioInput, E> {
                Ok(AudioInput(None))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// A sound that a source has.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrackView {
    /// Its number, for `audio` in requests.
    #[schema(example = 1)]
    pub number: u32,
    /// What is spoken, as the source says it; null where it does not.
    #[schema(example = "eng")]
    pub language: Option<String>,
    /// Its name in the source; null where it has none.
    #[schema(example = "Director's commentary")]
    pub title: Option<String>,
    /// How many channels; null where it is not known.
    #[schema(example = 2)]
    pub channels: Option<u32>,
    /// FFmpeg's name of the codec; null where it is not known.
    #[schema(example = "aac")]
    pub codec: Option<String>,
    /// Whether the source says that it is to be played.
    pub default: bool,
}

impl From<AudioTrack> for TrackView {
    fn from(track: AudioTrack) -> Self {
        let AudioTrack { number, language, title, channels, codec, is_default, .. } = track;
        let channels = Some(channels).filter(|channels| *channels > 0);
        let codec = Some(codec).filter(|codec| !codec.is_empty());
        Self { number, language, title, channels, codec, default: is_default }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(json: &str) -> Result<Option<AudioWish>, String> {
        let input: AudioInput = serde_json::from_str(json).map_err(|error| error.to_string())?;
        input.wish().map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn a_sound_is_named_by_number_or_language() {
        assert_eq!(wish("null"), Ok(None));
        assert_eq!(
            (wish("2"), wish("\"2\"")),
            (Ok(Some(AudioWish::Number(2))), Ok(Some(AudioWish::Number(2))))
        );
        assert_eq!(wish("\"en-GB\""), Ok(Some(AudioWish::Language("en-gb".to_owned()))));
        for json in ["0", "-1", "1.5", "true", "[1]", "\"\"", "\"english please\"", "\"0\""] {
            assert!(wish(json).is_err(), "{json}");
        }
    }
}
