//! Accounts: signing in without passwords, API keys, the account itself and its transactions, and the queues
//! behind them: mail, mail that came back, and erasure.
//!
//! Invariants: no answer tells whether an address is known; a secret is shown or sent once and stored as its digest
//! only; whoever signs in gets a session that nobody knew before.
//!
//! **Signing in.** Signup and login count (three mails in 15 minutes to an address, twenty an hour for a client address),
//! write a link and a code under the digest of the link's token, and hand both to `accounts.mail` through the mail queue:
//! apart from the mail itself, the one place where they travel in clear. A message is dropped when its link expires, after
//! 15 minutes. A code works only in the browser that asked for it; a try at one is counted before it is compared, and uses up
//! neither the link nor anybody else's code (`domain::sign_in` has the arithmetic).
//!
//! **The address** has one form (`domain::email`: lower case, no plus-tag, the domain in ASCII). It is the identity
//! *and* where mail goes, so only who reads that mailbox gets in. That a mailbox had its bonus is remembered after the
//! account is gone; where it was refused because of too many others, the account says so (`bonus: waiting`) until its first
//! deposit (`store::sign_in`).
//!
//! **A session** is a random token in a `__Host-` cookie, for 30 days. Its requests count for the account. Signing in again ends the old one. `GET
//! /v1/account` renews a token that is older than a day; the old one still works for a minute. A request that changes
//! something must name our own origin, and the two public halves of signing in refuse a foreign one.
//!
//! **Closing an account** frees the address and deletes keys and sessions. None can be made afterwards, because each of
//! these transactions also asks for an open profile. `accounts.erase` cancels the jobs that wait, and waits for those that run.

use domain::{account::Scope, rate::Limit};
use runtime::{Endpoint, Grant, Item, Object, Prefix, Queue, Route, Var, describe, handler};

pub mod begin;
pub mod close;
pub mod create_key;
pub mod delete_key;
pub mod erase;
pub mod get;
pub mod list_keys;
pub mod login;
pub mod logout;
pub mod mail;
pub mod page;
pub mod returned;
mod secrets;
pub mod signup;
pub mod transaction;
pub mod transactions;
pub mod update;
pub mod verify;

/// The grants to begin a sign-in: write the link down, order its mail.
const BEGIN: &[Grant] = &[Grant::Table(&[Item::Put]), Grant::Queue(Queue::Mail)];

/// The endpoints of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::open("accounts.signup", Route::post("/v1/auth/signup"), handler!(signup::handle; app, request))
        .described(describe!(signup::operation))
        .settings(&[Var::MailsPerHour])
        .may(BEGIN),
    Endpoint::open("accounts.login", Route::post("/v1/auth/login"), handler!(login::handle; app, request))
        .described(describe!(login::operation))
        .settings(&[Var::MailsPerHour])
        .may(BEGIN),
    Endpoint::page("accounts.page", Route::get("/sign-in"), handler!(page::handle; app, request))
        .described(describe!(page::operation)),
    Endpoint::open("accounts.verify", Route::post("/v1/auth/verify"), handler!(verify::handle; app, request))
        .described(describe!(verify::operation))
        .settings(&[Var::SignupBonus, Var::BonusesPerDomain, Var::BonusesPerHour])
        .may(&[Grant::Table(&[Item::BatchGet, Item::Delete, Item::Get, Item::Put])]),
    Endpoint::session(
        "accounts.logout",
        Route::post("/v1/auth/logout"),
        handler!(logout::handle; app, session, request),
    )
    .described(describe!(logout::operation))
    .may(&[Grant::Table(&[Item::Delete])]),
    Endpoint::session(
        "accounts.list_keys",
        Route::get("/v1/keys"),
        handler!(list_keys::handle; app, session, request),
    )
    .described(describe!(list_keys::operation))
    .may(&[Grant::Table(&[Item::BatchGet, Item::Query])]),
    Endpoint::session(
        "accounts.create_key",
        Route::post("/v1/keys"),
        handler!(create_key::handle; app, session, request),
    )
    .described(describe!(create_key::operation))
    .may(&[Grant::Table(&[Item::BatchGet, Item::Put, Item::Update])]),
    Endpoint::session(
        "accounts.delete_key",
        Route::delete("/v1/keys/{id}"),
        handler!(delete_key::handle; app, session, request),
    )
    .described(describe!(delete_key::operation))
    .may(&[Grant::Table(&[Item::Delete, Item::Update])]),
    Endpoint::session(
        "accounts.get",
        Route::get("/v1/account"),
        handler!(get::handle; app, session, request),
    )
    .described(describe!(get::operation))
    .may(&[Grant::Table(&[Item::Put, Item::Update])]),
    Endpoint::session(
        "accounts.update",
        Route::patch("/v1/account"),
        handler!(update::handle; app, session, request),
    )
    .described(describe!(update::operation))
    .may(&[Grant::Table(&[Item::Update])]),
    Endpoint::session(
        "accounts.close",
        Route::delete("/v1/account"),
        handler!(close::handle; app, session, request),
    )
    .described(describe!(close::operation))
    .may(&[Grant::Table(&[Item::Delete, Item::Query, Item::Update]), Grant::Queue(Queue::Erase)]),
    Endpoint::keyed(
        "accounts.transactions",
        Route::get("/v1/transactions"),
        Scope::Billing,
        Limit::Requests,
        handler!(transactions::handle; app, caller, request),
    )
    .described(describe!(transactions::operation))
    .may(&[Grant::Table(&[Item::Query])]),
    Endpoint::keyed(
        "accounts.transaction",
        Route::get("/v1/transactions/{id}"),
        Scope::Billing,
        Limit::Requests,
        handler!(transaction::handle; app, caller, request),
    )
    .described(describe!(transaction::operation))
    .may(&[Grant::Table(&[Item::Get])]),
    Endpoint::queue("accounts.mail", Queue::Mail, handler!(mail::handle; app, message))
        .timeout_s(15)
        .settings(&[Var::MailFrom, Var::PublicUrl, Var::StackMailsPerHour])
        .may(&[Grant::Table(&[Item::BatchGet, Item::Update]), Grant::Mail, Grant::MailSet]),
    Endpoint::queue("accounts.returned", Queue::Returned, handler!(returned::handle; app, message))
        .timeout_s(15)
        .may(&[Grant::Table(&[Item::Update])]),
    Endpoint::queue("accounts.erase", Queue::Erase, handler!(erase::handle; app, message)).timeout_s(60).may(
        &[
            Grant::Table(&[Item::Delete, Item::Get, Item::Put, Item::Query, Item::Update]),
            Grant::Queue(Queue::Webhooks),
            Grant::Objects(Prefix::Clips, &[Object::Delete]),
            Grant::Objects(Prefix::Uploads, &[Object::Delete]),
            Grant::Objects(Prefix::Uploads, &[Object::Abort]),
        ],
    ),
];
