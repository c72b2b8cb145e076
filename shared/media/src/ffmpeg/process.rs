//! `ffmpeg` and `ffprobe` as processes.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::process::{self, Blocks, Bounds, Fed, Finished, OnLine, Output, ProcessError};

/// The containers that a source may be in. Playlists and scripts (`hls`, `concat`, `dash`, image patterns) are left
/// out on purpose: they name other files, and a user must not make FFmpeg read those.
const FORMATS: &str = "mov,mp4,matroska,webm,mpegts,mpeg,mpegvideo,avi,flv,asf,ogg,wav,mp3,aac,flac,gif,mxf,ivf,\
                       h264,hevc,m4v,av1,obu,nut,caf,aiff,w64,dv,rm,3gp,ac3,eac3,wv,tta,ape,amr,amrnb,amrwb,au,\
                       dts,truehd,loas,mjpeg";

/// How long one run of a program may take, unless it is told otherwise: 13 minutes, what a Lambda function's 15 leave for
/// the rest.
pub const TIME_LIMIT: Duration = Duration::from_secs(13 * 60);

/// Where the programs are and how long one run of them may take.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The `ffmpeg` program; a bare name is looked up in `PATH`.
    pub ffmpeg: PathBuf,
    /// The `ffprobe` program.
    pub ffprobe: PathBuf,
    /// After this a process is killed. The default is [`TIME_LIMIT`].
    pub time_limit: Duration,
}

impl Default for Tools {
    fn default() -> Self {
        Self { ffmpeg: PathBuf::from("ffmpeg"), ffprobe: PathBuf::from("ffprobe"), time_limit: TIME_LIMIT }
    }
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

    /// Standard input as the input file, under the same rules. It is a movie that we wrote: its header says all that there
    /// is to know, so that no picture is decoded beforehand to find out more.
    pub(crate) fn piped(self) -> Self {
        let args = self.option("-protocol_whitelist", "pipe").option("-format_whitelist", FORMATS);
        args.words("-nofind_stream_info -i pipe:0")
    }
}

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
        self.run(&self.ffmpeg, args, 16 << 20, (input, Output::Lines(on_line))).await
    }

    /// Runs `ffmpeg`, which writes blocks of equal length to its standard output. When nobody takes them any more, it ends.
    pub(crate) async fn ffmpeg_blocks(&self, args: Args, blocks: Blocks) -> Result<Finished, ProcessError> {
        let common = Args::default().words("-hide_banner -v error -nostdin -nostats -y");
        let args = [common.0, args.0].concat();
        self.run(&self.ffmpeg, args, u64::MAX, (None, Output::Blocks(blocks))).await
    }

    /// Runs `ffprobe`; `stdout_max` bounds its answer in bytes.
    pub(crate) async fn ffprobe(
        &self,
        args: Args,
        stdout_max: u64,
        on_line: OnLine<'_>,
    ) -> Result<Finished, ProcessError> {
        let common = Args::default().words("-hide_banner -v error");
        self.run(&self.ffprobe, [common.0, args.0].concat(), stdout_max, (None, Output::Lines(on_line))).await
    }

    async fn run(
        &self,
        program: &Path,
        args: Vec<OsString>,
        stdout_max: u64,
        (input, output): (Option<Fed>, Output<'_>),
    ) -> Result<Finished, ProcessError> {
        let mut command = process::program(program);
        command.args(&args).env("AV_LOG_FORCE_NOCOLOR", "1");
        process::run_fed(command, Bounds { time_limit: self.time_limit, stdout_max }, input, output).await
    }
}
