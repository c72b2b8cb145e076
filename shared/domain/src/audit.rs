//! Whether a wallet is what its entries say.
//!
//! An [`Audit`] takes the entries one by one, in order, and remembers sums and open holds only: the longest history needs
//! no more room than the shortest.

use std::collections::BTreeMap;

use crate::{
    ledger::{Entry, EntryKind, Wallet},
    money::Amount,
};

/// What is wrong with the books of a wallet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// An entry is missing, or there twice.
    #[error("entry {expected} should come, {found} does")]
    Gap {
        /// The number that follows.
        expected: u64,
        /// The number that is there.
        found: u64,
    },
    /// An entry moves what its kind never moves.
    #[error("entry {0} moves what its kind never moves")]
    Shape(u64),
    /// An entry states another balance than it leads to.
    #[error("entry {seq} leads to {} and states {}", sum.units(), stated.units())]
    Balance {
        /// The entry's number.
        seq: u64,
        /// What the entries up to it come to.
        sum: Amount,
        /// What it states.
        stated: Amount,
    },
    /// An entry spends or holds what is not there.
    #[error("entry {0} takes what is not there")]
    Negative(u64),
    /// A hold gives or spends more than it has: it was resolved twice.
    #[error("entry {seq} takes more out of the hold of {reference} than is in it")]
    Overdrawn {
        /// The entry's number.
        seq: u64,
        /// What is paid with the hold.
        reference: String,
    },
    /// The wallet is another one than its entries lead to.
    #[error("the entries lead to {entries:?}, the wallet is {wallet:?}")]
    Wallet {
        /// What the entries lead to.
        entries: Wallet,
        /// What is there.
        wallet: Wallet,
    },
    /// An item that does not read as what it should be.
    #[error("it does not read: {0}")]
    Unreadable(String),
    /// There are entries that the wallet does not know of: it was set back.
    #[error("there are entries behind its last one, {0}")]
    Behind(u64),
    /// There are entries, and no wallet.
    #[error("there are entries and no wallet")]
    NoWallet,
    /// A hold that has money in it by the entries is another one by its own record.
    #[error("the hold of {reference} has {} by the entries, and {record:?} by its own record", entries.units())]
    Hold {
        /// What is paid with the hold.
        reference: String,
        /// What the entries have put into it.
        entries: Amount,
        /// What its record says is open; `None` if there is none, or it says that the hold is resolved.
        record: Option<Amount>,
    },
}

/// An audit under way.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    wallet: Wallet,
    open: BTreeMap<String, u64>,
}

impl Audit {
    /// Takes the next entry, which belongs to `reference`.
    ///
    /// # Errors
    /// [`Mismatch`]; what comes behind it means nothing then.
    pub fn take(&mut self, entry: &Entry, reference: &str) -> Result<(), Mismatch> {
        let (seq, expected) = (entry.seq, self.wallet.seq.saturating_add(1));
        if seq != expected {
            return Err(Mismatch::Gap { expected, found: seq });
        }
        if !fits(entry) {
            return Err(Mismatch::Shape(seq));
        }
        let after = self.wallet.moved(entry.kind, entry.available_delta, entry.held_delta);
        let after = after.map_err(|_| Mismatch::Negative(seq))?;
        let (sum, stated) = (after.available, entry.balance_after);
        if sum != stated || after.owed != entry.owed_after {
            return Err(Mismatch::Balance { seq, sum, stated });
        }
        self.wallet = after;
        self.hold(entry, reference)
    }

    /// Keeps what is in the hold that the entry belongs to, as long as something is.
    fn hold(&mut self, entry: &Entry, reference: &str) -> Result<(), Mismatch> {
        if entry.held_delta == 0 {
            return Ok(());
        }
        let before = self.open.get(reference).copied().unwrap_or_default();
        match before.checked_add_signed(entry.held_delta) {
            None => return Err(Mismatch::Overdrawn { seq: entry.seq, reference: reference.to_owned() }),
            Some(0) => self.open.remove(reference),
            Some(after) => self.open.insert(reference.to_owned(), after),
        };
        Ok(())
    }

    /// Compares what the entries lead to with the wallet. Answers the holds that are open, with what is in each: together
    /// they are what the wallet holds.
    ///
    /// # Errors
    /// [`Mismatch::Wallet`].
    pub fn conclude(self, wallet: Wallet) -> Result<BTreeMap<String, Amount>, Mismatch> {
        if self.wallet != wallet {
            return Err(Mismatch::Wallet { entries: self.wallet, wallet });
        }
        Ok(self.open.into_iter().map(|(reference, amount)| (reference, Amount::new(amount))).collect())
    }
}

/// Audits a whole history at once. As [`Audit::conclude`].
///
/// # Errors
/// [`Mismatch`].
pub fn audit<'a>(
    wallet: Wallet,
    entries: impl IntoIterator<Item = (&'a Entry, &'a str)>,
) -> Result<BTreeMap<String, Amount>, Mismatch> {
    let mut audit = Audit::default();
    for (entry, reference) in entries {
        audit.take(entry, reference)?;
    }
    audit.conclude(wallet)
}

/// Whether the entry moves what its kind moves.
const fn fits(entry: &Entry) -> bool {
    let (available, held) = (entry.available_delta, entry.held_delta);
    let between = available == held.wrapping_neg();
    match entry.kind {
        EntryKind::SignupBonus | EntryKind::Purchase | EntryKind::Subscription | EntryKind::Gift => {
            available > 0 && held == 0
        }
        EntryKind::DepositRefund | EntryKind::Dispute => available < 0 && held == 0,
        EntryKind::Reservation => held > 0 && between,
        EntryKind::Refund => held < 0 && between,
        // At once, or out of a hold.
        EntryKind::Charge => (available < 0 && held == 0) || (available == 0 && held < 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Change, Hold, HoldState, Resolution};
    use proptest::prelude::*;

    /// A wallet, its entries with what they belong to, and its holds, after anything at all.
    #[derive(Clone, Debug, Default)]
    struct Books {
        wallet: Wallet,
        rows: Vec<(Entry, String)>,
        holds: Vec<Hold>,
    }

    impl Books {
        fn write(&mut self, change: Change, reference: String) {
            self.wallet = change.wallet;
            self.rows.extend(change.entries.into_iter().map(|entry| (entry, reference.clone())));
        }

        /// One step, by three numbers that may be anything.
        fn step(&mut self, (what, which, amount): (u8, usize, u64)) {
            let at = which.checked_rem(self.holds.len()).unwrap_or_default();
            let hold = self.holds.get(at).copied();
            let reference = format!("job-{at}");
            let resolved = |how| hold.map(|hold| self.wallet.resolve(hold, how));
            let outcome = match what % 7 {
                0 => return self.grant(amount),
                1 => {
                    if let Ok(change) = self.wallet.charge(Amount::new(amount)) {
                        self.write(change, "charge".to_owned());
                    }
                    return;
                }
                2 => {
                    if let Ok((change, hold)) = self.wallet.hold(Amount::new(amount)) {
                        let reference = format!("job-{}", self.holds.len());
                        self.holds.push(hold);
                        self.write(change, reference);
                    }
                    return;
                }
                3 => hold.map(|hold| self.wallet.true_up(hold, Amount::new(amount))),
                4 => resolved(Resolution::Void),
                5 => {
                    if let Ok(change) = self.wallet.take_back(EntryKind::Dispute, Amount::new(amount)) {
                        self.write(change, "payment".to_owned());
                    }
                    return;
                }
                _ => resolved(Resolution::Post(Amount::new(amount))),
            };
            if let Some(Ok((change, hold))) = outcome {
                self.holds[at] = hold;
                self.write(change, reference);
            }
        }

        fn grant(&mut self, amount: u64) {
            if let Ok(change) = self.wallet.grant(EntryKind::Gift, Amount::new(amount)) {
                self.write(change, "gift".to_owned());
            }
        }

        fn audit(&self) -> Result<BTreeMap<String, Amount>, Mismatch> {
            audit(self.wallet, self.rows.iter().map(|(entry, reference)| (entry, reference.as_str())))
        }
    }

    fn books() -> impl Strategy<Value = Books> {
        prop::collection::vec((any::<u8>(), any::<usize>(), 0u64..1000), 1..80).prop_map(|steps| {
            let mut books = Books::default();
            books.grant(500);
            steps.into_iter().for_each(|step| books.step(step));
            books
        })
    }

    fn more(amount: &mut Amount, by: u64) {
        *amount = Amount::new(amount.units() + by);
    }

    proptest! {
        #[test]
        fn true_books_are_found_true_and_open_holds_are_told(books in books()) {
            let holds = books.holds.iter().enumerate();
            let open: BTreeMap<String, Amount> = holds
                .filter(|(_, hold)| hold.state == HoldState::Held && hold.amount > Amount::ZERO)
                .map(|(at, hold)| (format!("job-{at}"), hold.amount))
                .collect();
            prop_assert_eq!(books.audit(), Ok(open));
        }

        /// Whatever single number is changed in whatever entry, it is found; so is an entry that goes, comes twice or
        /// changes places.
        #[test]
        fn a_tampered_entry_is_found(
            books in books(), at in any::<prop::sample::Index>(), what in 0u8..9, by in 1u64..1000,
        ) {
            let mut books = books;
            let at = at.index(books.rows.len());
            let signed = i64::try_from(by).unwrap();
            match what {
                0 => books.rows[at].0.seq += by,
                1 => books.rows[at].0.available_delta += signed,
                2 => books.rows[at].0.held_delta -= signed,
                3 => more(&mut books.rows[at].0.balance_after, by),
                4 => books.rows[at].0.available_delta -= signed,
                5 => { books.rows.remove(at); }
                6 => more(&mut books.rows[at].0.owed_after, by),
                7 => { let row = books.rows[at].clone(); books.rows.insert(at, row); }
                _ => { let last = books.rows.len() - 1; prop_assume!(at < last); books.rows.swap(at, last); }
            }
            prop_assert!(books.audit().is_err(), "{:#?}", books);
        }

        #[test]
        fn a_tampered_wallet_is_found(books in books(), what in 0u8..4, by in 1u64..1000) {
            let mut books = books;
            match what {
                0 => more(&mut books.wallet.available, by),
                1 => more(&mut books.wallet.held, by),
                2 => more(&mut books.wallet.owed, by),
                _ => books.wallet.seq += by,
            }
            let found = matches!(books.audit(), Err(Mismatch::Wallet { .. }));
            prop_assert!(found);
        }
    }

    /// The sums of a wallet would not tell: what one hold lacks, the other has.
    #[test]
    fn a_hold_that_is_resolved_twice_is_found_beside_an_open_one() {
        let mut books = Books::default();
        books.grant(100);
        for _ in 0..2 {
            books.step((2, 0, 10));
        }
        let first = books.holds[0];
        for _ in 0..2 {
            let (change, _) = books.wallet.resolve(first, Resolution::Void).unwrap();
            books.write(change, "job-0".to_owned());
        }
        let reference = "job-0".to_owned();
        assert_eq!(books.audit(), Err(Mismatch::Overdrawn { seq: 5, reference }));
    }

    #[test]
    fn no_entries_lead_to_an_empty_wallet() {
        assert_eq!(audit(Wallet::default(), []), Ok(BTreeMap::new()));
    }
}
