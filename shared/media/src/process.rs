//! Running a program: killable, bounded in time and in what it prints.

use std::{path::PathBuf, process::Stdio, time::Duration};

use tokio::{
    fs::File,
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    process::{ChildStdin, Command},
    sync::oneshot,
};

/// What is kept of a process's standard error.
const STDERR_MAX: usize = 8 << 10;

/// How long a process may run, and how much it may print.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// After this it is killed.
    pub time_limit: Duration,
    /// Bytes of its standard output; at one more it is killed.
    pub stdout_max: u64,
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
    /// It was killed at its time limit.
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
pub struct Finished {
    /// Whether its exit status was 0.
    pub success: bool,
    /// The beginning of what it wrote to standard error, trimmed.
    pub stderr: String,
}

/// What a process reads from its standard input, once it is there.
pub(crate) type Fed = oneshot::Receiver<File>;

/// Told each line of a process's standard output.
pub(crate) type OnLine<'a> = &'a mut (dyn FnMut(&str) + Send);

/// Runs `command` to its end; `on_line` sees each line of its standard output. It reads nothing. When this future is
/// dropped, the process is killed.
///
/// # Errors
/// [`ProcessError`].
pub async fn run(
    command: Command,
    bounds: Bounds,
    on_line: &mut (dyn FnMut(&str) + Send),
) -> Result<Finished, ProcessError> {
    run_fed(command, bounds, None, on_line).await
}

/// As [`run`], with `input` at its standard input.
pub(crate) async fn run_fed(
    mut command: Command,
    bounds: Bounds,
    input: Option<Fed>,
    on_line: OnLine<'_>,
) -> Result<Finished, ProcessError> {
    let program = PathBuf::from(command.as_std().get_program());
    let mut child = command
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| ProcessError::Start { program: program.clone(), error })?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let io = |error| ProcessError::Io { program: program.clone(), error };
    let all = async {
        let lines = async {
            let complete = each_line(stdout, bounds.stdout_max, on_line).await.map_err(io)?;
            complete.then_some(()).ok_or_else(|| ProcessError::TooMuchOutput {
                program: program.clone(),
                limit: bounds.stdout_max,
            })
        };
        let words = async { beginning(stderr).await.map_err(io) };
        let status = async { child.wait().await.map_err(io) };
        let fed = async { feed(stdin, input).await.map_err(io) };
        tokio::try_join!(lines, words, status, fed)
    };
    // On an error the child is dropped, which kills it.
    let limit = bounds.time_limit;
    let ((), stderr, status, ()) = tokio::time::timeout(limit, all)
        .await
        .map_err(|_| ProcessError::TimeLimit { program: program.clone(), limit })??;
    Ok(Finished { success: status.success(), stderr })
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

    async fn sh(
        script: &str,
        limit: Duration,
        stdout_max: u64,
    ) -> (Result<Finished, ProcessError>, Vec<String>) {
        let mut lines = Vec::new();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let mut on_line = |line: &str| lines.push(line.to_owned());
        let result = run(command, Bounds { time_limit: limit, stdout_max }, &mut on_line).await;
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
