//! `bench moments`: what the finder finds for a set of queries, scored, and how long that takes.
//!
//! The vectors of each transcript are kept in a folder, so a second run costs no embedding.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use ::moments::measure::{self, Measured};
use ::moments::{Ask, Kept, Model, Segment, Snap, Transcript};
use anyhow::{Context as _, bail};
use domain::time::MediaTime;
use lexopt::prelude::*;
use nix::sys::resource::{UsageWho, getrusage};
use serde::Deserialize;
use serde_json::json;

use crate::say;
use crate::score::{self, MEASURES, Predicted, Values, Window};

/// The kind whose queries want every place where something is said.
const MENTIONS: &str = "mentions";
/// What an answer may be, where what users get is measured: the API's bounds.
const ANSWERED_MAX: usize = 5;
const LONGEST: MediaTime = MediaTime(600_000_000);
/// Words of three hours, for which there are bounds.
const THREE_HOURS_WORDS: usize = 28_000;
/// Whose queries each transcript is asked, too, though it has no answer: those so many tenths of the set behind it.
const ELSEWHERE: [usize; 3] = [3, 6, 9];

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
    fn transcript(&self) -> anyhow::Result<Transcript> {
        Ok(Transcript {
            language: self.language.clone(),
            duration: MediaTime::from_seconds(self.duration)?,
            segments: self.segments(0.0)?,
        })
    }

    /// Its segments, so many seconds later.
    fn segments(&self, later: f64) -> anyhow::Result<Vec<Segment>> {
        let segment = |row: &SegmentRow| {
            Ok(Segment {
                start: MediaTime::from_seconds(later + row.start)?,
                end: MediaTime::from_seconds(later + row.end)?,
                text: row.text.clone(),
                words: Vec::new(),
            })
        };
        self.segments.iter().map(segment).collect()
    }
}

fn words(transcript: &Transcript) -> usize {
    transcript.segments.iter().map(|segment| segment.text.split_whitespace().count()).sum()
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
    // First of all, while nothing else has taken memory.
    let mut times = Times { long: long(&model, &transcripts, &gold)?, ..Times::default() };
    let (mut outcomes, mut elsewhere) = (Vec::new(), Vec::new());
    for (at, row) in transcripts.iter().enumerate() {
        let Some(rows) = asked.get(row.id.as_str()) else { continue };
        let transcript = row.transcript().with_context(|| format!("transcript {}", row.id))?;
        let kept = times.kept(&model, &transcript, &folder, &row.id)?;
        let queries: Vec<&str> = rows.iter().map(|gold| gold.query.as_str()).collect();
        for (gold, measured) in rows.iter().zip(measure::queries(&model, &transcript, &kept, &queries)?) {
            let (outcome, predicted) = ask(&model, &transcript, &kept, gold, &measured, &mut times)?;
            if let Some(file) = &mut pred {
                writeln!(file, "{predicted}")?;
            }
            outcomes.push(outcome);
        }
        // What is asked of some others, of its own source and of another.
        let others =
            ELSEWHERE.map(|tenths| &transcripts[(at + tenths * transcripts.len() / 10) % transcripts.len()]);
        let others =
            others.iter().filter(|other| other.id != row.id).filter_map(|other| asked.get(other.id.as_str()));
        let queries: Vec<&str> = others
            .flatten()
            .filter(|gold| gold.kind != MENTIONS && !gold.relevant.is_empty())
            .map(|gold| gold.query.as_str())
            .collect();
        let measured = measure::queries(&model, &transcript, &kept, &queries)?;
        elsewhere.extend(measured.iter().map(|measured| measured.present));
    }
    let known = |id: &&&str| !transcripts.iter().any(|row| row.id == **id);
    if let Some(missing) = asked.keys().find(known) {
        bail!("there is no transcript {missing}");
    }
    say::answer(&(tables(&outcomes, &elsewhere, boot)? + &times.text()))
}

/// Measures three hours of speech, joined from as many transcripts: from nothing, and with kept vectors.
fn long(model: &Model, rows: &[TranscriptRow], gold: &[GoldRow]) -> anyhow::Result<String> {
    let mut joined = Transcript { language: None, duration: MediaTime::ZERO, segments: Vec::new() };
    for row in rows {
        if words(&joined) >= THREE_HOURS_WORDS {
            break;
        }
        joined.segments.extend(row.segments(joined.duration.seconds())?);
        joined.duration = MediaTime::from_seconds(joined.duration.seconds() + row.duration)?;
    }
    let Some(query) = gold.iter().find(|gold| gold.kind != MENTIONS).map(|gold| &gold.query) else {
        return Ok(String::new());
    };
    let (begun, cpu) = (Instant::now(), cpu()?);
    let kept = ::moments::prepare(model, &joined)?.to_bytes();
    ::moments::find(model, &joined, &Kept::from_bytes(&kept)?, &user(query))?;
    let (whole, whole_cpu) = (begun.elapsed().as_secs_f64(), self::cpu()? - cpu);
    let (begun, cpu) = (Instant::now(), self::cpu()?);
    ::moments::find(model, &joined, &Kept::from_bytes(&kept)?, &user(query))?;
    let (again, again_cpu) = (begun.elapsed().as_secs_f64(), self::cpu()? - cpu);
    Ok(format!(
        "{} words: {whole:.1} s from nothing ({whole_cpu:.1} s of processor), {again:.2} s with kept vectors ({again_cpu:.2} s), \
         at most {} MB\n",
        words(&joined),
        getrusage(UsageWho::RUSAGE_SELF)?.max_rss() / 1024
    ))
}

/// Seconds of processor time of this program.
fn cpu() -> anyhow::Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// What a user asks for.
fn user(query: &str) -> Ask {
    Ask {
        query: query.to_owned(),
        segments_max: ANSWERED_MAX,
        shortest: None,
        longest: Some(LONGEST),
        snap: Snap::Sentences,
        pad: MediaTime::ZERO,
        explain: false,
        alternates: true,
    }
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
    measured: &Measured,
    times: &mut Times,
) -> anyhow::Result<(Outcome<'a>, serde_json::Value)> {
    let (user, present) = (user(&gold.query), measured.present);
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
        let ranked = measured.ranked.iter().map(|(start, end)| window(*start, *end)).collect();
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
        present,
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
    /// What three hours take.
    long: String,
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
        let words = words(transcript);
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
        text + &self.long
    }
}

/// `elsewhere` has how likely transcripts have what was asked of others.
fn tables(outcomes: &[Outcome], elsewhere: &[f64], boot: usize) -> anyhow::Result<String> {
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
    if let Some(auroc) = score::auroc(&likely(true), elsewhere) {
        writeln!(
            text,
            "in the video at all, against {} asked of another: AUROC {auroc:.3}",
            elsewhere.len()
        )?;
    }
    writeln!(text, "answered: {} of what is there, {} of what is not", answered(true), answered(false))?;
    Ok(text)
}
