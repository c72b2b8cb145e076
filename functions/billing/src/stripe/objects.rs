//! What we read of Stripe's objects. Everything else of them is ignored.

use domain::{
    ids::{AccountId, PaymentId},
    payment::{Decline, Ended, Payment, Purpose, Report},
};
use serde_json::Value;
use store::payments::PaymentKey;

/// Metadata of ours on Stripe's objects: whose they are.
pub(crate) const ACCOUNT: &str = "account";
/// And which payment.
pub(crate) const PAYMENT: &str = "payment";

/// The payment that an object of Stripe belongs to; `None` for one that is not ours.
pub(crate) fn key_of(object: &Value) -> Option<PaymentKey> {
    let text = |name: &str| object["metadata"][name].as_str();
    Some(PaymentKey {
        account: AccountId::parse(text(ACCOUNT)?)?,
        payment: PaymentId::parse(text(PAYMENT)?)?,
    })
}

/// An id, where the object may stand itself.
pub(crate) fn id_of(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value["id"].as_str())
}

/// What a `PaymentIntent`, with its `latest_charge` expanded, and the disputes of it report of a payment.
pub(crate) fn report(payment: &Payment, intent: &Value, disputes: &[Value]) -> Report {
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let is_dollars = intent["currency"] == "usd";
    let (charge, status) = (&intent["latest_charge"], intent["status"].as_str().unwrap_or_default());
    let lost = disputes.iter().filter(|dispute| dispute["status"] == "lost");
    let paid = status == "succeeded" && is_dollars;
    // On Stripe's page a person may try another card: only the page itself ends.
    let ends = payment.purpose == Purpose::Reload;
    let error = &intent["last_payment_error"];
    let word = |name: &str| error[name].as_str().unwrap_or_default();
    let ended = match status {
        "canceled" => Some(Ended::Expired),
        "requires_payment_method" if error.is_object() => {
            Some(Ended::Declined(Decline::of_stripe(word("code"), word("decline_code"))))
        }
        "requires_action" => Some(Ended::Declined(Decline::AuthenticationRequired)),
        _ => None,
    };
    Report {
        received_cents: if paid { number(&intent["amount_received"]) } else { 0 },
        refunded_cents: if paid { number(&charge["amount_refunded"]) } else { 0 },
        lost_cents: if paid { lost.map(|dispute| number(&dispute["amount"])).sum() } else { 0 },
        disputed: charge["disputed"] == true || !disputes.is_empty(),
        ended: ended.filter(|_| ends),
        intent: intent["id"].as_str().map(str::to_owned),
        checkout: None,
        receipt_url: charge["receipt_url"].as_str().map(str::to_owned),
    }
}

/// A saved card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Card {
    pub(crate) id: String,
    pub(crate) brand: String,
    pub(crate) last4: String,
    pub(crate) exp_month: u32,
    pub(crate) exp_year: u32,
}

impl Card {
    /// Reads a payment method; `None` if it is not a card.
    pub(crate) fn of(method: &Value) -> Option<Self> {
        let card = &method["card"];
        let number = |name: &str| card[name].as_u64().and_then(|number| u32::try_from(number).ok());
        Some(Self {
            id: method["id"].as_str()?.to_owned(),
            brand: card["brand"].as_str()?.to_owned(),
            last4: card["last4"].as_str()?.to_owned(),
            exp_month: number("exp_month")?,
            exp_year: number("exp_year")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use domain::{ids::PaymentId, money::Amount, payment::State, time::Timestamp};
    use serde_json::json;

    use super::*;

    fn payment(purpose: Purpose) -> Payment {
        Payment {
            id: PaymentId::new(Timestamp(1), [1; 16]),
            account: AccountId::from_random([2; 16]),
            purpose,
            cents: 2500,
            created_at: Timestamp(1),
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
    fn an_intent_reports_what_came_and_what_went_back() {
        let intent = json!({
            "id": "pi_1", "status": "succeeded", "currency": "usd", "amount": 2500, "amount_received": 2500,
            "latest_charge": { "amount_refunded": 500, "disputed": true, "receipt_url": "https://r" },
        });
        let disputes = [json!({ "status": "lost", "amount": 2000 }), json!({ "status": "won", "amount": 1 })];
        let told = report(&payment(Purpose::Reload), &intent, &disputes);
        assert_eq!((told.received_cents, told.refunded_cents, told.lost_cents), (2500, 500, 2000));
        assert_eq!((told.disputed, told.ended, told.receipt_url.as_deref()), (true, None, Some("https://r")));
        let other =
            json!({ "id": "pi_1", "status": "succeeded", "currency": "eur", "amount_received": 2500 });
        assert_eq!(report(&payment(Purpose::Reload), &other, &[]).received_cents, 0, "not dollars");
    }

    #[test]
    fn a_decline_ends_a_reload_and_no_page() {
        let intent = json!({
            "id": "pi_1", "status": "requires_payment_method", "currency": "usd", "amount_received": 0,
            "last_payment_error": { "code": "expired_card" },
        });
        let of = |purpose| report(&payment(purpose), &intent, &[]).ended;
        assert_eq!(of(Purpose::Reload), Some(Ended::Declined(Decline::ExpiredCard)));
        assert_eq!(of(Purpose::Deposit), None);
        let fresh = json!({ "id": "pi_1", "status": "requires_payment_method", "last_payment_error": null });
        assert_eq!(report(&payment(Purpose::Reload), &fresh, &[]).ended, None);
    }

    #[test]
    fn what_is_not_ours_is_nobodys() {
        let account = AccountId::from_random([2; 16]);
        let id = PaymentId::new(Timestamp(1), [1; 16]);
        let ours = json!({ "metadata": { "account": account, "payment": id } });
        assert_eq!(key_of(&ours), Some(PaymentKey { account, payment: id }));
        for other in [json!({}), json!({ "metadata": { "payment": "x", "account": "y" } })] {
            assert_eq!(key_of(&other), None);
        }
    }
}
