//! A large model for the local cloud: the part of Amazon Bedrock's Converse API that is used. Its only skill is to count
//! words, and what it is asked says how it behaves, so that tests see it refuse, be busy and talk nonsense.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

/// Where the front door has it; the SDK puts `/model/{id}/converse` behind this.
pub(crate) const PREFIX: &str = "/_local/bedrock";
/// How sure it always is.
const CONFIDENCE: f64 = 0.77;

/// Answers `POST /model/{model}/converse`.
pub(crate) async fn converse(Path(model): Path<String>, Json(request): Json<Value>) -> Response {
    let question = request["messages"][0]["content"][0]["text"].as_str().unwrap_or_default();
    let (transcript, query) = question.rsplit_once("Look for: ").unwrap_or((question, ""));
    let asked = words(query);
    if asked.contains("throttle") {
        let error = [("x-amzn-errortype", "ThrottlingException")];
        let body = Json(json!({ "message": "Too many requests, please wait before trying again." }));
        return (StatusCode::TOO_MANY_REQUESTS, error, body).into_response();
    }
    let (text, stop) = if asked.contains("refuse") {
        ("I cannot help with that.".to_owned(), "content_filtered")
    } else if asked.contains("babble") {
        (format!("Certainly! As {model} I love questions about {query}."), "end_turn")
    } else if asked.contains("miscount") {
        (json!({ "moments": [{ "from": 0, "to": 1_000_000 }] }).to_string(), "end_turn")
    } else {
        (json!({ "moments": best(transcript, &asked) }).to_string(), "end_turn")
    };
    let message = json!({ "role": "assistant", "content": [{ "text": text }] });
    Json(json!({
        "output": { "message": message },
        "stopReason": stop,
        "usage": { "inputTokens": 1, "outputTokens": 1, "totalTokens": 2 },
        "metrics": { "latencyMs": 1 },
    }))
    .into_response()
}

/// The numbered line that has most of the words, if any has one.
fn best(transcript: &str, asked: &BTreeSet<String>) -> Vec<Value> {
    let numbered = transcript.lines().filter_map(|line| {
        let (number, text) = line.split_once(' ')?;
        Some((words(text).intersection(asked).count(), std::cmp::Reverse(number.parse::<usize>().ok()?)))
    });
    let best = numbered.filter(|(shared, _)| *shared > 0).max();
    let place = |(_, std::cmp::Reverse(line))| json!({ "from": line, "to": line, "confidence": CONFIDENCE });
    best.map(place).into_iter().collect()
}

fn words(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| word.len() > 3);
    words.map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_with_most_of_the_words_is_the_best_one() {
        let transcript =
            "<transcript>\n[0:00:00]\n0 All about gardens.\n1 Bees sleep in gardens.\n</transcript>";
        let best = |query: &str| super::best(transcript, &words(query));
        assert_eq!(
            best("sleeping? bees sleep in gardens"),
            [json!({ "from": 1, "to": 1, "confidence": 0.77 })]
        );
        assert_eq!(best("Gardens"), [json!({ "from": 0, "to": 0, "confidence": 0.77 })]);
        assert_eq!(best("zebras"), Vec::<Value>::new());
    }
}
