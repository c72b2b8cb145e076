//! HLS subtitles (RFC 8216, 3.5 and 4.3.4.1): renditions of a master playlist, and WebVTT in segments.

use domain::time::MediaTime;
use url::Url;

use super::{SEGMENTS_MAX, Segment, speaks, timed};

/// A subtitles rendition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subtitles {
    /// BCP 47 tag; empty if the playlist does not tell.
    pub language: String,
    /// Its media playlist.
    pub url: Url,
    is_default: bool,
    is_forced: bool,
}

/// How many renditions are looked at.
const RENDITIONS_MAX: usize = 500;

/// The best subtitles rendition of a master playlist at `base`: in the language that was asked for, else the default one.
#[must_use]
pub fn subtitles(master: &str, base: &Url, asked: Option<&str>) -> Option<Subtitles> {
    let media = master.lines().filter_map(|line| line.trim().strip_prefix("#EXT-X-MEDIA:"));
    let mut all: Vec<Subtitles> =
        media.filter_map(|line| rendition(line, base)).take(RENDITIONS_MAX).collect();
    all.retain(|one| asked.is_none_or(|asked| speaks(&one.language, asked)));
    // Forced subtitles translate signs and foreign words only.
    all.into_iter().min_by_key(|one| (one.is_forced, !one.is_default))
}

fn rendition(line: &str, base: &Url) -> Option<Subtitles> {
    let value = |name: &str| attributes(line).find(|(key, _)| *key == name).map(|(_, value)| value);
    if value("TYPE") != Some("SUBTITLES") {
        return None;
    }
    let url = base.join(value("URI")?).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    Some(Subtitles {
        language: value("LANGUAGE").unwrap_or_default().to_owned(),
        url,
        is_default: value("DEFAULT") == Some("YES"),
        is_forced: value("FORCED") == Some("YES"),
    })
}

/// The attributes of a tag: `NAME=value` or `NAME="quoted, value"`, with commas between them.
fn attributes(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.find(',').map_or((after, ""), |at| after.split_at(at)),
        };
        rest = after.trim_start_matches(',');
        Some((name.trim(), value))
    })
}

/// Ticks of an MPEG clock in a second, and after how many it begins again.
const MPEG_CLOCK: i64 = 90_000;
const MPEG_TURN: i64 = 1 << 33;

/// The cues of WebVTT segments, each at its own time. `X-TIMESTAMP-MAP` says what the media's clock shows at a segment's
/// zero (RFC 8216, 3.5); `zero` is what that clock shows at the presentation's zero. Without it, the first segment's map
/// is taken for that.
#[must_use]
pub fn join_webvtt(segments: &[String], zero: Option<i64>) -> Vec<Segment> {
    let mut zero = zero;
    let mut all: Vec<Segment> = Vec::new();
    for text in segments {
        let shift = timestamp_map(text).map_or(0, |(local, mpegts)| {
            let zero = *zero.get_or_insert(mpegts);
            let ticks = (mpegts - zero).rem_euclid(MPEG_TURN);
            // A map a little before the zero is no turn of the clock later.
            let ticks = if ticks > MPEG_TURN / 2 { ticks - MPEG_TURN } else { ticks };
            ticks * 1_000_000 / MPEG_CLOCK - local
        });
        let moved = |at: MediaTime| MediaTime((at.0 + shift).max(0));
        let cues = timed::webvtt(text).into_iter();
        let cues = cues.map(|cue| Segment { start: moved(cue.start), end: moved(cue.end), text: cue.text });
        // A cue on the border of two segments is in both.
        for cue in cues.take((SEGMENTS_MAX + 1).saturating_sub(all.len())) {
            if !all.iter().rev().take(64).any(|known| *known == cue) {
                all.push(cue);
            }
        }
    }
    all
}

/// Local time in microseconds and the clock's ticks, of `X-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:900000`.
fn timestamp_map(text: &str) -> Option<(i64, i64)> {
    let header = text.trim_start_matches('\u{feff}').lines().take_while(|line| !line.trim().is_empty());
    let map = header.filter_map(|line| line.trim().strip_prefix("X-TIMESTAMP-MAP=")).next()?;
    let value = |name: &str| map.split(',').find_map(|part| part.trim().strip_prefix(name)).map(str::trim);
    let ticks: i64 = value("MPEGTS:")?.parse().ok().filter(|ticks| (0..MPEG_TURN).contains(ticks))?;
    Some((timed::clock(value("LOCAL:")?)?.0, ticks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rendition_that_is_wanted() {
        let base = Url::parse("https://a.org/x/master.m3u8").unwrap();
        let master = "#EXTM3U\n\
            #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",URI=\"a.m3u8\",LANGUAGE=\"en\"\n\
            #EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",NAME=\"Deutsch, erzwungen\",LANGUAGE=\"de\",DEFAULT=YES,FORCED=YES,URI=\"forced.m3u8\"\n\
            #EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",NAME=\"English\",LANGUAGE=\"en-GB\",URI=\"en.m3u8?a=1,2\",DEFAULT=NO\n\
            #EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",NAME=\"Français\",LANGUAGE=\"fr\",DEFAULT=YES,URI=\"fr.m3u8\"\n\
            #EXT-X-MEDIA:TYPE=SUBTITLES,LANGUAGE=\"xx\",URI=\"file:///etc/passwd\"\n\
            #EXT-X-MEDIA:TYPE=SUBTITLES,LANGUAGE=\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n";
        let chosen = |asked| subtitles(master, &base, asked).map(|one| one.url.to_string());
        assert_eq!(chosen(None).as_deref(), Some("https://a.org/x/fr.m3u8"));
        assert_eq!(chosen(Some("en")).as_deref(), Some("https://a.org/x/en.m3u8?a=1,2"));
        assert_eq!(chosen(Some("xx")), None);
        assert_eq!(subtitles("#EXTM3U\n", &base, None), None);
    }

    #[test]
    fn segments_at_their_own_times() {
        let part = |ticks: i64, cues: &str| {
            format!("WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:{ticks}\n\n{cues}")
        };
        let parts = [
            part(900_000, "00:01.000 --> 00:02.000\none\n\n00:05.500 --> 00:06.500\nborder\n"),
            part(900_000 + 6 * 90_000, "00:00.000 --> 00:01.000\ntwo\n"),
            part(900_000, "00:05.500 --> 00:06.500\nborder\n\n00:13.000 --> 00:14.000\nthree\n"),
        ];
        let told = |zero| {
            let all = join_webvtt(&parts, zero);
            all.into_iter().map(|cue| (cue.start.0 / 1000, cue.text)).collect::<Vec<_>>()
        };
        let expect = |shift: i64| {
            [(1000, "one"), (5500, "border"), (6000, "two"), (13_000, "three")]
                .map(|(at, text)| (at + shift, text.to_owned()))
        };
        assert_eq!(told(None), expect(0));
        assert_eq!(told(Some(810_000)), expect(1000), "the media's clock says when zero is");
        let bare = ["WEBVTT\n\n00:01.000 --> 00:02.000\nbare\n".to_owned()];
        assert_eq!(join_webvtt(&bare, None)[0].start.0, 1_000_000);
        let odd = part(-4, "").replace("LOCAL:", "LOCAL") + "00:01.000 --> 00:02.000\nx\n";
        assert_eq!(join_webvtt(&[odd], None)[0].start.0, 1_000_000);
        assert!(timestamp_map("WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:99999999999999,LOCAL:00:00.000\n").is_none());
    }
}
