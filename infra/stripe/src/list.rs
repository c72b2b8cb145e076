//! Lists: pages of objects, the newest first, and searches.

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::form::Params;
use crate::state::Record;
use crate::tx::Tx;

/// What every list takes.
pub(crate) const LIST: &[&str] = &[
    "limit",
    "starting_after",
    "ending_before",
    "expand[]",
    "created",
    "created.gt",
    "created.gte",
    "created.lt",
    "created.lte",
];
const LIMIT: i64 = 10;
const LIMIT_MAX: i64 = 100;

/// A page of those of a kind that `wanted` wants.
pub(crate) fn page(
    tx: &Tx<'_>,
    kind: &str,
    params: &Params,
    url: &str,
    wanted: impl Fn(&Record) -> bool,
) -> Result<Value, ApiError> {
    let created = created(params)?;
    let all = tx.all(kind).into_iter().filter(|record| wanted(record));
    let all: Vec<&Record> =
        all.filter(|record| created(record.object["created"].as_i64().unwrap_or_default())).collect();
    let limit = limit(params)?;
    let at = |param: &str, id: &str| {
        // The cursor may be an object that the filter leaves out.
        let cursor = tx.record(id).filter(|record| record.kind() == kind);
        cursor.map(|record| record.seq).ok_or_else(|| ApiError::no_such(kind, id, param))
    };
    let (page, has_more): (Vec<&Record>, bool) =
        match (params.text("starting_after")?, params.text("ending_before")?) {
            (Some(_), Some(_)) => {
                let message = "You cannot parameterize both 'starting_after' and 'ending_before'.";
                return Err(ApiError::form(message));
            }
            (Some(id), None) => {
                let seq = at("starting_after", id)?;
                let rest: Vec<&Record> = all.into_iter().filter(|record| record.seq < seq).collect();
                (rest.iter().take(limit).copied().collect(), rest.len() > limit)
            }
            (None, Some(id)) => {
                let seq = at("ending_before", id)?;
                let rest: Vec<&Record> = all.into_iter().filter(|record| record.seq > seq).collect();
                (rest[rest.len().saturating_sub(limit)..].to_vec(), rest.len() > limit)
            }
            (None, None) => (all.iter().take(limit).copied().collect(), all.len() > limit),
        };
    let data: Vec<&Value> = page.into_iter().map(|record| &record.object).collect();
    Ok(json!({ "object": "list", "url": url, "has_more": has_more, "data": data }))
}

fn limit(params: &Params) -> Result<usize, ApiError> {
    let limit = params.integer("limit")?.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        let message = format!("This value must be between 1 and {LIMIT_MAX} (it currently is '{limit}').");
        return Err(ApiError::form(message).code("parameter_invalid_integer").param("limit"));
    }
    Ok(usize::try_from(limit).unwrap_or_default())
}

/// What `created` lets through: a second, or a range.
fn created(params: &Params) -> Result<impl Fn(i64) -> bool, ApiError> {
    let exact = match params.text("created") {
        Ok(Some(_)) => params.integer("created")?,
        _ => None,
    };
    let range = if exact.is_some() { Params::default() } else { params.below("created")? };
    let (gt, gte) = (range.integer("gt")?, range.integer("gte")?);
    let (lt, lte) = (range.integer("lt")?, range.integer("lte")?);
    Ok(move |created| {
        exact.is_none_or(|exact| created == exact)
            && gt.is_none_or(|gt| created > gt)
            && gte.is_none_or(|gte| created >= gte)
            && lt.is_none_or(|lt| created < lt)
            && lte.is_none_or(|lte| created <= lte)
    })
}

/// Whether a field is what a parameter says, if it says something.
pub(crate) fn is(params: &Params, name: &str) -> Result<impl Fn(&Record) -> bool + use<>, ApiError> {
    let wanted = params.text(name)?.map(str::to_owned);
    let name = name.to_owned();
    Ok(move |record: &Record| {
        wanted.as_deref().is_none_or(|wanted| match &record.object[&name] {
            Value::String(text) => text == wanted,
            Value::Bool(bool) => bool.to_string() == wanted,
            _ => false,
        })
    })
}

pub(crate) const SEARCH: &[&str] = &["query", "limit", "page", "expand[]"];

/// A search, in as much of Stripe's language as clauses joined by `AND`.
pub(crate) fn search(tx: &Tx<'_>, kind: &str, params: &Params, url: &str) -> Result<Value, ApiError> {
    let query = params.required("query")?;
    let clauses = split(query)?.into_iter().map(clause).collect::<Result<Vec<_>, _>>()?;
    let limit = limit(params)?;
    let skip: usize = match params.text("page")? {
        Some(page) => page.parse().map_err(|_| ApiError::form("Invalid page.").param("page"))?,
        None => 0,
    };
    let meets = |record: &&Record| clauses.iter().all(|clause| clause.meets(&record.object));
    let found: Vec<&Record> = tx.all(kind).into_iter().filter(meets).collect();
    let data: Vec<&Value> = found.iter().skip(skip).take(limit).map(|record| &record.object).collect();
    let has_more = found.len() > skip.saturating_add(limit);
    let next = has_more.then(|| (skip + limit).to_string());
    Ok(
        json!({ "object": "search_result", "url": url, "has_more": has_more, "next_page": next, "data": data }),
    )
}

/// `field:'value'`, `metadata['key']:'value'`, `-` before it for not, `<` and the like for numbers.
#[derive(Debug, PartialEq, Eq)]
struct Clause {
    not: bool,
    pointer: String,
    operator: String,
    value: String,
}

fn malformed(query: &str) -> ApiError {
    ApiError::form(format!("We were unable to parse your search query: {query}")).param("query")
}

/// The clauses of a query; an `AND` in quotes is no joint.
fn split(query: &str) -> Result<Vec<&str>, ApiError> {
    let (mut clauses, mut start, mut quote) = (Vec::new(), 0, None);
    for (at, char) in query.char_indices() {
        match (quote, char) {
            (None, '\'' | '"') => quote = Some(char),
            (Some(open), _) if open == char => quote = None,
            (None, ' ') if query[at..].to_ascii_uppercase().starts_with(" AND ") => {
                clauses.push(query[start..at].trim());
                start = at + " AND ".len();
            }
            _ => {}
        }
    }
    clauses.push(query.get(start..).unwrap_or_default().trim());
    if quote.is_some() || clauses.iter().any(|clause| clause.is_empty()) {
        return Err(malformed(query));
    }
    Ok(clauses)
}

fn clause(text: &str) -> Result<Clause, ApiError> {
    let (not, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (pointer, rest) = match rest.strip_prefix("metadata[") {
        Some(rest) => {
            let (key, rest) = rest.split_once(']').ok_or_else(|| malformed(text))?;
            let key = unquoted(key).ok_or_else(|| malformed(text))?;
            (format!("/metadata/{}", key.replace('~', "~0").replace('/', "~1")), rest)
        }
        None => {
            let end = rest.find([':', '<', '>', '~']).ok_or_else(|| malformed(text))?;
            let (field, rest) = rest.split_at(end);
            (format!("/{}", field.replace('.', "/")), rest)
        }
    };
    let operator = ["<=", ">=", ":", "<", ">", "~"].into_iter().find(|operator| rest.starts_with(operator));
    let operator = operator.ok_or_else(|| malformed(text))?;
    let value = &rest[operator.len()..];
    let value = unquoted(value).unwrap_or(value).to_owned();
    Ok(Clause { not, pointer, operator: operator.to_owned(), value })
}

fn unquoted(text: &str) -> Option<&str> {
    ['\'', '"'].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
}

impl Clause {
    fn meets(&self, object: &Value) -> bool {
        let found = object.pointer(&self.pointer);
        let text = match found {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(other) => Some(other.to_string()),
        };
        let number = |compare: fn(&i64, &i64) -> bool| {
            let both = found.and_then(Value::as_i64).zip(self.value.parse().ok());
            both.is_some_and(|(left, right)| compare(&left, &right))
        };
        let meets = match self.operator.as_str() {
            "<" => number(i64::lt),
            "<=" => number(i64::le),
            ">" => number(i64::gt),
            ">=" => number(i64::ge),
            "~" => text.is_some_and(|text| text.contains(&self.value)),
            _ if self.value == "null" => text.is_none(),
            _ => text.as_deref() == Some(&self.value),
        };
        meets != self.not
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meets(query: &str, object: &Value) -> bool {
        split(query).unwrap().into_iter().all(|text| clause(text).unwrap().meets(object))
    }

    #[test]
    fn a_search_reads_metadata_fields_and_numbers() {
        let object = json!({ "status": "succeeded", "amount": 500, "metadata": { "a b": "x AND y" } });
        for (query, wanted) in [
            ("status:'succeeded'", true),
            ("status:'succeeded' AND amount>499", true),
            ("metadata['a b']:'x AND y'", true),
            ("metadata[\"a b\"]:\"x\"", false),
            ("-status:\"canceled\" and amount<=500", true),
            ("metadata['z']:null", true),
            ("amount>500", false),
        ] {
            assert_eq!(meets(query, &object), wanted, "{query}");
        }
        assert!(split("status:'a").is_err() && clause("status").is_err());
    }
}
