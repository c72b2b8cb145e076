//! A web page as a source: yt-dlp says where its media is, our own rule what is taken of it.
//!
//! Addresses of media expire, and many are bound to the address that asked for them: each stage that fetches asks anew.
//!
//! So the look and the job each ask for themselves, and a whole video of a page goes the way of a clip, in one
//! function.

use std::{sync::Arc, time::Duration};

use domain::{
    quality::{Format, PictureSize, Quality},
    source::SourceInfo,
    spec::Spec,
};
use runtime::{App, StageError, time_limits};
use sources::{
    Limits, Proxy, ProxyLimits, RemoteFile, SourceClient, SourceError,
    ytdlp::{Address, Choice, Page, Wanted},
};

use crate::{
    job::passing,
    secrets,
    source::Source,
    stream::{self, Wish},
    ytdlp,
};

/// The connections that one source takes at once.
const CONNECTIONS_MAX: usize = 64;

/// What a job takes of a page.
pub(crate) struct Opened {
    pub(crate) source: Source,
    /// Its picture, where the page tells it.
    pub(crate) picture: Option<PictureSize>,
    /// Bytes read to find it.
    pub(crate) bytes: u64,
}

/// Opens what the job `spec` needs of the page that it names.
///
/// # Errors
/// [`StageError::Job`] if it cannot be had.
pub(crate) async fn open(app: &App, spec: &Spec, limits: Limits) -> Result<Opened, StageError> {
    let url = spec.url().ok_or_else(|| passing("an upload is no page"))?;
    let (page, bytes) = ytdlp::ask(app, url, time_limits::PAGE_OF_A_JOB).await?;
    let picture = spec.format().has_picture().then(|| spec.quality());
    let wanted = Wanted { picture, sound: spec.format() != Format::Gif };
    let choice = page.choose(wanted).ok_or_else(nothing)?;
    let picture = page.picture_of(&choice);
    let client = client(app, url, limits).await?;
    Ok(Opened { source: source((client, limits), choice, wanted).await?, picture, bytes })
}

/// What a look at the page tells. `look` looks at the media that would be fetched at the usual quality.
///
/// # Errors
/// [`StageError::Job`] if there is none.
pub(crate) async fn describe(
    app: &App,
    url: &str,
    (time_limit, limits): (Duration, Limits),
    look: impl AsyncFnOnce(Source) -> Result<SourceInfo, StageError>,
) -> Result<SourceInfo, StageError> {
    let (page, _) = ytdlp::ask(app, url, time_limit).await?;
    let pictured = Wanted { picture: Some(Quality::P1080), sound: true };
    let heard = Wanted { picture: None, sound: true };
    let choice = page.choose(pictured).or_else(|| page.choose(heard)).ok_or_else(nothing)?;
    let client = client(app, url, limits).await?;
    let media = look(source((client, limits), choice, pictured).await?).await?;
    Ok(described(page, media))
}

/// The page's words for the media that was looked at.
fn described(page: Page, media: SourceInfo) -> SourceInfo {
    let picture = media.picture.map(|seen| match page.largest_picture() {
        Some(largest) if largest.max_height() > seen.max_height() => largest,
        _ => seen,
    });
    let title = if page.title.is_empty() { media.title } else { page.title };
    SourceInfo {
        title,
        picture,
        thumbnail: page.thumbnail,
        embed_url: page.embed_url,
        is_page: true,
        ..media
    }
}

async fn source(
    (client, limits): (SourceClient, Limits),
    choice: Choice,
    wanted: Wanted,
) -> Result<Source, StageError> {
    Ok(match choice {
        Choice::File(address) => Source::File(open_at(&client, &address).await?),
        Choice::Pair { video, audio } => {
            let (video, audio) = tokio::try_join!(open_at(&client, &video), open_at(&client, &audio))?;
            Source::Pair { video, audio }
        }
        Choice::Hls(playlist) | Choice::Dash(playlist) => {
            let client = client.with(playlist.extras);
            let file = client.open(&playlist.url).await?;
            let quality = wanted.picture.unwrap_or(Quality::P720);
            let wish = Wish { quality, video: wanted.picture.is_some(), audio: wanted.sound, sound: None };
            stream::open((client, limits), file, wish).await?
        }
    })
}

/// A client for the media of the page at `url`, which goes out by the same way as the request for the page: addresses of
/// media may be bound to that.
pub(crate) async fn client(app: &App, url: &str, limits: Limits) -> Result<SourceClient, StageError> {
    let Some(upstream) = secrets::read(app).await?.used_for(url).upstream()? else {
        return Ok(app.sources(limits)?);
    };
    let bounds = ProxyLimits {
        lifetime: time_limits::STAGE_FUNCTION,
        silence: limits.silence,
        bytes_max: 2 * limits.bytes_max,
        connections_max: CONNECTIONS_MAX,
    };
    let proxy = Proxy::behind(Some(upstream), app.guard()?, bounds).await.map_err(passing)?;
    Ok(SourceClient::through(Arc::new(proxy), app.guard()?, limits)?)
}

async fn open_at(client: &SourceClient, address: &Address) -> Result<RemoteFile, SourceError> {
    client.with(address.extras.clone()).open(&address.url).await
}

fn nothing() -> StageError {
    SourceError::Page("there is no video on this page that can be read".to_owned()).into()
}

#[cfg(test)]
mod theft;
