//! Streams in segments, HLS and DASH: cut frame by frame, from few segments.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use devstack::fileserver::{Behaviour, FileServer};
use domain::money::Amount;
use serde_json::{Value, json};

use crate::stack::cloud;
use crate::stack::cloud::http;
use crate::stack::exact::{check_from, times};
use crate::stack::pages::{Site, typed};
use crate::stack::source::{distance, ffprobe, frames, lavfi, made, served};

/// How much a look at the beginning of a segment costs at most.
const LOOK: u64 = 64 << 10;

/// 12 s with sound; a key frame every 2 s, and pictures that are decoded in another order than shown.
fn base() -> PathBuf {
    let video = "-c:v libx264 -preset ultrafast -bf 2 -g 60 -sc_threshold 0 -pix_fmt yuv420p -c:a aac";
    made("streams/base.mp4", &format!("{} {video}", lavfi("320x180", "30", 12)))
}

/// A stream of [`base`] in segments of 2 s: the path of its playlist, made by FFmpeg's words.
fn hls(name: &str, options: &str) -> PathBuf {
    let words =
        format!("-i {} -c copy -f hls -hls_time 2 -hls_playlist_type vod {options}", base().display());
    made(name, &words)
}

fn transport() -> PathBuf {
    hls("hls-ts/index.m3u8", "")
}

/// A master playlist for a stream of [`base`], which tells all that a look wants to know.
fn master(media: &Path) -> PathBuf {
    let name = media.file_name().unwrap().to_str().unwrap();
    let told = "BANDWIDTH=900000,RESOLUTION=320x180,CODECS=\"avc1.4d400d,mp4a.40.2\"";
    beside(media, "master.m3u8", &format!("#EXTM3U\n#EXT-X-STREAM-INF:{told}\n{name}\n"))
}

/// A file beside another one.
fn beside(path: &Path, name: &str, text: &str) -> PathBuf {
    let path = path.with_file_name(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// Cuts, compares with `reference`, and gives the answer and what was asked for of each file.
async fn cut(
    name: &str,
    playlist: &Path,
    reference: &Path,
    (start, end): (f64, f64),
) -> (Value, BTreeMap<String, u64>) {
    let server = served(playlist).await;
    let answer = check_from(&server, name, reference, start, end).await;
    (answer, server.take_files())
}

/// The numbers of the segments `prefix`N that more than a look was asked for.
fn taken(files: &BTreeMap<String, u64>, prefix: &str) -> Vec<u32> {
    let numbered = |(name, bytes): (&String, &u64)| {
        let digits: String = name.strip_prefix(prefix)?.chars().take_while(char::is_ascii_digit).collect();
        (*bytes > LOOK).then(|| digits.parse().ok()).flatten()
    };
    files.iter().filter_map(numbered).collect()
}

/// Those segments and no more than one each side.
fn is_around(taken: &[u32], needed: std::ops::RangeInclusive<u32>, name: &str) {
    let (first, last) = (needed.start().saturating_sub(1), needed.end() + 1);
    assert!(taken.iter().all(|n| (first..=last).contains(n)), "{name}: {taken:?} for {needed:?}");
    assert!(needed.clone().all(|n| taken.contains(&n)), "{name}: {taken:?} for {needed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hls_in_transport_streams() {
    let media = transport();
    let master = master(&media);
    let (answer, files) = cut("hls ts", &master, &media, (5.1, 7.9)).await;
    assert_eq!(answer["method"], "smart");
    is_around(&taken(&files, "index"), 2..=3, "hls ts");
    let size = |n: u32| std::fs::metadata(media.with_file_name(format!("index{n}.ts"))).unwrap().len();
    let most = (1..=4).map(size).sum::<u64>() + LOOK + (8 << 10);
    let read = answer["source_bytes_read"].as_u64().unwrap();
    assert!(read <= most, "{read} bytes read, {most} are the needed segments and one each side");
    let asked: u64 = files.values().sum();
    assert!(
        read <= asked && asked <= read + (8 << 10),
        "{asked} served, {read} reported: the look reads playlists"
    );
    // From border to border of a segment, whoever counts: the look at the first one included.
    for span in [(4.0, 6.0), (4.0, 8.0), (4.02, 5.98)] {
        let (_, files) = cut("hls ts", &master, &base(), span).await;
        let asked = files.keys().filter(|name| name.ends_with(".ts")).count();
        let needed = if span.1 > 6.0 { 2 } else { 1 };
        assert!(asked <= needed + 2, "{span:?}: {files:?}");
    }
    // The times of the file that it was made of, although its sound begins 21 ms before the picture.
    for span in [(0.0, 1.55), (3.95, 4.31), (10.22, 12.0)] {
        cut("hls ts", &media, &base(), span).await;
    }
    // From the key frame at 4 s to the next place where the picture can be cut; the sound begins a packet before it.
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&master).await;
    let ask = json!({ "url": server.url(), "start": 5.1, "end": 7.9, "precision": "keyframe" });
    let (answer, _) = account.clip(&ask).await;
    assert_eq!(answer["method"], "copy", "{answer}");
    let at = |field: &str| answer[field].as_f64().unwrap();
    assert!((4.0..4.1).contains(&at("start_actual")) && (7.9..8.1).contains(&at("end_actual")), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hls_in_fragments_with_the_sound_apart_and_byte_ranges() {
    let options = "-hls_segment_type fmp4 -hls_flags single_file";
    let video = hls("hls-apart/video.m3u8", &format!("-an {options}"));
    hls("hls-apart/sound.m3u8", &format!("-vn {options}"));
    let text = "#EXTM3U\n\
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"s\",NAME=\"s\",DEFAULT=YES,AUTOSELECT=YES,URI=\"sound.m3u8\"\n\
        #EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=320x180,CODECS=\"avc1.4d400d,mp4a.40.2\",AUDIO=\"s\"\n\
        video.m3u8\n";
    let master = beside(&video, "master.m3u8", text);
    assert!(std::fs::read_to_string(&video).unwrap().contains("EXT-X-BYTERANGE"));
    let whole = std::fs::metadata(video.with_file_name("video.m4s")).unwrap().len();
    for span in [(5.12, 7.91), (0.0, 1.55), (10.22, 11.91)] {
        let (answer, files) = cut("hls apart", &master, &base(), span).await;
        // In the last one no group of pictures begins.
        assert_eq!(answer["method"], if span.0 > 10.0 { "encode" } else { "smart" }, "{span:?}");
        let read = answer["source_bytes_read"].as_u64().unwrap();
        assert!(read < whole * 3 / 4, "{read} of {whole} bytes for {span:?}: {files:?}");
    }
    // Without ranges each file is read once, from its front. With what is needed comes what the connection has by then,
    // hundreds of kilobytes on a used one, which here may be all the rest.
    let server = FileServer::start(&master, Behaviour::NoRanges).await.unwrap();
    let answer = check_from(&server, "hls apart, no ranges", &base(), 5.12, 7.91).await;
    let files = ["master.m3u8", "video.m3u8", "sound.m3u8", "video.m4s", "sound.m4s"];
    let all: u64 =
        files.map(|name| std::fs::metadata(video.with_file_name(name)).unwrap().len()).iter().sum();
    let read = answer["source_bytes_read"].as_u64().unwrap();
    assert!(read <= all, "{read} of {all} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn hls_in_fragments_of_their_own_files() {
    let media = hls("hls-fmp4/index.m3u8", "-hls_segment_type fmp4");
    let master = master(&media);
    let (answer, files) = cut("hls fmp4", &master, &media, (5.1, 7.9)).await;
    assert_eq!(answer["method"], "smart");
    is_around(&taken(&files, "index"), 2..=3, "hls fmp4");
    cut("hls fmp4, no master", &media, &base(), (0.22, 1.32)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hls_that_is_encrypted() {
    let reference = transport();
    let folder = base().parent().unwrap().parent().unwrap().join("hls-aes");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("secret.bin"), b"sixteen bytes ok").unwrap();
    for (name, iv) in [("numbered", ""), ("explicit", "00112233445566778899aabbccddeeff\n")] {
        let info = folder.join(format!("{name}.info"));
        std::fs::write(&info, format!("secret.bin\n{}\n{iv}", folder.join("secret.bin").display())).unwrap();
        let media = hls(&format!("hls-aes/{name}.m3u8"), &format!("-hls_key_info_file {}", info.display()));
        assert!(std::fs::read_to_string(&media).unwrap().contains("AES-128"));
        let (answer, files) = cut(name, &media, &reference, (5.1, 7.9)).await;
        assert_eq!(answer["method"], "smart");
        assert!(files.contains_key("secret.bin"), "{files:?}");
    }
}

/// The clock of a transport stream has 33 bits and begins anew after 26.5 hours.
#[tokio::test(flavor = "multi_thread")]
async fn hls_whose_clock_begins_anew() {
    let media = hls("hls-wrap/index.m3u8", "-output_ts_offset 95438.5");
    for span in [(2.1, 4.3), (5.1, 7.9), (8.3, 10.1)] {
        cut("hls wrap", &master(&media), &transport(), span).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_without_ranges_serve_segments_too() {
    let master = master(&transport());
    let server = FileServer::start(&master, Behaviour::NoRanges).await.unwrap();
    check_from(&server, "no ranges", &transport(), 5.1, 7.9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_variant_is_chosen_by_quality() {
    let x264 = "-c:v libx264 -preset ultrafast -g 10 -sc_threshold 0 -pix_fmt yuv420p -c:a aac -f hls -hls_time 1 -hls_playlist_type vod";
    let small = made("hls-sizes/small.m3u8", &format!("{} {x264}", lavfi("1280x720", "10", 4)));
    made("hls-sizes/large.m3u8", &format!("{} {x264}", lavfi("1920x1080", "10", 4)));
    let text = "#EXTM3U\n\
        #EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=1920x1080,CODECS=\"avc1.640028,mp4a.40.2\"\nlarge.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=500000,RESOLUTION=1280x720,CODECS=\"avc1.64001f,mp4a.40.2\"\nsmall.m3u8\n";
    let master = beside(&small, "master.m3u8", text);
    let account = cloud().account(Amount::cents(100)).await;
    for (quality, mine, other) in [("720p", "small", "large"), ("1080p", "large", "small")] {
        let server = served(&master).await;
        let info = account.post("/v1/clip/info", &json!({ "url": server.url() })).await;
        assert_eq!((info.0, &info.1["max_height"], &info.1["title"]), (200, &json!(1080), &json!("master")));
        let _ = server.take_files();
        let ask = json!({ "url": server.url(), "start": 1.2, "end": 2.4, "quality": quality });
        let (answer, _) = account.clip(&ask).await;
        assert_eq!((&answer["quality"], &answer["method"]), (&json!(quality), &json!("smart")));
        let files = server.take_files();
        let of =
            |name: &str| files.keys().filter(|file| file.starts_with(name) && file.ends_with(".ts")).count();
        assert!(of(mine) > 0 && of(other) == 0, "{quality}: {files:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dash_in_segments() {
    let words = "-c copy -map 0:v -map 0:a -f dash -seg_duration 2 -use_template 1";
    let base = base();
    for (name, more) in [("timeline", "-use_timeline 1"), ("even", "-use_timeline 0")] {
        let path = made(&format!("dash-{name}/m.mpd"), &format!("-i {} {words} {more}", base.display()));
        let (answer, files) = cut(name, &path, &base, (5.1, 7.9)).await;
        assert_eq!(answer["method"], "smart");
        is_around(&taken(&files, "chunk-stream0-"), 3..=4, name);
        cut(name, &path, &base, (0.0, 1.4)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dash_in_two_files() {
    let flags = "-c copy -movflags +frag_keyframe+dash+global_sidx+delay_moov";
    let base = base();
    let video = made("dash-files/v.mp4", &format!("-i {} -an {flags}", base.display()));
    made("dash-files/a.mp4", &format!("-i {} -vn {flags}", base.display()));
    let set = |kind: &str, codecs: &str, file: &str, more: &str| {
        format!(
            "<AdaptationSet contentType=\"{kind}\"><Representation id=\"{kind}\" bandwidth=\"1\" codecs=\"{codecs}\" {more}>\
             <BaseURL>{file}</BaseURL><SegmentBase indexRange=\"800-900\"/></Representation></AdaptationSet>"
        )
    };
    let text = format!(
        "<?xml version=\"1.0\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" \
         mediaPresentationDuration=\"PT12S\"><Period>{}{}</Period></MPD>",
        set("video", "avc1.4d400d", "v.mp4", "width=\"320\" height=\"180\""),
        set("audio", "mp4a.40.2", "a.mp4", ""),
    );
    let manifest = beside(&video, "m.mpd", &text);
    for span in [(0.0, 1.4), (4.0, 6.0), (5.1, 7.9)] {
        let (answer, _) = cut("dash files", &manifest, &base, span).await;
        assert_ne!(answer["method"], "encode", "{span:?}");
    }
    let (answer, _) = cut("dash files", &manifest, &base, (5.1, 7.9)).await;
    let whole = std::fs::metadata(&video).unwrap().len();
    let read = answer["source_bytes_read"].as_u64().unwrap();
    assert!(read < whole / 2, "{read} of {whole} bytes for 2.8 of 12 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_alone_and_whole_streams() {
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&master(&transport())).await;
    let (answer, _) =
        account.clip(&json!({ "url": server.url(), "start": 3, "end": 5.5, "format": "mp3" })).await;
    assert!((answer["duration"].as_f64().unwrap() - 2.5).abs() < 0.06, "{answer}");
    let apart = made(
        "dash-timeline/m.mpd",
        &format!(
            "-i {} -c copy -map 0:v -map 0:a -f dash -seg_duration 2 -use_template 1 -use_timeline 1",
            base().display()
        ),
    );
    for playlist in [transport(), hls("hls-fmp4/index.m3u8", "-hls_segment_type fmp4"), apart] {
        let server = served(&playlist).await;
        let (status, answer) = account.post("/v1/download", &json!({ "url": server.url() })).await;
        assert_eq!(status, 200, "{answer}");
        let job = domain::ids::JobId::parse(answer["job_id"].as_str().unwrap()).unwrap();
        let answer = account.finish(&job).await;
        assert_eq!((&answer["status"], &answer["method"]), (&json!("complete"), &json!("copy")), "{answer}");
        let bytes =
            http().get(answer["download_url"].as_str().unwrap()).send().await.unwrap().bytes().await.unwrap();
        let file = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        assert_eq!(frames(file.path()).len(), 360, "{}", playlist.display());
    }
}

/// Packets of AAC behind a tag that tells their time (RFC 8216, section 3.4).
#[tokio::test(flavor = "multi_thread")]
async fn hls_of_packed_sound() {
    let path = made("hls-packed/all.aac", &format!("-i {} -vn -c copy -f adts", base().display()));
    let mut rest = &std::fs::read(&path).unwrap()[..];
    let mut text = "#EXTM3U\n#EXT-X-TARGETDURATION:3\n".to_owned();
    for n in 0.. {
        // 94 packets of 1024 samples last 2.005 s, from the tenth second of the clock on.
        let mut part = b"ID3\x04\0\0\0\0\0\x3fPRIV\0\0\0\x35\0\0".to_vec();
        part.extend(b"com.apple.streaming.transportStreamTimestamp\0");
        part.extend((900_000_u64 + n * 94 * 1920).to_be_bytes());
        let mut packets = 0;
        while packets < 94 && rest.len() > 7 {
            let len = usize::from(rest[3] & 3) << 11 | usize::from(rest[4]) << 3 | usize::from(rest[5]) >> 5;
            part.extend(&rest[..len]);
            rest = &rest[len..];
            packets += 1;
        }
        if packets == 0 {
            break;
        }
        std::fs::write(path.with_file_name(format!("part{n}.aac")), part).unwrap();
        text += &format!("#EXTINF:{:.6},\npart{n}.aac\n", f64::from(packets) * 1024.0 / 48_000.0);
    }
    let playlist = beside(&path, "sound.m3u8", &(text + "#EXT-X-ENDLIST\n"));
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&playlist).await;
    for (format, codec) in [("m4a", "aac"), ("flac", "flac")] {
        let ask = json!({ "url": server.url(), "start": 3.1, "end": 6.4, "format": format });
        let (answer, bytes) = account.clip(&ask).await;
        assert!((answer["duration"].as_f64().unwrap() - 3.3).abs() < 0.02, "{answer}");
        let clip = tempfile::Builder::new().suffix(&format!(".{format}")).tempfile().unwrap();
        std::fs::write(clip.path(), bytes).unwrap();
        assert_eq!(ffprobe(clip.path(), "a", "stream=codec_name"), [codec]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_cut_is_refused_before_it_costs_anything() {
    let account = cloud().account(Amount::cents(100)).await;
    let folder = tempfile::tempdir().unwrap();
    let manifest = |body: &str| format!("<?xml version=\"1.0\"?><MPD {body}</MPD>");
    let segment = "#EXTINF:2,\nhttp://127.0.0.1:1/a.ts\n";
    let cases = [
        ("live.m3u8", format!("#EXTM3U\n{segment}"), "live"),
        ("drm.m3u8", format!("#EXTM3U\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://a\"\n{segment}#EXT-X-ENDLIST\n"), "DRM"),
        ("file.m3u8", "#EXTM3U\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n".to_owned(), "not allowed"),
        ("key.m3u8", "#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"file:///etc/passwd\"\n#EXTINF:9,\nlive.m3u8\n#EXT-X-ENDLIST\n".to_owned(), "not allowed"),
        ("concat.m3u8", "#EXTM3U\n#EXTINF:9,\nconcat:a|b\n#EXT-X-ENDLIST\n".to_owned(), "not allowed"),
        ("text.m3u8", "#EXTM3U\n#EXTINF:9,\nlive.m3u8\n#EXT-X-ENDLIST\n".to_owned(), ""),
        ("loop.m3u8", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nloop.m3u8\n".to_owned(), "each other"),
        ("live.mpd", manifest("type=\"dynamic\">"), "live"),
        ("drm.mpd", manifest("><Period><AdaptationSet mimeType=\"video/mp4\"><ContentProtection/><Representation/></AdaptationSet></Period>"), "DRM"),
        ("two.mpd", manifest("><Period/><Period/>"), "periods"),
    ];
    for (name, text, told) in cases {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let server = served(&path).await;
        let body = json!({ "url": server.url(), "start": 1, "end": 2 });
        let (status, answer) = account.post("/v1/clip", &body).await;
        assert_eq!(status, 422, "{name}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(told), "{name}: {answer}");
    }
    assert_eq!(account.balance().await, 1.0);
}

/// Where a stream goes over into another piece of media, a clip cannot go along; on either side it can.
#[tokio::test(flavor = "multi_thread")]
async fn pieces_of_media_are_cut_on_one_side() {
    let media = transport();
    let other = made(
        "hls-ts/other.ts",
        &format!(
            "{} -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 30 -c:a aac -output_ts_offset 700",
            lavfi("320x180", "30", 3)
        ),
    );
    let text = "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:2,\nindex0.ts\n#EXTINF:2,\nindex1.ts\n#EXT-X-DISCONTINUITY\n#EXTINF:3,\nother.ts\n#EXT-X-ENDLIST\n";
    let joined = beside(&media, "joined.m3u8", text);
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&joined).await;
    let job = account.ask(&json!({ "url": server.url(), "start": 3, "end": 5 })).await;
    let answer = account.finish(&job).await;
    assert_eq!(answer["status"], "failed");
    assert!(answer["error"].as_str().unwrap().contains("one side"), "{answer}");
    assert_eq!(account.balance().await, 1.0);
    let (_, bytes) = account.clip(&json!({ "url": server.url(), "start": 5, "end": 6.5 })).await;
    let clip = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
    std::fs::write(clip.path(), bytes).unwrap();
    let (all, cut) = (frames(&other), frames(clip.path()));
    let wanted = times(&other).into_iter().filter(|at| (1.0..2.5).contains(at)).count();
    assert_eq!(cut.len(), wanted);
    let first = times(&other).iter().position(|at| *at >= 1.0).unwrap();
    assert!(distance(&cut[0], &all[first]) < 4.0);
}

/// A playlist that ends earlier when the job comes than when it was accepted, and one whose segments are gone by then:
/// words that tell it, and no charge.
#[tokio::test(flavor = "multi_thread")]
async fn streams_that_change_before_the_job_comes() {
    let media = served(&transport()).await;
    let files = media.url().rsplit_once('/').unwrap().0.to_owned();
    let text = move |segments: u32, name: &str| {
        let line = |n| format!("#EXTINF:2.0,\n{files}/{name}{n}.ts\n");
        let lines: String = (0..segments).map(line).collect();
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n{lines}#EXT-X-ENDLIST\n").into_bytes()
    };
    // The look before the acceptance asks twice: what it is, then what it says.
    let asked = std::sync::Arc::new(std::sync::Mutex::new(BTreeMap::<String, u32>::new()));
    let site = Site::start(move |path, _| {
        let mut asked = asked.lock().unwrap();
        let count = asked.entry(path.to_owned()).or_default();
        *count += 1;
        let (segments, name) = match (path, *count) {
            (_, 1 | 2) => (6, "index"),
            ("/shorter.m3u8", _) => (2, "index"),
            _ => (6, "gone"),
        };
        typed("application/vnd.apple.mpegurl", text(segments, name))
    })
    .await;
    let account = cloud().account(Amount::cents(100)).await;
    for (path, told) in [("/shorter.m3u8", "ends at"), ("/gone.m3u8", "part of the stream from")] {
        let job = account.ask(&json!({ "url": site.url(path), "start": 5.1, "end": 7.9 })).await;
        let answer = account.finish(&job).await;
        assert_eq!(
            (&answer["status"], &answer["error_code"]),
            (&json!("failed"), &json!("source_unavailable"))
        );
        assert!(answer["error"].as_str().unwrap().contains(told), "{answer}");
    }
    assert_eq!(account.audit().await, (Amount::cents(100), Amount::ZERO));
}
