//! A clip through the whole local stack, by its HTTP API alone.

use std::fs::File;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value as Json, json};
use ureq::Agent;

use crate::corpus::Case;
use crate::methods::Job;

/// A job that takes longer has a problem.
const JOB_MAX: Duration = Duration::from_secs(10 * 60);
/// How long the service may hold one status request open, in seconds.
const WAIT_S: u64 = 20;

/// A running local cloud and an account's key.
#[derive(Debug)]
pub(crate) struct Cloud {
    pub(crate) base_url: String,
    pub(crate) key: String,
}

impl Cloud {
    /// Makes the clip and fetches it; returns the seconds from the request to `complete`.
    pub(crate) fn clip(&self, job: &Job<'_>) -> anyhow::Result<f64> {
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(JOB_MAX))
            .proxy(None)
            .build()
            .into();
        let Case { start, end, .. } = job.case;
        let body = json!({ "url": job.url, "start": start, "end": end, "quality": job.case.quality() });
        let begun = Instant::now();
        let accepted = self.call(&agent, "/v1/clip", Some(&body))?;
        let id = accepted["job_id"].as_str().context("the service answered without a job id")?;
        let path = format!("/v1/clip/{id}?wait={WAIT_S}");
        while begun.elapsed() < JOB_MAX {
            let state = self.call(&agent, &path, None)?;
            match state["status"].as_str().unwrap_or_default() {
                "complete" => {
                    let wall_s = begun.elapsed().as_secs_f64();
                    let link = state["download_url"].as_str().context("the job has no download link")?;
                    let mut answer = agent.get(link).call()?;
                    std::io::copy(&mut answer.body_mut().as_reader(), &mut File::create(job.out)?)?;
                    return Ok(wall_s);
                }
                "failed" | "cancelled" => {
                    bail!("{}", state["error"].as_str().unwrap_or("the job ended without a clip"))
                }
                _ => {}
            }
        }
        bail!("the job did not end within {} minutes", JOB_MAX.as_secs() / 60)
    }

    fn call(&self, agent: &Agent, path: &str, body: Option<&Json>) -> anyhow::Result<Json> {
        let (url, bearer) = (format!("{}{path}", self.base_url), format!("Bearer {}", self.key));
        let mut answer = match body {
            Some(body) => agent.post(url).header("authorization", &bearer).send_json(body)?,
            None => agent.get(url).header("authorization", &bearer).call()?,
        };
        let json: Json = answer.body_mut().read_json().unwrap_or_default();
        if !answer.status().is_success() {
            bail!(
                "{} ({})",
                json["detail"].as_str().unwrap_or("the service refused the request"),
                answer.status()
            );
        }
        Ok(json)
    }
}
