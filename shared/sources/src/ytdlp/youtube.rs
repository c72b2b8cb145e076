//! The choice among the renditions of a video as YouTube has them, in the shape of yt-dlp's answer.

use domain::quality::Quality;
use serde_json::{Value, json};

use super::{Choice, Page, Wanted};

const EXACT: Wanted = Wanted { picture: Some(Quality::P1080), sound: true };

fn at(id: &str) -> String {
    format!(
        "https://rr4---sn-4g5e6nsz.googlevideo.com/videoplayback?itag={id}&expire=1790000000&ip=203.0.113.9"
    )
}

fn format(
    id: &str,
    ext: &str,
    (vcodec, acodec): (&str, &str),
    size: Option<(u32, u32)>,
    more: Value,
) -> Value {
    let mut format = json!({
        "format_id": id, "url": at(id), "ext": ext, "vcodec": vcodec, "acodec": acodec, "protocol": "https",
        "width": size.map(|size| size.0), "height": size.map(|size| size.1), "dynamic_range": "SDR", "fps": 30,
        "http_headers": { "User-Agent": "Mozilla/5.0", "Accept-Language": "en-us,en;q=0.5" },
    });
    for (name, value) in more.as_object().unwrap() {
        format[name] = value.clone();
    }
    format
}

fn storyboards() -> Vec<Value> {
    ["sb3", "sb2", "sb1", "sb0"]
        .map(|id| {
            let url = format!("https://i.ytimg.com/sb/{id}/M$M.jpg");
            format(
                id,
                "mhtml",
                ("none", "none"),
                Some((320, 180)),
                json!({ "protocol": "mhtml", "url": url }),
            )
        })
        .to_vec()
}

fn sounds() -> Vec<Value> {
    let sound = |id: &str, ext: &str, codec: &str, tbr: f64, language: i32| {
        let more = json!({ "tbr": tbr, "abr": tbr, "fps": null, "language_preference": language });
        format(id, ext, ("none", codec), None, more)
    };
    vec![
        sound("599", "m4a", "mp4a.40.5", 30.8, 10),
        sound("139", "m4a", "mp4a.40.5", 48.8, 10),
        sound("140", "m4a", "mp4a.40.2", 129.5, 10),
        sound("140-1", "m4a", "mp4a.40.2", 131.0, -1), // dubbed
        sound("249", "webm", "opus", 46.0, 10),
        sound("251", "webm", "opus", 160.2, 10),
        sound("251-1", "webm", "opus", 170.0, -1),
    ]
}

fn pictures() -> Vec<Value> {
    let mut all = Vec::new();
    let sides = [
        (256, 144),
        (426, 240),
        (640, 360),
        (854, 480),
        (1280, 720),
        (1920, 1080),
        (2560, 1440),
        (3840, 2160),
    ];
    for (n, size) in sides.into_iter().enumerate() {
        let (tbr, fps) = (100.0 * (n + 1) as f64, if n >= 4 { 60 } else { 30 });
        let more = |factor: f64| json!({ "tbr": tbr * factor, "fps": fps });
        if size.1 <= 1080 {
            let id = ["160", "133", "134", "135", "298", "299"][n];
            all.push(format(id, "mp4", ("avc1.64002a", "none"), Some(size), more(2.0)));
        }
        all.push(format(&format!("vp9-{}", size.1), "webm", ("vp9", "none"), Some(size), more(1.5)));
        all.push(format(&format!("av1-{}", size.1), "mp4", ("av01.0.12M.08", "none"), Some(size), more(1.0)));
        let mut hdr = format(&format!("hdr-{}", size.1), "webm", ("vp9.2", "none"), Some(size), more(3.0));
        hdr["dynamic_range"] = json!("HDR10");
        all.push(hdr);
        let hls = json!({ "protocol": "m3u8_native", "url": format!("https://manifest.googlevideo.com/{n}/index.m3u8"), "tbr": tbr * 9.0 });
        all.push(format(
            &format!("hls-{n}"),
            "mp4",
            ("avc1.64002a", "mp4a.40.2"),
            Some(size).filter(|s| s.1 <= 1080),
            hls,
        ));
    }
    all.push(format("18", "mp4", ("avc1.42001e", "mp4a.40.2"), Some((640, 360)), json!({ "tbr": 350.0 })));
    all.push(format(
        "drm",
        "mp4",
        ("avc1", "mp4a"),
        Some((1920, 1080)),
        json!({ "has_drm": true, "tbr": 9e9 }),
    ));
    all
}

fn answer(formats: Vec<Value>) -> Page {
    let caption = |language: &str, kind: &str| {
        json!([{ "ext": "json3", "url": format!("https://www.youtube.com/api/timedtext?lang={language}&kind={kind}&fmt=json3") },
               { "ext": "vtt", "url": format!("https://www.youtube.com/api/timedtext?lang={language}&kind={kind}&fmt=vtt") }])
    };
    let info = json!({
        "_type": "video", "id": "dQw4w9WgXcQ", "title": "A talk", "extractor_key": "Youtube", "duration": 212,
        "thumbnail": "https://i.ytimg.com/vi/dQw4w9WgXcQ/maxresdefault.jpg", "language": "en", "is_live": false,
        "live_status": "not_live", "formats": formats,
        "subtitles": { "de": caption("de", ""), "live_chat": [{ "ext": "json", "url": "https://www.youtube.com/live_chat" }] },
        "automatic_captions": { "en-orig": caption("en", "asr"), "en": caption("en", "asr") },
    });
    Page::parse(&info.to_string()).unwrap()
}

fn all() -> Page {
    answer([storyboards(), sounds(), pictures()].concat())
}

fn pair(video: &str, audio: &str) -> Option<(String, String)> {
    Some((at(video), at(audio)))
}

fn chosen(page: &Page, wanted: Wanted) -> Option<(String, String)> {
    match page.choose(wanted)? {
        Choice::Pair { video, audio } => Some((video.url, audio.url)),
        Choice::File(file) | Choice::Hls(file) | Choice::Dash(file) => Some((file.url, String::new())),
    }
}

#[test]
fn the_page_itself() {
    let page = all();
    assert_eq!((page.title.as_str(), page.media.len()), ("A talk", 7 + 6 + 8 * 4 + 1));
    assert_eq!(page.embed_url.as_deref(), Some("https://www.youtube.com/embed/dQw4w9WgXcQ"));
    assert_eq!(page.thumbnail.as_deref(), Some("https://i.ytimg.com/vi/dQw4w9WgXcQ/maxresdefault.jpg"));
    assert_eq!(page.largest_picture().map(|size| size.height), Some(2160));
    assert_eq!(page.captions.len(), 2 + 1 + 4);
}

#[test]
fn what_can_be_copied_is_taken_where_the_picture_is_the_same() {
    assert_eq!(chosen(&all(), EXACT), pair("299", "140"));
    let quality = |quality| Wanted { picture: Some(quality), sound: true };
    assert_eq!(chosen(&all(), quality(Quality::P720)), pair("298", "140"));
    // Beyond 1080 there is no H.264; a larger picture that was asked for is not given up for it.
    assert_eq!(chosen(&all(), quality(Quality::K4)), pair("vp9-2160", "140"));
}

#[test]
fn only_what_is_needed_is_fetched() {
    assert_eq!(chosen(&all(), Wanted { picture: None, sound: true }), Some((at("140"), String::new())));
    let silent = Wanted { picture: Some(Quality::P720), sound: false };
    assert_eq!(chosen(&all(), silent), Some((at("298"), String::new())));
}

#[test]
fn what_remains_when_much_is_missing() {
    let only = |names: &[&str]| {
        let formats = [storyboards(), sounds(), pictures()].concat();
        answer(formats.into_iter().filter(|f| names.contains(&f["format_id"].as_str().unwrap())).collect())
    };
    assert_eq!(chosen(&only(&["18", "sb0"]), EXACT), Some((at("18"), String::new())));
    assert_eq!(chosen(&only(&["18", "140"]), EXACT), Some((at("18"), String::new())));
    assert_eq!(chosen(&only(&["18", "299"]), EXACT), pair("299", "18"), "the sound of another rendition");
    assert_eq!(chosen(&only(&["299"]), EXACT), Some((at("299"), String::new())), "a silent film");
    assert_eq!(
        chosen(&only(&["av1-2160", "hdr-1440", "140"]), EXACT),
        pair("hdr-1440", "140"),
        "the nearest above"
    );
    assert_eq!(chosen(&only(&["251", "vp9-720"]), EXACT), pair("vp9-720", "251"));
    let hls = only(&["hls-4", "hls-5", "18", "140"]);
    assert!(matches!(hls.choose(EXACT), Some(Choice::Hls(playlist)) if playlist.url.contains("/5/")));
    assert_eq!(chosen(&only(&["sb0"]), EXACT), None);
    assert_eq!(chosen(&only(&["140"]), EXACT), None);
    assert_eq!(
        chosen(&only(&["hls-2"]), Wanted { picture: None, sound: true }).map(|c| c.0.contains("/2/")),
        Some(true)
    );
}
