//! Requests, timed and counted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value as Json;
use ureq::Agent;

/// No answer within it is a failure.
const ANSWER_MAX: Duration = Duration::from_secs(120);
/// How often a request that is told to come again does.
const AGAIN_MAX: u32 = 20;

/// What was asked, by kind.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Asked {
    /// `POST /v1/clip`.
    pub(crate) accept: Answers,
    /// `GET /v1/clip/{job_id}`.
    pub(crate) read: Answers,
    /// The same with `wait`: it is meant to take long.
    pub(crate) wait: Answers,
}

/// The answers to one kind of request.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Answers {
    /// How many by status; 0 for none at all (a transport error).
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Milliseconds of those that were answered with what was asked for.
    #[serde(skip)]
    took_ms: Vec<f64>,
}

impl Answers {
    pub(crate) fn add(&mut self, took: Duration, status: u16) {
        *self.statuses.entry(status).or_default() += 1;
        if status == 200 {
            self.took_ms.push(took.as_secs_f64() * 1e3);
        }
    }

    /// The time within which this part of the requests was answered, in milliseconds; by the nearest rank.
    pub(crate) fn percentile(&self, part: f64) -> Option<f64> {
        let mut sorted = self.took_ms.clone();
        sorted.sort_by(f64::total_cmp);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let rank = (part * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.max(1) - 1).copied()
    }

    /// How many answers were faults of the service: 5xx, or none.
    pub(crate) fn faults(&self) -> u64 {
        self.statuses
            .iter()
            .filter(|(status, _)| **status == 0 || **status >= 500)
            .map(|(_, count)| count)
            .sum()
    }

    pub(crate) fn count(&self) -> u64 {
        self.statuses.values().sum()
    }
}

pub(crate) fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(ANSWER_MAX))
        .proxy(None)
        .build()
        .into()
}

/// One user's program.
pub(crate) struct Client {
    agent: Agent,
    base: String,
    bearer: String,
}

impl Client {
    pub(crate) fn new(base: &str, key: &str) -> Self {
        Self { agent: agent(), base: base.to_owned(), bearer: format!("Bearer {key}") }
    }

    /// Sends a request, and again when it is told to (429, `Retry-After`); `note` gets each answer's time and status. `None`
    /// if it is refused otherwise.
    pub(crate) fn ask(
        &mut self,
        path: &str,
        body: Option<&Json>,
        mut note: impl FnMut(Duration, u16),
    ) -> Option<Json> {
        for _ in 0..AGAIN_MAX {
            let url = format!("{}{path}", self.base);
            let begun = Instant::now();
            let answer = match body {
                Some(body) => self.agent.post(url).header("authorization", &self.bearer).send_json(body),
                None => self.agent.get(url).header("authorization", &self.bearer).call(),
            };
            let (status, wait, json) = match answer {
                Ok(mut answer) => {
                    let wait = answer
                        .headers()
                        .get("retry-after")
                        .and_then(|value| value.to_str().ok()?.parse().ok());
                    (answer.status().as_u16(), wait, answer.body_mut().read_json::<Json>())
                }
                Err(problem) => (0, None, Err(problem)),
            };
            // An answer that broke off is none.
            let status = if json.is_ok() { status } else { 0 };
            note(begun.elapsed(), status);
            match (status, json) {
                (429, _) => std::thread::sleep(Duration::from_secs(wait.unwrap_or(1))),
                (200, Ok(json)) => return Some(json),
                _ => return None,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_answers_and_faults_are_counted() {
        let mut answers = Answers::default();
        for took in 1..=100 {
            answers.add(Duration::from_millis(took), 200);
        }
        answers.add(Duration::from_secs(9), 503);
        answers.add(Duration::from_secs(9), 0);
        answers.add(Duration::from_secs(9), 429);
        assert_eq!(
            (answers.percentile(0.5), answers.percentile(0.99), answers.percentile(1.0)),
            (Some(50.0), Some(99.0), Some(100.0))
        );
        assert_eq!((answers.faults(), answers.count()), (2, 103));
        assert_eq!(Answers::default().percentile(0.5), None);
    }
}
