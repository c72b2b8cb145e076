//! `--timings`: where a job's time went, from its execution's history.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use serde_json::{Value as Json, json};

use crate::http;

/// What the client saw itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marks {
    /// The request left.
    pub(crate) posted: SystemTime,
    /// The job was accepted.
    pub(crate) answered: SystemTime,
    /// The download link was there.
    pub(crate) linked: SystemTime,
}

/// States whose tasks are the media work itself; everything else is overhead.
const MEDIA: [&str; 3] = ["Download", "Process", "Upload"];
/// Bound on pages of history; a clip has a few dozen events.
const PAGES_MAX: usize = 20;

/// One state's part in the execution, in seconds since the epoch.
#[derive(Debug, Clone, PartialEq)]
struct State {
    name: String,
    entered: f64,
    exited: f64,
    /// All its task attempts together; attempts at the same time, as in a Map, count each.
    task: f64,
}

/// The table for one job.
pub(crate) fn table(info: &Json, job: &str, marks: &Marks) -> anyhow::Result<String> {
    let machines = info["state_machines"].as_object().context("the local cloud has no state machine")?;
    let machine =
        machines.values().next().and_then(Json::as_str).context("the local cloud has no state machine")?;
    let execution = format!("{}:{job}", machine.replace(":stateMachine:", ":execution:"));
    let url = info["ministack_url"].as_str().context("the local cloud has no Step Functions")?;
    let described = states(url, "DescribeExecution", &json!({ "executionArn": execution }))?;
    let started = described["startDate"].as_f64().context("the execution has not started")?;
    let stopped = described["stopDate"].as_f64();
    Ok(render(marks, started, stopped, &parts(&history(url, &execution)?)))
}

/// Every event, over all pages.
fn history(url: &str, execution: &str) -> anyhow::Result<Vec<Json>> {
    let mut events = Vec::new();
    let mut body = json!({ "executionArn": execution, "maxResults": 1000 });
    for _ in 0..PAGES_MAX {
        let page = states(url, "GetExecutionHistory", &body)?;
        events.extend(page["events"].as_array().cloned().unwrap_or_default());
        match page["nextToken"].as_str() {
            Some(token) => body["nextToken"] = json!(token),
            None => return Ok(events),
        }
    }
    bail!("the execution's history has no end")
}

/// One call to Step Functions. The local one checks no signature, but reads the service from it.
fn states(url: &str, action: &str, body: &Json) -> anyhow::Result<Json> {
    let mut answer = http::agent(Duration::from_secs(10))
        .post(url)
        .header("x-amz-target", format!("AWSStepFunctions.{action}"))
        .header("content-type", "application/x-amz-json-1.0")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/states/aws4_request, SignedHeaders=host, Signature=0",
        )
        .send(body.to_string())?;
    let text = answer.body_mut().read_to_string()?;
    if !answer.status().is_success() {
        bail!("{action}: {text}");
    }
    Ok(serde_json::from_str(&text)?)
}

/// Sums the history up by top-level state, in the order of entering; what runs inside a Map is the Map's.
///
/// ministack leaves out `previousEventId`, so an ended task is paired with the oldest open one. Where several
/// run side by side that mixes them up within their state, which changes no sum.
fn parts(events: &[Json]) -> Vec<State> {
    let mut states: Vec<State> = Vec::new();
    let mut open: VecDeque<f64> = VecDeque::new();
    let (mut current, mut container) = (None, None);
    for event in events {
        let (Some(time), Some(kind)) = (event["timestamp"].as_f64(), event["type"].as_str()) else {
            continue;
        };
        if let Some(name) = event["stateEnteredEventDetails"]["name"].as_str().filter(|_| container.is_none())
        {
            current = Some(states.len());
            states.push(State { name: name.to_owned(), entered: time, exited: time, task: 0.0 });
            if matches!(kind, "MapStateEntered" | "ParallelStateEntered") {
                container = current;
            }
        }
        let Some(state) = current.and_then(|index: usize| states.get_mut(index)) else { continue };
        match kind {
            "TaskScheduled" => open.push_back(time),
            "TaskSucceeded" | "TaskFailed" | "TaskTimedOut" => {
                state.task += time - open.pop_front().unwrap_or(time);
            }
            "MapStateExited" | "ParallelStateExited" => container = None,
            _ => {}
        }
        // The events that end the execution come after the last state.
        if !kind.starts_with("Execution") {
            state.exited = time;
        }
    }
    states
}

fn render(marks: &Marks, started: f64, stopped: Option<f64>, states: &[State]) -> String {
    let [posted, answered, linked] = [marks.posted, marks.answered, marks.linked].map(epoch);
    let mut text = format!("\n{:<28}{:>9}{:>9}{:>9}\n", "", "waited", "state", "task");
    let mut row = |name: &str, waited: Option<f64>, state: Option<f64>, task: Option<f64>| {
        let cell = |seconds: Option<f64>| seconds.map(|seconds| format!("{seconds:.3}")).unwrap_or_default();
        let _ = writeln!(text, "{name:<28}{:>9}{:>9}{:>9}", cell(waited), cell(state), cell(task));
    };
    row("accept (POST round trip)", None, None, Some(answered - posted));
    row("execution started after", Some(started - posted), None, None);
    let mut before = started;
    for State { name, entered, exited, task } in states {
        row(name, Some(entered - before), Some(exited - entered), Some(*task));
        before = *exited;
    }
    row("publish (end to the link)", stopped.map(|stopped| linked - stopped), None, None);
    let total = linked - posted;
    // A Map's tasks run side by side: its wall time is what the client waited for.
    let media: f64 = states
        .iter()
        .filter(|state| MEDIA.contains(&state.name.as_str()))
        .map(|state| state.task.min(state.exited - state.entered))
        .sum();
    row("total", None, Some(total), None);
    row("not media work", None, Some(total - media), None);
    text
}

fn epoch(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_told_from_waiting() {
        let entered = |time: f64, kind: &str, name: &str| json!({"timestamp": time, "type": kind, "stateEnteredEventDetails": {"name": name}});
        let event = |time: f64, kind: &str| json!({"timestamp": time, "type": kind});
        let states = parts(&[
            event(10.0, "ExecutionStarted"),
            entered(10.5, "TaskStateEntered", "Reserve"),
            event(10.5, "TaskScheduled"),
            event(10.75, "TaskFailed"),
            event(11.75, "TaskScheduled"),
            event(12.0, "TaskSucceeded"),
            event(12.0, "TaskStateExited"),
            entered(12.5, "MapStateEntered", "Process"),
            entered(12.5, "TaskStateEntered", "Encode"),
            event(12.5, "TaskScheduled"),
            entered(12.5, "TaskStateEntered", "Encode"),
            event(12.75, "TaskScheduled"),
            event(13.0, "TaskSucceeded"),
            event(14.0, "TaskSucceeded"),
            event(14.0, "MapStateExited"),
            event(15.0, "ExecutionSucceeded"),
        ]);
        let state = |name: &str, entered: f64, exited: f64, task: f64| State {
            name: name.to_owned(),
            entered,
            exited,
            task,
        };
        assert_eq!(states, [state("Reserve", 10.5, 12.0, 0.5), state("Process", 12.5, 14.0, 1.75)]);
    }
}
