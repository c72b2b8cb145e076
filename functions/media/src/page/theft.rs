//! Cookies and headers of one site, and a page whose media lead to another one: who gets to hear them. All servers speak
//! https, because nobody else would get a cookie anyway; all are one machine under several names.

use std::{
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, OnceLock},
};

use aws_lc_rs::{
    cipher::{AES_128, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey},
    iv::FixedLength,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use sources::{Guard, Names};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::aws_lc_rs as provider, pki_types::PrivateKeyDer},
};

use super::*;
use crate::captions;

const LIMITS: Limits = Limits { silence: Duration::from_secs(10), bytes_max: 1 << 20 };
const WANTED: Wanted = Wanted { picture: Some(Quality::P1080), sound: true };
const COOKIES: &str = "SID=s3cret; Domain=.site.test; Path=/; Secure; Expires=4000000000; HOST=s3cret; Domain=site.test; Path=/";
const SEGMENT: &[u8] = b"the segment's bytes";
const KEY: &[u8; 16] = b"sixteen bytes...";

/// A certificate for every name of these tests, and what trusts it.
struct Tls {
    roots: String,
    acceptor: TlsAcceptor,
}

fn tls() -> &'static Tls {
    static TLS: OnceLock<Tls> = OnceLock::new();
    TLS.get_or_init(|| {
        let mut authority = CertificateParams::new([]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let roots = authority.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(authority, key);
        let key = KeyPair::generate().unwrap();
        let names = ["site.test", "cdn.site.test", "evil.test", "other.test"].map(str::to_owned);
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let server = ServerConfig::builder_with_provider(Arc::new(provider::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        Tls { roots, acceptor: TlsAcceptor::from(Arc::new(server)) }
    })
}

/// Every name is this machine.
#[derive(Debug)]
struct Here;

impl Names for Here {
    fn lookup(
        &self,
        _: String,
    ) -> std::pin::Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static>> {
        Box::pin(async { Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]) })
    }
}

fn client() -> SourceClient {
    let guard = Guard::allowing_private().with_names(Arc::new(Here));
    SourceClient::trusting(guard, LIMITS, tls().roots.as_bytes()).unwrap()
}

type Answers = Box<dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync>;

/// A server that keeps what it is asked.
struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    answers: Arc<OnceLock<Answers>>,
}

impl Server {
    async fn start(is_https: bool) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (port, asked) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Vec::new())));
        let answers: Arc<OnceLock<Answers>> = Arc::default();
        let (log, says) = (Arc::clone(&asked), Arc::clone(&answers));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (log, says) = (Arc::clone(&log), Arc::clone(&says));
                tokio::spawn(async move {
                    if is_https {
                        let Ok(stream) = tls().acceptor.accept(stream).await else { return };
                        answer(stream, &log, &says).await;
                    } else {
                        answer(stream, &log, &says).await;
                    }
                });
            }
        });
        Self { port, asked, answers }
    }

    /// What it says to a path, and nothing else; a `Location` is a redirect.
    fn says(&self, answers: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static) {
        assert!(self.answers.set(Box::new(answers)).is_ok());
    }

    /// What it was asked for since this was last called: the path, and whether it heard a secret.
    fn heard(&self) -> Vec<(String, bool)> {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        let heard = |head: &String| {
            let path = head.split(' ').nth(1).unwrap().to_owned();
            (path, head.contains("s3cret") || head.contains("t0ken") || head.contains("/watch"))
        };
        asked.iter().map(heard).collect()
    }
}

async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    log: &Mutex<Vec<String>>,
    says: &OnceLock<Answers>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let body = says.get().and_then(|says| says(head.split(' ').nth(1).unwrap()));
    log.lock().unwrap().push(head);
    let answer = match body {
        Some(to) if to.starts_with(b"Location: ") => {
            [b"HTTP/1.1 302 Found\r\n", &to[..], b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"]
                .concat()
        }
        Some(body) => {
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            [head.as_bytes(), &body].concat()
        }
        None => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
    };
    let _ = stream.write_all(&answer).await;
    let _ = stream.shutdown().await;
}

/// Whoever has cookies, and whoever wants them.
struct World {
    site: Server,
    /// The same host in clear, and on another port.
    clear: Server,
    port: Server,
    evil: Server,
}

impl World {
    async fn new() -> Self {
        let (site, clear) = (Server::start(true).await, Server::start(false).await);
        Self { site, clear, port: Server::start(true).await, evil: Server::start(true).await }
    }

    /// `{S}`, `{C}`: the site and another host of its domain; `{X}`: the site in clear; `{P}`: the site on another port;
    /// `{E}`: somebody else.
    fn at(&self, text: &str) -> String {
        let (site, clear, port, evil) = (self.site.port, self.clear.port, self.port.port, self.evil.port);
        text.replace("{S}", &format!("https://site.test:{site}"))
            .replace("{C}", &format!("https://cdn.site.test:{site}"))
            .replace("{X}", &format!("http://site.test:{clear}"))
            .replace("{P}", &format!("https://site.test:{port}"))
            .replace("{E}", &format!("https://evil.test:{evil}"))
    }

    /// A page of the site as yt-dlp tells it, whose cookies are those for `url`.
    fn page(&self, url: &str, manifest: &str, protocol: &str) -> Page {
        let text = json!({
            "title": "A page", "subtitles": { "en": [{ "ext": "vtt", "url": "{E}/c.vtt" }] },
            "url": "{S}/v", "http_headers": headers(), "cookies": COOKIES,
            "formats": [{
                "url": url, "manifest_url": manifest, "protocol": protocol, "vcodec": "avc1.42c00d", "acodec": "mp4a.40.2",
                "http_headers": headers(), "cookies": COOKIES,
            }],
        });
        Page::parse(&self.at(&text.to_string())).unwrap()
    }

    /// Everybody answers the same.
    fn say(&self, answers: &[(&str, &str)]) {
        let answers: Vec<_> =
            answers.iter().map(|(path, text)| ((*path).to_owned(), self.at(text))).collect();
        let answers = Arc::new(answers);
        for server in [&self.site, &self.clear, &self.port, &self.evil] {
            let answers = Arc::clone(&answers);
            server.says(move |path| match path {
                "/s.ts" => Some(SEGMENT.to_vec()),
                "/s.enc" => Some(encrypted()),
                "/key" => Some(KEY.to_vec()),
                "/init" => Some(b"init".to_vec()),
                _ => answers.iter().find(|(name, _)| name == path).map(|(_, text)| text.clone().into_bytes()),
            });
        }
    }

    /// Nobody but the site, by https on its own port, may have heard a secret.
    fn nobody_else_heard(&self, what: &str) {
        for (who, server) in [("evil", &self.evil), ("clear", &self.clear), ("port", &self.port)] {
            let heard = server.heard();
            assert!(heard.iter().all(|(_, secret)| !secret), "{what}: {who} heard it: {heard:?}");
        }
    }
}

fn headers() -> Value {
    json!({ "User-Agent": "Mozilla/5.0", "Referer": "{S}/watch", "Authorization": "Bearer t0ken" })
}

fn encrypted() -> Vec<u8> {
    let key = UnboundCipherKey::new(&AES_128, KEY).and_then(PaddedBlockEncryptingKey::cbc_pkcs7).unwrap();
    let mut bytes = SEGMENT.to_vec();
    key.less_safe_encrypt(&mut bytes, EncryptionContext::Iv128(FixedLength::from(&[0; 16]))).unwrap();
    bytes
}

/// Opens what the page names, and reads all of the first segment.
async fn read(page: &Page) -> Result<Vec<u8>, StageError> {
    match source((client(), LIMITS), page.choose(WANTED).unwrap(), WANTED).await? {
        Source::File(file) => {
            let mut bytes = Vec::new();
            file.copy_all(&mut bytes).await?;
            Ok(bytes)
        }
        Source::Pair { .. } => panic!("one rendition is not two files"),
        Source::Stream(stream) => {
            let segment = &stream.lanes[0].segments[0];
            if let Some(init) = &segment.init {
                stream.read_init(init).await?;
            }
            Ok(stream.read(&segment.piece).await?.to_vec())
        }
    }
}

fn media(lines: &str) -> String {
    format!("#EXTM3U\n#EXT-X-TARGETDURATION:9\n{lines}\n#EXT-X-ENDLIST\n")
}

fn master(variant: &str) -> String {
    format!("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000000,CODECS=\"avc1.42c00d,mp4a.40.2\"\n{variant}\n")
}

const IV: &str = "IV=0x00000000000000000000000000000000";

/// The way it should be: the site's own playlists, segments and keys are asked for with all of it.
#[tokio::test]
async fn a_site_hears_its_own_cookies() {
    let world = World::new().await;
    let key = format!("#EXT-X-KEY:METHOD=AES-128,URI=\"/key\",{IV}\n#EXTINF:9,\n/s.enc");
    world.say(&[("/m", &master("/v")), ("/v", &media(&key))]);
    let page = world.page("{S}/v", "{S}/m", "m3u8_native");
    assert_eq!(read(&page).await.unwrap(), SEGMENT);
    let heard = world.site.heard();
    let paths: Vec<_> = heard.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["/m", "/v", "/s.enc", "/key"]);
    assert!(heard.iter().all(|(_, secret)| *secret), "{heard:?}");
}

/// A cookie of the whole domain is for its other hosts as well, and that of one host and its headers are not.
#[tokio::test]
async fn other_hosts_of_a_domain_hear_what_is_for_the_domain() {
    let world = World::new().await;
    world.say(&[("/v", &media("#EXTINF:9,\n{C}/s.ts"))]);
    assert_eq!(read(&world.page("{S}/v", "{S}/v", "m3u8_native")).await.unwrap(), SEGMENT);
    let asked = world.site.asked.lock().unwrap().clone();
    let cdn = asked.iter().find(|head| head.starts_with("GET /s.ts")).unwrap().to_ascii_lowercase();
    assert!(cdn.contains("cookie: sid=s3cret\r\n") && !cdn.contains("authorization"), "{cdn}");
    assert!(!cdn.contains("referer") && cdn.contains("user-agent: mozilla/5.0"), "{cdn}");
}

/// Every way by which a page's media lead to another server, or to the site itself in clear or on another port.
#[tokio::test]
async fn no_other_server_hears_a_cookie() {
    for elsewhere in ["{E}", "{X}", "{P}"] {
        let there = |path: &str| format!("{elsewhere}{path}");
        let segment = media(&format!("#EXTINF:9,\n{}", there("/s.ts")));
        let key = format!("#EXT-X-KEY:METHOD=AES-128,URI=\"{}\",{IV}\n#EXTINF:9,\n/s.enc", there("/key"));
        let init = format!("#EXT-X-MAP:URI=\"{}\"\n#EXTINF:9,\n/s.ts", there("/init"));
        let plain = media("#EXTINF:9,\n/s.ts");
        let dash = format!(
            "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='static' \
             mediaPresentationDuration='PT8S'><Period><AdaptationSet mimeType='video/mp4'><Representation id='v' \
             bandwidth='500000' width='320' height='180' codecs='avc1.42c00d'><BaseURL>{}</BaseURL></Representation>\
             </AdaptationSet></Period></MPD>",
            there("/s.ts")
        );
        let moved = format!("Location: {}", there("/s.ts"));
        for (what, url, manifest, protocol, answers) in [
            ("manifest", "{S}/v", there("/m"), "m3u8_native", vec![("/m", plain.clone())]),
            (
                "variant",
                "{S}/v",
                "{S}/m".to_owned(),
                "m3u8",
                vec![("/m", master(&there("/v"))), ("/v", plain.clone())],
            ),
            ("segment", "{S}/v", "{S}/v".to_owned(), "m3u8", vec![("/v", segment)]),
            ("key", "{S}/v", "{S}/v".to_owned(), "m3u8", vec![("/v", media(&key))]),
            ("init", "{S}/v", "{S}/v".to_owned(), "m3u8", vec![("/v", media(&init))]),
            ("DASH", "{S}/v", "{S}/v".to_owned(), "http_dash_segments", vec![("/v", dash)]),
            ("redirect", "{S}/v", String::new(), "https", vec![("/v", moved.clone())]),
            (
                "segment's redirect",
                "{S}/v",
                "{S}/v".to_owned(),
                "m3u8",
                vec![("/v", media("#EXTINF:9,\n/r.ts")), ("/r.ts", moved)],
            ),
        ] {
            let what = format!("{what} at {elsewhere}");
            let world = World::new().await;
            let answers: Vec<_> = answers.iter().map(|(path, text)| (*path, text.as_str())).collect();
            world.say(&answers);
            let read = read(&world.page(url, &manifest, protocol)).await;
            assert_eq!(read.as_deref().map_err(ToString::to_string), Ok(SEGMENT), "{what}");
            world.nobody_else_heard(&what);
        }
    }
}

/// Somebody else's text that names addresses of the site: what stands there is not asked for with the site's cookies, or
/// everybody could read what only their owner may.
#[tokio::test]
async fn strangers_do_not_spend_a_sites_cookies() {
    let back = media("#EXTINF:9,\n{S}/s.ts");
    for (what, manifest, answers) in [
        ("manifest", "{E}/m", vec![("/m", back.clone())]),
        ("variant", "{S}/m", vec![("/m", master("{E}/v")), ("/v", back.clone())]),
        ("redirected manifest", "{S}/r", vec![("/r", "Location: {E}/m".to_owned()), ("/m", back.clone())]),
        (
            "redirected segment",
            "{S}/m",
            vec![("/m", media("#EXTINF:9,\n{E}/r.ts")), ("/r.ts", "Location: {S}/s.ts".to_owned())],
        ),
        (
            "there and back",
            "{S}/m",
            vec![
                ("/m", media("#EXTINF:9,\n/out.ts")),
                ("/out.ts", "Location: {E}/back.ts".to_owned()),
                ("/back.ts", "Location: {S}/s.ts".to_owned()),
            ],
        ),
    ] {
        let world = World::new().await;
        let answers: Vec<_> = answers.iter().map(|(path, text)| (*path, text.as_str())).collect();
        world.say(&answers);
        let bytes = read(&world.page("{S}/v", manifest, "m3u8_native")).await;
        assert_eq!(bytes.as_deref().map_err(ToString::to_string), Ok(SEGMENT), "{what}");
        let heard = world.site.heard();
        let segment: Vec<_> = heard.iter().filter(|(path, _)| path == "/s.ts").collect();
        assert!(!segment.is_empty() && segment.iter().all(|(_, secret)| !secret), "{what}: {heard:?}");
        world.nobody_else_heard(what);
    }
}

/// Captions have no headers but their own.
#[tokio::test]
async fn captions_elsewhere_hear_nothing_of_the_video() {
    let cues = "WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n";
    for (format, url, protocol) in [("vtt", "{E}/c.vtt", "https"), ("vtt", "{E}/c.m3u8", "m3u8_native")] {
        let world = World::new().await;
        world.say(&[("/c.vtt", cues), ("/c.m3u8", &media("#EXTINF:9,\n/c.vtt"))]);
        let mut page = world.page("{S}/v", "{S}/m", "m3u8_native");
        let told = json!({
            "title": "A page", "url": "{S}/v", "http_headers": headers(), "cookies": COOKIES,
            "subtitles": { "en": [{ "ext": format, "url": url, "protocol": protocol }] },
        });
        page.captions = Page::parse(&world.at(&told.to_string())).unwrap().captions;
        let found = captions::of_page(&client(), page, None).await.unwrap().unwrap();
        assert_eq!(found.segments.len(), 1);
        assert!(!world.evil.asked.lock().unwrap().is_empty());
        world.nobody_else_heard(url);
    }
    // Those that were given for them they get, and their segments, too.
    let world = World::new().await;
    world.say(&[("/c.vtt", cues), ("/c.m3u8", &media("#EXTINF:9,\n/c.vtt"))]);
    let told = json!({ "title": "A page", "url": "{S}/v", "subtitles": { "en": [
        { "ext": "vtt", "url": "{S}/c.m3u8", "protocol": "m3u8_native", "http_headers": headers(), "cookies": COOKIES },
    ] } });
    let page = Page::parse(&world.at(&told.to_string())).unwrap();
    assert!(captions::of_page(&client(), page, None).await.unwrap().is_some());
    let heard = world.site.heard();
    assert!(heard.len() == 2 && heard.iter().all(|(_, secret)| *secret), "{heard:?}");
}
