//! A function's resources in a template, made of its row.

use anyhow::Context as _;
use runtime::{CalledBy, Described};
use yaml_serde::{Mapping, Value};

use crate::areas::{Area, camel};
use crate::yaml::{list, map, map_of, number, reference, sub, tagged, text};

/// Lambda names are 64 characters at most; this is what a stack's name, which stands in front of them, may take.
pub const STACK_NAME_MAX: usize = 40;

/// Where a function stands: in the root stack, whose resources it names, or in a nested one, whose parameters it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The root stack.
    Root,
    /// The stack of an area.
    Nested,
}

/// What a value of the stack is in the root template: an expression of one reference, or of more.
///
/// # Errors
/// When the root template has nothing of the name.
pub(crate) fn root_value(name: &str, parameters: &Mapping) -> anyhow::Result<Value> {
    let attribute = |id: &str, attribute: &str| tagged("GetAtt", text(format!("{id}.{attribute}")));
    Ok(match name {
        "Stack" => reference("AWS::StackName"),
        "FunctionBoundary" => reference("FunctionBoundary"),
        "TableName" => reference("Table"),
        "TableArn" => attribute("Table", "Arn"),
        "MediaBucket" => reference("MediaBucket"),
        "MediaBucketArn" => attribute("MediaBucket", "Arn"),
        "ClipMachineArn" => reference("ClipMachine"),
        "ClipMachineName" => attribute("ClipMachine", "Name"),
        "ProbeFunction" | "CaptionsFunction" | "WordsFunction" | "FindFunction" => {
            reference(&format!("{name}.Alias"))
        }
        "WebhooksSecretArn" => attribute("WebhooksSecret", "Id"),
        // Without a secret the policy names one that there is not.
        "PageSecret" => choice("HasPageSecret", reference("PageSecretArn"), sub(NO_SECRET)),
        // A profile spreads its requests over the models of several regions, each of which must be allowed.
        "LargeModels" => choice("HasMomentsModel", sub(ALL_MODELS), sub(NO_MODEL)),
        "StripeSecret" => choice("HasStripeSecret", reference("StripeSecretArn"), sub(NO_SECRET)),
        "PublicUrl" => choice(
            "HasPublicUrl",
            reference("PublicUrl"),
            choice("HasDomain", sub("https://${DomainName}"), sub(API_URL)),
        ),
        // Pages tell their address by the request, which may come in by several names.
        "PageUrl" => reference("PublicUrl"),
        "MailSet" => reference("MailSet"),
        "WebhooksDeadLettersUrl" => reference("WebhooksDeadLetters"),
        "WebhooksDeadLettersArn" => attribute("WebhooksDeadLetters", "Arn"),
        _ => {
            if let Some(queue) = name.strip_suffix("QueueUrl") {
                reference(&format!("{queue}Queue"))
            } else if let Some(queue) = name.strip_suffix("QueueArn") {
                attribute(&format!("{queue}Queue"), "Arn")
            } else {
                let known = parameters.contains_key(name);
                known.then(|| reference(name)).with_context(|| {
                    format!(
                        "nothing in template.yaml gives {name} a value: add the parameter {name} there, or say in \
                         infra/generate/src/functions.rs (root_value) what it is"
                    )
                })?
            }
        }
    })
}

const ALL_MODELS: &str = "arn:${AWS::Partition}:bedrock:*:*:*/*";
const NO_MODEL: &str = "arn:${AWS::Partition}:bedrock:${AWS::Region}::foundation-model/none";
const NO_SECRET: &str = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:none";
const API_URL: &str = "https://${HttpApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}";

fn choice(condition: &str, one: Value, other: Value) -> Value {
    tagged("If", list([text(condition), one, other]))
}

/// Writes functions for one place.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    pub(crate) place: Place,
    pub(crate) area: &'a Area,
    /// The root template's parameters.
    pub(crate) parameters: &'a Mapping,
}

impl Writer<'_> {
    /// The value of the stack that is called `name`.
    fn value(&self, name: &str) -> anyhow::Result<Value> {
        match self.place {
            Place::Nested => Ok(reference(name)),
            Place::Root => root_value(name, self.parameters),
        }
    }

    /// An ARN whose `${Name}`s are values of the stack.
    fn arn(&self, template: &str) -> anyhow::Result<Value> {
        let whole = template.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        if let Some(name) = whole.filter(|name| !name.contains(['$', '{'])) {
            return self.value(name);
        }
        let mut parts = template.split("${");
        let mut done = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').context("a name without an end")?;
            done += &match (name.starts_with("AWS::"), self.value(name)) {
                (true, _) => format!("${{{name}}}"),
                (false, value) => in_text(&value?)?,
            };
            done += rest;
        }
        Ok(sub(done))
    }

    /// The resources of one row: the function and, behind the API, the alarm that takes a release back.
    pub(crate) fn resources(&self, row: &Described) -> anyhow::Result<Vec<(String, Value)>> {
        let id = format!("{}Function", camel(row.name()));
        let mut properties = Mapping::new();
        let mut put = |key: &str, value: Value| properties.insert(text(key), value);
        if self.place == Place::Nested {
            put("FunctionName", sub(format!("${{Stack}}-{}-{}", self.area.name, row.name())));
        }
        if self.area.is_container {
            put("PackageType", text("Image"));
            put("ImageUri", reference(&self.area.image()));
            put("ImageConfig", map([("Command", list([text(&row.handler)]))]));
        } else {
            put("Handler", text(&row.handler));
            put("Runtime", text("provided.al2023"));
            let up = if self.place == Place::Nested { "../../" } else { "" };
            put("CodeUri", text(format!("{up}target/lambda/{}", self.area.name)));
        }
        put("LoggingConfig", map([("LogGroup", reference(&self.logs_id()))]));
        put("AutoPublishCodeSha256", reference("Release"));
        let is_http = !row.routes.is_empty();
        let alarm = format!("{}Errors", camel(row.name()));
        if is_http {
            // A tenth of the requests for 5 minutes, then all, unless the new version fails or the release as a whole does.
            put(
                "DeploymentPreference",
                map([
                    ("Type", text("Canary10Percent5Minutes")),
                    ("Alarms", list([reference(&alarm), sub("${Stack}-release-errors")])),
                ]),
            );
        }
        if row.many {
            let bound =
                choice("HasMediaConcurrency", reference("MediaConcurrency"), reference("AWS::NoValue"));
            put("ReservedConcurrentExecutions", bound);
        }
        if row.memory_mb != MEMORY_MB {
            put("MemorySize", number(row.memory_mb));
        }
        if row.timeout_s != TIMEOUT_S {
            put("Timeout", number(row.timeout_s));
        }
        if row.scratch_mb != SCRATCH_MB {
            put("EphemeralStorage", map([("Size", number(row.scratch_mb))]));
        }
        let env: Vec<(String, Value)> = row
            .env
            .iter()
            .map(|(name, value)| Ok((name.clone(), self.value(value)?)))
            .collect::<anyhow::Result<_>>()?;
        if !env.is_empty() {
            put("Environment", map([("Variables", map_of(env))]));
        }
        if !row.statements.is_empty() {
            put("Policies", self.policies(row)?);
        }
        if let Some(event) = self.event(row)? {
            put("Events", event);
        }
        let function =
            map([("Type", text("AWS::Serverless::Function")), ("Properties", Value::Mapping(properties))]);
        let mut resources = vec![(id.clone(), function)];
        if is_http {
            resources.push((alarm, errors_alarm(&id, &row.handler)));
        }
        Ok(resources)
    }

    fn policies(&self, row: &Described) -> anyhow::Result<Value> {
        let mut statements = Vec::new();
        for statement in &row.statements {
            let mut resources: Vec<Value> =
                statement.resources.iter().map(|arn| self.arn(arn)).collect::<anyhow::Result<_>>()?;
            let resource = if resources.len() == 1 { resources.remove(0) } else { list(resources) };
            statements.push(map([
                ("Effect", text("Allow")),
                ("Action", list(statement.actions.iter().map(text))),
                ("Resource", resource),
            ]));
        }
        Ok(list([map([("Version", text("2012-10-17")), ("Statement", list(statements))])]))
    }

    fn event(&self, row: &Described) -> anyhow::Result<Option<Value>> {
        Ok(match &row.caller {
            CalledBy::Queue(queue) => Some(map([(
                "Queue",
                map([
                    ("Type", text("SQS")),
                    (
                        "Properties",
                        map([
                            ("Queue", self.value(&format!("{queue}Arn"))?),
                            ("BatchSize", number(1)),
                            ("FunctionResponseTypes", list([text("ReportBatchItemFailures")])),
                        ]),
                    ),
                ]),
            )])),
            CalledBy::Schedule { expression, retries } => {
                let mut properties = Mapping::new();
                properties.insert(text("ScheduleExpression"), text(expression));
                if let Some(retries) = retries {
                    properties.insert(text("RetryPolicy"), map([("MaximumRetryAttempts", number(*retries))]));
                }
                properties.insert(text("OmitName"), Value::Bool(true));
                Some(map([(
                    "Timer",
                    map([("Type", text("ScheduleV2")), ("Properties", Value::Mapping(properties))]),
                )]))
            }
            CalledBy::Open
            | CalledBy::Page
            | CalledBy::Uncounted
            | CalledBy::Rest
            | CalledBy::Key
            | CalledBy::Session
            | CalledBy::Stage => None,
        })
    }

    /// The log group of the area, where it stands.
    pub(crate) fn logs_id(&self) -> String {
        match self.place {
            Place::Nested => "Logs".to_owned(),
            Place::Root => format!("{}Logs", self.area.logical_id()),
        }
    }

    /// The log group itself.
    pub(crate) fn logs(&self) -> (String, Value) {
        let stack = if self.place == Place::Nested { "${Stack}" } else { "${AWS::StackName}" };
        let group = map([
            ("Type", text("AWS::Logs::LogGroup")),
            (
                "Properties",
                map([
                    ("LogGroupName", sub(format!("/{stack}/{}", self.area.name))),
                    ("RetentionInDays", reference("LogRetentionDays")),
                ]),
            ),
        ]);
        (self.logs_id(), group)
    }
}

/// What `Globals` says of every function, as the rows count it.
const MEMORY_MB: u32 = 256;
const TIMEOUT_S: u32 = 29;
const SCRATCH_MB: u32 = 512;

/// What all functions of a template have in common. In the root template it is written by hand.
pub(crate) fn globals() -> Value {
    let function = map([
        ("Architectures", list([reference("Architecture")])),
        ("MemorySize", number(MEMORY_MB)),
        ("Timeout", number(TIMEOUT_S)),
        ("Tracing", reference("Tracing")),
        ("PermissionsBoundary", reference("FunctionBoundary")),
        ("Description", text("Release")),
        ("AutoPublishAlias", text("live")),
        (
            "Environment",
            map([(
                "Variables",
                map([("METRICS_NAMESPACE", sub("Clipwright/${Stack}")), ("RELEASE", reference("Release"))]),
            )]),
        ),
    ]);
    map([("Function", function)])
}

/// Calls of the new version, and of no other, that ended without an answer. One is enough: a version that cannot start, or
/// dies, does so each time.
fn errors_alarm(function: &str, handler: &str) -> Value {
    let dimension = |name: &str, value: Value| map([("Name", text(name)), ("Value", value)]);
    map([
        ("Type", text("AWS::CloudWatch::Alarm")),
        (
            "Properties",
            map([
                (
                    "AlarmDescription",
                    text(format!(
                        "The newest version of {handler} ends without an answer; its release is taken back. See \
                         docs/operations.md#a-release-that-is-taken-back"
                    )),
                ),
                ("Namespace", text("AWS/Lambda")),
                ("MetricName", text("Errors")),
                (
                    "Dimensions",
                    list([
                        dimension("FunctionName", reference(function)),
                        dimension("Resource", sub(format!("${{{function}}}:live"))),
                        dimension(
                            "ExecutedVersion",
                            tagged("GetAtt", text(format!("{function}.Version.Version"))),
                        ),
                    ]),
                ),
                ("Statistic", text("Sum")),
                ("Period", number(60)),
                ("EvaluationPeriods", number(1)),
                ("ComparisonOperator", text("GreaterThanOrEqualToThreshold")),
                ("Threshold", number(1)),
                ("TreatMissingData", text("notBreaching")),
            ]),
        ),
    ])
}

/// The text that stands for a value within a `Fn::Sub`.
fn in_text(value: &Value) -> anyhow::Result<String> {
    match value {
        Value::Tagged(tagged) => {
            let inner = tagged.value.as_str().context("a choice cannot stand within a text")?;
            Ok(format!("${{{inner}}}"))
        }
        _ => anyhow::bail!("{value:?} is no reference"),
    }
}
