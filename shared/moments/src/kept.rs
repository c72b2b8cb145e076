//! What is kept with a transcript, so that a second question costs no second embedding.

use crate::embed::{Model, Vector, WIDTH};
use crate::{Transcript, lines};

/// Begins every one; another version of the bytes, or of how a transcript is divided, has another.
const MARK: &[u8; 8] = b"moments1";
/// Of a SHA-256.
const HASH_BYTES: usize = 32;

/// A transcript's vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    pub(crate) transcript: [u8; HASH_BYTES],
    pub(crate) model: [u8; HASH_BYTES],
    pub(crate) vectors: Vec<Vector>,
}

/// Why bytes are no [`Kept`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no kept vectors")]
pub struct NotKept;

impl Kept {
    /// Vectors that say nothing, for what looks at words alone.
    pub(crate) fn empty(transcript: [u8; HASH_BYTES], model: [u8; HASH_BYTES], units: usize) -> Self {
        Self { transcript, model, vectors: vec![[0.0; WIDTH]; units] }
    }

    /// As bytes, to be stored: 1,536 for about 50 words, 1 MB for three hours.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = [MARK.as_slice(), &self.transcript, &self.model].concat();
        bytes.extend(self.vectors.iter().flatten().flat_map(|number| number.to_le_bytes()));
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`NotKept`] if the bytes are anything else, or were written by another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotKept> {
        let rest = bytes.strip_prefix(MARK).ok_or(NotKept)?;
        let (transcript, rest) = rest.split_first_chunk().ok_or(NotKept)?;
        let (model, rest) = rest.split_first_chunk().ok_or(NotKept)?;
        let (numbers, left) = rest.as_chunks();
        let (vectors, more) = numbers.as_chunks::<WIDTH>();
        if !left.is_empty() || !more.is_empty() {
            return Err(NotKept);
        }
        let vectors: Vec<Vector> = vectors.iter().map(|vector| vector.map(f32::from_le_bytes)).collect();
        let sound = vectors.iter().flatten().all(|number| number.is_finite());
        if sound { Ok(Self { transcript: *transcript, model: *model, vectors }) } else { Err(NotKept) }
    }

    /// Whether [`crate::find`] takes it for this transcript with this model; if not, [`crate::prepare`] makes another.
    #[must_use]
    pub fn belongs_to(&self, model: &Model, transcript: &Transcript) -> bool {
        self.model == model.id() && self.transcript == lines::hash(transcript)
    }

    /// SHA-256 of the transcript that the vectors belong to.
    #[must_use]
    pub fn transcript(&self) -> &[u8; HASH_BYTES] {
        &self.transcript
    }

    /// SHA-256 of the model that made them.
    #[must_use]
    pub fn model(&self) -> &[u8; HASH_BYTES] {
        &self.model
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back(hash in any::<[u8; 32]>(), count in 0usize..4, number in -1f32..1.0) {
            let kept = Kept { transcript: hash, model: [7; 32], vectors: vec![[number; WIDTH]; count] };
            let bytes = kept.to_bytes();
            prop_assert_eq!(Kept::from_bytes(&bytes), Ok(kept));
            prop_assert_eq!(Kept::from_bytes(&bytes[..bytes.len() - 1]), Err(NotKept));
        }

        #[test]
        fn other_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(Kept::from_bytes(&bytes), Err(NotKept));
        }
    }

    #[test]
    fn a_number_that_is_none_is_refused() {
        let kept = Kept { transcript: [0; 32], model: [0; 32], vectors: vec![[f32::NAN; WIDTH]] };
        assert_eq!(Kept::from_bytes(&kept.to_bytes()), Err(NotKept));
    }
}
