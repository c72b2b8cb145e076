//! What a devstack is started with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The account number that ministack gives to everything.
pub const ACCOUNT: &str = "000000000000";
/// The one region of the local cloud.
pub const REGION: &str = "us-east-1";
/// The credentials that callers from outside the stack sign with. They guard nothing: every port is loopback.
pub const ACCESS_KEY: &str = "test";
/// The secret that goes with [`ACCESS_KEY`].
pub const SECRET_KEY: &str = "test";

/// How and where a local cloud runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// The checkout: the template, and the lists of what runs it, are looked for here.
    pub root: PathBuf,
    /// The SAM template to deploy.
    pub template: PathBuf,
    /// Where data, logs and temporary files go; absolute or relative to the working directory.
    pub state: PathBuf,
    /// The front door's port; 0 takes any free one.
    pub port: u16,
    /// The CloudFormation stack's name, and the first part of table and bucket names.
    pub stack_name: String,
    /// The `devstack` binary, re-executed as supervisor and as fault shim. An embedding test gives the built one.
    pub exe: PathBuf,
    /// Where the area binaries (`clips`, `stages`, …) were built.
    pub bin_dir: PathBuf,
    /// The unpacked images, a folder for each area: functions run in its `root`, as its `config.json` says. As root only.
    pub image: Option<PathBuf>,
    /// Stack parameters; those that the template does not declare are left out.
    pub parameters: BTreeMap<String, String>,
    /// Crash on demand: the folder of fault files that the [`crate::shim`] watches.
    pub faults: Option<PathBuf>,
    /// A file with the certificates (PEM) that functions trust in place of this machine's.
    pub trust: Option<PathBuf>,
    /// Where the functions' logs go, instead of into the state folder.
    pub logs: Option<PathBuf>,
    /// A video to try things with, which the front door offers.
    pub sample: Option<PathBuf>,
    /// Count the functions' calls of DynamoDB; `/_local/calls` tells.
    pub count_calls: bool,
    /// Throw the state away first.
    pub fresh: bool,
}

impl Options {
    /// The defaults for a checkout at `root`: `template.yaml`, state in `.local`, port 4000, and the binaries
    /// beside the running one.
    pub fn new(root: &Path) -> anyhow::Result<Self> {
        let bin_dir = built_beside()?;
        Ok(Self {
            root: root.to_owned(),
            template: root.join("template.yaml"),
            state: root.join(".local"),
            port: 4000,
            stack_name: "clipwright".to_owned(),
            exe: bin_dir.join("devstack"),
            bin_dir,
            image: None,
            parameters: BTreeMap::new(),
            faults: None,
            trust: None,
            logs: None,
            sample: None,
            count_calls: false,
            fresh: false,
        })
    }
}

/// The folder of the running program's siblings; a test binary lies one level deeper, in `deps`.
fn built_beside() -> anyhow::Result<PathBuf> {
    let exe = std::env::current_exe().context("cannot tell where this program lies")?;
    let mut folder = exe.parent().map(Path::to_owned).unwrap_or_default();
    if folder.ends_with("deps") {
        folder.pop();
    }
    Ok(folder)
}
