//! What Whisper looks at: how loud each of its bands of pitch is, every 10 ms.

use std::f32::consts::PI;
use std::fmt;
use std::sync::Arc;

use realfft::{RealFftPlanner, RealToComplex};

use crate::{Error, SAMPLE_RATE, failed};

/// Samples from one frame to the next: 10 ms.
pub(crate) const HOP: usize = 160;
/// Frames that Whisper looks at at once: 30 s.
pub(crate) const FRAMES: usize = 3000;
/// Samples that a frame is made from: 25 ms.
const WIDTH: usize = 400;
/// Below this is silence, as a logarithm of energy.
const SILENCE: f32 = -10.0;
/// What is so much quieter than the loudest is silence, too, in the same logarithm: 80 dB.
const RANGE: f32 = 8.0;

/// A band: the weights of neighbouring frequencies.
struct Band {
    first: usize,
    weights: Vec<f32>,
}

/// Makes what Whisper looks at.
pub(crate) struct Mel {
    bands: Vec<Band>,
    shape: Vec<f32>,
    fft: Arc<dyn RealToComplex<f32>>,
}

impl fmt::Debug for Mel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mel").field("bands", &self.bands.len()).finish_non_exhaustive()
    }
}

impl Mel {
    pub(crate) fn new(bands: usize) -> Self {
        let turn = 2.0 * PI / WIDTH as f32;
        Self {
            bands: (0..bands).map(|number| band(number, bands)).collect(),
            shape: (0..WIDTH).map(|at| 0.5 - 0.5 * (turn * at as f32).cos()).collect(),
            fft: RealFftPlanner::new().plan_fft_forward(WIDTH),
        }
    }

    /// Bands times frames, of at most 30 s of sound and silence behind it.
    pub(crate) fn frames(&self, samples: &[f32]) -> Result<Vec<f32>, Error> {
        let mut frames = vec![SILENCE; self.bands.len() * FRAMES];
        let (mut sound, mut spectrum) = (self.fft.make_input_vec(), self.fft.make_output_vec());
        let mut energy = vec![0.0; spectrum.len()];
        let half = WIDTH / 2;
        // The last frame that sees a sample.
        let count = ((samples.len() + half) / HOP + 1).min(FRAMES);
        for frame in 0..count {
            for (at, (value, weight)) in sound.iter_mut().zip(&self.shape).enumerate() {
                // A frame is centred at its time; before the beginning the sound is mirrored.
                let sample = (frame * HOP + at).abs_diff(half);
                *value = samples.get(sample).copied().unwrap_or(0.0) * weight;
            }
            self.fft.process(&mut sound, &mut spectrum).map_err(failed)?;
            for (energy, value) in energy.iter_mut().zip(&spectrum) {
                *energy = value.norm_sqr();
            }
            for (number, band) in self.bands.iter().enumerate() {
                let sum: f32 = band.weights.iter().zip(&energy[band.first..]).map(|(a, b)| a * b).sum();
                frames[number * FRAMES + frame] = sum.max(1e-10).log10();
            }
        }
        let loudest = frames.iter().copied().fold(SILENCE, f32::max);
        for value in &mut frames {
            *value = (value.max(loudest - RANGE) + 4.0) / 4.0;
        }
        Ok(frames)
    }
}

/// The triangle of band `number` of `count`, of equal area, as Slaney's auditory toolbox has it.
fn band(number: usize, count: usize) -> Band {
    let highest = mel(SAMPLE_RATE as f64 / 2.0);
    let edge = |at: usize| hertz(highest * at as f64 / (count + 1) as f64);
    let (low, middle, high) = (edge(number), edge(number + 1), edge(number + 2));
    let weights = (0..=WIDTH / 2).map(|bin| {
        let pitch = bin as f64 * SAMPLE_RATE as f64 / WIDTH as f64;
        let weight = ((pitch - low) / (middle - low)).min((high - pitch) / (high - middle)).max(0.0);
        (weight * 2.0 / (high - low)) as f32
    });
    let weights: Vec<f32> = weights.collect();
    let first = weights.iter().position(|weight| *weight > 0.0).unwrap_or(0);
    let end = weights.iter().rposition(|weight| *weight > 0.0).map_or(first, |last| last + 1);
    Band { first, weights: weights[first..end].to_vec() }
}

/// Hertz below this are as far apart as they are; above, their logarithms are.
const LINEAR_MAX: f64 = 1000.0;
const PER_MEL: f64 = 200.0 / 3.0;

fn log_step() -> f64 {
    6.4f64.ln() / 27.0
}

fn mel(hertz: f64) -> f64 {
    if hertz < LINEAR_MAX {
        hertz / PER_MEL
    } else {
        LINEAR_MAX / PER_MEL + (hertz / LINEAR_MAX).ln() / log_step()
    }
}

fn hertz(mel: f64) -> f64 {
    let linear_max = LINEAR_MAX / PER_MEL;
    if mel < linear_max { mel * PER_MEL } else { LINEAR_MAX * ((mel - linear_max) * log_step()).exp() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_loudest_in_its_band_while_it_sounds() {
        let mel = Mel::new(80);
        let turn = 2.0 * PI * 1000.0 / SAMPLE_RATE as f32;
        let tone: Vec<f32> = (0..SAMPLE_RATE).map(|at| (turn * at as f32).sin()).collect();
        let frames = mel.frames(&tone).unwrap();
        let value = |band: usize, frame: usize| frames[band * FRAMES + frame];
        // 1000 Hz are 15 mel of 45.2, which the bands' edges share among 81.
        let loudest = (0..80).max_by(|one, other| value(*one, 50).total_cmp(&value(*other, 50)));
        assert_eq!(loudest, Some(26));
        assert!(value(26, 50) - value(26, 150) >= 1.9, "silence behind it");
        assert_eq!(frames.len(), 80 * FRAMES);
        assert!(mel.frames(&[]).unwrap().iter().all(|value| *value == -1.5));
    }
}
