//! By how much a clip's sound is early or late against its picture, measured on the waveform.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

/// Samples a second in which sound is compared.
const RATE: i64 = 48_000;
/// Length of what is compared: 1 s.
const WINDOW: i64 = RATE;
/// A clip that has less of it has no sound there.
const WINDOW_MIN: usize = 24_000;
/// The largest shift that is looked for: 100 ms.
const SHIFT_MAX: i64 = RATE / 10;
/// Below this correlation it is not the same sound.
const LIKENESS_MIN: f64 = 0.6;

/// Milliseconds by which the clip's sound is late (negative: early), where `clip_s` of the clip is to sound like
/// `source_s` of the source; none if it is not the same sound.
pub(crate) fn late_ms(clip: &Path, clip_s: f64, source: &Path, source_s: f64) -> anyhow::Result<Option<f64>> {
    let at = sample(clip_s);
    let have = samples(clip, 0.0, at, at + WINDOW)?;
    let middle = sample(source_s);
    let from = (source_s - crate::probe::LEAD_S).max(0.0);
    let want = samples(source, from, middle - SHIFT_MAX, middle + WINDOW + SHIFT_MAX)?;
    if have.len() < WINDOW_MIN {
        return Ok(None);
    }
    #[allow(clippy::cast_precision_loss)] // thousands at most
    Ok(lag(&have, &want, SHIFT_MAX).map(|lag| lag as f64 * 1e3 / RATE as f64))
}

#[allow(clippy::cast_possible_truncation)] // hours at most
#[allow(clippy::cast_precision_loss)]
fn sample(seconds: f64) -> i64 {
    (seconds * RATE as f64).round() as i64
}

/// One channel of the file's sound from sample `first` to `end` of its own clock, read from `from` seconds on.
fn samples(path: &Path, from: f64, first: i64, end: i64) -> anyhow::Result<Vec<f32>> {
    let pick =
        format!("aformat=sample_rates={RATE}:channel_layouts=mono,atrim=start_pts={first}:end_pts={end}");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-copyts"]);
    if from > 0.0 {
        command.args(["-noaccurate_seek", "-seek_timestamp", "1", "-ss", &format!("{from:.3}")]);
    }
    command.arg("-i").arg(path).args(["-map", "0:a:0", "-af", &pick, "-f", "f32le", "-"]);
    let output = command.output().context("cannot run ffmpeg")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let four = |bytes: &[u8]| bytes.try_into().map(f32::from_le_bytes).unwrap_or_default();
    Ok(output.stdout.chunks_exact(4).map(four).collect())
}

/// Where within `want` the sound `have` lies, which is to begin `shift_max` samples behind its beginning: the shift of
/// the highest correlation.
fn lag(have: &[f32], want: &[f32], shift_max: i64) -> Option<i64> {
    let shifts = want.len().checked_sub(have.len())?;
    let own = dot(have, have);
    let likeness = |shift: usize| {
        let there = &want[shift..shift + have.len()];
        f64::from(dot(have, there)) / f64::from((own * dot(there, there)).max(f32::MIN_POSITIVE).sqrt())
    };
    let best = (0..=shifts).map(|shift| (shift, likeness(shift))).max_by(|a, b| a.1.total_cmp(&b.1))?;
    // Found earlier in the source than in the clip: the clip's sound is late.
    (best.1 >= LIKENESS_MIN).then(|| shift_max - i64::try_from(best.0).unwrap_or(0))
}

/// Eight sums side by side, which the compiler may keep in one vector; a single one it must not reorder.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_shift_of_a_noise() {
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from(u16::try_from(state >> 16).unwrap()) / 32768.0 - 1.0
        };
        let want: Vec<f32> = (0..4800).map(|_| noise()).collect();
        assert_eq!(lag(&want[64..4064], &want, 400), Some(336), "7 ms late at 48 kHz");
        let other: Vec<f32> = (0..4000).map(|_| noise()).collect();
        assert_eq!(lag(&other, &want, 400), None);
    }
}
