//! The price before the work, and the most that a job may cost.

use domain::job::Job;
use domain::ledger::EntryKind;
use domain::money::Amount;
use domain::quality::{PictureSize, Quality};
use domain::spec::Spec;
use serde_json::{Value, json};

use crate::stack::cloud::{http, now};
use crate::stack::queue::{accept_job, accepted};
use crate::stack::source::{lavfi, made, served, usual};
use crate::stack::{Account, cloud};

/// Where the job that a body describes is asked for.
fn route(body: &Value) -> &'static str {
    if body.get("start").is_some() || body.get("end").is_some() { "/v1/clip" } else { "/v1/download" }
}

/// The body of a refusal, without what differs from request to request.
fn plain(mut answer: Value) -> Value {
    answer.as_object_mut().unwrap().remove("request_id");
    answer
}

async fn untouched(account: &Account, balance: Amount) {
    assert_eq!(account.audit().await, (balance, Amount::ZERO));
}

/// A container that only ffprobe reads has a price, too.
#[tokio::test(flavor = "multi_thread")]
async fn any_source_has_a_quote() {
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&made("quote.mkv", &format!("-i {} -c copy", usual().display()))).await;
    let (status, quote) =
        account.post("/v1/clip/quote", &json!({ "url": server.url(), "start": 1, "end": 2 })).await;
    assert_eq!((status, &quote["kind"]), (200, &json!("clip")), "{quote}");
    untouched(&account, Amount::cents(100)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_reserves_what_its_quote_told() {
    let account = cloud().account(Amount::cents(100)).await;
    let encode = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac";
    let (small, large) = (
        served(&usual()).await,
        served(&made("uhd.mp4", &format!("{} {encode}", lavfi("3840x2160", "5", 2)))).await,
    );
    let (small, large) = (small.url(), large.url());
    let mut spent = 0;
    for (body, kind, cents, quality, seconds) in [
        (json!({ "url": small, "start": 1, "end": "0:03.5" }), "clip", 10, json!("180p"), 2.5),
        (json!({ "url": small, "start": 1, "end": 2, "format": "mp3" }), "clip", 10, Value::Null, 1.0),
        (json!({ "url": large, "start": 0, "end": 1, "quality": "4k" }), "clip", 20, json!("4k"), 1.0),
        (
            json!({ "url": large, "start": 0, "end": 1, "format": "mp3", "quality": "4k" }),
            "clip",
            10,
            Value::Null,
            1.0,
        ),
        (json!({ "url": large, "start": 0, "end": 1, "quality": "720p" }), "clip", 10, json!("720p"), 1.0),
        (json!({ "url": large, "quality": "4k" }), "download", 10, json!("4k"), 2.0),
        (json!({ "url": small, "format": "mp3" }), "download", 5, Value::Null, 8.0),
    ] {
        let before = account.audit().await;
        let (status, quote) = account.post("/v1/clip/quote", &body).await;
        assert_eq!(status, 200, "{body}: {quote}");
        assert_eq!(
            (&quote["kind"], &quote["quality"], &quote["currency"]),
            (&json!(kind), &quality, &json!("usd")),
            "{body}: {quote}"
        );
        assert_eq!(
            (&quote["cost"], &quote["sufficient"]),
            (&json!(Amount::cents(cents).dollars()), &json!(true))
        );
        assert_eq!(quote["balance"], json!(Amount::cents(100 - spent).dollars()), "{quote}");
        assert!((quote["duration"].as_f64().unwrap() - seconds).abs() < 0.1, "{body}: {quote}");
        assert_eq!(quote["price_book"], domain::prices::PriceBook::current().unwrap().version);
        assert_eq!(account.audit().await, before, "a quote is free");
        let (status, job) = account.post(route(&body), &body).await;
        assert_eq!(status, 200, "{job}");
        let id = domain::ids::JobId::parse(job["job_id"].as_str().unwrap()).unwrap();
        let record = cloud().table().job(&id).await.unwrap().unwrap();
        assert_eq!(
            (record.reserved, &record.price_book),
            (Amount::cents(cents), &quote["price_book"].as_str().unwrap().to_owned())
        );
        let job = account.finish(&id).await;
        assert_eq!((&job["status"], &job["cost"]), (&json!("complete"), &quote["cost"]), "{job}");
        spent += cents;
    }
    untouched(&account, Amount::cents(100 - spent)).await;
    let poor = cloud().account(Amount::cents(9)).await;
    let (status, quote) = poor.post("/v1/clip/quote", &json!({ "url": small, "start": 1, "end": 2 })).await;
    assert_eq!(
        (status, &quote["sufficient"], &quote["balance"]),
        (200, &json!(false), &json!(0.09)),
        "{quote}"
    );
    untouched(&poor, Amount::cents(9)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quote_refuses_what_the_job_is_refused() {
    let account = cloud().account(Amount::cents(100)).await;
    let mute = made("mute.mp4", &format!("-i {} -an -c copy", usual().display()));
    let (good, mute) = (served(&usual()).await, served(&mute).await);
    let (url, missing) = (good.url(), format!("{}x", good.url()));
    for (status, body) in [
        (400, json!({ "url": url, "start": 4, "end": 4 })),
        (400, json!({ "url": url, "start": 4 })),
        (400, json!({ "url": url, "end": 4 })),
        (400, json!({ "url": url, "start": null, "end": null })),
        (400, json!({ "url": url, "start": -1, "end": 4 })),
        (400, json!({ "url": url, "start": 1, "end": 30 })),
        (400, json!({ "url": url, "start": 1, "end": 4, "format": "avi" })),
        (400, json!({ "url": url, "start": 1, "end": 4, "precision": "roughly" })),
        (400, json!({ "url": "file:///etc/passwd", "start": 1, "end": 4 })),
        (400, json!({ "start": 1, "end": 4 })),
        (400, json!({ "url": url, "format": "gif" })),
        (400, json!({ "url": url, "quality": "8k" })),
        (422, json!({ "url": missing, "start": 1, "end": 4 })),
        (422, json!({ "url": missing })),
        (422, json!({ "url": mute.url(), "start": 1, "end": 4, "format": "mp3" })),
        (422, json!({ "url": mute.url(), "format": "mp3" })),
        (402, json!({ "url": url, "start": 1, "end": 4, "max_cost": 0.09 })),
        (402, json!({ "url": url, "max_cost": 0.049_999 })),
        (400, json!({ "url": url, "start": 1, "end": 4, "max_cost": -1 })),
        (400, json!({ "url": url, "max_cost": "0.05" })),
    ] {
        let (quoted, asked) =
            (account.post("/v1/clip/quote", &body).await, account.post(route(&body), &body).await);
        assert_eq!((quoted.0, asked.0), (status, status), "{body}: {quoted:?} {asked:?}");
        assert_eq!(plain(quoted.1), plain(asked.1), "{body}");
    }
    for body in [json!([1, 2]), json!({}), json!("a")] {
        let (status, answer) = account.post("/v1/clip/quote", &body).await;
        assert_eq!((status, &answer["code"]), (400, &json!("bad_request")), "{body}: {answer}");
    }
    let stranger = http().post(cloud().url("/v1/clip/quote"));
    let stranger = stranger.json(&json!({ "url": url, "start": 1, "end": 2 })).send().await.unwrap();
    assert_eq!(stranger.status(), 401);
    let reader = account.with_key(&[domain::account::Scope::ClipsRead], None).await;
    assert_eq!(reader.post("/v1/clip/quote", &json!({ "url": url, "start": 1, "end": 2 })).await.0, 403);
    untouched(&account, Amount::cents(100)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_costs_no_more_than_it_may() {
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&usual()).await;
    let send = |path: &'static str, max_cost: &'static str| {
        let span = if path == "/v1/clip" { r#""start": 1, "end": 1.5, "# } else { "" };
        // As text: these digits are the point.
        let body = format!(r#"{{"url": "{}", {span}"format": "mp3", "max_cost": {max_cost}}}"#, server.url());
        let request = account.request(reqwest::Method::POST, path);
        crate::stack::cloud::answer(request.header("content-type", "application/json").body(body))
    };
    for (path, max_cost, figures) in [
        ("/v1/clip", "0.09", ["$0.10", "$0.09"]),
        ("/v1/clip", "0.099999", ["$0.10", "$0.099999"]),
        ("/v1/clip", "0", ["$0.10", "$0.00"]),
        ("/v1/clip", "9.9e-2", ["$0.10", "$0.099"]),
        ("/v1/download", "0.04", ["$0.05", "$0.04"]),
    ] {
        let (status, answer) = send(path, max_cost).await;
        assert_eq!((status, &answer["code"]), (402, &json!("max_cost_exceeded")), "{max_cost}: {answer}");
        let detail = answer["detail"].as_str().unwrap();
        assert!(figures.iter().all(|figure| detail.contains(figure)), "{detail}");
    }
    for max_cost in
        ["-0.1", "0.0999999", "1e99", "null", "\"0.10\"", "true", "[]", "NaN", "0.1.0", "Infinity"]
    {
        for path in ["/v1/clip", "/v1/download", "/v1/clip/quote"] {
            let (status, answer) = send(path, max_cost).await;
            assert_eq!((status, &answer["code"]), (400, &json!("bad_request")), "{max_cost}: {answer}");
        }
    }
    untouched(&account, Amount::cents(100)).await;
    for (path, max_cost) in [("/v1/clip", "0.10"), ("/v1/clip", "1e-1"), ("/v1/download", "0.05")] {
        let (status, answer) = send(path, max_cost).await;
        assert_eq!(status, 200, "{answer}");
        let job = domain::ids::JobId::parse(answer["job_id"].as_str().unwrap()).unwrap();
        let record = cloud().table().job(&job).await.unwrap().unwrap();
        assert_eq!(record.max_cost, Some(record.reserved));
        assert_eq!(account.finish(&job).await["status"], "complete");
    }
    untouched(&account, Amount::cents(75)).await;
}

/// The source turns out to be worth more than was reserved: the hold does not grow past what the owner allows.
#[tokio::test(flavor = "multi_thread")]
async fn a_price_that_outgrows_max_cost_fails_the_job_and_gives_the_money_back() {
    for (max_cost, cost) in [(Amount::cents(19), None), (Amount::cents(20), Some(10))] {
        let account = cloud().account(Amount::cents(100)).await;
        let server = served(&usual()).await;
        let mut job: Job = accepted(&account, server.url());
        assert_eq!(job.reserved, Amount::cents(10));
        // Priced as a small picture, and then seen to be a large one.
        job.source.picture = Some(PictureSize { width: 3840, height: 2160 });
        if let Spec::Clip(clip) = &mut job.spec {
            clip.quality = Quality::K4;
        }
        job.max_cost = Some(max_cost);
        let job = accept_job(&account, job, 5).await;
        assert!(cloud().table().set_due(&job.id, now().plus_ms(-1)).await.unwrap());
        cloud().invoke("SweepFunction", &json!({})).await;
        let answer = account.finish(&job.id).await;
        let (reservation, charge, refund) = (EntryKind::Reservation, EntryKind::Charge, EntryKind::Refund);
        if let Some(cents) = cost {
            // It was allowed; what is charged is what was delivered after all.
            assert_eq!(answer["cost"], json!(Amount::cents(cents).dollars()), "{answer}");
            assert_eq!(account.movements(&job.id).await, [reservation, reservation, charge, refund]);
            assert_eq!(account.audit().await, (Amount::cents(100 - cents), Amount::ZERO));
            continue;
        }
        let told = (&answer["status"], &answer["error_code"]);
        assert_eq!(told, (&json!("failed"), &json!("max_cost_exceeded")), "{answer}");
        let error = answer["error"].as_str().unwrap();
        assert!(["$0.20", "$0.19", "not charged"].iter().all(|word| error.contains(word)), "{error}");
        assert_eq!(account.movements(&job.id).await, [reservation, refund]);
        untouched(&account, Amount::cents(100)).await;
    }
}
