//! Starts ministack, which is Lambda, API Gateway, Step Functions, SQS, EventBridge and CloudFormation here.

use std::ffi::OsString;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use places::{Models, tools};

use crate::Options;
use crate::options::{ACCESS_KEY, ACCOUNT, REGION, SECRET_KEY};
use crate::supervise::Supervised;

/// A running ministack; dropping it ends it and the functions it runs.
#[derive(Debug)]
pub(crate) struct Ministack {
    pub(crate) url: String,
    process: Supervised,
}

/// How long it may take to answer; about 2 s are usual.
const START_MAX: Duration = Duration::from_secs(60);
/// Another program may take the port between our look and ministack's bind.
const ATTEMPTS: usize = 3;

impl Ministack {
    /// Starts it and waits until it answers.
    pub(crate) async fn start(
        options: &Options,
        programs: &Path,
        [dynamodb, s3, bedrock, stripe]: [&str; 4],
    ) -> anyhow::Result<Self> {
        let embedded = [("DYNAMODB", dynamodb), ("S3", s3), ("BEDROCK_RUNTIME", bedrock)];
        let temporary = options.state.join("tmp");
        // Functions that were killed in the middle of a video left it here.
        let _ = std::fs::remove_dir_all(&temporary);
        std::fs::create_dir_all(&temporary)?;
        let log = options.state.join("ministack.log");
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let port = free_port()?;
            let url = format!("http://127.0.0.1:{port}");
            let mut command = Command::new(programs.join("python"));
            command.args(["-m", "ministack"]).current_dir(&options.state);
            environment(&mut command, port, &temporary, embedded);
            command.env("STRIPE_ENDPOINT_URL", stripe);
            command.env("PATH", path(&options.root)?);
            command.env("MODELS_DIR", models(&options.state)?);
            // Where rustls looks first (and OpenSSL).
            command.envs(options.trust.iter().map(|file| ("SSL_CERT_FILE", file)));
            let output = File::create(&log)?;
            let errors = output.try_clone()?;
            let process = Supervised::start_with(&options.exe, &command, output.into(), errors.into())?;
            let mut ministack = Self { url, process };
            match ministack.ready().await {
                Ok(()) => return Ok(ministack),
                Err(error) => last = Some(error),
            }
            ministack.stop().await;
        }
        Err(last.context("no attempt was made")?.context(tail(&log)))
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let client = crate::http::client()?;
        let health = format!("{}/_ministack/health", self.url);
        let deadline = Instant::now() + START_MAX;
        loop {
            tokio::select! {
                status = self.process.wait() => bail!("ministack ended while starting ({})", status?),
                answer = client.get(&health).timeout(Duration::from_secs(2)).send() => {
                    if answer.is_ok_and(|answer| answer.status().is_success()) {
                        return Ok(());
                    }
                }
            }
            if Instant::now() >= deadline {
                bail!("ministack did not answer within {} s", START_MAX.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Resolves if it ends by itself, which it should not.
    pub(crate) async fn ended(&mut self) -> String {
        match self.process.wait().await {
            Ok(status) => format!("ministack ended by itself ({status})"),
            Err(error) => format!("lost sight of ministack: {error}"),
        }
    }

    pub(crate) async fn stop(&mut self) {
        self.process.stop().await;
    }
}

/// What ministack sees, and with it every function. Settings of the host that would change where SDKs go
/// or how programs behave are taken away: a function gets what Lambda would give it.
fn environment(command: &mut Command, port: u16, temporary: &Path, embedded: [(&str, &str); 3]) {
    const KEPT: [&str; 4] = ["PATH", "HOME", "LANG", "LD_LIBRARY_PATH"];
    for (name, _) in std::env::vars_os() {
        if !KEPT.iter().any(|kept| name == *kept) {
            command.env_remove(name);
        }
    }
    for (service, url) in embedded {
        command.env(format!("AWS_ENDPOINT_URL_{service}"), url);
    }
    command
        .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"))
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_REGION", REGION)
        .env("AWS_DEFAULT_REGION", REGION)
        // No look at a developer's own profile, and no wait for a metadata service that is not there.
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("GATEWAY_PORT", port.to_string())
        .env("BIND_HOST", "127.0.0.1")
        .env("MINISTACK_HOST", "127.0.0.1")
        .env("MINISTACK_REGION", REGION)
        .env("MINISTACK_ACCOUNT_ID", ACCOUNT)
        // Listeners on fixed ports that two stacks side by side would fight over.
        .env("IOT_MTLS_ENABLED", "0")
        .env("SFTP_ENABLED", "0")
        .env("DOCKER_HOST", "unix:///nonexistent")
        // As usual, and what functions ask of AWS: see `grants`.
        .env("RUST_LOG", "info,aws_config=warn,aws_call=debug")
        .env("PYTHONUNBUFFERED", "1")
        .env("TMPDIR", temporary);
}

/// Where programs are: those of the container, as far as they were made here, then the machine's own.
fn path(root: &Path) -> anyhow::Result<OsString> {
    let own = std::env::var_os("PATH").unwrap_or_default();
    let tools = tools::of_container(root)?;
    Ok(std::env::join_paths(tools.into_iter().chain(std::env::split_paths(&own)))?)
}

/// A folder with all models that are here, as in the image.
fn models(state: &Path) -> anyhow::Result<PathBuf> {
    let folder = state.join("models");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    for models in [Models::Finder, Models::Speech] {
        if let Some(found) = tools::models_found(models)? {
            models.lay(&found, &folder, |from, to| std::os::unix::fs::symlink(from, to))?;
        }
    }
    Ok(std::path::absolute(folder)?)
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// The end of the log, for an error message.
fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(15).collect();
    let lines: Vec<&str> = lines.into_iter().rev().collect();
    format!("ministack did not start; the end of {}:\n{}", log.display(), lines.join("\n"))
}
