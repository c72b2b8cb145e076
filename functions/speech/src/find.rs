//! Find: the moments in kept words that a sentence asks for.

use std::sync::Arc;

use domain::{
    cut::Span,
    job::{Failure, Status},
    moments::{Confidence, Found, Moment, Search, Snap},
};
use look::words::{FindAnswer, FindRequest, RECOGNISED, sought};
use moments::{Ask, Kept, Model, Transcript};
use runtime::{App, StageError, Var, progress::open_job};
use serde_json::{Value, json};
use store::keys;
use tracing::{info, warn};

use crate::{
    large,
    models::{finder, passing},
};

/// Writes down what the words `{words}` have of what job `{job_id}` looks for; or finds what a [`FindRequest`] asks for, and
/// answers a [`FindAnswer`]. A repeat finds the same.
///
/// # Errors
/// [`StageError::Ended`] if the job has ended, [`StageError::Passing`].
pub async fn handle(app: Arc<App>, input: Value) -> Result<Value, StageError> {
    if input.get("job_id").is_none() {
        let FindRequest { words, search } = serde_json::from_value(input).map_err(passing)?;
        let answer = match find(&app, &words, search).await {
            Ok(found) => FindAnswer::Found(found),
            Err(StageError::Job(failure)) => FindAnswer::Failure(failure),
            Err(error) => return Err(error),
        };
        return serde_json::to_value(answer).map_err(passing);
    }
    let job = open_job(&app, &input).await?;
    let words =
        input.get("words").and_then(Value::as_str).ok_or_else(|| passing("the input names no words"))?;
    let table = app.table()?;
    let spec = sought(&job).ok_or_else(|| passing("this job looks for nothing"))?;
    let status = Status::Analyzing;
    let progress = status.progress_through(job.analyzes_through(), RECOGNISED);
    if !table.advance(&job.id, status, progress, app.now()).await? {
        return Err(StageError::Ended);
    }
    // Captions may go on behind the last picture.
    let found = find(&app, words, spec.search.clone()).await?.bounded(&spec.search, job.source.duration);
    if table.set_found(&job.id, &found).await? {
        Ok(json!({ "job_id": job.id }))
    } else {
        Err(StageError::Ended)
    }
}

async fn find(app: &App, words: &str, search: Search) -> Result<Found, StageError> {
    let objects = app.objects()?;
    let transcript: Transcript = serde_json::from_slice(&objects.get_bytes(words).await?).map_err(passing)?;
    // Loading and comparing take processor time: what reports meanwhile must not wait for it.
    let model = tokio::task::spawn_blocking(finder).await.map_err(passing)??;
    let named = app.config().get(Var::MomentsModel)?;
    if !named.is_empty()
        && let Some(found) = by_large_model(app, named, (model, &transcript), &search).await?
    {
        return Ok(found);
    }
    let vectors = keys::vectors_object(words, &model.name());
    // Of what is not there S3 says no more than that we may not read it.
    let kept = objects.get_bytes(&vectors).await.ok().and_then(|bytes| Kept::from_bytes(&bytes).ok());
    let work = move || look_through(model, &transcript, kept, &search);
    let (found, made) = tokio::task::spawn_blocking(work).await.map_err(passing)??;
    info!(moments = found.moments.len(), kept = made.is_none(), "looked through the words");
    if let Some(made) = made {
        objects.put_bytes(&vectors, made.to_bytes(), "application/octet-stream").await?;
    }
    Ok(found)
}

/// What the large model `named` finds; `None` if it is of no use.
async fn by_large_model(
    app: &App,
    named: &str,
    (model, transcript): (&Model, &Transcript),
    search: &Search,
) -> Result<Option<Found>, StageError> {
    let lines = moments::numbered(transcript).map_err(told)?;
    let places = match large::ask(app, named, &lines, search).await {
        Ok(places) => places,
        Err(why) => {
            warn!(model = named, %why, "the large model is of no use: the built-in finder answers");
            return Ok(None);
        }
    };
    let found = moments::pointed(model, transcript, &places, &ask(search)).map_err(told)?;
    info!(moments = found.moments.len(), model = named, "a large model looked through the words");
    Ok(Some(answer(found).bounded(search, transcript.duration)))
}

/// What was found; and the vectors, if they had to be made.
fn look_through(
    model: &Model,
    transcript: &Transcript,
    kept: Option<Kept>,
    search: &Search,
) -> Result<(Found, Option<Kept>), StageError> {
    let kept = kept.filter(|kept| kept.belongs_to(model, transcript));
    let made = match &kept {
        Some(_) => None,
        None => Some(moments::prepare(model, transcript).map_err(told)?),
    };
    let Some(vectors) = kept.as_ref().or(made.as_ref()) else { return Err(passing("there are no vectors")) };
    let found = moments::find(model, transcript, vectors, &ask(search)).map_err(told)?;
    Ok((answer(found).bounded(search, transcript.duration), made))
}

fn ask(search: &Search) -> Ask {
    Ask {
        query: search.query.clone(),
        segments_max: search.segments_max,
        shortest: search.shortest,
        longest: Some(search.longest),
        snap: match search.snap {
            Snap::Words => moments::Snap::Words,
            Snap::Sentences => moments::Snap::Sentences,
            Snap::None => moments::Snap::None,
        },
        pad: search.pad,
        explain: search.explain,
        alternates: search.alternates,
    }
}

fn answer(found: moments::Found) -> Found {
    let all = |moments: Vec<moments::Moment>| moments.into_iter().map(moment).collect();
    Found { moments: all(found.moments), alternates: all(found.alternates), left: 0 }
}

fn moment(moment: moments::Moment) -> Moment {
    let moments::Moment { start, end, excerpt, confidence, why } = moment;
    // In hundredths: more figures would claim more than is known.
    let share = |share: f32| (f64::from(share) * 100.0).round() / 100.0;
    let why = why.map(|why| {
        json!({
            "words": why.words,
            "sentences": why.sentences,
            "scores": { "meaning": why.meaning.map(share), "words": share(why.cover), "present": share(why.present) },
        })
    });
    Moment { span: Span { start, end }, excerpt, confidence: Confidence::of(f64::from(confidence)), why }
}

/// Words that are too many are the source's fault.
fn told(error: moments::Error) -> StageError {
    match error {
        moments::Error::TooLarge { .. } => {
            let message = format!("What is said in the source cannot be looked through: {error}.");
            StageError::Job(Failure { code: "source_too_long".to_owned(), message })
        }
        error => passing(error),
    }
}

#[cfg(test)]
mod tests {
    use domain::time::MediaTime;
    use look::words::Words;
    use sources::captions::Segment;

    use super::*;

    #[test]
    fn kept_words_are_what_the_finder_reads() {
        let segment = Segment { start: MediaTime(1), end: MediaTime(2), text: "Hi.".to_owned() };
        let segments = vec![segment.into()];
        let words = Words { language: Some("en".to_owned()), duration: MediaTime(9), heard: false, segments };
        let read: Transcript = serde_json::from_str(&serde_json::to_string(&words).unwrap()).unwrap();
        let segment = moments::Segment {
            start: MediaTime(1),
            end: MediaTime(2),
            text: "Hi.".to_owned(),
            words: Vec::new(),
        };
        let wanted =
            Transcript { language: Some("en".to_owned()), duration: MediaTime(9), segments: vec![segment] };
        assert_eq!(read, wanted);
    }

    #[test]
    fn why_a_moment_was_chosen_is_told_in_the_apis_words() {
        let why = moments::Why {
            words: vec!["bees".to_owned()],
            sentences: vec!["Bees sleep.".to_owned()],
            meaning: Some(0.512_34),
            cover: 1.0,
            present: 0.9,
        };
        let chosen = moments::Moment {
            start: MediaTime(1),
            end: MediaTime(2),
            excerpt: "Bees sleep.".to_owned(),
            confidence: 0.75,
            why: Some(why),
        };
        let told = moment(chosen);
        assert_eq!(told.confidence, Confidence::of(0.75));
        let scores = json!({ "meaning": 0.51, "words": 1.0, "present": 0.9 });
        assert_eq!(
            told.why,
            Some(json!({ "words": ["bees"], "sentences": ["Bees sleep."], "scores": scores }))
        );
    }
}
