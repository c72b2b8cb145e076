//! `bench speech`: how well, how fast and with how much memory speech is recognised, beside faster-whisper in the same run, and
//! what is made of sound in which nobody speaks.
//!
//! Each recogniser is a program that tells the seconds of processor time that it took without loading; its memory is looked
//! at from outside. Wall time says little on a machine that has other work, so rates are sound for each second of
//! processor time.

mod corpus;
mod wer;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use lexopt::prelude::*;
use serde::{Deserialize, Serialize};

use self::corpus::Sound;
use self::wer::{Score, Word};
use crate::machine::Machine;
use crate::measure::{self, Sampling};
use crate::{say, tables};

/// The models that are compared.
const MODELS: [&str; 2] = ["whisper-base", "whisper-tiny.en"];
/// How many pieces run side by side, as a machine with two processors has them.
const SIDE_BY_SIDE: usize = 2;

/// What is compared, and with what.
#[derive(Debug, Default)]
struct Setup {
    folder: PathBuf,
    /// Ours: the example `recognise` of the crate `speech`.
    recognise: PathBuf,
    models: PathBuf,
    /// The programs of a Python environment with faster-whisper.
    venv: PathBuf,
    /// Where the scripts lie.
    python: PathBuf,
}

/// What a recogniser answers.
#[derive(Debug, Deserialize)]
struct Told {
    load_s: f64,
    wall_s: f64,
    cpu_s: f64,
    spoken: Vec<Spoken>,
}

#[derive(Debug, Deserialize)]
struct Spoken {
    segments: Vec<Segment>,
}

#[derive(Debug, Deserialize)]
struct Segment {
    words: Vec<Heard>,
}

/// A word and when it begins, in microseconds.
#[derive(Debug, Deserialize)]
struct Heard {
    text: String,
    start: i64,
}

/// One line of the table.
#[derive(Debug, Serialize)]
struct Row {
    recogniser: String,
    sound: &'static str,
    sound_s: f64,
    load_s: f64,
    wall_s: f64,
    cpu_s: f64,
    /// Seconds of sound for each second of processor time.
    times_real_time: f64,
    memory_bytes: u64,
    words: usize,
    word_error_rate: Option<f64>,
    start_median_ms: Option<f64>,
    start_p90_ms: Option<f64>,
    start_bias_ms: Option<f64>,
}

pub(crate) fn run(arguments: &mut lexopt::Parser) -> anyhow::Result<()> {
    let (mut setup, mut quick, mut json, mut docs) = (Setup::default(), false, None, None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("folder") => setup.folder = arguments.value()?.into(),
            Long("recognise") => setup.recognise = arguments.value()?.into(),
            Long("models") => setup.models = arguments.value()?.into(),
            Long("venv") => setup.venv = arguments.value()?.into(),
            Long("python") => setup.python = arguments.value()?.into(),
            Long("quick") => quick = true,
            Long("json") => json = Some(PathBuf::from(arguments.value()?)),
            Long("docs") => docs = Some(PathBuf::from(arguments.value()?)),
            other => return Err(other.unexpected().into()),
        }
    }
    std::fs::create_dir_all(&setup.folder)?;
    let machine = Machine::look();
    let mut rows = Vec::new();
    let mut sounds = corpus::speech(&setup.folder, &setup.python, quick)?;
    for (name, group) in &sounds {
        for model in MODELS {
            rows.push(setup.ours(model, 1, name, group)?);
            rows.push(setup.theirs(model, name, group)?);
        }
    }
    // The same again, two pieces at once.
    if let Some((name, group)) = sounds.iter_mut().next() {
        group.extend_from_within(..);
        rows.push(setup.ours(MODELS[0], SIDE_BY_SIDE, name, group)?);
    }
    if !quick {
        for (name, group) in &corpus::nothing(&setup.folder, &setup.venv)? {
            rows.push(setup.ours(MODELS[0], 1, name, group)?);
            rows.push(setup.theirs(MODELS[0], name, group)?);
        }
    }
    let table = table(&rows);
    say::answer(&tables::aligned(&table))?;
    let ratios = ratios(&rows);
    say::answer(&ratios)?;
    if let Some(file) = &json {
        let everything = serde_json::json!({ "machine": machine, "rows": rows });
        std::fs::write(file, serde_json::to_string_pretty(&everything)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    if let Some(document) = docs {
        let date = jiff::Timestamp::now().strftime("%Y-%m-%d");
        let on = format!(
            "Measured on {date}: {}, {} processors, load {} before.",
            machine.cpu, machine.cores, machine.load_before
        );
        tables::write_into(&document, "speech", &format!("{on}\n\n{}\n{ratios}", tables::piped(&table)))?;
    }
    Ok(())
}

impl Setup {
    fn ours(&self, model: &str, threads: usize, name: &'static str, group: &[Sound]) -> anyhow::Result<Row> {
        let mut command = Command::new(&self.recognise);
        command.arg(&self.models).arg(model).arg(threads.to_string());
        let many = if threads > 1 { format!(", {threads} at once") } else { String::new() };
        self.row(command, format!("{model}, ours{many}"), name, group)
    }

    fn theirs(&self, model: &str, name: &'static str, group: &[Sound]) -> anyhow::Result<Row> {
        let mut command = Command::new(self.venv.join("python"));
        command.arg(self.python.join("listen.py")).arg(self.models.join(model));
        self.row(command, format!("{model}, faster-whisper"), name, group)
    }

    fn row(
        &self,
        mut command: Command,
        recogniser: String,
        name: &'static str,
        group: &[Sound],
    ) -> anyhow::Result<Row> {
        say::line(&format!("bench: {recogniser}: {name}"));
        command.args(group.iter().map(|sound| &sound.file));
        let log = self.folder.join("log");
        let cost = measure::run(&mut command, &log, Sampling::Light).context(recogniser.clone())?;
        let told = answer(&log)?;
        let sound_s: f64 = group.iter().map(|sound| sound.seconds).sum();
        let mut score = Score::default();
        for (sound, spoken) in group.iter().zip(&told.spoken) {
            score = score.and(Score::of(&sound.words, &heard(spoken)));
        }
        Ok(Row {
            recogniser,
            sound: name,
            sound_s,
            load_s: told.load_s,
            wall_s: told.wall_s,
            cpu_s: told.cpu_s,
            times_real_time: sound_s / told.cpu_s,
            memory_bytes: cost.memory_bytes,
            words: told.spoken.iter().map(|spoken| heard(spoken).len()).sum(),
            word_error_rate: (score.said > 0).then(|| score.rate()),
            start_median_ms: score.within_ms(0.5),
            start_p90_ms: score.within_ms(0.9),
            start_bias_ms: score.bias_ms(),
        })
    }
}

/// The line of JSON among what a program printed.
fn answer(log: &Path) -> anyhow::Result<Told> {
    let text = std::fs::read_to_string(log)?;
    let line = text.lines().find(|line| line.starts_with('{')).context("no answer")?;
    serde_json::from_str(line).context("a strange answer")
}

fn heard(spoken: &Spoken) -> Vec<Word> {
    let words = spoken.segments.iter().flat_map(|segment| &segment.words);
    words.flat_map(|word| wer::words(&word.text, Some(word.start as f64 / 1e6))).collect()
}

fn table(rows: &[Row]) -> Vec<Vec<String>> {
    let head = ["recogniser", "s of sound", "CPU s", "× real time", "wall s", "peak MB", "words", "WER"];
    let starts = ["start off, median ms", "p90 ms", "bias ms", "sound"];
    let mut table =
        vec![[&head[..], &starts[..]].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for row in rows {
        table.push(vec![
            row.recogniser.clone(),
            format!("{:.0}", row.sound_s),
            format!("{:.1}", row.cpu_s),
            format!("{:.1}", row.times_real_time),
            format!("{:.1}", row.wall_s),
            format!("{}", row.memory_bytes / 1_000_000),
            row.words.to_string(),
            tables::number(row.word_error_rate, 3),
            tables::number(row.start_median_ms, 0),
            tables::number(row.start_p90_ms, 0),
            tables::number(row.start_bias_ms, 0),
            row.sound.to_owned(),
        ]);
    }
    table
}

/// Ours for each of theirs, row by row.
fn ratios(rows: &[Row]) -> String {
    let mut text = String::new();
    for two in rows.windows(2) {
        let [ours, theirs] = two else { continue };
        if !theirs.recogniser.ends_with("faster-whisper") {
            continue;
        }
        let cpu = ours.cpu_s / theirs.cpu_s;
        let memory = ours.memory_bytes as f64 / theirs.memory_bytes as f64;
        let name = ours.recogniser.trim_end_matches(", ours");
        text +=
            &format!("- {name}, {}: {cpu:.2} × faster-whisper's CPU, {memory:.2} × its memory\n", ours.sound);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_found_among_other_words() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let line = r#"{"load_s":1,"wall_s":2,"cpu_s":3,"spoken":[{"language":"en","segments":[{"words":[{"text":"Hi, you","start":1500000,"end":1600000}]}]}]}"#;
        std::fs::write(file.path(), format!("a warning\n{line}\n")).unwrap();
        let told = answer(file.path()).unwrap();
        let words = heard(&told.spoken[0]);
        assert_eq!(words, wer::words("hi you", Some(1.5)));
    }
}
