//! Time limits nest across the files that set them: the tables of endpoints, the template, the state machine and
//! `runtime::time_limits`.

use std::time::Duration;

use runtime::{CalledBy, time_limits};
use serde_json::Value;

use crate::contract::template::{endpoints, functions, template};
use crate::root::read;

/// AWS asks for six: a message that is being worked on is not given to somebody else meanwhile.
const VISIBILITY_IN_TIMEOUTS: u64 = 6;

/// How long an endpoint's function runs at most, in seconds.
fn timeout(handler: &str) -> u64 {
    let row = endpoints().into_iter().find(|row| row.handler == handler);
    row.unwrap_or_else(|| panic!("there is no endpoint {handler}")).timeout_s.into()
}

fn seconds(limit: Duration) -> u64 {
    limit.as_secs()
}

#[test]
fn functions_run_as_long_as_their_work_and_its_waits_may_take() {
    for endpoint in endpoints() {
        let (name, limit) = (endpoint.handler.as_str(), u64::from(endpoint.timeout_s));
        assert!(limit > seconds(time_limits::SDK_OPERATION), "{name}: one call to AWS may take longer");
        if !endpoint.routes.is_empty() {
            assert_eq!(limit, seconds(time_limits::API_FUNCTION), "{name}");
        }
        let expected = match name {
            "media.probe" | "media.captions" | "media.words" => time_limits::API_FUNCTION,
            "speech.find" => time_limits::FIND_FUNCTION,
            "media.inspect" | "media.plan" | "media.upload" => time_limits::INSPECT_FUNCTION,
            _ if endpoint.area() == "media" && endpoint.caller == CalledBy::Stage => {
                time_limits::STAGE_FUNCTION
            }
            _ => continue,
        };
        assert_eq!(limit, seconds(expected), "{name}");
    }
}

/// Every task of a machine, those inside a Map included.
fn tasks(machine: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (name, state) in machine["States"].as_object().unwrap() {
        if state["ItemProcessor"].is_object() {
            found.extend(tasks(&state["ItemProcessor"]));
        } else if state["Type"] == "Task" {
            found.push((name.clone(), state.clone()));
        }
    }
    found
}

/// A state that gave up before its function does would start a second one beside it.
#[test]
fn states_wait_for_their_functions() {
    let machine: Value = serde_json::from_str(&read("infra/statemachines/clip.asl.json")).unwrap();
    let tasks = tasks(&machine);
    assert!(tasks.len() >= 10);
    for (name, task) in tasks {
        let resource = task["Resource"].as_str().unwrap();
        let function = resource.strip_prefix("${").and_then(|name| name.strip_suffix("Arn}")).unwrap();
        let function = &template()["Resources"][function]["Properties"];
        let handler = function["Handler"].as_str().or(function["ImageConfig"]["Command"][0].as_str());
        let (state, function) = (task["TimeoutSeconds"].as_u64().unwrap(), timeout(handler.unwrap()));
        assert!(
            state > function,
            "{name}: the state waits {state} s for a function that may take {function} s"
        );
        assert!(machine["TimeoutSeconds"].as_u64().unwrap() > state, "{name}");
    }
}

#[test]
fn messages_stay_with_whoever_works_on_them() {
    let mut seen = 0;
    for (handler, function) in functions() {
        for event in function["Events"].as_object().into_iter().flat_map(|events| events.values()) {
            let Some(queue) = event["Properties"]["Queue"]["Fn::GetAtt"][0].as_str() else { continue };
            let queue = &template()["Resources"][queue]["Properties"];
            let (visible, limit) = (queue["VisibilityTimeout"].as_u64().unwrap(), timeout(handler));
            assert!(visible >= VISIBILITY_IN_TIMEOUTS * limit, "{handler}: {visible} s for {limit} s");
            seen += 1;
        }
    }
    let queues = endpoints().into_iter().filter(|row| matches!(row.caller, CalledBy::Queue(_))).count();
    assert_eq!(seen, queues);
}
