//! What is counted and measured: one closed list, and how it reaches CloudWatch.
//!
//! Whoever knows a number [adds](Metrics::add) it, after the transaction that made it true. At the end of an invocation
//! the numbers become one line of the log in the embedded metric format, from which CloudWatch takes them
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>):
//! no call, no daemon, nothing that waits while an environment is frozen. An invocation without numbers writes no line.
//!
//! Dashboard, alarms and this list are compared by `tests/contract/metrics.rs`. A metric costs $0.30 a month for each value
//! of its dimension, so it has one dimension at most, with few values.
//!
//! `App::end_job` counts ends, the table itself counts what its transactions have moved (`store::flows`); a repeat that
//! changes nothing counts nothing. A crash may lose a number, and CloudWatch may rarely take a line twice: the ledger
//! is the truth.
//!
//! The crate `metrics_cloudwatch_embedded` (0.10, Apache-2.0, one maintainer) was left out: it collects behind the
//! `metrics` facade, whose macros take any name from anywhere. We want the opposite, a list that a test compares with
//! dashboard and alarms; that takes a hundred lines, no global state and nothing more in a cold start.
//!
//! A line weighs 0.3 kB (a cold start, a stage) to 1 kB (the end of a job). A request writes at most one, a read in a
//! warm environment none. A clip of five stages writes about 2.5 kB, so a million clips cost $1.25 at $0.50 a GB.

use std::sync::{Mutex, PoisonError};

use domain::time::Timestamp;
use serde::Serialize;
use serde_json::{Map, Number, Value, json};

/// The namespace of all of them; that of a stack is told by [`NAMESPACE_VAR`], so that two in one account stay apart.
pub const NAMESPACE: &str = "Clipwright";
/// The environment variable with the namespace of the stack.
pub(crate) const NAMESPACE_VAR: &str = "METRICS_NAMESPACE";
/// The environment variable that names the release.
pub(crate) const RELEASE_VAR: &str = "RELEASE";

/// What a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// How many.
    Count,
    /// How long.
    Seconds,
    /// How much data.
    Bytes,
    /// Micro-dollars: CloudWatch has no word for money.
    None,
}

impl Unit {
    const fn word(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Seconds => "Seconds",
            Self::Bytes => "Bytes",
            Self::None => "None",
        }
    }
}

/// What a metric is told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// How a job ended.
    Result,
    /// How what it delivered was made.
    Method,
    /// Which function did the work.
    Stage,
    /// Why money came in.
    Kind,
    /// How a payment ended.
    Outcome,
    /// Which binary it is.
    Area,
    /// Which release it is, by the name that a deployment gives it.
    Release,
}

impl Dimension {
    /// Its name in CloudWatch.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Result => "Result",
            Self::Method => "Method",
            Self::Stage => "Stage",
            Self::Kind => "Kind",
            Self::Outcome => "Outcome",
            Self::Area => "Area",
            Self::Release => "Release",
        }
    }

    /// All values that it has. Areas and releases are not listed: which there are is not known here.
    #[must_use]
    pub const fn values(self) -> &'static [&'static str] {
        match self {
            Self::Result => &["complete", "failed", "refused", "cancelled"],
            Self::Method => &["copy", "smart", "encode", "fan_out"],
            Self::Stage => &[
                "reserve", "plan", "transfer", "assemble", "words", "hear", "divide", "listen", "gather",
                "find", "choose", "download", "process", "join", "upload", "lose", "settle", "release",
                "probe", "captions",
            ],
            Self::Kind => &["signup_bonus", "purchase", "subscription", "gift"],
            Self::Outcome => &["paid", "declined", "expired"],
            Self::Area | Self::Release => &[],
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Jobs that ended, by result: `complete`, `failed` (our fault), `refused` (the source's, or for want of money) or
    /// `cancelled`.
    Jobs,
    /// For each job that ended 1 if it failed by our fault, else 0. So its average is the ratio, with no gaps in it.
    JobFaults,
    /// Jobs that completed, by method.
    JobsMade,
    /// From acceptance to completion, of each job that completed.
    JobSeconds,
    /// What a stage took that did its work, by stage.
    StageSeconds,
    /// What a job had read of its source when it ended.
    BytesRead,
    /// The size of what a job delivered.
    BytesWritten,
    /// How long the oldest job has waited for a slot, of those that the sweeper looked after.
    QueueAge,
    /// Jobs that have not ended; each has an open hold.
    OpenHolds,
    /// Those of them that the sweeper should have ended, and could not.
    OverdueHolds,
    /// Micro-dollars that came into wallets, by kind of the entry.
    MoneyIn,
    /// Micro-dollars that were charged.
    MoneyOut,
    /// Micro-dollars of holds that were given back.
    Refunds,
    /// Micro-dollars that were taken back of payments, for a refund or a lost dispute.
    MoneyTakenBack,
    /// Payments that ended, by outcome.
    Payments,
    /// Payments that a bank disputes.
    Disputes,
    /// Requests that say they are Stripe's and are not, or whose event could not be taken.
    EventsRefused,
    /// How long the oldest payment whose outcome is not known has waited for it; a page that is still open does not count.
    PaymentAge,
    /// Micro-dollars that can be spent, in all wallets together, as the last reconciliation found them.
    MoneyAvailable,
    /// Micro-dollars that are held, likewise.
    MoneyHeld,
    /// Wallets that a reconciliation checked, once it is through with all of them.
    WalletsChecked,
    /// Wallets that are not what their entries say; 0 if all is well, so that silence is something else.
    LedgerMismatches,
    /// Runs of a sweeper, by area.
    Sweeps,
    /// Webhooks that nobody took for a day.
    DeadDeliveries,
    /// Accounts that were opened while their bonus has to wait.
    BonusesWaiting,
    /// Mails that were not sent because strangers had asked for as many as they may in an hour.
    MailsHeld,
    /// Mails that came back for good, or that somebody complained about.
    MailsReturned,
    /// Environments that were started, by area.
    ColdStarts,
    /// Requests that were answered with a server error, by release: what a release is taken back for.
    ReleaseErrors,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 29] = [
        Self::Jobs,
        Self::JobFaults,
        Self::JobsMade,
        Self::JobSeconds,
        Self::StageSeconds,
        Self::BytesRead,
        Self::BytesWritten,
        Self::QueueAge,
        Self::OpenHolds,
        Self::OverdueHolds,
        Self::MoneyIn,
        Self::MoneyOut,
        Self::Refunds,
        Self::MoneyTakenBack,
        Self::Payments,
        Self::Disputes,
        Self::EventsRefused,
        Self::PaymentAge,
        Self::MoneyAvailable,
        Self::MoneyHeld,
        Self::WalletsChecked,
        Self::LedgerMismatches,
        Self::Sweeps,
        Self::DeadDeliveries,
        Self::BonusesWaiting,
        Self::MailsHeld,
        Self::MailsReturned,
        Self::ColdStarts,
        Self::ReleaseErrors,
    ];

    /// Its name in CloudWatch.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jobs => "Jobs",
            Self::JobFaults => "JobFaults",
            Self::JobsMade => "JobsMade",
            Self::JobSeconds => "JobSeconds",
            Self::StageSeconds => "StageSeconds",
            Self::BytesRead => "BytesRead",
            Self::BytesWritten => "BytesWritten",
            Self::QueueAge => "QueueAge",
            Self::OpenHolds => "OpenHolds",
            Self::OverdueHolds => "OverdueHolds",
            Self::MoneyIn => "MoneyIn",
            Self::MoneyOut => "MoneyOut",
            Self::Refunds => "Refunds",
            Self::MoneyTakenBack => "MoneyTakenBack",
            Self::Payments => "Payments",
            Self::Disputes => "Disputes",
            Self::EventsRefused => "EventsRefused",
            Self::PaymentAge => "PaymentAge",
            Self::MoneyAvailable => "MoneyAvailable",
            Self::MoneyHeld => "MoneyHeld",
            Self::WalletsChecked => "WalletsChecked",
            Self::LedgerMismatches => "LedgerMismatches",
            Self::Sweeps => "Sweeps",
            Self::DeadDeliveries => "DeadDeliveries",
            Self::BonusesWaiting => "BonusesWaiting",
            Self::MailsHeld => "MailsHeld",
            Self::MailsReturned => "MailsReturned",
            Self::ColdStarts => "ColdStarts",
            Self::ReleaseErrors => "ReleaseErrors",
        }
    }

    /// Its unit.
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Self::JobSeconds | Self::StageSeconds | Self::QueueAge | Self::PaymentAge => Unit::Seconds,
            Self::BytesRead | Self::BytesWritten => Unit::Bytes,
            Self::MoneyIn
            | Self::MoneyOut
            | Self::Refunds
            | Self::MoneyTakenBack
            | Self::MoneyAvailable
            | Self::MoneyHeld => Unit::None,
            Self::Jobs
            | Self::JobFaults
            | Self::JobsMade
            | Self::OpenHolds
            | Self::OverdueHolds
            | Self::WalletsChecked
            | Self::LedgerMismatches
            | Self::Sweeps
            | Self::DeadDeliveries
            | Self::Payments
            | Self::Disputes
            | Self::EventsRefused
            | Self::BonusesWaiting
            | Self::MailsHeld
            | Self::MailsReturned
            | Self::ColdStarts
            | Self::ReleaseErrors => Unit::Count,
        }
    }

    /// The dimension that it is told apart by, if there is one.
    #[must_use]
    pub const fn dimension(self) -> Option<Dimension> {
        match self {
            Self::Jobs => Some(Dimension::Result),
            Self::JobsMade => Some(Dimension::Method),
            Self::StageSeconds => Some(Dimension::Stage),
            Self::MoneyIn => Some(Dimension::Kind),
            Self::Payments => Some(Dimension::Outcome),
            Self::Sweeps | Self::ColdStarts => Some(Dimension::Area),
            Self::ReleaseErrors => Some(Dimension::Release),
            _ => None,
        }
    }

    /// This metric for one value of its dimension.
    #[must_use]
    pub const fn of(self, value: &'static str) -> Series {
        Series { metric: self, value }
    }
}

/// A metric, and the value of its dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    metric: Metric,
    /// Empty without a dimension.
    value: &'static str,
}

impl From<Metric> for Series {
    fn from(metric: Metric) -> Self {
        metric.of("")
    }
}

impl Series {
    fn dimension(self) -> Option<(&'static str, &'static str)> {
        self.metric.dimension().map(|dimension| (dimension.name(), self.value))
    }
}

/// Numbers of one metric may travel in one line.
const VALUES_MAX: usize = 100;

/// The numbers of the invocation that is under way.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<Vec<(Series, Number)>>);

impl Metrics {
    /// Adds a number.
    pub fn add(&self, series: impl Into<Series>, number: impl Into<Number>) {
        self.points().push((series.into(), number.into()));
    }

    /// Adds a time in milliseconds to a metric in seconds.
    #[allow(clippy::cast_precision_loss)] // exact for 200,000 years
    pub fn add_ms(&self, series: impl Into<Series>, ms: i64) {
        // Not a number is what a quotient of whole numbers by 1000 never is.
        if let Some(number) = Number::from_f64(ms as f64 / 1000.0) {
            self.add(series, number);
        }
    }

    /// Takes the numbers as lines for the log: one as a rule, more if numbers of one metric differ in its dimension.
    /// `about` tells what they belong to.
    pub(crate) fn take_lines<T: Serialize>(&self, namespace: &str, now: Timestamp, about: &T) -> Vec<String> {
        let mut lines: Vec<Line> = Vec::new();
        for (series, number) in std::mem::take(&mut *self.points()) {
            let Some(line) = lines.iter_mut().find(|line| line.takes(series)) else {
                lines.push(Line::from((series, number)));
                continue;
            };
            line.push(series, number);
        }
        lines.into_iter().map(|line| line.text(namespace, now, about)).collect()
    }

    fn points(&self) -> std::sync::MutexGuard<'_, Vec<(Series, Number)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Numbers that fit into one line: a dimension has one value in it.
struct Line(Vec<(Series, Vec<Number>)>);

impl From<(Series, Number)> for Line {
    fn from((series, number): (Series, Number)) -> Self {
        Self(vec![(series, vec![number])])
    }
}

impl Line {
    fn takes(&self, series: Series) -> bool {
        let agrees = |(theirs, numbers): &(Series, Vec<Number>)| match (theirs.dimension(), series.dimension()) {
            (Some((name, value)), Some((other, wanted))) if name == other => value == wanted,
            _ => true,
        } && (*theirs != series || numbers.len() < VALUES_MAX);
        self.0.iter().all(agrees)
    }

    fn push(&mut self, series: Series, number: Number) {
        match self.0.iter_mut().find(|(theirs, _)| *theirs == series) {
            Some((_, numbers)) => numbers.push(number),
            None => self.0.push((series, vec![number])),
        }
    }

    fn text<T: Serialize>(self, namespace: &str, now: Timestamp, about: &T) -> String {
        let mut directives: Vec<(Option<&str>, Vec<Value>)> = Vec::new();
        let mut root = match serde_json::to_value(about) {
            Ok(Value::Object(about)) => about,
            _ => Map::new(),
        };
        for (series, numbers) in self.0 {
            let Series { metric, value } = series;
            let definition = json!({ "Name": metric.name(), "Unit": metric.unit().word() });
            let dimension = metric.dimension().map(Dimension::name);
            match directives.iter_mut().find(|(theirs, _)| *theirs == dimension) {
                Some((_, metrics)) => metrics.push(definition),
                None => directives.push((dimension, vec![definition])),
            }
            if let Some(name) = dimension {
                root.insert(name.to_owned(), json!(value));
            }
            root.insert(metric.name().to_owned(), json!(numbers));
        }
        let directives: Vec<Value> = directives
            .into_iter()
            .map(|(dimension, metrics)| {
                let set: Vec<&str> = dimension.into_iter().collect();
                json!({ "Namespace": namespace, "Dimensions": [set], "Metrics": metrics })
            })
            .collect();
        root.insert("_aws".to_owned(), json!({ "Timestamp": now.0, "CloudWatchMetrics": directives }));
        Value::Object(root).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn lines(metrics: &Metrics) -> Vec<Value> {
        let about = json!({ "handler": "stages.settle", "job_id": "a1" });
        metrics
            .take_lines("Clipwright/s", NOW, &about)
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn an_invocation_is_one_line_that_says_what_it_is_about() {
        let metrics = Metrics::default();
        metrics.add(Metric::Jobs.of("complete"), 1);
        metrics.add(Metric::MoneyOut, 100_000);
        metrics.add_ms(Metric::StageSeconds.of("settle"), 250);
        metrics.add(Metric::JobFaults, 0);
        let defined = |name: &str, unit: &str| json!({ "Name": name, "Unit": unit });
        let of = |dimensions: Value, metrics: &[Value]| json!({ "Namespace": "Clipwright/s", "Dimensions": [dimensions], "Metrics": metrics });
        let expected = json!({
            "_aws": { "Timestamp": NOW.0, "CloudWatchMetrics": [
                of(json!(["Result"]), &[defined("Jobs", "Count")]),
                of(json!([]), &[defined("MoneyOut", "None"), defined("JobFaults", "Count")]),
                of(json!(["Stage"]), &[defined("StageSeconds", "Seconds")]),
            ] },
            "handler": "stages.settle", "job_id": "a1", "Result": "complete", "Stage": "settle",
            "Jobs": [1], "MoneyOut": [100_000], "StageSeconds": [0.25], "JobFaults": [0],
        });
        assert_eq!(lines(&metrics), [expected]);
        assert!(lines(&metrics).is_empty(), "they are taken once, and without numbers there is no line");
    }

    #[test]
    fn a_dimension_has_one_value_in_a_line_and_a_metric_100_numbers() {
        let metrics = Metrics::default();
        for _ in 0..150 {
            metrics.add(Metric::Jobs.of("failed"), 1);
        }
        metrics.add(Metric::Jobs.of("cancelled"), 1);
        metrics.add(Metric::JobFaults, 1);
        let lines = lines(&metrics);
        let numbers = |line: &Value, name: &str| line[name].as_array().map(Vec::len);
        let seen: Vec<_> = lines
            .iter()
            .map(|line| (line["Result"].as_str().unwrap(), numbers(line, "Jobs"), numbers(line, "JobFaults")))
            .collect();
        assert_eq!(
            seen,
            [("failed", Some(100), Some(1)), ("failed", Some(50), None), ("cancelled", Some(1), None)]
        );
    }

    #[test]
    fn names_differ_and_none_is_also_a_dimension() {
        let names: std::collections::BTreeSet<_> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        assert_eq!(names.len(), Metric::ALL.len());
        assert!(
            Metric::ALL.iter().filter_map(|metric| metric.dimension()).all(|it| !names.contains(it.name()))
        );
    }
}
