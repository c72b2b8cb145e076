//! The specification's own reload clients: nothing in them is ours but the base and the key.

use std::process::Command;

use domain::money::Amount;

use super::{GOOD, Person};
use crate::root::{root, tool};
use crate::stack::cloud;

async fn run(program: &str, client: &str) -> String {
    let person = Person::with_card(cloud(), "sample", GOOD).await;
    // $5.00 to begin with, and one clip.
    person.spend(Amount::cents(10)).await;
    let mut command = Command::new(program);
    command.arg(root().join("tests/conformance").join(client));
    command.env("BASE_URL", &cloud().info.base_url).env("API_KEY", person.key.reveal());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    person.settled(2500).await;
    text
}

const PRINTED: &str = "Balance: $4.90\n  visa ****4242\nNew balance: $29.90\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_python_reload() {
    assert_eq!(run(&tool("PYTHON"), "reload.py").await, PRINTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_reload() {
    assert_eq!(run("node", "reload.mjs").await, PRINTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_curl_reload() {
    let told = run("bash", "reload.sh").await;
    assert!(told.starts_with(r#"{"balance":4.9}{"cards":[{"id":"pm_"#), "{told}");
    let (_, reload) = told.split_once(r#"]}{"success":true,"payment_intent_id":"pi_"#).unwrap();
    assert!(reload.ends_with(r#"","amount":2500,"balance":29.9}"#), "{told}");
}
