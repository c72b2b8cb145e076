//! A shared clip as it is shown: found by its id, with fresh links to its files.

use domain::{
    expiry,
    ids::JobId,
    job::Output,
    library,
    quality::{Format, PictureSize},
    share,
    time::Timestamp,
};
use runtime::{ApiError, ApiRequest, App, Var};
use store::{clips::Clip, delivery::Parcel, shares::Share};

/// How a format is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// In a video player.
    Video,
    /// In an audio player.
    Sound,
    /// As a picture that moves.
    Picture,
}

impl Kind {
    const fn of(format: Format) -> Self {
        match format {
            Format::Mp4 => Self::Video,
            Format::Gif => Self::Picture,
            Format::Mp3 | Format::M4a | Format::Wav | Format::Flac => Self::Sound,
        }
    }
}

/// Links to a clip's files; they work for hours, but no longer than the clip.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    /// Shows the file where it is used.
    pub(crate) stream: String,
    /// Saves it under its name.
    pub(crate) download: String,
    pub(crate) poster: Option<String>,
    pub(crate) sprite: Option<String>,
    pub(crate) sprite_cues: Option<String>,
}

/// A clip to be shown.
pub(crate) struct Shown {
    pub(crate) share: Share,
    pub(crate) links: Links,
    /// Where people reach the product.
    base: String,
    now: Timestamp,
}

impl Shown {
    /// The clip that `id` names; `None` if `id` is malformed, or the clip is unknown or gone.
    pub(crate) async fn find(app: &App, request: &ApiRequest, id: &str) -> Result<Option<Self>, ApiError> {
        let Some(id) = JobId::parse(id) else { return Ok(None) };
        let now = app.now();
        let Some(share) = app.table()?.share(&id, now).await? else { return Ok(None) };
        let seconds = expiry::share_link_seconds(share.clip.expires_at, now);
        let links = Links::sign(app, &share.clip, seconds).await?;
        Ok(Some(Self { share, links, base: base(app, request)?, now }))
    }

    pub(crate) const fn output(&self) -> &Output {
        &self.share.clip.output
    }

    pub(crate) fn id(&self) -> &str {
        self.share.clip.id.as_str()
    }

    pub(crate) fn title(&self) -> &str {
        share::title(&self.share.clip.name, self.output().format)
    }

    pub(crate) const fn kind(&self) -> Kind {
        Kind::of(self.output().format)
    }

    /// `MP4 · 1080p · 9.5 MB · 0:20`.
    pub(crate) fn facts(&self) -> String {
        let output = self.output();
        let format = output.format.extension().to_uppercase();
        let quality = output.picture.map(PictureSize::label);
        let (size, length) = (share::size(output.size_bytes), share::clock(output.duration));
        let facts: Vec<String> =
            [Some(format), quality, Some(size), Some(length)].into_iter().flatten().collect();
        facts.join(" · ")
    }

    /// `Expires in 23 hours`, or that it is pinned.
    pub(crate) fn lasts(&self) -> String {
        self.left_ms()
            .map_or_else(|| "Here to stay".to_owned(), |ms| format!("Expires in {}", share::left(ms)))
    }

    /// Seconds until the clip is gone; `None` while it is pinned.
    pub(crate) fn seconds_left(&self) -> Option<i64> {
        self.left_ms().map(|ms| ms / 1000)
    }

    fn left_ms(&self) -> Option<i64> {
        self.share.clip.expires_at.map(|expires_at| expires_at.0.saturating_sub(self.now.0).max(0))
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn page_url(&self) -> String {
        format!("{}/c/{}", self.base, self.id())
    }

    pub(crate) fn embed_url(&self) -> String {
        format!("{}/embed/{}", self.base, self.id())
    }

    /// The size of its player within these bounds in pixels.
    pub(crate) fn player(&self, width_max: Option<u32>, height_max: Option<u32>) -> PictureSize {
        share::player(self.output().picture, width_max, height_max)
    }
}

impl Links {
    async fn sign(app: &App, clip: &Clip, seconds: u64) -> Result<Self, ApiError> {
        let name = library::file_name(&clip.name, clip.output.format.extension());
        let links = app.hand_out(&Parcel::of_clip(clip), &clip.output, seconds).await?;
        let (sprite, sprite_cues) = links.sprite().await?.unzip();
        Ok(Self {
            stream: links.stream().await?,
            download: links.download(&name).await?,
            poster: links.poster().await?,
            sprite,
            sprite_cues,
        })
    }
}

/// Where people reach the product, without a slash at the end.
pub(crate) fn base(app: &App, request: &ApiRequest) -> Result<String, ApiError> {
    let configured = app.config().get(Var::PageUrl)?.trim_end_matches('/');
    if !configured.is_empty() {
        return Ok(configured.to_owned());
    }
    let domain = request.domain().ok_or_else(|| ApiError::internal("a request without a domain"))?;
    Ok(format!("https://{domain}"))
}
