//! `cargo xtask clip`: the main job, through the same HTTP API that every client uses.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, bail};
use lexopt::prelude::*;
use serde_json::{Value as Json, json};

use crate::cloud::{Cloud, Kept};
use crate::progress::Progress;
use crate::timings::{self, Marks};
use crate::upload::{self, Api};
use crate::{http, say, setup};

/// A job that takes longer than this has a problem that waiting does not solve.
const JOB_MAX: Duration = Duration::from_secs(45 * 60);
/// How long a cancellation may take.
const CANCEL_MAX: Duration = Duration::from_secs(10);
/// The exit code of a program that Ctrl-C has ended, as shells have it.
const INTERRUPTED: i32 = 130;
/// How long the service may hold one status request open.
const WAIT_S: u64 = 20;

/// What was asked for on the command line.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// A URL or a file; a video that is made here if none is given.
    source: Option<String>,
    start: String,
    end: String,
    format: Option<String>,
    quality: Option<String>,
    precision: Option<String>,
    out: Option<PathBuf>,
    upload: bool,
    timings: bool,
    base_url: Option<String>,
    key: Option<String>,
}

impl Options {
    /// Reads the command line.
    pub(crate) fn parse(arguments: &mut lexopt::Parser) -> anyhow::Result<Self> {
        let (mut options, mut source, mut start, mut end) = (Self::default(), None, None, None);
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("start") => start = Some(arguments.value()?.string()?),
                Long("end") => end = Some(arguments.value()?.string()?),
                Long("format") => options.format = Some(arguments.value()?.string()?),
                Long("quality") => options.quality = Some(arguments.value()?.string()?),
                Long("precision") => options.precision = Some(arguments.value()?.string()?),
                Long("out") => options.out = Some(arguments.value()?.into()),
                Long("upload") => options.upload = true,
                Long("timings") => options.timings = true,
                Long("base-url") => options.base_url = Some(arguments.value()?.string()?),
                Long("key") => options.key = Some(arguments.value()?.string()?),
                Value(value) if source.is_none() => source = Some(value.string()?),
                other => return Err(other.unexpected().into()),
            }
        }
        if source.is_none() && options.base_url.is_some() {
            bail!("which video? Give a URL or a file");
        }
        // Of a video of our own it is known what is in it.
        let otherwise = |text: &str| source.is_none().then(|| text.to_owned());
        options.start = start.or_else(|| otherwise("1.5")).context("--start is missing")?;
        options.end = end.or_else(|| otherwise("4.25")).context("--end is missing")?;
        options.source = source;
        Ok(options)
    }

    /// The request for a clip of the source that `field` (`url` or `file_id`) names.
    fn body(&self, (field, source): (&str, &str)) -> Json {
        let mut body = json!({ field: source, "start": self.start, "end": self.end });
        for (name, value) in
            [("format", &self.format), ("quality", &self.quality), ("precision", &self.precision)]
        {
            if let Some(value) = value {
                body[name] = json!(value);
            }
        }
        body
    }
}

/// The service to ask: the local cloud, or another one by `--base-url`.
struct Service {
    base_url: String,
    key: String,
    cloud: Option<Cloud>,
}

impl Service {
    fn find(options: &Options) -> anyhow::Result<Self> {
        if let Some(base_url) = &options.base_url {
            let base_url = base_url.trim_end_matches('/');
            return match (Cloud::at(base_url), &options.key) {
                (Some(cloud), _) => Ok(Self::of(cloud, options)),
                (None, Some(key)) => {
                    Ok(Self { base_url: base_url.to_owned(), key: key.clone(), cloud: None })
                }
                (None, None) => bail!("{base_url} is no local cloud: it needs --key"),
            };
        }
        Ok(Self::of(Cloud::find_or_start()?, options))
    }

    fn of(cloud: Cloud, options: &Options) -> Self {
        let text = |name: &str| cloud.info[name].as_str().unwrap_or_default().to_owned();
        let key = options.key.clone().unwrap_or_else(|| text("demo_api_key"));
        Self { base_url: text("base_url"), key, cloud: Some(cloud) }
    }
}

/// Makes the clip, fetches it, and tells what it is.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let source = match &options.source {
        Some(source) => source.clone(),
        None => own_video()?,
    };
    let is_url = source.starts_with("http://") || source.starts_with("https://");
    if !is_url && !Path::new(&source).is_file() {
        bail!("{source} is neither a file nor an http(s) URL");
    }
    if options.upload && is_url {
        bail!("--upload sends a file; {source} is a URL");
    }
    let service = Service::find(options)?;
    let agent = http::agent(Duration::from_secs(2 * WAIT_S));
    // A server is held until the clip is there: the service reads from it.
    let (_server, source) = match (is_url, options.upload) {
        (true, _) => (None, ("url", source)),
        (false, false) => {
            let (server, url) = offer(&source)?;
            (server, ("url", url))
        }
        (false, true) => {
            let api = Api { agent: &agent, base_url: &service.base_url, key: &service.key };
            (None, ("file_id", upload::send(&api, Path::new(&source))?))
        }
    };

    let under_way = cancel_on_ctrl_c(&service)?;
    let posted = SystemTime::now();
    let accepted = http::call(
        &agent,
        &format!("{}/v1/clip", service.base_url),
        &service.key,
        Some(&options.body((source.0, &source.1))),
    )?;
    let answered = SystemTime::now();
    let id = accepted["job_id"].as_str().context("the service answered without a job id")?.to_owned();
    let _ = under_way.set(id.clone());
    let job = follow(&agent, &service, &id)?;
    let linked = SystemTime::now();

    let out = out_path(options, &job);
    let bytes = fetch(job["download_url"].as_str().context("the job has no download link")?, &out)?;
    let balance = http::call(&agent, &format!("{}/v1/balance", service.base_url), &service.key, None)?;
    say::answer(&summary(&job, &balance, &service.base_url, (&out, bytes)))?;
    if options.timings {
        let cloud = service.cloud.as_ref().context("--timings needs the local cloud")?;
        say::answer(&timings::table(&cloud.info, &id, &Marks { posted, answered, linked })?)?;
    }
    Ok(())
}

/// Has Ctrl-C cancel the job whose id is set in what is returned, and say so.
fn cancel_on_ctrl_c(service: &Service) -> anyhow::Result<Arc<OnceLock<String>>> {
    let under_way = Arc::new(OnceLock::<String>::new());
    let (job, base, key) = (Arc::clone(&under_way), service.base_url.clone(), service.key.clone());
    let interrupted = move || {
        if let Some(id) = job.get() {
            let url = format!("{base}/v1/clip/{id}/cancel");
            let outcome = http::call(&http::agent(CANCEL_MAX), &url, &key, Some(&json!({})));
            say::line(&match outcome {
                Ok(_) => format!("\nxtask: cancelled the job {id}; it costs nothing"),
                Err(problem) => format!("\nxtask: the job {id} is not cancelled: {problem:#}"),
            });
        }
        std::process::exit(INTERRUPTED);
    };
    ctrlc::set_handler(interrupted).context("cannot listen for Ctrl-C")?;
    Ok(under_way)
}

/// How ffmpeg makes a video to be clipped when none is given: a moving test picture that counts its seconds, with a tone.
const OWN_VIDEO: [&str; 20] = [
    "-v",
    "error",
    "-nostdin",
    "-f",
    "lavfi",
    "-i",
    "testsrc=size=1280x720:rate=25:duration=10",
    "-f",
    "lavfi",
    "-i",
    "sine=frequency=440:sample_rate=48000:duration=10",
    "-c:v",
    "libx264",
    "-preset",
    "veryfast",
    "-pix_fmt",
    "yuv420p",
    "-c:a",
    "aac",
    "-shortest",
];

/// A video of our own, made once per machine.
pub(crate) fn own_video() -> anyhow::Result<String> {
    setup::media_tools()?;
    let folder = places::Entry::new("test-video")?.text(&OWN_VIDEO.join(" ")).get(|folder| {
        std::fs::create_dir_all(folder)?;
        let mut make = Command::new("ffmpeg");
        make.args(OWN_VIDEO).arg(folder.join(OWN_VIDEO_NAME));
        setup::run(&mut make, "making a test video (once)")
    })?;
    let file = folder.join(OWN_VIDEO_NAME).into_os_string();
    file.into_string().map_err(|file| anyhow::anyhow!("{} is not valid UTF-8", file.display()))
}

const OWN_VIDEO_NAME: &str = "test-picture.mp4";

/// Offers a local file by HTTP; only programs that know the random URL find it.
fn offer(file: &str) -> anyhow::Result<(Option<Kept>, String)> {
    let program = setup::devstack()?;
    if !program.is_file() {
        setup::build(&["clipwright-devstack"])?;
    }
    let mut serve = Command::new(program);
    serve.arg("serve").arg(file);
    let (server, url) = Kept::start(serve).with_context(|| format!("cannot offer {file}"))?;
    Ok((Some(server), url))
}

/// Waits for the end of the job, showing how it goes.
fn follow(agent: &ureq::Agent, service: &Service, id: &str) -> anyhow::Result<Json> {
    let mut progress = Progress::new();
    let deadline = Instant::now() + JOB_MAX;
    let url = format!("{}/v1/clip/{id}?wait={WAIT_S}", service.base_url);
    while Instant::now() < deadline {
        let asked = Instant::now();
        let job = http::call(agent, &url, &service.key, None)?;
        let status = job["status"].as_str().context("the job has no status")?;
        progress.show(status, job["progress"].as_u64().unwrap_or(0));
        match status {
            "complete" => return Ok(job),
            "failed" | "cancelled" => {
                progress.end();
                bail!("{}", job["error"].as_str().unwrap_or("the job ended without a clip"));
            }
            // A service that does not hold the request must not be asked in a tight loop.
            _ if asked.elapsed() < Duration::from_millis(100) => {
                std::thread::sleep(Duration::from_millis(250))
            }
            _ => {}
        }
    }
    bail!("the job {id} did not end within {} minutes", JOB_MAX.as_secs() / 60)
}

fn out_path(options: &Options, job: &Json) -> PathBuf {
    let given = job["file_name"].as_str().and_then(|name| Path::new(name).file_name());
    options.out.clone().unwrap_or_else(|| given.map_or_else(|| PathBuf::from("clip.mp4"), PathBuf::from))
}

/// Fetches the clip; the file appears under its name only when it is whole.
fn fetch(url: &str, out: &Path) -> anyhow::Result<u64> {
    let mut answer = http::agent(JOB_MAX).get(url).call().context("cannot fetch the clip")?;
    if !answer.status().is_success() {
        bail!("cannot fetch the clip ({})", answer.status());
    }
    let mut name = out.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let mut file = File::create(&part).with_context(|| format!("cannot write {}", part.display()))?;
    let bytes = std::io::copy(&mut answer.body_mut().as_reader(), &mut file)?;
    std::fs::rename(&part, out).with_context(|| format!("cannot write {}", out.display()))?;
    Ok(bytes)
}

fn summary(job: &Json, balance: &Json, base_url: &str, (out, bytes): (&Path, u64)) -> String {
    let mut lines = vec![format!("file        {} ({})", out.display(), size(bytes))];
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            lines.push(format!("{name:<12}{value}"));
        }
    };
    add("share", job["share_url"].as_str().map(|path| format!("{base_url}{path}")));
    add("duration", job["duration"].as_f64().map(|seconds| format!("{seconds:.3} s")));
    add("quality", job["quality"].as_str().map(str::to_owned));
    add("cost", job["cost"].as_f64().map(|dollars| format!("${dollars:.2}")));
    add("balance", balance["balance"].as_f64().map(|dollars| format!("${dollars:.2}")));
    add("read", job["source_bytes_read"].as_u64().map(|bytes| format!("{} of the source", size(bytes))));
    lines.join("\n")
}

fn size(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss)] // shown with two digits
    let mega = bytes as f64 / 1e6;
    if mega >= 1.0 { format!("{mega:.2} MB") } else { format!("{:.1} kB", mega * 1e3) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> anyhow::Result<Options> {
        Options::parse(&mut lexopt::Parser::from_args(words))
    }

    #[test]
    fn without_a_video_there_is_one_and_what_to_cut_of_it() {
        let options = parse(&[]).unwrap();
        assert_eq!((options.source, options.start.as_str(), options.end.as_str()), (None, "1.5", "4.25"));
        let options = parse(&["--end", "3", "--format", "gif"]).unwrap();
        assert_eq!((options.start.as_str(), options.end.as_str()), ("1.5", "3"));
    }

    #[test]
    fn of_a_given_video_it_is_said_what_to_cut() {
        assert_eq!(parse(&["a.mp4"]).unwrap_err().to_string(), "--start is missing");
        assert_eq!(parse(&["a.mp4", "--start", "1"]).unwrap_err().to_string(), "--end is missing");
        let error = parse(&["--base-url", "https://a.example", "--key", "k"]).unwrap_err();
        assert!(
            error.to_string().contains("Give a URL or a file"),
            "another service cannot read a file of ours"
        );
    }
}
