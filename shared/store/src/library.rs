//! An account's clips as their owner reads them: newest first, page by page, and how many there are.
//!
//! The number is kept with the account and not found out by reading: a clip counts from the transaction that writes it
//! to the one that removes it. Those between their expiry and that, at most about a minute's worth, are counted and
//! taken off.
//!
//! The first page costs five calls, with 20 clips as with 100,000. A page far behind reads the places before it; a
//! cursor does not. Reads compare `expires_at` to the millisecond; once a minute the sweep clears away what has
//! expired, files first.

use aws_sdk_dynamodb::{
    operation::query::builders::QueryFluentBuilder,
    types::{AttributeValue, Select},
};
use domain::{
    ids::{AccountId, JobId},
    time::Timestamp,
};

use crate::{
    clips::{Clip, ClipPointer},
    keys::{self, Key},
    table::{Changes, Item, StoreError, Table},
};

/// How many queries one answer may take. Each reads up to 1 MB, some five thousand places in the list.
const QUERIES_MAX: usize = 64;

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Behind so many of the newest clips.
    Skip(usize),
    /// Behind the clip that a page ended with.
    Behind(Cursor),
}

/// Names a clip by its place in the list. The position stays valid as a cursor after the clip is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    created_at: Timestamp,
    clip: JobId,
}

impl Cursor {
    /// Reads a cursor as a page gave it. It only says where to go on in the caller's own list.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (created, clip) = text.split_once('-')?;
        let is_number =
            (1..=15).contains(&created.len()) && created.bytes().all(|byte| byte.is_ascii_digit());
        let created_at = is_number.then(|| created.parse().ok())??;
        Some(Self { created_at: Timestamp(created_at), clip: JobId::parse(clip)? })
    }

    fn key(&self, account: &AccountId) -> Key {
        keys::account_clip(account, self.created_at, &self.clip)
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.created_at.0, self.clip)
    }
}

/// Some clips, newest first.
#[derive(Clone, Debug)]
pub struct ClipPage {
    /// The clips.
    pub clips: Vec<Clip>,
    /// Where the next page begins; `None` if there is none.
    pub next: Option<Cursor>,
}

impl Table {
    /// How many clips of an account are alive at `now`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn clip_count(&self, account: &AccountId, now: Timestamp) -> Result<u64, StoreError> {
        let counted = self.storage(account).await?.clips;
        let (first, last) = keys::expired(now);
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
            .expression_attribute_values(":pk", AttributeValue::S(keys::account_partition(account)))
            .expression_attribute_values(":first", AttributeValue::S(first))
            .expression_attribute_values(":last", AttributeValue::S(last))
            .consistent_read(true)
            .select(Select::Count);
        let expired = count(query, usize::MAX).await?.0;
        Ok(counted.saturating_sub(expired as u64))
    }

    /// Up to `limit` clips, 100 at most, that are alive at `now`, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn clip_page(
        &self,
        account: &AccountId,
        start: Start,
        limit: usize,
        now: Timestamp,
    ) -> Result<ClipPage, StoreError> {
        let query = self.alive(account, now);
        let from = match start {
            Start::Skip(0) => None,
            Start::Skip(clips) => match count(query.clone().select(Select::Count), clips).await?.1 {
                Some(last) => Some(last),
                None => return Ok(ClipPage { clips: Vec::new(), next: None }),
            },
            Start::Behind(cursor) => Some(cursor.key(account).attributes()),
        };
        // One more than a page has: its presence tells that there is another page.
        let mut listed = places(query, from, limit + 1).await?;
        let more = listed.len() > limit;
        listed.truncate(limit);
        let clips: Vec<Key> = listed.iter().map(|place| keys::clip(&place.clip)).collect();
        let clips: Vec<Option<Clip>> = match clips.is_empty() {
            true => Vec::new(),
            false => {
                let found = self.get_many(&clips.iter().collect::<Vec<_>>()).await?;
                let read = |item: Option<Item>| item.map(serde_dynamo::from_item).transpose();
                found.into_iter().map(read).collect::<Result<_, _>>()?
            }
        };
        let next = listed.pop().filter(|_| more);
        // One may have gone since the list was read.
        let clips = clips.into_iter().flatten().filter(|clip| clip.is_alive(now)).collect();
        Ok(ClipPage { clips, next })
    }

    /// Gives a clip of `account` that is alive at `now` another name; `false` if there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rename_clip(
        &self,
        account: &AccountId,
        id: &JobId,
        name: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let change = Changes::default().set("name", &name)?.when(
            "#account = :account AND (attribute_not_exists(#expires_at) OR #expires_at > :now)",
            ["account", "expires_at"],
            [
                ("account", AttributeValue::S(account.to_string())),
                ("now", AttributeValue::N(now.0.to_string())),
            ],
        );
        Ok(self.update_one(&keys::clip(id), change).await?.is_some())
    }

    /// A query for an account's clips that are alive, newest first. It passes over others that it has read.
    fn alive(&self, account: &AccountId, now: Timestamp) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.name)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .filter_expression("attribute_not_exists(expires_at) OR expires_at > :now")
            .expression_attribute_values(":pk", AttributeValue::S(keys::account_partition(account)))
            .expression_attribute_values(":prefix", AttributeValue::S(keys::ACCOUNT_CLIPS.to_owned()))
            .expression_attribute_values(":now", AttributeValue::N(now.0.to_string()))
            .scan_index_forward(false)
            .consistent_read(true)
    }
}

/// Counts what a query finds, up to `limit`, and tells where to go on; `None` at the end.
async fn count(query: QueryFluentBuilder, limit: usize) -> Result<(usize, Option<Item>), StoreError> {
    let (mut found, mut from) = (0, None);
    for _ in 0..QUERIES_MAX {
        let rest = i32::try_from(limit - found).ok();
        let answer = query.clone().set_limit(rest).set_exclusive_start_key(from).send().await;
        let answer = answer.map_err(StoreError::aws("Query"))?;
        found += usize::try_from(answer.count).unwrap_or_default();
        from = answer.last_evaluated_key;
        if found >= limit || from.is_none() {
            return Ok((found, from));
        }
    }
    Err(StoreError::Busy)
}

/// Up to `wanted` places of the list from `from` on.
async fn places(
    query: QueryFluentBuilder,
    mut from: Option<Item>,
    wanted: usize,
) -> Result<Vec<Cursor>, StoreError> {
    let mut places = Vec::new();
    for _ in 0..QUERIES_MAX {
        let rest = i32::try_from(wanted - places.len()).unwrap_or(i32::MAX);
        let answer = query.clone().limit(rest).set_exclusive_start_key(from).send().await;
        let answer = answer.map_err(StoreError::aws("Query"))?;
        for item in answer.items.into_iter().flatten() {
            let created_at =
                created(&item).ok_or_else(|| StoreError::Malformed("a clip's place".to_owned()))?;
            let ClipPointer { clip, .. } = serde_dynamo::from_item(item)?;
            places.push(Cursor { created_at, clip });
        }
        from = answer.last_evaluated_key;
        if places.len() >= wanted || from.is_none() {
            return Ok(places);
        }
    }
    Err(StoreError::Busy)
}

/// When the clip of a place in the list was made: the sort key says so.
fn created(place: &Item) -> Option<Timestamp> {
    let sk = place.get(keys::SK)?.as_s().ok()?.strip_prefix(keys::ACCOUNT_CLIPS)?;
    sk.split_once('#')?.0.parse().ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_back_and_strangers_are_refused() {
        let cursor = Cursor { created_at: Timestamp(1_800_000_000_000), clip: JobId::from_random([7; 16]) };
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor.clone()));
        for text in
            ["", "-", "1-", "-aaaaaaaaaaaaaaaa", "x-aaaaaaaaaaaaaaaa", "1-short", "1-AAAAAAAAAAAAAAAA"]
        {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
        assert_eq!(Cursor::parse(&format!("1234567890123456-{}", cursor.clip)), None, "16 digits");
    }
}
