//! Dashboard, alarms, runbooks and the list of metrics in the code say the same, both ways.

use std::collections::{BTreeMap, BTreeSet};

use runtime::{CalledBy, Dimension, Metric};
use serde_json::Value;

use crate::contract::template::{AREAS, endpoints, template};
use crate::root::read;

/// The namespace of our own, as the template writes it.
const NAMESPACE: &str = "Clipwright/${AWS::StackName}";

/// A metric somewhere in the template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Used {
    namespace: String,
    name: String,
    dimensions: BTreeMap<String, String>,
}

/// What AWS's services publish, as far as we look at it.
const AWS: &[(&str, &str, &[&str])] = &[
    (
        "AWS/ApiGateway",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html",
        &["4xx", "5xx", "Count", "IntegrationLatency", "Latency"],
    ),
    (
        "AWS/Lambda",
        "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html",
        &["ConcurrentExecutions", "Duration", "Errors", "Invocations", "Throttles"],
    ),
    (
        "AWS/SES",
        "https://docs.aws.amazon.com/ses/latest/dg/reputationdashboard-cloudwatch-alarm.html",
        &["Reputation.BounceRate", "Reputation.ComplaintRate"],
    ),
    (
        "AWS/SQS",
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html",
        &["ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"],
    ),
    (
        "AWS/States",
        "https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html",
        &["ExecutionsAborted", "ExecutionsFailed", "ExecutionsStarted", "ExecutionsTimedOut"],
    ),
    (
        "AWS/DynamoDB",
        "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html",
        &[
            "ConsumedReadCapacityUnits",
            "ConsumedWriteCapacityUnits",
            "ReadThrottleEvents",
            "WriteThrottleEvents",
        ],
    ),
    (
        "AWS/S3",
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html",
        &["BucketSizeBytes"],
    ),
    (
        "AWS/Logs",
        "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch-Logs-Monitoring-CloudWatch-Metrics.html",
        &["IncomingBytes"],
    ),
];

fn of_kind(kind: &str) -> Vec<(String, Value)> {
    let resources = template()["Resources"].as_object().unwrap().clone();
    resources.into_iter().filter(|(_, resource)| resource["Type"] == kind).collect()
}

fn alarms() -> Vec<(String, Value)> {
    let alarms = of_kind("AWS::CloudWatch::Alarm").into_iter();
    alarms.map(|(name, alarm)| (name, alarm["Properties"].clone())).collect()
}

fn widgets() -> Vec<Value> {
    let dashboards = of_kind("AWS::CloudWatch::Dashboard");
    assert_eq!(dashboards.len(), 1);
    let body = dashboards[0].1["Properties"]["DashboardBody"]["Fn::Sub"].as_str().unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    body["widgets"].as_array().unwrap().clone()
}

/// A metric as an alarm names it. Values that CloudFormation fills in stay as they are written.
fn named(metric: &Value) -> Used {
    let dimensions = metric["Dimensions"].as_array().into_iter().flatten();
    let text = |value: &Value| match value.as_str().or_else(|| value["Fn::Sub"].as_str()) {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    };
    Used {
        namespace: text(&metric["Namespace"]),
        name: text(&metric["MetricName"]),
        dimensions: dimensions.map(|it| (text(&it["Name"]), text(&it["Value"]))).collect(),
    }
}

fn in_alarm(alarm: &Value) -> Vec<Used> {
    match alarm["Metrics"].as_array() {
        Some(metrics) => {
            let stats = metrics.iter().map(|metric| &metric["MetricStat"]["Metric"]);
            stats.filter(|metric| !metric.is_null()).map(named).collect()
        }
        None => vec![named(alarm)],
    }
}

/// The metrics of a graph: `[namespace, name, dimension, value, …, {options}]` each.
fn in_widget(widget: &Value) -> Vec<Used> {
    let rows = widget["properties"]["metrics"].as_array().cloned().unwrap_or_default();
    let used = rows.iter().flat_map(|row| {
        if let Some(search) = row[0]["expression"].as_str() {
            return searched(search);
        }
        let words = row.as_array().unwrap().iter().filter_map(Value::as_str).map(str::to_owned);
        let words: Vec<String> = words.collect();
        let dimensions = words[2..].chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        vec![Used { namespace: words[0].clone(), name: words[1].clone(), dimensions }]
    });
    used.collect()
}

/// The metrics that `SEARCH('{"namespace",dimension} MetricName="name"', …)` finds: those of every area.
fn searched(expression: &str) -> Vec<Used> {
    let words: Vec<&str> = expression.split('"').collect();
    let [_, namespace, dimension, name, _] = words[..] else { panic!("{expression}") };
    let dimension = dimension.trim_start_matches(',').split('}').next().unwrap();
    assert_eq!(dimension, Dimension::Area.name());
    let of = |value| Used {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        dimensions: [(dimension.to_owned(), value)].into(),
    };
    values(Some(Dimension::Area)).into_iter().map(of).collect()
}

fn in_alarms() -> Vec<Used> {
    alarms().iter().flat_map(|(_, alarm)| in_alarm(alarm)).collect()
}

fn on_the_dashboard() -> Vec<Used> {
    widgets().iter().flat_map(in_widget).collect()
}

/// The areas that sweep.
pub(crate) const SWEEPERS: [&str; 3] = ["stages", "webhooks", "billing"];

/// The values that a dimension has in this checkout.
fn values(dimension: Option<Dimension>) -> Vec<String> {
    match dimension {
        None => Vec::new(),
        Some(Dimension::Area) => AREAS.iter().map(|area| area.name.clone()).collect(),
        // A parameter names the newest one.
        Some(Dimension::Release) => vec![serde_json::json!({ "Ref": "Release" }).to_string()],
        Some(dimension) => dimension.values().iter().map(|value| (*value).to_owned()).collect(),
    }
}

fn metric(name: &str) -> Metric {
    let found = Metric::ALL.into_iter().find(|metric| metric.name() == name);
    found.unwrap_or_else(|| panic!("no function emits {name}"))
}

#[test]
fn a_stack_has_a_namespace_of_its_own() {
    let variables = &template()["Globals"]["Function"]["Environment"]["Variables"];
    assert_eq!(variables["METRICS_NAMESPACE"]["Fn::Sub"], NAMESPACE);
    assert!(NAMESPACE.starts_with(runtime::NAMESPACE));
}

#[test]
fn what_is_looked_at_is_emitted_or_is_awss_own() {
    for used in in_alarms().into_iter().chain(on_the_dashboard()) {
        if used.namespace == NAMESPACE {
            let dimension = metric(&used.name).dimension();
            let names: Vec<&str> = used.dimensions.keys().map(String::as_str).collect();
            assert_eq!(names, dimension.map(Dimension::name).into_iter().collect::<Vec<_>>(), "{used:?}");
            let known = values(dimension);
            assert!(used.dimensions.values().all(|value| known.contains(value)), "{used:?}");
            continue;
        }
        let service = AWS.iter().find(|(namespace, ..)| *namespace == used.namespace);
        let (_, source, names) = service.unwrap_or_else(|| panic!("{used:?}"));
        assert!(names.contains(&used.name.as_str()), "{used:?} is not in {source}");
    }
}

/// With every value of its dimension: what is paid for is looked at.
#[test]
fn what_is_emitted_is_on_the_dashboard() {
    let shown: BTreeSet<(String, Option<String>)> = on_the_dashboard()
        .into_iter()
        .filter(|used| used.namespace == NAMESPACE)
        .map(|used| (used.name, used.dimensions.into_values().next()))
        .collect();
    let mut emitted = BTreeSet::new();
    for metric in Metric::ALL {
        let values: Vec<Option<String>> = match metric {
            // Not every area sweeps.
            Metric::Sweeps => SWEEPERS.map(|area| Some(area.to_owned())).into(),
            // For an alarm alone.
            Metric::ReleaseErrors => continue,
            _ => match metric.dimension() {
                Some(dimension) => values(Some(dimension)).into_iter().map(Some).collect(),
                None => vec![None],
            },
        };
        emitted.extend(values.into_iter().map(|value| (metric.name().to_owned(), value)));
    }
    assert_eq!(shown, emitted);
}

#[test]
fn dimensions_have_the_values_that_there_are() {
    let sorted = |dimension: Dimension| dimension.values().iter().copied().collect::<BTreeSet<_>>();
    let stages = endpoints().into_iter().filter(|endpoint| endpoint.caller == CalledBy::Stage);
    assert_eq!(sorted(Dimension::Stage), stages.map(|endpoint| endpoint.name()).collect());
    let kinds = sorted(Dimension::Kind);
    for kind in [
        domain::ledger::EntryKind::SignupBonus,
        domain::ledger::EntryKind::Purchase,
        domain::ledger::EntryKind::Subscription,
        domain::ledger::EntryKind::Gift,
    ] {
        assert!(kinds.contains(kind.word()), "{kind:?}");
    }
}

#[test]
fn the_dashboard_asks_four_questions_and_nothing_overlaps() {
    let widgets = widgets();
    let questions: Vec<&str> = widgets
        .iter()
        .filter(|widget| widget["type"] == "text")
        .map(|widget| widget["properties"]["markdown"].as_str().unwrap())
        .collect();
    let expected = ["## Is it working?", "## Is it fast?", "## What does it cost?", "## Where is the money?"];
    assert_eq!(questions, expected);
    let number = |widget: &Value, name: &str| widget[name].as_u64().unwrap();
    let mut taken = BTreeSet::new();
    for widget in &widgets {
        let (x, y) = (number(widget, "x"), number(widget, "y"));
        let (width, height) = (number(widget, "width"), number(widget, "height"));
        assert!(x + width <= 24, "{widget}");
        for cell in (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "two widgets at {cell:?}: {widget}");
        }
    }
}

#[test]
fn every_alarm_is_told_and_its_time_is_one_that_cloudwatch_takes() {
    for (name, alarm) in alarms() {
        for actions in ["AlarmActions", "OKActions"] {
            // What a release is taken back for tells nobody: the deployment does.
            let told = !alarm[actions].is_null();
            assert_eq!(told, !takes_back(&name), "{name}");
            assert!(!told || alarm[actions][0]["Ref"] == "AlarmTopic", "{name}");
        }
        assert!(alarm["TreatMissingData"].is_string(), "{name} does not say what silence means");
        let periods: BTreeSet<u64> = match alarm["Metrics"].as_array() {
            Some(metrics) => {
                metrics.iter().filter_map(|metric| metric["MetricStat"]["Period"].as_u64()).collect()
            }
            None => alarm["Period"].as_u64().into_iter().collect(),
        };
        assert_eq!(periods.len(), 1, "{name}");
        let period = *periods.first().unwrap();
        let whole = period * alarm["EvaluationPeriods"].as_u64().unwrap();
        // PutMetricAlarm: a day, or with periods of an hour or more seven days.
        assert!(whole <= if period < 3600 { 86_400 } else { 604_800 }, "{name}");
    }
    let queues = of_kind("AWS::SQS::Queue").into_iter().map(|(name, _)| name);
    let watched: BTreeSet<String> =
        in_alarms().into_iter().filter_map(|used| used.dimensions.get("QueueName").cloned()).collect();
    for queue in queues.filter(|name| name.ends_with("DeadLetters")) {
        assert!(watched.iter().any(|text| text.contains(&format!("\"{queue}\""))), "{queue} has no alarm");
    }
}

/// CloudWatch may not publish to a topic that is encrypted with the key that AWS manages for SNS
/// (<https://repost.aws/knowledge-center/cloudwatch-configure-alarm-sns>).
#[test]
fn cloudwatch_may_use_the_key_of_the_topic() {
    let resources = template()["Resources"].clone();
    assert_eq!(resources["AlarmTopic"]["Properties"]["KmsMasterKeyId"]["Ref"], "AlarmKey");
    let key = &resources["AlarmKey"]["Properties"]["KeyPolicy"]["Statement"];
    let topic = &resources["AlarmTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"];
    let allowed = |statements: &Value, action: &str| {
        statements.as_array().unwrap().iter().any(|statement| {
            statement["Principal"]["Service"] == "cloudwatch.amazonaws.com"
                && statement["Action"].to_string().contains(&format!("\"{action}\""))
        })
    };
    assert!(allowed(key, "kms:Decrypt") && allowed(key, "kms:GenerateDataKey*"));
    assert!(allowed(topic, "sns:Publish"));
}

/// Whether an alarm is there for deployments to watch.
fn takes_back(name: &str) -> bool {
    name == "ReleaseErrorsAlarm" || !name.ends_with("Alarm")
}

/// What GitHub calls a heading.
fn anchor(heading: &str) -> String {
    heading.to_lowercase().replace(' ', "-")
}

#[test]
fn every_alarm_has_its_runbook_and_every_runbook_an_alarm() {
    let text = read("docs/operations.md");
    let mut sections = BTreeMap::new();
    for section in text.split("\n### ").skip(1) {
        let (heading, body) = section.split_once('\n').unwrap();
        let body = body.split("\n## ").next().unwrap();
        for part in ["**Means.**", "**Users see.**", "**Look.**", "**Do.**", "**Goes away**"] {
            assert!(body.contains(part), "{heading} does not say {part}");
        }
        sections.insert(anchor(heading), body.to_owned());
    }
    let mut named = BTreeSet::new();
    for (name, alarm) in alarms() {
        let description = alarm["AlarmDescription"].as_str().unwrap();
        let (_, section) = description.split_once("See docs/operations.md#").unwrap();
        let body = sections.get(section).unwrap_or_else(|| panic!("{name}: no section {section}"));
        // Those of single functions are too many to be named.
        let named_alarm = if name.ends_with("Alarm") { name.as_str() } else { "…Errors" };
        assert!(body.contains(&format!("`{named_alarm}`")), "{section} does not name {name}");
        named.insert(section.to_owned());
    }
    assert_eq!(named, sections.into_keys().collect());
}
