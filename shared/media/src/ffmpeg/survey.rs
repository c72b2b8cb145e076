//! What a decoder makes of each packet of a stream, by its timestamps.
//!
//! What the container says of lost packets stands in its words by their decoding times. `ffprobe` shows packets and frames in the order in which its only decoder takes and gives them, and with each frame the
//! words that were said since the one before. So a complaint belongs to the packets that went in meanwhile.

use std::{collections::BTreeSet, path::Path};

use domain::time::MediaTime;

use super::{
    probe::ProbeError,
    process::{Args, Tools},
};

/// Bound of the list: 3 hours at 120 frames a second, in two lines of up to 200 bytes, are 520 MB; what is surveyed is a
/// span of at most 10 minutes, or a whole file of which some can be shown.
const SURVEY_MAX: u64 = 640 << 20;

/// The level of errors in FFmpeg's log.
const ERROR: u32 = 16;

/// How a container says that some of a packet was lost on its way.
const CORRUPT: &str = "Packet corrupt (stream = ";

/// A packet and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// When it is presented, in ticks; where that is not said, when it is decoded.
    pub(crate) at: i64,
    /// How long, as far as that is said.
    pub(crate) length: i64,
    pub(crate) key: bool,
    /// Decoded but not shown, by an edit list.
    pub(crate) hidden: bool,
    /// Whether the decoder complained of it, or some of it is missing.
    pub(crate) bad: bool,
}

/// A frame that the decoder gave out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Given {
    /// In ticks.
    pub(crate) at: i64,
    /// Width and height as it is coded; zero for sound.
    pub(crate) size: (u32, u32),
}

/// A part of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    /// In decoding order.
    pub(crate) packets: Vec<Seen>,
    /// In presentation order.
    pub(crate) frames: Vec<Given>,
    /// Whether all packets say when they are presented.
    pub(crate) timed: bool,
}

/// A part of a stream as it is read line by line.
struct Reader {
    survey: Survey,
    stream: u32,
    /// The decoding times of the packets, and of those that are said to be corrupt.
    decoded: Vec<Option<i64>>,
    corrupt: BTreeSet<i64>,
    /// The first packet since the last frame.
    since: usize,
}

impl Reader {
    fn new(stream: u32) -> Self {
        let survey = Survey { timed: true, ..Survey::default() };
        Self { survey, stream, decoded: Vec::new(), corrupt: BTreeSet::new(), since: 0 }
    }

    fn line(&mut self, line: &str) {
        let mut fields = line.split('|');
        match fields.next() {
            Some("packet") => self.packet(fields),
            Some("frame") => self.frame(fields),
            _ => {}
        }
    }

    fn packet<'a>(&mut self, fields: impl Iterator<Item = &'a str>) {
        let (mut seen, mut pts, mut dts) = (Seen::default(), None, None);
        for (name, value) in fields.filter_map(|field| field.split_once('=')) {
            match name {
                "pts" => pts = value.parse().ok(),
                "dts" => dts = value.parse().ok(),
                "duration" => seen.length = value.parse().unwrap_or(0),
                "flags" => (seen.key, seen.hidden) = (value.contains('K'), value.contains('D')),
                _ => {}
            }
        }
        self.survey.timed &= pts.is_some();
        let before = self.survey.packets.last().map_or(0, |before| before.at);
        seen.at = pts.or(dts).unwrap_or(before);
        self.survey.packets.push(seen);
        self.decoded.push(dts);
    }

    fn frame<'a>(&mut self, fields: impl Iterator<Item = &'a str>) {
        let (mut given, mut level, mut complains) = (Given::default(), ERROR, false);
        let mut at = None;
        for (name, value) in fields.filter_map(|field| field.split_once('=')) {
            match name {
                "best_effort_timestamp" => at = value.parse().ok(),
                "width" => given.size.0 = value.parse().unwrap_or(0),
                "height" => given.size.1 = value.parse().unwrap_or(0),
                "level" => level = value.parse().unwrap_or(ERROR),
                "message" => complains |= level <= ERROR && !super::is_harmless(value),
                _ => {}
            }
        }
        if complains {
            self.complain();
        }
        self.since = self.survey.packets.len();
        if let Some(at) = at {
            self.survey.frames.push(Given { at, ..given });
        }
    }

    fn complain(&mut self) {
        // Words that came when all packets were in are about the last one.
        let last = self.survey.packets.len().saturating_sub(1);
        let since = self.since.min(last);
        self.survey.packets.iter_mut().skip(since).for_each(|packet| packet.bad = true);
    }

    /// The decoding time in "Packet corrupt (stream = 0, dts = 663000).", if it is one of this stream.
    fn lost(&self, message: &str) -> Option<i64> {
        let (stream, rest) = message.split_once(CORRUPT)?.1.split_once(", dts = ")?;
        let dts = rest.split(|c: char| !c.is_ascii_digit() && c != '-').next()?;
        (stream.parse() == Ok(self.stream)).then(|| dts.parse().ok()).flatten()
    }

    /// `words` are those of the container.
    fn end(mut self, words: &str) -> Survey {
        self.corrupt = words.lines().filter_map(|line| self.lost(line)).collect();
        for (packet, dts) in self.survey.packets.iter_mut().zip(&self.decoded) {
            packet.bad |= dts.is_some_and(|dts| self.corrupt.contains(&dts));
        }
        self.survey
    }
}

impl Tools {
    /// Decodes stream `stream` of a local file from `from` (the beginning if `None`) to `until`, on the file's own clock.
    pub(crate) async fn survey(
        &self,
        path: &Path,
        stream: u32,
        (from, until): (Option<MediaTime>, MediaTime),
    ) -> Result<Survey, ProbeError> {
        let from = from.map_or_else(String::new, |from| format!("{:.6}", from.seconds()));
        let args = Args::default()
            .option("-select_streams", stream.to_string())
            .option("-read_intervals", format!("{from}%{:.6}", until.seconds()))
            .words(&format!("-v warning -show_packets -show_frames -show_log {ERROR}"))
            .words("-show_entries packet=pts,dts,duration,flags:frame=best_effort_timestamp,width,height:log=level,message")
            .words("-print_format compact")
            .input(path);
        self.read(args, stream).await
    }

    /// Lists the packets of stream `stream` without decoding any. What is lost of them is known if the container tells.
    pub(crate) async fn list(&self, path: &Path, stream: u32) -> Result<Survey, ProbeError> {
        let args = Args::default()
            .option("-select_streams", stream.to_string())
            .words("-v warning -show_packets -show_entries packet=pts,dts,duration,flags")
            .words("-print_format compact")
            .input(path);
        self.read(args, stream).await
    }

    async fn read(&self, args: Args, stream: u32) -> Result<Survey, ProbeError> {
        let mut reader = Reader::new(stream);
        let finished = self.ffprobe(args, SURVEY_MAX, &mut |line| reader.line(line)).await?;
        Ok(reader.end(&finished.stderr))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(lines: &[&str], words: &str) -> Survey {
        let mut reader = Reader::new(0);
        lines.iter().for_each(|line| reader.line(line));
        reader.end(words)
    }

    fn bad(survey: &Survey) -> Vec<i64> {
        survey.packets.iter().filter(|packet| packet.bad).map(|packet| packet.at).collect()
    }

    #[test]
    fn a_complaint_is_about_the_packets_since_the_last_frame() {
        let lines = [
            "packet|pts=3|dts=1|duration=1|flags=K_|side_data|side_data_type=MPEGTS Stream ID|id=224",
            "packet|pts=4|dts=2|flags=__",
            "",
            "frame|best_effort_timestamp=3|width=320|height=180|",
            "packet|pts=5|dts=3|flags=__",
            "frame|best_effort_timestamp=4|width=320|height=180|log|level=16|message=[h264 @ 0x1] error while decoding MB",
            "packet|pts=6|dts=4|flags=_D",
            "frame|best_effort_timestamp=5|width=320|height=180|log|level=24|message=[h264 @ 0x1] a warning",
        ];
        let words = "[mpegts @ 0x1] Packet corrupt (stream = 0, dts = 2).\n[mpegts @ 0x1] Packet corrupt (stream = 1, dts = 1).";
        let quiet = survey(&lines, words);
        assert_eq!(bad(&quiet), [4, 5]);
        assert!(quiet.timed && quiet.packets[0].key && quiet.packets[3].hidden);
        assert_eq!(quiet.frames[2], Given { at: 5, size: (320, 180) });
        let untimed = survey(&["packet|pts=N/A|dts=9|flags=__"], "");
        assert_eq!((untimed.packets[0].at, untimed.timed), (9, false));
    }
}
