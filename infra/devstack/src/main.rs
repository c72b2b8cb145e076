//! `devstack`: the local cloud as a program, and the helpers that it starts itself as.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use devstack::fileserver::{Behaviour, FileServer};
use devstack::{Devstack, Info, Options};
use lexopt::prelude::*;
use tokio::signal::unix::{SignalKind, signal};
use tracing::Level;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{filter::Targets, fmt};

const HELP: &str = "\
The local cloud of Clipwright.

devstack up [options]     start it; one line of JSON on stdout says that it is ready and where everything is
  --port PORT             the front door's port, 0 for any free one (4000)
  --state FOLDER          where data and logs are kept (.local of the checkout)
  --root FOLDER           the checkout (the working directory)
  --template FILE         the SAM template (template.yaml of the checkout)
  --parameter NAME=VALUE  a stack parameter, as often as needed
  --faults FOLDER         crash functions on demand; see the shim module
  --trust FILE            the certificates (PEM) that functions trust, in place of this machine's
  --logs FOLDER           where the functions' logs go (into the state)
  --image FOLDER          run the media functions in their image, as cargo xtask image unpacks it (as root)
  --sample FILE           a video to try things with, offered below /_local
  --count-calls           count the functions' calls of DynamoDB; GET /_local/calls and /_local/units tell
  --fresh                 throw the kept data away first
  --until-stdin-closes    end when stdin closes, not only on Ctrl-C
  --greeting              say it for people instead of as JSON
devstack grants --logs FOLDER [--all]     compare the calls of AWS in the logs of local clouds, each in a folder below,
                          with what the template grants; --all: every test has run, so nothing may be unused
devstack serve FILE       offer a file by HTTP with ranges; prints its URL, runs until stdin closes
devstack supervise -- COMMAND…            run a command that must not outlive this process's stdin
devstack shim --faults FOLDER -- COMMAND… run a Lambda binary that crashes on demand
";

fn main() {
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false).with_level(false);
    let wanted = Targets::new().with_default(Level::ERROR).with_target("devstack", Level::INFO);
    tracing_subscriber::registry().with(lines.without_time().with_ansi(false)).with(wanted).init();
    let code = command().unwrap_or_else(|error| {
        tracing::error!("error: {error:#}");
        1
    });
    std::process::exit(code)
}

/// Runs the command that was asked for; returns the exit code.
fn command() -> anyhow::Result<i32> {
    // Supervisor and shim are started in numbers and mostly wait: one thread is enough for them.
    let mut arguments = std::env::args_os().skip(1);
    let command = arguments.next().unwrap_or_default();
    let mut rest = lexopt::Parser::from_args(arguments);
    match command.to_str() {
        Some("up") => large()?.block_on(up(options(&mut rest)?)),
        Some("grants") => grants(&mut rest),
        Some("serve") => small()?.block_on(serve(&mut rest)),
        Some("supervise") => small()?.block_on(supervise(&mut rest)),
        Some("shim") => small()?.block_on(shim(&mut rest)),
        Some("help" | "--help" | "-h") => print_line(HELP).map(|()| 0),
        _ => bail!("unknown command; see devstack --help"),
    }
}

fn large() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

fn small() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// How `up` behaves towards whoever started it.
#[derive(Debug, Default)]
struct Manner {
    until_stdin_closes: bool,
    greeting: bool,
}

fn options(arguments: &mut lexopt::Parser) -> anyhow::Result<(Options, Manner)> {
    let mut options = Options::new(Path::new("."))?;
    let (mut state, mut template, mut manner) = (None, None, Manner::default());
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("port") => options.port = arguments.value()?.parse()?,
            Long("state") => state = Some(PathBuf::from(arguments.value()?)),
            Long("root") => options.root = PathBuf::from(arguments.value()?),
            Long("template") => template = Some(PathBuf::from(arguments.value()?)),
            Long("faults") => options.faults = Some(PathBuf::from(arguments.value()?)),
            Long("trust") => options.trust = Some(PathBuf::from(arguments.value()?)),
            Long("logs") => options.logs = Some(PathBuf::from(arguments.value()?)),
            Long("image") => options.image = Some(PathBuf::from(arguments.value()?)),
            Long("bin-dir") => options.bin_dir = PathBuf::from(arguments.value()?),
            Long("sample") => options.sample = Some(PathBuf::from(arguments.value()?)),
            Long("count-calls") => options.count_calls = true,
            Long("fresh") => options.fresh = true,
            Long("until-stdin-closes") => manner.until_stdin_closes = true,
            Long("greeting") => manner.greeting = true,
            Long("parameter") => {
                let text = arguments.value()?.string()?;
                let (name, value) = text.split_once('=').context("--parameter wants NAME=VALUE")?;
                options.parameters.insert(name.to_owned(), value.to_owned());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    options.state = state.unwrap_or_else(|| options.root.join(".local"));
    options.template = template.unwrap_or_else(|| options.root.join("template.yaml"));
    Ok((options, manner))
}

async fn up((options, manner): (Options, Manner)) -> anyhow::Result<i32> {
    let end = ended(manner.until_stdin_closes)?;
    tokio::pin!(end);
    let mut devstack = tokio::select! {
        started = Devstack::start(options) => started?,
        () = &mut end => return Ok(0),
    };
    let info = devstack.info();
    print_line(&if manner.greeting { greeting(info) } else { serde_json::to_string(info)? })?;
    tracing::info!("ready at {}", devstack.info().base_url);
    let broken = tokio::select! {
        () = &mut end => None,
        reason = devstack.broken() => Some(reason),
    };
    tracing::info!("ending the local cloud");
    devstack.stop().await;
    match broken {
        Some(reason) => bail!(reason),
        None => Ok(0),
    }
}

fn greeting(info: &Info) -> String {
    let Info { base_url, stripe_url, demo_api_key: key, logs, sample_url, .. } = info;
    // The Studio keeps what is open in the fragment.
    let studio = sample_url.as_deref().map_or_else(String::new, |video| format!("#url={video}"));
    let video = sample_url.as_deref().unwrap_or("https://example.com/video.mp4");
    format!(
        "
The local cloud is ready.

  Studio     {base_url}/{studio}
  base URL   {base_url}
  demo key   {key}
  mail       {base_url}/_local/mail (nothing leaves this machine)
  payments   {stripe_url}/_local/stripe (a Stripe with test cards; no money moves)
  video      {video} (to try things with)
  logs       {logs}/ (one file per function)
  all ports  {base_url}/_local/info

  curl -s {base_url}/v1/clip -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\
    -d '{{\"url\": \"{video}\", \"start\": 1.5, \"end\": 4.25}}'

All users are one here, so the hourly and the by-address limits are {limit} each; all others are as on AWS.
Ctrl-C ends it. Its data stays for the next start.",
        limit = devstack::LOCAL_LIMIT,
        logs = logs.display()
    )
}

/// Whether what functions were seen to do is what they may do.
fn grants(arguments: &mut lexopt::Parser) -> anyhow::Result<i32> {
    let (mut root, mut logs, mut all) = (PathBuf::from("."), None, false);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("root") => root = PathBuf::from(arguments.value()?),
            Long("logs") => logs = Some(PathBuf::from(arguments.value()?)),
            Long("all") => all = true,
            other => return Err(other.unexpected().into()),
        }
    }
    let report =
        devstack::grants::compare(&root.join("template.yaml"), &logs.context("grants needs --logs")?)?;
    print_line(&report.text(all))?;
    Ok(i32::from(!report.missing.is_empty() || (all && !report.unused.is_empty())))
}

async fn serve(arguments: &mut lexopt::Parser) -> anyhow::Result<i32> {
    let mut file = None;
    while let Some(argument) = arguments.next()? {
        match argument {
            Value(path) if file.is_none() => file = Some(PathBuf::from(path)),
            other => return Err(other.unexpected().into()),
        }
    }
    let end = ended(true)?;
    let server = FileServer::start(&file.context("serve needs a file")?, Behaviour::Ranges).await?;
    print_line(server.url())?;
    end.await;
    Ok(0)
}

async fn supervise(arguments: &mut lexopt::Parser) -> anyhow::Result<i32> {
    devstack::supervise::supervise(after_dashes(arguments)?.into_iter()).await
}

async fn shim(arguments: &mut lexopt::Parser) -> anyhow::Result<i32> {
    let Some(Long("faults")) = arguments.next()? else { bail!("shim needs --faults FOLDER first") };
    let faults = PathBuf::from(arguments.value()?);
    devstack::shim::run(faults, after_dashes(arguments)?.into_iter()).await
}

/// The command after `--`, untouched.
fn after_dashes(arguments: &mut lexopt::Parser) -> anyhow::Result<Vec<std::ffi::OsString>> {
    let mut raw = arguments.raw_args()?;
    match raw.next() {
        Some(dashes) if dashes == "--" => Ok(raw.collect()),
        _ => bail!("the command to run comes after --"),
    }
}

/// Resolves on Ctrl-C, SIGTERM, a closed terminal and, if wanted, the end of stdin. Listens from the call on.
fn ended(until_stdin_closes: bool) -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let (sender, closed) = tokio::sync::oneshot::channel();
    if until_stdin_closes {
        // A plain thread: tokio's stdin would keep the runtime from shutting down.
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            let _ = sender.send(());
        });
    } else {
        // Kept for ever, so that it never resolves.
        std::mem::forget(sender);
    }
    Ok(async move {
        tokio::select! {
            _ = closed => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

fn print_line(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", text.trim_end())?;
    Ok(out.flush()?)
}
