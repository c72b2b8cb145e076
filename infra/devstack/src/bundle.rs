//! A function's zip on the local cloud: nothing but a `bootstrap` that starts the binary built on this machine,
//! so that a rebuilt binary is what the next cold start runs; or, where that is asked for, the area's image.

use std::io::{Cursor, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use zip::write::SimpleFileOptions;

use crate::Options;

/// The zip for one area's functions.
pub(crate) fn zip(options: &Options, area: &str, logs: &Path) -> anyhow::Result<Vec<u8>> {
    let image = options.image.as_ref().map(|images| images.join(area)).filter(|image| image.exists());
    let command = match image {
        Some(image) => contained(options, &image)?,
        None => built(options, area)?,
    };
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let mode = SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .unix_permissions(0o755);
    archive.start_file("bootstrap", mode)?;
    archive.write_all(bootstrap(options, command, logs)?.as_bytes())?;
    Ok(archive.finish()?.into_inner())
}

/// The command that starts the binary built here.
fn built(options: &Options, area: &str) -> anyhow::Result<String> {
    let binary = options.bin_dir.join(area);
    if !binary.is_file() {
        bail!(
            "the template has functions of area {area}, but {} is not built (cargo build first)",
            binary.display()
        );
    }
    quoted(&binary)
}

/// What an image says of the programs in it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ImageConfig {
    env: Vec<String>,
    entrypoint: Vec<String>,
}

/// The command that starts the image's own as Lambda does: in its files, with its environment, and with the handler's
/// name as the argument and nowhere else.
fn contained(options: &Options, image: &Path) -> anyhow::Result<String> {
    let file = image.join("config.json");
    let config =
        std::fs::read(&file).with_context(|| format!("cannot read {}; cargo xtask image", file.display()))?;
    let ImageConfig { env, entrypoint } = serde_json::from_slice(&config)?;
    let mut words =
        vec![quoted(&options.root.join("infra/devstack/sandbox.sh"))?, quoted(&image.join("root"))?];
    words.push("env -u _HANDLER".to_owned());
    for word in env.iter().chain(&entrypoint) {
        words.push(quoted(Path::new(word))?);
    }
    words.push("\"$_HANDLER\"".to_owned());
    Ok(words.join(" "))
}

fn bootstrap(options: &Options, mut command: String, logs: &Path) -> anyhow::Result<String> {
    if let Some(faults) = &options.faults {
        command = format!("{} shim --faults {} -- {command}", quoted(&options.exe)?, quoted(faults)?);
    }
    // ministack keeps only the last lines of a function's output, in memory; a file per function is what a
    // developer can read and grep.
    let log = format!("{}/\"$AWS_LAMBDA_FUNCTION_NAME\".log", quoted(logs)?);
    // The SDK names its caller by this; see `meter`.
    let name = "export AWS_SDK_UA_APP_ID=\"$_HANDLER\"";
    Ok(format!("#!/bin/sh\n{name}\nexec {command} >>{log} 2>&1\n"))
}

/// The path as one word of a shell script.
fn quoted(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str().with_context(|| format!("{} is not valid UTF-8", path.display()))?;
    Ok(format!("'{}'", text.replace('\'', r"'\''")))
}
