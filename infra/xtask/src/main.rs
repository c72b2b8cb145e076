//! `cargo xtask`: the project's commands. Each sets up what it needs and says on stderr what it is doing;
//! stdout carries only the answer.

mod bench;
mod clip;
mod cloud;
mod deploy;
mod disposable;
mod fuzz;
mod http;
mod image;
mod lint;
mod progress;
mod say;
mod setup;
mod signup;
mod test;
mod timings;
mod tools;
mod upload;

use std::process::Command;

use anyhow::bail;
use lexopt::prelude::*;

const HELP: &str = "\
cargo xtask <command>

clip                       cut a clip of a test video through the local cloud's HTTP API
clip <URL or file> --start S --end E    cut a clip of this video
    --start S, --end E     seconds or clock time: 1.5, 1:02:03.5
    --format F             mp4 (default), mp3, gif, m4a, wav or flac
    --quality Q            720p, 1080p or 4k; high and medium also work
    --precision P          exact (default), or keyframe: every frame copied, from key frame to key frame
    --out FILE             where to write it (default: the name that the service gives it)
    --upload               send the file to the service first, instead of offering it by a URL
    --timings              also print where the time went
    --base-url URL --key KEY   use this service; for a local cloud on another port without a key

signup EMAIL               an account and an API key on the local cloud, by the mail that it sends
    --base-url URL         the local cloud on another port

dev                        the local cloud in the foreground at http://127.0.0.1:4000, Ctrl-C ends it
    --port PORT            another port
    --fresh                throw the kept data away first

setup                      install all that lint and test need, which they also do themselves
    --compilers            only what `cargo build` itself needs: cmake and g++
lint                       read the template, the state machine and the like with linters; asks no AWS
test [-- ARGS]             every test; ARGS go to `cargo test`, as in: test -- -p xtask
bench clip                 make clips our way and others', compare them, write docs/benchmarks.md
    --json FILE            also write everything there, for programs
    --quick                one source, 3 rounds, without the local cloud; writes no document
    --only NAME,...        these cases and methods alone, named as in docs/benchmarks.md
    --prototype FILE       also measure this Python script, called as FILE URL START END OUT
bench coldstart            time how functions start, beside minimal ones; writes into docs/benchmarks.md
    --rounds N             how often each is started (40)
    --json FILE            also write everything there, for programs
bench gif                  how large GIFs are, beside those of FFmpeg and gifski
    --gifski PROGRAM       compare with this; --video FILE: a film of your own; --json FILE: the numbers
bench speech               how well and how fast speech is recognised, beside faster-whisper; writes docs/speech.md
    --quick                a minute of speech alone; writes no document
    --json FILE            also write everything there, for programs
bench load                 many jobs and many readers at once on the local cloud; writes docs/load.md
    --jobs N, --reads N    how many (500, 20000); fewer of either write no document
    --json FILE            also write everything there, for programs
bench moments              find the moments that a set of queries asks for, and score them
    --gold FILE, --transcripts FILE    lines of JSON, as docs/moments.md describes them
    --pred FILE            also write what was found there; --boot N: intervals by so many resamplings

costs                      write docs/costs.md: what a clip costs on AWS, from infra/costs/data
image                      build the images of media and speech, weigh them, and run them (as root, without an engine too)
    --no-tests             weigh them and look inside alone
deploy                     build everything and deploy it to AWS: docs/deploy.md
    --guided               ask first for what samconfig.toml does not say yet
    --dry-run              build and check everything; at most a change set that waits
    --yes                  do not ask whether the change is to be made
    --arch A               arm64 (default) or x86_64
    --config-env NAME      this section of samconfig.toml
    --image URI, --speech-image URI    images of the functions that were pushed before
    --built FOLDER         deploy this checkout as it was built there; goes with the images
    --package FILE         upload everything and write the template for others to deploy

fuzz [--seconds N]         random files for the MP4 reader, 600 s if not told otherwise
generate [--check]         write the generated files, or check that they are fresh

Each command installs or builds what it needs: ffmpeg and Python (with apt-get where it may, otherwise it says
what to install), the binaries and, in one folder for all checkouts, Python environments and the like: CLIPWRIGHT_CACHE,
which is clipwright below XDG_CACHE_HOME or ~/.cache if it is not set.
";

fn main() {
    if let Err(error) = run() {
        say::line(&format!("error: {error:#}"));
        std::process::exit(1);
    }
}

fn run() -> anyhow::Result<()> {
    // Of any command, but not behind `--`: those words are for what it starts.
    if std::env::args_os().take_while(|word| word != "--").any(|word| word == "--help" || word == "-h") {
        return say::answer(HELP);
    }
    let mut arguments = lexopt::Parser::from_env();
    let Some(command) = arguments.next()? else {
        say::answer(HELP)?;
        bail!("which command?");
    };
    match command {
        Value(name) => match name.to_str() {
            Some("clip") => clip::run(&clip::Options::parse(&mut arguments)?),
            Some("signup") => signup::run(&mut arguments),
            Some("dev") => cloud::dev(&mut arguments),
            Some("setup") => set_up(&mut arguments),
            Some("lint") => lint::run(),
            Some("test") => test::run(&mut arguments),
            Some("bench") => bench::run(&mut arguments),
            Some("costs") => costs(&mut arguments),
            Some("image") => image::run(&mut arguments),
            Some("deploy") => deploy::run(&mut arguments),
            Some("fuzz") => fuzz::run(&mut arguments),
            Some("generate") => generate(&mut arguments),
            Some("help") => say::answer(HELP),
            _ => bail!("unknown command {name:?}; see cargo xtask --help"),
        },
        other => Err(other.unexpected().into()),
    }
}

fn set_up(arguments: &mut lexopt::Parser) -> anyhow::Result<()> {
    match arguments.next()? {
        None => test::set_up().and_then(|_| lint::set_up()),
        Some(Long("compilers")) => setup::compilers(),
        Some(other) => Err(other.unexpected().into()),
    }
}

fn costs(arguments: &mut lexopt::Parser) -> anyhow::Result<()> {
    if let Some(argument) = arguments.next()? {
        return Err(argument.unexpected().into());
    }
    let mut cargo = setup::cargo()?;
    cargo.args(["run", "--quiet", "--package", "clipwright-costs"]);
    setup::run(&mut cargo, "writing docs/costs.md")
}

fn generate(arguments: &mut lexopt::Parser) -> anyhow::Result<()> {
    let mut check = false;
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("check") => check = true,
            other => return Err(other.unexpected().into()),
        }
    }
    // The areas' binaries tell what is in them. The local cloud comes along: without it, cargo would build all of them anew
    // with fewer features.
    let mut packages = setup::binaries()?;
    packages.push("clipwright-generate".to_owned());
    setup::build(&packages.iter().map(String::as_str).collect::<Vec<_>>())?;
    let mut program = Command::new(setup::beside("generate")?);
    program.current_dir(setup::root()?).args(check.then_some("--check"));
    setup::run(&mut program, "generating")?;
    disposable::refresh(check)
}
