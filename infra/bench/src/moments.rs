//! `bench moments`: what the finder finds for a set of queries, scored, and how long that takes.
//!
//! The vectors of each transcript are kept in a folder, so a second run costs no embedding.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use ::moments::{Ask, Kept, Model, Snap, Transcript, measure};
use anyhow::{Context as _, bail};
use domain::time::MediaTime;
use lexopt::prelude::*;
use serde::Deserialize;
use serde_json::json;

use crate::say;
use crate::score::{self, MEASURES, Predicted, Values, Window};

/// The kind whose queries want every place where something is said.
const MENTIONS: &str = "mentions";
/// What an answer may be, where what users get is measured: the API's bounds.
const ANSWERED_MAX: usize = 5;
const LONGEST: MediaTime = MediaTime(600_000_000);

#[derive(Deserialize)]
struct GoldRow {
    id: String,
    transcript: String,
    kind: String,
    query: String,
    /// Nothing for what is not in the video.
    relevant: Vec<SpanRow>,
}

#[derive(Deserialize)]
struct SpanRow {
    start: f64,
    end: f64,
}

#[derive(Deserialize)]
struct TranscriptRow {
    id: String,
    duration: f64,
    #[serde(default)]
    language: Option<String>,
    segments: Vec<SegmentRow>,
}

#[derive(Deserialize)]
struct SegmentRow {
    start: f64,
    end: f64,
    text: String,
}

impl TranscriptRow {
    fn transcript(self) -> anyhow::Result<Transcript> {
        let segment = |row: SegmentRow| {
            anyhow::Ok(::moments::Segment {
                start: MediaTime::from_seconds(row.start)?,
                end: MediaTime::from_seconds(row.end)?,
                text: row.text,
                words: Vec::new(),
            })
        };
        Ok(Transcript {
            language: self.language,
            duration: MediaTime::from_seconds(self.duration)?,
            segments: self.segments.into_iter().map(segment).collect::<Result<_, _>>()?,
        })
    }
}

/// What became of a query.
struct Outcome<'a> {
    gold: &'a GoldRow,
    /// The values of the spans themselves, and of what a user is answered; nothing where nothing is relevant.
    values: Option<(Values, Values)>,
    /// How likely it is there at all.
    present: f64,
    /// Whether something was answered.
    answered: bool,
}

pub(crate) fn run(arguments: &mut lexopt::Parser) -> anyhow::Result<()> {
    let (mut models, mut folder, mut gold, mut transcripts) = (None, None, None, None);
    let (mut pred, mut boot) = (None, 0);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("models") => models = Some(PathBuf::from(arguments.value()?)),
            Long("folder") => folder = Some(PathBuf::from(arguments.value()?)),
            Long("gold") => gold = Some(PathBuf::from(arguments.value()?)),
            Long("transcripts") => transcripts = Some(PathBuf::from(arguments.value()?)),
            Long("pred") => pred = Some(PathBuf::from(arguments.value()?)),
            Long("boot") => boot = arguments.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    let folder = folder.context("--folder is missing")?;
    std::fs::create_dir_all(&folder)?;
    let gold: Vec<GoldRow> = rows(&gold.context("--gold is missing")?)?;
    let transcripts: Vec<TranscriptRow> = rows(&transcripts.context("--transcripts is missing")?)?;
    let model = Model::load(&models.context("--models is missing")?)?;
    let mut pred = pred.map(File::create).transpose().context("cannot write the predictions")?;
    let mut asked: BTreeMap<&str, Vec<&GoldRow>> = BTreeMap::new();
    for row in &gold {
        asked.entry(&row.transcript).or_default().push(row);
    }
    let (mut outcomes, mut times) = (Vec::new(), Times::default());
    for row in transcripts {
        let Some(rows) = asked.remove(row.id.as_str()) else { continue };
        let id = row.id.clone();
        let transcript = row.transcript().with_context(|| format!("transcript {id}"))?;
        let kept = times.kept(&model, &transcript, &folder, &id)?;
        for gold in rows {
            let (outcome, predicted) = ask(&model, &transcript, &kept, gold, &mut times)?;
            if let Some(file) = &mut pred {
                writeln!(file, "{predicted}")?;
            }
            outcomes.push(outcome);
        }
    }
    if let Some(missing) = asked.keys().next() {
        bail!("there is no transcript {missing}");
    }
    say::answer(&(tables(&outcomes, boot)? + &times.text()))
}

fn rows<T: for<'a> Deserialize<'a>>(file: &Path) -> anyhow::Result<Vec<T>> {
    let lines =
        BufReader::new(File::open(file).with_context(|| format!("cannot read {}", file.display()))?).lines();
    let row = |(at, line): (usize, std::io::Result<String>)| {
        serde_json::from_str(&line?).with_context(|| format!("{}:{}", file.display(), at + 1))
    };
    lines
        .enumerate()
        .filter(|(_, line)| line.as_ref().map_or(true, |line| !line.trim().is_empty()))
        .map(row)
        .collect()
}

/// Asks a query, as it is measured and as a user would; also answers the line of the predictions.
fn ask<'a>(
    model: &Model,
    transcript: &Transcript,
    kept: &Kept,
    gold: &'a GoldRow,
    times: &mut Times,
) -> anyhow::Result<(Outcome<'a>, serde_json::Value)> {
    let user = Ask {
        query: gold.query.clone(),
        segments_max: ANSWERED_MAX,
        shortest: None,
        longest: Some(LONGEST),
        snap: Snap::Sentences,
        pad: MediaTime::ZERO,
        explain: false,
        alternates: true,
    };
    let begun = Instant::now();
    let found = ::moments::find(model, transcript, kept, &user)?;
    times.queries.push(begun.elapsed().as_secs_f64());
    let window = |start: MediaTime, end: MediaTime| (start.seconds(), end.seconds());
    let windows = |moments: &[::moments::Moment]| -> Vec<Window> {
        moments.iter().map(|moment| window(moment.start, moment.end)).collect()
    };
    let answered = !found.moments.is_empty();
    let (measured, users) = if gold.kind == MENTIONS {
        let all =
            Ask { segments_max: usize::MAX, longest: None, snap: Snap::None, alternates: false, ..user };
        let ranked = windows(&::moments::find(model, transcript, kept, &all)?.moments);
        (
            Predicted { returned: ranked.len(), ranked },
            Predicted { returned: usize::MAX, ranked: windows(&found.moments) },
        )
    } else {
        let ranked = measure::ranked(model, transcript, kept, &gold.query)?;
        let ranked = ranked.into_iter().map(|(start, end)| window(start, end)).collect();
        let all: Vec<_> = found.moments.iter().chain(&found.alternates).cloned().collect();
        (
            Predicted { returned: 1, ranked },
            Predicted { returned: found.moments.len(), ranked: windows(&all) },
        )
    };
    let relevant: Vec<Window> = gold.relevant.iter().map(|row| (row.start, row.end)).collect();
    let of = |predicted: &Predicted| score::values(&relevant, predicted);
    let predictions: Vec<_> = measured.ranked.iter().enumerate().map(|(place, (start, end))| {
        json!({ "start": start, "end": end, "confidence": 1.0 / (place + 1) as f64 })
    }).collect();
    let line = json!({ "id": gold.id, "predictions": predictions, "returned": measured.returned });
    let outcome = Outcome {
        gold,
        values: (!relevant.is_empty()).then(|| (of(&measured), of(&users))),
        present: measure::present(model, transcript, kept, &gold.query)?,
        answered,
    };
    Ok((outcome, line))
}

/// How long things took, in seconds.
#[derive(Default)]
struct Times {
    /// For each transcript that had no vectors: its words, and how long they took.
    prepared: Vec<(usize, f64)>,
    queries: Vec<f64>,
}

impl Times {
    /// The vectors of a transcript, from the folder if they are there.
    fn kept(
        &mut self,
        model: &Model,
        transcript: &Transcript,
        folder: &Path,
        id: &str,
    ) -> anyhow::Result<Kept> {
        let file = folder.join(id.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-") + ".vectors");
        let kept = std::fs::read(&file).ok().and_then(|bytes| Kept::from_bytes(&bytes).ok());
        if let Some(kept) = kept.filter(|kept| kept.belongs_to(model, transcript)) {
            return Ok(kept);
        }
        let begun = Instant::now();
        let kept = ::moments::prepare(model, transcript)?;
        let words = transcript.segments.iter().map(|segment| segment.text.split_whitespace().count()).sum();
        self.prepared.push((words, begun.elapsed().as_secs_f64()));
        say::line(&format!("{id}: {words} words, {:.1} s", begun.elapsed().as_secs_f64()));
        std::fs::write(&file, kept.to_bytes())?;
        Ok(kept)
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let mut sorted = self.queries.clone();
        sorted.sort_by(f64::total_cmp);
        if let Some(longest) = sorted.last() {
            let median = sorted[sorted.len() / 2];
            let _ = writeln!(text, "a query: median {:.0} ms, at most {:.0} ms", 1e3 * median, 1e3 * longest);
        }
        let (words, seconds) =
            self.prepared.iter().fold((0, 0.0), |(words, seconds), next| (words + next.0, seconds + next.1));
        if words > 0 {
            let hour = seconds / words as f64 * 9_000.0;
            let _ = writeln!(
                text,
                "vectors: {words} words in {seconds:.1} s, so {hour:.1} s for an hour of 9,000 words"
            );
        }
        text
    }
}

fn tables(outcomes: &[Outcome], boot: usize) -> anyhow::Result<String> {
    let mut text = String::new();
    let mut kinds: Vec<&str> = outcomes.iter().map(|outcome| outcome.gold.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for (title, users) in [("spans", false), ("answers", true)] {
        let of = |outcome: &Outcome| {
            outcome.values.map(|(measured, answered)| if users { answered } else { measured })
        };
        write!(text, "{title:<16}{:>6}", "n")?;
        for measure in MEASURES {
            write!(text, "{measure:>12}")?;
        }
        text.push('\n');
        let mut row = |name: &str, belongs: &dyn Fn(&str) -> bool| {
            let values: Vec<Values> =
                outcomes.iter().filter(|outcome| belongs(&outcome.gold.kind)).filter_map(of).collect();
            let (count, means) = score::means(values.iter());
            if count > 0 {
                let _ = write!(text, "{name:<16}{count:>6}");
                for mean in means {
                    let _ = write!(text, "{mean:>12.1}");
                }
                text.push('\n');
            }
        };
        row("all but mentions", &|kind| kind != MENTIONS);
        for kind in &kinds {
            row(kind, &|other| other == *kind);
        }
        if boot > 0 {
            let mut by_transcript: BTreeMap<&str, Vec<Values>> = BTreeMap::new();
            for outcome in outcomes.iter().filter(|outcome| outcome.gold.kind != MENTIONS) {
                by_transcript.entry(&outcome.gold.transcript).or_default().extend(of(outcome));
            }
            write!(text, "{:<22}", "  95 % of all")?;
            for (low, high) in score::intervals(&by_transcript, boot) {
                write!(text, "{:>12}", format!("{low:.1}–{high:.1}"))?;
            }
            text.push('\n');
        }
        text.push('\n');
    }
    let of = |there: bool| {
        outcomes
            .iter()
            .filter(move |outcome| outcome.gold.kind != MENTIONS && outcome.values.is_some() == there)
    };
    let likely = |there: bool| of(there).map(|outcome| outcome.present).collect::<Vec<f64>>();
    let answered = |there: bool| {
        let count = of(there).filter(|outcome| outcome.answered).count();
        format!("{:.1} %", 100.0 * count as f64 / of(there).count().max(1) as f64)
    };
    if let Some(auroc) = score::auroc(&likely(true), &likely(false)) {
        writeln!(text, "in the video at all: AUROC {auroc:.3}")?;
    }
    writeln!(text, "answered: {} of what is there, {} of what is not", answered(true), answered(false))?;
    Ok(text)
}
