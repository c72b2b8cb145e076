//! Sentence embeddings: MiniLM, quantised to 8 bits, through `rten`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rten::{RunOptions, ThreadPool};
use rten_tensor::NdTensor;
use rten_tensor::prelude::*;
use sha2::{Digest as _, Sha256};

use crate::wordpiece::Vocabulary;

/// The model's files, as `places::tools::models` lays them down.
const NETWORK: &str = "minilm.onnx";
const VOCABULARY: &str = "minilm-vocab.txt";
/// Numbers in a vector.
pub(crate) const WIDTH: usize = 384;
/// Pieces of a text that the model reads.
const PIECES_MAX: usize = 256;
/// Pieces in one run, with those that fill up: so many that what passes from step to step stays in the processor's cache.
const BATCH_PIECES: usize = 1_024;

/// A unit vector.
pub(crate) type Vector = [f32; WIDTH];

/// Why the model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file of it is missing, unreadable or not what it should be.
    #[error("the model's file {file} cannot be used: {reason}")]
    File {
        /// Its name.
        file: &'static str,
        /// In the words of whoever reads it.
        reason: String,
    },
    /// It cannot be run.
    #[error("the model cannot be run: {0}")]
    Run(String),
}

/// A model that turns text into vectors, loaded.
pub struct Model {
    network: rten::Model,
    vocabulary: Vocabulary,
    id: [u8; 32],
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").finish_non_exhaustive()
    }
}

impl Model {
    /// Loads the model from the folder that holds its files, `minilm.onnx` and `minilm-vocab.txt`: a tenth of a second, 100 MB.
    ///
    /// # Errors
    /// [`ModelError::File`] if one of them is missing or isn't what it should be.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        let read = |file: &'static str| {
            let bytes = std::fs::read(folder.join(file));
            bytes.map_err(|error| ModelError::File { file, reason: error.to_string() })
        };
        let (network, list) = (read(NETWORK)?, read(VOCABULARY)?);
        let id = Sha256::new().chain_update(&network).chain_update(&list).finalize().into();
        let broken = |file, reason: &str| ModelError::File { file, reason: reason.to_owned() };
        let list = String::from_utf8(list).map_err(|_| broken(VOCABULARY, "it is not UTF-8"))?;
        let vocabulary =
            Vocabulary::read(&list).ok_or_else(|| broken(VOCABULARY, "it lacks [UNK], [CLS] or [SEP]"))?;
        let network = rten::Model::load(network).map_err(|error| broken(NETWORK, &error.to_string()))?;
        Ok(Self { network, vocabulary, id })
    }

    /// What vectors of it are kept under: the beginning of the SHA-256 of its files, in hexadecimal.
    #[must_use]
    pub fn name(&self) -> String {
        self.id.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// SHA-256 of its files: vectors of other models cannot be compared.
    pub(crate) fn id(&self) -> [u8; 32] {
        self.id
    }

    /// Whether this is a word of its own to the model, in lower case.
    pub(crate) fn knows(&self, word: &str) -> bool {
        self.vocabulary.knows(word)
    }

    /// The vectors of these texts, in their order.
    pub(crate) fn embed(&self, texts: &[&str]) -> Result<Vec<Vector>, ModelError> {
        let pieces: Vec<Vec<i32>> =
            texts.iter().map(|text| self.vocabulary.encode(text, PIECES_MAX)).collect();
        // Texts of one length side by side: the shorter ones of a run are filled up.
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|text| pieces[*text].len());
        let mut batches: Vec<&[usize]> = Vec::new();
        let mut rest = order.as_slice();
        while !rest.is_empty() {
            let fits = |many: &usize| many * pieces[rest[many - 1]].len() <= BATCH_PIECES;
            let many = (1..=rest.len()).take_while(fits).last().unwrap_or(1);
            let (batch, later) = rest.split_at(many);
            batches.push(batch);
            rest = later;
        }
        // Each batch on one thread: sharing out its many small steps costs more than it saves.
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(batches.len());
        let next = AtomicUsize::new(0);
        let work = || -> Result<Vec<(usize, Vector)>, ModelError> {
            let pool = Arc::new(ThreadPool::with_num_threads(1));
            let mut done = Vec::new();
            while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                let texts: Vec<&[i32]> = batch.iter().map(|text| pieces[*text].as_slice()).collect();
                done.extend(batch.iter().copied().zip(self.run(&texts, &pool)?));
            }
            Ok(done)
        };
        let died = |_| Err(ModelError::Run("one of its threads ended too soon".to_owned()));
        let done: Vec<_> = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let own = work();
            let others = others.into_iter().map(|other| other.join().unwrap_or_else(died));
            std::iter::once(own).chain(others).collect()
        });
        let mut vectors = vec![[0.0; WIDTH]; texts.len()];
        for done in done {
            for (text, vector) in done? {
                vectors[text] = vector;
            }
        }
        Ok(vectors)
    }

    fn run(&self, texts: &[&[i32]], pool: &Arc<ThreadPool>) -> Result<Vec<Vector>, ModelError> {
        let failed = |error: &dyn std::fmt::Display| ModelError::Run(error.to_string());
        let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0);
        let shape = [texts.len(), longest];
        let (mut ids, mut mask) = (NdTensor::<i32, 2>::zeros(shape), NdTensor::<i32, 2>::zeros(shape));
        for (row, text) in texts.iter().enumerate() {
            for (column, piece) in text.iter().enumerate() {
                ids[[row, column]] = *piece;
                mask[[row, column]] = 1;
            }
        }
        let mut inputs = Vec::new();
        for (name, values) in [
            ("input_ids", ids),
            ("attention_mask", mask),
            ("token_type_ids", NdTensor::<i32, 2>::zeros(shape)),
        ] {
            let node = self.network.node_id(name).map_err(|error| failed(&error))?;
            inputs.push((node, values.into()));
        }
        let output = *self.network.output_ids().first().ok_or_else(|| failed(&"it has no output"))?;
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(pool)));
        let mut outputs =
            self.network.run(inputs, &[output], Some(options)).map_err(|error| failed(&error))?;
        let states = outputs.pop().ok_or_else(|| failed(&"it answered nothing"))?;
        let states: NdTensor<f32, 3> =
            states.try_into().map_err(|_| failed(&"its answer has another form"))?;
        if states.shape() != [texts.len(), longest, WIDTH] {
            return Err(failed(&"its answer has another size"));
        }
        let mean = |(row, text): (usize, &&[i32])| {
            let mut vector = [0.0; WIDTH];
            for piece in 0..text.len() {
                for (sum, value) in vector.iter_mut().zip(states.slice((row, piece)).iter()) {
                    *sum += value;
                }
            }
            let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt() + 1e-9;
            vector.map(|x| x / length)
        };
        Ok(texts.iter().enumerate().map(mean).collect())
    }
}
