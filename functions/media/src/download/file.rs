//! One file with picture and sound.
//!
//! For an MP4 file the samples of the span are fetched. A source that has to be fetched whole (another container, a
//! server without ranges) is; if it turns out to be an MP4 file, only its span goes on.

use std::path::Path;

use domain::{spec::Spec, time::MediaTime};
use media::{
    ffmpeg::Tools,
    mp4::{Index, LocalFile, Part as MoviePart},
    remux, ts,
};
use runtime::StageError;
use sources::{Container, RemoteFile, sniff};
use tokio::{fs::File, io::AsyncReadExt as _};

use super::{
    Room,
    span::{Cutting, Held, fetch_all, must_fit, part},
};
use crate::{
    job::passing,
    opening::Begins,
    sound,
    work::{Plan, SOURCE, told},
};

/// In so many bytes of a transport stream each of its streams begins.
const OPENING_BYTES: u64 = 4 << 20;

/// A file on its way into the work prefix.
pub(super) struct Fetch<'a> {
    pub(super) room: Room<'a>,
    pub(super) file: &'a RemoteFile,
}

impl Fetch<'_> {
    pub(super) async fn run(&self) -> Result<Plan, StageError> {
        let (room, file) = (self.room, self.file);
        if file.serves_ranges()
            && let Some(index) = sound::index(room.app, room.job, file, part(&room.job.spec)).await?
            && let Some(plan) = (Cutting { room, index: &index, files: &[Held::Remote(file)] }).run().await?
        {
            return Ok(plan);
        }
        must_fit(room, file.len().unwrap_or_default())?;
        room.expected.set(file.len().unwrap_or_default());
        self.whole().await
    }

    async fn whole(&self) -> Result<Plan, StageError> {
        let (room, whole) = (self.room, self.room.folder.join("whole"));
        fetch_all(self.file, &whole).await?;
        // All of a file need not be put together again.
        if matches!(room.job.spec, Spec::Clip(_)) && sniff(self.file.head()) == Container::IsoBmff {
            let local = LocalFile::open(&whole).map_err(passing)?;
            // Among several sounds the silent ones are told apart by the engine, which needs all of them.
            if let Ok(index) = Index::read_for(&local, MoviePart::Whole, room.job.spec.audio()).await
                && (room.job.spec.audio().is_some() || index.sounds.len() < 2)
                && let Some(plan) =
                    (Cutting { room, index: &index, files: &[Held::Local(&local)] }).run().await?
            {
                return Ok(plan);
            }
        }
        let one_clock = self.room.folder.join("one-clock");
        let tools = Tools::default();
        let begins = MediaTime(origin(&whole).await?.0);
        let going_on = remux::on_one_clock(&tools, &whole, &one_clock).await.map_err(told)?;
        let (path, origin) = match going_on {
            Some(shift) => (one_clock, MediaTime(begins.0.saturating_sub(shift.0))),
            None => (whole, begins),
        };
        let origin = match &room.job.spec {
            Spec::Clip(_) => origin,
            Spec::Download(_) | Spec::Moments(_) => MediaTime::ZERO,
        };
        room.put(&path, SOURCE).await?;
        Ok(Plan::whole(origin))
    }
}

/// The source's time at which a reader of the local file begins to count: with what comes first, which in a transport
/// stream may be the silence in front of its sound. Its zero is the one that the same video has as a stream in segments.
async fn origin(path: &Path) -> Result<MediaTime, StageError> {
    let mut head = Vec::new();
    let file = File::open(path).await.map_err(passing)?;
    file.take(OPENING_BYTES).read_to_end(&mut head).await.map_err(passing)?;
    let begins =
        Some(head).filter(|head| ts::is_transport(head)).and_then(|head| Begins::of_transport(&head));
    Ok(begins.map_or(MediaTime::ZERO, |begins| begins.earliest.since(begins.zero())))
}
