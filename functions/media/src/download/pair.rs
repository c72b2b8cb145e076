//! The picture in one file and the sound in another.
//!
//! Where both are MP4 files, the sound's bytes count as lying behind the picture's, and the span is fetched like that of
//! one file. Anything else (another container, a server without ranges) is fetched whole and put into one file here.

use std::path::Path;

use domain::time::MediaTime;
use look::{read_index, read_index_for};
use media::{
    ffmpeg::Tools,
    mp4::{Index, LocalFile, ReadAt},
    remux,
};
use runtime::StageError;
use sources::{Container, RemoteFile, sniff};

use super::{
    Room,
    span::{Cutting, Held, fetch_all, must_fit, part},
};
use crate::{
    job::passing,
    work::{Plan, SOURCE, told},
};

/// Two files on their way into the work prefix.
pub(super) struct Fetch<'a> {
    pub(super) room: Room<'a>,
    pub(super) video: &'a RemoteFile,
    pub(super) audio: &'a RemoteFile,
}

impl Fetch<'_> {
    pub(super) async fn run(&self) -> Result<Plan, StageError> {
        let (room, video, audio) = (self.room, self.video, self.audio);
        if video.serves_ranges()
            && audio.serves_ranges()
            && let Some(at) = video.len()
        {
            let (objects, part) = (room.app.objects()?, part(&room.job.spec));
            let (seen, heard) = tokio::try_join!(
                read_index(Some(objects), video, part),
                read_index_for(Some(objects), audio, part, room.job.spec.audio())
            )?;
            if let (Some(seen), Some(heard)) = (seen, heard) {
                let index = seen.with_sound_of(heard, at);
                let files = [Held::Remote(video), Held::Remote(audio)];
                if let Some(plan) = (Cutting { room, index: &index, files: &files }).run().await? {
                    return Ok(plan);
                }
            }
        }
        let bytes = video.len().unwrap_or_default() + audio.len().unwrap_or_default();
        must_fit(room, bytes)?;
        room.expected.set(bytes);
        self.whole().await
    }

    async fn whole(&self) -> Result<Plan, StageError> {
        let (video, audio) = (self.room.folder.join("picture"), self.room.folder.join("sound"));
        tokio::try_join!(fetch_all(self.video, &video), fetch_all(self.audio, &audio))?;
        let mp4 = [self.video, self.audio].iter().all(|file| sniff(file.head()) == Container::IsoBmff);
        joined(self.room, (&video, &audio), mp4).await
    }
}

/// Leaves what the job needs of a local picture and a local sound, which are MP4 files or not.
pub(super) async fn joined(
    room: Room<'_>,
    (video, audio): (&Path, &Path),
    mp4: bool,
) -> Result<Plan, StageError> {
    if mp4 {
        let picture = LocalFile::open(video).map_err(passing)?;
        let sound = LocalFile::open(audio).map_err(passing)?;
        if let (Ok(seen), Ok(heard)) = (Index::read(&picture).await, Index::read(&sound).await) {
            let index = seen.with_sound_of(heard, picture.len());
            let files = [Held::Local(&picture), Held::Local(&sound)];
            if let Some(plan) = (Cutting { room, index: &index, files: &files }).run().await? {
                return Ok(plan);
            }
        }
    }
    let one = room.folder.join("one");
    remux::join(&Tools::default(), (video, audio), &one).await.map_err(told)?;
    room.put(&one, SOURCE).await?;
    Ok(Plan::whole(MediaTime::ZERO))
}
