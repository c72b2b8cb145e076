//! Writes `infra/openapi.json` and the state machines, or with `--check` fails when one of them is stale. Run by `cargo xtask generate`.

use std::{path::Path, process::ExitCode};

const INFRA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

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
    let problem = |error: std::io::Error| error.to_string();
    let document = openapi::document()?;
    let text = serde_json::to_string_pretty(&document).map_err(|error| error.to_string())? + "\n";
    let mut files = vec![("openapi.json".to_owned(), text)];
    for (name, source) in openapi::machine::sources(Path::new(INFRA)).map_err(problem)? {
        let machine = openapi::machine::machine(&source).map_err(|problem| format!("{name}: {problem}"))?;
        files.push((format!("statemachines/{name}.asl.json"), machine));
    }
    for (file, text) in files {
        let path = Path::new(INFRA).join(&file);
        if !check {
            std::fs::write(path, text).map_err(problem)?;
        } else if std::fs::read_to_string(path).map_err(problem)? != text {
            return Err(format!("infra/{file} is stale; run `cargo xtask generate`"));
        }
    }
    Ok(())
}
