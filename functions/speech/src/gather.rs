//! Gather: what was heard in all pieces, as the words of the source, which are kept like captions.

use std::sync::Arc;

use domain::{job::Status, time::MediaTime};
use look::words::{RECOGNISED, Said, SaidWord, Words};
use runtime::{
    App, StageError,
    progress::{open_job, reporting_through},
};
use serde_json::{Value, json};
use speech::{Segment, Spoken, Word, join};
use tracing::info;

use crate::{divide::no_speech, models::passing, sound::spoken_object};

/// Keeps what the pieces of job `{job_id}` say as the object `{words}`, and hands on `{job_id, words}`. A repeat keeps the
/// same.
///
/// # Errors
/// [`StageError::Job`] if nothing is said, [`StageError::Ended`], [`StageError::Passing`].
pub async fn handle(app: Arc<App>, input: Value) -> Result<Value, StageError> {
    let job = open_job(&app, &input).await?;
    let key = input["words"].as_str().ok_or_else(|| passing("the input names no words"))?;
    let count = input["pieces"].as_array().map_or(0, Vec::len);
    let gather = async {
        let objects = app.objects()?;
        let mut pieces: Vec<Spoken> = Vec::with_capacity(count);
        for number in 0..count {
            let bytes = objects.get_bytes(&spoken_object(&job.id, number)).await?;
            pieces.push(serde_json::from_slice(&bytes).map_err(passing)?);
        }
        let words = words(join(pieces), job.source.duration);
        if words.segments.is_empty() {
            return Err(StageError::Job(no_speech()));
        }
        info!(segments = words.segments.len(), language = words.language, "recognised");
        let bytes = serde_json::to_vec(&words).map_err(passing)?;
        Ok(objects.put_bytes(key, bytes, "application/json").await?)
    };
    let (status, last) = (Status::Analyzing, job.analyzes_through());
    reporting_through(&app, &job.id, status, last, || RECOGNISED, gather).await?;
    Ok(json!({ "job_id": job.id, "words": key }))
}

fn words(spoken: Spoken, duration: MediaTime) -> Words {
    let word = |Word { start, end, text, confidence }| SaidWord { start, end, text, confidence };
    let said = |segment: Segment| Said {
        start: segment.start,
        end: segment.end,
        text: segment.text,
        words: segment.words.into_iter().map(word).collect(),
        confidence: Some(segment.confidence),
    };
    let segments = spoken.segments.into_iter().map(said).collect();
    Words { language: spoken.language, duration, heard: true, segments }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_were_heard_are_what_the_finder_reads() {
        let word = |start, text: &str| Word {
            start: MediaTime(start),
            end: MediaTime(start + 1),
            text: text.to_owned(),
            confidence: 0.5,
        };
        let segment = Segment {
            start: MediaTime(1),
            end: MediaTime(4),
            text: "Hi there.".to_owned(),
            words: vec![word(1, "Hi"), word(3, "there.")],
            confidence: 0.5,
        };
        let spoken = Spoken { language: Some("en".to_owned()), segments: vec![segment] };
        let kept = serde_json::to_string(&words(spoken, MediaTime(9))).unwrap();
        let read: moments::Transcript = serde_json::from_str(&kept).unwrap();
        assert_eq!((read.language.as_deref(), read.duration), (Some("en"), MediaTime(9)));
        let [segment] = &read.segments[..] else { panic!("{read:?}") };
        assert_eq!(segment.words[1].start, MediaTime(3));
        assert!(serde_json::from_str::<Words>(&kept).unwrap().heard);
    }
}
