//! The till: asks Stripe for a payment, looks up what became of it, and tells the ledger.
//!
//! Whoever has an interest in a payment comes here: the request that begins it, a repeat of that, the person who returns
//! from Stripe's page, an event, the sweeper. All do the same, so it does not matter who comes first, or how many at once:
//! they look at Stripe and let the payment learn ([`domain::payment`]).
//!
//! A charge whose outcome is unknown is asked for again under its own name, which is its `Idempotency-Key`: Stripe gives the
//! first answer again, or carries it out if it never came. After ten minutes it is only looked for.

use std::time::Duration;

use domain::{
    payment::{Decline, Ended, Payment, Purpose, Report, State},
    time::Timestamp,
};
use runtime::{App, Metric};
use serde_json::Value;
use store::{StoreError, Table, payments::PaymentKey};
use tracing::{info, warn};

use crate::stripe::{
    Form, Reply, Stripe,
    objects::{ACCOUNT, PAYMENT, id_of, key_of, report},
};

/// What a `PaymentIntent` is read with.
const WITH_CHARGE: &str = "latest_charge";
/// How many of a customer's latest charges are looked through for one whose id never came. A customer makes a few an hour.
const LOOKED_THROUGH: usize = 100;
/// Clocks differ: a charge may be a little older than the payment that it is.
const CLOCKS_DIFFER_S: i64 = 300;
/// How often a request asks for a charge whose outcome is unknown, until it leaves that to the sweeper.
const ASKS_MAX: usize = 4;
/// The pause between two of them.
const PAUSE: Duration = Duration::from_millis(400);
/// A request asks no more with less time left, in milliseconds: for one call and what comes behind it.
const MARGIN_MS: i64 = 12_000;

/// What a look at Stripe needs.
#[derive(Clone, Copy)]
pub(crate) struct Till<'a> {
    pub(crate) app: &'a App,
    pub(crate) table: &'a Table,
    pub(crate) stripe: &'a Stripe,
}

impl Till<'_> {
    /// Brings a payment to its end, as far as there is time. Answers it as it is then.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn settle(&self, payment: Payment) -> Result<Payment, StoreError> {
        let mut payment = payment;
        for attempt in 0..ASKS_MAX {
            if payment.state != State::Pending || (attempt > 0 && self.app.time_left_ms() < MARGIN_MS) {
                break;
            }
            if attempt > 0 {
                tokio::time::sleep(PAUSE).await;
                // Somebody else may have come to its end meanwhile.
                payment = self.table.payment(&PaymentKey::of(&payment)).await?.unwrap_or(payment);
            }
            payment = self.follow(payment).await?;
        }
        Ok(payment)
    }

    /// Looks once at what became of a payment, asking for it if it may be asked for, and lets it learn that.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn follow(&self, payment: Payment) -> Result<Payment, StoreError> {
        match self.look(&payment).await {
            Some(report) => self.learn(payment, &report).await,
            None => Ok(payment),
        }
    }

    /// The same; tells whether Stripe has answered.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn looked(&self, payment: Payment) -> Result<bool, StoreError> {
        let Some(report) = self.look(&payment).await else { return Ok(false) };
        self.learn(payment, &report).await.map(|_| true)
    }

    /// What Stripe says of a payment. `None` if it does not answer, or does not know yet.
    async fn look(&self, payment: &Payment) -> Option<Report> {
        match (payment.purpose, &payment.checkout, &payment.intent) {
            (Purpose::Deposit, Some(page), _) => self.look_at_page(payment, page).await,
            // Whoever was to pay on that page was never told where it is.
            (Purpose::Deposit, None, _) => Some(Report { ended: Some(Ended::Expired), ..Report::default() }),
            (Purpose::Reload, _, Some(intent)) => self.look_at_intent(payment, intent).await,
            (Purpose::Reload, _, None) if payment.may_be_asked_for(self.app.now()) => {
                self.charge(payment).await
            }
            (Purpose::Reload, _, None) => self.look_for(payment).await,
        }
    }

    /// Follows what an event names by the id of a `PaymentIntent`. `false` if Stripe does not answer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn follow_intent(&self, intent: &str) -> Result<bool, StoreError> {
        let Some(id) = crate::stripe::id("pi_", intent) else { return Ok(true) };
        let query = [("expand[]", WITH_CHARGE.to_owned())];
        let intent = match self.stripe.get(&format!("payment_intents/{id}"), &query).await {
            Reply::Done(intent) => intent,
            Reply::Unknown(_) => return Ok(false),
            _ => return Ok(true),
        };
        // Other products may use the same account of Stripe.
        let Some(key) = key_of(&intent) else { return Ok(true) };
        let Some(payment) = self.table.payment(&key).await? else { return Ok(true) };
        match self.reported(&payment, &intent).await {
            Some(report) => self.learn(payment, &report).await.map(|_| true),
            None => Ok(false),
        }
    }

    /// Lets a payment learn a report; tells whoever watches what came of it.
    pub(crate) async fn learn(&self, payment: Payment, report: &Report) -> Result<Payment, StoreError> {
        let learnt = self.table.learn(&PaymentKey::of(&payment), report, self.app.now()).await?;
        let Some((after, step)) = learnt else { return Ok(payment) };
        // Also where it was credited before: whoever did that may have ended right behind it.
        if after.credited_cents > 0 {
            let terms =
                self.app.config().bonus_terms().map_err(|error| StoreError::Malformed(error.to_string()))?;
            if self.table.deposited(&after.account, terms, self.app.now()).await? {
                info!(account = %after.account, "the bonus that waited for a payment is granted");
            }
        }
        if step.is_some() {
            let (state, kept_cents) = (after.state.word(), after.kept_cents());
            info!(account = %after.account, payment = %after.id, state, kept_cents, "payment");
            if after.state != payment.state && after.state != State::Pending {
                self.app.metrics().add(Metric::Payments.of(state), 1);
            }
            if after.disputed && !payment.disputed {
                warn!(account = %after.account, payment = %after.id, "its owner's bank disputes it");
                self.app.metrics().add(Metric::Disputes, 1);
            }
        }
        Ok(after)
    }

    /// Charges the card of a reload, or hears again what came of it. `None` if that is not known.
    async fn charge(&self, payment: &Payment) -> Option<Report> {
        let form = [
            ("amount", payment.cents.to_string()),
            ("currency", "usd".to_owned()),
            ("customer", payment.customer.clone()),
            ("payment_method", payment.card.clone().unwrap_or_default()),
            ("payment_method_types[]", "card".to_owned()),
            ("off_session", "true".to_owned()),
            ("confirm", "true".to_owned()),
            ("description", "Balance".to_owned()),
            ("metadata[account]", payment.account.to_string()),
            ("metadata[payment]", payment.id.to_string()),
            ("expand[]", WITH_CHARGE.to_owned()),
        ];
        debug_assert_eq!((ACCOUNT, PAYMENT), ("account", "payment"), "as the fields are called");
        match self.stripe.post("payment_intents", &form, Some(payment.id.as_str())).await {
            Reply::Done(intent) => self.reported(payment, &intent).await,
            Reply::Declined { why, intent } => {
                Some(Report { ended: Some(Ended::Declined(why)), intent, ..Report::default() })
            }
            // The card or its owner is gone: nothing was charged, and nothing will be.
            reply @ (Reply::Refused(_) | Reply::Missing) => {
                warn!(account = %payment.account, payment = %payment.id, ?reply, "Stripe refuses to charge");
                let ended = Some(Ended::Declined(Decline::CardUnusable));
                Some(Report { ended, ..Report::default() })
            }
            Reply::Unknown(why) => {
                warn!(account = %payment.account, payment = %payment.id, why, "the outcome is not known");
                self.look_for_made(payment).await
            }
        }
    }

    /// Whether Stripe has made the charge that it did not tell of. `None` as long as that is not known.
    async fn look_for_made(&self, payment: &Payment) -> Option<Report> {
        let intent = self.made(payment).await??;
        // One that is still at work is not told apart from one that waits for us: its end will be reported.
        self.reported(payment, &intent)
            .await
            .filter(|report| report.received_cents > 0 || report.ended.is_some())
    }

    /// The same, when it is too late to ask for it: what is not there will not be.
    async fn look_for(&self, payment: &Payment) -> Option<Report> {
        match self.made(payment).await? {
            Some(intent) => self.reported(payment, &intent).await,
            None => Some(Report { ended: Some(Ended::Expired), ..Report::default() }),
        }
    }

    /// The charge that was made for a payment, if there is one; `None` if Stripe does not answer.
    async fn made(&self, payment: &Payment) -> Option<Option<Value>> {
        let from = Timestamp(payment.created_at.0).epoch_seconds() - CLOCKS_DIFFER_S;
        let query = [
            ("customer", payment.customer.clone()),
            ("created[gte]", from.to_string()),
            ("limit", LOOKED_THROUGH.to_string()),
            ("expand[]", format!("data.{WITH_CHARGE}")),
        ];
        match self.stripe.get("payment_intents", &query).await {
            Reply::Done(list) => {
                let mut intents = list["data"].as_array().into_iter().flatten();
                let own = Some(PaymentKey::of(payment));
                let intent = intents.find(|intent| key_of(intent) == own).cloned();
                // Behind a full page there may be more.
                if intent.is_none() && list["has_more"] == true { None } else { Some(intent) }
            }
            Reply::Missing | Reply::Refused(_) => Some(None),
            Reply::Unknown(_) | Reply::Declined { .. } => None,
        }
    }

    async fn look_at_intent(&self, payment: &Payment, intent: &str) -> Option<Report> {
        let id = crate::stripe::id("pi_", intent)?;
        let query = [("expand[]", WITH_CHARGE.to_owned())];
        match self.stripe.get(&format!("payment_intents/{id}"), &query).await {
            Reply::Done(intent) => self.reported(payment, &intent).await,
            _ => None,
        }
    }

    async fn look_at_page(&self, payment: &Payment, page: &str) -> Option<Report> {
        let id = crate::stripe::id("cs_", page)?;
        let query = [("expand[]", format!("payment_intent.{WITH_CHARGE}"))];
        let Reply::Done(page) = self.stripe.get(&format!("checkout/sessions/{id}"), &query).await else {
            return None;
        };
        let ended = (page["status"] == "expired").then_some(Ended::Expired);
        match id_of(&page["payment_intent"]) {
            Some(_) => Some(Report { ended, ..self.reported(payment, &page["payment_intent"]).await? }),
            None => Some(Report { ended, ..Report::default() }),
        }
    }

    /// What an intent reports, with the disputes of it. `None` if these cannot be read.
    async fn reported(&self, payment: &Payment, intent: &Value) -> Option<Report> {
        let mut disputes = Vec::new();
        if intent["latest_charge"]["disputed"] == true {
            let id = id_of(intent)?.to_owned();
            let query: &Form<'_> = &[("payment_intent", id), ("limit", LOOKED_THROUGH.to_string())];
            let Reply::Done(list) = self.stripe.get("disputes", query).await else { return None };
            disputes = list["data"].as_array().cloned().unwrap_or_default();
        }
        Some(report(payment, intent, &disputes))
    }
}
