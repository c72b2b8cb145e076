//! WebVTT (W3C) and SubRip: cues with a line of times above their text.

use domain::time::MediaTime;

use super::{SEGMENTS_MAX, Segment, plain::plain};

/// Reads WebVTT. Text that does not begin as such is read as far as it goes.
#[must_use]
pub fn webvtt(text: &str) -> Vec<Segment> {
    cues(text)
}

/// Reads SubRip.
#[must_use]
pub fn srt(text: &str) -> Vec<Segment> {
    cues(text)
}

/// A block is a cue if one of its first two lines has times; comments, styles and regions have none.
fn cues(text: &str) -> Vec<Segment> {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
    let mut found = Vec::new();
    let mut lines = text.split('\n').peekable();
    while found.len() <= SEGMENTS_MAX {
        let Some(line) = lines.next() else { break };
        if ["NOTE", "STYLE", "REGION"]
            .iter()
            .any(|word| line.trim_end() == *word || line.starts_with("NOTE "))
        {
            while lines.next_if(|line| !line.trim().is_empty()).is_some() {}
            continue;
        }
        let Some((start, end)) = times(line) else { continue };
        let mut said: Vec<&str> = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.trim().is_empty() && times(line).is_none()) {
            said.push(line);
        }
        // A cue that follows without an empty line has its number here.
        if lines.peek().is_some_and(|line| times(line).is_some())
            && said.last().is_some_and(|line| line.trim().bytes().all(|byte| byte.is_ascii_digit()))
        {
            said.pop();
        }
        found.push(Segment { start, end, text: said.join("\n") });
    }
    found.into_iter().map(|cue| Segment { text: lined(&cue.text), ..cue }).collect()
}

/// The plain lines of a cue, which `tidy` tells apart.
pub(super) fn lined(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(plain).filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

/// `00:00:01.000 --> 00:00:04.000 align:start`, hours being optional and the comma as good as the point.
fn times(line: &str) -> Option<(MediaTime, MediaTime)> {
    let (start, rest) = line.split_once("-->")?;
    let end = rest.split_whitespace().next()?;
    let (start, end) = (clock(start.trim())?, clock(end)?);
    (end >= start).then_some((start, end))
}

/// `[hh:]mm:ss.mmm`.
pub(super) fn clock(text: &str) -> Option<MediaTime> {
    let (whole, fraction) = text.split_once(['.', ',']).unwrap_or((text, "0"));
    let digits = |part: &str| {
        let fits = (1..=6).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| part.parse::<i64>().ok()).flatten()
    };
    let parts: Option<Vec<i64>> = whole.split(':').map(digits).collect();
    let seconds = match parts?.as_slice() {
        [minutes, seconds] => minutes * 60 + seconds,
        [hours, minutes, seconds] => hours * 3600 + minutes * 60 + seconds,
        _ => return None,
    };
    let scale = 10_i64.pow(u32::try_from(6_usize.checked_sub(fraction.len())?).ok()?);
    Some(MediaTime(seconds * 1_000_000 + digits(fraction)? * scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(segments: Vec<Segment>) -> Vec<(i64, i64, String)> {
        segments.into_iter().map(|s| (s.start.0 / 1000, s.end.0 / 1000, s.text)).collect()
    }

    #[test]
    fn webvtt_as_sites_write_it() {
        let text = "\u{feff}WEBVTT - A title\r\nKind: captions\r\nLanguage: en\r\n\r\nSTYLE\r\n::cue { color: red }\r\n\r\n\
                    NOTE a comment\r\n00:00:00.000 --> 00:00:09.000\r\nnot said\r\n\r\n\
                    intro\r\n00:01.500 --> 00:04.000 align:start position:0%\r\n<v Ann>Hello\r\neveryone\r\n\r\n\
                    00:00:04.000 --> 00:00:06.250\r\n- 漢字 &amp; عربي\r\n\r\n00:09.000 --> 00:08.000\r\nbackwards\r\n";
        assert_eq!(
            told(webvtt(text)),
            [(1500, 4000, "Hello\neveryone".to_owned()), (4000, 6250, "- 漢字 & عربي".to_owned())]
        );
    }

    #[test]
    fn subrip_with_and_without_empty_lines() {
        let text = "1\n00:00:01,000 --> 00:00:02,500\n<i>One</i>\n\n2\n00:00:03,000 --> 00:00:04,000\nTwo\n3\n\
                    100:00:05,000 --> 100:00:06,000\nThree\n42\n";
        assert_eq!(
            told(srt(text)),
            [
                (1000, 2500, "One".to_owned()),
                (3000, 4000, "Two".to_owned()),
                (360_005_000, 360_006_000, "Three\n42".to_owned())
            ]
        );
    }

    #[test]
    fn hostile_text_ends() {
        for text in ["-->", "a --> b", "1:2:3:4 --> 5", "00:00.0000000 --> 00:01.000", "\u{0}\u{0}", "WEBVTT"]
        {
            assert!(webvtt(text).is_empty(), "{text}");
        }
        let many = "00:00.000 --> 00:01.000\nx\n\n".repeat(SEGMENTS_MAX + 10);
        assert_eq!(webvtt(&many).len(), SEGMENTS_MAX + 1, "one more, which tells that there are more");
        assert!(srt(&"9".repeat(1 << 20)).is_empty());
    }
}
