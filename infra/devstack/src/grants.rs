//! IAM proved by use: what functions were seen to ask of AWS, in the logs of local clouds, against what the template grants.
//!
//! Missing is what a function did and may not do: on AWS it would be denied. Unused is what it may do and was never seen to.
//! A grant is one action on one resource of a statement, so that each of them needs a reason. What SAM grants by itself
//! (reading from an event's queue, tracing, logs) is not in the template and not compared. `cargo xtask test` keeps the
//! logs of all local clouds below `.local/test-logs`; unused grants fail it only if every test ran.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value as Json;

use crate::routes::ALIAS;
use crate::{Info, nested};

/// The file beside the logs of a local cloud that tells what its resources are called.
pub(crate) const NAMES: &str = "names.json";

/// What came of the comparison.
#[derive(Debug, Default)]
pub struct Report {
    /// Calls that are not granted, as `function: action on resource (operation)`.
    pub missing: BTreeSet<String>,
    /// Grants that no call used, as `function: action on resource`.
    pub unused: BTreeSet<String>,
    functions: usize,
    called: BTreeSet<String>,
    grants: usize,
    calls: u64,
    kinds: BTreeSet<(String, String, String)>,
    clouds: usize,
}

impl Report {
    /// For people; `all` tells what is unused, too.
    #[must_use]
    pub fn text(&self, all: bool) -> String {
        let mut text = format!(
            "IAM by use: {} calls of {} kinds by {} of {} functions in {} local clouds; {} grants (action × resource), \
             {} calls not granted",
            self.calls,
            self.kinds.len(),
            self.called.len(),
            self.functions,
            self.clouds,
            self.grants,
            self.missing.len(),
        );
        if all {
            let _ = write!(text, ", {} grants not used", self.unused.len());
        }
        for line in &self.missing {
            let _ = write!(text, "\n  not granted  {line}");
        }
        for line in self.unused.iter().filter(|_| all) {
            let _ = write!(text, "\n  not used     {line}");
        }
        text
    }
}

/// One action on one resource, which may be chosen by a condition: then there are several.
#[derive(Debug)]
struct Grant {
    action: String,
    resource: Json,
}

/// Compares the template with all logs of the local clouds that have a folder each in `logs`.
///
/// # Errors
/// When a file cannot be read, or there are no logs.
pub fn compare(template: &Path, logs: &Path) -> anyhow::Result<Report> {
    let granted = granted(&nested::read(template)?);
    let mut report = Report { functions: granted.len(), ..Report::default() };
    report.grants = granted.values().map(Vec::len).sum();
    let mut used = BTreeSet::new();
    let folders = std::fs::read_dir(logs).with_context(|| format!("cannot read {}", logs.display()))?;
    for folder in folders {
        let folder = folder?.path();
        // A cloud that failed to start has called nothing.
        let Ok(names) = std::fs::read(folder.join(NAMES)) else { continue };
        let info: Info = serde_json::from_slice(&names)?;
        report.clouds += 1;
        for (function, grants) in &granted {
            let log =
                folder.join(format!("{}.log", info.functions.get(function).context("an unknown function")?));
            let calls = calls(&log)?;
            look(&mut report, &mut used, (function, grants), &calls, &info);
        }
    }
    if report.clouds == 0 {
        bail!("no logs of a local cloud below {}", logs.display());
    }
    for (function, grants) in &granted {
        let unused = grants.iter().enumerate().filter(|(at, _)| !used.contains(&(function.clone(), *at)));
        report
            .unused
            .extend(unused.map(|(_, grant)| format!("{function}: {} on {}", grant.action, grant.resource)));
    }
    Ok(report)
}

/// Judges the calls of one function on one cloud.
fn look(
    report: &mut Report,
    used: &mut BTreeSet<(String, usize)>,
    (function, grants): (&String, &[Grant]),
    calls: &BTreeMap<[String; 3], u64>,
    info: &Info,
) {
    let patterns: Vec<Vec<String>> = grants.iter().map(|grant| patterns(&grant.resource, info)).collect();
    for ([operation, action, resource], count) in calls {
        report.calls += count;
        report.called.insert(function.clone());
        report.kinds.insert((function.clone(), action.clone(), shape(resource)));
        let covers = |at: &usize| {
            grants[*at].action == *action && patterns[*at].iter().any(|pattern| matches(pattern, resource))
        };
        let covering: Vec<usize> = (0..grants.len()).filter(covers).collect();
        // Reading what is perhaps not there works without: S3 then says "denied", which the reader takes for "not found".
        let may_be_denied = operation == "GetObject" && action == "s3:ListBucket";
        if covering.is_empty() && !may_be_denied {
            report.missing.insert(format!("{function}: {action} on {} ({operation})", shape(resource)));
        }
        used.extend(covering.into_iter().map(|at| (function.clone(), at)));
    }
}

/// A resource without the name of an execution, which is another one each time.
fn shape(resource: &str) -> String {
    match resource.strip_prefix("execution:").and_then(|rest| rest.split_once(':')) {
        Some((machine, _)) => format!("execution:{machine}:*"),
        None => resource.to_owned(),
    }
}

/// The grants of each function, by its logical id.
fn granted(template: &Json) -> BTreeMap<String, Vec<Grant>> {
    let resources = template["Resources"].as_object().into_iter().flatten();
    let functions = resources.filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function");
    let of_function = |resource: &Json| {
        let policies = resource["Properties"]["Policies"].as_array().into_iter().flatten();
        let statements = policies.flat_map(|policy| list(&policy["Statement"]));
        statements.flat_map(|statement| grants(&statement)).collect()
    };
    functions.map(|(id, resource)| (id.clone(), of_function(resource))).collect()
}

/// Every action of a statement with every resource.
fn grants(statement: &Json) -> Vec<Grant> {
    // A statement that depends on a condition counts when it is there.
    if let Some(branches) = statement["Fn::If"].as_array() {
        return branches.iter().skip(1).flat_map(grants).collect();
    }
    let resources = list(&statement["Resource"]);
    let of_action = |action: Json| {
        let action = action.as_str().unwrap_or_default().to_owned();
        resources.clone().into_iter().map(move |resource| Grant { action: action.clone(), resource })
    };
    list(&statement["Action"]).into_iter().flat_map(of_action).collect()
}

fn list(value: &Json) -> Vec<Json> {
    match value {
        Json::Null => Vec::new(),
        Json::Array(items) => items.clone(),
        one => vec![one.clone()],
    }
}

/// What a resource of the template covers on a local cloud, as last parts of ARNs.
fn patterns(resource: &Json, info: &Info) -> Vec<String> {
    if let Some(branches) = resource["Fn::If"].as_array() {
        return branches.iter().skip(1).flat_map(|branch| patterns(branch, info)).collect();
    }
    let text = if let Some(text) = resource.as_str() {
        text.to_owned()
    } else if let Some(id) = resource["Ref"].as_str() {
        part(id, info)
    } else if let Some(id) = resource["Fn::GetAtt"][0].as_str() {
        part(id, info)
    } else if let Some(text) = resource["Fn::Sub"].as_str() {
        substituted(text, info)
    } else {
        return Vec::new();
    };
    // `arn:partition:service:region:account:` in front of what is told in the logs.
    let last = if text.starts_with("arn:") { text.splitn(6, ':').nth(5).unwrap_or_default() } else { &text };
    vec![last.to_owned()]
}

/// Puts names for `${Id.Arn}` and `${Id.Name}`; everything else stands in the front of an ARN, which is not compared.
fn substituted(text: &str, info: &Info) -> String {
    let mut parts = text.split("${");
    let mut done = parts.next().unwrap_or_default().to_owned();
    for part_of in parts {
        let (name, rest) = part_of.split_once('}').unwrap_or((part_of, ""));
        let id = name.split('.').next().unwrap_or_default();
        let value = match (name, info.state_machines.get(id)) {
            (_, Some(arn)) if name.ends_with(".Name") => last(arn, ':').to_owned(),
            _ if name.starts_with("AWS::") => "*".to_owned(),
            // A name that the stack gives, and that nothing here tells.
            _ => known(id, info).unwrap_or_else(|| "*".to_owned()),
        };
        done.push_str(&value);
        done.push_str(rest);
    }
    done
}

/// What the logs call the resource `id`: the last part of its ARN.
fn part(id: &str, info: &Info) -> String {
    // A secret: made by the stack, or named by a parameter. No function may read more than one.
    known(id, info).unwrap_or_else(|| "secret:*".to_owned())
}

/// The same of a resource that a local cloud has told the name of.
fn known(id: &str, info: &Info) -> Option<String> {
    let table = info.tables.get(id).map(|name| format!("table/{name}"));
    let queue = || info.queues.get(id).map(|url| last(url, '/').to_owned());
    // A function is called by its alias.
    let function = || {
        let name = info.functions.get(id.strip_suffix(".Alias")?)?;
        Some(format!("function:{name}:{ALIAS}"))
    };
    let machine = || info.state_machines.get(id).map(|arn| format!("stateMachine:{}", last(arn, ':')));
    table.or_else(|| info.buckets.get(id).cloned()).or_else(queue).or_else(function).or_else(machine)
}

fn last(text: &str, separator: char) -> &str {
    text.rsplit(separator).next().unwrap_or(text)
}

/// Whether an IAM pattern, whose `*` stands for anything, covers `resource`.
fn matches(pattern: &str, resource: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = resource.strip_prefix(first) else { return false };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    true
}

/// How often each operation, action and resource stands in a function's log; none if it was never called.
fn calls(log: &Path) -> anyhow::Result<BTreeMap<[String; 3], u64>> {
    let mut calls = BTreeMap::new();
    let Ok(file) = File::open(log) else { return Ok(calls) };
    for line in BufReader::new(file).split(b'\n') {
        let line = line.with_context(|| format!("cannot read {}", log.display()))?;
        // What programs say goes there, too; a line that a crash cut off is none.
        let Ok(event) = serde_json::from_slice::<Json>(&line) else { continue };
        if event["target"] == "aws_call" {
            let field = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
            *calls.entry([field("operation"), field("action"), field("resource")]).or_default() += 1;
        }
    }
    Ok(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "
Resources:
  Get:
    Type: AWS::Serverless::Function
    Properties:
      Policies:
        - Statement:
            - { Action: ['dynamodb:GetItem', 'dynamodb:Query'], Resource: !GetAtt Table.Arn }
            - { Action: ['dynamodb:Query'], Resource: !Sub '${Table.Arn}/index/open' }
            - { Action: ['s3:GetObject'], Resource: [!Sub '${Bucket.Arn}/clips/*', !Sub '${Bucket.Arn}/work/*'] }
            - Action: ['states:StopExecution']
              Resource: !Sub 'arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:execution:${Machine.Name}:*'
            - { Action: ['lambda:InvokeFunction'], Resource: !Ref Get.Alias }
            - Action: ['secretsmanager:GetSecretValue']
              Resource: !If [Has, !Ref SecretArn, !Sub 'arn:aws:secretsmanager:x:y:secret:none']
";

    /// The report of one cloud whose one function said these lines.
    fn report(lines: &[(&str, &str, &str)]) -> Report {
        let folder = tempfile::tempdir().unwrap();
        let logs = folder.path().join("logs/one");
        std::fs::create_dir_all(&logs).unwrap();
        let name = |id: &str, name: &str| [(id.to_owned(), name.to_owned())].into();
        let info = Info {
            tables: name("Table", "T"),
            buckets: name("Bucket", "b"),
            functions: name("Get", "stack-Get"),
            state_machines: name("Machine", "arn:aws:states:r:0:stateMachine:M"),
            ..Info::default()
        };
        std::fs::write(logs.join(NAMES), serde_json::to_vec(&info).unwrap()).unwrap();
        let event = |(operation, action, resource): &(&str, &str, &str)| {
            serde_json::json!({ "target": "aws_call", "operation": operation, "action": action, "resource": resource })
                .to_string()
        };
        let said: Vec<String> = lines.iter().map(event).collect();
        let text = format!("not JSON\n{{\"target\":\"other\"}}\n{}\n{{\"target\":\"aws_c", said.join("\n"));
        std::fs::write(logs.join("stack-Get.log"), text).unwrap();
        let template = folder.path().join("template.yaml");
        std::fs::write(&template, TEMPLATE).unwrap();
        compare(&template, &folder.path().join("logs")).unwrap()
    }

    #[test]
    fn what_is_granted_and_used_is_neither_missing_nor_unused() {
        let report = report(&[
            ("GetItem", "dynamodb:GetItem", "table/T"),
            ("Query", "dynamodb:Query", "table/T"),
            ("Query", "dynamodb:Query", "table/T/index/open"),
            ("GetObject", "s3:GetObject", "b/clips/24h/"),
            ("GetObject", "s3:GetObject", "b/work/"),
            ("GetObject", "s3:ListBucket", "b"),
            ("StopExecution", "states:StopExecution", "execution:M:j-1"),
            ("GetSecretValue", "secretsmanager:GetSecretValue", "secret:page-x"),
            ("Invoke", "lambda:InvokeFunction", "function:stack-Get:live"),
        ]);
        assert_eq!((report.missing, report.unused), Default::default());
        assert_eq!((report.grants, report.calls), (8, 9));
    }

    #[test]
    fn an_action_is_granted_on_its_resource_alone() {
        let report = report(&[
            ("GetItem", "dynamodb:GetItem", "table/T/index/open"),
            ("GetObject", "s3:GetObject", "b/uploads/"),
            ("HeadObject", "s3:ListBucket", "b"),
            ("StopExecution", "states:StopExecution", "execution:N:j-1"),
            ("Invoke", "lambda:InvokeFunction", "function:stack-Get"),
        ]);
        let missing: Vec<&str> = report.missing.iter().map(String::as_str).collect();
        assert_eq!(
            missing,
            [
                "Get: dynamodb:GetItem on table/T/index/open (GetItem)",
                "Get: lambda:InvokeFunction on function:stack-Get (Invoke)",
                "Get: s3:GetObject on b/uploads/ (GetObject)",
                "Get: s3:ListBucket on b (HeadObject)",
                "Get: states:StopExecution on execution:N:* (StopExecution)",
            ]
        );
        assert_eq!(report.unused.len(), 8);
    }

    #[test]
    fn a_star_stands_for_anything() {
        assert!(matches("b/clips/*", "b/clips/24h/") && matches("b", "b") && matches("a*c*e", "abcde"));
        assert!(!matches("b", "b/clips/") && !matches("b/clips/*", "b/work/") && !matches("a*c*e", "abde"));
    }
}
