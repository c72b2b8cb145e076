//! `template.yaml` and the `ENDPOINTS` tables say the same: functions, routes, environment and IAM actions, no more
//! and no less.

use std::collections::{BTreeMap, BTreeSet};

use runtime::{Endpoint, Trigger, Var};
use serde_json::Value;

use crate::root::read;

const AREAS: [&str; 6] = ["accounts", "clips", "media", "pages", "stages", "webhooks"];

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

pub(crate) fn resources() -> serde_json::Map<String, Value> {
    template()["Resources"].as_object().unwrap().clone()
}

/// The properties of every resource of one type, by name.
fn of_type(kind: &str) -> BTreeMap<String, Value> {
    let matching = resources().into_iter().filter(|(_, resource)| resource["Type"] == kind);
    matching.map(|(name, resource)| (name, resource["Properties"].clone())).collect()
}

/// The properties of every function, by handler.
fn functions() -> BTreeMap<String, Value> {
    let by_handler = of_type("AWS::Serverless::Function").into_iter().map(|(name, properties)| {
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
                let resources = &statement["Resource"];
                let list = resources.as_array().cloned().unwrap_or_else(|| vec![resources.clone()]);
                assert!(!list.contains(&Value::from("*")), "{}", endpoint.handler);
            }
        }
        let declared: BTreeSet<String> = endpoint.actions.iter().map(|action| (*action).to_owned()).collect();
        assert_eq!(actions, declared, "{}", endpoint.handler);
        assert!(actions.iter().all(|action| !action.contains('*')), "{}", endpoint.handler);
    }
}

#[test]
fn whoever_may_do_something_to_everything_says_why() {
    for line in read("template.yaml").lines().filter(|line| line.contains("Resource: \"*\"")) {
        assert!(line.contains("\"*\" # "), "no reason: {line}");
    }
}

#[test]
fn an_area_is_in_the_order_of_its_table() {
    let name = |line: &str| {
        let named = line.trim().strip_prefix("Handler: ");
        named
            .or_else(|| line.trim().strip_prefix("ImageConfig: { Command: [")?.strip_suffix("] }"))
            .map(str::to_owned)
    };
    let written: Vec<String> = read("template.yaml").lines().filter_map(name).collect();
    for area in AREAS {
        let of_area = |handlers: Vec<&str>| -> Vec<String> {
            handlers.into_iter().filter(|h| h.starts_with(&format!("{area}."))).map(str::to_owned).collect()
        };
        let declared = of_area(endpoints().iter().map(|endpoint| endpoint.handler).collect());
        assert_eq!(of_area(written.iter().map(String::as_str).collect()), declared);
    }
}

#[test]
fn a_function_logs_with_its_area() {
    for endpoint in endpoints() {
        let group = function(endpoint)["LoggingConfig"]["LogGroup"]["Ref"].as_str().unwrap().to_lowercase();
        assert_eq!(group, format!("{}logs", endpoint.area()), "{}", endpoint.handler);
    }
    for (name, group) in of_type("AWS::Logs::LogGroup") {
        assert_eq!(group["RetentionInDays"]["Ref"], "LogRetentionDays", "{name}");
    }
}

#[test]
fn every_queue_is_encrypted_and_has_dead_letters() {
    for (name, queue) in of_type("AWS::SQS::Queue") {
        assert_eq!(queue["SqsManagedSseEnabled"], true, "{name}");
        assert_eq!(queue["RedrivePolicy"].is_null(), name.ends_with("DeadLetters"), "{name}");
    }
}

#[test]
fn queues_and_bucket_are_reached_by_tls_only() {
    let refuses = |policy: &Value| {
        let mut statements = policy["PolicyDocument"]["Statement"].as_array().unwrap().iter();
        statements.any(|statement| {
            statement["Effect"] == "Deny" && statement["Condition"]["Bool"]["aws:SecureTransport"] == "false"
        })
    };
    let policies = of_type("AWS::SQS::QueuePolicy");
    assert!(policies.values().all(refuses));
    let named: Vec<&Value> =
        policies.values().flat_map(|policy| policy["Queues"].as_array().unwrap()).collect();
    let named: BTreeSet<&str> = named.into_iter().map(|queue| queue["Ref"].as_str().unwrap()).collect();
    assert_eq!(named, of_type("AWS::SQS::Queue").keys().map(String::as_str).collect());
    let buckets = of_type("AWS::S3::BucketPolicy");
    assert!(buckets.len() == of_type("AWS::S3::Bucket").len() && buckets.values().all(refuses));
}

#[test]
fn a_message_stays_hidden_while_its_function_may_be_busy_with_it() {
    let usual = template()["Globals"]["Function"]["Timeout"].as_u64().unwrap();
    let queues = of_type("AWS::SQS::Queue");
    for function in functions().values() {
        for event in events(function).iter().filter(|event| event["Type"] == "SQS") {
            let name = event["Properties"]["Queue"]["Fn::GetAtt"][0].as_str().unwrap();
            let hidden = queues[name]["VisibilityTimeout"].as_u64().unwrap();
            // Lambda asks for six times, so that calls that were throttled come again before the message does.
            let timeout = function["Timeout"].as_u64().unwrap_or(usual);
            assert!(hidden >= 6 * timeout, "{name}: {hidden} s, its function {timeout} s");
        }
    }
}
