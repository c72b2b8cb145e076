//! Signatures, checked by the libraries that receivers use, with the code that `docs/webhooks.md` shows them.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::receiver::Hit;
use crate::root::{read, tool};

/// Reads what the test wants checked, prints the event; how each language does it.
const PYTHON: &str = "
import json, sys
ask = json.load(sys.stdin)
print(json.dumps(event_of(ask['secret'], ask['headers'], ask['body'])))
";
const NODE: &str = "
import { readFileSync } from 'node:fs';
const ask = JSON.parse(readFileSync(0, 'utf8'));
console.log(JSON.stringify(eventOf(ask.secret, ask.headers, ask.body)));
";

/// The first block of code in `language` that the page for receivers shows.
fn shown(language: &str) -> String {
    let page = read("docs/webhooks.md");
    let block = page.split(&format!("```{language}\n")).nth(1).unwrap_or_else(|| panic!("no {language}"));
    block.split("```").next().unwrap().to_owned()
}

/// Whether both libraries accept a request with `secret`. They must agree, and read the event that was sent.
pub(crate) async fn accepts(secret: &str, hit: &Hit) -> bool {
    let headers: serde_json::Map<String, Value> =
        hit.headers.iter().map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap()))).collect();
    let ask = json!({ "secret": secret, "headers": headers, "body": hit.body }).to_string();
    let mut python = Command::new(tool("PYTHON"));
    python.args(["-c", &format!("{}{PYTHON}", shown("python"))]);
    let modules = tool("NODE_MODULES");
    let mut node = Command::new("node");
    node.args(["--input-type=module", "-e", &format!("{}{NODE}", shown("js"))]);
    // A program from the command line looks for modules where it runs.
    node.current_dir(std::path::Path::new(&modules).parent().unwrap());
    let told = [run(python, ask.clone()).await, run(node, ask).await];
    let [by_python, by_node] = told.map(|told| told.map(|event| is_same(&event, &hit.json())));
    assert_eq!(by_python.is_ok(), by_node.is_ok(), "{by_python:?}, {by_node:?}");
    match by_python {
        Ok(is_same) => {
            assert!(is_same && by_node.unwrap(), "another event than {}", hit.body);
            true
        }
        Err(complaint) => {
            let words = format!("{complaint}{}", by_node.unwrap_err());
            assert!(words.contains("No matching signature found"), "{words}");
            false
        }
    }
}

/// Whether two events are the same, though JavaScript writes 1.0 as 1.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| is_same(a, b)))
        }
        _ => a == b,
    }
}

/// What a program prints for `input`, or what it complains of.
async fn run(mut command: Command, input: String) -> Result<Value, String> {
    let command = move || {
        use std::io::Write as _;
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let output = tokio::task::spawn_blocking(command).await.unwrap();
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
