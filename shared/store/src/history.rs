//! An account's ledger as its owner reads it: newest first, page by page, over one wallet or all.

use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{ids::AccountId, ledger::EntryKind, money::WalletKind};

use crate::{
    keys,
    ledger::EntryRow,
    table::{StoreError, Table},
};

/// How many queries one wallet may take for one page. Each reads up to 1 MB, some thousands of rows, so only a
/// filter that almost nothing passes comes near it.
const QUERIES_MAX: usize = 50;

/// Where a page begins: for each wallet, in the order of [`WalletKind::ALL`], the number that its rows are below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor([u64; WalletKind::ALL.len()]);

impl Cursor {
    /// The first page.
    pub const NEWEST: Self = Self([u64::MAX; WalletKind::ALL.len()]);

    /// Reads a cursor as a page gave it. It only says where to go on in the caller's own wallets, so a forged one
    /// shows nothing that a true one would not.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('-').map(|part| match part {
            "n" => Some(u64::MAX),
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
            _ => None,
        });
        let mut cursor = Self::NEWEST;
        for place in &mut cursor.0 {
            *place = numbers.next()??;
        }
        numbers.next().is_none().then_some(cursor)
    }

    fn place(&mut self, kind: WalletKind) -> &mut u64 {
        let [usd, edit, track] = &mut self.0;
        match kind {
            WalletKind::Usd => usd,
            WalletKind::Edit => edit,
            WalletKind::Track => track,
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |number: &u64| if *number == u64::MAX { "n".to_owned() } else { number.to_string() };
        f.write_str(&self.0.iter().map(place).collect::<Vec<_>>().join("-"))
    }
}

/// Which rows are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of one wallet, or of all.
    pub wallet: Option<WalletKind>,
    /// Of one type, or of all.
    pub kind: Option<EntryKind>,
}

/// Some rows of the ledger, newest first.
#[derive(Clone, Debug)]
pub struct Page {
    /// The rows with their wallets.
    pub rows: Vec<(WalletKind, EntryRow)>,
    /// Where the next page begins; `None` if there is none.
    pub next: Option<Cursor>,
}

impl Table {
    /// Up to `limit` rows of an account's ledger from `cursor` on.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Busy`] if the filter leaves almost nothing of a very long history.
    pub async fn history(
        &self,
        account: &AccountId,
        filter: Filter,
        mut cursor: Cursor,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let mut heads = Vec::new();
        for kind in WalletKind::ALL.into_iter().filter(|kind| filter.wallet.is_none_or(|only| only == *kind))
        {
            let below = *cursor.place(kind);
            // One more than a page has: its presence tells that there is another page.
            let rows = self.rows_below(account, kind, below, filter.kind, limit + 1).await?;
            heads.push((kind, rows.into_iter().peekable()));
        }
        let mut page = Page { rows: Vec::new(), next: None };
        loop {
            // Within a wallet the numbers are the order, whatever the clocks said; between wallets time is.
            let newest = heads
                .iter_mut()
                .filter_map(|(kind, rows)| rows.peek().map(|row| (row.at, *kind)))
                .max_by_key(|(at, _)| *at);
            let Some((_, kind)) = newest else { return Ok(page) };
            if page.rows.len() == limit {
                page.next = Some(cursor);
                return Ok(page);
            }
            let row = heads.iter_mut().find(|(head, _)| *head == kind).and_then(|(_, rows)| rows.next());
            let Some(row) = row else { return Ok(page) };
            *cursor.place(kind) = row.entry.seq;
            page.rows.push((kind, row));
        }
    }

    /// One row of an account's ledger.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn entry(
        &self,
        account: &AccountId,
        kind: WalletKind,
        seq: u64,
    ) -> Result<Option<EntryRow>, StoreError> {
        self.get(&keys::entry(account, kind, seq)).await
    }

    /// Up to `wanted` rows of a wallet with numbers below `below`, newest first.
    async fn rows_below(
        &self,
        account: &AccountId,
        wallet: WalletKind,
        below: u64,
        only: Option<EntryKind>,
        wanted: usize,
    ) -> Result<Vec<EntryRow>, StoreError> {
        let Some(last) = below.checked_sub(1) else { return Ok(Vec::new()) };
        let (first, last) = (keys::entry(account, wallet, 0), keys::entry(account, wallet, last));
        let mut query = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
            .expression_attribute_values(":pk", AttributeValue::S(first.pk))
            .expression_attribute_values(":first", AttributeValue::S(first.sk))
            .expression_attribute_values(":last", AttributeValue::S(last.sk))
            .scan_index_forward(false)
            .consistent_read(true);
        query = match only {
            // A filter is applied behind the limit: with one, whole pages are read.
            Some(kind) => query
                .filter_expression("#kind = :kind")
                .expression_attribute_names("#kind", "kind")
                .expression_attribute_values(":kind", serde_dynamo::to_attribute_value(kind)?),
            None => query.limit(i32::try_from(wanted).unwrap_or(i32::MAX)),
        };
        let mut rows: Vec<EntryRow> = Vec::new();
        let mut from = None;
        for _ in 0..QUERIES_MAX {
            let answer = query.clone().set_exclusive_start_key(from).send().await;
            let answer = answer.map_err(StoreError::aws("Query"))?;
            for item in answer.items.into_iter().flatten() {
                rows.push(serde_dynamo::from_item(item)?);
            }
            from = answer.last_evaluated_key;
            if rows.len() >= wanted || from.is_none() {
                rows.truncate(wanted);
                return Ok(rows);
            }
        }
        Err(StoreError::Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_back_and_strangers_are_refused() {
        for cursor in [Cursor::NEWEST, Cursor([12, 0, u64::MAX])] {
            assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        }
        for text in ["", "1-2", "1-2-3-4", "a-b-c", "-1-2-3", "1-2-99999999999999999999", "1-+2-3", "1--3"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
