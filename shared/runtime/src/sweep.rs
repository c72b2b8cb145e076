//! Looking after all that is due of one kind, page by page, as long as there is time.
//!
//! A sweeper gives each kind a lane of its own, and all lanes run at once: so however much there is of one kind, or however
//! slow it is, the others are looked after. What is left waits for the next sweep.

use std::{
    future::{Future, ready},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use store::{StoreError, due::Due};
use tokio::time::{Instant, timeout_at};
use tracing::{error, info, warn};

use crate::{App, StageError};

/// How many things of one kind are looked after at once, usually.
const AT_ONCE: usize = 16;
/// What a sweep keeps to report with, and for what is under way to end: nothing new is begun with less time left.
const MARGIN: Duration = Duration::from_secs(12);
/// The part of it that is for the report. What is still under way then is given up, as if the function had died.
const REPORT: Duration = Duration::from_secs(6);
/// No sweep takes longer than the minute after which the next one comes.
const SWEEP_MS_MAX: i64 = 60_000;

/// How long a sweep may go on.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Nothing is begun from here on.
    last_start: Instant,
    /// Nothing goes on from here on.
    end: Instant,
}

impl Budget {
    /// What this invocation has.
    #[must_use]
    pub fn of(app: &App) -> Self {
        let left_ms = app.time_left_ms().clamp(0, SWEEP_MS_MAX);
        Self::ending_in(Duration::from_millis(left_ms.unsigned_abs()))
    }

    fn ending_in(left: Duration) -> Self {
        let now = Instant::now();
        Self { last_start: now + left.saturating_sub(MARGIN), end: now + left.saturating_sub(REPORT) }
    }

    fn may_start(&self) -> bool {
        Instant::now() < self.last_start
    }
}

/// Looks after what is due of one kind: `list` answers a page of it, `look` looks after one. A `look` that fails says so
/// itself and keeps nothing else from being looked after.
///
/// # Errors
/// [`StageError::Passing`] if a page cannot be listed. Running out of time is no error.
pub async fn sweep<T, P, Listed, Looked>(
    kind: &'static str,
    budget: Budget,
    list: impl Fn(Option<P>) -> Listed,
    look: impl Fn(T) -> Looked,
) -> Result<(), StageError>
where
    Listed: Future<Output = Result<Due<T, P>, StoreError>>,
    Looked: Future<Output = ()>,
{
    sweep_by(AT_ONCE, kind, budget, list, look).await
}

/// As [`sweep`], `at_once` of them at a time.
///
/// # Errors
/// As [`sweep`].
pub async fn sweep_by<T, P, Listed, Looked>(
    at_once: usize,
    kind: &'static str,
    budget: Budget,
    list: impl Fn(Option<P>) -> Listed,
    look: impl Fn(T) -> Looked,
) -> Result<(), StageError>
where
    Listed: Future<Output = Result<Due<T, P>, StoreError>>,
    Looked: Future<Output = ()>,
{
    let done = AtomicU64::new(0);
    let pages = async {
        let mut from = None;
        while budget.may_start() {
            let Due { found, next } = list(from).await?;
            let in_time = stream::iter(found).take_while(|_| ready(budget.may_start()));
            let each = in_time.for_each_concurrent(at_once, |one| async {
                look(one).await;
                done.fetch_add(1, Ordering::Relaxed);
            });
            each.await;
            match next {
                Some(next) => from = Some(next),
                None => return Ok(budget.may_start()),
            }
        }
        Ok(false)
    };
    let outcome = timeout_at(budget.end, pages).await.unwrap_or(Ok(false));
    let done = done.into_inner();
    match &outcome {
        Ok(true) if done == 0 => {}
        Ok(true) => info!(kind, done, "swept"),
        Ok(false) => warn!(kind, done, "time is up, the rest waits for the next sweep"),
        Err(problem) => error!(kind, done, %problem, "could not be listed"),
    }
    outcome.map(drop).map_err(|problem: StoreError| problem.into())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// `count` things, in pages of seven; the place of a page is its first.
    async fn page(count: u64, from: Option<u64>) -> Result<Due<u64, u64>, StoreError> {
        let from = from.unwrap_or_default();
        let to = count.min(from + 7);
        Ok(Due { found: (from..to).collect(), next: (to < count).then_some(to) })
    }

    fn budget(last_start_ms: u64, end_ms: u64) -> Budget {
        let now = Instant::now();
        Budget {
            last_start: now + Duration::from_millis(last_start_ms),
            end: now + Duration::from_millis(end_ms),
        }
    }

    #[tokio::test]
    async fn everything_is_looked_after_once() {
        let looked = Mutex::new(Vec::new());
        let looked = &looked;
        let look = async |one| looked.lock().unwrap().push(one);
        sweep("thing", budget(60_000, 60_000), |from| page(2000, from), look).await.unwrap();
        let mut looked = looked.lock().unwrap().clone();
        looked.sort_unstable();
        assert_eq!(looked, (0..2000).collect::<Vec<_>>());
    }

    /// One kind hangs for ever, another one is without end: the third is looked after, and there is time to report.
    #[tokio::test]
    async fn a_kind_that_hangs_or_has_no_end_keeps_none_of_the_others_waiting() {
        let endless = AtomicU64::new(0);
        let (endless, looked) = (&endless, &AtomicU64::new(0));
        let budget = budget(100, 150);
        let (hangs, goes_on, ends) = tokio::join!(
            sweep("hangs", budget, |from| page(30, from), |_| std::future::pending::<()>()),
            sweep(
                "goes on",
                budget,
                |from| page(u64::MAX, from),
                async |_| {
                    endless.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
            ),
            sweep(
                "ends",
                budget,
                |from| page(30, from),
                async |_| {
                    looked.fetch_add(1, Ordering::Relaxed);
                }
            ),
        );
        assert!(hangs.is_ok() && goes_on.is_ok() && ends.is_ok());
        assert_eq!(looked.load(Ordering::Relaxed), 30);
        assert!(endless.load(Ordering::Relaxed) > 0);
    }

    #[tokio::test]
    async fn without_time_nothing_is_begun() {
        let look = async |_| panic!("there is no time");
        let list = async |_: Option<u64>| -> Result<Due<u64, u64>, StoreError> { panic!("there is no time") };
        sweep("thing", budget(0, 1), list, look).await.unwrap();
    }

    #[tokio::test]
    async fn what_cannot_be_listed_is_told() {
        let list = async |_: Option<u64>| Err::<Due<u64, u64>, _>(StoreError::NotFound);
        assert!(sweep("thing", budget(60_000, 60_000), list, async |_| {}).await.is_err());
    }
}
