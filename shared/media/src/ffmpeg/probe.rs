//! What `ffprobe` tells about a local file.

use std::path::Path;

use domain::{source::SourceInfo, time::MediaTime};
use serde::Deserialize;

use super::{
    process::{Args, Tools},
    streams::{AudioStream, StreamAnswer, VideoStream},
};
use crate::process::ProcessError;

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
    /// The picture.
    pub video: Option<VideoStream>,
    /// The sound.
    pub audio: Option<AudioStream>,
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
            ..SourceInfo::default()
        }
    }
}

/// A coded picture of the video stream.
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
    format: Option<FormatAnswer>,
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
        let mut text = String::new();
        let args = Args::default().words("-print_format json -show_format -show_streams").input(path);
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
        let video = answer.streams.iter().find_map(StreamAnswer::video);
        let audio = answer.streams.iter().find_map(StreamAnswer::audio);
        if video.is_none() && audio.is_none() {
            return Err(no_media());
        }
        let names = format.format_name.split(',').collect::<Vec<_>>();
        let own_zero = names.iter().any(|name| matches!(*name, "mov" | "matroska"));
        Ok(Probe {
            zero: if own_zero { MediaTime::ZERO } else { signed_seconds(format.start_time.as_deref()) },
            duration: signed_seconds(format.duration.as_deref()),
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

    /// The coded pictures of `video` in decoding order.
    pub(crate) async fn packets(&self, path: &Path, video: &VideoStream) -> Result<Vec<Packet>, ProbeError> {
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
            .option("-select_streams", video.index.to_string())
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

/// Seconds as `ffprobe` prints them, which may be negative; zero when there are none.
fn signed_seconds(text: Option<&str>) -> MediaTime {
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
