//! What surrounds every invocation: the ids that stand in each of its lines, its numbers, and its part of the trace.

use std::{
    io::Write,
    net::SocketAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use domain::{ids::JobId, ledger::EntryKind, time::Timestamp};
use lambda_runtime::Context;
use serde::Serialize;
use tracing::{Span, field::Empty, info_span};

use crate::{
    App, Endpoint, Metric, Metrics,
    metrics::{NAMESPACE, NAMESPACE_VAR, RELEASE_VAR},
    trace::{self, TraceHeader},
};

/// What an environment watches: one invocation at a time, as Lambda runs them.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) metrics: Metrics,
    /// Where CloudWatch keeps them.
    namespace: String,
    /// Which release this is.
    release: &'static str,
    /// Where parts of traces are told.
    daemon: Option<SocketAddr>,
    warm: AtomicBool,
    subject: Mutex<Subject>,
}

/// What the invocation is found to be about.
#[derive(Debug)]
struct Subject {
    span: Span,
    job: Option<JobId>,
    /// When Lambda ends it.
    deadline: Timestamp,
}

impl Default for Subject {
    fn default() -> Self {
        Self { span: Span::none(), job: None, deadline: Timestamp(i64::MAX) }
    }
}

impl Watch {
    /// What the environment says of itself.
    pub(crate) fn of_environment() -> Self {
        Self {
            metrics: Metrics::default(),
            namespace: std::env::var(NAMESPACE_VAR).unwrap_or_else(|_| NAMESPACE.to_owned()),
            // Read once; what it is lives as long as the environment.
            release: Box::leak(std::env::var(RELEASE_VAR).unwrap_or_default().into_boxed_str()),
            daemon: trace::daemon(),
            warm: AtomicBool::default(),
            subject: Mutex::default(),
        }
    }

    /// From here on every line of this invocation names the job.
    pub(crate) fn about(&self, job: &JobId) {
        let mut subject = self.subject();
        subject.span.record("job_id", job.as_str());
        subject.job = Some(job.clone());
    }

    /// When Lambda ends this invocation.
    pub(crate) fn deadline(&self) -> Timestamp {
        self.subject().deadline
    }

    fn subject(&self) -> MutexGuard<'_, Subject> {
        self.subject.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One invocation.
pub(crate) struct Invocation {
    endpoint: &'static Endpoint,
    request_id: String,
    trace: Option<TraceHeader>,
    begun_ms: i64,
    begun: Instant,
    /// Carries the ids.
    pub(crate) span: Span,
}

/// What a line of numbers belongs to.
#[derive(Serialize)]
struct About<'a> {
    handler: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<&'a JobId>,
}

impl Invocation {
    /// Begins one; `job` is the job that its request names.
    pub(crate) fn begin(
        app: &App,
        endpoint: &'static Endpoint,
        context: Option<&Context>,
        job: Option<&str>,
    ) -> Self {
        let request_id = context.map(|context| context.request_id.clone()).unwrap_or_default();
        let trace = context.and_then(|context| TraceHeader::parse(context.xray_trace_id.as_deref()?));
        let trace_id = trace.as_ref().map(TraceHeader::root);
        let span = info_span!("invocation", handler = endpoint.handler, request_id, trace_id, job_id = Empty);
        let watch = app.watch();
        let deadline = context.and_then(|context| i64::try_from(context.deadline).ok()).unwrap_or(i64::MAX);
        *watch.subject() = Subject { span: span.clone(), job: None, deadline: Timestamp(deadline) };
        if let Some(job) = job.and_then(JobId::parse) {
            watch.about(&job);
        }
        if !watch.warm.swap(true, Ordering::Relaxed) {
            watch.metrics.add(Metric::ColdStarts.of(endpoint.area()), 1);
        }
        Self { endpoint, request_id, trace, begun_ms: app.now().0, begun: Instant::now(), span }
    }

    /// Its id.
    pub(crate) fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Counts a request that was answered with a server error: a release is taken back for a few of them.
    pub(crate) fn failed(&self, app: &App) {
        let watch = app.watch();
        watch.metrics.add(Metric::ReleaseErrors.of(watch.release), 1);
    }

    /// How long it has taken so far.
    pub(crate) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Writes its numbers down, and its part of the trace.
    pub(crate) fn end(&self, app: &App) {
        let watch = app.watch();
        let job = watch.subject().job.clone();
        for (kind, amount) in app.table().map(store::Table::take_flows).unwrap_or_default() {
            count_money(&watch.metrics, kind, amount);
        }
        let about = About {
            handler: self.endpoint.handler,
            request_id: &self.request_id,
            trace_id: self.trace.as_ref().map(TraceHeader::root),
            job_id: job.as_ref(),
        };
        for line in watch.metrics.take_lines(&watch.namespace, app.now(), &about) {
            // Nobody reads a log that cannot be written.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
        if let (Some(daemon), Some(trace), Some(job)) = (watch.daemon, &self.trace, &job) {
            trace::send(daemon, trace, self.endpoint.handler, job, (self.begun_ms, self.elapsed_ms()));
        }
    }
}

fn count_money(metrics: &Metrics, kind: EntryKind, amount: u64) {
    match kind {
        EntryKind::SignupBonus | EntryKind::Purchase | EntryKind::Subscription | EntryKind::Gift => {
            metrics.add(Metric::MoneyIn.of(kind.word()), amount);
        }
        EntryKind::Charge => metrics.add(Metric::MoneyOut, amount),
        EntryKind::Refund => metrics.add(Metric::Refunds, amount),
        EntryKind::DepositRefund | EntryKind::Dispute => metrics.add(Metric::MoneyTakenBack, amount),
        // Set aside, and still its owner's.
        EntryKind::Reservation => {}
    }
}
