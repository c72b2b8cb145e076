//! A function's zip on the local cloud: nothing but a `bootstrap` that starts the binary built on this machine,
//! so that a rebuilt binary is what the next cold start runs.

use std::io::{Cursor, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use zip::write::SimpleFileOptions;

use crate::Options;

/// The zip for one area's functions.
pub(crate) fn zip(options: &Options, area: &str, logs: &Path) -> anyhow::Result<Vec<u8>> {
    let binary = options.bin_dir.join(area);
    if !binary.is_file() {
        bail!(
            "the template has functions of area {area}, but {} is not built (cargo build first)",
            binary.display()
        );
    }
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let mode = SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .unix_permissions(0o755);
    archive.start_file("bootstrap", mode)?;
    archive.write_all(bootstrap(options, &binary, logs)?.as_bytes())?;
    Ok(archive.finish()?.into_inner())
}

fn bootstrap(options: &Options, binary: &Path, logs: &Path) -> anyhow::Result<String> {
    let mut command = quoted(binary)?;
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
