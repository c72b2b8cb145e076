//! Divide: where in the sound somebody speaks, in pieces that are listened to side by side.
//!
//! Of several pieces the language is told here, once, so that all are taken for the same; the only one tells its own.

use std::sync::Arc;

use domain::{
    job::{Failure, Status},
    language,
};
use look::words::{DIVIDED, HEARD, sought};
use runtime::{
    App, StageError,
    progress::{Fraction, open_job, reporting_through},
};
use serde_json::{Value, json};
use speech::{Piece, SAMPLE_RATE_HZ, SpeechModel};
use tracing::info;

use crate::{
    models::{chosen, passing, recogniser, voice},
    sound::{Part, Sound},
};

/// How much of the sound is held at once: 5 minutes.
const SAMPLES_AT_ONCE: u64 = 300 * SAMPLE_RATE_HZ as u64;

/// Hands on `{job_id, words, sound, pieces, language}`.
///
/// # Errors
/// [`StageError::Job`] if nobody speaks, or in a language that nobody here knows; [`StageError::Ended`],
/// [`StageError::Passing`].
pub async fn handle(app: Arc<App>, input: Value) -> Result<Value, StageError> {
    let job = open_job(&app, &input).await?;
    let sound: Sound = serde_json::from_value(input["sound"].clone()).map_err(passing)?;
    let spec = sought(&job).ok_or_else(|| passing("this job looks for nothing"))?;
    let asked = spec.language.as_deref().and_then(language::spoken);
    let model = chosen(&app)?;
    if let Some(asked) = asked.filter(|asked| !model.knows(asked)) {
        return Err(StageError::Job(unknown(asked)));
    }
    let done = Fraction::default();
    let fraction = || HEARD + (DIVIDED - HEARD) * done.get();
    let (status, last) = (Status::Analyzing, job.analyzes_through());
    let work = divide(&app, &sound, (model, asked), &done);
    let (pieces, language) = reporting_through(&app, &job.id, status, last, fraction, work).await?;
    info!(pieces = pieces.len(), language, "divided the sound");
    let of = pieces.len();
    let parts: Vec<Part> =
        pieces.into_iter().enumerate().map(|(number, piece)| Part { number, of, piece }).collect();
    let (words, sound) = (&input["words"], &input["sound"]);
    Ok(json!({ "job_id": job.id, "words": words, "sound": sound, "pieces": parts, "language": language }))
}

async fn divide(
    app: &App,
    sound: &Sound,
    (model, asked): (SpeechModel, Option<&str>),
    done: &Fraction,
) -> Result<(Vec<Piece>, Option<String>), StageError> {
    let (objects, all) = (app.objects()?, sound.samples());
    let mut listening = blocking(|| voice().map(speech::Voice::listen)).await?;
    let mut at = 0;
    while at < all {
        let samples = sound.read(objects, at, SAMPLES_AT_ONCE).await?;
        at += samples.len() as u64;
        listening = blocking(move || {
            listening.hear(&samples).map_err(passing)?;
            Ok(listening)
        })
        .await?;
        done.set(share(at, all));
    }
    let pieces = blocking(move || listening.pieces().map_err(passing)).await?;
    let language = match (asked, pieces.as_slice()) {
        (_, []) => return Err(StageError::Job(no_speech())),
        (Some(asked), _) => Some(asked.to_owned()),
        (None, [_]) => None,
        // What comes first may be an announcement or a song.
        (None, several) => match several.get(several.len() / 2) {
            Some(piece) => {
                let samples = sound.piece(objects, piece).await?;
                blocking(move || recogniser(model)?.language_of(&samples).map_err(passing)).await?
            }
            None => None,
        },
    };
    Ok((pieces, language))
}

#[allow(clippy::cast_precision_loss)] // for a progress bar
fn share(part: u64, all: u64) -> f64 {
    part as f64 / all.max(1) as f64
}

/// What takes processor time, apart from what reports meanwhile.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StageError> + Send + 'static,
) -> Result<T, StageError> {
    tokio::task::spawn_blocking(work).await.map_err(passing)?
}

/// Why there is nothing to look through.
pub(crate) fn no_speech() -> Failure {
    let message = "There is nothing to look through: this video has no captions, and nobody speaks in it. Choose a source in \
                   which somebody speaks. You were not charged.";
    Failure { code: "no_speech".to_owned(), message: message.to_owned() }
}

fn unknown(language: &str) -> Failure {
    let message = format!(
        "This video has no captions in `{language}`, and here only English speech is understood. Leave `language` out to \
         take captions in any language. You were not charged."
    );
    Failure { code: "language_unsupported".to_owned(), message }
}
