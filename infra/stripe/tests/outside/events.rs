//! Events on their way to a receiver.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;

use crate::http::{Local, id, text};

const SECRET: &str = "whsec_test";

/// Takes events, and answers what it is told to.
#[derive(Clone)]
struct Receiver {
    url: String,
    taken: Arc<Mutex<Vec<Value>>>,
    status: Arc<Mutex<u16>>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?a=b", listener.local_addr().unwrap());
        let receiver = Self { url, taken: Arc::default(), status: Arc::new(Mutex::new(200)) };
        let serving = receiver.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let receiver = serving.clone();
                let service = service_fn(move |request| receiver.clone().take(request));
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
        receiver
    }

    async fn take(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
        assert_eq!(request.uri().to_string(), "/hook?a=b");
        let signature = request.headers()["stripe-signature"].to_str().unwrap().to_owned();
        let body = request.into_body().collect().await?.to_bytes();
        let (time, given) = signature.split_once(",v1=").unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(time.strip_prefix("t=").unwrap().as_bytes());
        mac.update(b".");
        mac.update(&body);
        let wanted: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(given, wanted);
        let status = *self.status.lock().unwrap();
        let mut event: Value = serde_json::from_slice(&body).unwrap();
        event["answered"] = json!(status);
        self.taken.lock().unwrap().push(event);
        Ok(Response::builder().status(status).body(Full::default()).unwrap())
    }

    fn answer(&self, status: u16) {
        *self.status.lock().unwrap() = status;
    }

    /// The types of what it was sent.
    fn kinds(&self) -> Vec<String> {
        self.taken.lock().unwrap().iter().map(|event| text(&event["type"])).collect()
    }

    /// Waits until it was sent so many.
    async fn wait(&self, count: usize) -> Vec<String> {
        for _ in 0..400 {
            if self.kinds().len() >= count {
                return self.kinds();
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("of {count} events came {:?}", self.kinds());
    }
}

async fn shop() -> (Local, Receiver) {
    let (local, receiver) = (Local::start().await, Receiver::start().await);
    local.control("webhook", json!({ "url": receiver.url, "secret": SECRET })).await;
    (local, receiver)
}

async fn states(local: &Local) -> Vec<String> {
    local
        .look("deliveries")
        .await
        .as_array()
        .unwrap()
        .iter()
        .map(|delivery| text(&delivery["state"]))
        .collect()
}

async fn until_states(local: &Local, wanted: &[&str]) {
    for _ in 0..400 {
        if states(local).await == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{:?} are not {wanted:?}", states(local).await);
}

#[tokio::test]
async fn an_event_names_what_caused_it_and_is_sent_until_it_is_taken() {
    let (local, receiver) = shop().await;
    receiver.answer(500);
    let customer = local.under("k", "/v1/customers", "email=a@b.example").await.unwrap();
    receiver.wait(2).await;
    receiver.answer(200);
    until_states(&local, &["delivered"]).await;
    let taken = receiver.taken.lock().unwrap().clone();
    assert!(taken.len() >= 3);
    assert_eq!(taken[0]["request"]["id"], customer.header("request-id"));
    assert_eq!(taken[0]["request"]["idempotency_key"], "k");
    assert_eq!(taken[0]["data"]["object"], customer.json());
    assert!(taken.iter().all(|event| event["id"] == taken[0]["id"]));
    let event = local.get(&format!("/v1/events/{}", id(&taken[0]))).await;
    assert_eq!(event["pending_webhooks"], 0);
}

#[tokio::test]
async fn what_was_not_taken_is_sent_after_a_restart() {
    let (local, receiver) = shop().await;
    receiver.answer(503);
    local.customer().await;
    receiver.wait(1).await;
    let local = local.restart().await;
    receiver.answer(204);
    until_states(&local, &["delivered"]).await;
    let kinds = receiver.kinds();
    // And what was taken is not.
    let local = local.restart().await;
    local.customer().await;
    until_states(&local, &["delivered", "delivered"]).await;
    assert_eq!(receiver.kinds().len(), kinds.len() + 1);
}

#[tokio::test]
async fn events_from_before_there_was_an_address_wait_for_it() {
    let (local, receiver) = (Local::start().await, Receiver::start().await);
    local.customer().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(states(&local).await, ["pending"]);
    let webhook = stripe::Webhook { url: receiver.url.clone(), secret: SECRET.to_owned() };
    local.stripe.set_webhook(webhook).unwrap();
    assert_eq!(receiver.wait(1).await, ["customer.created"]);
    let wrong = stripe::Webhook { url: "https://x".to_owned(), secret: String::new() };
    assert!(local.stripe.set_webhook(wrong).is_err());
}

#[tokio::test]
async fn the_network_holds_drops_doubles_and_turns_events() {
    let (local, receiver) = shop().await;
    let change = "name=a";
    // Held back, then in the other order.
    local.control("network", json!({ "hold": true })).await;
    let customer = local.customer().await;
    let path = format!("/v1/customers/{customer}");
    local.post(&path, change).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(receiver.kinds(), Vec::<String>::new());
    local.control("network", json!({ "reorder": true })).await;
    assert_eq!(receiver.wait(2).await, ["customer.updated", "customer.created"]);
    // Dropped, by type; and sent by hand.
    local.control("network", json!({ "drop": true, "types": ["customer.updated"] })).await;
    local.post(&path, "name=b").await;
    until_states(&local, &["delivered", "delivered", "dropped"]).await;
    let deliveries = local.look("deliveries").await;
    let event = text(&deliveries[2]["event"]);
    assert_eq!(local.control(&format!("events/{event}/send"), Value::Null).await["status"], 200);
    assert_eq!(receiver.kinds().len(), 3);
    // Doubled, and late.
    local.control("network", json!({ "duplicate": 2, "delay_ms": 500 })).await;
    local.post(&path, "name=c").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(receiver.kinds().len(), 3);
    assert_eq!(receiver.wait(6).await.len(), 6);
    local.control("network", json!({})).await;
    assert_eq!(local.look("network").await["hold"], false);
}
