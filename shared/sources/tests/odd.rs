//! Strangers' texts that nobody thought of: playlists, manifests, captions and answers of yt-dlp, changed at random in the
//! way that breaks parsers (cut, doubled, joined with each other, with odd numbers and bytes). None may panic, and none may
//! take long. `ODD_SECONDS=600 cargo test -p clipwright-sources --test odd` looks for longer than the usual seconds;
//! what is found becomes a text below.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::{Duration, Instant};

use domain::quality::Quality;
use domain::time::MediaTime;
use sources::captions;
use sources::streams::dash::Manifest;
use sources::streams::hls::Playlist;
use sources::ytdlp::{Page, Wanted};
use url::Url;

/// As long as all texts of one kind are tried, usually.
const USUAL: Duration = Duration::from_secs(2);
/// A text of some kilobytes takes a millisecond; this is far more on any machine.
const TAKES_MAX: Duration = Duration::from_secs(5);
const BYTES_MAX: usize = 1 << 16;

const HLS: [&str; 3] = [
    "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-MAP:URI=\"init.mp4\",BYTERANGE=\"100@20\"\n#EXTINF:2.5,a\n\
     #EXT-X-BYTERANGE:10@5\nall.ts\n#EXTINF:1.5\n#EXT-X-BYTERANGE:20\nall.ts\n#EXT-X-KEY:METHOD=AES-128,URI=\"../key?a=1\",\
     IV=0x0F\n#EXTINF:1,\n/root.ts\n#EXT-X-DISCONTINUITY\n#EXT-X-GAP\n#EXTINF:1,\nlast.ts\n#EXT-X-ENDLIST\n",
    "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"English\",LANGUAGE=\"en\",DEFAULT=YES,URI=\"en.m3u8\"\n\
     #EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",LANGUAGE=\"de\",URI=\"de.m3u8\"\n#EXT-X-STREAM-INF:BANDWIDTH=1280000,\
     RESOLUTION=640x360,CODECS=\"avc1.4d401e,mp4a.40.2\",AUDIO=\"a\"\nlow.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=7680000,\
     RESOLUTION=1920x1080,CODECS=\"hvc1.1.6\"\nhigh.m3u8\n",
    "#EXTM3U\n#EXT-X-TARGETDURATION:18446744073709551615\n#EXTINF:1e308,\na.ts\n#EXT-X-BYTERANGE:18446744073709551615@1\n\
     #EXTINF:-1,\nb.ts\n#EXT-X-ENDLIST\n",
];

const DASH: [&str; 2] = [
    "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" mediaPresentationDuration=\"PT1H2M3.5S\">\
     <!-- a > b --><Period><AdaptationSet mimeType=\"video/mp4\"><SegmentTemplate timescale=\"10\" duration=\"40\" startNumber=\"9\" \
     initialization=\"$RepresentationID$/init.mp4\" media=\"$RepresentationID$-$Bandwidth%03d$-$Number%04d$$$-$Time$.m4s\">\
     <SegmentTimeline><S t=\"0\" d=\"40\" r=\"-1\"/><S t=\"9000\" d=\"1\" r=\"5\"/></SegmentTimeline></SegmentTemplate>\
     <Representation id=\"x\" bandwidth=\"7\" width=\"320\" height=\"180\" codecs=\"avc1.42c00d\"/></AdaptationSet></Period></MPD>",
    "<MPD mediaPresentationDuration='PT8S'><Period duration='P1DT1S'><BaseURL>v/</BaseURL><AdaptationSet contentType='audio'>\
     <Representation id='v' bandwidth='500000' codecs='mp4a.40.2'><SegmentList timescale='1' duration='2'><Initialization \
     sourceURL='i.mp4' range='0-99'/><SegmentURL media='1.m4s' mediaRange='100-200'/><SegmentURL/></SegmentList>\
     </Representation></AdaptationSet></Period></MPD>",
];

const CAPTIONS: [&str; 4] = [
    "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:900000\n\nNOTE x\n\n1\n00:01.000 --> 00:02.000 align:start\n<v Ann>Hello \
     <c.x>&amp; {\\an8}bye</c>\n\n00:00:02.000 --> 00:00:04.500\n- one\n- two &#x1F600; &#39;\n",
    "1\r\n00:00:01,000 --> 00:00:02,000\r\n<i>above</i>\r\n\r\n2\r\n99:59:59,999 --> 99:59:59,999\r\n{\\a\r\n",
    r#"{"wireMagic":"pb3","events":[{"tStartMs":0,"dDurationMs":3500,"segs":[{"utf8":"Hello"},{"utf8":" you","tOffsetMs":400}]},{"tStartMs":"3600000000","dDurationMs":3600000000,"segs":[{"utf8":"\n"}]}]}"#,
    "WEBVTT\n\n00:00.000 --> 999999:59:59.999\n<a<a<a<a<a{\\{\\{\\&&&&\n",
];

const PAGES: [&str; 2] = [
    r#"{"title":"A page","duration":8,"language":"en","thumbnail":"https://a.org/t.jpg","formats":[{"url":"https://a.org/v.mp4","protocol":"https","vcodec":"avc1.42c00d","acodec":"mp4a.40.2","width":320,"height":180,"tbr":500.5,"http_headers":{"User-Agent":"x"},"cookies":"SID=1; Domain=.a.org; Path=/; Secure; Expires=4000000000"},{"url":"https://a.org/m.m3u8","manifest_url":"https://a.org/m.m3u8","protocol":"m3u8_native","vcodec":"none","acodec":"mp4a.40.2"}],"subtitles":{"en":[{"ext":"vtt","url":"https://a.org/c.vtt"}]},"automatic_captions":{"en-orig":[{"ext":"json3","url":"https://a.org/c.json"}]}}"#,
    r#"{"_type":"playlist","entries":[{"url":"https://a.org/v.mp4","is_live":false,"duration":1e300,"formats":[{"height":-1,"width":1e99,"url":"file:///etc/passwd"}]}]}"#,
];

fn read_hls(text: &str) {
    let base = Url::parse("https://example.com/a/b/index.m3u8?token=1").unwrap();
    match Playlist::parse(text, &base) {
        Ok(Playlist::Master(master)) => drop(master.choose(Quality::P1080, None)),
        Ok(Playlist::Media(rendition)) => {
            assert!(!rendition.segments.is_empty());
            let around = rendition.around(MediaTime(1_000_000), MediaTime(2_000_000));
            assert!(around.start < around.end && around.end <= rendition.segments.len(), "{around:?}");
        }
        Err(_) => {}
    }
    let _ = captions::subtitles(text, &base, Some("de"));
}

fn read_dash(text: &str) {
    let base = Url::parse("https://example.com/a/m.mpd").unwrap();
    if let Ok(manifest) = Manifest::parse(text, &base) {
        let _ = (manifest.video(Quality::P720), manifest.audio());
    }
}

fn read_captions(text: &str) {
    for format in ["json3", "vtt", "srt"] {
        let cues = captions::read(format, text).unwrap();
        assert!(cues.iter().all(|cue| cue.start.0 >= 0 && cue.end >= cue.start), "{format}");
        let said: usize = cues.iter().map(|cue| cue.text.len()).sum();
        // A character reference is never shorter than what it stands for.
        assert!(said <= text.len(), "{format}: {said} bytes of {}", text.len());
        let told = captions::tidy(cues);
        assert!(told.is_sorted_by_key(|cue| cue.start));
    }
    let _ = captions::join_webvtt(&[text.to_owned(), text.to_owned()], Some(1));
}

fn read_page(text: &str) {
    if let Ok(page) = Page::parse(text) {
        let _ = page.choose(Wanted { picture: Some(Quality::P1080), sound: true });
        let _ = (page.largest_picture(), captions::ranked(&page, None), captions::ranked(&page, Some("en")));
        for media in &page.media {
            assert!(media.address.url.starts_with("http"), "{}", media.address.url);
        }
    }
}

/// Random numbers that are the same in each run (xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (sides.max(1) as u64)).unwrap()
    }
}

const ODDITIES: [&str; 18] = [
    "-1",
    "0",
    "1e999",
    "NaN",
    "18446744073709551615",
    "9223372036854775807",
    "99999999999999999999",
    "\u{0}",
    "\u{feff}",
    "\u{10ffff}",
    "\"",
    "'",
    "<",
    ">",
    "&#x110000;",
    "\\",
    "\r",
    "=",
];

fn changed(dice: &mut Dice, seeds: &[&str]) -> String {
    let mut text = seeds[dice.roll(seeds.len())].as_bytes().to_vec();
    for _ in 0..=dice.roll(6) {
        let (one, two) = (dice.roll(text.len() + 1), dice.roll(text.len() + 1));
        let (from, to) = (one.min(two), one.max(two).min(one.min(two) + 4096));
        match dice.roll(6) {
            0 => drop(text.drain(from..to)),
            1 => text.splice(from..from, ODDITIES[dice.roll(ODDITIES.len())].bytes()).for_each(drop),
            2 => text.splice(from..to, ODDITIES[dice.roll(ODDITIES.len())].bytes()).for_each(drop),
            3 => {
                let piece = text[from..to].repeat(1 + dice.roll(8) * dice.roll(200));
                text.splice(from..from, piece).for_each(drop);
            }
            4 => {
                let other = seeds[dice.roll(seeds.len())].as_bytes();
                let at = dice.roll(other.len());
                text.splice(from..to, other[at..].iter().copied()).for_each(drop);
            }
            _ if from < text.len() => text[from] = u8::try_from(dice.roll(256)).unwrap(),
            _ => {}
        }
        text.truncate(BYTES_MAX);
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn try_all(kind: &str, seeds: &[&str], read: fn(&str)) {
    let seconds = std::env::var("ODD_SECONDS").ok().and_then(|text| text.parse().ok());
    let limit = seconds.map_or(USUAL, Duration::from_secs);
    seeds.iter().for_each(|seed| read(seed));
    // Longer runs look elsewhere each time.
    let start =
        if seconds.is_some() { (u64::from(std::process::id()) << 20) | 1 } else { 0x9e37_79b9_7f4a_7c15 };
    let (mut dice, begun, mut tried) = (Dice(start), Instant::now(), 0_u64);
    while begun.elapsed() < limit {
        let text = changed(&mut dice, seeds);
        let before = Instant::now();
        let outcome = std::panic::catch_unwind(|| read(&text));
        assert!(outcome.is_ok(), "{kind}: this text is too odd: {text:?}");
        assert!(before.elapsed() < TAKES_MAX, "{kind}: this text takes {:?}: {text:?}", before.elapsed());
        tried += 1;
    }
    assert!(tried > 5, "{kind}: {tried} texts");
}

#[test]
fn no_hls_playlist_is_too_odd() {
    try_all("HLS", &HLS, read_hls);
}

#[test]
fn no_dash_manifest_is_too_odd() {
    try_all("DASH", &DASH, read_dash);
}

#[test]
fn no_captions_are_too_odd() {
    try_all("captions", &CAPTIONS, read_captions);
}

#[test]
fn no_answer_about_a_page_is_too_odd() {
    try_all("page", &PAGES, read_page);
}
