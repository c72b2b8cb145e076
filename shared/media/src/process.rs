//! Running a program: killable with all that it starts, bounded in time and in what it prints, and without a look at our
//! environment, which has the credentials of the function's role.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    fs::File,
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::{mpsc, oneshot},
};

/// What is kept of a process's standard error: a damaged stream has a line for each lost packet.
const STDERR_MAX: usize = 64 << 10;

/// How long a process may run, and how much it may print.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// After this it is killed.
    pub time_limit: Duration,
    /// Most bytes of its standard output; at one more it is killed.
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

/// A program to be run, with nothing in its environment but where programs are.
#[must_use]
pub fn program(path: &Path) -> Command {
    let mut command = Command::new(path);
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command
}

/// A process and all that it has started, which end together: its process group. Dropping it kills what is left.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }

    fn end(&mut self) {
        if let Some(leader) = self.0.take() {
            // It fails when nobody is left, which is what is wanted.
            let _ = killpg(leader, Signal::SIGKILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

/// Told each block of so many bytes of a process's standard output, when there is room for it.
pub(crate) type Blocks = (usize, mpsc::Sender<Vec<u8>>);

/// What is done with a process's standard output.
pub(crate) enum Output<'a> {
    Lines(OnLine<'a>),
    Blocks(Blocks),
}

/// Runs `command` to its end; `on_line` sees each line of its standard output. It reads nothing. When this future is
/// dropped, the process is killed, and with its end ends all that it has started.
///
/// # Errors
/// [`ProcessError`].
pub async fn run(
    command: Command,
    bounds: Bounds,
    on_line: &mut (dyn FnMut(&str) + Send),
) -> Result<Finished, ProcessError> {
    run_fed(command, bounds, None, Output::Lines(on_line)).await
}

/// As [`run`], with `input` at its standard input.
pub(crate) async fn run_fed(
    mut command: Command,
    bounds: Bounds,
    input: Option<Fed>,
    output: Output<'_>,
) -> Result<Finished, ProcessError> {
    let program = PathBuf::from(command.as_std().get_program());
    let mut child = command
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| ProcessError::Start { program: program.clone(), error })?;
    let mut group = Group::of(&child);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let io = |error| ProcessError::Io { program: program.clone(), error };
    let all = async {
        let lines = async {
            let complete = match output {
                Output::Lines(on_line) => each_line(stdout, bounds.stdout_max, on_line).await.map_err(io)?,
                Output::Blocks(blocks) => each_block(stdout, blocks).await.map_err(io)?,
            };
            complete.then_some(()).ok_or_else(|| ProcessError::TooMuchOutput {
                program: program.clone(),
                limit: bounds.stdout_max,
            })
        };
        let words = async { beginning(stderr).await.map_err(io) };
        let status = async {
            let status = child.wait().await;
            // Whoever still holds its pipes would keep us waiting for their end.
            group.end();
            status.map_err(io)
        };
        let fed = async { feed(stdin, input).await.map_err(io) };
        tokio::try_join!(lines, words, status, fed)
    };
    // On an error the group is dropped, which kills all of it.
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

/// Hands each block on, as long as somebody takes them. What is left behind the last whole one is no block.
async fn each_block(pipe: Option<impl AsyncRead + Unpin>, (len, to): Blocks) -> std::io::Result<bool> {
    let Some(mut pipe) = pipe else { return Ok(true) };
    loop {
        let mut block = vec![0; len];
        match pipe.read_exact(&mut block).await {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(true),
            Err(error) => return Err(error),
        }
        if to.send(block).await.is_err() {
            return Ok(true);
        }
    }
}

/// Hands each line on; `false` when there was more than `limit` bytes.
async fn each_line(
    pipe: Option<impl AsyncRead + Unpin>,
    limit: u64,
    on_line: OnLine<'_>,
) -> std::io::Result<bool> {
    let Some(pipe) = pipe else { return Ok(true) };
    let mut reader = BufReader::new(pipe).take(limit.saturating_add(1));
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
        let mut command = program(Path::new("sh"));
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
    async fn an_output_of_just_the_limit_is_not_too_much() {
        for (bytes, is_fine) in [(1000, true), (1001, false)] {
            let (result, _) = sh(&format!("head -c {bytes} /dev/zero"), Duration::from_secs(9), 1000).await;
            assert_eq!(result.is_ok(), is_fine, "{bytes}: {result:?}");
        }
    }

    /// Whether a process is there and runs; one that nobody has reaped does not.
    fn runs(pid: &str) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|state| !state.is_empty() && !state.starts_with(['Z', 'X']))
    }

    async fn ends(pid: &str) {
        let gone = async {
            while runs(pid) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
    }

    /// As yt-dlp starts deno: in the background, with the same pipes or with none, or behind one more process.
    const CHILDREN: [&str; 3] = [
        "sleep 60 & echo $!",
        "sleep 60 >/dev/null 2>&1 </dev/null & echo $!",
        "sh -c 'sleep 60 & echo $!; exec sleep 60' & wait $!",
    ];

    #[tokio::test]
    async fn all_that_it_started_ends_at_the_time_limit() {
        for child in CHILDREN {
            let (late, lines) = sh(&format!("{child}; sleep 60"), Duration::from_millis(300), 100).await;
            assert!(matches!(late, Err(ProcessError::TimeLimit { .. })), "{child}: {late:?}");
            ends(&lines[0]).await;
        }
    }

    #[tokio::test]
    async fn all_that_it_started_ends_when_nobody_waits_any_more() {
        for child in CHILDREN {
            let (told, mut pid) = tokio::sync::mpsc::unbounded_channel();
            let mut command = program(Path::new("sh"));
            command.args(["-c", &format!("{child}; sleep 60")]);
            let bounds = Bounds { time_limit: Duration::from_secs(60), stdout_max: 100 };
            let mut on_line = |line: &str| told.send(line.to_owned()).unwrap();
            let pid = tokio::select! {
                ended = run(command, bounds, &mut on_line) => panic!("{ended:?}"),
                pid = pid.recv() => pid.unwrap(),
            };
            ends(&pid).await;
        }
    }

    #[tokio::test]
    async fn all_that_it_started_ends_with_it() {
        for child in &CHILDREN[..2] {
            let (result, lines) = sh(child, Duration::from_secs(30), 100).await;
            assert!(result.unwrap().success, "{child}");
            ends(&lines[0]).await;
        }
    }

    #[tokio::test]
    async fn nothing_of_our_environment_is_seen() {
        let (result, lines) = sh("env", Duration::from_secs(9), 10_000).await;
        assert!(result.unwrap().success);
        let names: Vec<_> =
            lines.iter().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
        assert!(names.contains(&"PATH"), "{lines:?}");
        // What a shell adds by itself.
        assert!(names.iter().all(|name| ["PATH", "PWD", "OLDPWD", "SHLVL", "_"].contains(name)), "{lines:?}");
    }

    #[tokio::test]
    async fn keeps_only_the_beginning_of_the_words() {
        let (result, _) = sh("head -c 100000 /dev/zero | tr '\\0' x >&2", Duration::from_secs(9), 9).await;
        assert_eq!(result.unwrap().stderr.len(), STDERR_MAX);
    }
}
