//! Links to what was made: the one place where they are signed for anybody outside. Whoever wants one asks for a
//! [`Delivery`], which is counted; what may be fetched is bounded (`domain::delivery`).

use domain::job::Output;
use store::{StoreError, delivery::Parcel, objects::Objects};

use crate::{ApiError, App};

/// The right to hand out links to the files of one clip.
#[derive(Debug)]
pub struct Delivery<'a> {
    objects: &'a Objects,
    output: &'a Output,
    seconds: u64,
}

impl App {
    /// Counts that links to a file are handed out, which work for so many seconds.
    ///
    /// # Errors
    /// 429 where it, or all that its account has had made, was handed out as often as it may be today.
    pub async fn hand_out<'a>(
        &'a self,
        parcel: &Parcel<'_>,
        output: &'a Output,
        seconds: u64,
    ) -> Result<Delivery<'a>, ApiError> {
        let bounds = self.config().delivery()?;
        let handed_out = self.table()?.hand_out(parcel, bounds, self.now()).await?;
        handed_out.map_err(ApiError::rests)?;
        Ok(Delivery { objects: self.objects()?, output, seconds })
    }
}

impl Delivery<'_> {
    /// Saves the file under `name`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn download(&self, name: &str) -> Result<String, StoreError> {
        self.objects.download_link_for(&self.output.object_key, name, self.seconds).await
    }

    /// Shows the file where it is used.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn stream(&self) -> Result<String, StoreError> {
        self.objects.link_for(&self.output.object_key, self.seconds).await
    }

    /// Shows its still picture, if it has one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn poster(&self) -> Result<Option<String>, StoreError> {
        match &self.output.poster_key {
            Some(key) => self.objects.link_for(key, self.seconds).await.map(Some),
            None => Ok(None),
        }
    }

    /// Shows its thumbnails and their cues, if it has some.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sprite(&self) -> Result<Option<(String, String)>, StoreError> {
        let Some(sprite) = &self.output.sprite else { return Ok(None) };
        let picture = self.objects.link_for(&sprite.picture_key, self.seconds).await?;
        Ok(Some((picture, self.objects.link_for(&sprite.cues_key, self.seconds).await?)))
    }
}
