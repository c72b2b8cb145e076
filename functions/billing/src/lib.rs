//! Billing: money that comes in through Stripe, and goes back.
//!
//! Invariants: what Stripe has charged less what went back is what the ledger has credited less what it took back; a card is
//! charged once for one request, whatever crashes or comes twice; no card is kept here, and no secret of Stripe's anywhere but
//! in Secrets Manager.
//!
//! A payment is written down before Stripe is asked, under an id that is also its `Idempotency-Key` there. What became of it is
//! looked up by whoever comes first: the request itself, the person who returns from Stripe's page, an event, the sweeper
//! ([`till`]). Without `StripeSecretArn` everything here that needs Stripe answers 503 `payments_off`.

use domain::{account::Scope, rate::Limit};
use runtime::{Endpoint, Grant, Item, Queue, Route, Schedule, Secret, Var, describe, handler};

pub mod approve;
pub mod approve_page;
pub mod cards;
mod customer;
pub mod deposit;
mod page;
pub mod paid;
pub mod payments;
pub mod reload;
mod secret;
pub mod settings;
mod stripe;
pub mod sweep;
mod till;
pub mod webhook;

/// When payments are looked after. A failed call is not repeated: the next one comes in a minute.
const EVERY_MINUTE: Schedule = Schedule { expression: "rate(1 minute)", retries: Some(0) };

/// Settings of whoever credits payments: a bonus may wait for the first one.
const BONUS: &[Var] = &[Var::SignupBonus, Var::BonusesPerDomain, Var::BonusesPerHour];
const BONUS_ON_A_PAGE: &[Var] = &[Var::PageUrl, Var::SignupBonus, Var::BonusesPerDomain, Var::BonusesPerHour];

/// The endpoints of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::keyed(
        "billing.list_cards",
        Route::get("/v1/cards"),
        Scope::Billing,
        Limit::Requests,
        handler!(cards::list::handle; app, caller, request),
    )
    .described(describe!(cards::list::operation))
    .may(&[Grant::Secret(Secret::Stripe)]),
    Endpoint::session(
        "billing.add_card",
        Route::post("/v1/cards"),
        handler!(cards::add::handle; app, session, request),
    )
    .described(describe!(cards::add::operation))
    .settings(&[Var::PageUrl])
    .may(&[Grant::Table(&[Item::Update]), Grant::Secret(Secret::Stripe)]),
    Endpoint::keyed(
        "billing.remove_card",
        Route::delete("/v1/cards/{payment_method_id}"),
        Scope::Billing,
        Limit::Requests,
        handler!(cards::remove::handle; app, caller, request),
    )
    .described(describe!(cards::remove::operation))
    .may(&[Grant::Secret(Secret::Stripe)]),
    Endpoint::keyed(
        "billing.default_card",
        Route::post("/v1/cards/{payment_method_id}/default"),
        Scope::Billing,
        Limit::Requests,
        handler!(cards::default::handle; app, caller, request),
    )
    .described(describe!(cards::default::operation))
    .may(&[Grant::Secret(Secret::Stripe)]),
    Endpoint::session(
        "billing.deposit",
        Route::post("/v1/deposits"),
        handler!(deposit::handle; app, session, request),
    )
    .described(describe!(deposit::operation))
    .settings(&[Var::PageUrl])
    .may(&[Grant::Table(&[Item::Put, Item::Update]), Grant::Secret(Secret::Stripe)]),
    Endpoint::page("billing.paid", Route::get("/paid"), handler!(paid::handle; app, request))
        .described(describe!(paid::operation))
        .settings(BONUS)
        .may(&[Grant::Table(&[Item::Get, Item::Put, Item::Update]), Grant::Secret(Secret::Stripe)]),
    Endpoint::keyed(
        "billing.payments",
        Route::get("/v1/payments"),
        Scope::Billing,
        Limit::Requests,
        handler!(payments::handle; app, caller, request),
    )
    .described(describe!(payments::operation))
    .may(&[Grant::Table(&[Item::Query])]),
    Endpoint::keyed(
        "billing.reload",
        Route::post("/v1/reload"),
        Scope::Billing,
        Limit::Requests,
        handler!(reload::handle; app, caller, request),
    )
    .described(describe!(reload::operation))
    .settings(BONUS_ON_A_PAGE)
    .may(&[
        Grant::Table(&[Item::BatchGet, Item::Get, Item::Put, Item::Update]),
        Grant::Secret(Secret::Stripe),
        Grant::Queue(Queue::Mail),
    ]),
    Endpoint::page(
        "billing.approve_page",
        Route::get("/v1/reload/approve"),
        handler!(approve_page::handle; app, request),
    )
    .described(describe!(approve_page::operation)),
    Endpoint::open(
        "billing.approve",
        Route::post("/v1/reload/approve"),
        handler!(approve::handle; app, request),
    )
    .described(describe!(approve::operation))
    .settings(BONUS_ON_A_PAGE)
    .may(&[
        Grant::Table(&[Item::Get, Item::Put, Item::Update]),
        Grant::Secret(Secret::Stripe),
        Grant::Queue(Queue::Mail),
    ]),
    Endpoint::session(
        "billing.reload_settings",
        Route::get("/v1/account/reload"),
        handler!(settings::read; app, session, request),
    )
    .described(describe!(settings::read_operation)),
    Endpoint::session(
        "billing.change_reload",
        Route::post("/v1/account/reload"),
        handler!(settings::change; app, session, request),
    )
    .described(describe!(settings::change_operation))
    .may(&[Grant::Table(&[Item::Update])]),
    Endpoint::uncounted(
        "billing.webhook",
        Route::post("/v1/stripe/webhook"),
        handler!(webhook::handle; app, request),
    )
    .described(describe!(webhook::operation))
    .settings(BONUS)
    .may(&[Grant::Table(&[Item::Delete, Item::Get, Item::Put, Item::Update]), Grant::Secret(Secret::Stripe)]),
    // Up to the next call: Stripe may have been away for a while.
    Endpoint::schedule("billing.sweep", EVERY_MINUTE, handler!(sweep::handle; app))
        .timeout_s(60)
        .settings(BONUS)
        .may(&[
            Grant::Table(&[Item::Get, Item::Put, Item::Update]),
            Grant::OpenIndex,
            Grant::Secret(Secret::Stripe),
        ]),
];
