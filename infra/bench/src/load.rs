//! `bench load`: many jobs and many readers at once on a local cloud, as several people would cause them. Every request
//! goes through HTTP. Afterwards every job must have ended, the books must balance, and nothing may have answered with a 5xx.

mod ask;
mod books;
mod people;
mod report;

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use lexopt::prelude::*;
use serde_json::{Value as Json, json};

use crate::machine::Machine;
use crate::server::Server;
use crate::{say, tables};
use ask::{Asked, Client};
use people::Person;
use report::Report;

/// What a new account's bonus pays for: 50 jobs at 10 cents.
const JOBS_OF_A_PERSON: u32 = 50;
/// Each person reads with so many keys, each by so many readers at once.
const KEYS: usize = 2;
const READERS: usize = 2;
/// A job that has not ended by then never will.
const END_MAX: Duration = Duration::from_secs(3 * 60 * 60);
/// The source: one minute with a key frame every two seconds, so that most cuts begin and end between two.
const SOURCE: &str = "-f lavfi -i testsrc2=size=1280x720:rate=30:duration=60 \
                      -f lavfi -i sine=frequency=440:sample_rate=48000:duration=60 \
                      -c:v libx264 -preset veryfast -b:v 2500k -g 60 -keyint_min 60 -sc_threshold 0 -pix_fmt yuv420p \
                      -c:a aac -movflags +faststart";

/// What was asked for on the command line.
#[derive(Debug)]
struct Options {
    folder: PathBuf,
    info: Json,
    jobs: u32,
    reads: u32,
    json: Option<PathBuf>,
    docs: Option<PathBuf>,
}

impl Options {
    fn parse(arguments: &mut lexopt::Parser) -> anyhow::Result<Self> {
        let (mut folder, mut info, mut json, mut docs) = (None, None, None, None);
        let (mut jobs, mut reads) = (500, 20_000);
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("folder") => folder = Some(PathBuf::from(arguments.value()?)),
                Long("info") => info = Some(serde_json::from_str(&arguments.value()?.string()?)?),
                Long("jobs") => jobs = arguments.value()?.parse()?,
                Long("reads") => reads = arguments.value()?.parse()?,
                Long("json") => json = Some(arguments.value()?.into()),
                Long("docs") => docs = Some(arguments.value()?.into()),
                other => return Err(other.unexpected().into()),
            }
        }
        if jobs == 0 {
            bail!("--jobs: at least one");
        }
        let info = info.context("--info is missing")?;
        Ok(Self { folder: folder.context("--folder is missing")?, info, jobs, reads, json, docs })
    }
}

/// What all threads share.
struct Shared {
    base: String,
    source: String,
    asked: Mutex<Asked>,
    /// How many reads are still to be made.
    reads: AtomicI64,
}

impl Shared {
    fn note(&self, note: impl FnOnce(&mut Asked)) {
        note(&mut self.asked.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Runs the load, prints and writes what came of it; fails if anything was not as it must be.
pub(crate) fn run(arguments: &mut lexopt::Parser) -> anyhow::Result<()> {
    let options = Options::parse(arguments)?;
    let machine = Machine::look();
    let server = Server::start(&options.folder)?;
    make_source(&options.folder.join("load.mp4"))?;
    let base = options.info["base_url"].as_str().context("the local cloud has no address")?.to_owned();
    let people = people::sign_up(&base, options.jobs.div_ceil(JOBS_OF_A_PERSON), KEYS)?;
    let calls_before = local(&base, "calls")?;
    let shared = Shared {
        base: base.clone(),
        source: server.url("load.mp4"),
        asked: Mutex::default(),
        reads: AtomicI64::new(i64::from(options.reads)),
    };
    say::line(&format!(
        "{} people ask for {} clips and read {} times",
        people.len(),
        options.jobs,
        options.reads
    ));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for (number, person) in people.iter().enumerate() {
            let jobs = share(options.jobs, people.len(), number);
            scope.spawn({
                let shared = &shared;
                move || ask_for(person, jobs, shared)
            });
            for key in &person.keys {
                for _ in 0..READERS {
                    scope.spawn(|| read(person, key, &shared));
                }
            }
        }
    });
    let reads_done_s = begun.elapsed().as_secs_f64();
    for person in &people {
        follow(person, &shared, begun)?;
    }
    let wall_s = begun.elapsed().as_secs_f64();
    let calls = books::difference(&calls_before, &local(&base, "calls")?);
    let audit = books::audit(&options.info, &people)?;
    let asked = shared.asked.into_inner().unwrap_or_else(PoisonError::into_inner);
    let report = Report::new(&options, machine, people.len(), (wall_s, reads_done_s), asked, audit, calls);
    say::answer(&report.text())?;
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_string_pretty(&report)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    let wrong = report.wrong();
    if !wrong.is_empty() {
        bail!("{}", wrong.join("; "));
    }
    match &options.docs {
        Some(document) => tables::write_into(document, "load", &report.markdown()),
        None => Ok(()),
    }
}

fn make_source(file: &std::path::Path) -> anyhow::Result<()> {
    if file.is_file() {
        return Ok(());
    }
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-nostdin", "-y"]).args(SOURCE.split_whitespace()).arg(file);
    if !ffmpeg.status().context("cannot run ffmpeg")?.success() {
        bail!("ffmpeg cannot make the source");
    }
    Ok(())
}

/// What the local cloud tells of itself.
fn local(base: &str, what: &str) -> anyhow::Result<Json> {
    let mut answer = ask::agent().get(format!("{base}/_local/{what}")).call()?;
    Ok(answer.body_mut().read_json()?)
}

/// The part of `all` that falls to one of so many.
fn share(all: u32, people: usize, number: usize) -> u32 {
    let (all, people) = (all as usize, people.max(1));
    u32::try_from(all / people + usize::from(number < all % people)).unwrap_or(u32::MAX)
}

/// Asks for clips, one after the other, each another span.
fn ask_for(person: &Person, jobs: u32, shared: &Shared) {
    let mut client = Client::new(&shared.base, &person.keys[0]);
    for number in 0..jobs {
        let start = f64::from(number % 50) + 0.37;
        let body = json!({ "url": shared.source, "start": start, "end": start + 6.2 });
        let Some(answer) = client.ask("/v1/clip", Some(&body), |took, status| {
            shared.note(|asked| asked.accept.add(took, status));
        }) else {
            continue;
        };
        if let Some(id) = answer["job_id"].as_str() {
            person.accepted(id);
        }
    }
}

/// Reads the state of one's jobs in turn, until all reads are made.
fn read(person: &Person, key: &str, shared: &Shared) {
    let mut client = Client::new(&shared.base, key);
    let (mut turn, begun) = (0, Instant::now());
    while shared.reads.fetch_sub(1, Ordering::Relaxed) > 0 {
        let id = loop {
            match person.job(turn) {
                Some(id) => break id,
                // Nothing was accepted, as the report tells.
                None if begun.elapsed() > END_MAX => return,
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        turn += 1;
        let answer = client.ask(&format!("/v1/clip/{id}"), None, |took, status| {
            shared.note(|asked| asked.read.add(took, status));
        });
        if let Some(answer) = answer {
            person.seen(&id, &answer);
        }
    }
}

/// Waits for the end of all of one's jobs.
fn follow(person: &Person, shared: &Shared, begun: Instant) -> anyhow::Result<()> {
    let mut client = Client::new(&shared.base, &person.keys[0]);
    while let Some(id) = person.open() {
        let answer = client.ask(&format!("/v1/clip/{id}?wait=20"), None, |took, status| {
            shared.note(|asked| asked.wait.add(took, status));
        });
        if let Some(answer) = answer {
            person.seen(&id, &answer);
        }
        if begun.elapsed() > END_MAX {
            bail!("job {id} has not ended within {} minutes", END_MAX.as_secs() / 60);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_fair_share() {
        let shares: Vec<u32> = (0..3).map(|number| share(500, 3, number)).collect();
        assert_eq!(shares, [167, 167, 166]);
    }
}
