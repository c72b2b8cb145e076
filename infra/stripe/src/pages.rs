//! Pages for people: Checkout, authentication, receipts, invoices, and the overview.

use askama::Template;
use hyper::header::{HeaderValue, LOCATION};
use hyper::{Method, StatusCode};
use serde_json::Value;

use crate::cards;
use crate::error::ApiError;
use crate::objects::checkout::{self, Filled};
use crate::objects::setup_intent;
use crate::pay;
use crate::server::{Response, Server, answer as reply, plain};
use crate::state::State;

/// How much the overview shows of each kind.
const SHOWN_MAX: usize = 50;

/// Cents as dollars.
pub(crate) fn dollars(cents: i64) -> String {
    let (sign, cents) = (if cents < 0 { "-" } else { "" }, cents.unsigned_abs());
    format!("{sign}{}.{:02}", cents / 100, cents % 100)
}

/// An amount of an object, with its currency.
fn money(object: &Value, name: &str) -> String {
    let currency = object["currency"].as_str().unwrap_or_default().to_ascii_uppercase();
    format!("{} {currency}", dollars(object[name].as_i64().unwrap_or_default()))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The date and time of a second.
fn time(seconds: &Value) -> String {
    let at = seconds.as_i64().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    at.map(|at| at.strftime("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default()
}

#[derive(Template)]
#[template(path = "checkout.html")]
struct CheckoutPage {
    title: String,
    error: String,
    lines: Vec<(String, String)>,
    total: String,
    button: &'static str,
    email: String,
    asks_email: bool,
    cancel: String,
    cards: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "authenticate.html")]
struct AuthenticatePage {
    amount: String,
}

#[derive(Template)]
#[template(path = "paper.html")]
struct Paper {
    title: String,
    rows: Vec<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    now: String,
    webhook: String,
    customers: Vec<Vec<String>>,
    payments: Vec<Vec<String>>,
    events: Vec<Vec<String>>,
}

fn html(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => reply(status, "text/html; charset=utf-8", text),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn go(url: &str) -> Response {
    let mut response = plain(StatusCode::SEE_OTHER, "");
    match HeaderValue::from_str(url) {
        Ok(url) => {
            response.headers_mut().insert(LOCATION, url);
            response
        }
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "The address to go on to cannot be written.\n"),
    }
}

fn lost() -> Response {
    plain(StatusCode::NOT_FOUND, "There is no such page.\n")
}

/// Answers a request for a page, or a page's form.
pub(crate) fn answer(server: &Server, method: &Method, path: &str, _query: &str, body: &[u8]) -> Response {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match (method.as_str(), parts.as_slice()) {
        ("GET", ["checkout", id]) => show_checkout(server, id, StatusCode::OK, String::new()),
        ("POST", ["checkout", id]) => submit_checkout(server, id, body),
        ("GET", ["authenticate", id]) => show_authenticate(server, id),
        ("POST", ["authenticate", id]) => submit_authenticate(server, id, body),
        ("GET", ["receipts", id]) => receipt(server, id),
        ("GET", ["invoices", id]) => invoice(server, id),
        _ => lost(),
    }
}

fn find(server: &Server, kinds: &[&str], id: &str) -> Option<Value> {
    let of_kind = |state: &State| {
        state.get(id).filter(|record| kinds.contains(&record.kind())).map(|record| record.object.clone())
    };
    server.look(of_kind)
}

fn show_checkout(server: &Server, id: &str, status: StatusCode, error: String) -> Response {
    let Some(session) = find(server, &["checkout.session"], id) else { return lost() };
    match session["status"].as_str() {
        Some("open") => {}
        Some("complete") => return go(&checkout::success_url(&session)),
        _ => return plain(StatusCode::GONE, "This Checkout session has expired.\n"),
    }
    let customer = session["customer"].as_str().and_then(|id| find(server, &["customer"], id));
    let email = customer.as_ref().map_or(&Value::Null, |customer| &customer["email"]);
    let email = email.as_str().or(session["customer_email"].as_str()).unwrap_or_default().to_owned();
    let (lines, saved) = server.look(|state| {
        let lines = state.get(id).map(|record| record.hidden["lines"].clone()).unwrap_or_default();
        let all = state.of_kind("payment_method").rev().filter_map(|id| state.get(id));
        let of_customer = all.filter(|record| {
            !session["customer"].is_null() && record.object["customer"] == session["customer"]
        });
        let shown = |record: &crate::state::Record| {
            let card = &record.object["card"];
            (record.id().to_owned(), format!("{} ending in {}", text(&card["brand"]), text(&card["last4"])))
        };
        (lines, of_customer.map(shown).collect::<Vec<_>>())
    });
    let lines = lines.as_array().into_iter().flatten();
    let line = |line: &Value| {
        (format!("{} × {}", line["quantity"], text(&line["description"])), money(line, "amount_total"))
    };
    let (title, button) = match session["mode"].as_str() {
        Some("setup") => ("Save a card", "Save card"),
        Some("subscription") => ("Subscribe", "Subscribe"),
        _ => ("Pay", "Pay"),
    };
    let page = CheckoutPage {
        title: title.to_owned(),
        error,
        lines: lines.map(line).collect(),
        total: if session["amount_total"].is_null() {
            String::new()
        } else {
            money(&session, "amount_total")
        },
        button,
        asks_email: customer.is_none() && email.is_empty(),
        email,
        cancel: text(&session["cancel_url"]),
        cards: if session["mode"] == "setup" { Vec::new() } else { saved },
    };
    html(status, &page)
}

/// Reads the form of the page.
fn filled(body: &[u8], now: i64) -> Result<Filled, ApiError> {
    let mut filled = Filled::default();
    let (mut number, mut expiry, mut cvc) = (String::new(), String::new(), String::new());
    for (name, value) in url::form_urlencoded::parse(body) {
        let value = value.trim().to_owned();
        match name.as_ref() {
            "number" => number = value,
            "expiry" => expiry = value,
            "cvc" => cvc = value,
            "name" => filled.name = Some(value).filter(|value| !value.is_empty()),
            "email" => filled.email = Some(value).filter(|value| !value.is_empty()),
            "payment_method" => filled.method = Some(value).filter(|value| !value.is_empty()),
            _ => {}
        }
    }
    if filled.method.is_none() {
        let wrong =
            || ApiError::card("Your card's expiration date is incomplete.", "invalid_expiry_month", None);
        let (month, year) = expiry.split_once('/').ok_or_else(wrong)?;
        let read = |part: &str| part.trim().parse::<i64>().map_err(|_| wrong());
        filled.card = Some(cards::check(&number, read(month)?, read(year)?, Some(&cvc), now)?);
    }
    Ok(filled)
}

fn submit_checkout(server: &Server, id: &str, body: &[u8]) -> Response {
    if find(server, &["checkout.session"], id).is_none() {
        return lost();
    }
    match server.act(|tx| {
        let filled = filled(body, tx.now)?;
        checkout::submit(tx, id, filled)
    }) {
        Ok(url) => go(&url),
        Err(error) => {
            let message = error.error.get("message").map(text).unwrap_or_default();
            let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
            show_checkout(server, id, status, message)
        }
    }
}

const INTENTS: [&str; 2] = ["payment_intent", "setup_intent"];

fn show_authenticate(server: &Server, id: &str) -> Response {
    let Some(intent) = find(server, &INTENTS, id) else { return lost() };
    if intent["status"] != "requires_action" {
        return plain(StatusCode::GONE, "There is nothing to authenticate any more.\n");
    }
    let amount = if intent["amount"].is_null() { String::new() } else { money(&intent, "amount") };
    html(StatusCode::OK, &AuthenticatePage { amount })
}

fn submit_authenticate(server: &Server, id: &str, body: &[u8]) -> Response {
    let Some(intent) = find(server, &INTENTS, id) else { return lost() };
    let back = text(&intent["next_action"]["redirect_to_url"]["return_url"]);
    let result = url::form_urlencoded::parse(body).find(|(name, _)| name == "result");
    let confirmed = match result.as_ref().map(|(_, value)| value.as_ref()) {
        Some("complete") => true,
        Some("fail") => false,
        _ => return plain(StatusCode::BAD_REQUEST, "The result is `complete` or `fail`.\n"),
    };
    let payment = intent["object"] == "payment_intent";
    let done = server.act(|tx| {
        if payment { pay::answer(tx, id, confirmed) } else { setup_intent::answer(tx, id, confirmed) }
    });
    match done {
        Err(error) if error.status != 402 => {
            plain(StatusCode::GONE, "There is nothing to authenticate any more.\n")
        }
        // Whoever comes back is told by the intent how it went.
        _ if back.is_empty() => plain(StatusCode::OK, "Done. You can close this page.\n"),
        // A page of ours, which knows itself how to go on.
        _ if back.starts_with(&format!("{}/checkout/", server.base)) => go(&back),
        _ => match url::Url::parse(&back) {
            Ok(mut url) => {
                let kind = if payment { "payment_intent" } else { "setup_intent" };
                url.query_pairs_mut()
                    .append_pair(kind, id)
                    .append_pair(&format!("{kind}_client_secret"), &text(&intent["client_secret"]));
                go(url.as_str())
            }
            Err(_) => plain(StatusCode::OK, "Done. You can close this page.\n"),
        },
    }
}

fn receipt(server: &Server, id: &str) -> Response {
    let charge = find(server, &["charge"], id).filter(|charge| charge["paid"] == true);
    let Some(charge) = charge else { return lost() };
    let card = &charge["payment_method_details"]["card"];
    let page = Paper {
        title: "Receipt".to_owned(),
        rows: vec![
            ("Amount paid", money(&charge, "amount")),
            ("Refunded", money(&charge, "amount_refunded")),
            ("Date paid (UTC)", time(&charge["created"])),
            ("Payment method", format!("{} – {}", text(&card["brand"]), text(&card["last4"]))),
            ("For", text(&charge["description"])),
            ("Number", id.to_owned()),
        ],
    };
    html(StatusCode::OK, &page)
}

fn invoice(server: &Server, id: &str) -> Response {
    let Some(invoice) = find(server, &["invoice"], id) else { return lost() };
    let page = Paper {
        title: format!("Invoice {}", text(&invoice["number"])),
        rows: vec![
            ("Amount due", money(&invoice, "amount_due")),
            ("Amount paid", money(&invoice, "amount_paid")),
            ("Status", text(&invoice["status"])),
            ("Date (UTC)", time(&invoice["created"])),
            ("To", text(&invoice["customer_email"])),
        ],
    };
    html(StatusCode::OK, &page)
}

/// The page that shows what is there.
pub(crate) fn overview(server: &Server) -> Response {
    let now = crate::server::real_ms() / 1000;
    let page = server.look(|state| {
        let rows = |kind: &str, row: &dyn Fn(&Value) -> Vec<String>| -> Vec<Vec<String>> {
            let all = state.of_kind(kind).rev().filter_map(|id| state.get(id));
            all.filter(|record| !record.deleted()).take(SHOWN_MAX).map(|record| row(&record.object)).collect()
        };
        let short = |event: &Value| {
            let delivery =
                state.deliveries.values().rev().find(|delivery| event["id"] == delivery.event.as_str());
            let carried = delivery.map(|delivery| {
                format!("{:?}, {} tries", delivery.state, delivery.attempts).to_ascii_lowercase()
            });
            let about = &event["data"]["object"];
            vec![
                time(&event["created"]),
                text(&event["type"]),
                text(&about["id"]),
                carried.unwrap_or_default(),
            ]
        };
        Overview {
            now: time(&Value::from(now + state.settings.offset)),
            webhook: state.settings.webhook.as_ref().map(|webhook| webhook.url.clone()).unwrap_or_default(),
            customers: rows("customer", &|customer| {
                vec![time(&customer["created"]), text(&customer["id"]), text(&customer["email"])]
            }),
            payments: rows("payment_intent", &|intent| {
                vec![
                    time(&intent["created"]),
                    text(&intent["id"]),
                    money(intent, "amount"),
                    text(&intent["status"]),
                    text(&intent["customer"]),
                ]
            }),
            events: rows("event", &short),
        }
    });
    html(StatusCode::OK, &page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_have_two_places() {
        assert_eq!([0, 5, 2990, -150].map(dollars), ["0.00", "0.05", "29.90", "-1.50"]);
    }

    #[test]
    fn a_form_needs_a_whole_card_or_a_saved_one() {
        let now = 1_790_000_000;
        let card =
            filled(b"number=4242+4242+4242+4242&expiry=12+%2F+34&cvc=123&name=&email=a%40b.example", now)
                .unwrap();
        assert_eq!((card.name, card.email.as_deref()), (None, Some("a@b.example")));
        assert_eq!(card.card.unwrap().expiry, (12, 2034));
        assert_eq!(filled(b"payment_method=pm_1", now).unwrap().method.as_deref(), Some("pm_1"));
        for wrong in ["", "number=4242424242424242&expiry=1234&cvc=123", "number=&expiry=12/34&cvc=123"] {
            assert_eq!(filled(wrong.as_bytes(), now).unwrap_err().status, 402, "{wrong}");
        }
    }
}
