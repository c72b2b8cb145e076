//! Clients written as FastClip's documentation writes them, run by the real interpreters. Nothing in them is ours but
//! the base URL, the key and the source.

use std::path::Path;
use std::process::Command;

use domain::money::Amount;

use crate::root::root;
use crate::stack::http;
use crate::stack::source::{served, usual};
use crate::stack::{Account, cloud};

/// Runs a client of `tests/conformance` and fetches the link that it prints.
async fn run(program: &str, client: &str) {
    let path = root().join("tests/conformance").join(client);
    assert!(Path::new(&path).exists(), "{client}");
    prints_a_link(program, |command, _, _| {
        command.arg(&path);
    })
    .await;
}

/// Runs a program for an account and a source, and fetches the link that it prints.
async fn prints_a_link(program: &str, client: impl FnOnce(&mut Command, &Account, &str)) {
    let account: Account = cloud().account(Amount::cents(20)).await;
    let server = served(&usual()).await;
    let mut command = Command::new(program);
    client(&mut command, &account, server.url());
    command
        .env("BASE_URL", &cloud().info.base_url)
        .env("API_KEY", account.key.reveal())
        .env("SOURCE_URL", server.url());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let output =
        output.unwrap_or_else(|error| panic!("{program}: {error}; run the tests with `cargo xtask test`"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let link = text
        .split(['"', ' ', '\n'])
        .find(|word| word.contains("/clips/"))
        .unwrap_or_else(|| panic!("{text}"));
    let file = http().get(link).send().await.unwrap();
    assert_eq!(file.status(), 200, "{link}");
    let bytes = file.bytes().await.unwrap();
    assert_eq!(&bytes[4..8], b"ftyp");
    assert_eq!(account.balance().await, 0.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client() {
    // `requests` is what the documentation uses; the venv of `cargo xtask test` has it.
    run(&crate::root::tool("PYTHON"), "client.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_client() {
    run("node", "client.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_curl_client() {
    run("bash", "client.sh").await;
}

/// README's program, with another address, key and video.
#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_python() {
    let readme = crate::root::read("README.md");
    let (_, rest) = readme.split_once("```python\n").unwrap();
    let (program, _) = rest.split_once("```").unwrap();
    prints_a_link(&crate::root::tool("PYTHON"), |command, account, url| {
        let mut program = program.to_owned();
        for (from, to) in [
            ("http://127.0.0.1:4000", cloud().info.base_url.as_str()),
            (cloud().info.demo_api_key.as_str(), account.key.reveal()),
            ("f\"{base}/_local/test-picture.mp4\"", &format!("{url:?}")),
        ] {
            assert!(program.contains(from), "README's program has no {from}: {program}");
            program = program.replace(from, to);
        }
        command.args(["-c", &program]);
    })
    .await;
}
