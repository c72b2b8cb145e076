//! `bench`: measures what we make, beside what others make. `cargo xtask bench` sets it up and runs it.

mod check;
mod coldstart;
mod corpus;
mod cut;
mod frames;
mod gif;
mod load;
mod machine;
mod measure;
mod methods;
mod moments;
mod options;
mod probe;
mod report;
mod rounds;
mod say;
mod score;
mod server;
mod sound;
mod speech;
mod stack;
mod tables;
mod targets;

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use lexopt::prelude::*;

use machine::Machine;
use methods::Setup;
use options::Options;
use report::Report;
use rounds::Bench;
use server::Server;

const HELP: &str = "\
bench clip --folder FOLDER --venv FOLDER [options]
    --folder FOLDER        where sources and clips are kept
    --venv FOLDER          the bin folder of a Python environment with smartcut and yt-dlp
    --tools FOLDER         where our engine finds ffmpeg, before PATH
    --base-url URL --key KEY   also measure the whole stack behind this address
    --json FILE            write everything there for programs
    --docs FILE            write the tables into this document, between its marks
    --quick                the first case alone, 3 rounds
    --only NAME,...        these cases, these methods
    --prototype FILE       also measure this Python script, called as FILE URL START END OUT
bench coldstart --bin FOLDER --folder FOLDER --venv FOLDER --python FOLDER [--rounds N] [--json FILE]
                       [--docs FILE]
    --bin FOLDER           where the areas' optimised binaries are, and the example `minimal`
bench load --folder FOLDER --info JSON [--jobs N] [--reads N] [--json FILE] [--docs FILE]
    --info JSON            what a local cloud that counts calls says of itself
bench gif --folder FOLDER [--gifski PROGRAM] [--video FILE] [--json FILE]
bench moments --models FOLDER --folder FOLDER --gold FILE --transcripts FILE [--pred FILE] [--boot N]
bench speech --folder FOLDER --recognise PROGRAM --models FOLDER --venv FOLDER --python FOLDER [--quick]
                       [--json FILE] [--docs FILE]
    --recognise PROGRAM    the example of the crate `speech`
bench cut URL START END OUT    the engine alone; prints one line of JSON
";

fn main() {
    if let Err(error) = run() {
        say::line(&format!("error: {error:#}"));
        std::process::exit(1);
    }
}

fn run() -> anyhow::Result<()> {
    let mut arguments = lexopt::Parser::from_env();
    match arguments.next()? {
        Some(Value(name)) if name == "clip" => clip(&Options::parse(&mut arguments)?),
        Some(Value(name)) if name == "coldstart" => coldstart::run(&mut arguments),
        Some(Value(name)) if name == "gif" => gif::run(&mut arguments),
        Some(Value(name)) if name == "load" => load::run(&mut arguments),
        Some(Value(name)) if name == "moments" => moments::run(&mut arguments),
        Some(Value(name)) if name == "speech" => speech::run(&mut arguments),
        Some(Value(name)) if name == "cut" => cut(&mut arguments),
        Some(Long("help") | Short('h')) => say::answer(HELP),
        _ => bail!("unknown command; see bench --help"),
    }
}

fn cut(arguments: &mut lexopt::Parser) -> anyhow::Result<()> {
    let (mut given, mut index) = (Vec::new(), None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("index") => index = Some(PathBuf::from(arguments.value()?)),
            Value(word) => given.push(word),
            other => return Err(other.unexpected().into()),
        }
    }
    let [url, start, end, out] = given.as_slice() else { bail!("cut needs URL START END OUT") };
    let text = |word: &'_ std::ffi::OsString| word.to_str().map(str::to_owned).context("not UTF-8");
    let (url, start, end) = (text(url)?, text(start)?, text(end)?);
    let (out, index) = (out.as_ref(), index.as_deref());
    let request = cut::Request { url: &url, start: &start, end: &end, out, index };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    say::answer(&runtime.block_on(cut::run(&request))?.to_string())
}

fn clip(options: &Options) -> anyhow::Result<()> {
    let machine = Machine::look();
    let setup = Setup {
        exe: std::env::current_exe().context("cannot tell where this program lies")?,
        venv: options.venv.clone(),
        tools: options.tools.clone(),
        prototype: options.prototype.clone(),
        cloud: options.cloud(),
    };
    let (sources, out) = (options.folder.join("sources"), options.folder.join("clips"));
    std::fs::create_dir_all(&out)?;
    let cases = options.cases();
    corpus::make(&sources, &cases)?;
    let methods = options.methods(&setup);
    let server = Server::start(&sources)?;
    let bench =
        Bench { setup: &setup, server: &server, sources: &sources, out: &out, rounds: options.rounds() };
    let results: Vec<_> =
        cases.into_iter().map(|case| bench.case(case, &methods)).collect::<Result<_, _>>()?;
    let report = Report {
        date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
        command: options.command.clone(),
        machine,
        rounds: bench.rounds,
        targets: targets::verdicts(&results),
        cases: results,
        methods,
    };
    say::answer(&report.text())?;
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    match &options.docs {
        Some(document) => tables::write_into(document, "clip", &report.markdown()),
        None => Ok(()),
    }
}
