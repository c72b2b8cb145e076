//! Killed at any moment: what was answered has happened, and nothing has happened by halves.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::http::{Answer, KEY, off_session, options, send};

const FOLDER: &str = "STRIPE_TEST_FOLDER";
const ROUNDS: u64 = 6;

/// Run as a process of its own by the test below, which kills it; by itself it does nothing.
#[tokio::test]
async fn serves_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let stripe = stripe::serve(options(Path::new(&folder))).await.unwrap();
    // On a line of its own, whatever the harness has written before.
    println!("\nready {}", stripe.address());
    std::future::pending::<()>().await;
}

struct Process {
    child: Child,
    address: std::net::SocketAddr,
}

impl Process {
    fn start(folder: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "crash::serves_until_it_is_killed", "--nocapture"]);
        let mut child = command.env(FOLDER, folder).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut addresses =
            lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("ready ")?.parse().ok());
        let address = addresses.next().expect("it said where it listens");
        Self { child, address }
    }

    async fn call(&self, method: &str, path: &str, body: &str, key: &str) -> anyhow::Result<Answer> {
        let bearer = format!("Bearer {KEY}");
        send(self.address, method, path, body, &[("authorization", &bearer), ("idempotency-key", key)]).await
    }

    async fn get(&self, path: &str) -> Value {
        self.call("GET", path, "", "").await.unwrap().ok()
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_by_being_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(folder.path());
    let customer = process.call("POST", "/v1/customers", "email=a@b.example", "customer").await.unwrap().ok();
    let customer = customer["id"].as_str().unwrap().to_owned();
    let body = format!("customer={customer}");
    let card =
        process.call("POST", "/v1/payment_methods/pm_card_visa/attach", &body, "card").await.unwrap().ok();
    let card = card["id"].as_str().unwrap().to_owned();
    let (mut number, mut answered) = (0, 0);
    for round in 0..ROUNDS {
        let killed = tokio::time::sleep(Duration::from_millis(40 + 35 * round));
        tokio::pin!(killed);
        loop {
            let (key, body) = (format!("k{number}"), off_session(&customer, &card, 100 + number));
            tokio::select! {
                answer = process.call("POST", "/v1/payment_intents", &body, &key) => {
                    assert_eq!(answer.unwrap().status, 200);
                    number += 1;
                    answered += 1;
                }
                () = &mut killed => break,
            }
        }
        process.kill();
        process = Process::start(folder.path());
        // The one that was under way is asked for again, under its key.
        let (key, body) = (format!("k{number}"), off_session(&customer, &card, 100 + number));
        assert_eq!(process.call("POST", "/v1/payment_intents", &body, &key).await.unwrap().status, 200);
        number += 1;
    }
    assert!(answered > 0, "calls were answered before it was killed");
    let mut amounts = Vec::new();
    for kind in ["charges", "payment_intents", "balance_transactions"] {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let page = process.get(&format!("/v1/{kind}?limit=100{after}")).await;
            let data = page["data"].as_array().unwrap();
            all.extend(data.iter().map(|each| each["amount"].as_i64().unwrap()));
            if page["has_more"] == false {
                break;
            }
            after = format!("&starting_after={}", data.last().unwrap()["id"].as_str().unwrap());
        }
        all.sort_unstable();
        amounts.push(all);
    }
    let wanted: Vec<i64> = (0..number).map(|number| 100 + number).collect();
    assert_eq!(amounts, [wanted.clone(), wanted.clone(), wanted]);
}
