//! The state machines: every task has a time limit and a retry, every way to fail leads to Release, every
//! substitution is there, and nothing is spelled out that belongs to one account.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::contract::template::template;
use crate::root::read;

const FILE: &str = "infra/statemachines/clip.asl.json";

fn machine() -> Value {
    serde_json::from_str(&read(FILE)).unwrap()
}

/// All states, those inside a Map included.
fn states(machine: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (name, state) in machine["States"].as_object().unwrap() {
        found.push((name.clone(), state.clone()));
        if state["ItemProcessor"].is_object() {
            found.extend(states(&state["ItemProcessor"]));
        }
    }
    found
}

fn catches_into_release(state: &Value) -> bool {
    let catchers = state["Catch"].as_array().cloned().unwrap_or_default();
    catchers.iter().any(|catch| {
        catch["Next"] == "Release"
            && catch["ErrorEquals"][0] == "States.ALL"
            && catch["ResultPath"] == "$.error"
    })
}

#[test]
fn every_task_has_a_time_limit_and_a_retry() {
    let machine = machine();
    assert!(machine["TimeoutSeconds"].as_u64().unwrap() <= 3600);
    let tasks: Vec<_> = states(&machine).into_iter().filter(|(_, state)| state["Type"] == "Task").collect();
    assert_eq!(tasks.len(), 22);
    for (name, task) in tasks {
        let limit = task["TimeoutSeconds"].as_u64().unwrap_or_else(|| panic!("{name} has no TimeoutSeconds"));
        assert!((1..=910).contains(&limit), "{name}: a function runs for 15 minutes at most");
        let retries = task["Retry"].as_array().unwrap_or_else(|| panic!("{name} has no Retry"));
        let last = retries.last().unwrap();
        assert_eq!(last["ErrorEquals"][0], "States.ALL", "{name}");
        assert_eq!(last["JitterStrategy"], "FULL", "{name}");
        assert!((1..=10).contains(&last["MaxAttempts"].as_u64().unwrap()), "{name}");
        assert!(task["HeartbeatSeconds"].is_null(), "{name}: nothing relies on heartbeats");
    }
}

#[test]
fn a_function_that_is_busy_is_waited_for() {
    // Lambda turns calls away while as many as may be are running; that says nothing about the job.
    for (name, task) in states(&machine()).iter().filter(|(_, state)| state["Type"] == "Task") {
        let retries = task["Retry"].as_array().unwrap();
        let busy = retries
            .iter()
            .find(|retry| retry["ErrorEquals"] == serde_json::json!(["Lambda.TooManyRequestsException"]))
            .unwrap_or_else(|| panic!("{name} does not wait"));
        assert_eq!(busy["JitterStrategy"], "FULL", "{name}");
        let seconds = busy["MaxAttempts"].as_u64().unwrap() * busy["MaxDelaySeconds"].as_u64().unwrap();
        assert!((600..1800).contains(&seconds), "{name}: {seconds} s at most");
    }
}

#[test]
fn whatever_fails_is_released() {
    for (name, state) in machine()["States"].as_object().unwrap() {
        let can_fail =
            matches!(state["Type"].as_str().unwrap(), "Task" | "Map" | "Parallel") && name != "Release";
        assert_eq!(catches_into_release(state), can_fail, "{name}");
    }
    assert_eq!(machine()["States"]["Release"]["Next"], "Failed");
}

/// Of several clips each fails for itself.
#[test]
fn whatever_fails_of_a_clip_of_several_is_lost_alone() {
    let clips = machine()["States"]["Clips"].clone();
    for (name, state) in clips["ItemProcessor"]["States"].as_object().unwrap() {
        let can_fail = matches!(state["Type"].as_str().unwrap(), "Task" | "Map") && name != "Lose";
        assert_eq!(state["Catch"][0]["Next"] == "Lose", can_fail, "{name}");
    }
}

#[test]
fn the_job_is_never_retried_for_a_verdict() {
    for (name, task) in states(&machine())
        .iter()
        .filter(|(name, s)| s["Type"] == "Task" && name != "Release" && name != "Lose")
    {
        let first = &task["Retry"][0];
        assert_eq!(first["ErrorEquals"], serde_json::json!(["JobFailure", "JobEnded"]), "{name}");
        assert_eq!(first["MaxAttempts"], 0, "{name}");
    }
}

#[test]
fn substitutions_are_complete_and_nothing_is_spelled_out() {
    let text = read(FILE);
    assert!(!text.contains("arn:"), "an ARN is spelled out");
    let used: BTreeSet<String> =
        text.split("${").skip(1).map(|rest| rest.split('}').next().unwrap().to_owned()).collect();
    let given = template()["Resources"]["ClipMachine"]["Properties"]["DefinitionSubstitutions"].clone();
    let given: BTreeSet<String> = given.as_object().unwrap().keys().cloned().collect();
    assert_eq!(used, given);
}

#[test]
fn tasks_outlast_their_functions_only_by_what_lambda_allows() {
    let template = template();
    for (name, task) in states(&machine()).iter().filter(|(_, state)| state["Type"] == "Task") {
        let substitution = task["Resource"].as_str().unwrap().trim_start_matches("${").trim_end_matches('}');
        let machine = &template["Resources"]["ClipMachine"]["Properties"]["DefinitionSubstitutions"];
        let function = machine[substitution]["Ref"].as_str().unwrap().trim_end_matches(".Version");
        let own = template["Resources"][function]["Properties"]["Timeout"].as_u64();
        let limit = own.or_else(|| template["Globals"]["Function"]["Timeout"].as_u64()).unwrap();
        let task_limit = task["TimeoutSeconds"].as_u64().unwrap();
        // A task that gives up long before its function leaves the function running beside its own repeat.
        assert!(task_limit + 10 >= limit, "{name}: {task_limit} s, its function {limit} s");
    }
}

#[test]
fn what_one_job_starts_many_of_may_be_bounded() {
    let template = template();
    let machine = machine();
    // The clips of one job are as few at once as the jobs of one account.
    let maps = states(&machine).into_iter().map(|(_, state)| state);
    let maps = maps.filter(|state| state["MaxConcurrency"].as_u64().is_some_and(|at_once| at_once > 5));
    let shared: BTreeSet<String> = maps
        .flat_map(|map| states(&map["ItemProcessor"]))
        .map(|(_, task)| task["Resource"].to_string())
        .collect();
    let substitutions = &template["Resources"]["ClipMachine"]["Properties"]["DefinitionSubstitutions"];
    for (name, version) in substitutions.as_object().unwrap() {
        let function = version["Ref"].as_str().unwrap().trim_end_matches(".Version");
        let bound = &template["Resources"][function]["Properties"]["ReservedConcurrentExecutions"];
        assert_eq!(
            bound["Fn::If"][0] == "HasMediaConcurrency",
            shared.contains(&format!("\"${{{name}}}\"")),
            "{name}"
        );
    }
}
