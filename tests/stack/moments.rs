//! `POST /v1/clip/auto` and `POST /v1/clip/analyze`: what is found is told and cut, and nothing is paid that was not
//! delivered.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use axum::http::StatusCode;
use axum::response::IntoResponse;
use devstack::fileserver::FileServer;
use domain::ids::JobId;
use domain::money::Amount;
use serde_json::{Value, json};

use crate::stack::exact::compare;
use crate::stack::pages::{Site, page, typed};
use crate::stack::source::{ffprobe, lavfi, made, served, usual};
use crate::stack::upload::uploaded;
use crate::stack::{Account, With, cloud, fragile, http, shared};

/// When something is said in [`talk`], in seconds.
const SAID: [(u32, u32, &str); 5] = [
    (1, 4, "Welcome to our little show about gardens."),
    (5, 9, "Neural networks learn from examples."),
    (20, 24, "The weather is fine today."),
    (30, 34, "Neural networks need a lot of memory."),
    (50, 54, "Thank you for your neural networks."),
];
/// Those of it that are about neural networks.
const SPANS: [(f64, f64); 3] = [(5.0, 9.0), (30.0, 34.0), (50.0, 54.0)];
const QUERY: &str = "all mentions of neural networks";

fn captions(form: fn(u32, u32, &str) -> String) -> String {
    SAID.iter().map(|(start, end, text)| form(*start, *end, text)).collect()
}

/// A minute with captions in the file.
fn talk() -> PathBuf {
    with_captions(
        "talk.mp4",
        &made("silent-talk.mp4", &format!("{} {X264} -c:a aac", lavfi("160x90", "10", 60))),
    )
}

const X264: &str = "-c:v libx264 -preset ultrafast -g 30 -pix_fmt yuv420p";

fn with_captions(name: &str, video: &Path) -> PathBuf {
    let srt = tempfile::Builder::new().suffix(".srt").tempfile().unwrap();
    let cue = |start: u32, end: u32, text: &str| {
        format!("{start}\n00:00:{start:02},000 --> 00:00:{end:02},000\n{text}\n\n")
    };
    std::fs::write(srt.path(), captions(cue)).unwrap();
    let arguments = "-map 0 -map 1 -c copy -c:s mov_text -metadata:s:s:0 language=eng -movflags +faststart";
    made(name, &format!("-i {} -i {} {arguments}", video.display(), srt.path().display()))
}

async fn talk_served() -> FileServer {
    served(&talk()).await
}

fn spans(list: &Value) -> Vec<(f64, f64)> {
    let time = |moment: &Value, end: &str| moment[end].as_f64().unwrap();
    list.as_array().unwrap().iter().map(|one| (time(one, "start"), time(one, "end"))).collect()
}

/// Asks for clips; answers the job's id.
async fn ask(account: &Account, body: &Value) -> JobId {
    let (status, answer) = account.post("/v1/clip/auto", body).await;
    assert_eq!((status, &answer["status"]), (200, &json!("pending")), "{answer}");
    JobId::parse(answer["job_id"].as_str().unwrap()).unwrap()
}

/// Asks when it is; waits for the job that it becomes where the machine is too slow for an answer at once.
async fn analyzed(account: &Account, body: &Value) -> (u16, Value) {
    let (status, answer) = account.post("/v1/clip/analyze", body).await;
    match answer["job_id"].as_str().and_then(JobId::parse) {
        Some(job) => (200, account.finish(&job).await),
        None => (status, answer),
    }
}

async fn fetched(clip: &Value) -> Vec<u8> {
    let file = http().get(clip["download_url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(file.status(), 200);
    file.bytes().await.unwrap().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analysis_is_answered_at_once_and_paid_once() {
    let (server, account) = (talk_served().await, cloud().account(Amount::cents(100)).await);
    let body = json!({ "url": server.url(), "query": QUERY });
    let send = |prefer: &'static str, key: &'static str| {
        let request =
            account.request(reqwest::Method::POST, "/v1/clip/analyze").header("idempotency-key", key);
        crate::stack::cloud::answer(request.header("prefer", prefer).json(&body))
    };
    let (status, first) = send("", "one").await;
    assert_eq!((status, &first["cost"]), (200, &json!(0.1)), "{first}");
    assert_eq!(spans(&first["segments"]), SPANS, "{first}");
    let best = &first["segments"][0];
    assert!(best["excerpt"].as_str().unwrap().contains("learn from examples"), "{first}");
    assert!((0.0..=1.0).contains(&best["confidence"].as_f64().unwrap()), "{first}");
    let read = server.bytes_served();
    assert_eq!(send("", "one").await, (200, first.clone()));
    assert_eq!(account.audit().await, (Amount::cents(90), Amount::ZERO));

    let (status, job) = send("wait=5, respond-async", "two").await;
    assert_eq!((status, &job["status"]), (202, &json!("pending")), "{job}");
    let id = JobId::parse(job["job_id"].as_str().unwrap()).unwrap();
    assert_eq!(job["poll"], format!("/v1/clip/{id}"));
    let done = account.finish(&id).await;
    assert_eq!((&done["status"], &done["cost"]), (&json!("complete"), &json!(0.1)), "{done}");
    assert_eq!(done["segments"], first["segments"]);
    assert_eq!((&done["format"], &done["clips"]), (&Value::Null, &Value::Null), "{done}");
    assert_eq!(send("respond-async", "two").await, (202, job));

    let nothing = json!({ "url": server.url(), "query": "zebra crossings" });
    let (status, answer) = account.post("/v1/clip/analyze", &nothing).await;
    assert_eq!((status, answer), (200, json!({ "segments": [], "cost": 0.1 })));
    // The words are kept: two more questions read less than the first one.
    assert!(server.bytes_served() - read < read, "{} of {read}", server.bytes_served());
    assert_eq!(account.audit().await, (Amount::cents(70), Amount::ZERO));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analysis_of_a_page_and_of_an_upload() {
    let media = served(&usual()).await;
    let file = media.url().to_owned();
    let site = Site::start(move |path, base| match path {
        "/talk" => {
            let track = format!("<track kind='captions' src='{base}/en.vtt' srclang='en'>");
            page("A talk", "", &format!("<video><source src='{file}' type='video/mp4'>{track}</video>"))
        }
        "/en.vtt" => typed("text/vtt", b"WEBVTT\n\n00:02.000 --> 00:04.000\nNeural networks.\n".to_vec()),
        _ => StatusCode::NOT_FOUND.into_response(),
    })
    .await;
    let account = cloud().account(Amount::cents(100)).await;
    let body = json!({ "url": site.url("/talk"), "query": QUERY });
    let (status, answer) = analyzed(&account, &body).await;
    assert_eq!((status, spans(&answer["segments"])), (200, vec![(2.0, 4.0)]), "{answer}");

    let id = uploaded(&account, &talk()).await;
    let (status, answer) = analyzed(&account, &json!({ "file_id": id, "query": QUERY })).await;
    assert_eq!((status, spans(&answer["segments"])), (200, SPANS.to_vec()), "{answer}");
    let other = cloud().account(Amount::cents(100)).await;
    let (status, answer) = other.post("/v1/clip/analyze", &json!({ "file_id": id, "query": QUERY })).await;
    assert_eq!(status, 404, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clips_of_what_is_found_are_exact_and_in_the_history() {
    let (server, account) = (talk_served().await, cloud().account(Amount::cents(100)).await);
    // The specification's example, but for the URL. 4K is asked for and cannot be delivered.
    let body = json!({ "url": server.url(), "query": QUERY, "format": "mp4", "quality": "4k" });
    let (status, quote) = account.post("/v1/clip/quote", &body).await;
    assert_eq!((status, &quote["kind"], &quote["cost"]), (200, &json!("auto"), &json!(0.2)), "{quote}");
    let (status, accepted) = account.post("/v1/clip/auto", &body).await;
    assert_eq!((status, &accepted["status"]), (200, &json!("pending")), "{accepted}");
    assert_eq!(accepted["reserved"], 0.2, "{accepted}");
    let job = JobId::parse(accepted["job_id"].as_str().unwrap()).unwrap();
    let mut seen = vec!["pending".to_owned()];
    let done = loop {
        let (_, answer) = account.get(&format!("/v1/clip/{job}?wait=20")).await;
        let status = answer["status"].as_str().unwrap().to_owned();
        if status == "processing" {
            let message = answer["status_message"].as_str().unwrap();
            assert!(message.starts_with("Processing segment ") && message.ends_with("/3"), "{message}");
        }
        if seen.last() != Some(&status) {
            seen.push(status.clone());
        }
        if matches!(&*status, "complete" | "failed") {
            break answer;
        }
    };
    let order = ["pending", "analyzing", "downloading", "processing", "uploading", "complete"];
    let places: Vec<_> = seen.iter().map(|status| order.iter().position(|one| one == status)).collect();
    assert!(places.is_sorted() && places.iter().all(Option::is_some), "{seen:?}");

    assert_eq!((&done["status"], &done["cost"]), (&json!("complete"), &json!(0.4)), "{done}");
    assert_eq!(spans(&done["clips"]), SPANS, "{done}");
    for (clip, (start, end)) in done["clips"].as_array().unwrap().iter().zip(SPANS) {
        compare(&fetched(clip).await, "talk.mp4", &talk(), start, end);
        assert_eq!(clip["quality"], "90p", "{clip}");
        let id = clip["clip_id"].as_str().unwrap();
        assert_eq!(clip["share_url"], format!("/c/{id}"));
        assert_eq!(clip["embed_url"], format!("/embed/{id}"));
        let shown = http().get(cloud().url(&format!("/c/{id}"))).send().await.unwrap();
        assert_eq!(shown.status(), 200);
        assert_eq!(
            account.post(&format!("/v1/clip/{id}/cancel"), &json!({})).await.0,
            404,
            "no job of its own"
        );
    }
    let (_, history) = account.get("/v1/clips").await;
    assert_eq!(history["clips"].as_array().unwrap().len(), 3, "{history}");
    assert_eq!(account.audit().await, (Amount::cents(60), Amount::ZERO));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_delivered_is_paid() {
    let server = talk_served().await;
    let body = json!({ "url": server.url(), "query": QUERY, "format": "mp3" });

    // The balance covers two of three.
    let account = cloud().account(Amount::cents(35)).await;
    let done = account.finish(&ask(&account, &body).await).await;
    assert_eq!((&done["status"], &done["cost"]), (&json!("complete"), &json!(0.3)), "{done}");
    assert_eq!((done["clips"].as_array().unwrap().len(), &done["segments_left"]), (2, &json!(1)), "{done}");
    assert_eq!(account.audit().await, (Amount::cents(5), Amount::ZERO));

    // What may be spent covers one, although there is more.
    let account = cloud().account(Amount::cents(100)).await;
    let mut bounded = body.clone();
    bounded["max_cost"] = json!(0.25);
    let done = account.finish(&ask(&account, &bounded).await).await;
    assert_eq!((&done["cost"], &done["segments_left"]), (&json!(0.2), &json!(2)), "{done}");
    let capped = account.with_key(&domain::account::Scope::ALL, Some(Amount::cents(20))).await;
    let done = capped.finish(&ask(&capped, &body).await).await;
    assert_eq!((&done["cost"], &done["segments_left"]), (&json!(0.2), &json!(2)), "{done}");
    assert_eq!(account.audit().await, (Amount::cents(60), Amount::ZERO));

    // Nothing is found.
    let nothing = json!({ "url": server.url(), "query": "zebra crossings" });
    let done = account.finish(&ask(&account, &nothing).await).await;
    assert_eq!((&done["status"], &done["error_code"]), (&json!("failed"), &json!("nothing_found")), "{done}");
    assert_eq!(account.audit().await, (Amount::cents(60), Amount::ZERO));
}

/// The talk with nothing but zeros where the picture was in the second of three moments.
fn torn() -> PathBuf {
    static TORN: LazyLock<PathBuf> = LazyLock::new(tear);
    TORN.clone()
}

fn tear() -> PathBuf {
    let torn = made("torn-talk.mp4", &format!("-i {} -map 0 -c copy -movflags +faststart", talk().display()));
    let mut bytes = std::fs::read(&torn).unwrap();
    for packet in ffprobe(&torn, "v", "packet=pts_time,size,pos") {
        let fields: Vec<f64> = packet.split(',').filter_map(|field| field.parse().ok()).collect();
        let [time, size, position] = fields[..] else { panic!("{packet}") };
        if (28.0..36.0).contains(&time) {
            bytes[position as usize..(position + size) as usize].fill(0);
        }
    }
    std::fs::write(&torn, bytes).unwrap();
    torn
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_that_cannot_be_made_costs_nothing() {
    let (server, account) = (served(&torn()).await, cloud().account(Amount::cents(100)).await);
    let body = json!({ "url": server.url(), "query": QUERY });
    let done = account.finish(&ask(&account, &body).await).await;
    assert_eq!((&done["status"], &done["cost"]), (&json!("complete"), &json!(0.3)), "{done}");
    assert_eq!(spans(&done["clips"]), [SPANS[0], SPANS[2]], "{done}");
    assert_eq!(spans(&done["failed_segments"]), [SPANS[1]], "{done}");
    assert_eq!(done["failed_segments"][0]["error_code"], "source_unsupported", "{done}");
    assert_eq!(account.audit().await, (Amount::cents(70), Amount::ZERO));
    // If it is the only one, nothing is left to be paid.
    let only = json!({ "url": server.url(), "query": "networks need memory", "max_segments": 1 });
    let done = account.finish(&ask(&account, &only).await).await;
    assert_eq!(
        (&done["status"], &done["error_code"]),
        (&json!("failed"), &json!("source_unsupported")),
        "{done}"
    );
    assert_eq!(account.audit().await, (Amount::cents(70), Amount::ZERO));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_looked_through_is_told_and_free() {
    let (server, account) = (talk_served().await, cloud().account(Amount::cents(100)).await);
    let silent = served(&usual()).await;
    let still = |name: &str, seconds: u32| {
        let input = format!("-f lavfi -i color=size=64x36:rate=1:duration={seconds}");
        with_captions(name, &made(&format!("still-{name}"), &format!("{input} {X264}")))
    };
    let endless = served(&still("endless.mp4", 3 * 3600 + 1)).await;
    for (change, status, code) in [
        (json!({ "query": "" }), 400, "bad_request"),
        (json!({ "query": "x".repeat(501) }), 400, "bad_request"),
        (json!({ "query": Value::Null }), 400, "bad_request"),
        (json!({ "max_segments": 21 }), 400, "bad_request"),
        (json!({ "url": endless.url() }), 422, "source_unsupported"),
        (json!({ "max_cost": 0.05 }), 402, "max_cost_exceeded"),
        (json!({ "url": "https://10.0.0.1:1/a.mp4" }), 422, "source_unavailable"),
    ] {
        for path in ["/v1/clip/auto", "/v1/clip/analyze"] {
            let mut body = json!({ "url": server.url(), "query": QUERY });
            body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let (got, answer) = account.post(path, &body).await;
            assert_eq!((got, &answer["code"]), (status, &json!(code)), "{path} {change}: {answer}");
        }
    }
    let done = account.finish(&ask(&account, &json!({ "url": silent.url(), "query": QUERY })).await).await;
    assert_eq!((&done["status"], &done["error_code"]), (&json!("failed"), &json!("no_speech")), "{done}");
    assert_eq!(account.audit().await, (Amount::cents(100), Amount::ZERO));

    let poor = cloud().account(Amount::cents(9)).await;
    for path in ["/v1/clip/auto", "/v1/clip/analyze"] {
        let (status, answer) = poor.post(path, &json!({ "url": server.url(), "query": QUERY })).await;
        assert_eq!((status, &answer["code"]), (402, &json!("insufficient_balance")), "{path}: {answer}");
    }
    assert_eq!(poor.audit().await, (Amount::cents(9), Amount::ZERO));

    // A second more than an hour is two hours that were started.
    let hour = served(&still("hour.mp4", 3601)).await;
    let (status, answer) =
        account.post("/v1/clip/analyze", &json!({ "url": hour.url(), "query": QUERY })).await;
    assert_eq!((status, &answer["cost"]), (200, &json!(0.2)), "{answer}");
    let quote = json!({ "url": hour.url(), "query": QUERY, "kind": "analyze" });
    let (status, answer) = account.post("/v1/clip/quote", &quote).await;
    assert_eq!((status, &answer["kind"], &answer["cost"]), (200, &json!("analyze"), &json!(0.2)), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_cancelled_ends_with_its_parts() {
    let (server, account) = (talk_served().await, cloud().account(Amount::cents(100)).await);
    let job = ask(&account, &json!({ "url": server.url(), "query": QUERY })).await;
    crate::stack::cloud::until("it is divided", || async {
        account.table().job(&job).await.unwrap().unwrap().parts == 3
    })
    .await;
    let (status, answer) = account.post(&format!("/v1/clip/{job}/cancel"), &json!({})).await;
    // It may have been quicker.
    if status == 200 {
        assert_eq!((&answer["status"], &answer["cost"]), (&json!("cancelled"), &json!(0.0)), "{answer}");
        assert_eq!(account.audit().await, (Amount::cents(100), Amount::ZERO));
    }
    let ended = account.table().job(&job).await.unwrap().unwrap();
    for (part, _) in account.table().parts(&ended).await.unwrap() {
        assert!(part.status.is_final(), "{part:?}");
    }
}

/// Kills every stage of a job with parts once at its start and once at its end.
#[tokio::test(flavor = "multi_thread")]
async fn every_stage_may_be_killed() {
    let fragile = fragile(With::FragileJobs).await;
    let (cloud, faults) = (fragile.cloud, &fragile.faults);
    let account = cloud.account(Amount::cents(1000)).await;
    let (good, bad) = (talk_served().await, served(&torn()).await);
    let mut spent = 0;
    for stage in [
        "media.words",
        "speech.find",
        "stages.choose",
        "media.download",
        "media.upload",
        "stages.lose",
        "stages.settle",
    ] {
        for place in ["start", "end"] {
            let fault = faults.join(format!("{stage}.{place}"));
            std::fs::write(&fault, "").unwrap();
            let is_lost = stage == "stages.lose";
            let url = if is_lost { bad.url() } else { good.url() };
            // Sound is made fast; it is the picture that is torn.
            let (format, most) = if is_lost { ("mp4", 3) } else { ("mp3", 2) };
            let body = json!({ "url": url, "query": QUERY, "format": format, "max_segments": most });
            let done = account.finish(&ask(&account, &body).await).await;
            assert!(!fault.exists(), "{stage} was not killed at its {place}");
            assert_eq!(
                (&done["status"], &done["cost"]),
                (&json!("complete"), &json!(0.3)),
                "{stage} {place}: {done}"
            );
            assert_eq!(done["clips"].as_array().unwrap().len(), 2, "{stage} {place}: {done}");
            spent += 30;
            assert_eq!(account.audit().await, (Amount::cents(1000 - spent), Amount::ZERO), "{stage} {place}");
        }
    }
}

/// A large model looks first; where it is of no use, the built-in finder answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_model_is_asked_first_and_not_relied_on() {
    /// What the local cloud's large model always says.
    const BY_LARGE_MODEL: f64 = 0.77;
    let server = talk_served().await;
    let account = shared(With::NarrowSettings).account(Amount::cents(100)).await;
    let ask = async |query: &str| {
        let body = json!({ "url": server.url(), "query": query });
        let (status, answer) = analyzed(&account, &body).await;
        assert_eq!(status, 200, "{answer}");
        let sure = |moment: &Value| moment["confidence"].as_f64() == Some(BY_LARGE_MODEL);
        (spans(&answer["segments"]), answer["segments"].as_array().unwrap().iter().any(sure))
    };
    assert_eq!(ask("need a lot of memory").await, (vec![SPANS[1]], true));
    assert_eq!(ask("zebras").await, (vec![], false));
    let mut answered = 0;
    for mood in ["refuse", "throttle", "babble", "miscount"] {
        let (found, by_large_model) = ask(&format!("networks that need a lot of memory, {mood}")).await;
        assert!(!by_large_model, "{mood}");
        answered += usize::from(!found.is_empty());
    }
    assert!(answered > 0, "the built-in finder takes over");
    account.audit().await;
}
