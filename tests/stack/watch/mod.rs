//! What is told to whoever watches: numbers, the story of a job, and whether the books balance.

mod numbers;
mod reconcile;
mod story;

use serde_json::Value;

use crate::stack::Cloud;
use crate::stack::door::secrets::logs;

/// The lines that functions have logged, as far as they are JSON.
pub(crate) fn lines(cloud: &Cloud) -> Vec<Value> {
    let logs = logs(cloud).into_iter().filter(|(name, _)| !name.ends_with("ministack.log"));
    let text: Vec<String> = logs.map(|(_, text)| text).collect();
    text.iter().flat_map(|text| text.lines()).filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The lines that carry numbers of a metric.
pub(crate) fn counted(cloud: &Cloud, metric: &str) -> Vec<Value> {
    lines(cloud).into_iter().filter(|line| line["_aws"].is_object() && line[metric].is_array()).collect()
}

/// A field of the line, or of what it belongs to.
fn id<'a>(line: &'a Value, name: &str) -> Option<&'a str> {
    line[name].as_str().or_else(|| line["span"][name].as_str())
}
