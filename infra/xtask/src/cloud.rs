//! Finds or starts a local cloud.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use lexopt::prelude::*;
use serde_json::Value as Json;

use crate::{http, say, setup};

/// The local cloud's usual port.
const PORT: u16 = 4000;

/// A local cloud that can be talked to; one that was started here ends with it.
#[derive(Debug)]
pub(crate) struct Cloud {
    /// What `/_local/info` says.
    pub(crate) info: Json,
    /// Dropping it closes the child's stdin, on which it ends.
    _started: Option<Kept>,
}

impl Cloud {
    /// The local cloud that runs at `base_url`; `None` if there is none.
    pub(crate) fn at(base_url: &str) -> Option<Self> {
        let agent = http::agent(Duration::from_secs(2));
        let mut answer = agent.get(format!("{base_url}/_local/info")).call().ok()?;
        let info: Json = answer.body_mut().read_json().ok()?;
        info["base_url"].is_string().then_some(Self { info, _started: None })
    }

    /// Uses the running one, or starts one.
    pub(crate) fn find_or_start() -> anyhow::Result<Self> {
        if let Some(running) = Self::at(&format!("http://127.0.0.1:{PORT}")) {
            say::line(&format!("xtask: using the local cloud at http://127.0.0.1:{PORT}"));
            return Ok(running);
        }
        setup::cloud()?;
        // Something else may sit on the usual port; any free one will do then.
        let port = std::net::TcpListener::bind(("127.0.0.1", PORT)).map_or(0, |_free| PORT);
        let mut command = up()?;
        command.args(["--until-stdin-closes", "--port", &port.to_string()]);
        let (started, line) = Kept::start(command).context("the local cloud did not start")?;
        let info = serde_json::from_str(&line).context("the local cloud answered strangely")?;
        Ok(Self { info, _started: Some(started) })
    }
}

fn up() -> anyhow::Result<Command> {
    let mut command = Command::new(setup::devstack()?);
    command.arg("up").arg("--root").arg(setup::root()?);
    let (name, value) = places::python::known()?;
    command.env(name, value);
    Ok(command)
}

/// A helper process that runs until its stdin closes: it ends with us, however we end.
#[derive(Debug)]
pub(crate) struct Kept {
    child: Child,
}

impl Kept {
    /// Starts it; returns its first line of output, which says that it is ready.
    pub(crate) fn start(mut command: Command) -> anyhow::Result<(Self, String)> {
        // Ctrl-C is for us alone: what we started is needed to the end.
        let mut child = command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let output = child.stdout.take().context("the helper has no output")?;
        let kept = Self { child };
        let mut line = String::new();
        if BufReader::new(output).read_line(&mut line)? == 0 {
            bail!("it ended at once; the reason is above");
        }
        Ok((kept, line.trim_end().to_owned()))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // Waits, so that the prompt returns when all is gone.
        let _ = self.child.wait();
    }
}

/// `cargo xtask dev`: becomes the local cloud, so that Ctrl-C reaches it and the prompt waits for it.
pub(crate) fn dev(arguments: &mut lexopt::Parser) -> anyhow::Result<()> {
    let (mut port, mut fresh) = (PORT.to_string(), false);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("port") => port = arguments.value()?.string()?,
            Long("fresh") => fresh = true,
            other => return Err(other.unexpected().into()),
        }
    }
    setup::cloud()?;
    let mut command = up()?;
    command.args(["--greeting", "--port", &port, "--sample", &crate::clip::own_video()?]);
    if fresh {
        command.arg("--fresh");
    }
    // Only returns if it fails.
    Err(command.exec()).context("cannot start the local cloud")
}
