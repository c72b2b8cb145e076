//! yt-dlp as a process: the one that knows what lies behind a web page.
//!
//! It gets a home of its own in scratch, no configuration but ours, and one way out: the guard's proxy. It only tells
//! where media is; fetching that is our own client's work. Cookies and tokens of the operator's reach it in files that
//! only this user can read, never in arguments.
//!
//! Known sites go to it at once, any other URL if a web page comes. A site that does not let servers in is a 422 with
//! the code `source_blocked`.

use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use media::process::{self, Bounds, ProcessError};
use runtime::{App, StageError, time_limits};
use sources::{
    Guard, Proxy, ProxyLimits, SourceError,
    ytdlp::{ANSWER_BYTES_MAX, Page, refusal},
};
use tokio::process::Command;
use tracing::{info, warn};

use crate::{
    job::{passing, scratch},
    secrets::{self, PageSecrets},
};

/// What yt-dlp reads to understand a page: the page, scripts, manifests.
const BYTES_MAX: u64 = 256 << 20;
const CONNECTIONS_MAX: usize = 32;

/// What it never does: read configuration or plug-ins of a machine's, keep a cache, follow a list, fetch programs, run
/// ffmpeg. How it speaks: one JSON document, or words on standard error.
const OPTIONS: &str = "--ignore-config --no-plugin-dirs --no-cache-dir --no-playlist --playlist-items 1 \
    --no-remote-components --no-js-runtimes --js-runtimes deno --ffmpeg-location /nonexistent --xff never \
    --socket-timeout 8 --retries 2 --extractor-retries 1 --no-warnings --no-progress --color never \
    --dump-single-json";

/// Asks yt-dlp about the page at `url`. Answers the page and how many bytes were read for that.
///
/// # Errors
/// [`StageError::Job`] if there is no video to be had, in words for the person who gave the URL.
pub(crate) async fn ask(app: &App, url: &str, time_limit: Duration) -> Result<(Page, u64), StageError> {
    run(app.guard()?, &secrets::read(app).await?, url, time_limit).await
}

async fn run(
    guard: Guard,
    secrets: &PageSecrets,
    url: &str,
    time_limit: Duration,
) -> Result<(Page, u64), StageError> {
    let secrets = &secrets.used_for(url);
    let limits = ProxyLimits {
        lifetime: time_limit,
        silence: time_limits::SILENCE,
        bytes_max: BYTES_MAX,
        connections_max: CONNECTIONS_MAX,
    };
    let proxy = Proxy::behind(secrets.upstream()?, guard, limits).await.map_err(passing)?;
    let home = scratch()?;
    let config = configure(home.path(), secrets, proxy.url()).map_err(passing)?;
    let mut answer = String::new();
    let bounds = Bounds { time_limit, stdout_max: ANSWER_BYTES_MAX };
    let ran =
        process::run(command(home.path(), &config, url), bounds, &mut |line| answer.push_str(line)).await;
    let bytes = proxy.traffic().bytes();
    let page = understood(ran, &answer, proxy.problem());
    info!(bytes, understood = page.is_ok(), "yt-dlp has looked at a page");
    Ok((page?, bytes))
}

fn command(home: &Path, config: &Path, url: &str) -> Command {
    let mut command = process::program(Path::new("yt-dlp"));
    command
        .env("HOME", home)
        .env("TMPDIR", home)
        .env("LANG", "C.UTF-8")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONNOUSERSITE", "1")
        .env("DENO_NO_UPDATE_CHECK", "1")
        .current_dir(home)
        .args(OPTIONS.split_whitespace())
        .arg("--config-locations")
        .arg(config)
        .arg("--")
        .arg(url);
    command
}

/// Writes what nobody else on the machine may read: the proxy with its secret, cookies and tokens.
fn configure(home: &Path, secrets: &PageSecrets, proxy: &str) -> std::io::Result<PathBuf> {
    let mut options = format!("--proxy {}\n", quoted(proxy));
    if let Some(cookies) = secrets.cookie_file() {
        let path = home.join("cookies.txt");
        private(&path)?.write_all(cookies.as_bytes())?;
        options.push_str(&format!("--cookies {}\n", quoted(&path.to_string_lossy())));
    }
    if let Some(token) = &secrets.po_token {
        options.push_str(&format!("--extractor-args {}\n", quoted(&format!("youtube:po_token={token}"))));
    }
    let path = home.join("options.conf");
    private(&path)?.write_all(options.as_bytes())?;
    Ok(path)
}

fn private(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// One word of a configuration file, which yt-dlp splits as a shell would.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn understood(
    ran: Result<process::Finished, ProcessError>,
    answer: &str,
    forbidden: Option<SourceError>,
) -> Result<Page, StageError> {
    match ran {
        Ok(done) if done.success => Ok(Page::parse(answer)?),
        // When the guard blocks a request, yt-dlp reports an error of its own: the guard knows the real reason.
        Ok(done) => Err(forbidden.unwrap_or_else(|| refused(&done.stderr)).into()),
        Err(ProcessError::TimeLimit { .. }) => Err(SourceError::Stalled.into()),
        Err(ProcessError::TooMuchOutput { .. }) => {
            Err(SourceError::Page("the list of media on this page is too long to be read".to_owned()).into())
        }
        Err(error @ (ProcessError::Start { .. } | ProcessError::Io { .. })) => Err(passing(error)),
    }
}

fn refused(stderr: &str) -> SourceError {
    let refusal = refusal(stderr);
    warn!(code = refusal.code(), words = without_addresses(stderr), "yt-dlp found nothing to fetch");
    refusal
}

/// What may be logged: addresses may carry secrets, the user's or the proxy's.
fn without_addresses(words: &str) -> String {
    let shown = words.split_whitespace().map(|word| if word.contains("://") { "<url>" } else { word });
    shown.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::{
        net::{IpAddr, Ipv4Addr},
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use domain::job::Failure;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);
    const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
    /// Loopback as well, but not what the rule of these tests allows.
    const FORBIDDEN: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

    /// A web server that answers every request with the answer to its path, and counts connections.
    async fn serve(
        host: Ipv4Addr,
        answer: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let count = Arc::new(AtomicUsize::new(0));
        let (seen, answer) = (Arc::clone(&count), Arc::new(answer));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                seen.fetch_add(1, Ordering::SeqCst);
                let answer = Arc::clone(&answer);
                tokio::spawn(async move {
                    let mut head = vec![0; 16 << 10];
                    let read = stream.read(&mut head).await.unwrap_or(0);
                    let text = String::from_utf8_lossy(&head[..read]).into_owned();
                    let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
                    let _ = stream.write_all(answer(&path).as_bytes()).await;
                });
            }
        });
        (base, count)
    }

    fn page(body: &str) -> String {
        let body =
            format!("<!doctype html><html><head><title>A page</title></head><body>{body}</body></html>");
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close";
        format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    fn moved(to: &str) -> String {
        format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    }

    async fn asked(url: &str) -> Result<(Page, u64), Failure> {
        let guard = Guard::public_and(IpAddr::V4(HERE));
        run(guard, &PageSecrets::default(), url, LIMIT).await.map_err(|error| match error {
            StageError::Job(failure) => failure,
            other => panic!("{other}"),
        })
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn understands_a_page_and_counts_what_it_reads() {
        let (base, _) = serve(HERE, |path| match path {
            "/moved" => moved("/page"),
            _ => page("<video src='/v.mp4'></video>"),
        })
        .await;
        for path in ["/page", "/moved"] {
            let (page, bytes) = asked(&format!("{base}{path}")).await.unwrap();
            assert_eq!((page.title.as_str(), page.media.len()), ("A page", 1));
            assert_eq!(page.media[0].address.url, format!("{base}/v.mp4"));
            assert!(bytes > 100, "{bytes}");
        }
    }

    /// Whatever a page or a redirect names: no connection leads where the guard forbids it.
    #[tokio::test(flavor = "multi_thread")]
    async fn never_connects_to_what_the_guard_forbids() {
        let (forbidden, accepted) = serve(FORBIDDEN, |_| page("<video src='/secret.mp4'></video>")).await;
        let port = forbidden.rsplit(':').next().unwrap().to_owned();
        let target = forbidden.clone();
        let (base, _) = serve(HERE, move |path| match path {
            "/moved" => moved(&target),
            "/chain" => moved("/moved"),
            "/hls" => {
                page(&format!("<video><source src='{target}/m.m3u8' type='application/x-mpegurl'></video>"))
            }
            "/dash" => {
                page(&format!("<video><source src='{target}/m.mpd' type='application/dash+xml'></video>"))
            }
            "/refresh" => page(&format!("<meta http-equiv='refresh' content='0;url={target}/x'>")),
            "/frame" => page(&format!("<iframe src='{target}/embed/1'></iframe>")),
            "/file" => page("<video src='file:///etc/passwd'></video>"),
            _ => page(""),
        })
        .await;
        let mut urls = vec![forbidden.clone(), "http://169.254.169.254/latest/meta-data/".to_owned()];
        urls.extend(
            ["2130706434", "0x7f.0.0.2", "127.2", "0177.0.0.2", "[::ffff:127.0.0.2]"]
                .map(|host| format!("http://{host}:{port}/")),
        );
        let paths = ["/moved", "/chain", "/hls", "/dash", "/refresh", "/frame", "/file"];
        urls.extend(paths.map(|path| format!("{base}{path}")));
        for url in &urls {
            match asked(url).await {
                // What it found may be named; fetching it is our own client's work, which asks the guard.
                Ok((page, _)) => {
                    assert!(page.media.iter().all(|media| media.address.url.starts_with("http")), "{url}");
                }
                Err(failure) => assert!(failure.code.starts_with("source_"), "{url}: {failure:?}"),
            }
        }
        assert_eq!(accepted.load(Ordering::SeqCst), 0);
        let refused = asked(&format!("{base}/moved")).await.unwrap_err();
        assert_eq!(refused.code, "source_forbidden", "{refused:?}");
    }

    /// The operator's proxy is one that nobody answers at: whoever goes through it gets nothing.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_page_of_a_host_that_the_secret_does_not_name_is_asked_without_it() {
        let (base, _) = serve(HERE, |_| page("<video src='/v.mp4'></video>")).await;
        let nobody = TcpListener::bind((HERE, 0)).await.unwrap().local_addr().unwrap();
        let secrets = |hosts: &str| PageSecrets {
            hosts: Some(hosts.to_owned()),
            proxy: Some(format!("http://{nobody}")),
            ..PageSecrets::default()
        };
        let guard = || Guard::public_and(IpAddr::V4(HERE));
        assert!(run(guard(), &secrets("example.org"), &base, LIMIT).await.is_ok());
        assert!(run(guard(), &secrets("127.0.0.1"), &base, LIMIT).await.is_err());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn ends_with_a_page_that_never_ends() {
        let listener = TcpListener::bind((HERE, 0)).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let guard = Guard::public_and(IpAddr::V4(HERE));
        let silent = run(guard, &PageSecrets::default(), &url, Duration::from_secs(3)).await;
        assert!(matches!(silent, Err(StageError::Job(failure)) if failure.code == "source_unavailable"));
    }

    #[test]
    fn addresses_are_not_logged() {
        let words = "ERROR: Unsupported URL: https://a.org/?key=1 (via http://u:p@127.0.0.1:1)";
        assert_eq!(without_addresses(words), "ERROR: Unsupported URL: <url> (via <url>");
    }

    #[test]
    fn secrets_are_for_this_user_alone_and_never_among_the_arguments() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        let secrets = PageSecrets {
            hosts: Some("youtube".to_owned()),
            cookies: Some(".youtube.com\tTRUE\t/\tTRUE\t0\tSID\tc00kie\n".to_owned()),
            po_token: Some("t0k'en".to_owned()),
            ..PageSecrets::default()
        };
        let config = configure(home.path(), &secrets, "http://u:s3cret@127.0.0.1:1").unwrap();
        for file in std::fs::read_dir(home.path()).unwrap() {
            let mode = file.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let command = format!("{:?}", command(home.path(), &config, "http://a.org/").as_std());
        for secret in ["c00kie", "t0k", "s3cret"] {
            assert!(!command.contains(secret), "{command}");
        }
        assert!(std::fs::read_to_string(home.path().join("cookies.txt")).unwrap().contains("c00kie"));
        let options = std::fs::read_to_string(config).unwrap();
        assert!(options.contains(r"'youtube:po_token=t0k'\''en'"), "{options}");
        assert!(!format!("{secrets:?}").contains("c00kie"));
    }
}
