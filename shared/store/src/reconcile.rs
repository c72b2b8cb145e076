//! Reconciliation: every wallet compared with its entries, and its open holds with their own records.
//!
//! Wallets are found by a scan of the table rather than by an index: an index is kept by the code that is checked here, and
//! would miss what that code forgot. A scan also finds entries whose wallet is gone. It goes page by page and is written
//! down after each, so that another run goes on where one had to stop, or crashed.
//!
//! A wallet may change while it is read. Its entries up to the number that it had are there by then and never change, so
//! what disagrees is a mismatch only if the wallet, read again, still has that number.
//!
//! Each wallet is compared by `domain::audit`, the rule that the tests use too: numbers without gaps, each balance,
//! what each kind of entry may move, holds that never give back more than they have; then each open hold with its own
//! record. A mismatch is logged and counted by the metric `LedgerMismatches`.
//!
//! It reads page by page (1 MB), eight wallets at once, and keeps only sums and open holds in memory. Of two runs at
//! once one stops. The cost is one read unit for a wallet, one for 4 KB of its entries (about 18), and half of that
//! again for the scan. A table with 22 wallets of one or two entries took 48.5 (`tests/stack/watch/reconcile.rs` prints
//! it); a million wallets with 40 entries each are about six million. It grows with the history.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    audit::{Audit, Mismatch},
    ids::{AccountId, JobId},
    ledger::{HoldState, Wallet},
    money::WalletKind,
    rate::Window,
    time::Timestamp,
};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::{
    jobs::HoldRecord,
    keys::{self, Key},
    table::{Attempts, Changes, StoreError, Table},
};

/// A wallet that is busy is looked at this often, then left for the next night.
const LOOKS_MAX: u32 = 8;
/// When a night begins, in milliseconds after midnight (UTC).
const NIGHT_MS: i64 = 2 * 3_600_000;
/// Wallets looked at side by side.
const AT_ONCE: usize = 8;

/// How far a reconciliation has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// When it began.
    pub begun_at: Timestamp,
    /// When it was through; `None` as long as it is not.
    pub ended_at: Option<Timestamp>,
    /// Wallets that were checked.
    pub wallets: u64,
    /// Of those, wallets that are not what their entries say.
    pub mismatches: u64,
    /// Wallets that changed whenever they were looked at.
    pub unsettled: u64,
    /// What can be spent in all wallets of dollars together, in micro-dollars.
    pub available: u64,
    /// What is held in them.
    pub held: u64,
    /// The key behind which it goes on, as partition and sort key; `None` at the beginning and at the end.
    after: Option<(String, String)>,
}

/// A pass as it is kept. The version counts up with each change, so that of two runs at once one stops.
#[derive(Default, Deserialize)]
struct Kept {
    pass: Pass,
    version: u64,
}

/// What a look at one wallet told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is what its entries say.
    Fine(Wallet),
    /// It is not.
    Wrong(Mismatch),
    /// It changed whenever it was looked at.
    Unsettled,
}

/// A wallet to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    account: AccountId,
    kind: WalletKind,
    /// Whether the wallet was found; else its first entry was, and the wallet must be there.
    whole: bool,
}

impl Table {
    /// Goes on with the reconciliation that is under way, or begins that of the night of `now`, page by page as long as
    /// `has_time` says. Answers how far it came; `None` if the night's is done, or another run is at it. Each wallet that is
    /// not fine is told to `tell`.
    ///
    /// # Errors
    /// [`StoreError`]; the pages before are kept.
    pub async fn reconcile(
        &self,
        now: Timestamp,
        page_items: Option<i32>,
        has_time: impl Fn() -> bool,
        tell: impl Fn(&AccountId, WalletKind, &Finding),
    ) -> Result<Option<Pass>, StoreError> {
        let Some(Kept { mut pass, mut version }) = self.pass_of(now).await? else { return Ok(None) };
        while pass.ended_at.is_none() && has_time() {
            let (looks, next) = self.page_after(pass.after.take(), page_items).await?;
            self.check_page(looks, &mut pass, &tell).await?;
            pass.after = next;
            pass.ended_at = pass.after.is_none().then_some(now);
            if !self.keep(&pass, version).await? {
                return Ok(None);
            }
            version += 1;
        }
        Ok(Some(pass))
    }

    /// The pass to go on with; `None` if the night's is done.
    async fn pass_of(&self, now: Timestamp) -> Result<Option<Kept>, StoreError> {
        let last: Kept = self.get(&keys::reconciliation()).await?.unwrap_or_default();
        if last.version > 0 && last.pass.ended_at.is_none() {
            return Ok(Some(last));
        }
        let night = |at: Timestamp| Window::Day.end(at.plus_ms(-NIGHT_MS));
        let done = last.version > 0 && night(last.pass.begun_at) == night(now);
        let fresh = Pass { begun_at: now, ..Pass::default() };
        Ok((!done).then_some(Kept { pass: fresh, version: last.version }))
    }

    /// Writes down how far a pass has come; `false` if another run did meanwhile.
    async fn keep(&self, pass: &Pass, seen: u64) -> Result<bool, StoreError> {
        let change = Changes::default().set("pass", pass)?.set("version", &(seen + 1))?.when(
            "attribute_not_exists(#version) OR #version = :seen",
            ["version"],
            [("seen", AttributeValue::N(seen.to_string()))],
        );
        Ok(self.update_one(&keys::reconciliation(), change).await?.is_some())
    }

    async fn check_page(
        &self,
        looks: Vec<Look>,
        pass: &mut Pass,
        tell: &impl Fn(&AccountId, WalletKind, &Finding),
    ) -> Result<(), StoreError> {
        let looked = |look: Look| async move {
            let finding = match look.whole {
                true => self.look_at(&look.account, look.kind).await?,
                // Whatever else is wrong with it is found where it stands.
                false => match self.wallet_there(&look.account, look.kind).await? {
                    Err(Mismatch::NoWallet) => Finding::Wrong(Mismatch::NoWallet),
                    there => Finding::Fine(there.unwrap_or_default()),
                },
            };
            Ok::<_, StoreError>((look, finding))
        };
        let mut found = stream::iter(looks).map(looked).buffered(AT_ONCE);
        while let Some(looked) = found.next().await {
            let (Look { account, kind, whole }, finding) = looked?;
            pass.wallets += u64::from(whole);
            match &finding {
                Finding::Fine(wallet) if whole && kind == WalletKind::Usd => {
                    pass.available = pass.available.saturating_add(wallet.available.units());
                    pass.held = pass.held.saturating_add(wallet.held.units());
                }
                Finding::Fine(_) => {}
                Finding::Wrong(_) => pass.mismatches += 1,
                Finding::Unsettled => pass.unsettled += 1,
            }
            if !matches!(finding, Finding::Fine(_)) {
                tell(&account, kind, &finding);
            }
        }
        Ok(())
    }

    /// Compares a wallet with its entries, and its open holds with their records.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn look_at(&self, account: &AccountId, kind: WalletKind) -> Result<Finding, StoreError> {
        let mut attempts = Attempts::default();
        for _ in 0..LOOKS_MAX {
            let wallet = match self.wallet_there(account, kind).await? {
                Ok(wallet) => wallet,
                Err(mismatch) => return Ok(Finding::Wrong(mismatch)),
            };
            let mismatch = match self.books(account, kind, wallet).await {
                Ok(()) => return Ok(Finding::Fine(wallet)),
                Err(Disagreement::Store(problem)) => return Err(problem),
                Err(Disagreement::Books(mismatch)) => mismatch,
            };
            match (self.wallet_there(account, kind).await?, &mismatch) {
                (Ok(again), _) if again == wallet => return Ok(Finding::Wrong(mismatch)),
                // It only went on: what it was then is what its entries said.
                (Ok(again), Mismatch::Behind(_)) if again.seq > wallet.seq => {
                    return Ok(Finding::Fine(wallet));
                }
                _ => {}
            }
            attempts.pause().await?;
        }
        Ok(Finding::Unsettled)
    }

    async fn wallet_there(
        &self,
        account: &AccountId,
        kind: WalletKind,
    ) -> Result<Result<Wallet, Mismatch>, StoreError> {
        match self.get(&keys::wallet(account, kind)).await {
            Ok(wallet) => Ok(wallet.ok_or(Mismatch::NoWallet)),
            Err(StoreError::Malformed(problem)) => Ok(Err(Mismatch::Unreadable(problem))),
            Err(problem) => Err(problem),
        }
    }

    async fn books(&self, account: &AccountId, kind: WalletKind, wallet: Wallet) -> Result<(), Disagreement> {
        let (mut audit, mut behind) = (Audit::default(), false);
        let all = self.each_entry(account, kind, |row| {
            if row.entry.seq > wallet.seq {
                behind = true;
                return Ok(());
            }
            Ok::<_, Disagreement>(audit.take(&row.entry, &row.reference)?)
        });
        all.await?;
        for (reference, entries) in audit.conclude(wallet)? {
            let record: Option<HoldRecord> = match JobId::parse(&reference) {
                Some(id) => self.get(&keys::hold(&id)).await?,
                None => None,
            };
            let open = record.filter(|it| it.account == *account && it.hold.state == HoldState::Held);
            let record = open.map(|it| it.hold.amount);
            if record != Some(entries) {
                return Err(Mismatch::Hold { reference, entries, record }.into());
            }
        }
        if behind { Err(Mismatch::Behind(wallet.seq).into()) } else { Ok(()) }
    }

    /// What is to be looked at in the next page of the table, and where the page after it begins.
    async fn page_after(
        &self,
        after: Option<(String, String)>,
        items: Option<i32>,
    ) -> Result<(Vec<Look>, Option<(String, String)>), StoreError> {
        let mut scan = self
            .client
            .scan()
            .table_name(&self.name)
            .set_limit(items)
            .projection_expression("pk, sk")
            .set_exclusive_start_key(after.map(|(pk, sk)| Key { pk, sk }.attributes()));
        let mut filter = "begins_with(sk, :wallets)".to_owned();
        scan = scan.expression_attribute_values(":wallets", AttributeValue::S(keys::WALLETS.to_owned()));
        for kind in WalletKind::ALL {
            let first = format!(":{}", kind.word());
            filter = format!("{filter} OR sk = {first}");
            scan = scan.expression_attribute_values(first, AttributeValue::S(keys::first_entry(kind)));
        }
        let answer = scan.filter_expression(filter).send().await.map_err(StoreError::aws("Scan"))?;
        let (mut looks, mut begun) = (Vec::new(), Vec::new());
        for Key { pk, sk } in answer.items.iter().flatten().filter_map(keys::of_item) {
            let look = |whole| move |(account, kind)| Look { account, kind, whole };
            looks.extend(keys::wallet_of(&pk, &sk).map(look(true)));
            begun.extend(keys::wallet_of_first_entry(&pk, &sk).map(look(false)));
        }
        // An entry sorts before its wallet, so that most wallets are in the page of their first entry.
        let there =
            |one: &Look| looks.iter().any(|look| (&look.account, look.kind) == (&one.account, one.kind));
        begun.retain(|one| !there(one));
        looks.extend(begun);
        let next = answer.last_evaluated_key.as_ref().and_then(keys::of_item);
        Ok((looks, next.map(|Key { pk, sk }| (pk, sk))))
    }
}

/// Why books are not found to be true.
enum Disagreement {
    Books(Mismatch),
    Store(StoreError),
}

impl From<Mismatch> for Disagreement {
    fn from(mismatch: Mismatch) -> Self {
        Self::Books(mismatch)
    }
}

impl From<StoreError> for Disagreement {
    fn from(problem: StoreError) -> Self {
        match problem {
            StoreError::Malformed(problem) => Self::Books(Mismatch::Unreadable(problem)),
            problem => Self::Store(problem),
        }
    }
}
