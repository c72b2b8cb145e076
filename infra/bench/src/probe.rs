//! What ffprobe says of a file.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

/// How far before a span its decoding begins: more than the longest group of pictures, in seconds.
pub(crate) const LEAD_S: f64 = 12.0;
/// How far behind a span packets are looked for, whose order is not that of presentation.
const TAIL_S: f64 = 5.0;

/// The packets of a picture in order of presentation.
#[derive(Debug, Default)]
pub(crate) struct Packets {
    /// Ticks and seconds of those that are shown.
    pub(crate) times: Vec<(i64, f64)>,
    /// How many the file carries without showing them.
    pub(crate) hidden: usize,
}

impl Packets {
    pub(crate) fn first(&self) -> Option<(i64, f64)> {
        self.times.first().copied()
    }

    pub(crate) fn last(&self) -> Option<(i64, f64)> {
        self.times.last().copied()
    }
}

fn ffprobe(path: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new("ffprobe");
    let output = command.args(["-v", "error", "-of", "csv=p=0"]).args(arguments).arg(path).output();
    let output = output.context("cannot run ffprobe")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Width and height of the picture.
pub(crate) fn size(path: &Path) -> anyhow::Result<(usize, usize)> {
    let text = ffprobe(path, &["-select_streams", "v:0", "-show_entries", "stream=width,height"])?;
    let mut sides = text.trim().split(',').map(str::parse);
    match (sides.next(), sides.next()) {
        (Some(Ok(width)), Some(Ok(height))) => Ok((width, height)),
        _ => bail!("no picture"),
    }
}

/// Whether there is sound.
pub(crate) fn has_sound(path: &Path) -> anyhow::Result<bool> {
    let text = ffprobe(path, &["-select_streams", "a:0", "-show_entries", "stream=index"])?;
    Ok(!text.trim().is_empty())
}

/// The picture's packets with start ≤ pts < end, in the seconds that ffprobe prints; of the whole file without a span.
pub(crate) fn packets(path: &Path, span: Option<(f64, f64)>) -> anyhow::Result<Packets> {
    let mut arguments = vec!["-select_streams", "v:0", "-show_entries", "packet=pts,pts_time,flags"];
    let interval = span.map(|(start, end)| format!("{:.3}%{:.3}", (start - LEAD_S).max(0.0), end + TAIL_S));
    if let Some(interval) = &interval {
        arguments.extend(["-read_intervals", interval]);
    }
    let mut packets = read(&ffprobe(path, &arguments)?);
    if let Some((start, end)) = span {
        packets.times.retain(|(_, at)| (start..end).contains(at));
    }
    Ok(packets)
}

/// Reads lines of ticks, seconds and flags; a `D` among the flags means that the packet is not shown.
fn read(text: &str) -> Packets {
    let mut packets = Packets::default();
    for line in text.lines() {
        let mut fields = line.split(',');
        let (pts, time) = (fields.next().map(str::parse), fields.next().map(str::parse));
        match (pts, time, fields.next().is_some_and(|flags| flags.contains('D'))) {
            (Some(Ok(pts)), Some(Ok(time)), false) => packets.times.push((pts, time)),
            (_, _, true) => packets.hidden += 1,
            _ => {}
        }
    }
    packets.times.sort_by_key(|(pts, _)| *pts);
    packets.times.dedup_by_key(|(pts, _)| *pts);
    packets
}

/// Length of the `moov` of an MP4 file (ISO/IEC 14496-12, 4.2): what has to be read of it to know where its samples are.
pub(crate) fn moov_bytes(path: &Path) -> anyhow::Result<u64> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut at = 0;
    while at < length {
        let mut head = [0; 16];
        file.read_exact_at(&mut head[..8], at)?;
        let [a, b, c, d, kind @ .., _, _, _, _, _, _, _, _] = head;
        let size = match u32::from_be_bytes([a, b, c, d]) {
            0 => length - at,
            1 => {
                file.read_exact_at(&mut head, at)?;
                let [_, _, _, _, _, _, _, _, size @ ..] = head;
                u64::from_be_bytes(size)
            }
            size => size.into(),
        };
        if &kind == b"moov" {
            return Ok(size);
        }
        at += size.max(8);
    }
    bail!("{} has no moov", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_in_order_of_presentation() {
        let packets = read("512,0.033333,K_\n1536,0.100000,__\n1024,0.066667,__\n-512,-0.033333,_D\n");
        assert_eq!(packets.times.iter().map(|(pts, _)| *pts).collect::<Vec<_>>(), [512, 1024, 1536]);
        assert_eq!(packets.hidden, 1);
    }

    #[test]
    fn a_moov_is_found_behind_a_large_box() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let mdat = [&[0, 0, 0, 1][..], b"mdat", &[0, 0, 0, 0, 0, 0, 0, 20], b"data"].concat();
        let moov = [&[0, 0, 0, 12][..], b"moov", b"trak"].concat();
        std::fs::write(path.path(), [mdat, moov].concat()).unwrap();
        assert_eq!(moov_bytes(path.path()).unwrap(), 12);
    }
}
