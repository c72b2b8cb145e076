//! Limits, idempotency, and what a request costs in round trips.

use std::collections::{BTreeMap, BTreeSet};

use domain::account::Scope;
use domain::ids::{ApiKey, JobId};
use domain::ledger::EntryKind;
use domain::money::Amount;
use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::stack::cloud::http;
use crate::stack::source::{served, usual};
use crate::stack::{Account, Cloud, cloud};

/// A test whose requests fall into two windows is made once more; this often in a row cannot be.
const BORDERS_MAX: usize = 4;

/// An answer with its headers.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
}

impl Heard {
    fn number(&self, header: &str) -> i64 {
        let text = self.headers.get(header).unwrap_or_else(|| panic!("no {header}: {self:?}"));
        text.parse().unwrap_or_else(|_| panic!("{header}: {text}"))
    }

    /// What it tells of the limit: how many pass, how many more, and until when.
    fn limit(&self) -> (i64, i64, i64) {
        let [limit, remaining, reset] = ["limit", "remaining", "reset"];
        let of = |name: &str| self.number(&format!("x-ratelimit-{name}"));
        (of(limit), of(remaining), of(reset))
    }

    fn job(&self) -> JobId {
        JobId::parse(self.body["job_id"].as_str().unwrap()).unwrap()
    }
}

pub(crate) async fn hear(request: RequestBuilder) -> Heard {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let headers = response.headers().iter();
    let headers =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    Heard { status, headers, body: response.json().await.unwrap() }
}

/// Sends all at once. `None` if they fell into more than one window.
async fn at_once(requests: Vec<RequestBuilder>) -> Option<Vec<Heard>> {
    let tasks = requests.into_iter().map(|request| tokio::spawn(hear(request)));
    let heard: Vec<Heard> =
        join_all(tasks.collect::<Vec<_>>()).await.into_iter().map(Result::unwrap).collect();
    let windows: BTreeSet<i64> = heard.iter().map(|heard| heard.limit().2).collect();
    (windows.len() == 1).then_some(heard)
}

/// Exactly `max` of them passed, each told another number of those left, and the rest was told when to come again.
fn exactly(heard: &[Heard], max: i64, window_seconds: i64) {
    let (passed, refused): (Vec<&Heard>, Vec<&Heard>) = heard.iter().partition(|heard| heard.status != 429);
    let left: BTreeSet<i64> = passed.iter().map(|heard| heard.limit().1).collect();
    assert_eq!((passed.len() as i64, left), (max, (0..max).collect()));
    for refused in refused {
        let (limit, remaining, _) = refused.limit();
        assert_eq!((limit, remaining), (max, 0), "{refused:?}");
        assert!((1..=window_seconds).contains(&refused.number("retry-after")), "{refused:?}");
        assert_eq!(refused.headers["content-type"], "application/problem+json");
        assert_eq!(refused.body["code"], "rate_limited");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_requests_at_once_exactly_60_pass() {
    for _ in 0..BORDERS_MAX {
        let account = cloud().account(Amount::cents(100)).await;
        let balance = || account.request(Method::GET, "/v1/balance");
        let Some(heard) = at_once((0..64).map(|_| balance()).collect()).await else { continue };
        exactly(&heard, 60, 60);
        // Status reads have a window of their own; a refused request is told its limit like any other.
        let status = hear(account.request(Method::GET, "/v1/clip/aaaaaaaaaaaaaaaa")).await;
        assert_eq!((status.status, status.limit().0, status.limit().1), (404, 300, 299), "{status:?}");
        let bad = hear(account.request(Method::GET, "/v1/clip/aaaaaaaaaaaaaaaa?wait=99")).await;
        assert_eq!((bad.status, bad.limit().0), (400, 300), "{bad:?}");
        return;
    }
    panic!("every run met the end of a minute");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_key_is_answered_alike() {
    let account = cloud().account(Amount::cents(100)).await;
    let good = account.key.reveal().to_owned();
    let flipped = |at: usize| {
        let mut text = good.clone().into_bytes();
        text[at] = if text[at] == b'0' { b'1' } else { b'0' };
        String::from_utf8(text).unwrap()
    };
    let bearer = |key: &str| http().get(cloud().url("/v1/balance")).bearer_auth(key);
    let mut answers = BTreeSet::new();
    // The first and the last digit of a real key, a key that nobody has, and what can be no key at all.
    for key in [
        flipped(good.len() - 64),
        flipped(good.len() - 1),
        ApiKey::from_random([7; 32]).reveal().to_owned(),
        good.to_uppercase(),
        good[..good.len() - 1].to_owned(),
        format!("{good}0"),
        "sk_live_".to_owned(),
        "x".repeat(4000),
    ] {
        let mut heard = hear(bearer(&key)).await;
        assert_eq!(heard.status, 401, "{heard:?}");
        let differing = ["x-request-id", "date", "apigw-requestid", "x-amzn-requestid", "x-amzn-trace-id"];
        differing.into_iter().for_each(|name| drop(heard.headers.remove(name)));
        heard.body.as_object_mut().unwrap().remove("request_id");
        answers.insert(format!("{heard:?}"));
    }
    assert_eq!(answers.len(), 1, "an oracle: {answers:#?}");
    assert_eq!(hear(bearer(&good)).await.status, 200);
}

fn post(account: &Account, key: &str, body: &Value) -> RequestBuilder {
    account.request(Method::POST, "/v1/clip").header("idempotency-key", key).json(body)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_intention_is_one_job_however_often_it_is_sent() {
    // Money for one job only, so that a second hold would also be seen as a 402.
    let account = cloud().account(Amount::cents(15)).await;
    let server = served(&usual()).await;
    let ask = json!({ "url": server.url(), "start": 1, "end": 1.5, "format": "mp3" });
    let sent = (0..20).map(|_| tokio::spawn(hear(post(&account, "intention-1", &ask))));
    let heard = join_all(sent.collect::<Vec<_>>()).await.into_iter().map(Result::unwrap);
    let (answered, under_way): (Vec<Heard>, Vec<Heard>) = heard.partition(|heard| heard.status == 200);
    assert!(under_way.iter().all(|heard| heard.status == 409), "{under_way:#?}");
    let first = &answered[0];
    assert!(answered.iter().all(|heard| heard.body == first.body), "{answered:#?}");
    let originals = answered.iter().filter(|heard| !heard.headers.contains_key("idempotency-replayed"));
    assert_eq!(originals.count(), 1);
    let job = first.job();
    assert_eq!(account.finish(&job).await["status"], "complete");
    assert_eq!(account.movements(&job).await, [EntryKind::Reservation, EntryKind::Charge]);
    assert_eq!(account.audit().await, (Amount::cents(5), Amount::ZERO));

    // The source is gone and so is the money; the answer stays.
    drop(server);
    let again = hear(post(&account, "intention-1", &ask)).await;
    assert_eq!((again.status, &again.body), (200, &first.body), "{again:?}");
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.headers["content-type"], "application/json");
    let mut other = ask.clone();
    other["end"] = json!(2);
    let other = hear(post(&account, "intention-1", &other)).await;
    assert_eq!((other.status, &other.body["code"]), (422, &json!("idempotency_key_reused")), "{other:?}");
    assert_eq!(account.audit().await, (Amount::cents(5), Amount::ZERO));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intention_is_its_accounts_own() {
    let (mine, theirs) = (cloud().account(Amount::cents(50)).await, cloud().account(Amount::cents(50)).await);
    let server = served(&usual()).await;
    let ask = json!({ "url": server.url(), "start": 1, "end": 1.5, "format": "mp3" });
    // What failed spent nothing, so it may be tried again under the same name.
    let missing = json!({ "url": format!("{}x", server.url()), "start": 1, "end": 2 });
    assert_eq!(hear(post(&mine, "k", &missing)).await.status, 422);
    let (my, their) = (hear(post(&mine, "k", &ask)).await, hear(post(&theirs, "k", &ask)).await);
    assert_eq!((my.status, their.status), (200, 200), "{my:?} {their:?}");
    assert_ne!(my.body, their.body);
    for key in ["a b", "", &"k".repeat(256)] {
        assert_eq!(hear(post(&mine, key, &ask)).await.status, 400, "{key:?}");
    }
    let twice = post(&mine, "one", &ask).header("idempotency-key", "two");
    assert_eq!(hear(twice).await.status, 400);
    for (account, heard) in [(&mine, my), (&theirs, their)] {
        account.finish(&heard.job()).await;
        assert_eq!(account.audit().await, (Amount::cents(40), Amount::ZERO));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_does_what_it_may_and_spends_no_more_than_its_cap() {
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&usual()).await;
    let ask = json!({ "url": server.url(), "start": 1, "end": 1.5, "format": "mp3" });
    let reader = account.with_key(&[Scope::ClipsRead], None).await;
    let refused = hear(reader.request(Method::POST, "/v1/clip").json(&ask)).await;
    assert_eq!((refused.status, &refused.body["code"]), (403, &json!("missing_scope")), "{refused:?}");
    assert_eq!((refused.limit().0, refused.limit().1), (60, 59), "it was counted, and is told");
    assert_eq!(reader.get("/v1/balance").await.0, 403);

    let writer = account.with_key(&[Scope::ClipsRead, Scope::ClipsWrite], Some(Amount::cents(25))).await;
    let jobs = [writer.ask(&ask).await, writer.ask(&ask).await];
    let (status, answer) = writer.post("/v1/clip", &ask).await;
    assert_eq!((status, &answer["code"]), (402, &json!("daily_cap_reached")), "{answer}");
    for job in &jobs {
        assert_eq!(writer.finish(job).await["status"], "complete");
        assert_eq!(reader.get(&format!("/v1/clip/{job}")).await.0, 200, "a key reads what another one made");
    }
    assert_eq!(writer.post("/v1/clip", &ask).await.0, 402, "what is charged stays spent");
    // The cap is the key's, the money the account's.
    let job = account.ask(&ask).await;
    account.finish(&job).await;
    assert_eq!(account.audit().await, (Amount::cents(70), Amount::ZERO));
}

pub(crate) type Calls = BTreeMap<String, u64>;

/// What `handler` has asked of DynamoDB so far.
async fn calls(cloud: &Cloud, handler: &str) -> Calls {
    let calls: devstack::Calls =
        http().get(cloud.url("/_local/calls")).send().await.unwrap().json().await.unwrap();
    calls.get(handler).cloned().unwrap_or_default()
}

/// What `handler` asks of DynamoDB for one request.
pub(crate) async fn cost(cloud: &Cloud, handler: &str, request: RequestBuilder) -> (Heard, Calls) {
    let before = calls(cloud, handler).await;
    let heard = hear(request).await;
    let after = calls(cloud, handler).await;
    let more = after.into_iter().map(|(name, count)| (name.clone(), count - before.get(&name).unwrap_or(&0)));
    (heard, more.filter(|(_, count)| *count > 0).collect())
}

pub(crate) fn once<const N: usize>(operations: [&str; N]) -> Calls {
    operations.into_iter().map(|name| (name.to_owned(), 1)).collect()
}

/// Executions of the state machine, by name.
async fn executions(cloud: &Cloud) -> Vec<String> {
    let machine = &cloud.info.state_machines["ClipMachine"];
    let list = http()
        .post(&cloud.info.ministack_url)
        .header("x-amz-target", "AWSStepFunctions.ListExecutions")
        .header("content-type", "application/x-amz-json-1.0")
        .body(json!({ "stateMachineArn": machine }).to_string());
    let (status, list) = crate::stack::cloud::answer(list).await;
    assert_eq!(status, 200, "{list}");
    let names = list["executions"].as_array().unwrap().iter();
    names.map(|execution| execution["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn round_trips_and_the_operators_limits() {
    let cloud = Cloud::fresh(&[
        "--count-calls",
        "--parameter",
        "ClipJobsPerHour=20",
        "--parameter",
        "OpenRequestsPerMinute=5",
    ]);
    let server = served(&usual()).await;
    let ask = json!({ "url": server.url(), "start": 1, "end": 1.5, "format": "mp3" });
    reads_cost_two_round_trips_and_jobs_three(&cloud, &ask).await;
    of_24_jobs_at_once_exactly_20_are_accepted(&cloud, &ask).await;
    of_8_strangers_at_one_address_exactly_5_pass(&cloud).await;
    cloud.stop();
}

async fn reads_cost_two_round_trips_and_jobs_three(cloud: &Cloud, ask: &Value) {
    let account = cloud.account(Amount::cents(500)).await;
    let three = once(["UpdateItem", "BatchGetItem", "TransactWriteItems"]);
    let plain = account.request(Method::POST, "/v1/clip").json(ask);
    let (first, calls) = cost(cloud, "clips.create", plain).await;
    assert_eq!((first.status, &calls), (200, &three), "{first:?}");
    assert_eq!(executions(cloud).await, [first.job().as_str()]);
    let (named, calls) = cost(cloud, "clips.create", post(&account, "k", ask)).await;
    assert_eq!((named.status, &calls), (200, &three), "{named:?}");
    let (again, calls) = cost(cloud, "clips.create", post(&account, "k", ask)).await;
    assert_eq!((&again.body, calls), (&named.body, once(["UpdateItem", "BatchGetItem"])));
    let both: BTreeSet<String> = [first.job(), named.job()].map(|job| job.to_string()).into();
    assert_eq!(executions(cloud).await.into_iter().collect::<BTreeSet<_>>(), both);
    account.finish(&first.job()).await;

    let read = account.request(Method::GET, &format!("/v1/clip/{}", first.job()));
    let (read, calls) = cost(cloud, "clips.get", read).await;
    assert_eq!((read.status, &calls), (200, &once(["UpdateItem", "BatchGetItem"])), "{read:?}");
    assert_eq!(read.body["status"], "complete", "{read:?}");
    let (_, calls) = cost(cloud, "clips.balance", account.request(Method::GET, "/v1/balance")).await;
    assert_eq!(calls, once(["UpdateItem", "GetItem"]));
    let unknown = http().get(cloud.url("/v1/balance"));
    let unknown = unknown.bearer_auth(ApiKey::from_random([9; 32]).reveal());
    let (unknown, calls) = cost(cloud, "clips.balance", unknown).await;
    assert_eq!((unknown.status, calls), (401, once(["UpdateItem"])));
}

async fn of_24_jobs_at_once_exactly_20_are_accepted(cloud: &Cloud, ask: &Value) {
    for _ in 0..BORDERS_MAX {
        let account = cloud.account(Amount::cents(500)).await;
        let post = || account.request(Method::POST, "/v1/clip").json(ask);
        let Some(heard) = at_once((0..24).map(|_| post()).collect()).await else { continue };
        let (accepted, refused): (Vec<&Heard>, Vec<&Heard>) =
            heard.iter().partition(|heard| heard.status == 200);
        assert_eq!((accepted.len(), refused.len()), (20, 4), "{heard:#?}");
        for heard in &heard {
            assert_eq!(heard.limit().0, 20, "the hour is stricter than the minute: {heard:?}");
        }
        for refused in refused {
            assert_eq!((refused.status, refused.limit().1), (429, 0), "{refused:?}");
            assert!((1..=3600).contains(&refused.number("retry-after")), "{refused:?}");
            assert!(refused.body["detail"].as_str().unwrap().contains("20 clip jobs"), "{refused:?}");
        }
        // A job costs 10 cents, held or charged; the refused ones cost nothing, and a later one is told the same.
        assert_eq!(account.audit().await.0, Amount::cents(300));
        assert_eq!(hear(post()).await.status, 429);
        assert_eq!(account.audit().await.0, Amount::cents(300));
        return;
    }
    panic!("every run met the end of an hour");
}

/// Within the same window as the one before, or the page is there.
async fn people_are_told_so_on_a_page(cloud: &Cloud) {
    let answer = http().get(cloud.url("/c/aaaaaaaaaaaaaaaa")).send().await.unwrap();
    let status = answer.status().as_u16();
    assert!(matches!(status, 404 | 429), "{status}");
    assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
    assert_eq!(answer.headers().contains_key("retry-after"), status == 429);
    let page = answer.text().await.unwrap();
    crate::stack::share::is_well_formed(&page);
    assert!(
        page.contains(if status == 429 { "the limit is 5 requests a minute" } else { "not here" }),
        "{page}"
    );
}

async fn of_8_strangers_at_one_address_exactly_5_pass(cloud: &Cloud) {
    // An address of one's own choice in a header makes no other client.
    let get =
        |n: u8| http().get(cloud.url("/openapi.json")).header("x-forwarded-for", format!("192.0.2.{n}"));
    for _ in 0..BORDERS_MAX {
        let Some(heard) = at_once((0..8).map(get).collect()).await else { continue };
        // A first run may have left a part of its last window used.
        if heard.iter().any(|heard| heard.limit().1 == 4) {
            exactly(&heard, 5, 60);
            return people_are_told_so_on_a_page(cloud).await;
        }
    }
    panic!("every run met the end of a minute");
}
