//! SAM's transform, done once for each template and kept in the machine's cache: ministack would load SAM, which takes longer
//! than all else of it, and do the same at each start.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use places::Entry;
use serde_json::Value as Json;

use crate::options::REGION;

const SCRIPT: &str = include_str!("../transform.py");
const SAM: &str = "AWS::Serverless-2016-10-31";
const FILE: &str = "template.json";

/// The template as plain CloudFormation. One that needs other macros than SAM's, or none, stays as it is. `programs` is
/// ministack's Python environment, which holds SAM, and is named by all that is in it.
pub(crate) fn plain(programs: &Path, template: Json) -> anyhow::Result<Json> {
    if template.get("Transform").is_none_or(|transform| transform != SAM) {
        return Ok(template);
    }
    let text = template.to_string();
    let environment = programs.to_string_lossy();
    let entry = Entry::new("plain-template")?.text(&environment).text(SCRIPT).text(&text);
    let folder = entry.get(|folder| {
        let made = transformed(programs, &text)?;
        std::fs::create_dir_all(folder)?;
        Ok(std::fs::write(folder.join(FILE), made)?)
    })?;
    let made = std::fs::read(folder.join(FILE)).context("cannot read what SAM made of the template")?;
    serde_json::from_slice(&made).context("SAM made something odd of the template")
}

fn transformed(programs: &Path, template: &str) -> anyhow::Result<Vec<u8>> {
    let mut python = Command::new(programs.join("python"));
    python.args(["-c", SCRIPT]).env("AWS_DEFAULT_REGION", REGION);
    let mut python = python
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run SAM's transform")?;
    // It reads all before it writes, so this does not wait for each other. Why it ended early is in its own words.
    let _ = python.stdin.take().context("SAM's transform has no input")?.write_all(template.as_bytes());
    let output = python.wait_with_output()?;
    if !output.status.success() {
        bail!("SAM does not take the template: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}
