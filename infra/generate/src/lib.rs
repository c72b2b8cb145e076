//! Writes what follows from the tables of endpoints: a template for each area that answers HTTP, the generated part of the
//! root `template.yaml`, `infra/openapi.json`, and the state machines from their sources.
//!
//! Nothing here names an area. Which there are is cargo's word (`functions/*`); what is in them is told by their own
//! binaries, which print their table when they are started with `--describe`.
//!
//! How the stacks are cut, and why:
//!
//! - The API is one definition at the root, with one role for its integrations, because an `HttpApi` event cannot name
//!   an API of another template. Integrations call functions by name, so a stack's name has at most 40 characters, and
//!   a function's name cannot be reused by another one in the same deployment.
//! - Values go down as parameters, and nothing comes up. `${AWS::StackName}` would be the nested stack's own, so the
//!   root's is passed as `Stack`.
//! - Functions whose versions the state machine names stay in the root.
//! - What is optional hangs on a parameter that is empty (`DomainName`, `HostedZoneId`, `PageSecretArn`, `StripeSecretArn`) or 0
//!   (`MediaConcurrency`, off by default: reserved concurrency is taken from all other functions, and a new account has
//!   too little).
//! - A function has the grants of its row. SAM adds AWS's managed policies for logs, queues and traces, which speak of
//!   the whole account; `FunctionBoundary` cuts them back to this stack. `"*"` stands only where AWS knows no resource,
//!   with the reason beside it.
//! - There is one log group for each area, one for the state machine (executions that fail, without their data) and one
//!   for the API.
//! - A task that Lambda turns away because too many are running waits for its turn, for up to a quarter of an hour.
//! - There is no firewall. AWS WAF cannot stand before an HTTP API, only before CloudFront, and behind CloudFront every
//!   client would have CloudFront's address, which our limits by address would count as one.

pub mod api;
pub mod areas;
pub mod functions;
pub mod machine;
pub mod openapi;
mod refine;
pub mod stack;
mod yaml;

use std::path::{Path, PathBuf};

use anyhow::Context as _;

pub use areas::Area;

/// A generated file: where it lies in the checkout, and what it has to say.
#[derive(Debug)]
pub struct File {
    /// Relative to the checkout.
    pub path: PathBuf,
    /// All of it.
    pub text: String,
}

/// Every generated file of the checkout at `root`. The areas' binaries lie in `binaries`.
///
/// # Errors
/// When an area cannot be described, or an endpoint says too little of itself; the error says what to do.
pub fn files(root: &Path, binaries: &Path) -> anyhow::Result<Vec<File>> {
    let areas = areas::described(root, binaries)?;
    let mut files = Vec::new();
    for area in areas.iter().filter(|area| area.is_nested()) {
        files.push(File { path: area.template(), text: stack::nested(area)? });
    }
    let template = root.join(stack::ROOT);
    let written =
        std::fs::read_to_string(&template).with_context(|| format!("cannot read {}", template.display()))?;
    files.push(File { path: stack::ROOT.into(), text: stack::root(&written, &areas)? });
    let mut text = serde_json::to_string_pretty(&openapi::document(&areas)?)?;
    text.push('\n');
    files.push(File { path: openapi::FILE.into(), text });
    files.extend(machine::files(root)?);
    Ok(files)
}
