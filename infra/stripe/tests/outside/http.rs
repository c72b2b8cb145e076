//! A Stripe for one test, and its client.

use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use stripe::{Options, Stripe};
use tempfile::TempDir;
use tokio::net::TcpStream;

pub(crate) const KEY: &str = "sk_test_local";

/// A Stripe with a folder of its own.
pub(crate) struct Local {
    pub(crate) stripe: Stripe,
    pub(crate) folder: TempDir,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: hyper::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body of a call that went well.
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }

    /// The status and the error's code, or its type.
    pub(crate) fn error(&self) -> (u16, String) {
        let error = self.json()["error"].clone();
        let code = error["code"].as_str().or(error["type"].as_str());
        (self.status, code.unwrap_or_default().to_owned())
    }
}

pub(crate) fn options(folder: &Path) -> Options {
    Options { state: folder.to_owned(), port: 0, key: KEY.to_owned(), webhook: None, seed: Some(7) }
}

impl Local {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stripe = stripe::serve(options(folder.path())).await.unwrap();
        Self { stripe, folder }
    }

    pub(crate) async fn restart(self) -> Self {
        let address = self.stripe.address();
        self.stripe.stop().await;
        let stripe = stripe::serve(options(self.folder.path())).await.unwrap();
        assert_eq!(stripe.address(), address, "pages keep their addresses");
        Self { stripe, folder: self.folder }
    }

    /// A call of the API.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &str) -> Answer {
        self.call_with(method, path, body, &[]).await.unwrap()
    }

    pub(crate) async fn call_with(
        &self,
        method: &str,
        path: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<Answer> {
        let bearer = format!("Bearer {KEY}");
        let mut all = vec![("authorization", bearer.as_str())];
        all.extend_from_slice(headers);
        send(self.stripe.address(), method, path, body, &all).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.call("GET", path, "").await.ok()
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Value {
        self.call("POST", path, body).await.ok()
    }

    /// A call with an idempotency key.
    pub(crate) async fn under(&self, key: &str, path: &str, body: &str) -> anyhow::Result<Answer> {
        self.call_with("POST", path, body, &[("idempotency-key", key)]).await
    }

    /// A control call.
    pub(crate) async fn control(&self, path: &str, body: Value) -> Value {
        let path = format!("/_local/stripe/{path}");
        send(self.stripe.address(), "POST", &path, &body.to_string(), &[]).await.unwrap().ok()
    }

    pub(crate) async fn look(&self, path: &str) -> Value {
        let path = format!("/_local/stripe/{path}");
        send(self.stripe.address(), "GET", &path, "", &[]).await.unwrap().ok()
    }

    /// Posts a page's form, or gets a page if there is none.
    pub(crate) async fn page(&self, url: &str, form: Option<&str>) -> Answer {
        let path = url.strip_prefix(self.stripe.url()).unwrap_or_else(|| panic!("{url}"));
        let method = if form.is_some() { "POST" } else { "GET" };
        send(self.stripe.address(), method, path, form.unwrap_or_default(), &[]).await.unwrap()
    }

    pub(crate) async fn advance(&self, days: i64) {
        self.control("clock", json!({ "advance": days * 24 * 3600 })).await;
    }

    /// A customer.
    pub(crate) async fn customer(&self) -> String {
        id(&self.post("/v1/customers", "email=a@b.example").await)
    }

    /// A saved card of a customer.
    pub(crate) async fn card(&self, customer: &str, number: &str) -> String {
        id(&self.control("cards", json!({ "number": number, "customer": customer })).await)
    }

    /// Charges a saved card while nobody is there.
    pub(crate) async fn charge(&self, customer: &str, card: &str, amount: i64) -> Answer {
        self.call("POST", "/v1/payment_intents", &off_session(customer, card, amount)).await
    }

    /// What the balance has, fees apart.
    pub(crate) async fn balance(&self) -> i64 {
        let all = self.get("/v1/balance_transactions?limit=100").await;
        assert_eq!(all["has_more"], false);
        all["data"].as_array().unwrap().iter().map(|booked| booked["amount"].as_i64().unwrap()).sum()
    }

    /// The types of all events, the oldest first.
    pub(crate) async fn events(&self) -> Vec<String> {
        let all = self.get("/v1/events?limit=100").await;
        assert_eq!(all["has_more"], false);
        all["data"].as_array().unwrap().iter().rev().map(|event| text(&event["type"])).collect()
    }
}

pub(crate) fn off_session(customer: &str, card: &str, amount: i64) -> String {
    format!(
        "amount={amount}&currency=usd&customer={customer}&payment_method={card}&off_session=true&confirm=true"
    )
}

/// The form of a page with this card.
pub(crate) fn form(number: &str) -> String {
    format!("number={number}&expiry=12%2F34&cvc=123&name=A")
}

pub(crate) fn id(object: &Value) -> String {
    text(&object["id"])
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &str,
    headers: &[(&str, &str)],
) -> anyhow::Result<Answer> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", address.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body.to_owned())))?;
    let response: Response<_> = sender.send_request(request).await?;
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(body.collect().await?.to_bytes().to_vec())?;
    connection.abort();
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, text })
}
