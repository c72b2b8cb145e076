//! Captions: what is said in a source, from the captions that it has.
//!
//! Of a web page these are the ones its site offers, of an HLS stream its subtitles, of an MP4 file its text tracks.

use std::{sync::Arc, time::Duration};

use domain::{job::Failure, source::Location, time::MediaTime};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use media::mp4::{IndexError, Part, text_tracks};
use runtime::{App, CaptionsAnswer, CaptionsRequest, Remote, StageError, read_index};
use serde_json::Value;
use sources::{
    Container, Limits, RemoteFile, SourceClient, SourceError,
    captions::{self, FILE_BYTES_MAX, Segment, speaks, tidy},
    sniff,
    streams::{self, TEXT_BYTES_MAX, hls::Playlist},
    ytdlp::{Page, is_page},
};

use crate::{job::passing, page, source::open_upload, ytdlp};

const LIMITS: Limits = Limits { silence: Duration::from_secs(8), bytes_max: 128 << 20 };
/// The caller has a client waiting: see `runtime`'s own limit.
const TIME_LIMIT: Duration = Duration::from_secs(22);
/// Lambda hands on 6 MB; JSON makes a little more of it.
const ANSWER_BYTES_MAX: usize = 5_500_000;
/// What a segment's times and names take in JSON, at most.
const SEGMENT_BYTES: usize = 64;
/// Segments of a subtitles playlist that are fetched at once, and at most: 6 hours in pieces of 6 s.
const FETCHES: usize = 8;
const SEGMENTS_MAX: usize = 3600;

/// What a source says, and how long it is.
pub(crate) struct Found {
    pub(crate) segments: Vec<Segment>,
    duration: Option<MediaTime>,
}

/// Finds the captions of the source `{url}`, or of the upload `{file_id}`. A source that has none or is at fault is an answer, not an error.
///
/// # Errors
/// [`StageError::Passing`].
pub async fn handle(app: Arc<App>, input: Value) -> Result<Value, StageError> {
    let request: CaptionsRequest = serde_json::from_value(input).map_err(passing)?;
    let found = tokio::time::timeout(TIME_LIMIT, find(&app, &request)).await;
    let answer = match found.unwrap_or_else(|_| Err(SourceError::Stalled.into())) {
        Ok(Some(found)) => told(&request, found),
        Ok(None) => none(&request),
        Err(StageError::Job(failure)) => CaptionsAnswer::Failure(failure),
        Err(error) => return Err(error),
    };
    serde_json::to_value(answer).map_err(passing)
}

fn told(request: &CaptionsRequest, found: Found) -> CaptionsAnswer {
    let segments = tidy(found.segments);
    let Some(last) = segments.iter().map(|segment| segment.end).max() else { return none(request) };
    // JSON writes a control or a quotation mark as two characters; of the first there are none left here.
    let quotes = |text: &str| text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    let size =
        segments.iter().map(|said| said.text.len() + quotes(&said.text) + SEGMENT_BYTES).sum::<usize>();
    if size > ANSWER_BYTES_MAX {
        let message = "the captions of this video are too long to be sent in one answer".to_owned();
        return CaptionsAnswer::Failure(Failure { code: "transcript_too_long".to_owned(), message });
    }
    CaptionsAnswer::Captions { segments, duration: found.duration.unwrap_or(last) }
}

fn none(request: &CaptionsRequest) -> CaptionsAnswer {
    CaptionsAnswer::None(match &request.language {
        Some(language) => {
            format!("this video has no captions in `{language}`; leave `language` out to take those it has")
        }
        None => "this video has no captions".to_owned(),
    })
}

async fn find(app: &App, request: &CaptionsRequest) -> Result<Option<Found>, StageError> {
    let language = request.language.as_deref();
    let url = match &request.location {
        Location::Url(url) => url.as_str(),
        Location::Upload(id) => {
            let file = open_upload(app, &request.account, id, LIMITS).await?;
            let is_mp4 = sniff(file.head()) == Container::IsoBmff;
            return if is_mp4 { of_mp4(&file, language).await } else { Ok(None) };
        }
    };
    let client = app.sources(LIMITS)?;
    if !is_page(url) {
        let file = client.open(url).await?;
        match sniff(file.head()) {
            Container::WebPage => {}
            Container::HlsPlaylist => return of_hls(&client, &file, language).await,
            Container::IsoBmff => return of_mp4(&file, language).await,
            // Read as any source is, so that what is no video is told so.
            _ => return read_index(None, &file, Part::Description).await.map(|_| None).map_err(Into::into),
        }
    }
    let (page, _) = ytdlp::ask(app, url, TIME_LIMIT).await?;
    of_page(&page::client(app, url, LIMITS).await?, page, language).await
}

/// The first of the best captions that can be had: sites offer the same ones in several formats.
pub(crate) async fn of_page(
    client: &SourceClient,
    page: Page,
    language: Option<&str>,
) -> Result<Option<Found>, StageError> {
    for caption in captions::ranked(&page, language).into_iter().take(3) {
        let client = client.with(caption.address.extras.clone());
        let segments = if caption.is_playlist {
            playlist_cues(&client, &caption.address.url).await?
        } else {
            let text = text(&client, &caption.address.url, FILE_BYTES_MAX).await?;
            captions::read(&caption.format, &text).unwrap_or_default()
        };
        if !segments.is_empty() {
            return Ok(Some(Found { segments, duration: page.duration }));
        }
    }
    Ok(None)
}

async fn of_hls(
    client: &SourceClient,
    file: &RemoteFile,
    language: Option<&str>,
) -> Result<Option<Found>, StageError> {
    let master = body(file, TEXT_BYTES_MAX).await?;
    let Some(subtitles) = captions::subtitles(&master, file.url(), language) else { return Ok(None) };
    let segments = playlist_cues(client, subtitles.url.as_str()).await?;
    let duration = segments.iter().map(|segment| segment.end).max();
    Ok(Some(Found { segments, duration }))
}

/// The cues of the playlist of WebVTT segments at `url`.
async fn playlist_cues(client: &SourceClient, url: &str) -> Result<Vec<Segment>, StageError> {
    let file = client.open(url).await?;
    let client = client.behind(file.url());
    let playlist = body(&file, TEXT_BYTES_MAX).await?;
    let Playlist::Media(rendition) = Playlist::parse(&playlist, file.url())? else { return Ok(Vec::new()) };
    let segments = rendition.segments.iter().take(SEGMENTS_MAX);
    let fetch = |segment: &streams::Segment| {
        let (client, url) = (client.clone(), segment.piece.place.url.to_string());
        async move { text(&client, &url, FILE_BYTES_MAX).await }
    };
    let fetches: Vec<_> = segments.map(fetch).collect();
    let texts: Vec<String> = stream::iter(fetches).buffered(FETCHES).try_collect().await?;
    Ok(captions::join_webvtt(&texts, None))
}

async fn of_mp4(file: &RemoteFile, language: Option<&str>) -> Result<Option<Found>, StageError> {
    // A file without ranges would have to be fetched whole for a few words of it.
    let Some(remote) = Remote::new(file).filter(|_| file.serves_ranges()) else { return Ok(None) };
    let Some(index) = read_index(None, file, Part::Description).await? else { return Ok(None) };
    let tracks = match text_tracks(&remote).await {
        Ok(tracks) => tracks,
        Err(IndexError::Read(error)) => return Err(error.into()),
        Err(_) => return Ok(None),
    };
    // Files name languages by three letters; people may by two.
    let wanted = |track: &&media::mp4::TextTrack| {
        language.is_none_or(|asked| speaks(&track.language, asked) || speaks(&track.language, three(asked)))
    };
    let Some(track) = tracks.iter().find(wanted) else { return Ok(None) };
    let cues = track.cues(&remote).await?;
    let segments = cues.into_iter().map(|cue| captions::cue(cue.start, cue.end, &cue.text)).collect();
    Ok(Some(Found { segments, duration: Some(index.duration()) }))
}

/// The ISO 639-2 code of some ISO 639-1 codes, those of the languages with most speakers on the web.
fn three(tag: &str) -> &str {
    let primary = tag.split(['-', '_']).next().unwrap_or_default();
    const CODES: &[(&str, &str)] = &[
        ("ar", "ara"),
        ("cs", "ces"),
        ("da", "dan"),
        ("de", "deu"),
        ("el", "ell"),
        ("en", "eng"),
        ("es", "spa"),
        ("fa", "fas"),
        ("fi", "fin"),
        ("fr", "fra"),
        ("he", "heb"),
        ("hi", "hin"),
        ("hu", "hun"),
        ("id", "ind"),
        ("it", "ita"),
        ("ja", "jpn"),
        ("ko", "kor"),
        ("nl", "nld"),
        ("no", "nor"),
        ("pl", "pol"),
        ("pt", "por"),
        ("ro", "ron"),
        ("ru", "rus"),
        ("sv", "swe"),
        ("th", "tha"),
        ("tr", "tur"),
        ("uk", "ukr"),
        ("vi", "vie"),
        ("zh", "zho"),
    ];
    CODES.iter().find(|(two, _)| primary.eq_ignore_ascii_case(two)).map_or(tag, |(_, three)| three)
}

async fn text(client: &SourceClient, url: &str, max: u64) -> Result<String, StageError> {
    body(&client.open(url).await?, max).await
}

/// A small text file.
async fn body(file: &RemoteFile, max: u64) -> Result<String, StageError> {
    if file.len().is_some_and(|len| len > max) {
        return Err(SourceError::TooLarge(format!("captions may have {} MB at most", max >> 20)).into());
    }
    let mut bytes = Vec::new();
    file.copy_all(&mut bytes).await?;
    if bytes.len() as u64 > max {
        return Err(SourceError::TooLarge(format!("captions may have {} MB at most", max >> 20)).into());
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
