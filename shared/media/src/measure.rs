//! How long a source is: told by its packets. What a header says may be missing (a recorder that died, a pipe), a guess
//! from the bit rate, or wrong.
//!
//! Invariant: what is measured is the end of the last packet on a clock that goes on: where the file's own begins anew (one
//! recording behind the other), the second part counts from the end of the first.

use std::path::Path;

use domain::time::MediaTime;

use crate::ffmpeg::{Args, Probe, ProbeError, Tools};

/// A clock that goes back by more than this begins anew; packets of reordered pictures are nearer to each other.
const RESTART_MIN: i64 = 1_000_000;

/// Bound of the list of packets: 3 hours of picture at 120 and of sound at 100 packets a second, in lines of up to 50 bytes.
const PACKETS_MAX: u64 = 256 << 20;

/// Packets from so long before the end that is claimed are looked at, at most.
const BEFORE_END_MAX: MediaTime = MediaTime(10_000_000);

/// The length of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Where the last packet of picture and sound ends, on the presentation's timeline.
    pub end: MediaTime,
    /// How long a picture is shown usually, if there are any.
    pub frame: Option<MediaTime>,
    /// Whether the clock begins anew somewhere.
    pub restarts: bool,
}

impl Tools {
    /// Measures the local file at `path`, which is all of its source, by each of its packets. `None` if it has none.
    ///
    /// # Errors
    /// [`ProbeError`].
    pub async fn measure(&self, path: &Path, probe: &Probe) -> Result<Option<Measured>, ProbeError> {
        let clocks = self.clocks(path, probe, Args::default()).await?;
        Ok(clocks.measured(probe))
    }

    /// As [`Self::measure`], by the packets near the end that the file claims, found by its own index. Of `bytes.1` bytes
    /// the last `bytes.0` are at hand. `None` if there are no such packets: the claim is wrong then, or the file cannot be
    /// read from the middle.
    ///
    /// # Errors
    /// [`ProbeError`].
    pub async fn measure_end(
        &self,
        path: &Path,
        probe: &Probe,
        (tail, len): (u64, u64),
    ) -> Result<Option<Measured>, ProbeError> {
        // Half of what the tail has, if all seconds are as large: what lies before the tail is a hole.
        let duration = i128::from(probe.duration.0);
        let half = duration * i128::from(tail) / i128::from(len.max(1)) / 2;
        let before = i64::try_from(half).map_or(BEFORE_END_MAX.0, |half| half.min(BEFORE_END_MAX.0));
        let from = MediaTime((probe.duration.0 - before).max(0));
        let seek = Args::default().option("-read_intervals", format!("{:.3}%", from.seconds()));
        let measured = self.clocks(path, probe, seek).await?.measured(probe);
        Ok(measured.filter(|found| found.end > from && found.end.0.abs_diff(probe.duration.0) < 1_000_000))
    }

    async fn clocks(&self, path: &Path, probe: &Probe, before: Args) -> Result<Clocks, ProbeError> {
        let mut clocks = Clocks::of(probe);
        let mut line = |line: &str| clocks.packet(line);
        let args = before
            .words("-show_entries packet=stream_index,pts_time,dts_time,duration_time")
            .words("-print_format csv=print_section=0")
            .input(path);
        self.ffprobe(args, PACKETS_MAX, &mut line).await?;
        Ok(clocks)
    }
}

/// The clocks of a file's picture and sound.
struct Clocks {
    video: Option<Clock>,
    audio: Option<Clock>,
}

#[derive(Default)]
struct Clock {
    stream: u32,
    packets: i64,
    /// What is added so that the clock goes on, and how often that had to be.
    offset: i64,
    restarts: u32,
    /// On the file's clock: when the last packet comes.
    last: Option<i64>,
    /// On the one that goes on: when the first packet comes, and where the last one ends.
    first: Option<i64>,
    end: Option<i64>,
}

impl Clocks {
    fn of(probe: &Probe) -> Self {
        let clock = |stream| Clock { stream, ..Clock::default() };
        Self {
            video: probe.video.as_ref().map(|video| clock(video.index)),
            audio: probe.audio.as_ref().map(|audio| clock(audio.index)),
        }
    }

    /// Takes a packet as `ffprobe` prints it. Side data leaves empty lines behind.
    fn packet(&mut self, line: &str) {
        let mut fields = line.split(',');
        let Some(stream) = fields.next().and_then(|stream| stream.parse::<u32>().ok()) else { return };
        let mut time = || fields.next().and_then(micros);
        let (pts, dts, duration) = (time(), time(), time());
        let mut clocks = [&mut self.video, &mut self.audio].into_iter().flatten();
        if let Some(clock) = clocks.find(|clock| clock.stream == stream) {
            clock.packet(pts, dts, duration);
        }
    }

    fn measured(&self, probe: &Probe) -> Option<Measured> {
        let clocks = || [&self.video, &self.audio].into_iter().flatten();
        let end = clocks().filter_map(|clock| clock.end).max()?;
        let frame = self.video.as_ref().and_then(Clock::frame);
        let restarts = clocks().any(|clock| clock.restarts > 0);
        Some(Measured { end: MediaTime(end).since(probe.zero), frame, restarts })
    }
}

impl Clock {
    fn packet(&mut self, pts: Option<i64>, dts: Option<i64>, duration: Option<i64>) {
        self.packets += 1;
        let Some(at) = pts.or(dts) else {
            // Raw streams tell nothing but how long each packet is.
            self.end = Some(self.end.unwrap_or(0) + duration.unwrap_or(0));
            return;
        };
        let order = dts.unwrap_or(at);
        if self.last.is_some_and(|last| last - order > RESTART_MIN) {
            self.restarts += 1;
            self.offset = self.end.unwrap_or(0) - at;
        }
        self.last = Some(order);
        let at = at.saturating_add(self.offset);
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        let end = at.saturating_add(duration.unwrap_or(0));
        self.end = Some(self.end.map_or(end, |known| known.max(end)));
    }

    fn frame(&self) -> Option<MediaTime> {
        let length = self.end? - self.first.unwrap_or(0);
        (self.packets > 0 && length > 0).then(|| MediaTime(length / self.packets))
    }
}

/// Seconds with a fraction, in microseconds.
fn micros(text: &str) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let time: MediaTime = digits.parse().ok()?;
    Some(if negative { -time.0 } else { time.0 })
}

/// How the length of a source is found of which only the beginning and the end are at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Each packet tells its own time, wherever it lies: the ends are measured one behind the other, without what is
    /// between them.
    Joined,
    /// The file's index leads to its end: the ends are measured in their places.
    InPlace,
    /// Only all of it tells.
    Nothing,
}

/// How the ends of `container`, FFmpeg's name, tell its length.
#[must_use]
pub fn ends(container: &str) -> Ends {
    let names = || container.split(',');
    let is = |known: &[&str]| names().any(|name| known.contains(&name));
    if is(&["matroska", "mpegts", "mpeg", "ogg", "nut"]) {
        Ends::Joined
    } else if is(&["avi", "asf", "mxf", "wav", "w64", "aiff", "au", "caf", "rm", "dv", "mov"]) {
        Ends::InPlace
    } else {
        Ends::Nothing
    }
}

/// The time of the last tag of an FLV file whose last bytes are `tail`: each tag is followed by its own length.
#[must_use]
pub fn flv_end(tail: &[u8]) -> Option<MediaTime> {
    let (rest, len) = tail.split_last_chunk::<4>()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    let tag = rest.get(rest.len().checked_sub(len)?..)?;
    let [8 | 9 | 18, _, _, _, a, b, c, high, ..] = tag else { return None };
    Some(MediaTime(i64::from(u32::from_be_bytes([*high, *a, *b, *c])) * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(lines: &str) -> Measured {
        let clock = |stream| Some(Clock { stream, ..Clock::default() });
        let mut clocks = Clocks { video: clock(0), audio: clock(2) };
        lines.lines().for_each(|line| clocks.packet(line));
        let probe = Probe {
            container: String::new(),
            duration: MediaTime::ZERO,
            zero: MediaTime(1_000_000),
            start: MediaTime(1_000_000),
            video: None,
            audio: None,
            title: None,
            frame: None,
            sounds: Vec::new(),
        };
        clocks.measured(&probe).unwrap()
    }

    #[test]
    fn the_last_packet_tells() {
        let lines = "0,1.100000,1.000000,0.040000,\n\n0,1.060000,1.040000,0.040000\n1,9.000000,9.000000,9.000000\n\
                     2,1.020000,1.020000,0.020000\n2,1.100000,N/A,0.020000";
        let found = measured(lines);
        assert_eq!((found.end, found.restarts), (MediaTime(140_000), false));
        assert_eq!(found.frame, Some(MediaTime(40_000)));
    }

    #[test]
    fn a_clock_that_begins_anew_goes_on() {
        let lines =
            "2,1.000000,1.000000,2.000000\n2,3.000000,3.000000,2.000000\n2,1.000000,1.000000,2.000000";
        let found = measured(lines);
        assert_eq!((found.end, found.restarts, found.frame), (MediaTime(6_000_000), true, None));
    }

    #[test]
    fn packets_without_a_time_count_by_their_length() {
        let found = measured("0,N/A,N/A,0.040000\n0,N/A,N/A,0.040000\n0,N/A,N/A,0.040000");
        assert_eq!((found.end, found.frame), (MediaTime(120_000 - 1_000_000), Some(MediaTime(40_000))));
    }

    #[test]
    fn an_flv_ends_with_its_last_tag() {
        let mut tail = vec![1, 2, 3, 9, 0, 0, 2, 0x01, 0x02, 0x03, 0x01, 0, 0, 0, 7, 7];
        tail.extend(13_u32.to_be_bytes());
        assert_eq!(flv_end(&tail), Some(MediaTime(0x0101_0203 * 1000)));
        tail.extend([0; 4]);
        assert_eq!(flv_end(&tail), None, "no tag has no length");
    }
}
