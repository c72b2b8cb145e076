//! What tests and people do here that Stripe's API does not offer: everything below [`crate::CONTROL`].

use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cards::{self, Written};
use crate::clock::{self, ADVANCE_MAX};
use crate::error::ApiError;
use crate::objects::{customer, dispute, payment_method};
use crate::server::{Response, Server, answer as reply};
use crate::state::{Change, Settings};
use crate::{CONTROL, Fault, Network, Webhook, deliver, pages};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCard {
    number: String,
    customer: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OtherCard {
    number: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDispute {
    charge: String,
    amount: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outcome {
    status: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewWebhook {
    url: Option<String>,
    secret: Option<String>,
}

/// Answers a control call.
pub(crate) async fn answer(server: &Server, method: &Method, path: &str, body: &[u8]) -> Response {
    let path: Vec<&str> = path.strip_prefix(CONTROL).unwrap_or_default().split('/').skip(1).collect();
    if method == Method::GET && path.is_empty() {
        return pages::overview(server);
    }
    let result = match (method.as_str(), path.as_slice()) {
        ("POST", ["events", event, "send"]) => send(server, event).await,
        (method, path) => act(server, method, path, body),
    };
    let (status, value) = match result {
        Ok(value) => (StatusCode::OK, value),
        Err(error) => (StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST), error.body()),
    };
    reply(status, "application/json", serde_json::to_string_pretty(&value).unwrap_or_default())
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::form(format!("The body cannot be read: {error}.")))
}

fn act(server: &Server, method: &str, path: &[&str], body: &[u8]) -> Result<Value, ApiError> {
    match (method, path) {
        ("GET", ["clock"]) => server.act(|tx| Ok(json!({ "now": tx.now, "offset": tx.settings().offset }))),
        ("POST", ["clock"]) => advance(server, read::<Advance>(body)?.advance),
        ("POST", ["cards"]) => new_card(server, &read(body)?),
        ("POST", ["cards", id]) => other_card(server, id, &read(body)?),
        ("POST", ["disputes"]) => {
            let wanted: NewDispute = read(body)?;
            server.act(|tx| {
                let charge = tx.get("charge", &wanted.charge, "charge")?;
                if charge["status"] != "succeeded" || charge["disputed"] == true {
                    return Err(ApiError::refused("Only a charge that succeeded is disputed, and once."));
                }
                let most = charge["amount"].as_i64().unwrap_or_default();
                if wanted.amount.is_some_and(|amount| !(1..=most).contains(&amount)) {
                    return Err(ApiError::form("At most the whole charge is disputed.").param("amount"));
                }
                Ok(dispute::open(tx, charge, wanted.amount, "fraudulent"))
            })
        }
        ("POST", ["disputes", id]) => {
            let won = match read::<Outcome>(body)?.status.as_str() {
                "won" => true,
                "lost" => false,
                _ => return Err(ApiError::form("A dispute is `won` or `lost`.").param("status")),
            };
            server.act(|tx| dispute::close(tx, id, won))
        }
        ("GET", ["webhook"]) => Ok(server.look(|state| {
            json!({
                "url": state.settings.webhook.as_ref().map(|webhook| &webhook.url),
            })
        })),
        ("POST", ["webhook"]) => {
            let wanted: NewWebhook = read(body)?;
            let webhook = match (wanted.url, wanted.secret) {
                (None, _) => None,
                (Some(url), Some(secret)) => Some(Webhook { url, secret }),
                (Some(_), None) => return Err(ApiError::missing("secret")),
            };
            let url = webhook.as_ref().map(|webhook| webhook.url.clone());
            set_webhook(server, webhook)?;
            Ok(json!({ "url": url }))
        }
        ("GET", ["deliveries"]) => {
            Ok(server.look(|state| json!(state.deliveries.values().collect::<Vec<_>>())))
        }
        ("GET", ["network"]) => Ok(server.look(|state| json!(state.settings.network))),
        ("POST", ["network"]) => {
            let network: Network = read(body)?;
            if network.delay_ms < 0 {
                return Err(ApiError::form("A delay is not negative.").param("delay_ms"));
            }
            set(server, |settings| settings.network = network.clone())?;
            Ok(json!(network))
        }
        ("GET", ["faults"]) => Ok(json!(server.set_faults(|_| ()))),
        ("POST", ["faults"]) => {
            let fault: Fault = read(body)?;
            Ok(json!(server.set_faults(|faults| faults.push(fault))))
        }
        ("DELETE", ["faults"]) => Ok(json!(server.set_faults(Vec::clear))),
        ("GET", ["calls"]) => Ok(json!(server.calls())),
        (method, path) => Err(ApiError::no_route(method, &format!("{CONTROL}/{}", path.join("/")))),
    }
}

/// Changes what is not an object.
fn set(server: &Server, set: impl FnOnce(&mut Settings)) -> Result<(), ApiError> {
    server.act(|tx| {
        let mut settings = tx.settings().clone();
        set(&mut settings);
        tx.set_settings(settings);
        Ok(())
    })
}

/// Says where events go.
pub(crate) fn set_webhook(server: &Server, webhook: Option<Webhook>) -> Result<(), ApiError> {
    let fits = |webhook: &Webhook| {
        webhook
            .url
            .parse::<hyper::Uri>()
            .is_ok_and(|uri| uri.scheme_str() == Some("http") && uri.host().is_some())
    };
    if webhook.as_ref().is_some_and(|webhook| !fits(webhook)) {
        return Err(ApiError::form("A webhook's address begins with http://.").param("url"));
    }
    set(server, |settings| settings.webhook = webhook)
}

/// All of it is one change: a clock that stops half-way would renew something without the time having come.
fn advance(server: &Server, seconds: i64) -> Result<Value, ApiError> {
    if !(0..=ADVANCE_MAX).contains(&seconds) {
        let message = format!("The clock moves on by 0 to {ADVANCE_MAX} seconds.");
        return Err(ApiError::form(message).param("advance"));
    }
    server.act(|tx| {
        let until = tx.now + seconds;
        clock::catch_up(tx, until);
        let mut settings = tx.settings().clone();
        settings.offset += seconds;
        let offset = settings.offset;
        tx.set_settings(settings);
        Ok(json!({ "now": until, "offset": offset }))
    })
}

/// Expires like one that a token names.
const EXPIRY: (i64, i64) = (12, 2034);

fn new_card(server: &Server, wanted: &NewCard) -> Result<Value, ApiError> {
    let card = cards::by_number(&wanted.number)?;
    server.act(|tx| {
        let method = payment_method::make(tx, Written { card, expiry: EXPIRY });
        match &wanted.customer {
            Some(customer) => {
                customer::find(tx, customer, "customer")?;
                Ok(payment_method::keep(tx, method, customer))
            }
            None => Ok(method),
        }
    })
}

/// The saved card keeps what can be seen of it, and its bank does what the other one's does.
fn other_card(server: &Server, id: &str, wanted: &OtherCard) -> Result<Value, ApiError> {
    let card = cards::by_number(&wanted.number)?;
    server.act(|tx| {
        let method = tx.get("payment_method", id, "id")?;
        let mut hidden = tx.hidden(id).clone();
        hidden["number"] = json!(card.number);
        tx.hide(id, hidden);
        Ok(method)
    })
}

/// Sends an event once more.
async fn send(server: &Server, event: &str) -> Result<Value, ApiError> {
    let found = server.look(|state| {
        let record = state.get(event).filter(|record| record.kind() == "event")?;
        Some((record.object.clone(), state.settings.webhook.clone()))
    });
    let (object, webhook) = found.ok_or_else(|| ApiError::no_such("event", event, "id"))?;
    let webhook = webhook.ok_or_else(|| ApiError::refused("There is no webhook to send it to."))?;
    let status = deliver::post(&webhook, &object).await;
    if status.is_some_and(|status| (200..300).contains(&status)) {
        server.change(|state| {
            let mut change = Change { counter: state.counter, ..Change::default() };
            let found = state.deliveries.iter().find(|(_, delivery)| delivery.event == event);
            if let Some((seq, delivery)) = found {
                let mut delivery = delivery.clone();
                delivery.state = deliver::Carried::Delivered;
                delivery.status = status;
                delivery.attempts += 1;
                change.deliveries.insert(*seq, delivery);
            }
            ((), change)
        });
    }
    Ok(json!({ "status": status }))
}
