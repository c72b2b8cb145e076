//! Speech to words: where somebody speaks, in which language, then window by window.

use std::path::Path;

use ct2rs::sys::{ComputeType, Config, Device, StorageView, Whisper};
use domain::time::MediaTime;

use crate::mel::{FRAMES, HOP, Mel};
use crate::stretch::Stretch;
use crate::vocabulary::{FRAMES_A_STAMP, Vocabulary};
use crate::words::{Timed, settle, spaced, words};
use crate::{Error, SpeechModel, Spoken, Voice, decode, failed, join, time_of, window};

/// Frames that the times of tokens are smoothed over.
const SMOOTHED: i64 = 7;
/// Less speech than this at the end of a window, behind the last word, is none: 500 ms.
const LEFT_MAX: usize = 50 * HOP;
const ENGLISH: &str = "en";

/// Turns speech into words (Whisper). It uses one thread: pieces run side by side, each with a recogniser of its own.
#[derive(Debug)]
pub struct Recogniser {
    voice: Voice,
    whisper: Whisper,
    vocabulary: Vocabulary,
    mel: Mel,
}

impl Recogniser {
    /// The models in the folder of models: `silero_vad_v6.onnx`, and one folder for each [`SpeechModel`].
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn load(folder: &Path, model: SpeechModel) -> Result<Self, Error> {
        let own = folder.join(model.name());
        let vocabulary = Vocabulary::load(&own)?;
        let config = Config {
            device: Device::CPU,
            compute_type: ComputeType::INT8,
            num_threads_per_replica: 1,
            ..Config::default()
        };
        let whisper = Whisper::new(&own, config)
            .map_err(|error| Error::Model { file: own, reason: error.to_string() })?;
        let mel = Mel::new(whisper.n_mels());
        Ok(Self { voice: Voice::load(folder)?, whisper, vocabulary, mel })
    }

    /// The words of a piece of sound that begins at `offset` of a longer one: times are that one's. In this `language`
    /// (`en`), or in the one that is heard.
    ///
    /// Silence, music and noise give nothing.
    ///
    /// # Errors
    /// [`Error::Language`], [`Error::Failed`].
    pub fn recognise(
        &self,
        samples: &[f32],
        offset: MediaTime,
        language: Option<&str>,
    ) -> Result<Spoken, Error> {
        self.recognise_while(samples, offset, language, |_| true)
    }

    /// As [`Self::recognise`], as long as `goes_on` says so: it is asked before each window, and told how much of the sound
    /// is done, from 0 to 1.
    ///
    /// # Errors
    /// [`Error::Stopped`] too.
    pub fn recognise_while(
        &self,
        samples: &[f32],
        offset: MediaTime,
        language: Option<&str>,
        mut goes_on: impl FnMut(f64) -> bool,
    ) -> Result<Spoken, Error> {
        if let Some(language) = language {
            self.check(language)?;
        }
        let stretches = self.voice.stretches(samples)?;
        if stretches.is_empty() {
            return Ok(Spoken::default());
        }
        let language = match language {
            Some(language) => language.to_owned(),
            None => self.language(samples, &stretches)?,
        };
        let prompt = self.prompt(&language);
        let time = |sample: usize| MediaTime(offset.0 + time_of(sample).0);
        let spoken: Vec<_> = stretches.iter().map(|one| (time(one.start), time(one.end))).collect();
        let mut segments = Vec::new();
        let mut done = 0;
        while let Some(window) = window::next(&stretches, done, samples.len()) {
            if !goes_on(done as f64 / samples.len() as f64) {
                return Err(Error::Stopped);
            }
            let shown = window::shown(samples, &window, &stretches);
            let frames = shown.len().div_ceil(HOP);
            let encoded = self.encode(&shown)?;
            let ids = decode::tokens(&self.whisper, &self.vocabulary, &encoded, &prompt)?;
            let taken = window::take(&ids, &self.vocabulary, frames);
            for tokens in self.align(&encoded, &prompt, &taken.segments, frames, time(window.start))? {
                let mut words = words(&tokens, &self.vocabulary, spaced(&language));
                words.iter_mut().for_each(|word| settle(word, &spoken));
                join::add(&mut segments, words, spaced(&language));
            }
            done = (window.start + taken.frames * HOP).min(window.end);
            if speech(&stretches, &(done..window.end)) < LEFT_MAX {
                done = window.end;
            }
        }
        let language = (!segments.is_empty()).then_some(language);
        Ok(Spoken { language, segments })
    }

    /// Which language is spoken in this sound; nothing where nobody speaks.
    ///
    /// # Errors
    /// [`Error::Failed`].
    pub fn language_of(&self, samples: &[f32]) -> Result<Option<String>, Error> {
        let stretches = self.voice.stretches(samples)?;
        if stretches.is_empty() { Ok(None) } else { self.language(samples, &stretches).map(Some) }
    }

    fn check(&self, language: &str) -> Result<(), Error> {
        let known = if self.whisper.is_multilingual() {
            let mark = self.vocabulary.mark(&format!("<|{language}|>"));
            // Languages lie between these.
            let between =
                (self.vocabulary.mark("<|startoftranscript|>"), self.vocabulary.mark("<|translate|>"));
            mark > between.0 && mark < between.1
        } else {
            language == ENGLISH
        };
        if known { Ok(()) } else { Err(Error::Language(language.to_owned())) }
    }

    /// Which language is spoken, by the first half minute of nothing but speech.
    fn language(&self, samples: &[f32], stretches: &[Stretch]) -> Result<String, Error> {
        if !self.whisper.is_multilingual() {
            return Ok(ENGLISH.to_owned());
        }
        let spoken = stretches.iter().flat_map(|stretch| &samples[stretch.clone()]).copied();
        let spoken: Vec<f32> = spoken.take(FRAMES * HOP).collect();
        let told = self.whisper.detect_language(&self.encode(&spoken)?).map_err(failed)?;
        let best = told.first().and_then(|languages| languages.first());
        let best = best.ok_or_else(|| failed("no language was detected"))?;
        Ok(best.language.trim_matches(['<', '|', '>']).to_owned())
    }

    fn prompt(&self, language: &str) -> Vec<String> {
        let mut prompt = vec!["<|startoftranscript|>".to_owned()];
        if self.whisper.is_multilingual() {
            prompt.extend([format!("<|{language}|>"), "<|transcribe|>".to_owned()]);
        }
        prompt
    }

    fn encode(&self, samples: &[f32]) -> Result<StorageView<'static>, Error> {
        let mut frames = self.mel.frames(samples)?;
        let shape = [1, self.whisper.n_mels(), FRAMES];
        let view = StorageView::new(&shape, &mut frames, Device::CPU).map_err(failed)?;
        self.whisper.encode(&view, false).map_err(failed)
    }

    /// When each token is spoken, on the timeline that the window begins at.
    fn align(
        &self,
        encoded: &StorageView<'_>,
        prompt: &[String],
        segments: &[Vec<usize>],
        frames: usize,
        begins: MediaTime,
    ) -> Result<Vec<Vec<Timed>>, Error> {
        let text = segments.concat();
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let prompt: Vec<usize> = prompt.iter().filter_map(|mark| self.vocabulary.mark(mark)).collect();
        let told = self.whisper.align(encoded, &prompt, &[text], &[frames], SMOOTHED).map_err(failed)?;
        let told = told.first().ok_or_else(|| failed("no times were told"))?;
        // For each token the frames that it is spoken in, one after the other; behind the last one, the end.
        let mut starts: Vec<MediaTime> = Vec::new();
        for path in told.alignments.chunk_by(|one, next| one.token_x == next.token_x) {
            let frame = path.first().map_or(0, |first| first.frame_x) * FRAMES_A_STAMP as i64;
            starts.push(MediaTime(begins.0 + frame * 10_000));
        }
        let end = MediaTime(begins.0 + frames as i64 * 10_000);
        let start = |at: usize| starts.get(at).copied().unwrap_or(end);
        let confidence = |at: usize| told.text_token_probs.get(at).copied().unwrap_or(0.0).clamp(0.0, 1.0);
        let timed = |(at, id): (usize, &usize)| Timed {
            id: *id,
            start: start(at),
            end: start(at + 1).max(start(at)),
            confidence: confidence(at),
        };
        let mut before = 0;
        let segment = |ids: &Vec<usize>| {
            let tokens = ids.iter().enumerate().map(|(at, id)| timed((before + at, id))).collect();
            before += ids.len();
            tokens
        };
        Ok(segments.iter().map(segment).collect())
    }
}

/// Samples of speech within.
fn speech(stretches: &[Stretch], within: &Stretch) -> usize {
    let common =
        |stretch: &Stretch| stretch.end.min(within.end).saturating_sub(stretch.start.max(within.start));
    stretches.iter().map(common).sum()
}
