//! What a clip shows and sounds like, and what is wrong with it.

use std::path::Path;

use serde::Serialize;

use crate::corpus::Case;
use crate::frames::{self, GOOD_DB, Pictures};
use crate::probe::{self, Packets};
use crate::sound;

/// A frame or the sound may be off by as much as a clip's clock cannot express, in milliseconds.
const OFF_MAX_MS: f64 = 1.0;
/// Where the sound is compared: so many seconds behind the clip's first frame, and before its end.
const SOUND_FROM_S: f64 = 0.5;
const SOUND_BEFORE_END_S: f64 = 1.5;

/// What was found out about a clip.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Finding {
    pub(crate) clip_bytes: u64,
    pub(crate) pictures: Pictures,
    /// Frames that the file carries, but its edit list hides.
    pub(crate) hidden_frames: usize,
    /// The most that a right frame is early or late against the clip's first, in milliseconds.
    pub(crate) frame_off_ms: f64,
    /// Milliseconds by which the sound is late against the picture, near the beginning and near the end; none where it
    /// is not the source's sound.
    pub(crate) sound_late_ms: [Option<f64>; 2],
    /// In words; empty if nothing is wrong.
    pub(crate) wrong: Vec<String>,
}

/// Compares all `clips` of `case` with their source. A clip that cannot be looked at is an error of its own.
pub(crate) fn findings(
    source: &Path,
    case: &Case,
    clips: &[&Path],
) -> anyhow::Result<Vec<anyhow::Result<Finding>>> {
    let wanted = probe::packets(source, Some((case.start, case.end)))?;
    let size = probe::size(source)?;
    let usable = |clip: &Path| match probe::size(clip) {
        Ok(found) if found == size => Ok(()),
        Ok((width, height)) => Err(anyhow::anyhow!("the picture is {width} × {height}")),
        Err(error) => Err(error),
    };
    let verdicts: Vec<anyhow::Result<()>> = clips.iter().map(|clip| usable(clip)).collect();
    let good: Vec<&Path> =
        clips.iter().zip(&verdicts).filter(|(_, ok)| ok.is_ok()).map(|(clip, _)| *clip).collect();
    let mut pictures =
        if good.is_empty() { Vec::new() } else { frames::compare(source, size, &wanted, &good)? }.into_iter();
    let one = |(clip, verdict): (&&Path, anyhow::Result<()>)| {
        verdict?;
        let pictures = pictures.next().unwrap_or_default();
        finding(source, clip, &wanted, pictures)
    };
    Ok(clips.iter().zip(verdicts).map(one).collect())
}

fn finding(source: &Path, clip: &Path, wanted: &Packets, pictures: Pictures) -> anyhow::Result<Finding> {
    let shown = probe::packets(clip, None)?;
    let off = |(place, of): &(usize, usize)| {
        let (_, at) = shown.times.get(*place)?;
        let (_, meant) = wanted.times.get(*of)?;
        Some(at - meant)
    };
    let offsets: Vec<f64> = pictures.places.iter().filter_map(off).collect();
    // How far the clip's clock is behind the source's.
    let zero = offsets.first().copied().unwrap_or_default();
    let frame_off_ms = offsets.iter().map(|offset| (offset - zero).abs() * 1e3).fold(0.0, f64::max);
    let mut finding = Finding {
        clip_bytes: std::fs::metadata(clip)?.len(),
        hidden_frames: shown.hidden,
        frame_off_ms,
        sound_late_ms: sounds(source, clip, &shown, zero)?,
        pictures,
        wrong: Vec::new(),
    };
    finding.wrong = finding.faults();
    Ok(finding)
}

/// `zero` is the clip's time minus the source's.
fn sounds(source: &Path, clip: &Path, shown: &Packets, zero: f64) -> anyhow::Result<[Option<f64>; 2]> {
    if !probe::has_sound(clip)? {
        return Ok([None; 2]);
    }
    let (first, last) = (shown.first().map_or(0.0, |(_, at)| at), shown.last().map_or(0.0, |(_, at)| at));
    let late = |at: f64| sound::late_ms(clip, at, source, at - zero);
    Ok([late(first + SOUND_FROM_S)?, late(last - SOUND_BEFORE_END_S)?])
}

impl Finding {
    fn faults(&self) -> Vec<String> {
        let Pictures { wanted, right, repeated, extra, complaints, worst_db, good, identical, .. } =
            &self.pictures;
        let mut faults = Vec::new();
        let mut count = |number: usize, one: &str, many: &str| match number {
            0 => {}
            1 => faults.push(format!("1 {one}")),
            _ => faults.push(format!("{number} {many}")),
        };
        count(wanted - right, "frame is missing", "frames are missing");
        count(*repeated, "frame is repeated", "frames are repeated");
        count(*extra, "frame is from outside the span", "frames are from outside the span");
        count(
            self.hidden_frames,
            "frame more is hidden by the edit list",
            "frames more are hidden by the edit list",
        );
        count(*complaints, "complaint of the decoder", "complaints of the decoder");
        if let Some(worst) = worst_db.filter(|_| good + identical < *right) {
            let poor = right - good - identical;
            faults.push(format!("{poor} frames are below {GOOD_DB} dB (worst {worst:.1})"));
        }
        if self.frame_off_ms > OFF_MAX_MS {
            faults.push(format!("a frame is {:.0} ms off its time", self.frame_off_ms));
        }
        match self.sound_late_ms {
            [Some(begin), Some(end)] => {
                let worst = if begin.abs() >= end.abs() { begin } else { end };
                if worst.abs() > OFF_MAX_MS {
                    let word = if worst > 0.0 { "late" } else { "early" };
                    faults.push(format!("the sound is {:.1} ms {word}", worst.abs()));
                }
            }
            _ => faults.push("the sound is missing or another".to_owned()),
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(pictures: Pictures) -> Finding {
        Finding {
            clip_bytes: 1,
            pictures,
            hidden_frames: 0,
            frame_off_ms: 0.1,
            sound_late_ms: [Some(0.02), Some(-0.02)],
            wrong: Vec::new(),
        }
    }

    #[test]
    fn faults_are_told_and_only_faults() {
        let exact = Pictures {
            wanted: 9,
            right: 9,
            identical: 8,
            good: 1,
            worst_db: Some(43.0),
            ..Pictures::default()
        };
        assert_eq!(finding(exact.clone()).faults(), Vec::<String>::new());
        let mut poor =
            finding(Pictures { right: 8, good: 0, worst_db: Some(41.0), repeated: 2, identical: 7, ..exact });
        poor.sound_late_ms = [Some(-0.5), Some(-7.0)];
        let expected = [
            "1 frame is missing",
            "2 frames are repeated",
            "1 frames are below 42 dB (worst 41.0)",
            "the sound is 7.0 ms early",
        ];
        assert_eq!(poor.faults(), expected);
    }
}
