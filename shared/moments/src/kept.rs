//! What is kept with a transcript, so that a second question costs no second embedding.

/// A transcript's vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    pub(crate) transcript: [u8; 32],
}

/// Why bytes are no [`Kept`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no kept vectors")]
pub struct NotKept;

impl Kept {
    /// As bytes, to be stored.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.transcript.to_vec()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`NotKept`] if the bytes are anything else, or were written by another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotKept> {
        let transcript = bytes.try_into().map_err(|_| NotKept)?;
        Ok(Self { transcript })
    }

    /// SHA-256 of the transcript that the vectors belong to.
    #[must_use]
    pub fn transcript(&self) -> &[u8; 32] {
        &self.transcript
    }
}
