//! yt-dlp as a process: the one that knows what lies behind a web page.
//!
//! It gets a home of its own in scratch, no configuration but ours, and one way out: the guard's proxy. It only tells
//! where media is; fetching that is our own client's work. Cookies and tokens of the operator's reach it in files that
//! only this user can read, never in arguments.

use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use media::process::{self, Bounds, ProcessError};
use runtime::{App, StageError};
use sources::{
    Proxy, ProxyLimits, SourceError,
    ytdlp::{ANSWER_BYTES_MAX, Page, refusal},
};
use tokio::process::Command;
use tracing::{info, warn};

use crate::{
    job::{passing, scratch},
    secrets::{self, PageSecrets},
};

/// What yt-dlp reads to understand a page: the page, scripts, manifests.
const BYTES_MAX: u64 = 256 << 20;
const SILENCE: Duration = Duration::from_secs(8);
const CONNECTIONS_MAX: usize = 32;

/// What it never does: read configuration or plug-ins of a machine's, keep a cache, follow a list, fetch programs, run
/// ffmpeg. How it speaks: one JSON document, or words on standard error.
const OPTIONS: &str = "--ignore-config --no-plugin-dirs --no-cache-dir --no-playlist --playlist-items 1 \
    --no-remote-components --no-js-runtimes --js-runtimes deno --ffmpeg-location /nonexistent --xff never \
    --socket-timeout 8 --retries 2 --extractor-retries 1 --no-warnings --no-progress --color never \
    --dump-single-json";

/// Asks yt-dlp about the page at `url`. Answers the page and how many bytes were read for that.
///
/// # Errors
/// [`StageError::Job`] if there is no video to be had, in words for the person who gave the URL.
pub(crate) async fn ask(app: &App, url: &str, time_limit: Duration) -> Result<(Page, u64), StageError> {
    let secrets = secrets::read(app).await?;
    let limits = ProxyLimits {
        lifetime: time_limit,
        silence: SILENCE,
        bytes_max: BYTES_MAX,
        connections_max: CONNECTIONS_MAX,
    };
    let proxy = Proxy::start(app.guard()?, limits).await.map_err(passing)?;
    let home = scratch()?;
    let config = configure(home.path(), &secrets, proxy.url()).map_err(passing)?;
    let mut answer = String::new();
    let bounds = Bounds { time_limit, stdout_max: ANSWER_BYTES_MAX };
    let ran =
        process::run(command(home.path(), &config, url), bounds, &mut |line| answer.push_str(line)).await;
    let bytes = proxy.traffic().bytes();
    let page = understood(ran, &answer, proxy.problem());
    info!(bytes, understood = page.is_ok(), "yt-dlp has looked at a page");
    Ok((page?, bytes))
}

fn command(home: &Path, config: &Path, url: &str) -> Command {
    let mut command = Command::new("yt-dlp");
    command
        .env_clear()
        // Where its interpreter and its JavaScript runtime are.
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("HOME", home)
        .env("TMPDIR", home)
        .env("LANG", "C.UTF-8")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONNOUSERSITE", "1")
        .env("DENO_NO_UPDATE_CHECK", "1")
        .current_dir(home)
        .args(OPTIONS.split_whitespace())
        .arg("--config-locations")
        .arg(config)
        .arg("--")
        .arg(url);
    command
}

/// Writes what nobody else on the machine may read: the proxy with its secret, cookies and tokens.
fn configure(home: &Path, secrets: &PageSecrets, proxy: &str) -> std::io::Result<PathBuf> {
    let mut options = format!("--proxy {}\n", quoted(proxy));
    if let Some(cookies) = &secrets.cookies {
        let path = home.join("cookies.txt");
        private(&path)?.write_all(cookies.as_bytes())?;
        options.push_str(&format!("--cookies {}\n", quoted(&path.to_string_lossy())));
    }
    if let Some(token) = &secrets.po_token {
        options.push_str(&format!("--extractor-args {}\n", quoted(&format!("youtube:po_token={token}"))));
    }
    let path = home.join("options.conf");
    private(&path)?.write_all(options.as_bytes())?;
    Ok(path)
}

fn private(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// One word of a configuration file, which yt-dlp splits as a shell would.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn understood(
    ran: Result<process::Finished, ProcessError>,
    answer: &str,
    forbidden: Option<SourceError>,
) -> Result<Page, StageError> {
    match ran {
        Ok(done) if done.success => Ok(Page::parse(answer)?),
        // It fails in words of its own when the guard lets a request of its fail.
        Ok(done) => Err(forbidden.unwrap_or_else(|| refused(&done.stderr)).into()),
        Err(ProcessError::TimeLimit { .. }) => Err(SourceError::Stalled.into()),
        Err(ProcessError::TooMuchOutput { .. }) => {
            Err(SourceError::Page("this page lists too much to be understood".to_owned()).into())
        }
        Err(error @ (ProcessError::Start { .. } | ProcessError::Io { .. })) => Err(passing(error)),
    }
}

fn refused(stderr: &str) -> SourceError {
    let refusal = refusal(stderr);
    // The words of a site, which may name the video but none of our secrets: yt-dlp does not print those.
    warn!(code = refusal.code(), stderr, "yt-dlp found nothing to fetch");
    refusal
}
