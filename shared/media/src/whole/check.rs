//! Looking at a whole file before anybody gets it, without reading all of it.

use std::{io::Write as _, path::Path};

use domain::{
    cut::Span,
    quality::{Format, Quality},
    time::MediaTime,
};

use crate::{
    engine::{self, Cut, Damage, EngineError, Output},
    ffmpeg::Tools,
    mp4::{Index, ReadAt, SpanError, SpanFile, Wanted},
};

/// How much is cut out at each place.
const CUT: MediaTime = MediaTime(1_000_000);

/// What was found at the places that were looked at.
#[derive(Debug, Default)]
pub struct Checked {
    /// The first of the clips, whose pictures can stand for the file's; `None` without a picture.
    pub first: Option<Output>,
    /// Where the file is damaged.
    pub damage: Vec<Damage>,
}

/// Cuts a second out of the file's beginning, middle and end, as any clip is cut and verified.
///
/// # Errors
/// [`EngineError`], also if the file cannot be read. [`EngineError::source_message`] tells that it does not decode
/// cleanly there.
pub async fn check<S>(tools: &Tools, file: &S, index: &Index, folder: &Path) -> Result<Checked, EngineError>
where
    S: ReadAt<Error: std::fmt::Display> + Sync,
{
    let mut checked = Checked::default();
    for (number, start) in places(index).into_iter().enumerate() {
        let out_dir = folder.join(format!("check-{number}"));
        std::fs::create_dir_all(&out_dir).map_err(internal)?;
        let end = MediaTime(start.0.saturating_add(CUT.0));
        let input = out_dir.join("input");
        let span = Span { start, end: end.min(index.duration()).max(MediaTime(start.0 + 1)) };
        let origin = fetch(file, index, span, &input).await?;
        // A poster is no larger than this picture, and a small one is quickly encoded.
        let (format, quality) = (Format::Mp4, Quality::P720);
        let cut = Cut {
            input: &input,
            origin,
            span,
            pace: None,
            format,
            quality,
            audio: None,
            bytes_max: None,
            encode: false,
            out_dir: &out_dir,
        };
        let mut output = engine::cut(tools, &cut, &|_| {}).await?;
        checked.damage.append(&mut output.damage);
        checked.first.get_or_insert(output);
        std::fs::remove_file(&input).map_err(internal)?;
    }
    Ok(checked)
}

/// When the first frame, one in the middle and the last frame are shown.
fn places(index: &Index) -> Vec<MediaTime> {
    let Some(track) = &index.video else { return Vec::new() };
    let Ok(samples) = &track.samples else { return Vec::new() };
    let shown = || samples.list.iter().map(crate::mp4::Sample::pts).filter(|pts| track.shown.contains(pts));
    let middle = shown().nth(shown().count() / 2);
    let mut places: Vec<MediaTime> = [shown().min(), middle, shown().max()]
        .into_iter()
        .flatten()
        .map(|pts| MediaTime::from_ticks(pts, track.timescale))
        .collect();
    places.dedup();
    places
}

/// Writes the bytes that `span` needs to `path`; returns where their clock begins.
async fn fetch<S>(file: &S, index: &Index, span: Span, path: &Path) -> Result<MediaTime, EngineError>
where
    S: ReadAt<Error: std::fmt::Display> + Sync,
{
    let both = Wanted { video: true, audio: true };
    let plan = SpanFile::plan(index, span, both).map_err(|error: SpanError| internal(error))?;
    let mut out = std::fs::File::create(path).map_err(internal)?;
    out.write_all(&plan.header).map_err(internal)?;
    for range in plan.ranges {
        let bytes = file.read_at(range.start, range.end - range.start).await.map_err(internal)?;
        out.write_all(&bytes).map_err(internal)?;
    }
    Ok(plan.origin)
}

fn internal(error: impl std::fmt::Display) -> EngineError {
    EngineError::Internal(error.to_string())
}
