//! The sound of a span as speech is recognised in it: 16 kHz, mono, 16 bits.

use std::path::PathBuf;

use domain::quality::Format;

use super::{
    Cut, EngineError,
    audio::AudioPlan,
    execute::{Input, NO_EXTRAS, Progress, run, source},
    look::Looked,
};
use crate::ffmpeg::Tools;

/// Samples a second.
const RATE: u32 = 16_000;

/// Where in the file that [`heard`] makes the samples begin, in bytes.
pub const HEARD_AT: u64 = 44;

/// Bytes of a second of it.
pub const HEARD_BYTES_A_SECOND: u64 = 2 * RATE as u64;

/// Makes a WAV file of the cut's span: from its first sample, which is the span's start, to its last there is no gap, so
/// that a place in the file tells its time. What of the sound cannot be decoded is silent.
///
/// # Errors
/// [`EngineError`]; [`EngineError::source_message`] tells whether the source is the reason.
pub async fn heard(tools: &Tools, job: &Cut<'_>, progress: Progress<'_>) -> Result<PathBuf, EngineError> {
    let job = Cut { format: Format::Wav, ..*job };
    let looked = Looked::for_cut(tools, &job).await?;
    let plan = job.request(&looked.probe, &[]).plan()?;
    let audio = plan.audio.ok_or_else(|| EngineError::source("The source has no sound."))?;
    let at = |sample: i64| sample.saturating_mul(RATE.into()).div_euclid(audio.rate.max(1).into());
    let (from, to) = (at(audio.from), at(audio.to));
    let audio = AudioPlan { rate: RATE, channels: 1, bits: 16, from, to, ..audio };
    let out = job.out_dir.join("heard.wav");
    let args = audio.heard(source(Input { path: job.input, seek: None })).words(NO_EXTRAS).words("-ac 1");
    let args = audio.output(Format::Wav, args).file(&out);
    match run(tools, args, &plan, 0.0..1.0, progress).await {
        Ok(_) => Ok(out),
        Err(EngineError::Failed(why)) => {
            tracing::info!(why, "the sound cannot be decoded");
            Err(EngineError::source("The source's sound cannot be decoded."))
        }
        Err(error) => Err(error),
    }
}
