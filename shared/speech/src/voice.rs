//! Where somebody speaks, by Silero's model.

use std::fmt;
use std::mem;
use std::path::Path;
use std::sync::Arc;

use rten::{Model, NodeId, RunOptions, ThreadPool};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, Tensor};

use crate::piece::{self, Piece};
use crate::stretch::{self, Stretch, WINDOW};
use crate::{Error, failed};

/// The model's file in the folder of models.
const FILE: &str = "silero_vad_v6.onnx";
/// Samples before a window that the model sees again.
const CONTEXT: usize = 64;
/// Numbers that the model remembers from window to window, twice.
const STATE: usize = 128;
/// Windows that it looks at in one go, one minute: bounds the memory.
const WINDOWS_AT_ONCE_MAX: usize = 1875;

/// Tells where somebody speaks (Silero). Cheap: a minute of sound takes a third of a second.
pub struct Voice {
    model: Model,
    inputs: [NodeId; 3],
    outputs: [NodeId; 3],
    /// One thread: pieces run side by side.
    threads: Arc<ThreadPool>,
}

impl fmt::Debug for Voice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Voice").finish_non_exhaustive()
    }
}

impl Voice {
    /// The model in `silero_vad_v6.onnx` of the folder of models.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn load(folder: &Path) -> Result<Self, Error> {
        let file = folder.join(FILE);
        let wrong = |reason: String| Error::Model { file: file.clone(), reason };
        let model = Model::load_file(&file).map_err(|error| wrong(error.to_string()))?;
        let node = |name: &str| model.node_id(name).map_err(|error| wrong(error.to_string()));
        let inputs = [node("input")?, node("h")?, node("c")?];
        let outputs = model.output_ids().try_into().map_err(|_| wrong("not three outputs".to_owned()))?;
        Ok(Self { model, inputs, outputs, threads: Arc::new(ThreadPool::with_num_threads(1)) })
    }

    /// Begins to listen: the sound may come in parts of any length, so that hours of it need not be held at once.
    #[must_use]
    pub fn listen(&self) -> Listening<'_> {
        Listening {
            voice: self,
            waiting: vec![0.0; CONTEXT],
            memory: [NdTensor::zeros([1, 1, STATE]), NdTensor::zeros([1, 1, STATE])],
            heard: 0,
            chances: Vec::new(),
        }
    }

    /// Where somebody speaks in this sound.
    pub(crate) fn stretches(&self, samples: &[f32]) -> Result<Vec<Stretch>, Error> {
        let mut listening = self.listen();
        listening.hear(samples)?;
        listening.stretches()
    }
}

/// Listens to one sound.
pub struct Listening<'a> {
    voice: &'a Voice,
    /// The context of the next window, and what has come of that window.
    waiting: Vec<f32>,
    memory: [NdTensor<f32, 3>; 2],
    /// Samples.
    heard: usize,
    /// How likely somebody speaks in each window.
    chances: Vec<f32>,
}

impl fmt::Debug for Listening<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening").field("heard", &self.heard).finish_non_exhaustive()
    }
}

impl Listening<'_> {
    /// The sound goes on with these samples.
    ///
    /// # Errors
    /// [`Error::Failed`].
    pub fn hear(&mut self, samples: &[f32]) -> Result<(), Error> {
        self.heard += samples.len();
        // Some at a time, or what waits would be a copy of it all.
        for some in samples.chunks(WINDOWS_AT_ONCE_MAX * WINDOW) {
            self.waiting.extend_from_slice(some);
            self.look()?;
        }
        Ok(())
    }

    /// The sound has ended: where to cut it, at silences. No pieces if nobody speaks.
    ///
    /// # Errors
    /// [`Error::Failed`].
    pub fn pieces(self) -> Result<Vec<Piece>, Error> {
        let samples = self.heard;
        Ok(piece::pieces(&self.stretches()?, samples))
    }

    fn stretches(mut self) -> Result<Vec<Stretch>, Error> {
        if self.waiting.len() > CONTEXT {
            self.waiting.resize(CONTEXT + WINDOW, 0.0);
            self.look()?;
        }
        Ok(stretch::stretches(&self.chances, self.heard))
    }

    /// Looks at all whole windows that wait.
    fn look(&mut self) -> Result<(), Error> {
        let count = (self.waiting.len() - CONTEXT) / WINDOW;
        if count == 0 {
            return Ok(());
        }
        let mut windows = Vec::with_capacity(count * (CONTEXT + WINDOW));
        for window in self.waiting.windows(CONTEXT + WINDOW).step_by(WINDOW) {
            windows.extend_from_slice(window);
        }
        self.waiting.drain(..count * WINDOW);
        let windows = NdTensor::from_data([count, CONTEXT + WINDOW], windows);
        let [input, first, second] = self.voice.inputs;
        let memory = mem::replace(&mut self.memory, [NdTensor::zeros([0; 3]), NdTensor::zeros([0; 3])]);
        let [before, cell] = memory;
        let values = vec![(input, windows.into()), (first, before.into()), (second, cell.into())];
        let options = RunOptions::default().with_thread_pool(Some(self.voice.threads.clone()));
        let told = self.voice.model.run_n(values, self.voice.outputs, Some(options)).map_err(failed)?;
        let [chances, before, cell] = told;
        let chances: Tensor<f32> = chances.try_into().map_err(failed)?;
        self.memory = [before.try_into().map_err(failed)?, cell.try_into().map_err(failed)?];
        self.chances.extend(chances.iter());
        Ok(())
    }
}
