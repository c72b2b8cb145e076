//! The inputs that people really have: one table of kinds, cases and results, `cargo xtask test -- cases`.
//!
//! Each case is made here by FFmpeg and a few lines of ours, looked at as the probe looks at it, and cut or refused as a
//! job would. Every source has numbered frames and a chirp, so that what comes out can be told to the frame and to the
//! sample. Invariant: a case that is not right yet stands in [`OPEN`], and nothing else may fail.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

#[path = "../kit/mod.rs"]
mod kit;
mod made;
mod tables;
mod tried;

use std::{io::Write as _, path::Path, sync::Arc};

use domain::{cut::Span, quality::Format};
use futures_util::{StreamExt as _, stream};

/// Cases and requests that are known to fall short. This list is to become empty. They are tried and shown, but do not fail the run.
///
/// Sound alone of fragments whose pictures are reordered, without an edit list: its first packet is announced as three times
/// as long as it is, and the sound comes out in pieces.
const OPEN: &[(&str, &str)] = &[("fragmented.mp4", "wav 2.51-6.24")];

/// So many cases are tried at once.
const AT_ONCE: usize = 2;

/// What must come of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Want {
    /// The clip: frames by their numbers, 30 a second, and the chirp at its time.
    Clip,
    /// A clip whose content is no numbered frames or no chirp: its streams and its length are looked at.
    Length,
    /// A reason, with these words.
    Refusal(&'static str),
    /// The clip, or a reason that is the source's.
    Either,
    /// A clip of which this is so.
    Heard(fn(&Path)),
}

/// One request for a source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) span: Span,
    pub(crate) format: Format,
    /// The sound that is asked for.
    pub(crate) audio: Option<&'static str>,
    pub(crate) want: Want,
}

/// A source, and what is asked of it.
pub(crate) struct Case {
    pub(crate) kind: &'static str,
    /// The file's name, which tells FFmpeg nothing: containers are told from bytes.
    pub(crate) name: String,
    pub(crate) make: Arc<dyn Fn(&Path) + Send + Sync>,
    pub(crate) asks: Vec<Ask>,
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_of_what_people_have() {
    let folder = tempfile::tempdir().unwrap();
    made::base(folder.path());
    let filter = std::env::var("CASES").unwrap_or_default();
    let cases = tables::all().into_iter().filter(|case| case.name.contains(&filter));
    let mut tried = stream::iter(cases).map(|case| tried::case(folder.path(), case)).buffered(AT_ONCE);
    say("\nkind | case | request | result\n--- | --- | --- | ---");
    let (mut count, mut wrong, mut mended) = (0, Vec::new(), Vec::new());
    while let Some(rows) = tried.next().await {
        for row in rows {
            count += 1;
            let is_open = OPEN.contains(&(row.name.as_str(), row.ask.as_str()));
            let result = match &row.result {
                Ok(done) => done.clone(),
                Err(why) if is_open => format!("OPEN: {why}"),
                Err(why) => format!("WRONG: {why}"),
            };
            let result = result.replace(['\n', '|'], " ");
            say(&format!("{} | {} | {} | {result}", row.kind, row.name, row.ask));
            if row.result.is_err() && !is_open {
                wrong.push(format!("{} {}: {result}", row.name, row.ask));
            }
            if is_open {
                mended.push((format!("{} {}", row.name, row.ask), row.result.is_ok()));
            }
        }
    }
    say(&format!(
        "\n{count} cases, {} wrong, {} open",
        wrong.len(),
        mended.iter().filter(|(_, right)| !right).count()
    ));
    for (name, _) in mended.iter().filter(|(_, is_right)| *is_right) {
        say(&format!("{name} is right now: take it off the list"));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Says something past the test runner, which keeps what is printed of tests that pass.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
}
