//! A Stripe for the local cloud: as much of Stripe's API as a shop with deposits, saved cards and subscriptions uses, on
//! 127.0.0.1, with test cards in place of money.
//!
//! It speaks the version [`VERSION`] of the API and answers in its shapes, whatever `Stripe-Version` asks for. Stripe's own
//! clients run against it (`tests/clients`), and what they are answered is checked against Stripe's OpenAPI.
//!
//! [`serve`] starts one inside the process that asks; the API is below [`Stripe::url`] as it is below
//! `https://api.stripe.com`. Where events go is said at the start or, once it is known, by [`Stripe::set_webhook`]. By
//! itself it is `cargo run -p clipwright-stripe --example serve -- FOLDER PORT KEY`.
//!
//! # What there is
//!
//! Customers, payment methods (cards), SetupIntents, PaymentIntents, charges, refunds, disputes, balance transactions,
//! Checkout sessions (`payment`, `setup`, `subscription`), products, prices, subscriptions, invoices and their payments,
//! and events: each in a file of `objects`. Of each, the parameters that are carried out are accepted, and those that
//! change nothing here; all others are refused with `parameter_unknown`, as Stripe refuses what it does not know.
//!
//! Idempotency keys work as Stripe's do: the first answer is kept for 24 hours and given again, a 500 included; other
//! parameters under a key are refused with 400; while the first call runs, a second is answered 409; what failed for its
//! parameters' form, and 409 and 429, is not kept. A call goes on to its end when its client stops waiting.
//!
//! # Pages
//!
//! A person or a test fills them in; each is a form that is posted to its own address.
//!
//! | address | what it does | fields |
//! |---|---|---|
//! | `/checkout/{session}` | a Checkout session's `url` | `number`, `expiry` (`MM/YY`), `cvc`, `name`, `email`; or `payment_method` (a saved card) |
//! | `/authenticate/{intent}` | where `next_action.redirect_to_url.url` leads | `result`: `complete` or `fail` |
//! | `/receipts/{charge}` | a charge's `receipt_url` | |
//! | `/invoices/{invoice}` | an invoice's `hosted_invoice_url` | |
//!
//! Whoever has filled in a page is sent on with 303: to `success_url` (with `{CHECKOUT_SESSION_ID}` filled in), to the page
//! that authenticates, or to `return_url`. A declined card is a page with status 402 that says why and can be filled in again.
//!
//! # Control
//!
//! Everything that Stripe does not have is below [`CONTROL`]. `GET /_local/stripe` is a page that shows customers, payments and
//! events. The others take and give JSON and need no key, because everything is loopback:
//!
//! | call | what it does |
//! |---|---|
//! | `GET /_local/stripe/clock` | `{now, offset}` in seconds |
//! | `POST /_local/stripe/clock` `{"advance": seconds}` | moves the clock on, and lets everything that falls due on the way happen in order: renewals, second tries of failed payments, cancellations, Checkout sessions that expire |
//! | `POST /_local/stripe/cards` `{"number": "4242…", "customer"?: "cus_…"}` | a saved card, attached to the customer if one is named. Nothing is checked on the way |
//! | `POST /_local/stripe/cards/{payment_method}` `{"number": "4000…"}` | makes a saved card behave as another test card from now on: how a card that worked starts to fail |
//! | `POST /_local/stripe/disputes/{dispute}` `{"status": "won"}` or `"lost"` | closes a dispute |
//! | `POST /_local/stripe/disputes` `{"charge": "ch_…", "amount"?: cents}` | opens one |
//! | `GET` and `POST /_local/stripe/webhook` `{"url", "secret"}` | where events go; `{"url": null}` stops sending |
//! | `GET /_local/stripe/deliveries` | every event: `{event, type, state, attempts, status}`, oldest first; `state` is `pending`, `delivered` or `dropped` |
//! | `GET` and `POST /_local/stripe/network` | how events are carried from now on: see [`Network`] |
//! | `POST /_local/stripe/events/{event}/send` | sends one event once more, now, whatever the network does; answers `{status}` |
//! | `GET`, `POST` and `DELETE /_local/stripe/faults` | makes calls of the API fail: see [`Fault`] |
//! | `GET /_local/stripe/calls` | the API's calls since the start: `{method, path, status, idempotency_key, replayed}` |
//!
//! # Webhooks
//!
//! An event is posted with `Stripe-Signature: t=…,v1=…`; the time in it is the real one, not that of the moved clock. Without a
//! 2xx within ten seconds it is posted again, after a quarter of a second, a half, a whole, and so on up to 15 seconds,
//! for three days, also after a restart. Up to eight are under way at once, so that their order is not certain even here.
//!
//! # What lasts
//!
//! The state is a log of JSON lines in the state folder: a call of the API, with everything that it changed, its events and the
//! answer under its idempotency key, is one line. Whatever moment the process is killed at, a call has happened whole or not
//! at all. A start reads the log, drops a last line that is not whole, and writes it anew without what is no longer needed.
//!
//! # Where it differs from Stripe
//!
//! - Money is on the way nowhere: balance transactions are `available` two days later, and there are no payouts.
//! - A fee is 2.9 % and 30 cents; a dispute's is 15 dollars.
//! - A renewal's invoice is finalised and paid at once, where Stripe leaves it a draft for about an hour. A failed payment is
//!   tried again after 3, 5 and 7 days more; then the subscription is cancelled.
//! - No taxes, discounts, trials or prorations; of capture methods only `automatic`.
//! - A search finds what was written a moment ago; Stripe may take a minute.
//! - An open invoice is paid by a call (`/v1/invoices/{id}/pay`); its page only shows it.
//! - No limit of calls; a test that wants a 429 asks for a [`Fault`].

// Stripe's objects have many fields.
#![recursion_limit = "256"]

/// The version of Stripe's API that answers have.
pub const VERSION: &str = "2026-05-27.dahlia";

/// The prefix of everything that Stripe does not have.
pub const CONTROL: &str = "/_local/stripe";

mod cards;
mod clock;
mod control;
mod deliver;
mod error;
mod expand;
mod fault;
mod form;
mod journal;
mod list;
mod network;
mod objects;
mod pages;
mod pay;
mod routes;
mod server;
mod state;
mod tx;

pub use fault::{Answer, Fault, When};
pub use network::Network;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::journal::Journal;
use crate::server::Server;
use crate::state::Change;

/// How a Stripe is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder that keeps its state; it is made if it is not there.
    pub state: PathBuf,
    /// The port on 127.0.0.1. 0 takes the port of the last start with this state if it is free, else any.
    pub port: u16,
    /// The secret key that the API's callers have: `sk_test_…`.
    pub key: String,
    /// Where events go; nothing leaves that as it was at the last start, at first nowhere.
    pub webhook: Option<Webhook>,
    /// Makes ids follow from it and from the order of the calls. Without it each new state has ids of its own, so that
    /// who remembers old ones never takes new ones for them.
    pub seed: Option<u64>,
}

/// Where events go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// An address with `http`, on this machine.
    pub url: String,
    /// What they are signed with, as it is: `whsec_…`.
    pub secret: String,
}

/// A Stripe that runs, until it is stopped or dropped.
#[derive(Debug)]
pub struct Stripe {
    server: Arc<Server>,
    address: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

/// Starts a Stripe with the state of its folder.
pub async fn serve(options: Options) -> anyhow::Result<Stripe> {
    let (mut journal, mut state) = Journal::open(&options.state, server::real_ms() / 1000)?;
    let listener = listen(options.port, state.settings.port).await?;
    let address = listener.local_addr()?;
    let mut settings = state.settings.clone();
    if state.counter == 0 && settings.seed == 0 {
        settings.seed = match options.seed {
            Some(seed) => seed,
            None => getrandom::u64().context("the operating system has no random numbers")?,
        };
    }
    settings.port = address.port();
    if options.webhook.is_some() {
        settings.webhook = options.webhook;
    }
    let change = Change { counter: state.counter, settings: Some(settings), ..Change::default() };
    journal.append(&change)?;
    state.apply(change);
    let server = Arc::new(Server::new(state, journal, options.key, format!("http://{address}")));
    let tasks = vec![
        tokio::spawn(accept(listener, Arc::clone(&server))),
        tokio::spawn(deliver::run(Arc::clone(&server))),
        tokio::spawn(clock::run(Arc::clone(&server))),
    ];
    Ok(Stripe { server, address, tasks })
}

async fn listen(asked: u16, last: u16) -> anyhow::Result<TcpListener> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    if asked == 0
        && last != 0
        && let Ok(listener) = bind(last).await
    {
        return Ok(listener);
    }
    bind(asked).await.with_context(|| format!("cannot listen on port {asked}"))
}

/// Serves connections until it is dropped, and they with it.
async fn accept(listener: TcpListener, server: Arc<Server>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let stream = match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are small, and nobody is to wait for a packet to fill.
                let _ = stream.set_nodelay(true);
                stream
            }
            Err(error) => {
                tracing::warn!("a connection was not taken: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            }
        };
        let server = Arc::clone(&server);
        connections.spawn(async move {
            let service = service_fn(move |request| server::handle(Arc::clone(&server), request));
            let mut http = hyper::server::conn::http1::Builder::new();
            // Fails when the other side goes away, or when a test asked for no answer.
            let _ = http.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl Stripe {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What addresses begin with, without a slash at the end: `http://127.0.0.1:4242`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.server.base
    }

    /// Says where events go from now on, those that wait included.
    pub fn set_webhook(&self, webhook: Webhook) -> anyhow::Result<()> {
        control::set_webhook(&self.server, Some(webhook))
            .map_err(|error| anyhow::anyhow!("{:?}", error.error))
    }

    /// Ends it: no request is carried out and no event sent any more, and its port and folder are free.
    pub async fn stop(mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
            let _ = task.await;
        }
        self.server.end_calls();
        // Connections and calls end a moment later.
        while Arc::strong_count(&self.server) > 1 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
}

impl Drop for Stripe {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.server.end_calls();
    }
}
