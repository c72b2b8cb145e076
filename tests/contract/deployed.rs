//! What SAM makes of the templates: which version of a function is called, how a release is tried out, and that
//! CloudFormation can put them up at all.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::contract::template::{AREAS, endpoints};
use crate::root::{root, tool};

/// A plain template: the resources by name.
type Plain = Map<String, Value>;

/// The root's plain template, then those of the nested areas with their names.
static TEMPLATES: LazyLock<Vec<(String, Plain)>> = LazyLock::new(|| {
    let nested = AREAS.iter().filter(|area| area.is_nested());
    let nested = nested.map(|area| (area.name.clone(), area.template().to_str().unwrap().to_owned()));
    let all = [("root".to_owned(), "template.yaml".to_owned())].into_iter().chain(nested);
    all.map(|(name, path)| (name, plain(&path))).collect()
});

fn plain(path: &str) -> Plain {
    let mut transform = Command::new(tool("PYTHON"));
    transform.args(["infra/xtask/tools/transform.py", path]).current_dir(root());
    let output = transform.env("AWS_DEFAULT_REGION", "us-east-1").output().unwrap();
    assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
    let plain: Value = serde_json::from_slice(&output.stdout).unwrap();
    plain["Resources"].as_object().unwrap().clone()
}

fn root_template() -> &'static Plain {
    &TEMPLATES[0].1
}

fn of_type<'a>(plain: &'a Plain, kind: &'a str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    plain.iter().filter(move |(_, resource)| resource["Type"] == kind)
}

/// The names of resources of `plain` that `node` refers to, at any depth.
fn referred<'a>(plain: &'a Plain, node: &Value, found: &mut BTreeSet<&'a str>) {
    let mut note = |name: &str| found.extend(plain.get_key_value(name).map(|(name, _)| name.as_str()));
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
            object.values().for_each(|value| referred(plain, value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| referred(plain, item, found)),
        _ => {}
    }
}

/// The names of a template's functions by handler.
fn functions(plain: &Plain) -> BTreeMap<&str, &str> {
    let named = of_type(plain, "AWS::Lambda::Function").map(|(name, function)| {
        let properties = &function["Properties"];
        let handler = properties["Handler"].as_str().or(properties["ImageConfig"]["Command"][0].as_str());
        (handler.unwrap(), name.as_str())
    });
    named.collect()
}

#[test]
fn nothing_depends_on_itself() {
    for (template, plain) in TEMPLATES.iter() {
        let mut waiting: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (name, resource) in plain {
            referred(plain, resource, waiting.entry(name).or_default());
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
        assert!(waiting.is_empty(), "{template}: a circle: {waiting:#?}");
    }
}

#[test]
fn every_function_is_published_anew_with_a_release() {
    // What transform.py gives in place of a name.
    const RELEASE: &str = "0123456789";
    for (template, plain) in TEMPLATES.iter() {
        for name in functions(plain).into_values() {
            assert!(plain.contains_key(&format!("{name}Version{RELEASE}")), "{template}: {name}");
            // Lambda publishes nothing that is like the version before.
            let description = &plain[name]["Properties"]["Description"];
            assert_eq!(description, &format!("Release {RELEASE}"), "{template}: {name}");
        }
    }
}

#[test]
fn releases_of_http_functions_are_tried_out_on_a_tenth_of_the_requests() {
    let release_alarm = &root_template()["ReleaseErrorsAlarm"]["Properties"]["AlarmName"]["Fn::Sub"];
    let mut http = 0;
    for (_, plain) in TEMPLATES.iter() {
        for (handler, name) in functions(plain) {
            let endpoint = endpoints().into_iter().find(|endpoint| endpoint.handler == handler).unwrap();
            let alias = &plain[&format!("{name}Aliaslive")];
            let group = &alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]["DeploymentGroupName"]["Ref"];
            assert_eq!(group.is_string(), !endpoint.routes.is_empty(), "{handler}");
            let Some(group) = group.as_str() else { continue };
            http += 1;
            let group = &plain[group]["Properties"];
            let config = &group["DeploymentConfigName"]["Fn::Sub"][1]["ConfigName"];
            assert_eq!(config, "Canary10Percent5Minutes", "{handler}");
            // Its own version's failures, and those of the release as a whole.
            let alarms = &group["AlarmConfiguration"]["Alarms"];
            let own = &plain[alarms[0]["Name"]["Ref"].as_str().unwrap()]["Properties"]["Dimensions"];
            assert_eq!(own[0]["Value"]["Ref"], name, "{handler}");
            let version = own[2]["Value"]["Fn::GetAtt"][0].as_str().unwrap();
            assert_eq!(plain[version]["Type"], "AWS::Lambda::Version", "{handler}");
            let named = alarms[1]["Name"]["Fn::Sub"].as_str().unwrap();
            assert_eq!(&named.replace("${Stack}", "${AWS::StackName}"), release_alarm, "{handler}");
        }
    }
    assert!(http > 40, "{http}");
}

#[test]
fn whatever_calls_a_function_calls_its_live_version() {
    let callers = ["AWS::Lambda::EventSourceMapping", "AWS::Scheduler::Schedule"];
    let mut called = 0;
    for (_, plain) in TEMPLATES.iter() {
        let functions: BTreeSet<&str> = functions(plain).into_values().collect();
        for (name, caller) in callers.into_iter().flat_map(|kind| of_type(plain, kind)) {
            let mut names = BTreeSet::new();
            referred(plain, caller, &mut names);
            assert!(names.is_disjoint(&functions), "{name} calls the newest version");
            called += names.iter().filter(|name| name.ends_with("Aliaslive")).count();
        }
        for (name, function) in of_type(plain, "AWS::Lambda::Function") {
            let variables = function["Properties"]["Environment"]["Variables"].as_object();
            for (variable, value) in variables.into_iter().flatten() {
                let target = value["Ref"].as_str().unwrap_or_default();
                assert!(!functions.contains(target), "{name}: {variable} names the newest version");
            }
        }
    }
    let by_events = endpoints().into_iter().filter(|endpoint| {
        matches!(endpoint.caller, runtime::CalledBy::Queue(_) | runtime::CalledBy::Schedule { .. })
    });
    assert_eq!(called, by_events.count());
}

/// The API knows functions by their names alone, so nothing else sees whether there are any of these names.
#[test]
fn the_api_calls_functions_that_there_are() {
    let api = of_type(root_template(), "AWS::ApiGatewayV2::Api").next().unwrap().1;
    let paths = api["Properties"]["Body"]["paths"].as_object().unwrap();
    let operations = paths.values().flat_map(|methods| methods.as_object().unwrap().iter());
    let mut called = BTreeSet::new();
    for (_, operation) in operations.filter(|(method, _)| *method != "options") {
        let integration = &operation["x-amazon-apigateway-integration"];
        assert_eq!(integration["credentials"]["Fn::GetAtt"][0], "ApiRole");
        let uri = integration["uri"]["Fn::Sub"].as_str().unwrap();
        let (_, function) = uri.split_once(":function:").unwrap();
        called.insert(function.strip_suffix(":live/invocations").unwrap().to_owned());
    }
    let mut named = BTreeSet::new();
    for (_, plain) in &TEMPLATES[1..] {
        for (_, function) in of_type(plain, "AWS::Lambda::Function") {
            let handler = function["Properties"]["Handler"].as_str().unwrap();
            let endpoint = endpoints().into_iter().find(|endpoint| endpoint.handler == handler).unwrap();
            let name = function["Properties"]["FunctionName"]["Fn::Sub"].as_str().unwrap();
            if !endpoint.routes.is_empty() {
                named.insert(name.replace("${Stack}", "${AWS::StackName}"));
            }
        }
    }
    assert_eq!(called, named);
    let granted = root_template()["ApiRole"]["Properties"]["Policies"][0]["PolicyDocument"].to_string();
    for name in named {
        let area = name.split('-').nth(1).unwrap();
        assert!(granted.contains(&format!(":function:${{AWS::StackName}}-{area}-*:live\"")), "{name}");
    }
}

#[test]
fn a_job_ends_with_the_functions_that_it_began_with() {
    let machine = &root_template()["ClipMachine"]["Properties"];
    for (task, version) in machine["DefinitionSubstitutions"].as_object().unwrap() {
        let version = &root_template()[version["Ref"].as_str().unwrap()];
        assert_eq!(version["Type"], "AWS::Lambda::Version", "{task}");
        assert_eq!(version["DeletionPolicy"], "Retain", "{task}: a release would take it away");
    }
    let granted =
        &root_template()["ClipMachineRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0];
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
    for (_, plain) in TEMPLATES.iter() {
        for name in functions(plain).into_values() {
            let role = &plain[&format!("{name}Role")]["Properties"];
            // A resource in the root, a parameter of the same name in the others.
            assert_eq!(role["PermissionsBoundary"]["Ref"], "FunctionBoundary", "{name}");
            for policy in role["ManagedPolicyArns"].as_array().unwrap() {
                assert!(BY_SAM.contains(&policy.as_str().unwrap()), "{name}: {policy}");
            }
        }
    }
}

#[test]
fn the_boundary_leaves_every_log_and_queue_of_the_stack() {
    let boundary = &root_template()["FunctionBoundary"];
    let mut left = BTreeSet::new();
    referred(root_template(), boundary, &mut left);
    assert_eq!(left, of_type(root_template(), "AWS::SQS::Queue").map(|(name, _)| name.as_str()).collect());
    let statements = boundary["Properties"]["PolicyDocument"]["Statement"].as_array().unwrap();
    let listed = |action: &str| {
        let mut lists = statements.iter().filter_map(|statement| statement["Action"].as_array());
        lists.any(|list| list.contains(&action.into()))
    };
    let granted = endpoints().into_iter().flat_map(|endpoint| &endpoint.statements);
    for action in granted.flat_map(|statement| &statement.actions) {
        let bounded = action.starts_with("sqs:") || action.starts_with("logs:");
        assert!(!bounded || listed(action), "{action}");
    }
    let covered = "log-group:/${AWS::StackName}/*";
    assert!(boundary.to_string().contains(covered));
    for (template, plain) in TEMPLATES.iter() {
        for (name, group) in of_type(plain, "AWS::Logs::LogGroup") {
            let path = group["Properties"]["LogGroupName"]["Fn::Sub"].as_str().unwrap();
            let is_ours = path.starts_with("/${Stack}/") || path.starts_with("/${AWS::StackName}/");
            // What AWS itself writes is not the functions'.
            assert!(is_ours || path.starts_with("/aws/vendedlogs/"), "{template}: {name}");
        }
    }
}
