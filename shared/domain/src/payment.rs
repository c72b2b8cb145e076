//! Payments: money that comes in through Stripe, and may go back.
//!
//! A payment is written down before Stripe is asked for anything, and knows then all that Stripe is asked; its id is the
//! `Idempotency-Key`. From then on it *learns* what Stripe says of it ([`Payment::learn`]): by an answer, by an event, by
//! looking it up. It may learn the same thing often, late, or in another order than it happened.
//!
//! Invariant: what was credited for a payment is what Stripe has received for it, once; what was taken back is what Stripe
//! has given back, once. That holds because what Stripe reports only ever grows (received, refunded, lost to disputes), and
//! a payment acts on the difference to what it has done already.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{AccountId, PaymentId},
    ledger::EntryKind,
    money::Amount,
    time::Timestamp,
};

/// The least that can be paid at once: $5.
pub const CENTS_MIN: u64 = 500;
/// The most that can be paid at once: $500.
pub const CENTS_MAX: u64 = 50_000;

/// How long a Checkout page of a payment may be used: one hour. Stripe allows 30 minutes to 24 hours.
pub const CHECKOUT_LIFETIME_MS: i64 = 3_600_000;
/// For how long Stripe is asked for a charge whose outcome is unknown. Later it is only looked up: nobody is charged long
/// after they have asked.
pub const ASKED_FOR_MS: i64 = 600_000;
/// When a payment that has not ended is looked after next: sooner than anybody asks, later than a function lives.
const LOOK_AFTER_MS: i64 = 60_000;
/// The longest that a payment whose outcome is unknown rests between two looks.
const LOOK_AFTER_MS_MAX: i64 = 600_000;
/// How long after its page has closed a deposit is looked up: Stripe's own event should have told before.
const AFTER_CHECKOUT_MS: i64 = 60_000;

/// An amount that can be paid, in cents.
///
/// # Errors
/// What to say to whoever asked.
pub fn cents(number: i64) -> Result<u64, &'static str> {
    let cents = u64::try_from(number).ok().filter(|cents| (CENTS_MIN..=CENTS_MAX).contains(cents));
    cents.ok_or("`amount` must be a whole number of cents from 500 ($5) to 50000 ($500)")
}

/// How it came to a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Its owner pays on Stripe's page.
    Deposit,
    /// A saved card is charged, asked for with an API key.
    Reload,
}

impl Purpose {
    /// The word in answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Deposit => "deposit",
            Self::Reload => "reload",
        }
    }
}

/// Why a card was not charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decline {
    /// Its bank refuses, and does not say why, or says what is nobody else's business.
    CardDeclined,
    /// There is not enough money behind it.
    InsufficientFunds,
    /// It has expired.
    ExpiredCard,
    /// Its owner must confirm the payment to the bank, which a program cannot.
    AuthenticationRequired,
    /// It cannot be used: it was removed, or Stripe does not take it.
    CardUnusable,
}

impl Decline {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::CardDeclined,
        Self::InsufficientFunds,
        Self::ExpiredCard,
        Self::AuthenticationRequired,
        Self::CardUnusable,
    ];

    /// What Stripe's `code` and `decline_code` mean
    /// (<https://docs.stripe.com/declines/codes>).
    #[must_use]
    pub fn of_stripe(code: &str, decline_code: &str) -> Self {
        match (code, decline_code) {
            ("authentication_required", _) | (_, "authentication_required") => Self::AuthenticationRequired,
            (_, "insufficient_funds") => Self::InsufficientFunds,
            ("expired_card", _) | (_, "expired_card") => Self::ExpiredCard,
            _ => Self::CardDeclined,
        }
    }

    /// The word in answers.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::CardDeclined => "card_declined",
            Self::InsufficientFunds => "card_insufficient_funds",
            Self::ExpiredCard => "card_expired",
            Self::AuthenticationRequired => "card_authentication_required",
            Self::CardUnusable => "card_unusable",
        }
    }

    /// A sentence for people.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::CardDeclined => {
                "The card was declined. Nothing was charged. Use another card, or ask its bank."
            }
            Self::InsufficientFunds => {
                "There is not enough money behind the card. Nothing was charged. Use another card, or a smaller amount."
            }
            Self::ExpiredCard => "The card has expired. Nothing was charged. Save another card.",
            Self::AuthenticationRequired => {
                "The card's bank wants its owner to confirm this payment. Nothing was charged. We have mailed the \
                 owner how to pay with a browser."
            }
            Self::CardUnusable => "The card cannot be used any more. Nothing was charged. Save another card.",
        }
    }
}

/// Where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Asked for, or about to be; the outcome is not known.
    Pending,
    /// Stripe has the money. Nothing changes that; it may go back, though.
    Paid,
    /// The card was not charged.
    Declined {
        /// Why.
        why: Decline,
    },
    /// Nobody paid.
    Expired,
}

impl State {
    /// The word in answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Paid => "paid",
            Self::Declined { .. } => "declined",
            Self::Expired => "expired",
        }
    }
}

/// A payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Its id.
    pub id: PaymentId,
    /// Whose it is.
    pub account: AccountId,
    /// How it came to it.
    pub purpose: Purpose,
    /// How much was asked for, in cents.
    pub cents: u64,
    /// When.
    pub created_at: Timestamp,
    /// Stripe's id of the customer who pays.
    pub customer: String,
    /// Stripe's id of the card that is charged, where we choose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
    /// Whether the card that is paid with on Stripe's page is to be saved.
    #[serde(default)]
    pub save_card: bool,
    /// Where it stands.
    #[serde(flatten)]
    pub state: State,
    /// Stripe's id of what is charged, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// Stripe's id of the page that it is paid on, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout: Option<String>,
    /// Stripe's page with the receipt, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_url: Option<String>,
    /// What was credited for it, in cents.
    #[serde(default)]
    pub credited_cents: u64,
    /// The balance right after that, which is what a repeat of the request is told.
    #[serde(default)]
    pub balance_after: Amount,
    /// What was taken back because of refunds, in cents.
    #[serde(default)]
    pub refunded_cents: u64,
    /// What was taken back because of lost disputes, in cents.
    #[serde(default)]
    pub lost_cents: u64,
    /// Whether its owner's bank has ever disputed it.
    #[serde(default)]
    pub disputed: bool,
    /// How often it was looked after without coming to an end.
    #[serde(default)]
    pub looks: u32,
    /// Counts the changes, so that none is made on an old state.
    #[serde(default)]
    pub version: u64,
}

/// What Stripe says of a payment at some moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What it has received, in cents; zero until it is paid.
    pub received_cents: u64,
    /// What of it was refunded, in cents.
    pub refunded_cents: u64,
    /// What of it was lost to disputes, in cents.
    pub lost_cents: u64,
    /// Whether it was disputed, however that ended.
    pub disputed: bool,
    /// How it ended, if it was not paid.
    pub ended: Option<Ended>,
    /// Stripe's id of what is charged.
    pub intent: Option<String>,
    /// Stripe's id of the page that it is paid on.
    pub checkout: Option<String>,
    /// The page with the receipt.
    pub receipt_url: Option<String>,
}

/// How a payment ends without money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The card was declined.
    Declined(Decline),
    /// Nobody paid.
    Expired,
}

/// What is to be done about a report: the payment as it is then, and what moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The payment as it is then.
    pub payment: Payment,
    /// What moves in its owner's wallet, in this order; nothing of it is zero.
    pub movements: Vec<(EntryKind, Amount)>,
}

impl Payment {
    /// What a report changes; `None` if nothing.
    #[must_use]
    pub fn learn(&self, report: &Report) -> Option<Step> {
        let mut next = self.clone();
        let known = |before: &Option<String>, said: &Option<String>| before.clone().or_else(|| said.clone());
        next.intent = known(&self.intent, &report.intent);
        next.checkout = known(&self.checkout, &report.checkout);
        next.receipt_url = known(&self.receipt_url, &report.receipt_url);
        next.disputed |= report.disputed;
        let mut movements = Vec::new();
        let mut more = |kind, before: u64, now: u64| {
            if now > before {
                movements.push((kind, Amount::cents(now - before)));
            }
            now.max(before)
        };
        next.credited_cents = more(EntryKind::Purchase, self.credited_cents, report.received_cents);
        // No more goes back than came, whatever anybody reports: first what was refunded, then what was lost.
        let came = next.credited_cents;
        let refunded = report.refunded_cents.min(came.saturating_sub(self.lost_cents));
        next.refunded_cents = more(EntryKind::DepositRefund, self.refunded_cents, refunded);
        let lost = report.lost_cents.min(came.saturating_sub(next.refunded_cents));
        next.lost_cents = more(EntryKind::Dispute, self.lost_cents, lost);
        next.state = match (self.state, report.ended) {
            _ if next.credited_cents > 0 => State::Paid,
            (State::Pending, Some(Ended::Declined(why))) => State::Declined { why },
            (State::Pending, Some(Ended::Expired)) => State::Expired,
            (state, _) => state,
        };
        (next != *self).then(|| {
            next.version += 1;
            Step { payment: next, movements }
        })
    }

    /// When it is looked after next, if it has not ended.
    #[must_use]
    pub fn due_at(&self, now: Timestamp) -> Option<Timestamp> {
        if self.state != State::Pending {
            return None;
        }
        let pause = (LOOK_AFTER_MS << self.looks.min(8)).min(LOOK_AFTER_MS_MAX);
        let next = now.plus_ms(pause);
        // A page that somebody may still pay on is left alone.
        let open = self.purpose == Purpose::Deposit && self.checkout.is_some();
        Some(if open { next.max(self.checkout_ends().plus_ms(AFTER_CHECKOUT_MS)) } else { next })
    }

    /// Whether Stripe may still be asked to charge: see [`ASKED_FOR_MS`].
    #[must_use]
    pub const fn may_be_asked_for(&self, now: Timestamp) -> bool {
        now.0 - self.created_at.0 < ASKED_FOR_MS
    }

    /// When its page at Stripe closes. It follows from when it was created, so that a repeat asks for the same.
    #[must_use]
    pub const fn checkout_ends(&self) -> Timestamp {
        Timestamp(self.created_at.0 + CHECKOUT_LIFETIME_MS)
    }

    /// What its owner has of it, in cents.
    #[must_use]
    pub const fn kept_cents(&self) -> u64 {
        self.credited_cents.saturating_sub(self.refunded_cents).saturating_sub(self.lost_cents)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn payment(purpose: Purpose) -> Payment {
        let at = Timestamp(1_800_000_000_000);
        Payment {
            id: PaymentId::new(at, [7; 16]),
            account: AccountId::from_random([7; 16]),
            purpose,
            cents: 2500,
            created_at: at,
            customer: "cus_1".to_owned(),
            card: None,
            save_card: false,
            state: State::Pending,
            intent: None,
            checkout: None,
            receipt_url: None,
            credited_cents: 0,
            balance_after: Amount::ZERO,
            refunded_cents: 0,
            lost_cents: 0,
            disputed: false,
            looks: 0,
            version: 0,
        }
    }

    #[test]
    fn amounts_have_bounds() {
        assert_eq!((cents(500), cents(50_000)), (Ok(500), Ok(50_000)));
        for number in [499, 50_001, 0, -1, 1_000_000_000, i64::MIN, i64::MAX] {
            assert!(cents(number).is_err(), "{number}");
        }
    }

    #[test]
    fn what_comes_first_is_credited_and_a_repeat_is_nothing() {
        let paid = Report { received_cents: 2500, intent: Some("pi_1".to_owned()), ..Report::default() };
        let step = payment(Purpose::Reload).learn(&paid).unwrap();
        assert_eq!(step.movements, [(EntryKind::Purchase, Amount::cents(2500))]);
        assert_eq!((step.payment.state, step.payment.version), (State::Paid, 1));
        assert_eq!(step.payment.learn(&paid), None);
        let declined = Report { ended: Some(Ended::Declined(Decline::ExpiredCard)), ..Report::default() };
        assert_eq!(step.payment.learn(&declined), None, "money that is here stays");
    }

    #[test]
    fn a_declined_payment_that_is_paid_after_all_is_credited() {
        let declined = Report { ended: Some(Ended::Declined(Decline::ExpiredCard)), ..Report::default() };
        let step = payment(Purpose::Reload).learn(&declined).unwrap();
        assert_eq!(step.payment.state, State::Declined { why: Decline::ExpiredCard });
        assert_eq!(step.payment.due_at(Timestamp(0)), None);
        let paid = Report { received_cents: 2500, ..Report::default() };
        assert_eq!(step.payment.learn(&paid).unwrap().payment.state, State::Paid);
    }

    #[test]
    fn a_page_that_is_open_is_left_alone() {
        let mut deposit = payment(Purpose::Deposit);
        let now = deposit.created_at;
        assert_eq!(deposit.due_at(now), Some(now.plus_ms(60_000)));
        deposit.checkout = Some("cs_1".to_owned());
        assert_eq!(deposit.due_at(now), Some(now.plus_ms(3_660_000)));
        deposit.looks = 40;
        assert_eq!(deposit.due_at(now.plus_ms(9_000_000)), Some(now.plus_ms(9_600_000)));
    }

    #[test]
    fn every_decline_has_a_code_and_a_sentence() {
        for why in Decline::ALL {
            assert!(crate::sentence::is_sentence(why.sentence()), "{why:?}");
        }
        let of = |code, decline| Decline::of_stripe(code, decline).code();
        assert_eq!(of("card_declined", "insufficient_funds"), "card_insufficient_funds");
        assert_eq!(of("expired_card", ""), "card_expired");
        assert_eq!(of("authentication_required", "authentication_required"), "card_authentication_required");
        assert_eq!(of("card_declined", "lost_card"), "card_declined");
    }

    /// Something that happens at Stripe.
    #[derive(Clone, Copy, Debug)]
    enum Happens {
        Decline,
        Pay,
        Refund(u64),
        Dispute,
        Lose,
        Win,
        Close,
    }

    fn happens() -> impl Strategy<Value = Happens> {
        prop_oneof![
            Just(Happens::Decline),
            Just(Happens::Pay),
            (1u64..2000).prop_map(Happens::Refund),
            Just(Happens::Dispute),
            Just(Happens::Lose),
            Just(Happens::Win),
            Just(Happens::Close),
        ]
    }

    /// What Stripe would say after each of them, from the beginning on.
    fn history(happenings: &[Happens], cents: u64) -> Vec<Report> {
        let mut report = Report::default();
        let (mut open_dispute, mut closed) = (false, false);
        let mut reports = vec![report.clone()];
        for happening in happenings {
            let left = report.received_cents - report.refunded_cents - report.lost_cents;
            match *happening {
                Happens::Pay if !closed => report.received_cents = cents,
                Happens::Decline if report.received_cents == 0 => {
                    report.ended = Some(Ended::Declined(Decline::CardDeclined));
                }
                Happens::Close if report.received_cents == 0 => {
                    (report.ended, closed) = (Some(Ended::Expired), true);
                }
                Happens::Refund(more) if !open_dispute => report.refunded_cents += more.min(left),
                Happens::Dispute if left > 0 && !report.disputed => {
                    (report.disputed, open_dispute) = (true, true);
                }
                Happens::Lose if open_dispute => {
                    (report.lost_cents, open_dispute) = (left, false);
                }
                Happens::Win => open_dispute = false,
                _ => {}
            }
            reports.push(report.clone());
        }
        reports
    }

    proptest! {
        /// Whatever happens at Stripe, and however its reports come in (late, doubled, out of order, some never):
        /// what the ledger has is at no time more than Stripe had, and once the last report is in, it is the same.
        #[test]
        fn the_ledger_has_what_stripe_has(
            happenings in prop::collection::vec(happens(), 0..12),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
            reload in any::<bool>(),
        ) {
            let mut payment = payment(if reload { Purpose::Reload } else { Purpose::Deposit });
            let reports = history(&happenings, payment.cents);
            let last = reports.last().cloned().unwrap_or_default();
            let (mut credited, mut taken) = (0, 0);
            let heard = order.iter().map(|at| &reports[at.index(reports.len())]);
            for report in heard.chain([&last, &last]) {
                let Some(step) = payment.learn(report) else { continue };
                prop_assert_eq!(step.payment.version, payment.version + 1);
                for (kind, amount) in &step.movements {
                    prop_assert!(*amount > Amount::ZERO);
                    match kind {
                        EntryKind::Purchase => credited += amount.units(),
                        _ => taken += amount.units(),
                    }
                }
                payment = step.payment;
                prop_assert_eq!(credited, Amount::cents(payment.credited_cents).units());
                prop_assert_eq!(credited - taken, Amount::cents(payment.kept_cents()).units());
                prop_assert!(payment.credited_cents <= last.received_cents);
                prop_assert!(payment.refunded_cents <= last.refunded_cents);
                prop_assert!(payment.lost_cents <= last.lost_cents);
            }
            let at_stripe = last.received_cents - last.refunded_cents - last.lost_cents;
            prop_assert_eq!(payment.kept_cents(), at_stripe);
            prop_assert_eq!(payment.state == State::Paid, last.received_cents > 0);
            prop_assert_eq!(payment.learn(&last), None);
        }

        /// Reports that contradict everything take no more than came.
        #[test]
        fn no_more_goes_back_than_came(reports in prop::collection::vec((0u64..3000, 0u64..3000, 0u64..3000), 0..20)) {
            let mut payment = payment(Purpose::Reload);
            for (received_cents, refunded_cents, lost_cents) in reports {
                let report = Report { received_cents, refunded_cents, lost_cents, ..Report::default() };
                if let Some(step) = payment.learn(&report) {
                    payment = step.payment;
                }
                prop_assert!(payment.refunded_cents + payment.lost_cents <= payment.credited_cents);
            }
        }
    }
}
