//! The rules of the ledger: money moves in two phases, and every movement is written down.
//!
//! A *hold* moves an amount from `available` to `held`; it is then resolved exactly once: *posted* (all or part
//! is spent, the rest comes back), *voided* (all comes back: the work failed) or *expired* (all comes back: nobody
//! resolved it in time). Every change of a wallet is one or more [`Entry`] rows, numbered without gaps.
//!
//! Invariant: for every wallet, `available` less `owed` is the sum of its entries' `available_delta`, `held` the sum of
//! their `held_delta`; none of the three is ever negative, and who owes has nothing available. Money that came from a
//! payment may be taken back after it was spent ([`Wallet::take_back`]): only then does a wallet owe. What comes in next
//! pays that first.
//!
//! These functions decide; `store::ledger` carries a decision out as one conditional transaction.
//!
//! A transaction contains the wallet, on the condition that it is still the one that the decision was made on (its
//! `seq`); the entries, numbered by `seq` and carrying the balance after them; and the job, hold or transfer record,
//! each conditional on not having happened yet. When a condition fails the decision is made anew, after a random pause,
//! a bounded number of times. A post, void or expire of a hold that is resolved changes nothing and says so.

use serde::{Deserialize, Serialize};

use crate::money::Amount;

/// A wallet as it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wallet {
    /// What can be spent.
    pub available: Amount,
    /// What is set aside for work that is under way.
    pub held: Amount,
    /// What was taken back of a payment and is not there any more.
    #[serde(default, skip_serializing_if = "Amount::is_zero")]
    pub owed: Amount,
    /// Number of the latest entry. It also guards a write: a decision made on an older wallet is refused.
    pub seq: u64,
}

/// The transaction types that a user sees (EditClips' list).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// Free money on sign-up.
    SignupBonus,
    /// A top-up that was paid for.
    Purchase,
    /// The allowance of a subscription.
    Subscription,
    /// An amount set aside when work begins.
    Reservation,
    /// An amount spent.
    Charge,
    /// An amount given back.
    Refund,
    /// A present from the operator.
    Gift,
    /// A payment that was given back to its card, wholly or in part.
    DepositRefund,
    /// A payment whose owner's bank took it back, wholly or in part.
    Dispute,
}

impl EntryKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::SignupBonus,
        Self::Purchase,
        Self::Subscription,
        Self::Reservation,
        Self::Charge,
        Self::Refund,
        Self::Gift,
        Self::DepositRefund,
        Self::Dispute,
    ];

    /// The word in answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::SignupBonus => "signup_bonus",
            Self::Purchase => "purchase",
            Self::Subscription => "subscription",
            Self::Reservation => "reservation",
            Self::Charge => "charge",
            Self::Refund => "refund",
            Self::Gift => "gift",
            Self::DepositRefund => "deposit_refund",
            Self::Dispute => "dispute",
        }
    }

    /// Whether it takes money back that may have been spent, so that the wallet may owe afterwards.
    #[must_use]
    pub const fn takes_back(self) -> bool {
        matches!(self, Self::DepositRefund | Self::Dispute)
    }
}

/// One row of a wallet's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Position in the wallet's history, from 1 and without gaps.
    pub seq: u64,
    /// What kind of movement this is.
    pub kind: EntryKind,
    /// Change of `available`, or of what is owed.
    pub available_delta: i64,
    /// Change of `held`.
    pub held_delta: i64,
    /// `available` behind this entry.
    pub balance_after: Amount,
    /// What is owed behind this entry.
    #[serde(default, skip_serializing_if = "Amount::is_zero")]
    pub owed_after: Amount,
}

impl Entry {
    /// How much moves, in whichever direction.
    #[must_use]
    pub fn amount(self) -> u64 {
        self.available_delta.unsigned_abs().max(self.held_delta.unsigned_abs())
    }

    /// What can be spent behind this entry, or, below zero, what is owed.
    #[must_use]
    pub fn net_after(self) -> i64 {
        Wallet { available: self.balance_after, owed: self.owed_after, ..Wallet::default() }.net()
    }
}

/// What became of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HoldState {
    /// Open: the money is set aside.
    Held,
    /// Spent, wholly or in part.
    Posted,
    /// Given back because the work failed or was cancelled.
    Voided,
    /// Given back because nobody resolved it in time.
    Expired,
}

/// Money set aside for one piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// How much is set aside.
    pub amount: Amount,
    /// Open, or how it ended.
    pub state: HoldState,
    /// What was spent in the end; zero unless posted.
    pub posted: Amount,
}

/// How an open hold ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Spend this much, at most the held amount, and give back the rest.
    Post(Amount),
    /// Give everything back.
    Void,
    /// Give everything back, too late.
    Expire,
}

/// A decision: the wallet behind the change and the rows that explain it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The wallet as it will stand.
    pub wallet: Wallet,
    /// The new rows, in order.
    pub entries: Vec<Entry>,
}

/// Why the ledger refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The wallet does not have the amount.
    #[error("insufficient balance: {required} needed, {available} available")]
    Insufficient {
        /// What the operation needs.
        required: Amount,
        /// What the wallet has.
        available: Amount,
    },
    /// The hold was resolved before; nothing is to be done.
    #[error("the hold is already {0:?}")]
    Resolved(HoldState),
    /// More was to be posted than is held.
    #[error("cannot post more than is held")]
    ExceedsHold,
    /// An amount past the range of the ledger, or books that contradict themselves.
    #[error("amount out of range")]
    OutOfRange,
}

/// The largest amount that one wallet may reach: half the range of its signed deltas.
const WALLET_MAX: u64 = (i64::MAX / 2) as u64;

impl Wallet {
    /// Sets `amount` aside for new work.
    ///
    /// # Errors
    /// [`LedgerError::Insufficient`] if the wallet does not have it.
    pub fn hold(self, amount: Amount) -> Result<(Change, Hold), LedgerError> {
        let change = Draft::of(self).reserve(amount)?.finish();
        Ok((change, Hold { amount, state: HoldState::Held, posted: Amount::ZERO }))
    }

    /// Makes an open hold larger or smaller, when the true price is known before the work begins.
    ///
    /// # Errors
    /// [`LedgerError::Insufficient`] if it is to grow by more than the wallet has, [`LedgerError::Resolved`] if it
    /// is not open.
    pub fn true_up(self, hold: Hold, amount: Amount) -> Result<(Change, Hold), LedgerError> {
        hold.must_be_open()?;
        let draft = Draft::of(self);
        let draft = match amount.checked_sub(hold.amount) {
            Some(more) => draft.reserve(more)?,
            None => draft.give_back(Amount::new(hold.amount.units() - amount.units()))?,
        };
        Ok((draft.finish(), Hold { amount, ..hold }))
    }

    /// Ends an open hold.
    ///
    /// # Errors
    /// [`LedgerError::Resolved`] if it has ended before, [`LedgerError::ExceedsHold`] for a post above the hold.
    pub fn resolve(self, hold: Hold, how: Resolution) -> Result<(Change, Hold), LedgerError> {
        hold.must_be_open()?;
        let (state, posted) = match how {
            Resolution::Post(actual) => (HoldState::Posted, actual),
            Resolution::Void => (HoldState::Voided, Amount::ZERO),
            Resolution::Expire => (HoldState::Expired, Amount::ZERO),
        };
        let rest = hold.amount.checked_sub(posted).ok_or(LedgerError::ExceedsHold)?;
        let change = Draft::of(self).spend_held(posted)?.give_back(rest)?.finish();
        Ok((change, Hold { state, posted, ..hold }))
    }

    /// Adds money: a bonus, a purchase, a subscription's allowance or a gift.
    ///
    /// # Errors
    /// [`LedgerError::OutOfRange`] past the ledger's range.
    pub fn grant(self, kind: EntryKind, amount: Amount) -> Result<Change, LedgerError> {
        Ok(Draft::of(self).push(kind, signed(amount)?, 0)?.finish())
    }

    /// Takes back what a payment had brought: `kind` says why. What is not there any more is owed.
    ///
    /// # Errors
    /// [`LedgerError::OutOfRange`] past the ledger's range, or for a kind that takes nothing back.
    pub fn take_back(self, kind: EntryKind, amount: Amount) -> Result<Change, LedgerError> {
        if !kind.takes_back() {
            return Err(LedgerError::OutOfRange);
        }
        Ok(Draft::of(self).push(kind, -signed(amount)?, 0)?.finish())
    }

    /// What can be spent, or, below zero, what is owed: the sum of all entries.
    #[must_use]
    pub fn net(self) -> i64 {
        let signed = |amount: Amount| i64::try_from(amount.units()).unwrap_or(i64::MAX);
        signed(self.available).saturating_sub(signed(self.owed))
    }

    /// The same in dollars, for JSON.
    #[must_use]
    pub fn net_dollars(self) -> f64 {
        if self.owed.is_zero() { self.available.dollars() } else { -self.owed.dollars() }
    }

    /// The wallet with this net, and the same otherwise.
    fn with_net(self, net: i64) -> Self {
        let amount = Amount::new(net.unsigned_abs());
        let (available, owed) = if net < 0 { (Amount::ZERO, amount) } else { (amount, Amount::ZERO) };
        Self { available, owed, ..self }
    }

    /// The wallet after an entry of `kind` that moves so much. [`crate::audit`] goes by it, too.
    pub(crate) fn moved(
        self,
        kind: EntryKind,
        available_delta: i64,
        held_delta: i64,
    ) -> Result<Self, LedgerError> {
        let net = self.net().checked_add(available_delta).filter(|net| net.unsigned_abs() <= WALLET_MAX);
        let net = net.filter(|net| *net >= 0 || available_delta >= 0 || kind.takes_back());
        let held = moved(self.held, held_delta)?;
        Ok(Self { held, seq: self.seq + 1, ..self.with_net(net.ok_or(LedgerError::OutOfRange)?) })
    }

    /// Spends at once, for work that is done within the request.
    ///
    /// # Errors
    /// [`LedgerError::Insufficient`] if the wallet does not have it.
    pub fn charge(self, amount: Amount) -> Result<Change, LedgerError> {
        self.must_have(amount)?;
        Ok(Draft::of(self).push(EntryKind::Charge, -signed(amount)?, 0)?.finish())
    }

    const fn must_have(self, required: Amount) -> Result<(), LedgerError> {
        if self.available.units() < required.units() {
            return Err(LedgerError::Insufficient { required, available: self.available });
        }
        Ok(())
    }
}

impl Hold {
    fn must_be_open(self) -> Result<(), LedgerError> {
        if self.state == HoldState::Held { Ok(()) } else { Err(LedgerError::Resolved(self.state)) }
    }
}

/// A change in the making. Movements of nothing write no row.
struct Draft(Change);

impl Draft {
    const fn of(wallet: Wallet) -> Self {
        Self(Change { wallet, entries: Vec::new() })
    }

    fn reserve(self, amount: Amount) -> Result<Self, LedgerError> {
        self.0.wallet.must_have(amount)?;
        let delta = signed(amount)?;
        self.push(EntryKind::Reservation, -delta, delta)
    }

    fn spend_held(self, amount: Amount) -> Result<Self, LedgerError> {
        let delta = signed(amount)?;
        self.push(EntryKind::Charge, 0, -delta)
    }

    fn give_back(self, amount: Amount) -> Result<Self, LedgerError> {
        let delta = signed(amount)?;
        self.push(EntryKind::Refund, delta, -delta)
    }

    fn push(mut self, kind: EntryKind, available_delta: i64, held_delta: i64) -> Result<Self, LedgerError> {
        if available_delta == 0 && held_delta == 0 {
            return Ok(self);
        }
        let wallet = self.0.wallet.moved(kind, available_delta, held_delta)?;
        let Wallet { available: balance_after, owed: owed_after, seq, .. } = wallet;
        self.0.entries.push(Entry { seq, kind, available_delta, held_delta, balance_after, owed_after });
        self.0.wallet = wallet;
        Ok(self)
    }

    fn finish(self) -> Change {
        self.0
    }
}

fn signed(amount: Amount) -> Result<i64, LedgerError> {
    i64::try_from(amount.units()).map_err(|_| LedgerError::OutOfRange)
}

fn moved(amount: Amount, delta: i64) -> Result<Amount, LedgerError> {
    amount
        .units()
        .checked_add_signed(delta)
        .filter(|&sum| sum <= WALLET_MAX)
        .map(Amount::new)
        .ok_or(LedgerError::OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wallet(available: u64) -> Wallet {
        Wallet::default().grant(EntryKind::SignupBonus, Amount::new(available)).unwrap().wallet
    }

    #[test]
    fn a_hold_is_posted_in_part_and_the_rest_comes_back() {
        let (change, hold) = wallet(500).hold(Amount::new(200)).unwrap();
        assert_eq!((change.wallet.available, change.wallet.held), (Amount::new(300), Amount::new(200)));
        let (change, hold) = change.wallet.resolve(hold, Resolution::Post(Amount::new(150))).unwrap();
        assert_eq!(change.wallet, Wallet { available: Amount::new(350), seq: 4, ..Wallet::default() });
        assert_eq!((hold.state, hold.posted), (HoldState::Posted, Amount::new(150)));
        let kinds: Vec<_> = change.entries.iter().map(|e| (e.seq, e.kind, e.balance_after.units())).collect();
        assert_eq!(kinds, [(3, EntryKind::Charge, 300), (4, EntryKind::Refund, 350)]);
    }

    #[test]
    fn a_resolved_hold_cannot_be_resolved_again() {
        let (change, hold) = wallet(500).hold(Amount::new(200)).unwrap();
        let (change, hold) = change.wallet.resolve(hold, Resolution::Void).unwrap();
        for again in [Resolution::Post(Amount::new(1)), Resolution::Void, Resolution::Expire] {
            assert_eq!(change.wallet.resolve(hold, again), Err(LedgerError::Resolved(HoldState::Voided)));
        }
        assert_eq!(change.wallet.available, Amount::new(500));
    }

    #[test]
    fn refuses_what_it_does_not_have() {
        let error = LedgerError::Insufficient { required: Amount::new(501), available: Amount::new(500) };
        assert_eq!(wallet(500).hold(Amount::new(501)), Err(error));
        assert_eq!(wallet(500).charge(Amount::new(501)), Err(error));
        let (change, hold) = wallet(500).hold(Amount::new(200)).unwrap();
        assert!(matches!(
            change.wallet.true_up(hold, Amount::new(501)),
            Err(LedgerError::Insufficient { .. })
        ));
        assert_eq!(
            change.wallet.resolve(hold, Resolution::Post(Amount::new(201))),
            Err(LedgerError::ExceedsHold)
        );
        assert_eq!(wallet(1).grant(EntryKind::Gift, Amount::new(u64::MAX)), Err(LedgerError::OutOfRange));
    }

    #[test]
    fn who_owes_can_spend_nothing_until_it_is_paid() {
        let change = wallet(500).take_back(EntryKind::Dispute, Amount::new(700)).unwrap();
        let owing = change.wallet;
        assert_eq!((owing.available, owing.owed, owing.net()), (Amount::ZERO, Amount::new(200), -200));
        assert_eq!((change.entries[0].available_delta, change.entries[0].owed_after.units()), (-700, 200));
        assert!(matches!(owing.hold(Amount::new(1)), Err(LedgerError::Insufficient { .. })));
        let paid = owing.grant(EntryKind::Purchase, Amount::new(150)).unwrap().wallet;
        assert_eq!((paid.available, paid.owed), (Amount::ZERO, Amount::new(50)));
        let paid = paid.grant(EntryKind::Purchase, Amount::new(150)).unwrap().wallet;
        assert_eq!((paid.available, paid.owed), (Amount::new(100), Amount::ZERO));
        assert_eq!(wallet(5).take_back(EntryKind::Charge, Amount::new(1)), Err(LedgerError::OutOfRange));
        let stored = serde_json::to_value(wallet(5)).unwrap();
        assert_eq!(
            stored,
            serde_json::json!({ "available": 5, "held": 0, "seq": 1 }),
            "as ever where nothing is owed"
        );
    }

    #[derive(Clone, Debug)]
    enum Op {
        Grant(u64),
        TakeBack(u64),
        Charge(u64),
        Hold(u64),
        TrueUp(usize, u64),
        Resolve(usize, Resolution),
    }

    fn op() -> impl Strategy<Value = Op> {
        let resolution = prop_oneof![
            (0u64..1500).prop_map(|a| Resolution::Post(Amount::new(a))),
            Just(Resolution::Void),
            Just(Resolution::Expire)
        ];
        prop_oneof![
            (0u64..1000).prop_map(Op::Grant),
            (0u64..1000).prop_map(Op::TakeBack),
            (0u64..1000).prop_map(Op::Charge),
            (0u64..1000).prop_map(Op::Hold),
            (0usize..8, 0u64..1500).prop_map(|(i, a)| Op::TrueUp(i, a)),
            (0usize..8, resolution).prop_map(|(i, r)| Op::Resolve(i, r)),
        ]
    }

    proptest! {
        /// Whatever is tried in whatever order: no money is lost or made, and the rows tell the whole story.
        #[test]
        fn books_balance(ops in prop::collection::vec(op(), 0..80)) {
            let mut wallet = Wallet::default();
            let mut rows: Vec<Entry> = Vec::new();
            let mut holds: Vec<Hold> = Vec::new();
            let (mut granted, mut spent) = (0u64, 0u64);
            for op in ops {
                let outcome = match op {
                    Op::Grant(a) => wallet.grant(EntryKind::Gift, Amount::new(a)).inspect(|_| granted += a),
                    Op::TakeBack(a) => {
                        wallet.take_back(EntryKind::DepositRefund, Amount::new(a)).inspect(|_| spent += a)
                    }
                    Op::Charge(a) => wallet.charge(Amount::new(a)).inspect(|_| spent += a),
                    Op::Hold(a) => wallet.hold(Amount::new(a)).map(|(c, h)| { holds.push(h); c }),
                    Op::TrueUp(i, a) if i < holds.len() => {
                        wallet.true_up(holds[i], Amount::new(a)).map(|(c, h)| { holds[i] = h; c })
                    }
                    Op::Resolve(i, how) if i < holds.len() => wallet.resolve(holds[i], how).map(|(c, h)| {
                        spent += h.posted.units();
                        holds[i] = h;
                        c
                    }),
                    _ => continue,
                };
                let Ok(change) = outcome else { continue };
                wallet = change.wallet;
                rows.extend(change.entries);
            }
            let open: u64 = holds.iter().filter(|h| h.state == HoldState::Held).map(|h| h.amount.units()).sum();
            prop_assert_eq!(wallet.held.units(), open);
            let in_it = wallet.net() + wallet.held.units() as i64;
            prop_assert_eq!(in_it, granted as i64 - spent as i64);
            prop_assert!(wallet.owed == Amount::ZERO || wallet.available == Amount::ZERO);
            prop_assert_eq!(rows.iter().map(|e| e.available_delta).sum::<i64>(), wallet.net());
            prop_assert_eq!(rows.iter().map(|e| e.held_delta).sum::<i64>(), wallet.held.units() as i64);
            let mut balance = 0i64;
            for (row, expected_seq) in rows.iter().zip(1u64..) {
                balance += row.available_delta;
                prop_assert_eq!(row.seq, expected_seq);
                prop_assert_eq!(row.balance_after.units() as i64 - row.owed_after.units() as i64, balance);
            }
            prop_assert_eq!(wallet.seq as usize, rows.len());
        }
    }
}
