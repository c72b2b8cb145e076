//! The stack as it is written: its generated parts are fresh, and what is written by hand goes together with the tables
//! of endpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use generate::Area;
use runtime::{Described, Var};
use serde_json::Value;

use crate::root::{read, root};
use crate::stack::cloud::binary;

/// The areas with their tables.
pub(crate) static AREAS: LazyLock<Vec<Area>> = LazyLock::new(|| {
    let programs = binary("");
    generate::areas::described(&root(), &programs).expect("run the tests with `cargo xtask test`")
});

/// The root template with the nested ones in it, as the local cloud deploys them.
static TEMPLATE: LazyLock<Value> =
    LazyLock::new(|| devstack::nested::read(&root().join("template.yaml")).unwrap());

pub(crate) fn endpoints() -> Vec<&'static Described> {
    AREAS.iter().flat_map(|area| &area.rows).collect()
}

pub(crate) fn template() -> &'static Value {
    &TEMPLATE
}

/// The properties of every resource of one type, by name.
fn of_type(kind: &str) -> BTreeMap<&'static str, &'static Value> {
    let resources = template()["Resources"].as_object().unwrap().iter();
    let matching = resources.filter(|(_, resource)| resource["Type"] == kind);
    matching.map(|(name, resource)| (name.as_str(), &resource["Properties"])).collect()
}

/// The properties of every function, by handler.
pub(crate) fn functions() -> BTreeMap<&'static str, &'static Value> {
    let by_handler = of_type("AWS::Serverless::Function").into_iter().map(|(name, properties)| {
        let handler = properties["Handler"].as_str().or(properties["ImageConfig"]["Command"][0].as_str());
        (handler.unwrap_or_else(|| panic!("{name} has no handler")), properties)
    });
    let list: Vec<_> = by_handler.collect();
    let map: BTreeMap<_, _> = list.iter().copied().collect();
    assert_eq!(list.len(), map.len(), "two functions have the same handler");
    map
}

#[test]
fn generated_files_are_fresh() {
    for file in generate::files(&root(), &binary("")).unwrap() {
        let path = file.path.to_str().unwrap();
        assert!(read(path) == file.text, "{path} is stale: run `cargo xtask generate`");
    }
}

#[test]
fn every_endpoint_is_a_function_and_every_function_an_endpoint() {
    let declared: BTreeSet<&str> = endpoints().iter().map(|endpoint| endpoint.handler.as_str()).collect();
    assert_eq!(declared, functions().into_keys().collect());
    assert_eq!(declared.len(), endpoints().len(), "two endpoints have the same handler");
}

/// The API calls functions by names that are known before they are made.
#[test]
fn a_functions_name_leaves_40_characters_for_the_stacks() {
    for area in AREAS.iter().filter(|area| area.is_nested()) {
        for row in &area.rows {
            let own = format!("-{}-{}", area.name, row.name());
            let max = 64 - generate::functions::STACK_NAME_MAX;
            assert!(own.len() <= max, "{own} is longer than {max}: a shorter name, please");
        }
    }
}

#[test]
fn two_endpoints_do_not_have_one_route() {
    let mut seen = BTreeMap::new();
    for endpoint in endpoints() {
        for route in &endpoint.routes {
            let earlier = seen.insert(route.clone(), &endpoint.handler);
            assert_eq!(earlier, None, "{} {} leads to {}, too", route.method, route.path, endpoint.handler);
        }
    }
    // An HTTP API has 300 routes and 300 integrations at most; each of ours is one of both.
    assert!(seen.len() <= 290, "{} routes", seen.len());
}

#[test]
fn every_route_stands_in_the_readme() {
    let readme = read("README.md");
    let continues =
        |rest: &str| rest.starts_with(|next: char| next.is_ascii_alphanumeric() || "/{_".contains(next));
    for endpoint in endpoints() {
        // Parts of pages, and what no route takes, are nobody's to call.
        let own = endpoint.routes.first().filter(|route| !endpoint.is_rest() && !route.path.ends_with(".js"));
        let Some(route) = own else { continue };
        let found =
            readme.match_indices(&route.path).any(|(at, path)| !continues(&readme[at + path.len()..]));
        assert!(found, "README.md does not name {} {}", route.method, route.path);
    }
}

#[test]
fn every_variable_has_a_user() {
    let used: BTreeSet<&str> =
        endpoints().iter().flat_map(|endpoint| &endpoint.env).map(|(name, _)| name.as_str()).collect();
    assert_eq!(used, Var::ALL.iter().map(|var| var.name()).collect(), "a variable that nobody uses");
}

#[test]
fn grants_name_their_actions_and_resources() {
    for endpoint in endpoints() {
        for statement in &endpoint.statements {
            assert!(statement.actions.iter().all(|action| !action.contains('*')), "{}", endpoint.handler);
            assert!(!statement.resources.contains(&"*".to_owned()), "{}", endpoint.handler);
        }
    }
}

#[test]
fn whoever_may_do_something_to_everything_says_why() {
    for line in read("template.yaml").lines().filter(|line| line.contains("Resource: \"*\"")) {
        assert!(line.contains("\"*\" # "), "no reason: {line}");
    }
}

#[test]
fn logs_are_kept_as_long_as_the_operator_says() {
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
    let refuses = |policy: &&Value| {
        let mut statements = policy["PolicyDocument"]["Statement"].as_array().unwrap().iter();
        statements.any(|statement| {
            statement["Effect"] == "Deny" && statement["Condition"]["Bool"]["aws:SecureTransport"] == "false"
        })
    };
    let policies = of_type("AWS::SQS::QueuePolicy");
    assert!(policies.values().all(refuses));
    let named = policies.values().flat_map(|policy| policy["Queues"].as_array().unwrap());
    let named: BTreeSet<&str> = named.map(|queue| queue["Ref"].as_str().unwrap()).collect();
    assert_eq!(named, of_type("AWS::SQS::Queue").into_keys().collect());
    let buckets = of_type("AWS::S3::BucketPolicy");
    assert!(buckets.len() == of_type("AWS::S3::Bucket").len() && buckets.values().all(refuses));
}

#[test]
fn a_message_stays_hidden_while_its_function_may_be_busy_with_it() {
    let usual = template()["Globals"]["Function"]["Timeout"].as_u64().unwrap();
    let queues = of_type("AWS::SQS::Queue");
    for function in functions().values() {
        let events = function["Events"].as_object().into_iter().flatten();
        for (_, event) in events.filter(|(_, event)| event["Type"] == "SQS") {
            let name = event["Properties"]["Queue"]["Fn::GetAtt"][0].as_str().unwrap();
            let hidden = queues[name]["VisibilityTimeout"].as_u64().unwrap();
            // Lambda asks for six times, so that calls that were throttled come again before the message does.
            let timeout = function["Timeout"].as_u64().unwrap_or(usual);
            assert!(hidden >= 6 * timeout, "{name}: {hidden} s, its function {timeout} s");
        }
    }
}

/// What the root template says of all functions by hand is what the generated templates say.
#[test]
fn functions_of_every_template_have_the_same_globals() {
    let plain = |path: &str| devstack::template::parse(&read(path)).unwrap()["Globals"]["Function"].clone();
    let root = plain("template.yaml");
    for area in AREAS.iter().filter(|area| area.is_nested()) {
        let path = area.template();
        let text = plain(path.to_str().unwrap()).to_string().replace("${Stack}", "${AWS::StackName}");
        assert_eq!(text, root.to_string(), "{}", path.display());
    }
}
