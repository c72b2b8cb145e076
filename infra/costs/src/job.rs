//! What one job costs, by service.

use anyhow::Context as _;

use crate::data::{Kind, Measured, Prices, Stage};

/// Lambda gives one vCPU for so many megabytes.
const MB_PER_VCPU: f64 = 1769.0;
/// Days that an object of a rule of one day lies there, on average: rules run at midnight behind it.
const STORED_DAYS: f64 = 1.5;
/// What X-Ray records without being asked to: 5 % of requests, beyond the first of each second.
const TRACED: f64 = 0.05;
/// States that run for each share of a job, or for some jobs only.
const IN_MAP: [&str; 4] = ["ProcessFunction", "TransferFunction", "JoinFunction", "ListenFunction"];

/// Dollars of one job.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) lambda: f64,
    pub(crate) steps: f64,
    pub(crate) dynamodb: f64,
    pub(crate) s3: f64,
    /// API Gateway, SQS, logs, traces.
    pub(crate) around: f64,
    /// The clip, fetched once over the internet.
    pub(crate) delivery: f64,
    /// Seconds of functions: what a job takes of the account's concurrency.
    pub(crate) function_s: f64,
    /// State transitions.
    pub(crate) transitions: f64,
}

impl Cost {
    /// Without the delivery.
    pub(crate) fn made(&self) -> f64 {
        self.lambda + self.steps + self.dynamodb + self.s3 + self.around
    }
}

/// How long one run of a stage takes, in seconds.
fn seconds(stage: &Stage, memory_mb: f64, measured: &Measured) -> f64 {
    let vcpus = (memory_mb / MB_PER_VCPU).min(stage.cores);
    stage.cpu_s / vcpus + stage.moves_mb / measured.network.mb_per_s
}

/// What a job of this kind costs.
///
/// # Errors
/// When a price or a function's size is missing.
pub(crate) fn cost(kind: &Kind, prices: &Prices, measured: &Measured) -> anyhow::Result<Cost> {
    let job = &measured.job;
    let mut cost = Cost::default();
    let (mut requests, mut inner) = (0.0, 0.0);
    for stage in &kind.stages {
        let function = measured.functions.get(&stage.function);
        let function = function.with_context(|| format!("{} has no size", stage.function))?;
        let times = f64::from(stage.times);
        let all_s = seconds(stage, function.memory_mb, measured) * times;
        let scratch_gb = (function.storage_mb - 512.0).max(0.0) / 1024.0;
        cost.function_s += all_s;
        cost.lambda += all_s * function.memory_mb / 1024.0 * prices.usd("lambda_gb_second")?
            + all_s * scratch_gb * prices.usd("lambda_storage_gb_second")?;
        requests += times;
        inner += if IN_MAP.contains(&stage.function.as_str()) { times } else { 0.0 };
    }
    for (what, ms) in &job.control_ms {
        let times = if what == "status read" { job.status_reads } else { 1.0 };
        let all_s = ms / 1000.0 * times;
        cost.function_s += all_s;
        cost.lambda += all_s * job.control_memory_mb / 1024.0 * prices.usd("lambda_gb_second")?;
        requests += times;
    }
    cost.lambda += requests * prices.usd("lambda_request")?;
    cost.transitions = job.state_transitions + inner;
    cost.steps = cost.transitions * prices.usd("step_transition")?;
    cost.dynamodb = job.dynamodb_writes * prices.usd("dynamodb_write")?
        + job.dynamodb_reads * prices.usd("dynamodb_read")?;
    // The span in `work/`, what was made of it, and its copy in `clips/`.
    let stored_gb = (kind.read_mb + 2.0 * kind.clip_mb) / 1000.0;
    cost.s3 = (job.s3_puts + inner) * prices.usd("s3_put")?
        + (job.s3_gets + inner) * prices.usd("s3_get")?
        + stored_gb * STORED_DAYS / 30.0 * prices.usd("s3_gb_month")?;
    cost.around = (1.0 + job.status_reads) * prices.usd("api_request")?
        + job.sqs_requests * prices.usd("sqs_request")?
        + job.log_bytes / 1e9 * prices.usd("logs_gb")?
        + TRACED * requests * prices.usd("trace")?;
    cost.delivery = kind.clip_mb / 1000.0 * prices.usd("out_gb")?;
    Ok(cost)
}

/// Dollars a month that are paid without any job.
///
/// # Errors
/// When a price is missing.
pub(crate) fn fixed(prices: &Prices, measured: &Measured) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let fixed = &measured.fixed;
    let runs = fixed.schedules_per_minute * 60.0 * 24.0 * 30.0;
    // A timer's function that finds nothing to do: 50 ms and four queries, half a unit each at the least.
    let idle = prices.usd("schedule")?
        + prices.usd("lambda_request")?
        + 0.05 * measured.job.control_memory_mb / 1024.0 * prices.usd("lambda_gb_second")?
        + 2.0 * prices.usd("dynamodb_read")?;
    let table = prices.usd("dynamodb_gb_month")? + prices.usd("dynamodb_pitr_gb_month")?;
    Ok(vec![
        ("timers that find nothing to do", runs * idle),
        ("custom metrics", fixed.metrics * prices.usd("metric_month")?),
        ("alarms", fixed.alarms * prices.usd("alarm_month")?),
        ("the dashboard", fixed.dashboards * prices.usd("dashboard_month")?),
        ("secrets", fixed.secrets * prices.usd("secret_month")?),
        ("the table's storage, with point-in-time recovery", fixed.table_gb * table),
    ])
}
