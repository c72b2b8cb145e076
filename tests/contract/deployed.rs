//! What SAM makes of `template.yaml`: which version of a function is called, how a release is tried out, and that
//! CloudFormation can put it up at all.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::contract::template::endpoints;
use crate::root::{root, tool};

/// The resources of the plain template, by name.
static RESOURCES: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    let mut transform = Command::new(tool("PYTHON"));
    transform
        .arg("infra/xtask/tools/transform.py")
        .current_dir(root())
        .env("AWS_DEFAULT_REGION", "us-east-1");
    let output = transform.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let plain: Value = serde_json::from_slice(&output.stdout).unwrap();
    plain["Resources"].as_object().unwrap().clone()
});

fn of_type(kind: &str) -> impl Iterator<Item = (&'static String, &'static Value)> {
    RESOURCES.iter().filter(move |(_, resource)| resource["Type"] == kind)
}

/// The names of resources that `node` refers to, at any depth.
fn referred(node: &Value, found: &mut BTreeSet<&'static str>) {
    let mut note = |name: &str| found.extend(RESOURCES.get_key_value(name).map(|(name, _)| name.as_str()));
    match node {
        Value::Object(object) => {
            for (key, value) in object {
                match (key.as_str(), value) {
                    ("Ref" | "DependsOn", Value::String(name)) => note(name),
                    ("DependsOn", Value::Array(names)) => {
                        names.iter().filter_map(Value::as_str).for_each(&mut note);
                    }
                    ("Fn::GetAtt", Value::Array(path)) => note(path[0].as_str().unwrap()),
                    ("Fn::Sub", value) => {
                        let text = value.as_str().or_else(|| value[0].as_str()).unwrap();
                        for name in text.split("${").skip(1) {
                            note(name.split(['}', '.']).next().unwrap());
                        }
                    }
                    _ => {}
                }
            }
            object.values().for_each(|value| referred(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| referred(item, found)),
        _ => {}
    }
}

/// The names of functions by handler.
fn functions() -> BTreeMap<&'static str, &'static str> {
    let named = of_type("AWS::Lambda::Function").map(|(name, function)| {
        let properties = &function["Properties"];
        let handler = properties["Handler"].as_str().or(properties["ImageConfig"]["Command"][0].as_str());
        (handler.unwrap(), name.as_str())
    });
    named.collect()
}

#[test]
fn nothing_depends_on_itself() {
    let mut waiting: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, resource) in RESOURCES.iter() {
        referred(resource, waiting.entry(name).or_default());
    }
    // What waits for nothing is made; then whatever waited for that alone.
    loop {
        let ready: Vec<&str> =
            waiting.iter().filter(|(_, needs)| needs.is_empty()).map(|(name, _)| *name).collect();
        if ready.is_empty() {
            break;
        }
        waiting.retain(|name, _| !ready.contains(name));
        waiting.values_mut().for_each(|needs| needs.retain(|name| !ready.contains(name)));
    }
    assert!(waiting.is_empty(), "a circle: {waiting:#?}");
}

#[test]
fn every_function_is_published_anew_with_a_release() {
    // What transform.py gives in place of a name.
    const RELEASE: &str = "0123456789";
    for name in functions().into_values() {
        assert!(RESOURCES.contains_key(&format!("{name}Version{RELEASE}")), "{name}");
        // Lambda publishes nothing that is like the version before.
        assert_eq!(RESOURCES[name]["Properties"]["Description"], format!("Release {RELEASE}"), "{name}");
    }
}

#[test]
fn releases_of_http_functions_are_tried_out_on_a_tenth_of_the_requests() {
    let functions = functions();
    for endpoint in endpoints() {
        let alias = &RESOURCES[&format!("{}Aliaslive", functions[endpoint.handler])];
        let group = &alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]["DeploymentGroupName"]["Ref"];
        assert_eq!(group.is_string(), endpoint.route().is_some(), "{}", endpoint.handler);
        let Some(group) = group.as_str() else { continue };
        let group = &RESOURCES[group]["Properties"];
        assert_eq!(
            group["DeploymentConfigName"]["Fn::Sub"][1]["ConfigName"], "Canary10Percent5Minutes",
            "{}",
            endpoint.handler
        );
        let alarm = &RESOURCES["ServerErrorsAlarm"]["Properties"]["AlarmName"];
        assert_eq!(&group["AlarmConfiguration"]["Alarms"][0]["Name"], alarm, "{}", endpoint.handler);
    }
}

#[test]
fn whatever_calls_a_function_calls_its_live_version() {
    let functions: BTreeSet<&str> = functions().into_values().collect();
    let callers = ["AWS::ApiGatewayV2::Api", "AWS::Lambda::EventSourceMapping", "AWS::Scheduler::Schedule"];
    let mut called = 0;
    for (name, caller) in callers.into_iter().flat_map(of_type) {
        let mut names = BTreeSet::new();
        referred(caller, &mut names);
        assert!(names.is_disjoint(&functions), "{name} calls the newest version");
        called += names.iter().filter(|name| name.ends_with("Aliaslive")).count();
    }
    let by_events =
        endpoints().into_iter().filter(|endpoint| !matches!(endpoint.trigger, runtime::Trigger::Stage(_)));
    assert_eq!(called, by_events.count());
    for (name, function) in of_type("AWS::Lambda::Function") {
        for (variable, value) in
            function["Properties"]["Environment"]["Variables"].as_object().into_iter().flatten()
        {
            let target = value["Ref"].as_str().unwrap_or_default();
            assert!(!functions.contains(target), "{name}: {variable} names the newest version");
        }
    }
}

#[test]
fn a_job_ends_with_the_functions_that_it_began_with() {
    let machine = &RESOURCES["ClipMachine"]["Properties"];
    for (task, version) in machine["DefinitionSubstitutions"].as_object().unwrap() {
        let version = &RESOURCES[version["Ref"].as_str().unwrap()];
        assert_eq!(version["Type"], "AWS::Lambda::Version", "{task}");
        assert_eq!(version["DeletionPolicy"], "Retain", "{task}: a release would take it away");
    }
    let granted =
        &RESOURCES["ClipMachineRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0];
    assert_eq!(granted["Action"], "lambda:InvokeFunction");
    let of = |task: &Value| task["Ref"].as_str().unwrap().split("Version").next().unwrap().to_owned();
    let tasks: BTreeSet<String> =
        machine["DefinitionSubstitutions"].as_object().unwrap().values().map(of).collect();
    let may: BTreeSet<String> = granted["Resource"].as_array().unwrap().iter().map(versions_of).collect();
    assert_eq!(may, tasks);
}

/// The function whose every version, and nothing else, `resource` is.
fn versions_of(resource: &Value) -> String {
    let text = resource["Fn::Sub"].as_str().unwrap();
    text.strip_prefix("${").and_then(|text| text.strip_suffix(".Arn}:*")).unwrap().to_owned()
}

#[test]
fn what_sam_grants_is_bounded() {
    const BY_SAM: [&str; 3] = [
        "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
        "arn:aws:iam::aws:policy/service-role/AWSLambdaSQSQueueExecutionRole",
        // Traces are no resources that a policy could name.
        "arn:aws:iam::aws:policy/AWSXrayWriteOnlyAccess",
    ];
    for name in functions().into_values() {
        let role = &RESOURCES[&format!("{name}Role")]["Properties"];
        assert_eq!(role["PermissionsBoundary"]["Ref"], "FunctionBoundary", "{name}");
        for policy in role["ManagedPolicyArns"].as_array().unwrap() {
            assert!(BY_SAM.contains(&policy.as_str().unwrap()), "{name}: {policy}");
        }
    }
}

#[test]
fn the_boundary_leaves_every_log_and_queue_of_the_stack() {
    let mut left = BTreeSet::new();
    referred(&RESOURCES["FunctionBoundary"], &mut left);
    let queues = of_type("AWS::SQS::Queue").map(|(name, _)| name.as_str());
    let groups = of_type("AWS::Lambda::Function")
        .map(|(_, function)| function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"].as_str().unwrap());
    assert_eq!(left, queues.chain(groups).collect());
    let statements = RESOURCES["FunctionBoundary"]["Properties"]["PolicyDocument"]["Statement"].clone();
    let listed = |action: &str| {
        let mut lists =
            statements.as_array().unwrap().iter().filter_map(|statement| statement["Action"].as_array());
        lists.any(|list| list.contains(&action.into()))
    };
    for action in endpoints().iter().flat_map(|endpoint| endpoint.actions) {
        let bounded = action.starts_with("sqs:") || action.starts_with("logs:");
        assert!(!bounded || listed(action), "{action}");
    }
}
