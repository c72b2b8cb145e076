//! The programs of a smart cut, started before there is anything for them to do: to start takes FFmpeg as much as to
//! decode a dozen pictures.

use std::path::Path;

use tempfile::TempDir;
use tokio::{fs::File, sync::oneshot, task::JoinSet};

use super::{Reason, codec, ends, told};
use crate::{
    engine::{VerifyError, decodes, silent},
    ffmpeg::{Args, Tools},
    mp4::Track,
    process::Fed,
};

/// Started programs, and a folder for their files. They end when this is dropped.
pub struct Warm {
    pub(super) folder: TempDir,
    pub(super) encoder: Waiting<Result<(), Reason>>,
    pub(super) decoder: Waiting<Result<u64, VerifyError>>,
}

/// A program that waits for its input.
pub(super) struct Waiting<T> {
    input: oneshot::Sender<File>,
    task: JoinSet<T>,
}

impl Warm {
    /// Starts what it takes to cut pictures like those of `track`. `beside` is where the folder is made.
    pub(crate) fn start(tools: &Tools, track: &Track, beside: &Path) -> Result<Self, Reason> {
        let samples = track.samples.as_ref().map_err(|why| Reason::Samples(why))?;
        let codec = codec::read(&track.stsd, samples.description)?;
        let folder = TempDir::with_prefix_in("parts-", beside)?;
        let args = ends::encoder(codec.as_ref(), folder.path())?;
        let (for_encoder, for_decoder) = (tools.clone(), tools.clone());
        let encoder = Waiting::start(|input| async move { encode(&for_encoder, args, input).await });
        let decoder = Waiting::start(|input| async move { decodes(&for_decoder, input).await });
        Ok(Self { folder, encoder, decoder })
    }
}

async fn encode(tools: &Tools, args: Args, input: Fed) -> Result<(), Reason> {
    let finished = tools.ffmpeg_fed(args, Some(input), &mut |_| {}).await;
    silent(finished.map_err(|error| Reason::Encoder(error.to_string()))?).map_err(told)
}

impl<T: Send + 'static> Waiting<T> {
    fn start<F: Future<Output = T> + Send + 'static>(work: impl FnOnce(Fed) -> F) -> Self {
        let (input, fed) = oneshot::channel();
        let mut task = JoinSet::new();
        task.spawn(work(fed));
        Self { input, task }
    }

    /// The end of the program that is handed its input by the sender; `None` if it was lost.
    pub(super) fn split(self) -> (oneshot::Sender<File>, impl Future<Output = Option<T>>) {
        let Self { input, mut task } = self;
        (input, async move { task.join_next().await?.ok() })
    }

    /// Gives the program its input and waits for its end.
    pub(super) async fn feed(self, path: &Path) -> Result<T, Reason> {
        let lost = || Reason::Encoder("the program was lost".to_owned());
        let (input, end) = self.split();
        // A program that is gone tells why itself.
        let _ = input.send(File::open(path).await?);
        end.await.ok_or_else(lost)
    }
}
