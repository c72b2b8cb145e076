//! State machines, made from sources that say once what holds for every state.
//!
//! Amazon's language has no defaults: each task carries its own `Retry`, each state its own `Catch`. A source has them at
//! its top. Every task gets the retries `Verdict` (a stage's last word), `Busy` (Lambda turns calls away) and `Passing`
//! (anything else), the last one changed by the task's own `Passing`; every state that can fail gets `Catch`, except the
//! one that it leads to, whose work is done whatever the verdict was. The states within a Map get one only if its
//! `ItemProcessor` has its own; else what fails there fails the Map.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use serde_json::{Map, Value, json};

use crate::File;

/// Where sources and machines lie in the checkout.
const FOLDER: &str = "infra/statemachines";

/// The machines of the checkout at `root`, one for each source.
///
/// # Errors
/// When a source cannot be read, or lacks something.
pub fn files(root: &Path) -> anyhow::Result<Vec<File>> {
    let mut files = Vec::new();
    for file in std::fs::read_dir(root.join(FOLDER)).context("cannot list the state machines")? {
        let path = file?.path();
        let name =
            path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".json"));
        let Some(name) = name.filter(|name| !name.ends_with(".asl")) else { continue };
        let text = machine(&std::fs::read_to_string(&path)?)
            .map_err(|problem| anyhow!("{}: {problem}", path.display()))?;
        files.push(File { path: Path::new(FOLDER).join(format!("{name}.asl.json")), text });
    }
    Ok(files)
}

/// The machine that `source` describes, as JSON text.
///
/// # Errors
/// What the source lacks.
pub fn machine(source: &str) -> Result<String, String> {
    let mut machine: Map<String, Value> = serde_json::from_str(source).map_err(|error| error.to_string())?;
    let mut take = |name: &str| machine.remove(name).ok_or_else(|| format!("the source has no `{name}`"));
    let (retry, catch) = (take("Retry")?, take("Catch")?);
    let states =
        machine.get_mut("States").and_then(Value::as_object_mut).ok_or("the source has no states")?;
    Defaults { retry, lasts: Vec::new() }.within(states, Some(&catch))?;
    Ok(serde_json::to_string_pretty(&machine).map_err(|error| error.to_string())? + "\n")
}

fn can_fail(state: &Value) -> bool {
    matches!(state["Type"].as_str(), Some("Task" | "Map" | "Parallel"))
}

struct Defaults {
    retry: Value,
    /// The states that whatever fails leads to.
    lasts: Vec<String>,
}

impl Defaults {
    /// Gives the states of a machine, or of a Map, their retries and, if there is one, their catch.
    fn within(&mut self, states: &mut Map<String, Value>, catch: Option<&Value>) -> Result<(), String> {
        let last = catch.map(|catch| catch[0]["Next"].as_str().ok_or("`Catch` leads nowhere")).transpose()?;
        self.lasts.extend(last.map(str::to_owned));
        for (name, state) in states {
            self.complete(name, state)?;
            if let Some(catch) = catch.filter(|_| Some(name.as_str()) != last && can_fail(state)) {
                state["Catch"] = catch.clone();
            }
        }
        Ok(())
    }

    /// Gives a state, and those within it, their retries.
    fn complete(&mut self, name: &str, state: &mut Value) -> Result<(), String> {
        if let Some(inner) = state.get_mut("ItemProcessor").and_then(Value::as_object_mut) {
            let catch = inner.remove("Catch");
            if let Some(states) = inner.get_mut("States").and_then(Value::as_object_mut) {
                self.within(states, catch.as_ref())?;
            }
        }
        for branch in state.get_mut("Branches").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(states) = branch.get_mut("States").and_then(Value::as_object_mut) {
                self.within(states, None)?;
            }
        }
        if state["Type"] != "Task" {
            return Ok(());
        }
        let mut passing = self.part("Passing")?;
        let own = state.as_object_mut().and_then(|state| state.remove("Passing"));
        for (word, value) in own.as_ref().and_then(Value::as_object).into_iter().flatten() {
            passing[word] = value.clone();
        }
        let verdict =
            if self.lasts.iter().any(|last| last == name) { None } else { Some(self.part("Verdict")?) };
        let retry: Vec<Value> = verdict.into_iter().chain([self.part("Busy")?, passing]).collect();
        state["Retry"] = json!(retry);
        Ok(())
    }

    fn part(&self, name: &str) -> Result<Value, String> {
        self.retry.get(name).cloned().ok_or_else(|| format!("`Retry` has no `{name}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_gets_what_holds_for_all() {
        let source = json!({
            "Retry": { "Verdict": { "MaxAttempts": 0 }, "Busy": { "MaxAttempts": 20 }, "Passing": { "MaxAttempts": 2, "BackoffRate": 2 } },
            "Catch": [{ "Next": "Release" }],
            "States": {
                "Reserve": { "Type": "Task", "Passing": { "MaxAttempts": 4 } },
                "Each": { "Type": "Map", "ItemProcessor": { "States": { "One": { "Type": "Task" } } } },
                "Several": { "Type": "Map", "ItemProcessor": { "Catch": [{ "Next": "Lose" }], "States": { "Two": { "Type": "Task" }, "Lose": { "Type": "Task" } } } },
                "Both": { "Type": "Parallel", "Branches": [{ "States": { "Left": { "Type": "Task" } } }] },
                "Which": { "Type": "Choice" },
                "Release": { "Type": "Task" },
            },
        });
        let machine: Value = serde_json::from_str(&machine(&source.to_string()).unwrap()).unwrap();
        let verdict = json!({ "MaxAttempts": 0 });
        let (busy, passing) = (json!({ "MaxAttempts": 20 }), json!({ "MaxAttempts": 2, "BackoffRate": 2 }));
        let catch = json!([{ "Next": "Release" }]);
        let usual = json!([verdict, busy, passing]);
        let own = json!([verdict, busy, { "MaxAttempts": 4, "BackoffRate": 2 }]);
        let states = json!({
            "Reserve": { "Type": "Task", "Retry": own, "Catch": catch },
            "Each": { "Type": "Map", "Catch": catch, "ItemProcessor": { "States": { "One": { "Type": "Task", "Retry": usual } } } },
            "Several": { "Type": "Map", "Catch": catch, "ItemProcessor": { "States": {
                "Two": { "Type": "Task", "Retry": usual, "Catch": [{ "Next": "Lose" }] },
                "Lose": { "Type": "Task", "Retry": [busy, passing] },
            } } },
            "Both": { "Type": "Parallel", "Catch": catch, "Branches": [{ "States": { "Left": { "Type": "Task", "Retry": usual } } }] },
            "Which": { "Type": "Choice" },
            "Release": { "Type": "Task", "Retry": [busy, passing] },
        });
        assert_eq!(machine, json!({ "States": states }));
    }

    #[test]
    fn a_source_that_lacks_something_is_told() {
        for (source, problem) in [
            (r#"{"Catch":[{"Next":"R"}],"States":{}}"#, "the source has no `Retry`"),
            (r#"{"Retry":{},"Catch":[],"States":{}}"#, "`Catch` leads nowhere"),
            (r#"{"Retry":{},"Catch":[{"Next":"R"}]}"#, "the source has no states"),
            (
                r#"{"Retry":{},"Catch":[{"Next":"R"}],"States":{"A":{"Type":"Task"}}}"#,
                "`Retry` has no `Passing`",
            ),
        ] {
            assert_eq!(machine(source).unwrap_err(), problem);
        }
    }
}
