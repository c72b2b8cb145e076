//! Sentence embeddings: MiniLM, quantised to 8 bits, through `rten`.

use std::path::Path;

/// Why the model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file of it is missing, unreadable or not what it should be.
    #[error("the model's file {file} cannot be used: {reason}")]
    File {
        /// Its name.
        file: String,
        /// In the words of whoever reads it.
        reason: String,
    },
    /// It cannot be run.
    #[error("the model cannot be run: {0}")]
    Run(String),
}

/// A model that turns text into vectors, loaded.
#[derive(Debug)]
pub struct Model {}

impl Model {
    /// Loads the model from the folder that holds its files, `minilm.onnx` and `minilm-vocab.txt`.
    ///
    /// # Errors
    /// [`ModelError::File`] if one of them is missing or isn't what it should be.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        let _ = folder;
        Ok(Self {})
    }
}
