//! Captions: what is said in a source, from the captions that it has.
//!
//! Of a web page these are the ones its site offers, of an HLS stream its subtitles, of an MP4 file its text tracks.
//!
//! Captions that people wrote come before a machine's, in the spoken language unless another one is asked for. Of an
//! MP4 file only the bytes of its text tracks are read. All captions are returned; beyond a bound, they are refused.

use std::sync::Arc;

use domain::{job::Failure, quality::Quality, source::Location, time::MediaTime};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use look::{CaptionsAnswer, CaptionsRequest, Remote, read_index, read_text_tracks};
use media::mp4::Part;
use runtime::{App, StageError, time_limits};
use serde_json::Value;
use sources::{
    Container, Limits, RemoteFile, SourceClient, SourceError,
    captions::{self, FILE_BYTES_MAX, Segment, speaks, tidy},
    sniff,
    streams::{TEXT_BYTES_MAX, hls::Playlist},
    ytdlp::{Page, is_page},
};
use store::objects::Objects;
use url::Url;

use crate::{
    job::{passing, unsupported},
    page,
    source::{Source, open_upload},
    stream::{self as segments, Wish},
    ytdlp,
};

pub(crate) const LIMITS: Limits = Limits { silence: time_limits::SILENCE, bytes_max: 128 << 20 };
/// Lambda hands on 6 MB; JSON makes a little more of it.
const ANSWER_BYTES_MAX: usize = 5_500_000;
/// What a segment's times and names take in JSON, at most.
const SEGMENT_BYTES: usize = 64;
/// Files of a subtitles playlist that are fetched at once, and at most: 6 hours in pieces of 2 s.
const FETCHES: usize = 16;
const FILES_MAX: usize = 10_800;
/// The most that is read of a subtitles playlist's files together, in bytes: what an answer may have, and as much again for
/// times and markup.
const FILES_BYTES_MAX: u64 = 16 << 20;

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
    serde_json::to_value(read(&app, None, &request).await?).map_err(passing)
}

/// The captions that `request` asks for. What is kept of an MP4 file's index in `objects` is not read again.
///
/// # Errors
/// [`StageError::Passing`].
pub(crate) async fn read(
    app: &App,
    objects: Option<&Objects>,
    request: &CaptionsRequest,
) -> Result<CaptionsAnswer, StageError> {
    let found = tokio::time::timeout(time_limits::CAPTIONS, find(app, objects, request)).await;
    match found.unwrap_or_else(|_| Err(SourceError::Stalled.into())) {
        Ok(Some(found)) => Ok(told(request, found)),
        Ok(None) => Ok(none(request)),
        Err(StageError::Job(failure)) => Ok(CaptionsAnswer::Failure(failure)),
        Err(error) => Err(error),
    }
}

fn told(request: &CaptionsRequest, found: Found) -> CaptionsAnswer {
    // One more would have been left out.
    if found.segments.len() > captions::SEGMENTS_MAX {
        return CaptionsAnswer::Failure(too_long());
    }
    let segments = tidy(found.segments);
    let Some(last) = segments.iter().map(|segment| segment.end).max() else { return none(request) };
    // JSON writes a control or a quotation mark as two characters; of the first there are none left here.
    let quotes = |text: &str| text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    let size =
        segments.iter().map(|said| said.text.len() + quotes(&said.text) + SEGMENT_BYTES).sum::<usize>();
    if size > ANSWER_BYTES_MAX {
        return CaptionsAnswer::Failure(too_long());
    }
    CaptionsAnswer::Captions { segments, duration: found.duration.unwrap_or(last) }
}

fn too_long() -> Failure {
    let message = "the captions of this video are too long to be sent in one answer".to_owned();
    Failure { code: "transcript_too_long".to_owned(), message }
}

fn none(request: &CaptionsRequest) -> CaptionsAnswer {
    CaptionsAnswer::None(match &request.language {
        Some(language) => {
            format!("this video has no captions in `{language}`; leave `language` out to take those it has")
        }
        None => "this video has no captions".to_owned(),
    })
}

async fn find(
    app: &App,
    objects: Option<&Objects>,
    request: &CaptionsRequest,
) -> Result<Option<Found>, StageError> {
    let language = request.language.as_deref();
    let url = match &request.location {
        Location::Url(url) => url.as_str(),
        Location::Upload(id) => {
            let file = open_upload(app, &request.account, id, LIMITS).await?;
            let is_mp4 = sniff(file.head()) == Container::IsoBmff;
            return if is_mp4 { of_mp4(objects, &file, language).await } else { Ok(None) };
        }
    };
    let client = app.sources(LIMITS)?;
    if !is_page(url) {
        let file = client.open(url).await?;
        match sniff(file.head()) {
            Container::WebPage => {}
            Container::HlsPlaylist => return of_hls(&client, &file, language).await,
            Container::IsoBmff => return of_mp4(objects, &file, language).await,
            // Read as any source is, so that what is no video is told so.
            _ => return read_index(None, &file, Part::Description).await.map(|_| None).map_err(Into::into),
        }
    }
    let (page, _) = ytdlp::ask(app, url, time_limits::PAGE).await?;
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
        let found = if caption.is_playlist {
            let found = playlist_cues(&client, &caption.address.url).await?;
            Found { duration: page.duration.or(found.duration), ..found }
        } else {
            let text = text(&client, &caption.address.url, FILE_BYTES_MAX).await?;
            let segments = captions::read(&caption.format, &text).unwrap_or_default();
            Found { segments, duration: page.duration }
        };
        if !found.segments.is_empty() {
            return Ok(Some(found));
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
    let (found, duration) = tokio::try_join!(playlist_cues(client, subtitles.url.as_str()), async {
        Ok::<_, StageError>(duration(client, &master, file.url()).await)
    },)?;
    Ok(Some(Found { duration: duration.or(found.duration), ..found }))
}

/// How long the presentation is, as the playlist of its picture says. The subtitles' own may end with the last word.
async fn duration(client: &SourceClient, master: &str, url: &Url) -> Option<MediaTime> {
    let Ok(Playlist::Master(master)) = Playlist::parse(master, url) else { return None };
    let main = master.choose(Quality::P720, None).ok()?.main;
    let file = client.open(main.as_str()).await.ok()?;
    match Playlist::parse(&body(&file, TEXT_BYTES_MAX).await.ok()?, file.url()) {
        Ok(Playlist::Media(rendition)) => Some(rendition.duration()),
        _ => None,
    }
}

/// The cues of the playlist of WebVTT files at `url`, all of them, and how long it says that it is.
async fn playlist_cues(client: &SourceClient, url: &str) -> Result<Found, StageError> {
    let client = client.reading_at_most(FILES_BYTES_MAX);
    let limits = Limits { bytes_max: FILES_BYTES_MAX, ..LIMITS };
    let file = client.open(url).await?;
    let wish = Wish { quality: Quality::P720, video: true, audio: false, sound: None };
    let Source::Stream(stream) = segments::open((client, limits), file, wish).await? else {
        return Err(unsupported("The captions are in a form that cannot be read."));
    };
    let Some(rendition) = stream.lanes.first() else { return Err(passing("a stream without renditions")) };
    if rendition.segments.len() > FILES_MAX {
        return Err(StageError::Job(too_long()));
    }
    let fetches =
        rendition.segments.iter().filter(|segment| !segment.gap).map(|segment| stream.read(&segment.piece));
    let fetched = stream::iter(fetches.collect::<Vec<_>>()).buffered(FETCHES);
    let texts: Result<Vec<String>, SourceError> =
        fetched.map_ok(|bytes| String::from_utf8_lossy(&bytes).into_owned()).try_collect().await;
    let texts = match texts {
        Err(SourceError::TooLarge(_)) => return Err(StageError::Job(too_long())),
        texts => texts?,
    };
    Ok(Found { segments: captions::join_webvtt(&texts, None), duration: Some(rendition.duration()) })
}

async fn of_mp4(
    objects: Option<&Objects>,
    file: &RemoteFile,
    language: Option<&str>,
) -> Result<Option<Found>, StageError> {
    // A file without ranges would have to be fetched whole for a few words of it.
    let Some(remote) = Remote::new(file).filter(|_| file.serves_ranges()) else { return Ok(None) };
    let Some(index) = read_index(objects, file, Part::Description).await? else { return Ok(None) };
    let tracks = read_text_tracks(objects, file).await?;
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
    let too_large = || SourceError::TooLarge(format!("captions may have {} MB at most", max >> 20));
    let bytes = segments::all(file, max).await?.ok_or_else(too_large)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use sources::Guard;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// A server without ranges that answers each path with a text.
    async fn serve(answer: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let answer = Arc::clone(&answer);
                tokio::spawn(async move {
                    let mut head = vec![0; 16 << 10];
                    let read = stream.read(&mut head).await.unwrap_or(0);
                    let text = String::from_utf8_lossy(&head[..read]).into_owned();
                    let (status, body) = match answer(text.split(' ').nth(1).unwrap_or_default()) {
                        Some(body) => ("200 OK", body),
                        None => ("404 Not Found", String::new()),
                    };
                    let head = format!(
                        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                        body.len()
                    );
                    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
                });
            }
        });
        base
    }

    async fn captions_of(base: &str) -> CaptionsAnswer {
        let client = SourceClient::new(Guard::allowing_private(), LIMITS).unwrap();
        let file = client.open(&format!("{base}/master")).await.unwrap();
        let request = CaptionsRequest {
            location: Location::Url(base.to_owned()),
            account: domain::ids::AccountId::from_random([7; 16]),
            language: None,
        };
        match of_hls(&client, &file, None).await {
            Ok(found) => told(&request, found.unwrap()),
            Err(StageError::Job(failure)) => CaptionsAnswer::Failure(failure),
            Err(error) => panic!("{error}"),
        }
    }

    const MASTER: &str = "#EXTM3U\n\
        #EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",NAME=\"English\",LANGUAGE=\"en\",DEFAULT=YES,URI=\"subs\"\n\
        #EXT-X-STREAM-INF:BANDWIDTH=100000,RESOLUTION=320x180,CODECS=\"avc1.42c00d\",SUBTITLES=\"s\"\nvideo\n";

    fn playlist(files: usize, line: impl Fn(usize) -> String) -> String {
        let lines: String = (0..files).map(|n| format!("#EXTINF:2,\n{}\n", line(n))).collect();
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n{lines}#EXT-X-ENDLIST\n")
    }

    /// Parts of one file, so that it takes few requests: 4,000 of them, each with a cue.
    #[tokio::test]
    async fn all_of_a_long_transcript_comes() {
        const FILES: usize = 4_000;
        let cue = |n: usize| {
            let at = |second: usize| {
                format!("{:02}:{:02}:{:02}.000", second / 3600, second / 60 % 60, second % 60)
            };
            format!("{:<60}\n", format!("WEBVTT\n\n{} --> {}\ncue {n}", at(2 * n), at(2 * n + 1)))
        };
        let base = serve(move |path| match path {
            "/master" => Some(MASTER.to_owned()),
            "/subs" => Some(playlist(FILES, |n| format!("#EXT-X-BYTERANGE:61@{}\n/all.vtt", 61 * n))),
            "/all.vtt" => Some((0..FILES).map(cue).collect()),
            "/video" => Some(playlist(FILES + 50, |n| format!("v{n}.ts"))),
            _ => None,
        })
        .await;
        let CaptionsAnswer::Captions { segments, duration } = captions_of(&base).await else {
            panic!("none")
        };
        assert_eq!(segments.len(), FILES);
        assert_eq!(segments[FILES - 1].text, format!("cue {}", FILES - 1));
        assert_eq!(duration.seconds(), 8_100.0, "that of the video, not when the last word ends");
    }

    #[tokio::test]
    async fn what_is_too_long_is_refused_and_not_cut_off() {
        let refused = |answer: CaptionsAnswer| match answer {
            CaptionsAnswer::Failure(failure) => assert_eq!(failure.code, "transcript_too_long"),
            other => panic!("{other:?}"),
        };
        let base = serve(|path| match path {
            "/master" => Some(MASTER.to_owned()),
            "/subs" => Some(playlist(FILES_MAX + 1, |n| format!("s{n}.vtt"))),
            _ => None,
        })
        .await;
        refused(captions_of(&base).await);
        // Each file is small enough, all of them are not.
        let base = serve(|path| match path {
            "/master" => Some(MASTER.to_owned()),
            "/subs" => Some(playlist(40, |n| format!("s{n}.vtt"))),
            "/video" => None,
            _ => Some(format!("WEBVTT\n\nNOTE\n{}", "x".repeat(1 << 20))),
        })
        .await;
        refused(captions_of(&base).await);
        // More cues than a transcript may have, in one file.
        let cues = (0..=captions::SEGMENTS_MAX).map(|n| format!("00:00.000 --> 00:01.000\n{n}\n\n"));
        let cues: String = cues.collect();
        let base = serve(move |path| match path {
            "/master" => Some(MASTER.to_owned()),
            "/subs" => Some(playlist(1, |n| format!("s{n}.vtt"))),
            "/s0.vtt" => Some(cues.clone()),
            _ => None,
        })
        .await;
        refused(captions_of(&base).await);
    }
}
