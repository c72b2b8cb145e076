//! Looking at a source before any work or money is spent on it.
//!
//! Most sources are MP4 files, whose index this function reads itself with two or three range reads. Any other
//! container, and any web page, is looked at by the `media.probe` function, which has ffprobe and yt-dlp.
//!
//! So a URL that is no video, a span beyond the end or a picture that is missing is a 4xx at once, before any money
//! moves. `POST /v1/clip/info` keeps what it saw for 10 minutes (`store::looks`); a quote and a job always look for
//! themselves.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use domain::{clip::Refusal, hosts::AllowedHosts, job::Failure, rate::Decision, source::SourceInfo};
use media::mp4::Part;
use runtime::{ApiError, App, AppError, StageError, Var, time_limits};
use serde::{Deserialize, Serialize};
use sources::{Container, Limits, RemoteFile, SourceClient, SourceError, sniff, ytdlp::is_page};
use store::{StoreError, objects::Objects};

use crate::{Payer, read_index};

/// Bounds of a look: an index is 64 MiB at most.
const LIMITS: Limits = Limits { silence: time_limits::SILENCE, bytes_max: 1 << 30 };

/// What `media.probe` is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProbeRequest {
    /// The source.
    pub url: String,
    /// How long whoever asks can wait for the answer once it is being looked for, in milliseconds. A caller of an earlier
    /// release does not say.
    #[serde(default)]
    pub time_limit_ms: Option<u64>,
}

impl ProbeRequest {
    /// How long the look may take.
    #[must_use]
    pub fn time_limit(&self) -> Duration {
        self.time_limit_ms.map_or(time_limits::PROBE, Duration::from_millis).min(time_limits::PROBE)
    }
}

/// What `media.probe` answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeAnswer {
    /// It is a source.
    Source(SourceInfo),
    /// It is none, and this is why.
    Failure(Failure),
}

/// Why a look at a source told nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The source is at fault.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The source is at fault, `media.probe` says.
    #[error("{}", .0.message)]
    Failure(Failure),
    /// The operator does not take sources from there.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Whoever asks has had looked at sources for as long as they may.
    #[error("no more looks for now")]
    Limited(Decision),
    /// The table is.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// We are.
    #[error(transparent)]
    App(#[from] AppError),
}

/// Looks at sources.
#[derive(Debug)]
pub struct Prober {
    /// The hosts that the operator lets sources come from.
    allowed: AllowedHosts,
    sources: SourceClient,
    /// Keeps indexes, for an endpoint that has a bucket.
    objects: Option<Objects>,
}

/// Made once for all requests: a new client with its TLS takes longer than a look at a near file.
static PROBER: OnceLock<Prober> = OnceLock::new();

/// Looks at sources, by what this function is configured to be.
///
/// # Errors
/// [`AppError`], as [`App::sources`].
pub fn prober(app: &App) -> Result<&'static Prober, AppError> {
    if let Some(prober) = PROBER.get() {
        return Ok(prober);
    }
    let (allowed, sources) = (app.config().sources()?, app.sources(LIMITS)?);
    let objects = app.objects().ok().cloned();
    Ok(PROBER.get_or_init(|| Prober { allowed, sources, objects }))
}

impl Prober {
    /// Looks at the source at `url`, which a user asks for, in `payer`'s time.
    ///
    /// # Errors
    /// [`ProbeError`].
    pub async fn look(&self, app: &App, payer: &Payer, url: &str) -> Result<SourceInfo, ProbeError> {
        self.allowed.check(url)?;
        let begun = Instant::now();
        let all = async {
            let native = tokio::time::timeout(time_limits::NATIVE_LOOK, self.look_natively(url));
            let native = payer.pays_beyond_grace(app, time_limits::NATIVE_LOOK, native).await?;
            match native.map_err(|_| SourceError::Stalled)?? {
                Some(info) => Ok(info),
                None => ask(app, payer, url, time_limits::LOOK.saturating_sub(begun.elapsed())).await,
            }
        };
        let looked = tokio::time::timeout(time_limits::LOOK, all).await;
        looked.map_err(|_| SourceError::Stalled)?.map(SourceInfo::bounded)
    }

    async fn look_natively(&self, url: &str) -> Result<Option<SourceInfo>, SourceError> {
        if is_page(url) {
            return Ok(None);
        }
        let file = self.sources.open(url).await?;
        if sniff(file.head()) == Container::WebPage {
            return Ok(None);
        }
        let index = read_index(self.objects.as_ref(), &file, Part::Description).await?;
        Ok(index.map(|index| {
            let plays = index.plays_in_browsers();
            titled(SourceInfo { plays, ..index.info() }, &file)
        }))
    }
}

/// Asks `media.probe`, when so much of the look is left.
async fn ask(app: &App, payer: &Payer, url: &str, left: Duration) -> Result<SourceInfo, ProbeError> {
    let within = time_limits::probe_within(left);
    let request = ProbeRequest { url: url.to_owned(), time_limit_ms: u64::try_from(within.as_millis()).ok() };
    match payer.pays(app, within, app.invoke(Var::ProbeFunction, &request)).await?? {
        ProbeAnswer::Source(info) => Ok(info),
        ProbeAnswer::Failure(failure) => Err(ProbeError::Failure(failure)),
    }
}

/// Gives a source without a title the name of its file.
#[must_use]
pub fn titled(mut info: SourceInfo, file: &RemoteFile) -> SourceInfo {
    if info.title.trim().is_empty() {
        info.title = file.name();
    }
    info
}

impl From<ProbeError> for ApiError {
    fn from(error: ProbeError) -> Self {
        match error {
            ProbeError::Source(error) => error.into(),
            ProbeError::Failure(failure) => failure.into(),
            ProbeError::Refused(refusal) => refusal.into(),
            ProbeError::Limited(limit) => Self::rate_limited("seconds of looking at sources", limit),
            ProbeError::Store(error) => error.into(),
            ProbeError::App(error) => error.into(),
        }
    }
}

impl From<ProbeError> for StageError {
    fn from(error: ProbeError) -> Self {
        match error {
            ProbeError::Source(error) => error.into(),
            ProbeError::Failure(failure) => Self::Job(failure),
            ProbeError::Refused(refusal) => {
                Self::Job(Failure { code: "source_forbidden".to_owned(), message: refusal.to_string() })
            }
            // No stage looks in anybody's time; one that did would come again.
            ProbeError::Limited(_) => Self::Passing(error.to_string()),
            ProbeError::Store(error) => error.into(),
            ProbeError::App(error) => error.into(),
        }
    }
}
