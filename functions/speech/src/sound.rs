//! The sound that `media.hear` left, and what of it somebody is to listen to.

use domain::{ids::JobId, time::MediaTime};
use runtime::StageError;
use serde::{Deserialize, Serialize};
use speech::{Piece, SAMPLE_RATE_HZ};
use store::{keys, objects::Objects};

use crate::models::passing;

/// Bytes of a sample.
const SAMPLE_BYTES: u64 = 2;

/// Where the samples lie.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sound {
    object: String,
    at: u64,
    bytes: u64,
}

impl Sound {
    /// How many samples there are.
    pub(crate) const fn samples(&self) -> u64 {
        self.bytes / SAMPLE_BYTES
    }

    /// `count` samples from `first` on, or as many as there are.
    pub(crate) async fn read(
        &self,
        objects: &Objects,
        first: u64,
        count: u64,
    ) -> Result<Vec<f32>, StageError> {
        let first = first.min(self.samples());
        let count = count.min(self.samples() - first);
        let bytes =
            objects.read_at(&self.object, self.at + first * SAMPLE_BYTES, count * SAMPLE_BYTES).await?;
        let (samples, _) = bytes.as_chunks::<2>();
        Ok(samples.iter().map(|sample| f32::from(i16::from_le_bytes(*sample)) / 32_768.0).collect())
    }

    /// The samples of a piece.
    pub(crate) async fn piece(&self, objects: &Objects, piece: &Piece) -> Result<Vec<f32>, StageError> {
        let first = sample(piece.start)?;
        self.read(objects, first, sample(piece.end)?.saturating_sub(first)).await
    }
}

/// The sample that is nearest to a time.
fn sample(time: MediaTime) -> Result<u64, StageError> {
    let ticks = (i128::from(time.0) * i128::from(SAMPLE_RATE_HZ) + 500_000).div_euclid(1_000_000);
    u64::try_from(ticks).map_err(passing)
}

/// A piece of the sound among others.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    /// Counted from 0.
    pub(crate) number: usize,
    /// How many there are.
    pub(crate) of: usize,
    /// When it is.
    #[serde(flatten)]
    pub(crate) piece: Piece,
}

/// The object with the words of a part.
pub(crate) fn spoken_object(job: &JobId, number: usize) -> String {
    keys::work_object(job, &format!("spoken-{number}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_sample() {
        for (micros, wanted) in [(0, 0), (1_000_000, 16_000), (62, 1), (63, 1), (10_800_000_000, 172_800_000)]
        {
            assert_eq!(sample(MediaTime(micros)).unwrap(), wanted);
        }
        assert!(sample(MediaTime(-1_000_000)).is_err());
    }

    #[test]
    fn what_the_state_machine_carries_is_small() {
        let piece = Piece { start: MediaTime(1), end: MediaTime(2) };
        let part = serde_json::to_value(Part { number: 0, of: 3, piece }).unwrap();
        assert_eq!(part, serde_json::json!({ "number": 0, "of": 3, "start": 1, "end": 2 }));
    }
}
