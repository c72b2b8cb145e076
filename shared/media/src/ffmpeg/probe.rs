//! What `ffprobe` tells about a local file.

use std::path::Path;

use domain::{
    source::SourceInfo,
    time::MediaTime,
    tracks::{self, AudioTrack, AudioWish, Choice},
};
use serde::Deserialize;

use super::{
    process::{Args, Tools},
    streams::{AudioStream, StreamAnswer, VideoStream},
};
use crate::{choice, process::ProcessError};

/// Bound of the description of a file; its tags are the user's.
const DESCRIPTION_MAX: u64 = 8 << 20;

/// Bound of the list of pictures: 3 hours at 120 frames a second in lines of up to 40 bytes are 52 MB.
const TIMES_MAX: u64 = 128 << 20;

/// Why a file could not be probed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The file holds neither video nor audio that can be read. The text is for people.
    #[error("{0}")]
    NotAVideo(String),
    /// `ffprobe` did not run as it should.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// `ffprobe` printed what cannot be understood.
    #[error("unexpected answer of ffprobe: {0}")]
    Answer(String),
}

/// A local media file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// FFmpeg's name of the container.
    pub container: String,
    /// Length of the presentation.
    pub duration: MediaTime,
    /// What the file's clock shows at the presentation's zero: 0 for MP4, QuickTime, Matroska and WebM, the first
    /// timestamp for containers whose clock starts anywhere, such as MPEG-TS.
    pub zero: MediaTime,
    /// When its first stream begins, on the file's clock.
    pub start: MediaTime,
    /// The film.
    pub video: Option<VideoStream>,
    /// How long one of its pictures is shown on average, as the file has it.
    pub frame: Option<MediaTime>,
    /// The sound that was asked for, else the default one.
    pub audio: Option<AudioStream>,
    /// All sounds.
    pub sounds: Vec<AudioTrack>,
    /// The title in the file's metadata.
    pub title: Option<String>,
}

impl Probe {
    /// What a person wants to know of the source. The title is empty when the file has none.
    #[must_use]
    pub fn info(&self) -> SourceInfo {
        SourceInfo {
            title: self.title.clone().unwrap_or_default(),
            duration: self.duration,
            picture: self.video.as_ref().map(|video| video.shown),
            has_audio: self.audio.is_some(),
            frame: self.frame,
            tracks: self.sounds.clone(),
            ..SourceInfo::default()
        }
    }
}

impl Probe {
    /// The numbers of its streams.
    pub(crate) fn streams(&self) -> impl Iterator<Item = u32> {
        let video = self.video.as_ref().map(|video| video.index);
        video.into_iter().chain(self.audio.as_ref().map(|audio| audio.index))
    }
}

/// A packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    /// Presentation time in ticks of the stream.
    pub(crate) pts: Option<i64>,
    pub(crate) key: bool,
    /// Decoded but not shown, by an edit list.
    pub(crate) hidden: bool,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    streams: Vec<StreamAnswer>,
    #[serde(default)]
    programs: Vec<ProgramAnswer>,
    format: Option<FormatAnswer>,
}

/// A programme of a transport stream.
#[derive(Deserialize)]
struct ProgramAnswer {
    #[serde(default)]
    streams: Vec<ProgramStream>,
}

#[derive(Deserialize)]
struct ProgramStream {
    index: u32,
}

#[derive(Deserialize)]
struct FormatAnswer {
    #[serde(default)]
    format_name: String,
    start_time: Option<String>,
    duration: Option<String>,
    #[serde(default)]
    tags: std::collections::BTreeMap<String, String>,
}

impl Tools {
    /// Probes a local file.
    ///
    /// # Errors
    /// [`ProbeError::NotAVideo`] when the file is no media, else what kept `ffprobe` from telling.
    pub async fn probe(&self, path: &Path) -> Result<Probe, ProbeError> {
        self.probe_for(path, None).await
    }

    /// As [`Self::probe`], with the sound that `wish` names. In a file with one sound there is nothing to choose.
    ///
    /// # Errors
    /// As [`Self::probe`], and [`ProbeError::NotAVideo`] if the sound is not there.
    pub async fn probe_for(&self, path: &Path, wish: Option<&AudioWish>) -> Result<Probe, ProbeError> {
        let mut text = String::new();
        let args =
            Args::default().words("-print_format json -show_format -show_streams -show_programs").input(path);
        let mut keep = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        let finished = self.ffprobe(args, DESCRIPTION_MAX, &mut keep).await?;
        let no_media =
            || ProbeError::NotAVideo("The source is not a video or audio file that can be read.".into());
        if !finished.success {
            tracing::debug!(stderr = finished.stderr, "ffprobe refused the file");
            return Err(no_media());
        }
        let answer: Answer = serde_json::from_str(&text).map_err(|e| ProbeError::Answer(e.to_string()))?;
        let format = answer.format.ok_or_else(no_media)?;
        let streams = of_one_programme(&answer.streams, &answer.programs);
        let pictures: Vec<_> = streams.iter().map(|stream| stream.pictures()).collect();
        let film = choice::film(&pictures).and_then(|film| streams.get(film));
        let video = film.and_then(|film| film.video());
        let heard: Vec<_> =
            streams.iter().filter_map(|stream| stream.audio().map(|audio| (stream, audio))).collect();
        let sounds: Vec<_> =
            (1..).zip(&heard).map(|(number, (stream, audio))| stream.sound(number, audio)).collect();
        let audio = audio(&heard, &sounds, wish)?;
        if video.is_none() && audio.is_none() {
            return Err(no_media());
        }
        // Each programme has a clock of its own.
        let programme = (answer.programs.len() > 1)
            .then(|| streams.iter().filter_map(|stream| stream.start()).min())
            .flatten();
        let names = format.format_name.split(',').collect::<Vec<_>>();
        let own_zero = names.iter().any(|name| matches!(*name, "mov" | "matroska"));
        Ok(Probe {
            zero: match programme {
                _ if own_zero => MediaTime::ZERO,
                Some(start) => start,
                None => signed_seconds(format.start_time.as_deref()),
            },
            frame: film.and_then(|film| film.frame()),
            sounds,
            duration: signed_seconds(format.duration.as_deref()),
            start: signed_seconds(format.start_time.as_deref()),
            title: format
                .tags
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case("title"))
                .map(|(_, v)| v.clone()),
            container: format.format_name,
            video,
            audio,
        })
    }

    /// The packets of stream `stream` in decoding order.
    pub(crate) async fn packets(&self, path: &Path, stream: u32) -> Result<Vec<Packet>, ProbeError> {
        let mut packets = Vec::new();
        let mut line = |line: &str| {
            // Side data that is not shown leaves an empty line behind.
            if line.is_empty() {
                return;
            }
            let mut fields = line.split(',');
            let pts = fields.next().and_then(|pts| pts.parse().ok());
            let flags = fields.next().unwrap_or_default();
            packets.push(Packet { pts, key: flags.contains('K'), hidden: flags.contains('D') });
        };
        let args = Args::default()
            .option("-select_streams", stream.to_string())
            .words("-show_entries packet=pts,flags -print_format csv=print_section=0")
            .input(path);
        self.ffprobe(args, TIMES_MAX, &mut line).await?;
        Ok(packets)
    }

    /// The presentation times of the pictures of `video` in ticks, as its decoder gives them out. Slow: it decodes
    /// the whole file.
    pub(crate) async fn frames(&self, path: &Path, video: &VideoStream) -> Result<Vec<i64>, ProbeError> {
        let mut frames = Vec::new();
        let mut line =
            |line: &str| frames.extend(line.split(',').next().and_then(|pts| pts.parse::<i64>().ok()));
        let args = Args::default()
            .option("-select_streams", video.index.to_string())
            .words("-show_entries frame=best_effort_timestamp -print_format csv=print_section=0")
            .input(path);
        self.ffprobe(args, TIMES_MAX, &mut line).await?;
        Ok(frames)
    }
}

/// The streams of the first programme with a picture, else of the first one with anything; all of a file without
/// programmes.
fn of_one_programme<'a>(streams: &'a [StreamAnswer], programs: &[ProgramAnswer]) -> Vec<&'a StreamAnswer> {
    let within = |program: &ProgramAnswer| -> Vec<&'a StreamAnswer> {
        let is_in = |stream: &&StreamAnswer| program.streams.iter().any(|one| one.index == stream.index);
        streams.iter().filter(is_in).collect()
    };
    let all = programs.iter().map(within).filter(|streams| !streams.is_empty());
    let has_picture = |streams: &Vec<&StreamAnswer>| streams.iter().any(|stream| stream.video().is_some());
    let has_sound = |streams: &Vec<&StreamAnswer>| streams.iter().any(|stream| stream.audio().is_some());
    let chosen = all.clone().find(has_picture).or_else(|| all.clone().find(has_sound));
    chosen.filter(|_| programs.len() > 1).unwrap_or_else(|| streams.iter().collect())
}

/// The sound that is heard of `heard`, which `sounds` describes.
fn audio(
    heard: &[(&&StreamAnswer, AudioStream)],
    sounds: &[AudioTrack],
    wish: Option<&AudioWish>,
) -> Result<Option<AudioStream>, ProbeError> {
    let wish = wish.filter(|_| sounds.len() > 1);
    let chosen = tracks::choose(sounds, wish).map_err(|why| ProbeError::NotAVideo(why.to_string()))?;
    let Some(Choice { track, right }) = chosen else { return Ok(None) };
    let stream = |position: usize| heard.get(position).map(|(_, stream)| stream.clone());
    let right = right.and_then(stream).map(|stream| stream.index);
    let channels = |stream: &AudioStream| if right.is_some() { 2 } else { stream.channels };
    Ok(stream(track).map(|stream| AudioStream { right, channels: channels(&stream), ..stream }))
}

/// Seconds as `ffprobe` prints them, which may be negative; zero when there are none.
pub(super) fn signed_seconds(text: Option<&str>) -> MediaTime {
    let text = text.unwrap_or_default();
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let time: MediaTime = digits.parse().unwrap_or_default();
    if negative { MediaTime(-time.0) } else { time }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_ffprobe_prints() {
        assert_eq!(signed_seconds(Some("-1.400000")), MediaTime(-1_400_000));
        assert_eq!(signed_seconds(Some("N/A")), MediaTime::ZERO);
    }
}
