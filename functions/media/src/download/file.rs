//! One file with picture and sound.
//!
//! For an MP4 file the samples of the span are fetched. A source that has to be fetched whole (another container, a
//! server without ranges) is; if it turns out to be an MP4 file, only its span goes on.

use domain::{spec::Spec, time::MediaTime};
use media::mp4::{Index, LocalFile};
use runtime::{StageError, read_index};
use sources::{Container, RemoteFile, sniff};

use super::{
    Room,
    span::{Cutting, Held, fetch_all, must_fit, part},
};
use crate::{
    job::passing,
    work::{Plan, SOURCE},
};

/// A file on its way into the work prefix.
pub(super) struct Fetch<'a> {
    pub(super) room: Room<'a>,
    pub(super) file: &'a RemoteFile,
}

impl Fetch<'_> {
    pub(super) async fn run(&self) -> Result<Plan, StageError> {
        let (room, file) = (self.room, self.file);
        if file.serves_ranges()
            && let Some(index) = read_index(Some(room.app.objects()?), file, part(&room.job.spec)).await?
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
            if let Ok(index) = Index::read(&local).await
                && let Some(plan) =
                    (Cutting { room, index: &index, files: &[Held::Local(&local)] }).run().await?
            {
                return Ok(plan);
            }
        }
        room.put(&whole, SOURCE).await?;
        Ok(Plan::One { origin: MediaTime::ZERO, around: None })
    }
}
