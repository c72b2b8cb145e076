//! The local cloud itself: what it keeps, what it leaves behind, and where it listens.

use std::path::Path;
use std::time::{Duration, Instant};

use devstack::fileserver::{Behaviour, FileServer};
use domain::money::Amount;
use serde_json::json;

use crate::stack::Cloud;
use crate::stack::cloud::{answer, http, until};
use crate::stack::share::is_well_formed;
use crate::stack::source::{served, usual};
use crate::stack::webhooks::secrets;

/// Processes that have `word` in their command line or environment.
fn processes_with(word: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let own = entry.file_name().to_string_lossy() == std::process::id().to_string();
        if own || !entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
        let text = [read("cmdline"), read("environ")].concat();
        if String::from_utf8_lossy(&text).contains(word) {
            found.push(String::from_utf8_lossy(&read("cmdline")).replace('\0', " "));
        }
    }
    found
}

fn gone_soon(state: &Path) {
    let begun = Instant::now();
    loop {
        let left = processes_with(state.to_str().unwrap());
        if left.is_empty() {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(15), "left behind: {left:#?}");
        std::thread::yield_now();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn state_and_secrets_survive_a_restart_and_no_process_is_left_behind() {
    let state = tempfile::tempdir().unwrap();
    let cloud = Cloud::start(state.path(), &[]);
    let account = cloud.account(Amount::cents(100)).await;
    let server = served(&usual()).await;
    let job = account.ask(&json!({ "url": server.url(), "start": 1, "end": 2 })).await;
    account.finish(&job).await;
    let key = cloud.info.demo_api_key.clone();
    let known = secrets::none_is_stored_or_logged(&cloud).await;
    assert!(!processes_with(state.path().to_str().unwrap()).is_empty(), "the search finds processes at all");
    cloud.stop();
    gone_soon(state.path());

    let again = Cloud::start(state.path(), &[]);
    assert_eq!(again.info.demo_api_key, key);
    let get = |path: String| http().get(again.url(&path)).bearer_auth(account.key.reveal());
    let (_, balance) = answer(get("/v1/balance".to_owned())).await;
    assert_eq!(balance, json!({ "balance": 0.9 }));
    let (_, clip) = answer(get(format!("/v1/clip/{job}"))).await;
    let file = http().get(clip["download_url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(clip["file_size"], file.bytes().await.unwrap().len());
    secrets::none_has_changed(&again, known).await;
    again.kill();
    gone_soon(state.path());
    let (status, _) = answer(http().get(crate::stack::cloud().url("/v1/balance"))).await;
    assert_eq!(status, 401, "another cloud lives on");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_were_under_way_end_with_the_next_start() {
    let state = tempfile::tempdir().unwrap();
    let cloud = Cloud::start(state.path(), &["--parameter", "ClipSlots=2"]);
    let account = cloud.account(Amount::cents(100)).await;
    let stalled = FileServer::start(&usual(), Behaviour::Stalled(70_000)).await.unwrap();
    let server = served(&usual()).await;
    let ask = |url: &str| json!({ "url": url, "start": 1, "end": 2 });
    let running = [account.ask(&ask(stalled.url())).await, account.ask(&ask(stalled.url())).await];
    let waiting = account.ask(&ask(server.url())).await;
    let begun = async |job| account.table().job(job).await.unwrap().unwrap().progress > 0;
    for job in &running {
        until("it runs", || begun(job)).await;
    }
    cloud.kill();
    gone_soon(state.path());

    let again = Cloud::start(state.path(), &["--parameter", "ClipSlots=2"]);
    let account = account.moved_to(&again);
    for job in &running {
        let ended = account.finish(job).await;
        assert_eq!(
            (&ended["status"], &ended["error_code"]),
            (&json!("failed"), &json!("internal")),
            "{ended}"
        );
    }
    assert_eq!(account.finish(&waiting).await["status"], "complete", "it got a slot");
    assert_eq!(account.audit().await, (Amount::cents(90), Amount::ZERO));
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_is_a_list_for_programs_and_a_page_for_people() {
    let cloud = crate::stack::cloud();
    for name in ["first", "second"] {
        let body = json!({ "email": format!("{name}@mail-page.example") });
        let (status, _) = answer(http().post(cloud.url("/v1/auth/signup")).json(&body)).await;
        assert_eq!(status, 200);
        until("the mail is there", async || {
            mails(cloud).await.contains(&format!("{name}@mail-page.example"))
        })
        .await;
    }
    let page = http().get(cloud.url("/_local/mail")).header("accept", "text/html").send().await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let page = page.text().await.unwrap();
    is_well_formed(&page);
    let place = |name: &str| page.find(&format!("{name}@mail-page.example")).unwrap();
    assert!(place("second") < place("first"), "the newest first");
    assert!(
        page.contains(&format!("<a href=\"{}/sign-in#", cloud.info.base_url)),
        "links can be followed: {page}"
    );
}

async fn mails(cloud: &Cloud) -> String {
    http().get(cloud.url("/_local/mail")).send().await.unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_listens_on_loopback_only() {
    let cloud = crate::stack::cloud();
    for url in [&cloud.info.base_url, &cloud.info.ministack_url, &cloud.info.dynamodb_url, &cloud.info.s3_url]
    {
        let port: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
        let listeners: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
            .iter()
            .flat_map(|table| {
                std::fs::read_to_string(table)
                    .unwrap_or_default()
                    .lines()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .filter(|line| line.split_whitespace().nth(3) == Some("0A"))
            .filter_map(|line| line.split_whitespace().nth(1).map(str::to_owned))
            .filter(|address| address.ends_with(&format!(":{port:04X}")))
            .collect();
        assert_eq!(listeners, [format!("0100007F:{port:04X}")], "{url}");
    }
}
