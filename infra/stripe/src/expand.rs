//! `expand[]`: the object in the place of its id.

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::objects;
use crate::tx::Tx;

/// As deep as Stripe goes.
const DEPTH_MAX: usize = 4;

/// The answer with what these paths name.
pub(crate) fn expand(tx: &Tx<'_>, mut value: Value, paths: &[String]) -> Result<Value, ApiError> {
    for path in paths {
        let parts: Vec<&str> = path.split('.').collect();
        if parts.len() > DEPTH_MAX {
            let message =
                format!("You cannot expand more than {DEPTH_MAX} levels of a property. Property: {path}");
            return Err(ApiError::form(message));
        }
        within(tx, &mut value, &parts, path)?;
    }
    Ok(value)
}

fn within(tx: &Tx<'_>, value: &mut Value, parts: &[&str], path: &str) -> Result<(), ApiError> {
    let Some((first, rest)) = parts.split_first() else { return Ok(()) };
    if let Value::Array(members) = value {
        return members.iter_mut().try_for_each(|member| within(tx, member, parts, path));
    }
    if value.is_null() {
        return Ok(());
    }
    let cannot = || ApiError::form(format!("This property cannot be expanded ({path})."));
    if value.get(*first).is_none()
        && let Some(computed) = objects::computed(tx, value, first)
    {
        value[*first] = computed;
    }
    let next = value.get_mut(*first).ok_or_else(cannot)?;
    if let Some(record) = next.as_str().and_then(|id| tx.record(id)) {
        *next = record.object.clone();
    } else if next.is_string()
        || (rest.is_empty() && !(next.is_object() || next.is_array() || next.is_null()))
    {
        return Err(cannot());
    }
    within(tx, next, rest, path)
}

/// A list that is part of another object.
pub(crate) fn list_of(data: Vec<Value>, url: &str) -> Value {
    json!({ "object": "list", "data": data, "has_more": false, "url": url })
}
