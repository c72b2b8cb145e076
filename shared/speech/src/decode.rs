//! From sound to tokens, so that nothing is invented: no chance is involved, nothing that was said before leads the model on, and what
//! it says of no speech, or says over and over, or is not sure of itself, is not taken.

use std::io::Write as _;

use ct2rs::sys::{StorageView, Whisper, WhisperGenerationResult, WhisperOptions};
use flate2::{Compression, write::ZlibEncoder};

use crate::vocabulary::Vocabulary;
use crate::{Error, failed};

/// Text that gets shorter than this when it is compressed repeats itself.
const COMPRESSION_MAX: f32 = 2.4;
/// The mean logarithm of the tokens' probabilities; below it the model guesses.
const SURE_MIN: f32 = -1.0;
/// The model's own opinion that nobody speaks. It counts if the text is as doubtful as this.
const NO_SPEECH: f32 = 0.6;
const NO_SPEECH_SURE_MIN: f32 = -0.6;

/// What one attempt made.
#[derive(Clone, Copy, Debug)]
struct Signs {
    /// The length of the text over its length when compressed.
    compression: f32,
    /// The mean logarithm of the tokens' probabilities.
    sure: f32,
    /// How likely nobody speaks, 0 to 1.
    no_speech: f32,
}

impl Signs {
    fn is_silence(self) -> bool {
        self.no_speech > NO_SPEECH && self.sure < NO_SPEECH_SURE_MIN
    }

    fn is_good(self) -> bool {
        self.compression <= COMPRESSION_MAX && self.sure >= SURE_MIN
    }
}

/// The tokens of an encoded window; none if nothing is said, or nothing that can be relied on. Up to three attempts, each with more care than the
/// one before, and each of at most 224 tokens, which is half of what the model can remember.
pub(crate) fn tokens(
    whisper: &Whisper,
    vocabulary: &Vocabulary,
    encoded: &StorageView<'_>,
    prompt: &[String],
) -> Result<Vec<usize>, Error> {
    let first = WhisperOptions {
        beam_size: 1,
        max_length: 448,
        return_scores: true,
        return_no_speech_prob: true,
        ..WhisperOptions::default()
    };
    let second = WhisperOptions { beam_size: 5, ..first.clone() };
    let third = WhisperOptions { no_repeat_ngram_size: 3, repetition_penalty: 1.1, ..second.clone() };
    for options in [first, second, third] {
        let told = whisper.generate(encoded, &[prompt.to_vec()], &options).map_err(failed)?;
        let Some(told) = told.into_iter().next() else { break };
        let signs = signs(&told, vocabulary);
        if signs.is_silence() {
            break;
        }
        if signs.is_good() {
            return Ok(told.sequences_ids.into_iter().next().unwrap_or_default());
        }
    }
    Ok(Vec::new())
}

fn signs(told: &WhisperGenerationResult, vocabulary: &Vocabulary) -> Signs {
    let ids = told.sequences_ids.first().map_or(&[][..], Vec::as_slice);
    let score = told.scores.first().copied().unwrap_or(f32::MIN);
    // The score leaves out the token that ends the text.
    let count = ids.len() as f32;
    let text: Vec<u8> = ids
        .iter()
        .filter(|id| vocabulary.is_text(**id))
        .flat_map(|id| vocabulary.bytes(*id))
        .copied()
        .collect();
    Signs {
        compression: compression(&text),
        sure: score * count / (count + 1.0),
        no_speech: told.no_speech_prob,
    }
}

fn compression(text: &[u8]) -> f32 {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Memory takes all that is written.
    let compressed = encoder.write_all(text).and_then(|()| encoder.finish()).map_or(1, |bytes| bytes.len());
    text.len() as f32 / compressed as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_doubts_and_silence_are_seen() {
        let speech = b" The quick brown fox jumps over the lazy dog while nobody is looking at it.";
        assert!(compression(speech) < COMPRESSION_MAX);
        assert!(compression(&b" Thank you.".repeat(20)) > COMPRESSION_MAX);
        let signs = |compression, sure, no_speech| Signs { compression, sure, no_speech };
        assert!(signs(1.3, -0.3, 0.1).is_good() && !signs(1.3, -0.3, 0.9).is_silence());
        assert!(!signs(3.0, -0.1, 0.1).is_good());
        assert!(!signs(1.3, -1.2, 0.1).is_good());
        // " you", of silence.
        assert!(signs(0.3, -0.81, 0.93).is_silence());
    }
}
