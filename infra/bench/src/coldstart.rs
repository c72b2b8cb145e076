//! `bench coldstart`: from the start of a function's process to its first call of the Runtime API, which says that it is ready
//! to work. Ours, the least that a Rust function is, and the least that a Python function is, in the same rounds.
//!
//! What AWS adds in front (to get a sandbox and the code into it) is not measured here: it depends on the size of the zip,
//! which is told.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use lexopt::prelude::*;
use serde::Serialize;

use crate::machine::Machine;
use crate::measure::cpu_of_children;
use crate::rounds::median;
use crate::say;
use crate::tables::{self, aligned, number, piped};
use crate::targets::{self, Target, mega};

/// Rounds that are not counted: they bring the programs into memory.
const WARM_UP: usize = 3;
const ROUNDS: usize = 40;
/// A start that takes longer has a problem.
const START_MAX: Duration = Duration::from_secs(20);

/// The areas that answer HTTP requests, each with a handler that has most to set up.
const AREAS: [(&str, &str); 4] = [
    ("accounts", "accounts.verify"),
    ("clips", "clips.create"),
    ("pages", "pages.share"),
    ("webhooks", "webhooks.create"),
];

/// What Lambda tells a function, and what the template does.
const ENVIRONMENT: [(&str, &str); 36] = [
    ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
    ("AWS_DEFAULT_REGION", "us-east-1"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
    ("AWS_LAMBDA_FUNCTION_NAME", "function"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
    ("AWS_LAMBDA_LOG_GROUP_NAME", "logs"),
    ("AWS_LAMBDA_LOG_STREAM_NAME", "stream"),
    ("AWS_REGION", "us-east-1"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
    ("AWS_SESSION_TOKEN", "token"),
    ("ALLOW_PRIVATE_SOURCES", "false"),
    ("CAPTIONS_FUNCTION", "captions"),
    ("CLIP_JOBS_PER_HOUR", "20"),
    ("CLIP_MACHINE_ARN", "arn:aws:states:us-east-1:000000000000:stateMachine:clips"),
    ("CLIP_SLOTS", "5"),
    ("DISPATCH_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/0/dispatch"),
    ("ERASE_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/0/erase"),
    ("MAILS_PER_HOUR", "20"),
    ("MAIL_SET", "clipwright"),
    ("STACK_MAILS_PER_HOUR", "500"),
    ("SIGNUP_BONUS", "500"),
    ("BONUSES_PER_DOMAIN", "3"),
    ("BONUSES_PER_HOUR", "50"),
    ("BONUS_DELIVERY_GB", "50"),
    ("DELIVERY_GB", "2000"),
    ("LOOK_SECONDS", "300"),
    ("OPEN_LOOK_SECONDS", "60"),
    ("MAIL_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/0/mail"),
    ("MEDIA_BUCKET", "bucket"),
    ("OPEN_REQUESTS_PER_MINUTE", "60"),
    ("PAGE_URL", "https://clips.example"),
    ("PROBE_FUNCTION", "probe"),
    ("PUBLIC_URL", "https://clips.example"),
    ("SOURCES", "*"),
    ("TABLE_NAME", "table"),
    ("WEBHOOKS_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/0/webhooks"),
];

/// What was asked for on the command line.
#[derive(Debug)]
struct Options {
    bin: PathBuf,
    folder: PathBuf,
    venv: PathBuf,
    python: PathBuf,
    rounds: usize,
    json: Option<PathBuf>,
    docs: Option<PathBuf>,
}

impl Options {
    fn parse(arguments: &mut lexopt::Parser) -> anyhow::Result<Self> {
        let (mut bin, mut folder, mut venv, mut python, mut rounds) = (None, None, None, None, ROUNDS);
        let (mut json, mut docs) = (None, None);
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("bin") => bin = Some(arguments.value()?.into()),
                Long("folder") => folder = Some(arguments.value()?.into()),
                Long("venv") => venv = Some(arguments.value()?.into()),
                Long("python") => python = Some(arguments.value()?.into()),
                Long("rounds") => rounds = arguments.value()?.parse()?,
                Long("json") => json = Some(arguments.value()?.into()),
                Long("docs") => docs = Some(arguments.value()?.into()),
                other => return Err(other.unexpected().into()),
            }
        }
        if rounds == 0 {
            bail!("--rounds: at least one");
        }
        Ok(Self {
            bin: bin.context("--bin is missing")?,
            folder: folder.context("--folder is missing")?,
            venv: venv.context("--venv is missing")?,
            python: python.context("--python is missing")?,
            rounds,
            json,
            docs,
        })
    }
}

/// Something that can be started as a function.
#[derive(Debug)]
struct Program {
    name: &'static str,
    about: String,
    command: Vec<PathBuf>,
    handler: &'static str,
    /// What goes into the zip; the Pythons of AWS lie outside.
    binary: Option<PathBuf>,
}

/// One start.
#[derive(Debug, Clone, Copy, Serialize)]
struct Start {
    wall_ms: f64,
    /// Until the process was ended, which is at once.
    cpu_ms: f64,
}

/// What came of one program.
#[derive(Debug, Serialize)]
struct Outcome {
    name: &'static str,
    about: String,
    binary_bytes: Option<u64>,
    zip_bytes: Option<u64>,
    wall_ms: Option<f64>,
    cpu_ms: Option<f64>,
    /// Medians of this program's figure over the minimal Rust one's in the same round.
    wall_ratio: Option<f64>,
    cpu_ratio: Option<f64>,
    starts: Vec<Start>,
}

#[derive(Debug, Serialize)]
struct Report {
    date: String,
    machine: Machine,
    rounds: usize,
    outcomes: Vec<Outcome>,
    targets: Vec<Target>,
}

/// Measures, prints and writes what was asked for.
pub(crate) fn run(arguments: &mut lexopt::Parser) -> anyhow::Result<()> {
    let options = Options::parse(arguments)?;
    std::fs::create_dir_all(&options.folder)?;
    let machine = Machine::look();
    let programs = programs(&options)?;
    let api = RuntimeApi::open()?;
    let mut starts = vec![Vec::new(); programs.len()];
    for round in 0..WARM_UP + options.rounds {
        for step in 0..programs.len() {
            // Another one first each time.
            let at = (round + step) % programs.len();
            let start = start(&programs[at], &api, &options.folder, &options.python)?;
            if round >= WARM_UP {
                starts[at].push(start);
            }
        }
    }
    let outcomes = outcomes(programs, &starts, &options.folder)?;
    let report = Report {
        date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
        machine,
        rounds: options.rounds,
        targets: verdicts(&outcomes),
        outcomes,
    };
    say::answer(&format!("{}\n{}", aligned(&rows(&report)), aligned(&targets::rows(&report.targets))))?;
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_string_pretty(&report)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    match &options.docs {
        Some(document) => tables::write_into(document, "coldstart", &report.markdown()),
        None => Ok(()),
    }
}

/// Ours first, which is the largest of the areas' binaries; the minimal Rust one second.
fn programs(options: &Options) -> anyhow::Result<Vec<Program>> {
    let size = |area: &str| {
        let binary = options.bin.join(area);
        let file =
            std::fs::metadata(&binary).with_context(|| format!("{} is not built", binary.display()))?;
        anyhow::Ok((file.len(), binary))
    };
    let mut largest: Option<(u64, PathBuf, &'static str)> = None;
    for (area, handler) in AREAS {
        let (len, binary) = size(area)?;
        if largest.as_ref().is_none_or(|(most, ..)| len > *most) {
            largest = Some((len, binary, handler));
        }
    }
    let (_, ours, handler) = largest.context("there is no area")?;
    let minimal = options.bin.join("examples/minimal");
    let (python, script) = (options.venv.join("python"), options.python.join("minimal.py"));
    let runtime = vec![python.clone(), "-m".into(), "awslambdaric".into(), "handler.handle".into()];
    Ok(vec![
        Program {
            name: "ours",
            about: format!("`{handler}`, of the largest of the HTTP areas' binaries"),
            command: vec![ours.clone()],
            handler,
            binary: Some(ours),
        },
        Program {
            name: "minimal Rust",
            about: "`lambda_runtime` with an empty handler (`infra/bench/examples/minimal.rs`)".to_owned(),
            command: vec![minimal.clone()],
            handler: "minimal",
            binary: Some(minimal),
        },
        Program {
            name: "minimal Python",
            about: "the Runtime API's loop over `http.client` (`infra/bench/python/minimal.py`)".to_owned(),
            command: vec![python, script],
            handler: "minimal",
            binary: None,
        },
        Program {
            name: "AWS's Python",
            about: "`awslambdaric` from PyPI, which Lambda's own Python images start, with an empty handler"
                .to_owned(),
            command: runtime,
            handler: "handler.handle",
            binary: None,
        },
    ])
}

/// Starts a program as Lambda does, and ends it when it asks for work.
fn start(program: &Program, api: &RuntimeApi, folder: &Path, python: &Path) -> anyhow::Result<Start> {
    let [exe, arguments @ ..] = program.command.as_slice() else { bail!("{} has no command", program.name) };
    let log = folder.join("coldstart.log");
    let words = std::fs::File::create(&log)?;
    let mut command = Command::new(exe);
    command.args(arguments).env_clear().envs(ENVIRONMENT);
    command.env("AWS_LAMBDA_RUNTIME_API", &api.address).env("_HANDLER", program.handler);
    command.env("PYTHONPATH", python).env("LAMBDA_TASK_ROOT", python);
    // Nothing is left in the checkout.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.stdin(Stdio::null()).stdout(words.try_clone()?).stderr(words).process_group(0);
    api.forget();
    let used = cpu_of_children()?;
    let begun = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot run {}", exe.display()))?;
    let asked = api.asked.recv_timeout(START_MAX);
    let _ = child.kill();
    child.wait()?;
    let cpu_ms = (cpu_of_children()? - used) * 1e3;
    let Ok(asked) = asked else {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        bail!("{} did not ask for work; it said: {}", program.name, said.trim());
    };
    Ok(Start { wall_ms: asked.duration_since(begun).as_secs_f64() * 1e3, cpu_ms })
}

/// Listens as Lambda's Runtime API, answers nothing, and tells when a function asks for work.
struct RuntimeApi {
    address: String,
    asked: Receiver<Instant>,
}

impl RuntimeApi {
    fn open() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?.to_string();
        let (sender, asked) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sender = sender.clone();
                std::thread::spawn(move || attend(stream, &sender));
            }
        });
        Ok(Self { address, asked })
    }

    /// Drops what an earlier program asked.
    fn forget(&self) {
        while self.asked.try_recv().is_ok() {}
    }
}

/// Reads one request line; if it asks for work, that was the moment. Holds the connection until the program ends.
fn attend(stream: TcpStream, asked: &Sender<Instant>) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line).is_ok() && line.starts_with("GET ") && line.contains("/invocation/next") {
        let _ = asked.send(Instant::now());
    }
    let _ = reader.read_to_end(&mut Vec::new());
}

fn outcomes(programs: Vec<Program>, starts: &[Vec<Start>], folder: &Path) -> anyhow::Result<Vec<Outcome>> {
    let minimal = &starts[1];
    let outcome = |(program, starts): (Program, &Vec<Start>)| {
        let of = |figure: fn(&Start) -> f64| median(starts.iter().map(|start| Some(figure(start))));
        let ratio = |figure: fn(&Start) -> f64| {
            median(starts.iter().zip(minimal).map(|(start, minimal)| Some(figure(start) / figure(minimal))))
        };
        let binary = program.binary.as_deref();
        anyhow::Ok(Outcome {
            name: program.name,
            binary_bytes: binary.map(|file| std::fs::metadata(file).map(|file| file.len())).transpose()?,
            zip_bytes: binary.map(|file| zipped(file, folder)).transpose()?,
            wall_ms: of(|start| start.wall_ms),
            cpu_ms: of(|start| start.cpu_ms),
            wall_ratio: ratio(|start| start.wall_ms),
            cpu_ratio: ratio(|start| start.cpu_ms),
            about: program.about,
            starts: starts.clone(),
        })
    };
    programs.into_iter().zip(starts).map(outcome).collect()
}

/// The length of the zip that `sam package` makes of a folder with this file as `bootstrap`: Python's `zipfile`, deflated.
fn zipped(binary: &Path, folder: &Path) -> anyhow::Result<u64> {
    let zip = folder.join("bootstrap.zip");
    let script = "import sys, zipfile\n\
                  with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as z: z.write(sys.argv[2], 'bootstrap')";
    let status = Command::new("python3").args(["-c", script]).arg(&zip).arg(binary).status()?;
    if !status.success() {
        bail!("cannot zip {}", binary.display());
    }
    Ok(std::fs::metadata(&zip)?.len())
}

fn verdicts(outcomes: &[Outcome]) -> Vec<Target> {
    let Some(ours) = outcomes.first() else { return Vec::new() };
    vec![
        Target::new("start / start of a minimal Rust function", ours.wall_ratio, 2.0),
        Target::new("zip, MB", ours.zip_bytes.map(mega), 12.0),
    ]
}

fn rows(report: &Report) -> Vec<Vec<String>> {
    let head = ["function", "start ms", "CPU ms", "start ×", "CPU ×", "binary MB", "zip MB", "what"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(report.outcomes.iter().map(|outcome| {
        vec![
            outcome.name.to_owned(),
            number(outcome.wall_ms, 1),
            number(outcome.cpu_ms, 1),
            number(outcome.wall_ratio, 2),
            number(outcome.cpu_ratio, 2),
            number(outcome.binary_bytes.map(mega), 1),
            number(outcome.zip_bytes.map(mega), 1),
            outcome.about.clone(),
        ]
    }));
    rows
}

impl Report {
    fn markdown(&self) -> String {
        let Machine { cpu, cores, kernel, load_before, .. } = &self.machine;
        format!(
            "Measured {} by `cargo xtask bench coldstart`, median of {} rounds, on {cores} cores ({cpu}), Linux {kernel}. \
             Load before the run: {load_before}.\n\n{}\n{}",
            self.date,
            self.rounds,
            piped(&targets::rows(&self.targets)),
            piped(&rows(self))
        )
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn the_call_for_work_is_the_moment_and_no_other_call() {
        let api = RuntimeApi::open().unwrap();
        let call = |line: &str| {
            let mut stream = TcpStream::connect(&api.address).unwrap();
            write!(stream, "{line} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
            stream
        };
        let _error = call("POST /2018-06-01/runtime/init/error");
        let _next = call("GET /2018-06-01/runtime/invocation/next");
        assert!(api.asked.recv_timeout(START_MAX).is_ok());
        assert!(api.asked.recv_timeout(Duration::from_millis(50)).is_err());
    }

    #[test]
    fn ratios_are_of_pairs() {
        let start = |wall_ms| Start { wall_ms, cpu_ms: 1.0 };
        let program =
            |name| Program { name, about: String::new(), command: Vec::new(), handler: "", binary: None };
        let starts = [vec![start(10.0), start(40.0), start(9.0)], vec![start(10.0), start(10.0), start(3.0)]];
        let outcomes =
            outcomes(vec![program("ours"), program("minimal")], &starts, Path::new("/none")).unwrap();
        assert_eq!((outcomes[0].wall_ms, outcomes[0].wall_ratio), (Some(10.0), Some(3.0)));
        let verdicts = verdicts(&outcomes);
        assert_eq!((verdicts[0].met, verdicts[1].met), (Some(false), None));
    }
}
