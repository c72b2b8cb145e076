//! Reconcile: every night, compare each wallet with its entries.
//!
//! The timer calls it every hour. The first call of a night begins, each goes on where the one before had to stop, and those
//! that come when all is done find that out by one read. So nothing needs to be handed on, and a crash costs one page.

use std::sync::Arc;

use runtime::{App, Metric, StageError};
use store::reconcile::{Finding, Pass};
use tracing::{error, info, warn};

/// No page is begun with less time left, in milliseconds.
const MARGIN_MS: i64 = 90_000;

/// Checks as many wallets as there is time for.
///
/// # Errors
/// [`StageError::Passing`] if the table cannot be read; the next call goes on.
pub async fn handle(app: Arc<App>) -> Result<(), StageError> {
    let has_time = || app.time_left_ms() > MARGIN_MS;
    let pass = app.table()?.reconcile(app.now(), None, has_time, |account, kind, finding| {
        let wallet = kind.word();
        match finding {
            Finding::Wrong(mismatch) => error!(%account, wallet, %mismatch, "the books do not balance"),
            Finding::Unsettled => warn!(%account, wallet, "it changed whenever it was looked at"),
            Finding::Fine(_) => {}
        }
    });
    let Some(pass) = pass.await? else { return Ok(()) };
    let Pass { wallets, mismatches, unsettled, available, held, .. } = pass;
    let ended = pass.ended_at.is_some();
    info!(wallets, mismatches, unsettled, available, held, ended, "reconciled");
    let metrics = app.metrics();
    // At once if something is wrong; that nothing is can be said at the end only.
    if ended || mismatches > 0 {
        metrics.add(Metric::LedgerMismatches, mismatches);
    }
    if ended {
        metrics.add(Metric::WalletsChecked, wallets);
        metrics.add(Metric::MoneyAvailable, available);
        metrics.add(Metric::MoneyHeld, held);
    }
    Ok(())
}
