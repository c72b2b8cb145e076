//! `template.yaml` and the `ENDPOINTS` tables say the same: functions, routes, environment and IAM actions, no more
//! and no less.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use runtime::{Endpoint, Trigger, Var};
use serde_json::Value;

use crate::root::{read, root, tool};

pub(crate) fn endpoints() -> Vec<&'static Endpoint> {
    [
        accounts::ENDPOINTS,
        clips::ENDPOINTS,
        stages::ENDPOINTS,
        media_functions::ENDPOINTS,
        pages::ENDPOINTS,
        webhooks::ENDPOINTS,
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(crate) fn template() -> Value {
    devstack::template::parse(&read("template.yaml")).unwrap()
}

fn resources() -> serde_json::Map<String, Value> {
    template()["Resources"].as_object().unwrap().clone()
}

/// The properties of every function, by handler.
fn functions() -> BTreeMap<String, Value> {
    let of_kind =
        resources().into_iter().filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function");
    let by_handler = of_kind.map(|(name, resource)| {
        let properties = resource["Properties"].clone();
        let handler = if properties["PackageType"] == "Image" {
            properties["ImageConfig"]["Command"][0].as_str()
        } else {
            properties["Handler"].as_str()
        };
        (handler.unwrap_or_else(|| panic!("{name} has no handler")).to_owned(), properties)
    });
    let list: Vec<_> = by_handler.collect();
    let map: BTreeMap<_, _> = list.iter().cloned().collect();
    assert_eq!(list.len(), map.len(), "two functions have the same handler");
    map
}

/// The function of an endpoint.
fn function(endpoint: &Endpoint) -> Value {
    functions()
        .remove(endpoint.handler)
        .unwrap_or_else(|| panic!("{} is not in template.yaml", endpoint.handler))
}

fn events(function: &Value) -> Vec<Value> {
    function["Events"].as_object().map(|events| events.values().cloned().collect()).unwrap_or_default()
}

#[test]
fn every_endpoint_is_a_function_and_every_function_an_endpoint() {
    let declared: BTreeSet<String> = endpoints().iter().map(|endpoint| endpoint.handler.to_owned()).collect();
    let deployed: BTreeSet<String> = functions().into_keys().collect();
    assert_eq!(declared, deployed);
    assert_eq!(declared.len(), endpoints().len(), "two endpoints have the same handler");
}

#[test]
fn functions_of_an_area_share_its_artefact() {
    for endpoint in endpoints() {
        let function = function(endpoint);
        if endpoint.area() == "media" {
            assert_eq!(function["PackageType"], "Image", "{}", endpoint.handler);
        } else {
            assert_eq!(
                function["CodeUri"],
                format!("target/lambda/{}", endpoint.area()),
                "{}",
                endpoint.handler
            );
            assert_eq!(function["Runtime"], "provided.al2023", "{}", endpoint.handler);
        }
    }
}

#[test]
fn routes_agree() {
    for endpoint in endpoints() {
        let routes: Vec<(String, String)> = events(&function(endpoint))
            .iter()
            .filter(|event| event["Type"] == "HttpApi")
            .map(|event| {
                assert_eq!(event["Properties"]["ApiId"]["Ref"], "HttpApi", "{}", endpoint.handler);
                let text = |name: &str| event["Properties"][name].as_str().unwrap().to_owned();
                (text("Method"), text("Path"))
            })
            .collect();
        let declared: Vec<(String, String)> =
            endpoint.routes().iter().map(|route| (route.method.to_owned(), route.path.to_owned())).collect();
        assert_eq!(routes, declared, "{}", endpoint.handler);
    }
}

#[test]
fn triggers_agree() {
    for endpoint in endpoints() {
        let kinds: Vec<String> = events(&function(endpoint))
            .iter()
            .map(|event| event["Type"].as_str().unwrap().to_owned())
            .collect();
        let declared: &[&str] = match endpoint.trigger {
            Trigger::Open(..) | Trigger::Keyed(..) | Trigger::Session(..) => &["HttpApi"],
            Trigger::Page(..) => &["HttpApi", "HttpApi"],
            Trigger::Stage(_) => &[],
            Trigger::Queue(_) => &["SQS"],
            Trigger::Schedule(_) => &["ScheduleV2"],
        };
        assert_eq!(kinds, declared, "{}", endpoint.handler);
        for event in events(&function(endpoint)).iter().filter(|event| event["Type"] == "SQS") {
            let failures = &event["Properties"]["FunctionResponseTypes"];
            assert_eq!(failures[0], "ReportBatchItemFailures", "{}", endpoint.handler);
        }
    }
}

#[test]
fn environments_agree() {
    for endpoint in endpoints() {
        let deployed: BTreeSet<String> = function(endpoint)["Environment"]["Variables"]
            .as_object()
            .map(|variables| variables.keys().cloned().collect())
            .unwrap_or_default();
        let declared: BTreeSet<String> = endpoint.env.iter().map(|var| var.name().to_owned()).collect();
        assert_eq!(deployed, declared, "{}", endpoint.handler);
    }
    let used: BTreeSet<Var> = endpoints().iter().flat_map(|endpoint| endpoint.env.iter().copied()).collect();
    assert_eq!(used, BTreeSet::from(Var::ALL), "a variable that nobody uses");
}

#[test]
fn iam_actions_agree_and_name_their_resources() {
    for endpoint in endpoints() {
        let function = function(endpoint);
        let mut actions = BTreeSet::new();
        for policy in function["Policies"].as_array().into_iter().flatten() {
            for statement in policy["Statement"].as_array().unwrap() {
                let list = statement["Action"].as_array().unwrap().iter();
                actions.extend(list.map(|action| action.as_str().unwrap().to_owned()));
                assert_ne!(statement["Resource"], "*", "{}", endpoint.handler);
            }
        }
        let declared: BTreeSet<String> = endpoint.actions.iter().map(|action| (*action).to_owned()).collect();
        assert_eq!(actions, declared, "{}", endpoint.handler);
        assert!(actions.iter().all(|action| !action.contains('*')), "{}", endpoint.handler);
    }
}

#[test]
fn every_queue_has_dead_letters() {
    for (name, queue) in resources().iter().filter(|(_, resource)| resource["Type"] == "AWS::SQS::Queue") {
        let redrive = &queue["Properties"]["RedrivePolicy"];
        assert_eq!(redrive.is_null(), name.ends_with("DeadLetters"), "{name}");
    }
}

#[test]
fn the_stack_stays_below_cloudformations_limit() {
    // SAM makes a role and, for each event, a permission or mapping (and for a schedule a role) of one function.
    let count: usize = resources()
        .values()
        .map(|resource| match resource["Type"].as_str().unwrap() {
            "AWS::Serverless::Function" => 2 + 2 * events(&resource["Properties"]).len(),
            "AWS::Serverless::StateMachine" | "AWS::Serverless::HttpApi" => 2,
            _ => 1,
        })
        .sum();
    assert!(count < 450, "{count} resources, 500 are allowed");
}

#[test]
fn cfn_lint_finds_nothing() {
    let output = Command::new(tool("CFN_LINT")).arg(root().join("template.yaml")).output().unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}{}", String::from_utf8_lossy(&output.stderr));
}
