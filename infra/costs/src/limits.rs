//! Where the first limits lie, in jobs a second.

use crate::{data::Measured, job::Cost};

/// A limit of an AWS account as it is given out.
pub(crate) struct Limit {
    pub(crate) what: &'static str,
    pub(crate) given: &'static str,
    /// Jobs of the usual kind a second at which it bites.
    pub(crate) jobs_per_s: f64,
    pub(crate) why: String,
    pub(crate) raise: &'static str,
}

/// The limits, the first that bites first.
pub(crate) fn limits(usual: &Cost, measured: &Measured) -> Vec<Limit> {
    let job = &measured.job;
    let requests = 1.0 + job.status_reads;
    let mut limits = vec![
        Limit {
            what: "Lambda: functions at once",
            given: "1,000 an account and region",
            jobs_per_s: 1000.0 / usual.function_s,
            why: format!("a job keeps functions busy for {:.1} s in all", usual.function_s),
            raise: "Service Quotas, Lambda, Concurrent executions; reserve some for the API's functions, so that media work cannot take all",
        },
        Limit {
            what: "DynamoDB: a new on-demand table",
            given: "4,000 writes/s, doubling its peak every 30 min",
            jobs_per_s: 4000.0 / job.dynamodb_writes,
            why: format!("a job takes {} write units", job.dynamodb_writes),
            raise: "warm the table up (warm throughput) before a launch",
        },
        Limit {
            what: "DynamoDB: a table's quota",
            given: "40,000 writes/s",
            jobs_per_s: 40_000.0 / job.dynamodb_writes,
            why: format!("a job takes {} write units", job.dynamodb_writes),
            raise: "Service Quotas, DynamoDB, Table-level write throughput",
        },
        Limit {
            what: "DynamoDB: one partition key",
            given: "1,000 writes/s",
            jobs_per_s: 500.0,
            why: "all open jobs have one key in the index `open`, which is written twice a job".to_owned(),
            raise: "cannot be raised: spread `open` over several values (one place in `keys.rs`), which the sweeper then asks for one by one",
        },
        Limit {
            what: "Step Functions: StartExecution",
            given: "300/s after a burst of 1,300",
            jobs_per_s: 300.0,
            why: "one execution a job".to_owned(),
            raise: "Service Quotas, Step Functions; a start that is throttled is made up by the sweeper",
        },
        Limit {
            what: "Step Functions: state transitions",
            given: "5,000/s",
            jobs_per_s: 5000.0 / usual.transitions,
            why: format!("{} transitions a job", usual.transitions),
            raise: "Service Quotas, Step Functions",
        },
        Limit {
            what: "API Gateway: requests",
            given: "10,000/s an account and region, 5,000 at once",
            jobs_per_s: 10_000.0 / requests,
            why: format!("{requests} requests a job: its acceptance, and {} looks at it", job.status_reads),
            raise: "Service Quotas, API Gateway; `?wait=20` instead of many looks takes fewer",
        },
        Limit {
            what: "S3: one prefix",
            given: "3,500 PUT and 5,500 GET/s",
            jobs_per_s: 3500.0 / job.s3_puts,
            why: format!("{} PUT a job, most of them below `work/`", job.s3_puts),
            raise: "S3 parts prefixes by itself as load grows; ids are random, so that it can",
        },
    ];
    limits.sort_by(|a, b| a.jobs_per_s.total_cmp(&b.jobs_per_s));
    limits
}
