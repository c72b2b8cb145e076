//! The end of a job, told and counted once, whoever ends it.

use domain::job::Job;
use store::{StoreError, jobs::Ending};

use crate::{App, ConfigError, Dimension, Metric};

impl App {
    /// Ends a job, tells whoever listens, and counts it. `false` if it had ended before: then nothing changed, and nothing
    /// is counted.
    ///
    /// # Errors
    /// What the store says.
    pub async fn end_job<E>(&self, job: &Job, ending: &Ending) -> Result<bool, E>
    where
        E: From<StoreError> + From<ConfigError>,
    {
        let orders = self.table()?.end(&job.id, ending, self.now()).await?;
        let Some(orders) = orders else { return Ok(false) };
        self.count(job, ending);
        self.deliver(&orders).await;
        Ok(true)
    }

    fn count(&self, job: &Job, ending: &Ending) {
        let (metrics, result) = (self.metrics(), result(ending));
        metrics.add(Metric::Jobs.of(result), 1);
        metrics.add(Metric::JobFaults, u8::from(result == FAILED));
        metrics.add(Metric::BytesRead, job.source_bytes_read);
        let Ending::Complete { .. } = ending else { return };
        metrics.add_ms(Metric::JobSeconds, self.now().0.saturating_sub(job.created_at.0));
        if let Some(output) = &job.output {
            let method = Dimension::Method.values().iter().find(|method| **method == output.method);
            if let Some(method) = method {
                metrics.add(Metric::JobsMade.of(method), 1);
            }
            metrics.add(Metric::BytesWritten, output.size_bytes);
        }
    }
}

/// The result of a job that failed by our fault.
const FAILED: &str = "failed";

fn result(ending: &Ending) -> &'static str {
    match ending {
        Ending::Complete { .. } => "complete",
        Ending::Failed { failure, .. } if failure.is_ours() => FAILED,
        Ending::Failed { .. } => "refused",
        Ending::Cancelled => "cancelled",
    }
}
