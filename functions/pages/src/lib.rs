//! What is there for anyone to see: shared clips, as pages and for programs, and the API description.
//!
//! Invariants: whoever has a clip's link sees the clip and nothing of its owner; what has expired, was deleted or never
//! was is one and the same 404; pages work without their script.
//!
//! - **Links** live for 6 hours, because a player fetches anew at each jump, and never longer than the clip. On AWS
//!   they also end with the credentials that signed them, and a pin moves the files away; the page's script then asks
//!   for new ones and goes on where it was.
//! - **Without a script** a page plays, jumps and downloads. The script (`/share.js`) copies, counts the view, renews
//!   links and makes a seek bar of the thumbnails.
//! - **A page is always a page** (`Trigger::Page`): a 404, a 429 and a fault of ours are HTML too.
//! - **What no route takes** (`elsewhere`) is told what there is instead.
//! - **The Studio** (`/`) and the account's page talk to the API by the browser's session, as everybody else does by a key. Their
//!   scripts are modules without a framework in `assets`; types stand in comments.
//! - **The policy** of a page (CSP) allows this script, the style by its hash, and media from the bucket; only `/embed`
//!   may be framed.
//!
//! `tests/stack/share` opens the pages in Chromium, in light and dark and from 320 px, and keeps pictures of them in
//! `.local/screenshots`.

use runtime::{Endpoint, Grant, Item, Object, Prefix, Route, Var, describe, handler};

pub mod account;
pub mod assets;
pub mod clip;
pub mod elsewhere;
pub mod embed;
pub mod home;
mod html;
pub mod oembed;
pub mod openapi;
pub mod script;
pub mod share;
mod shown;
pub mod view;

/// The grants to show a clip: read it, sign links to its files.
const SHOW: &[Grant] = &[Grant::Table(&[Item::Get]), Grant::Objects(Prefix::Clips, &[Object::Get])];

/// The grants of a page that talks to the API: to tell where the bucket is.
const APP: &[Grant] = &[Grant::Objects(Prefix::Clips, &[Object::Get])];
const SHOW_SETTINGS: &[Var] = &[Var::PageUrl, Var::BonusDeliveryGb, Var::DeliveryGb];

/// The endpoints of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::open("pages.share", Route::get("/v1/share/{clip_id}"), handler!(share::handle; app, request))
        .described(describe!(share::operation))
        .settings(SHOW_SETTINGS)
        .may(SHOW),
    Endpoint::open(
        "pages.view",
        Route::post("/v1/share/{clip_id}/view"),
        handler!(view::handle; app, request),
    )
    .described(describe!(view::operation))
    .may(&[Grant::Table(&[Item::BatchGet, Item::Put])]),
    Endpoint::page("pages.clip", Route::get("/c/{clip_id}"), handler!(clip::handle; app, request))
        .described(describe!(clip::operation))
        .settings(SHOW_SETTINGS)
        .may(SHOW),
    Endpoint::page("pages.embed", Route::get("/embed/{clip_id}"), handler!(embed::handle; app, request))
        .described(describe!(embed::operation))
        .settings(SHOW_SETTINGS)
        .may(SHOW),
    Endpoint::open("pages.oembed", Route::get("/oembed"), handler!(oembed::handle; app, request))
        .described(describe!(oembed::operation))
        .settings(SHOW_SETTINGS)
        .may(SHOW),
    Endpoint::uncounted("pages.script", Route::get("/share.js"), handler!(script::handle; app, request))
        .described(describe!(script::operation)),
    Endpoint::open("pages.openapi", Route::get("/openapi.json"), handler!(openapi::handle; app, request))
        .described(describe!(openapi::operation))
        .settings(&[Var::PageUrl]),
    Endpoint::page("pages.home", Route::get("/"), handler!(home::handle; app, request))
        .described(describe!(home::operation))
        .settings(&[Var::PageUrl])
        .may(APP),
    Endpoint::page("pages.account", Route::get("/account"), handler!(account::handle; app, request))
        .described(describe!(account::operation))
        .may(APP),
    Endpoint::uncounted(
        "pages.assets",
        Route::get("/assets/{version}/{file}"),
        handler!(assets::handle; app, request),
    )
    .described(describe!(assets::operation)),
    Endpoint::rest("pages.elsewhere", handler!(elsewhere::handle; app, request)),
];
