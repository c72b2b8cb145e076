//! Playlists as they are written, and as nobody should write them.

#![allow(clippy::panic)]

use domain::time::MediaTime;
use domain::tracks::AudioWish;

use super::{super::SEGMENTS_MAX, *};

fn base() -> Url {
    Url::parse("https://example.com/a/b/index.m3u8?token=1").unwrap()
}

fn media(body: &str) -> Result<Rendition, SourceError> {
    match Playlist::parse(&format!("#EXTM3U\n{body}"), &base())? {
        Playlist::Media(rendition) => Ok(rendition),
        Playlist::Master(_) => panic!("a master playlist"),
    }
}

fn master(body: &str) -> Master {
    match Playlist::parse(&format!("\u{feff}#EXTM3U\r\n{body}"), &base()).unwrap() {
        Playlist::Master(master) => master,
        Playlist::Media(_) => panic!("a media playlist"),
    }
}

#[test]
fn segments_have_times_addresses_ranges_and_keys() {
    let text = "#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-MAP:URI=\"init.mp4\",BYTERANGE=\"100@20\"\n\
        #EXTINF:2.5,a, b\n#EXT-X-BYTERANGE:10@5\nall.ts\n#EXTINF:1.5\n#EXT-X-BYTERANGE:20\nall.ts\n\
        #EXT-X-KEY:METHOD=AES-128,URI=\"../key?a=1,2\",IV=0x0F\n#EXTINF:1,\n/root.ts\n\
        #EXT-X-KEY:METHOD=AES-128,URI=\"../key\"\n#EXT-X-DISCONTINUITY\n#EXTINF:1,\n//cdn.example.org/x.ts\n\
        #EXT-X-KEY:METHOD=NONE\n#EXT-X-GAP\n#EXTINF:1,\nlast.ts\n#EXT-X-ENDLIST\n";
    let list = media(text).unwrap();
    assert_eq!(list.duration(), MediaTime(7_000_000));
    let [a, b, c, d, e] = &list.segments[..] else { panic!("{list:?}") };
    assert_eq!((a.start, a.end, b.end), (MediaTime(0), MediaTime(2_500_000), MediaTime(4_000_000)));
    assert_eq!((&a.piece.place.range, &b.piece.place.range), (&Some(5..15), &Some(15..35)));
    assert_eq!(a.init.as_ref().unwrap().place.range, Some(20..120));
    assert_eq!(a.piece.place.url.as_str(), "https://example.com/a/b/all.ts");
    let key = c.piece.key.as_ref().unwrap();
    assert_eq!((key.url.as_str(), key.iv[15]), ("https://example.com/a/key?a=1,2", 15));
    assert_eq!(c.piece.place.url.as_str(), "https://example.com/root.ts");
    assert_eq!(d.piece.place.url.as_str(), "https://cdn.example.org/x.ts");
    assert_eq!(d.piece.key.as_ref().unwrap().iv[15], 10, "the fourth segment's number");
    assert_eq!((a.run, d.run, &e.piece.key, d.gap, e.gap), (0, 1, &None, false, true));

    let at = |from, until| list.around(MediaTime(from), MediaTime(until));
    assert_eq!(at(0, 1), 0..1);
    assert_eq!(at(2_500_000, 4_000_000), 1..2);
    assert_eq!(at(2_499_999, 4_000_001), 0..3);
    assert_eq!(at(99_000_000, 99_000_001), 4..5);
}

#[test]
fn chooses_a_variant_and_its_sound() {
    let text = "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x, y\",LANGUAGE=\"fr\",URI=\"fr.m3u8\"\n\
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",DEFAULT=YES,URI=\"en.m3u8\"\n\
        #EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",URI=\"s.m3u8\"\n\
        #EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS=\"mp4a.40.2\"\nsound.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=1280x720,CODECS=\"avc1.64001f,mp4a.40.2\",AUDIO=\"a\"\n720.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=800000,RESOLUTION=1920x1080,CODECS=\"hvc1.1\"\n1080.m3u8\n";
    let master = master(text);
    let at = |quality| master.choose(quality, None).unwrap();
    assert_eq!(at(Quality::P720).main.path(), "/a/b/720.m3u8");
    assert_eq!(at(Quality::P720).sound.unwrap().path(), "/a/b/en.m3u8");
    let french = |wish: &str| master.choose(Quality::P720, Some(&AudioWish::parse(wish).unwrap()));
    for wish in ["fre", "1"] {
        assert_eq!(french(wish).unwrap().sound.unwrap().path(), "/a/b/fr.m3u8");
    }
    assert!(french("de").unwrap_err().to_string().contains("1 (fr)"));
    let large = at(Quality::P1080);
    assert_eq!((large.main.path(), large.sound, large.has_audio), ("/a/b/1080.m3u8", None, Some(false)));
    assert_eq!(large.picture, Some(PictureSize { width: 1920, height: 1080 }));
}

#[test]
fn what_cannot_be_cut_is_told_apart() {
    let told = |body: &str| media(body).unwrap_err().to_string();
    assert!(told("#EXTINF:2,\na.ts\n").contains("live"));
    let drm = "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://x\"\n#EXTINF:2,\na.ts\n#EXT-X-ENDLIST";
    assert!(told(drm).contains("DRM"));
    let widevine = "#EXT-X-KEY:METHOD=AES-128,URI=\"k\",KEYFORMAT=\"com.widevine\"\n#EXTINF:2,\na.ts";
    assert!(told(widevine).contains("DRM"));
    assert!(told("#EXT-X-DEFINE:NAME=\"a\",VALUE=\"b\"\n#EXTINF:2,\n{$a}.ts\n").contains("variables"));
    assert!(told("#EXT-X-I-FRAMES-ONLY").contains("still"));
}

#[test]
fn hostile_texts_end_in_an_error() {
    let many = "#EXTINF:0,\na\n".repeat(SEGMENTS_MAX + 1);
    for body in [
        "",
        "#EXT-X-ENDLIST",
        "a.ts\n#EXT-X-ENDLIST",
        "#EXTINF:nan,\na\n#EXT-X-ENDLIST",
        "#EXTINF:-1,\na\n#EXT-X-ENDLIST",
        "#EXTINF:1e300,\na\n#EXT-X-ENDLIST",
        "#EXTINF:600000,\na\n#EXTINF:600000,\na\n#EXT-X-ENDLIST",
        "#EXTINF:1,\n#EXT-X-BYTERANGE:5\na\n#EXT-X-ENDLIST",
        "#EXTINF:1,\n#EXT-X-BYTERANGE:0@5\na\n#EXT-X-ENDLIST",
        "#EXTINF:1,\n#EXT-X-BYTERANGE:18446744073709551615@18446744073709551615\na\n#EXT-X-ENDLIST",
        "#EXTINF:1,\nhttp://[::bad\n#EXT-X-ENDLIST",
        "#EXT-X-MAP:BYTERANGE=\"1@0\"\n#EXTINF:1,\na\n#EXT-X-ENDLIST",
        "#EXT-X-KEY:METHOD=AES-128\n#EXTINF:1,\na\n#EXT-X-ENDLIST",
        "#EXT-X-KEY:METHOD=AES-128,URI=\"k\",IV=0x112233445566778899aabbccddeeff0011\n#EXT-X-ENDLIST",
        "#EXT-X-KEY:METHOD=AES-128,URI=\"k,IV=0x1\n#EXT-X-ENDLIST",
        "#EXT-X-MEDIA-SEQUENCE:-1\n#EXT-X-ENDLIST",
        &many,
    ] {
        assert!(media(body).is_err(), "{}", &body[..body.len().min(80)]);
    }
    assert!(Playlist::parse("#EXT\n", &base()).is_err());
    let crowd = "#EXT-X-STREAM-INF:BANDWIDTH=1\na\n".repeat(RENDITIONS_MAX + 2);
    assert!(Playlist::parse(&format!("#EXTM3U\n{crowd}"), &base()).is_err());
    let Playlist::Master(none) = Playlist::parse("#EXTM3U\n#EXT-X-STREAM-INF:", &base()).unwrap() else {
        panic!("a media playlist");
    };
    assert!(none.choose(Quality::P720, None).is_err());
}
