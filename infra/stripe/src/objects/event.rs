//! Events.

use serde_json::Value;

use crate::error::ApiError;
use crate::list::{self, LIST};
use crate::routes::{Ask, EXPAND, Endpoint, get};
use crate::tx::Tx;

pub(crate) const ENDPOINTS: &[Endpoint] = &[
    get("/v1/events", &[LIST, &["type", "types[]", "delivery_success"]], list),
    get("/v1/events/{}", &[EXPAND], retrieve),
];

fn retrieve(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    tx.get("event", ask.id(), "id")
}

fn list(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let (kind, kinds) = (ask.params.text("type")?, ask.params.texts("types")?);
    let success = ask.params.boolean("delivery_success")?;
    let wanted = |record: &crate::state::Record| {
        let found = record.object["type"].as_str().unwrap_or_default();
        let fits = |wanted: &str| match wanted.strip_suffix('*') {
            Some(prefix) => found.starts_with(prefix),
            None => found == wanted,
        };
        kind.is_none_or(fits)
            && (kinds.is_empty() || kinds.iter().any(|kind| fits(kind)))
            && success.is_none_or(|success| success == (record.object["pending_webhooks"] == 0))
    };
    list::page(tx, "event", ask.params, "/v1/events", wanted)
}
