//! Running `ffmpeg` and `ffprobe` as processes: killable, bounded in time and in what they print.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    fs::File,
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    process::{ChildStdin, Command},
    sync::oneshot,
};

/// What is kept of a process's standard error.
const STDERR_MAX: usize = 8 << 10;

/// The containers that a source may be in. Playlists and scripts (`hls`, `concat`, `dash`, image patterns) are left
/// out on purpose: they name other files, and a user must not make FFmpeg read those.
const FORMATS: &str = "mov,mp4,matroska,webm,mpegts,mpeg,mpegvideo,avi,flv,asf,ogg,wav,mp3,aac,flac,gif,mxf,ivf,\
                       h264,hevc,m4v,av1,obu,nut,caf,aiff,w64,dv,rm,3gp";

/// Where the programs are and how long one run of them may take.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The `ffmpeg` program; a bare name is looked up in `PATH`.
    pub ffmpeg: PathBuf,
    /// The `ffprobe` program.
    pub ffprobe: PathBuf,
    /// After this a process is killed. The default is 13 minutes, what a Lambda function's 15 leave for the rest.
    pub time_limit: Duration,
}

impl Default for Tools {
    fn default() -> Self {
        Self {
            ffmpeg: PathBuf::from("ffmpeg"),
            ffprobe: PathBuf::from("ffprobe"),
            time_limit: Duration::from_secs(13 * 60),
        }
    }
}

/// Why a process came to no end of its own.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("{program} could not be started: {error}")]
    Start {
        /// The program's path.
        program: PathBuf,
        /// The operating system's reason.
        error: std::io::Error,
    },
    /// It was killed at [`Tools::time_limit`].
    #[error("{program} took longer than {limit:?}")]
    TimeLimit {
        /// The program's path.
        program: PathBuf,
        /// The limit.
        limit: Duration,
    },
    /// It printed more than any file can make it print.
    #[error("{program} printed more than {limit} bytes")]
    TooMuchOutput {
        /// The program's path.
        program: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// Its output could not be read.
    #[error("reading from {program}: {error}")]
    Io {
        /// The program's path.
        program: PathBuf,
        /// The operating system's reason.
        error: std::io::Error,
    },
}

/// A process that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finished {
    pub(crate) success: bool,
    /// The beginning of what it wrote to standard error, trimmed.
    pub(crate) stderr: String,
}

/// Arguments under construction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Args(Vec<OsString>);

impl Args {
    /// Splits `words` at white space; for options without spaces in their values.
    pub(crate) fn words(mut self, words: &str) -> Self {
        self.0.extend(words.split_whitespace().map(OsString::from));
        self
    }

    /// An option and its value.
    pub(crate) fn option(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.extend([OsString::from(name), value.as_ref().to_owned()]);
        self
    }

    /// An output file, or another path that must not be taken for an option or a protocol.
    pub(crate) fn file(mut self, path: &Path) -> Self {
        let mut url = OsString::from("file:");
        url.push(path);
        self.0.push(url);
        self
    }

    /// An input file, which may open neither the network nor another file. `before` are its options.
    pub(crate) fn input(self, path: &Path) -> Self {
        let mut args = self.option("-protocol_whitelist", "file,pipe").option("-format_whitelist", FORMATS);
        args.0.push("-i".into());
        args.file(path)
    }

    /// Standard input as the input file, under the same rules.
    pub(crate) fn piped(self) -> Self {
        let args = self.option("-protocol_whitelist", "pipe").option("-format_whitelist", FORMATS);
        args.words("-i pipe:0")
    }
}

/// What a process reads from its standard input, once it is there.
pub(crate) type Fed = oneshot::Receiver<File>;

/// Told each line of a process's standard output.
type OnLine<'a> = &'a mut (dyn FnMut(&str) + Send);

impl Tools {
    /// Runs `ffmpeg`; `on_line` sees each line of its standard output (`-progress pipe:1`).
    pub(crate) async fn ffmpeg(&self, args: Args, on_line: OnLine<'_>) -> Result<Finished, ProcessError> {
        self.ffmpeg_fed(args, None, on_line).await
    }

    /// Runs `ffmpeg` as [`Tools::ffmpeg`], with `input` for [`Args::piped`]. To start it takes as much processor as to
    /// decode a dozen pictures, so it is worth to be started before its input is there.
    pub(crate) async fn ffmpeg_fed(
        &self,
        args: Args,
        input: Option<Fed>,
        on_line: OnLine<'_>,
    ) -> Result<Finished, ProcessError> {
        let common = Args::default().words("-hide_banner -v error -nostdin -nostats -y");
        let args = [common.0, args.0].concat();
        self.run(&self.ffmpeg, args, 16 << 20, (input, on_line)).await
    }

    /// Runs `ffprobe`; `stdout_max` bounds its answer in bytes.
    pub(crate) async fn ffprobe(
        &self,
        args: Args,
        stdout_max: u64,
        on_line: OnLine<'_>,
    ) -> Result<Finished, ProcessError> {
        let common = Args::default().words("-hide_banner -v error");
        self.run(&self.ffprobe, [common.0, args.0].concat(), stdout_max, (None, on_line)).await
    }

    async fn run(
        &self,
        program: &Path,
        args: Vec<OsString>,
        stdout_max: u64,
        (input, on_line): (Option<Fed>, OnLine<'_>),
    ) -> Result<Finished, ProcessError> {
        let mut child = Command::new(program)
            .args(&args)
            .env_remove("FFREPORT") // would write a report file
            .env("AV_LOG_FORCE_NOCOLOR", "1")
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| ProcessError::Start { program: program.to_owned(), error })?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let io = |error| ProcessError::Io { program: program.to_owned(), error };
        let all = async {
            let lines = async {
                let complete = each_line(stdout, stdout_max, on_line).await.map_err(io)?;
                complete.then_some(()).ok_or_else(|| ProcessError::TooMuchOutput {
                    program: program.to_owned(),
                    limit: stdout_max,
                })
            };
            let words = async { beginning(stderr).await.map_err(io) };
            let status = async { child.wait().await.map_err(io) };
            let fed = async { feed(stdin, input).await.map_err(io) };
            tokio::try_join!(lines, words, status, fed)
        };
        // On an error the child is dropped, which kills it.
        let ((), stderr, status, ()) = tokio::time::timeout(self.time_limit, all)
            .await
            .map_err(|_| ProcessError::TimeLimit { program: program.to_owned(), limit: self.time_limit })??;
        Ok(Finished { success: status.success(), stderr })
    }
}

/// Writes the input once it is there. Without it, and when the process has read enough, its pipe is closed.
async fn feed(pipe: Option<ChildStdin>, input: Option<Fed>) -> std::io::Result<()> {
    let Some((mut pipe, input)) = pipe.zip(input) else { return Ok(()) };
    let Ok(mut file) = input.await else { return Ok(()) };
    match tokio::io::copy(&mut file, &mut pipe).await {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Hands each line on; `false` when there was more than `limit` bytes.
async fn each_line(
    pipe: Option<impl AsyncRead + Unpin>,
    limit: u64,
    on_line: OnLine<'_>,
) -> std::io::Result<bool> {
    let Some(pipe) = pipe else { return Ok(true) };
    let mut reader = BufReader::new(pipe).take(limit);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).await? > 0 {
        on_line(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    Ok(reader.limit() > 0)
}

/// Reads to the end, so that the process never blocks, and keeps the beginning, where the cause stands.
async fn beginning(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<String> {
    let Some(mut pipe) = pipe else { return Ok(String::new()) };
    let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = pipe.read(&mut buffer).await?;
        if read == 0 {
            return Ok(String::from_utf8_lossy(&kept).trim().to_owned());
        }
        let room = STDERR_MAX.saturating_sub(kept.len()).min(read);
        kept.extend_from_slice(buffer.get(..room).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(time_limit: Duration) -> Tools {
        Tools { ffmpeg: "sh".into(), ffprobe: "sh".into(), time_limit }
    }

    async fn sh(
        script: &str,
        limit: Duration,
        stdout_max: u64,
    ) -> (Result<Finished, ProcessError>, Vec<String>) {
        let mut lines = Vec::new();
        let args = vec!["-c".into(), script.into()];
        let mut on_line = |line: &str| lines.push(line.to_owned());
        let tools = shell(limit);
        let result = tools.run(&tools.ffmpeg, args, stdout_max, (None, &mut on_line)).await;
        (result, lines)
    }

    #[tokio::test]
    async fn gives_lines_words_and_status() {
        let (result, lines) = sh("echo a; echo b; echo oh >&2; exit 3", Duration::from_secs(9), 100).await;
        assert_eq!(result.unwrap(), Finished { success: false, stderr: "oh".into() });
        assert_eq!(lines, ["a", "b"]);
    }

    #[tokio::test]
    async fn ends_what_takes_too_long_or_prints_too_much() {
        let (late, _) = sh("exec sleep 60", Duration::from_millis(100), 100).await;
        assert!(matches!(late, Err(ProcessError::TimeLimit { .. })), "{late:?}");
        let (loud, _) = sh("yes", Duration::from_secs(9), 1000).await;
        assert!(matches!(loud, Err(ProcessError::TooMuchOutput { .. })), "{loud:?}");
    }

    #[tokio::test]
    async fn keeps_only_the_beginning_of_the_words() {
        let (result, _) = sh("head -c 100000 /dev/zero | tr '\\0' x >&2", Duration::from_secs(9), 9).await;
        assert_eq!(result.unwrap().stderr.len(), STDERR_MAX);
    }
}
