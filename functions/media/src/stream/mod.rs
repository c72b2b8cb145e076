//! A source in segments (HLS, DASH): its renditions, and reads of their segments.
//!
//! Invariants: every address in a playlist goes through the guarded client; headers and cookies of a page's go along only
//! as long as all playlists come from the site that they are for; what is read in all is bounded, and counted as the
//! job's own.
//!
//! **Timeline.** The zero of an HLS presentation is its first picture, so the same times give the same frames as in the
//! MP4 file of the same video; or its first sound, if that begins more than 0.1 s earlier (what an AAC encoder puts in
//! front is less). A transport stream in one file is read by the same rule. To find the zero, the beginnings of the
//! first segments are read, 16 KiB or as many as it takes; a DASH manifest tells it (`presentationTimeOffset`). Each
//! segment tells its own time (`tfdt`, PTS), so a cut is exact although segments are missing in front of it.
//!
//! **Reads.** A clip reads the segments that it needs and at most two more files: a neighbour and the first segment's
//! beginning, or two neighbours. It is three only where sound is missing on both sides.
//!
//! **Limits.** Behind an `EXT-X-DISCONTINUITY` another clock begins: a clip lies on one side of it. Live streams,
//! protected ones (DRM) and those with several periods are refused with a reason.

mod parts;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use aws_lc_rs::{
    cipher::{AES_128, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey},
    iv::FixedLength,
};
use bytes::Bytes;
use domain::{
    quality::{PictureSize, Quality},
    time::MediaTime,
    tracks::{AudioTrack, AudioWish},
};
use sources::{
    Container, Limits, RemoteFile, SourceClient, SourceError, Traffic, sniff,
    streams::{
        Key, Piece, Rendition, TEXT_BYTES_MAX,
        dash::{Manifest, Media, Representation},
        hls::Playlist,
    },
};
use tokio::sync::Mutex;
use url::Url;

pub(crate) use parts::Front;

use self::parts::Parts;
use crate::source::Source;

/// The largest segment, which is held in memory while it is decrypted: a minute of 4K.
const SEGMENT_BYTES_MAX: u64 = 256 << 20;

/// The most requests that one source may cost: every segment of the longest rendition twice, and what is around them.
const FILES_MAX: u32 = 60_000;

/// What is wanted of a source.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) quality: Quality,
    pub(crate) video: bool,
    pub(crate) audio: bool,
    /// The sound that was asked for.
    pub(crate) sound: Option<AudioWish>,
}

/// A presentation in segments.
pub(crate) struct Stream {
    client: SourceClient,
    limits: Limits,
    /// The name of the playlist's file.
    pub(crate) name: String,
    /// The picture (or else the sound), then the sound if it is apart.
    pub(crate) lanes: Vec<Rendition>,
    /// The picture, where it is told.
    pub(crate) picture: Option<PictureSize>,
    /// Whether there is sound, where it is told.
    pub(crate) has_audio: Option<bool>,
    /// The sounds to choose among, where a playlist names several.
    pub(crate) tracks: Vec<AudioTrack>,
    /// What the files that were opened so far have read.
    traffic: std::sync::Mutex<Vec<Traffic>>,
    files_left: AtomicU32,
    keys: Mutex<HashMap<Url, [u8; 16]>>,
    /// The last one that was read.
    init: Mutex<Option<(Piece, Bytes)>>,
    /// Files of which parts are read.
    parted: Mutex<HashMap<Url, Arc<Parts>>>,
}

/// Opens what the playlist or manifest `file` leads to.
pub(crate) async fn open(
    (client, limits): (SourceClient, Limits),
    file: RemoteFile,
    wish: Wish,
) -> Result<Source, SourceError> {
    let mut stream = Stream {
        client: client.behind(file.url()),
        limits,
        name: file.name(),
        lanes: Vec::new(),
        picture: None,
        has_audio: None,
        tracks: Vec::new(),
        traffic: std::sync::Mutex::default(),
        files_left: AtomicU32::new(FILES_MAX),
        keys: Mutex::default(),
        init: Mutex::default(),
        parted: Mutex::default(),
    };
    stream.count(&file);
    let text = text(&file).await?;
    if sniff(file.head()) == Container::DashManifest {
        return stream.dash(&Manifest::parse(&text, file.url())?, &wish).await;
    }
    match Playlist::parse(&text, file.url())? {
        Playlist::Media(rendition) => stream.lanes.push(rendition),
        Playlist::Master(master) => {
            let chosen = master.choose(wish.quality, wish.sound.as_ref())?;
            stream.tracks = chosen.tracks;
            (stream.picture, stream.has_audio) = (chosen.picture, chosen.has_audio);
            let apart = chosen.sound.filter(|_| wish.audio);
            if wish.video || apart.is_none() {
                stream.playlist(&chosen.main).await?;
            }
            if let Some(sound) = apart {
                stream.playlist(&sound).await?;
            }
        }
    }
    Ok(Source::Stream(Box::new(stream)))
}

/// All of a playlist.
async fn text(file: &RemoteFile) -> Result<String, SourceError> {
    let too_large =
        || SourceError::TooLarge(format!("its playlist has more than {} MiB", TEXT_BYTES_MAX >> 20));
    if file.len().is_some_and(|len| len > TEXT_BYTES_MAX) {
        return Err(too_large());
    }
    let bytes = all(file, TEXT_BYTES_MAX).await?.ok_or_else(too_large)?;
    String::from_utf8(bytes.into())
        .map_err(|_| SourceError::Unsupported("its playlist is no text".to_owned()))
}

/// All of a file; `None` if it has more than `max` bytes.
pub(crate) async fn all(file: &RemoteFile, max: u64) -> Result<Option<Bytes>, SourceError> {
    if let Some(len) = file.len() {
        return if len > max { Ok(None) } else { file.read(0..len).await.map(Some) };
    }
    let mut bytes =
        Capped { bytes: Vec::new(), max: usize::try_from(max).unwrap_or(usize::MAX), full: false };
    let read = file.copy_all(&mut bytes).await;
    if bytes.full { Ok(None) } else { read.map(|_| Some(bytes.bytes.into())) }
}

/// Memory for a file of unknown length.
struct Capped {
    bytes: Vec<u8>,
    max: usize,
    full: bool,
}

impl tokio::io::AsyncWrite for Capped {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        if self.bytes.len() + bytes.len() > self.max {
            self.full = true;
            return std::task::Poll::Ready(Err(std::io::Error::other("too large")));
        }
        self.bytes.extend_from_slice(bytes);
        std::task::Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

impl Stream {
    /// How long it is, as its playlists say.
    pub(crate) fn duration(&self) -> MediaTime {
        self.lanes.iter().map(Rendition::duration).max().unwrap_or_default()
    }

    /// Bytes read so far.
    pub(crate) fn bytes(&self) -> u64 {
        let traffic = self.traffic.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        traffic.iter().map(Traffic::bytes).sum()
    }

    fn count(&self, file: &RemoteFile) {
        let mut traffic = self.traffic.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        traffic.push(file.traffic().clone());
    }

    async fn file(&self, url: &Url) -> Result<RemoteFile, SourceError> {
        let max = self.limits.bytes_max;
        if self.bytes() > max {
            return Err(SourceError::TooLarge(format!("more than {} MiB would have to be read", max >> 20)));
        }
        let take = |left: u32| left.checked_sub(1);
        if self.files_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
            return Err(SourceError::TooLarge(format!("more than {FILES_MAX} files would have to be read")));
        }
        let file = self.client.open(url.as_str()).await?;
        self.count(&file);
        Ok(file)
    }

    async fn playlist(&mut self, url: &Url) -> Result<(), SourceError> {
        let file = self.file(url).await?;
        self.client = self.client.behind(file.url());
        match Playlist::parse(&text(&file).await?, file.url())? {
            Playlist::Media(rendition) => self.lanes.push(rendition),
            Playlist::Master(_) => {
                let why = "its playlists name each other; give the address of the innermost one";
                return Err(SourceError::Unsupported(why.to_owned()));
            }
        }
        Ok(())
    }

    async fn dash(mut self, manifest: &Manifest, wish: &Wish) -> Result<Source, SourceError> {
        let video = manifest.video(wish.quality).filter(|_| wish.video || manifest.audio().is_none());
        let audio = manifest.audio().filter(|_| wish.audio || video.is_none());
        self.picture = video.and_then(|video| video.picture);
        self.has_audio = Some(audio.is_some() || video.is_some_and(|video| video.has_audio));
        let media = |one: &Representation| one.media.clone();
        match (video.map(media), audio.map(media)) {
            (Some(Media::File(video)), Some(Media::File(audio))) => {
                let (video, audio) = tokio::try_join!(self.file(&video), self.file(&audio))?;
                Ok(Source::Pair { video, audio })
            }
            (Some(Media::File(one)), None) | (None, Some(Media::File(one))) => {
                Ok(Source::File(self.file(&one).await?))
            }
            (Some(Media::File(_)), Some(Media::Segments(_)))
            | (Some(Media::Segments(_)), Some(Media::File(_))) => {
                let why = "its picture comes in segments and its sound does not, or the other way round";
                Err(SourceError::Unsupported(why.to_owned()))
            }
            (video, audio) => {
                let segments = |media: Media| match media {
                    Media::Segments(rendition) => Some(rendition),
                    Media::File(_) => None,
                };
                self.lanes = [video, audio].into_iter().flatten().filter_map(segments).collect();
                Ok(Source::Stream(Box::new(self)))
            }
        }
    }

    /// All of a piece, decrypted.
    pub(crate) async fn read(&self, piece: &Piece) -> Result<Bytes, SourceError> {
        let too_large =
            || SourceError::TooLarge(format!("a segment has more than {} MiB", SEGMENT_BYTES_MAX >> 20));
        let bytes = match &piece.place.range {
            Some(range) if range.end - range.start > SEGMENT_BYTES_MAX => return Err(too_large()),
            Some(range) => self.parted(&piece.place.url).await?.read(range.clone()).await?,
            None => {
                let file = self.file(&piece.place.url).await?;
                all(&file, SEGMENT_BYTES_MAX).await?.ok_or_else(too_large)?
            }
        };
        match &piece.key {
            Some(key) => self.decrypt(key, bytes.into()).await,
            None => Ok(bytes),
        }
    }

    /// As [`Self::read`], for what stands in front of many segments.
    pub(crate) async fn read_init(&self, piece: &Piece) -> Result<Bytes, SourceError> {
        let mut known = self.init.lock().await;
        if let Some((_, bytes)) = known.as_ref().filter(|(this, _)| this == piece) {
            return Ok(bytes.clone());
        }
        let bytes = self.read(piece).await?;
        *known = Some((piece.clone(), bytes.clone()));
        Ok(bytes)
    }

    /// The beginning of a piece, decrypted.
    pub(crate) async fn front(&self, piece: &Piece) -> Result<Front, SourceError> {
        if piece.key.is_none() {
            let file = match &piece.place.range {
                Some(_) => self.parted(&piece.place.url).await?,
                None => Arc::new(Parts::new(self.file(&piece.place.url).await?)?),
            };
            if let Some(front) = Front::of(file, piece.place.range.clone()).await {
                return Ok(front);
            }
        }
        Ok(Front::all(&self.read(piece).await?))
    }

    /// A file of which parts are read, opened once.
    async fn parted(&self, url: &Url) -> Result<Arc<Parts>, SourceError> {
        let mut parted = self.parted.lock().await;
        if let Some(file) = parted.get(url) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(Parts::new(self.file(url).await?)?);
        parted.insert(url.clone(), Arc::clone(&file));
        Ok(file)
    }

    async fn decrypt(&self, key: &Key, mut bytes: Vec<u8>) -> Result<Bytes, SourceError> {
        let wrong =
            || SourceError::Unsupported("a segment cannot be decrypted with the key it names".to_owned());
        let secret = {
            let mut keys = self.keys.lock().await;
            match keys.get(&key.url) {
                Some(secret) => *secret,
                None => {
                    let file = self.file(&key.url).await?;
                    let secret = <[u8; 16]>::try_from(file.head()).map_err(|_| wrong())?;
                    keys.insert(key.url.clone(), secret);
                    secret
                }
            }
        };
        let cipher = UnboundCipherKey::new(&AES_128, &secret).and_then(PaddedBlockDecryptingKey::cbc_pkcs7);
        let context = DecryptionContext::Iv128(FixedLength::from(&key.iv));
        let len =
            cipher.and_then(|cipher| Ok(cipher.decrypt(&mut bytes, context)?.len())).map_err(|_| wrong())?;
        bytes.truncate(len);
        Ok(bytes.into())
    }
}
