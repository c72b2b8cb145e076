//! The data files.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Deserialize;

/// List prices.
#[derive(Debug, Deserialize)]
pub struct Prices {
    /// When they were looked up.
    pub date: String,
    /// Where they hold.
    pub region: String,
    /// By our name for them.
    pub prices: BTreeMap<String, Price>,
}

/// One price.
#[derive(Debug, Deserialize)]
pub struct Price {
    /// US dollars for a unit.
    pub usd: f64,
    /// What it is for.
    pub unit: String,
    /// AWS's page that states it.
    pub page: String,
    /// Whether a copy of the page, or somebody who quotes it, was read when the prices were collected.
    pub confirmed: bool,
}

impl Prices {
    /// Dollars for one unit.
    ///
    /// # Errors
    /// When there is no such price.
    pub fn usd(&self, name: &str) -> anyhow::Result<f64> {
        self.prices.get(name).map(|price| price.usd).with_context(|| format!("there is no price {name}"))
    }
}

/// What jobs take.
#[derive(Debug, Deserialize)]
pub struct Measured {
    /// When it was measured.
    pub date: String,
    /// On what.
    pub machine: String,
    /// The kinds of jobs, the usual one first.
    pub kinds: Vec<Kind>,
    /// The functions of the stages, as the template has them.
    pub functions: BTreeMap<String, Function>,
    /// What every job takes, of whatever kind.
    pub job: Job,
    /// What an hour of speech takes.
    pub speech: Speech,
    /// How fast bytes move.
    pub network: Network,
    /// What is paid for each month, jobs or not.
    pub fixed: Fixed,
}

/// A kind of job.
#[derive(Debug, Deserialize)]
pub struct Kind {
    /// A word for it.
    pub name: String,
    /// What is made.
    pub what: String,
    /// Where its figures come from.
    pub from: String,
    /// The name of its price in the product's own price list.
    pub price: String,
    /// Minutes of what is delivered.
    pub minutes: f64,
    /// Whether that has a picture, in HD, or is sound alone.
    pub picture: bool,
    /// Megabytes of what is delivered.
    pub clip_mb: f64,
    /// Megabytes that are read of the source.
    pub read_mb: f64,
    /// The functions that do the work.
    pub stages: Vec<Stage>,
}

/// One function's part in a job.
#[derive(Debug, Deserialize)]
pub struct Stage {
    /// Its logical id in the template.
    pub function: String,
    /// How many of it run for the job.
    pub times: u32,
    /// Seconds of one vCPU, each time.
    pub cpu_s: f64,
    /// How many vCPUs it keeps busy at best.
    pub cores: f64,
    /// Megabytes that it reads and writes, each time.
    pub moves_mb: f64,
}

/// A function's size.
#[derive(Debug, Deserialize)]
pub struct Function {
    /// Its memory, which also decides on its vCPUs.
    pub memory_mb: f64,
    /// Its scratch space.
    pub storage_mb: f64,
}

/// What every job takes.
#[derive(Debug, Deserialize)]
pub struct Job {
    /// Where this comes from.
    pub from: String,
    /// Milliseconds of the functions that do no media work, by what they do.
    pub control_ms: BTreeMap<String, f64>,
    /// Their memory.
    pub control_memory_mb: f64,
    /// How often its owner asks how it stands.
    pub status_reads: f64,
    /// Requests of SQS.
    pub sqs_requests: f64,
    /// Bytes of log.
    pub log_bytes: f64,
    /// Write request units.
    pub dynamodb_writes: f64,
    /// Read request units.
    pub dynamodb_reads: f64,
    /// PUT, COPY, POST and LIST.
    pub s3_puts: f64,
    /// GET and HEAD.
    pub s3_gets: f64,
    /// Of the state machine, without those within a Map.
    pub state_transitions: f64,
}

/// What an hour of speech takes to become words.
#[derive(Debug, Deserialize)]
pub struct Speech {
    /// Where this comes from.
    pub from: String,
    /// Seconds of one vCPU to find where somebody speaks.
    pub find_cpu_s: f64,
    /// Seconds of one vCPU to recognise the words.
    pub words_cpu_s: f64,
    /// Seconds until a function has its models.
    pub load_s: f64,
    /// Pieces that it is cut into.
    pub pieces: u32,
    /// Memory of the functions: one vCPU, because a piece has one thread.
    pub memory_mb: f64,
}

/// How fast bytes move.
#[derive(Debug, Deserialize)]
pub struct Network {
    /// Where this comes from.
    pub from: String,
    /// Megabytes a second of one function.
    pub mb_per_s: f64,
}

/// What is paid for each month.
#[derive(Debug, Deserialize)]
pub struct Fixed {
    /// Where this comes from.
    pub from: String,
    /// Secrets.
    pub secrets: f64,
    /// Runs of timers each minute.
    pub schedules_per_minute: f64,
    /// Custom metrics.
    pub metrics: f64,
    /// Alarms.
    pub alarms: f64,
    /// Dashboards.
    pub dashboards: f64,
    /// Gigabytes in the table.
    pub table_gb: f64,
}
