//! Files that want FFmpeg to open something else: another file, or the network. None gets it.

use std::{
    io::ErrorKind,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use super::{Args, Tools};

/// Somebody listens on a port of loopback. Connections wait to be counted.
struct Forbidden(TcpListener);

impl Forbidden {
    fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// How many came since this was last asked.
    fn came(&self) -> usize {
        let mut came = 0;
        loop {
            match self.0.accept() {
                Ok(_) => came += 1,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return came,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn tools() -> Tools {
    Tools { time_limit: Duration::from_secs(20), ..Tools::default() }
}

/// What names other files, by the name of the file that does. `{P}` is the listener's port, `{S}` a video on this
/// machine that is nobody's business.
const REFERENCES: &[(&str, &str)] = &[
    (
        "http.m3u8",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:{P}/a.ts\n#EXT-X-ENDLIST\n",
    ),
    ("file.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{S}\n#EXT-X-ENDLIST\n"),
    ("path.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{S}\n#EXT-X-ENDLIST\n"),
    ("beside.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.mp4\n#EXT-X-ENDLIST\n"),
    ("disguised.mp4", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.mp4\n#EXT-X-ENDLIST\n"),
    ("disguised.ts", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:{P}/\n#EXT-X-ENDLIST\n"),
    (
        "map.m3u8",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-MAP:URI=\"{S}\"\n#EXTINF:9,\nsecret.mp4\n#EXT-X-ENDLIST\n",
    ),
    (
        "key.m3u8",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-KEY:METHOD=AES-128,URI=\"http://127.0.0.1:{P}/key\"\n#EXTINF:9,\n\
         data:video/mp2t;base64,AAAA\n#EXT-X-ENDLIST\n",
    ),
    (
        "master.m3u8",
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhttp://127.0.0.1:{P}/media.m3u8\n\
         #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"a\",URI=\"http://127.0.0.1:{P}/a.m3u8\"\n",
    ),
    ("concat.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nconcat:{S}|{S}\n#EXT-X-ENDLIST\n"),
    (
        "concat-http.m3u8",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nconcat:http://127.0.0.1:{P}/a|file://{S}\n#EXT-X-ENDLIST\n",
    ),
    (
        "subfile.m3u8",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsubfile,,start,0,end,0,,:{S}\n#EXT-X-ENDLIST\n",
    ),
    ("crypto.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\ncrypto+file://{S}\n#EXT-X-ENDLIST\n"),
    (
        "data.m3u8",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\ndata:video/mp4;base64,{B}\n#EXT-X-ENDLIST\n",
    ),
    ("tcp.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\ntcp://127.0.0.1:{P}\n#EXT-X-ENDLIST\n"),
    (
        "async.m3u8",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nasync:cache:http://127.0.0.1:{P}/\n#EXT-X-ENDLIST\n",
    ),
    ("script.ffconcat", "ffconcat version 1.0\nfile 'http://127.0.0.1:{P}/a.mp4'\n"),
    ("beside.ffconcat", "ffconcat version 1.0\nfile secret.mp4\n"),
    ("script.mp4", "ffconcat version 1.0\nfile 'file:{S}'\n"),
    (
        "manifest.mpd",
        "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" \
         mediaPresentationDuration=\"PT9S\" profiles=\"urn:mpeg:dash:profile:isoff-main:2011\"><Period>\
         <AdaptationSet mimeType=\"video/mp4\"><Representation id=\"1\" bandwidth=\"1\">\
         <BaseURL>http://127.0.0.1:{P}/a.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>",
    ),
    (
        "session.sdp",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {P} TCP/RTP/AVP 96\n\
         a=rtpmap:96 H264/90000\n",
    ),
    ("redirect.asx", "<asx version=\"3.0\"><entry><ref href=\"http://127.0.0.1:{P}/\"/></entry></asx>"),
    ("redirect.asf", "[Reference]\nRef1=http://127.0.0.1:{P}/\n"),
    ("redirect.ram", "http://127.0.0.1:{P}/a.rm\n"),
    ("redirect.rtsp", "rtsptext rtsp://127.0.0.1:{P}/\n"),
    ("graph.lavfi", "movie={S}\n"),
];

/// The movie box of a QuickTime file that has its media elsewhere.
fn reference_movie(port: u16) -> Vec<u8> {
    fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).unwrap().to_be_bytes();
        [size.as_slice(), kind, body].concat()
    }
    let url = format!("http://127.0.0.1:{port}/a.mov\0");
    let length = u32::try_from(url.len()).unwrap().to_be_bytes();
    let reference = boxed(b"rdrf", &[&[0; 4], b"url ".as_slice(), &length, url.as_bytes()].concat());
    let movie = boxed(b"moov", &boxed(b"rmra", &boxed(b"rmda", &reference)));
    [boxed(b"ftyp", b"qt  \0\0\0\0qt  "), movie].concat()
}

fn secret(folder: &Path) -> PathBuf {
    let path = folder.join("secret.mp4");
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=s=64x36:d=1", "-c:v", "libx264"])
        .arg(&path)
        .status();
    assert!(status.unwrap().success());
    path
}

#[tokio::test]
async fn no_file_opens_another_or_the_network() {
    let (folder, forbidden) = (tempfile::tempdir().unwrap(), Forbidden::listen());
    let secret = secret(folder.path());
    let mut files = vec![("reference.mov", reference_movie(forbidden.port()))];
    for (name, text) in REFERENCES {
        let text = text.replace("{P}", &forbidden.port().to_string());
        let text = text.replace("{S}", secret.to_str().unwrap()).replace("{B}", "AAAAIGZ0eXBpc29t");
        files.push((name, text.into_bytes()));
    }
    for (name, bytes) in files {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        assert!(tools().probe(&path).await.is_err(), "ffprobe read something through {name}");
        let args = Args::default().input(&path).words("-map 0 -c copy -f null -");
        let finished = tools().ffmpeg(args, &mut |_| {}).await.unwrap();
        assert!(!finished.success, "ffmpeg read something through {name}");
        assert_eq!(forbidden.came(), 0, "{name} led to the network");
    }
    // The video itself is one that can be read.
    assert!(tools().probe(&secret).await.is_ok());
}

/// Names that FFmpeg would take for something else than a file.
#[tokio::test]
async fn a_files_name_is_a_name() {
    let (folder, forbidden) = (tempfile::tempdir().unwrap(), Forbidden::listen());
    let secret = std::fs::read(secret(folder.path())).unwrap();
    for name in ["concat:a|b", "data:,x", "-i", "pipe:0", "%03d.mp4", "a:b?c#d.mp4", "subfile,,start,0,,:x"] {
        let path = folder.path().join(name);
        std::fs::write(&path, &secret).unwrap();
        assert!(tools().probe(&path).await.is_ok(), "{name}");
        let bare = Args::default().words("-show_format").input(Path::new(name));
        let finished = tools().ffprobe(bare, 9999, &mut |_| {}).await.unwrap();
        assert!(!finished.success, "{name} is no file here");
    }
    let url = format!("http://127.0.0.1:{}/", forbidden.port());
    assert!(tools().probe(Path::new(&url)).await.is_err());
    assert_eq!(forbidden.came(), 0);
}

/// The control: the same playlist, opened as FFmpeg does by itself, does lead to the network.
#[test]
fn without_our_options_it_would() {
    let (folder, forbidden) = (tempfile::tempdir().unwrap(), Forbidden::listen());
    let playlist = folder.path().join("list.m3u8");
    let text = REFERENCES[0].1.replace("{P}", &forbidden.port().to_string());
    std::fs::write(&playlist, text).unwrap();
    let status = Command::new("ffprobe")
        .args(["-v", "quiet", "-rw_timeout", "200000", "-protocol_whitelist", "file,http,tcp", "-i"])
        .arg(&playlist)
        .stdin(Stdio::null())
        .status();
    status.unwrap();
    assert!(forbidden.came() > 0);
}
