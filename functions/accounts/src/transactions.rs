//! `GET /v1/transactions`: what became of the caller's money, newest first, as JSON or, for who accepts it, CSV.

use std::{fmt, sync::Arc};

use domain::{
    ids::{AccountId, JobId},
    ledger::EntryKind,
    money::WalletKind,
};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation, StatusCode, paging};
use serde::Serialize;
use serde_json::Number;
use store::{
    history::{Cursor, Filter, Page},
    ledger::EntryRow,
};
use utoipa::ToSchema;

/// Rows of a page, unless asked otherwise.
const LIMIT: usize = 50;
/// Rows of the largest page.
const LIMIT_MAX: usize = 200;

/// The first line of a table. New columns come at the end.
const CSV_HEAD: &str = "id,type,wallet,amount,balance_after,job_id,created,available_delta,held_delta\r\n";

/// One movement of money.
#[derive(Debug, Serialize, ToSchema)]
pub struct Transaction {
    /// Its id.
    #[schema(example = "a1b2c3d4e5f6g7h8-usd-7")]
    pub id: String,
    /// `signup_bonus`, `purchase`, `subscription`, `reservation`, `charge`, `refund`, `gift`, `deposit_refund` or
    /// `dispute`.
    #[schema(value_type = String, example = "reservation")]
    pub r#type: EntryKind,
    /// `usd`, `edit` or `track`.
    #[schema(value_type = String, example = "usd")]
    pub wallet: WalletKind,
    /// By how much this changes what can be spent, in dollars or credits: negative for what leaves. All amounts of a
    /// wallet add up to its balance. A charge of what was reserved before is 0 here: the reservation has taken it.
    #[schema(value_type = f64, example = -0.1)]
    pub amount: Number,
    /// What could be spent afterwards; below zero, what was owed.
    #[schema(value_type = f64, example = 4.9)]
    pub balance_after: Number,
    /// The job that it belongs to; null if there is none.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub job_id: Option<String>,
    /// When it happened.
    #[schema(format = DateTime, example = "2026-03-30T12:00:00Z")]
    pub created: String,
    /// The same as `amount`: by how much this changes what can be spent.
    #[schema(value_type = f64, example = -0.1)]
    pub available_delta: Number,
    /// By how much this changes what is reserved for jobs that have not ended. They add up to what is reserved now.
    #[schema(value_type = f64, example = 0.1)]
    pub held_delta: Number,
}

/// Some movements, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct TransactionPage {
    /// The movements.
    pub transactions: Vec<Transaction>,
    /// Ask with `?cursor=` for the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// A transaction's id: whose it is, in which wallet, and its number there.
pub(crate) struct TransactionId {
    pub(crate) account: AccountId,
    pub(crate) wallet: WalletKind,
    pub(crate) seq: u64,
}

impl TransactionId {
    /// Reads an id from a path.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-');
        let account = AccountId::parse(parts.next()?)?;
        let wallet = wallet(parts.next()?)?;
        let digits = parts.next()?;
        let seq = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
        Some(Self { account, wallet, seq })
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.account, self.wallet.word(), self.seq)
    }
}

impl Transaction {
    pub(crate) fn of(account: &AccountId, wallet: WalletKind, row: &EntryRow) -> Self {
        let entry = row.entry;
        let id = TransactionId { account: account.clone(), wallet, seq: entry.seq };
        let available_delta = number(wallet, entry.available_delta);
        let of_a_job = matches!(entry.kind, EntryKind::Reservation | EntryKind::Charge | EntryKind::Refund);
        let job = of_a_job.then(|| JobId::parse(&row.reference)).flatten();
        Self {
            id: id.to_string(),
            r#type: entry.kind,
            wallet,
            amount: available_delta.clone(),
            balance_after: number(wallet, entry.net_after()),
            job_id: job.map(|job| job.to_string()),
            created: row.at.rfc3339(),
            available_delta,
            held_delta: number(wallet, entry.held_delta),
        }
    }

    /// One line of CSV (RFC 4180). None of the fields can have a comma, a quote or a line break in it.
    fn line(&self) -> String {
        let Self { id, r#type, wallet, amount, balance_after, job_id, created, available_delta, held_delta } =
            self;
        let (amount, balance_after) = (decimal(amount), decimal(balance_after));
        let (available_delta, held_delta) = (decimal(available_delta), decimal(held_delta));
        let kind = serde_json::to_value(r#type).unwrap_or_default();
        let (kind, wallet) = (kind.as_str().unwrap_or_default(), wallet.word());
        let job = job_id.as_deref().unwrap_or_default();
        format!(
            "{id},{kind},{wallet},{amount},{balance_after},{job},{created},{available_delta},{held_delta}\r\n"
        )
    }
}

/// Dollars as a decimal number, credits as a whole one.
#[allow(clippy::cast_precision_loss)] // exact below 2^53 micro-dollars, nine billion dollars
fn number(wallet: WalletKind, amount: i64) -> Number {
    match wallet {
        WalletKind::Usd => Number::from_f64(amount as f64 / 1e6).unwrap_or_else(|| 0.into()),
        WalletKind::Edit | WalletKind::Track => amount.into(),
    }
}

/// A number as a table has it: without an exponent.
fn decimal(number: &Number) -> String {
    // `f64` shows itself with as few digits as tell it from its neighbours, and never with an exponent.
    number.as_f64().map_or_else(|| number.to_string(), |number| number.to_string())
}

fn wallet(word: &str) -> Option<WalletKind> {
    WalletKind::ALL.into_iter().find(|kind| kind.word() == word)
}

/// Answers `GET /v1/transactions`.
///
/// # Errors
/// 400 for a bad cursor, limit, wallet or type, 401 without a key.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let asked = Asked::of(|name| request.query(name))?;
    let page = app.table()?.history(&caller.account, asked.filter, asked.cursor, asked.limit).await?;
    let accept = request.headers().get("accept").and_then(|value| value.to_str().ok());
    Ok(if wants_csv(accept) { csv(&caller, &page, &asked) } else { json(&caller, &page) })
}

fn shown(caller: &Caller, page: &Page) -> Vec<Transaction> {
    page.rows.iter().map(|(wallet, row)| Transaction::of(&caller.account, *wallet, row)).collect()
}

fn json(caller: &Caller, page: &Page) -> ApiResponse {
    let next_cursor = page.next.map(|cursor| cursor.to_string());
    ApiResponse::ok(&TransactionPage { transactions: shown(caller, page), next_cursor })
}

/// A table has no place for the next page's cursor, so that stands in a header (RFC 8288).
fn csv(caller: &Caller, page: &Page, asked: &Asked) -> ApiResponse {
    let mut text = CSV_HEAD.to_owned();
    text.extend(shown(caller, page).iter().map(Transaction::line));
    let answer = ApiResponse::new(StatusCode::OK, "text/csv; charset=utf-8", text.into_bytes());
    match page.next {
        Some(next) => answer.with_header("link", &format!("<?{}>; rel=\"next\"", asked.query_at(next))),
        None => answer,
    }
}

/// JSON or CSV, whichever `Accept` names first; JSON if it names neither.
fn wants_csv(accept: Option<&str>) -> bool {
    let types = accept.unwrap_or_default().split(',');
    let mut known = types.map(|range| range.split(';').next().unwrap_or_default().trim());
    known.find(|name| matches!(*name, "text/csv" | "application/json" | "*/*")) == Some("text/csv")
}

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    filter: Filter,
    cursor: Cursor,
    limit: usize,
}

impl Asked {
    fn of(parameter: impl Fn(&str) -> Option<String>) -> Result<Self, ApiError> {
        let bad = |detail: String| ApiError::bad_request(detail);
        let limit = paging::count("limit", parameter("limit").as_deref(), LIMIT, LIMIT_MAX)?;
        let cursor = paging::cursor(parameter("cursor").as_deref(), Cursor::parse)?.unwrap_or(Cursor::NEWEST);
        let only = parameter("wallet")
            .map(|word| wallet(&word).ok_or_else(|| bad("`wallet` must be usd, edit or track".to_owned())));
        let kind = parameter("type").map(|word| {
            let known = EntryKind::ALL.into_iter().find(|kind| kind.word() == word);
            let words = EntryKind::ALL.map(EntryKind::word).join(", ");
            known.ok_or_else(|| bad(format!("`type` must be one of {words}")))
        });
        Ok(Self { filter: Filter { wallet: only.transpose()?, kind: kind.transpose()? }, cursor, limit })
    }

    /// The query that asks for the same from `cursor` on. Everything in it is a word or a number of ours.
    fn query_at(&self, cursor: Cursor) -> String {
        let mut query = format!("cursor={cursor}&limit={}", self.limit);
        if let Some(wallet) = self.filter.wallet {
            query.extend(["&wallet=", wallet.word()]);
        }
        if let Some(kind) = self.filter.kind {
            query.extend(["&type=", kind.word()]);
        }
        query
    }
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("List transactions, newest first; as CSV with `Accept: text/csv`")
        .answers::<TransactionPage>()
        .query("cursor", "string", "`next_cursor` of the page before")
        .query("limit", "integer", "1 to 200 rows, 50 if left out")
        .query("wallet", "string", "Only this wallet: `usd`, `edit` or `track`")
        .query("type", "string", "Only this type, for example `charge`")
        .problems(&[400])
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{ledger::Entry, money::Amount, time::Timestamp};

    fn row(kind: EntryKind, available_delta: i64, held_delta: i64) -> EntryRow {
        let entry = Entry {
            seq: 7,
            kind,
            available_delta,
            held_delta,
            balance_after: Amount::new(4_900_000),
            owed_after: Amount::ZERO,
        };
        EntryRow { entry, reference: "a1b2c3d4e5f6g7h8".to_owned(), at: Timestamp(1_711_800_000_000) }
    }

    #[test]
    fn dollars_are_decimals_and_credits_whole() {
        let account = AccountId::from_random([1; 16]);
        let of = |wallet, row| serde_json::to_value(Transaction::of(&account, wallet, &row)).unwrap();
        let reserved = of(WalletKind::Usd, row(EntryKind::Reservation, -100_000, 100_000));
        assert_eq!((&reserved["amount"], &reserved["balance_after"]), (&(-0.1).into(), &4.9.into()));
        assert_eq!(reserved["job_id"], "a1b2c3d4e5f6g7h8");
        assert_eq!((&reserved["available_delta"], &reserved["held_delta"]), (&(-0.1).into(), &0.1.into()));
        let charged = of(WalletKind::Usd, row(EntryKind::Charge, 0, -100_000));
        assert_eq!((charged["amount"].as_f64(), charged["held_delta"].as_f64()), (Some(0.0), Some(-0.1)));
        assert_eq!(decimal(&number(WalletKind::Usd, -6)), "-0.000006");
        let bonus = of(WalletKind::Edit, row(EntryKind::SignupBonus, 300, 0));
        assert_eq!(
            (bonus["amount"].to_string(), &bonus["job_id"]),
            ("300".to_owned(), &serde_json::Value::Null)
        );
        let line = Transaction::of(&account, WalletKind::Usd, &row(EntryKind::Charge, 0, -100_000)).line();
        assert_eq!(
            line,
            format!("{account}-usd-7,charge,usd,0,4.9,a1b2c3d4e5f6g7h8,2024-03-30T12:00:00Z,0,-0.1\r\n")
        );
    }

    /// Whatever happens to a wallet, the amounts shown add up to what can be spent, and the reserved ones to what is held.
    #[test]
    fn amounts_add_up_to_the_balance() {
        use domain::ledger::{Resolution, Wallet};
        let account = AccountId::from_random([1; 16]);
        let mut wallet = Wallet::default();
        let mut shown = Vec::new();
        let mut book = |change: domain::ledger::Change| {
            for entry in &change.entries {
                let row = EntryRow { entry: *entry, reference: String::new(), at: Timestamp(0) };
                shown.push(Transaction::of(&account, WalletKind::Edit, &row));
            }
            change.wallet
        };
        wallet = book(wallet.grant(EntryKind::Gift, Amount::new(500)).unwrap());
        for (held, resolution) in [
            (100, Some(Resolution::Post(Amount::new(60)))),
            (50, Some(Resolution::Post(Amount::new(50)))),
            (70, Some(Resolution::Void)),
            (30, Some(Resolution::Expire)),
            (20, None),
        ] {
            let (change, hold) = wallet.hold(Amount::new(held)).unwrap();
            wallet = book(change);
            let (change, hold) = wallet.true_up(hold, Amount::new(held + 1)).unwrap();
            wallet = book(change);
            if let Some(resolution) = resolution {
                wallet = book(wallet.resolve(hold, resolution).unwrap().0);
            }
        }
        wallet = book(wallet.charge(Amount::new(7)).unwrap());
        let sum =
            |of: fn(&Transaction) -> &Number| shown.iter().map(|row| of(row).as_i64().unwrap()).sum::<i64>();
        assert_eq!(sum(|row| &row.amount), i64::try_from(wallet.available.units()).unwrap());
        assert_eq!(sum(|row| &row.available_delta), i64::try_from(wallet.available.units()).unwrap());
        assert_eq!(sum(|row| &row.held_delta), i64::try_from(wallet.held.units()).unwrap());
        assert_eq!((wallet.available.units(), wallet.held.units()), (500 - 60 - 50 - 21 - 7, 21));
    }

    #[test]
    fn ids_read_back_and_strangers_are_refused() {
        let id = TransactionId::parse("a1b2c3d4e5f6g7h8-track-12").unwrap();
        assert_eq!(id.to_string(), "a1b2c3d4e5f6g7h8-track-12");
        for text in [
            "",
            "a1b2c3d4e5f6g7h8",
            "a1b2c3d4e5f6g7h8-eur-1",
            "a1b2c3d4e5f6g7h8-usd-",
            "x-usd-1",
            "a1b2c3d4e5f6g7h8-usd-+1",
        ] {
            assert!(TransactionId::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_form_is_the_first_that_is_named() {
        for accept in [None, Some("*/*"), Some("application/json"), Some("application/json, text/csv")] {
            assert!(!wants_csv(accept), "{accept:?}");
        }
        for accept in [Some("text/csv"), Some("text/csv;q=0.9, */*"), Some("text/html, text/csv")] {
            assert!(wants_csv(accept), "{accept:?}");
        }
    }

    #[test]
    fn the_next_page_of_a_table_is_of_the_same_kind() {
        for (wallet, kind, limit) in [
            (None, None, None),
            (Some("edit"), None, Some("7")),
            (None, Some("signup_bonus"), None),
            (Some("usd"), Some("charge"), Some("200")),
        ] {
            let asked = Asked::of(|name| {
                let value = match name {
                    "wallet" => wallet,
                    "type" => kind,
                    "limit" => limit,
                    _ => None,
                };
                value.map(str::to_owned)
            });
            let asked = asked.unwrap();
            let next = Cursor::parse("3-n-12").unwrap();
            let query = asked.query_at(next);
            let parameters: std::collections::HashMap<&str, &str> =
                query.split('&').map(|part| part.split_once('=').unwrap()).collect();
            let followed = Asked::of(|name| parameters.get(name).map(|value| (*value).to_owned())).unwrap();
            assert_eq!(followed, Asked { cursor: next, ..asked }, "{query}");
        }
    }

    #[test]
    fn bad_parameters_are_named() {
        for (name, value) in
            [("limit", "0"), ("limit", "201"), ("cursor", "x"), ("wallet", "eur"), ("type", "tip")]
        {
            let asked = Asked::of(|asked| (asked == name).then(|| value.to_owned()));
            let problem = asked.err().map(|error| error.to_string()).unwrap();
            assert!(problem.contains(name), "{problem}");
        }
    }
}
