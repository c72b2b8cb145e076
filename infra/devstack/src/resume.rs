//! Jobs that were under way when the local cloud ended, politely or not.
//!
//! Executions live in ministack, which starts anew, so those of the last time are gone. On AWS they would not be, so the
//! sweeper looks for them only when a job is overdue, which takes an hour. Here every job that has not ended is made due at
//! once: the sweeper starts again what had not begun, and releases the rest with its money.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use domain::time::Timestamp;

use crate::Info;
use crate::http::for_service;

/// The logical name of the sweeper's function.
const SWEEPER: &str = "SweepFunction";

/// Has the sweeper look at every job that has not ended. Answers how many there are.
pub(crate) async fn look_after_jobs(info: &Info, client: &reqwest::Client) -> anyhow::Result<usize> {
    let (true, Some(sweeper)) = (info.tables.contains_key("Table"), info.functions.get(SWEEPER)) else {
        return Ok(0);
    };
    let table = crate::seed::table(info)?;
    let (mut jobs, mut from) = (BTreeSet::new(), None);
    // All are found first: a change of when a job is due moves it in the index.
    loop {
        let page = table.due_jobs(Timestamp(i64::MAX), from).await?;
        jobs.extend(page.found);
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    for job in &jobs {
        table.set_due(job, Timestamp(0)).await?;
    }
    if !jobs.is_empty() {
        let url = format!("{}/2015-03-31/functions/{sweeper}/invocations", info.ministack_url);
        let call = client
            .post(url)
            .header("authorization", for_service("lambda"))
            .header("x-amz-invocation-type", "Event");
        let answer = call.body("{}").send().await.context("cannot call the sweeper")?;
        if !answer.status().is_success() {
            bail!("the sweeper cannot be called: {}", answer.status());
        }
    }
    Ok(jobs.len())
}
