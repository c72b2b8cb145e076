//! Writes `infra/openapi.json`, or with `--check` fails when it is stale. Run by `cargo xtask generate`.

use std::process::ExitCode;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi.json");

#[allow(clippy::print_stderr)] // a command-line tool
fn main() -> ExitCode {
    let check = std::env::args().any(|argument| argument == "--check");
    match generate(check) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("openapi: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn generate(check: bool) -> Result<(), String> {
    let document = openapi::document()?;
    let text = serde_json::to_string_pretty(&document).map_err(|error| error.to_string())? + "\n";
    if !check {
        return std::fs::write(FILE, text).map_err(|error| error.to_string());
    }
    let on_disk = std::fs::read_to_string(FILE).map_err(|error| error.to_string())?;
    if on_disk == text {
        Ok(())
    } else {
        Err("infra/openapi.json is stale; run `cargo xtask generate`".to_owned())
    }
}
