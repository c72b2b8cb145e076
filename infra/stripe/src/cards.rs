//! Stripe's test cards: what they are, and what their bank does.

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::form::Params;

/// A test card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Card {
    pub(crate) number: &'static str,
    /// What stands for it where a number is too much: `pm_card_…`.
    pub(crate) token: &'static str,
    pub(crate) brand: &'static str,
    pub(crate) funding: &'static str,
    pub(crate) does: Does,
}

/// What a card's bank does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    Pay,
    /// Says no to everything.
    Decline(Reason),
    /// Can be saved, and says no to every charge.
    DeclineCharges(Reason),
    /// Asks who it is, each time.
    Authenticate,
    /// Asks who it is while somebody is there; and when nobody is, unless it was set up.
    AuthenticateUnlessSetUp,
    /// The same, and was set up already.
    AuthenticatePresent,
    /// Asks who it is, and says no then.
    AuthenticateThenDecline(Reason),
    /// Pays, and the card's owner disputes it at once.
    Dispute(&'static str),
}

/// Why a bank says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) code: &'static str,
    pub(crate) decline_code: &'static str,
    pub(crate) message: &'static str,
}

const fn reason(code: &'static str, decline_code: &'static str, message: &'static str) -> Reason {
    Reason { code, decline_code, message }
}

const GENERIC: Reason = reason("card_declined", "generic_decline", "Your card was declined.");
const FUNDS: Reason = reason("card_declined", "insufficient_funds", "Your card has insufficient funds.");
const EXPIRED: Reason = reason("expired_card", "expired_card", "Your card has expired.");
const CVC: Reason = reason("incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect.");
/// Nobody is there who could say who it is.
pub(crate) const AUTHENTICATION: Reason = reason(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
);
/// Somebody was there, and did not.
pub(crate) const NOT_AUTHENTICATED: Reason = reason(
    "payment_intent_authentication_failure",
    "",
    "We are unable to authenticate your payment method. Please choose a different payment method and try again.",
);

const fn visa(number: &'static str, token: &'static str, does: Does) -> Card {
    Card { number, token, brand: "visa", funding: "credit", does }
}

const fn paying(
    number: &'static str,
    token: &'static str,
    brand: &'static str,
    funding: &'static str,
) -> Card {
    Card { number, token, brand, funding, does: Does::Pay }
}

const CARDS: &[Card] = &[
    paying("4242424242424242", "pm_card_visa", "visa", "credit"),
    paying("4000056655665556", "pm_card_visa_debit", "visa", "debit"),
    paying("5555555555554444", "pm_card_mastercard", "mastercard", "credit"),
    paying("5200828282828210", "pm_card_mastercard_debit", "mastercard", "debit"),
    paying("5105105105105100", "pm_card_mastercard_prepaid", "mastercard", "prepaid"),
    paying("378282246310005", "pm_card_amex", "amex", "credit"),
    paying("6011111111111117", "pm_card_discover", "discover", "credit"),
    paying("3056930009020004", "pm_card_diners", "diners", "credit"),
    paying("3566002020360505", "pm_card_jcb", "jcb", "credit"),
    paying("6200000000000005", "pm_card_unionpay", "unionpay", "credit"),
    visa("4000000000000002", "pm_card_visa_chargeDeclined", Does::Decline(GENERIC)),
    visa("4000000000009995", "pm_card_visa_chargeDeclinedInsufficientFunds", Does::Decline(FUNDS)),
    visa(
        "4000000000009987",
        "pm_card_visa_chargeDeclinedLostCard",
        Does::Decline(reason("card_declined", "lost_card", "Your card was declined.")),
    ),
    visa(
        "4000000000009979",
        "pm_card_visa_chargeDeclinedStolenCard",
        Does::Decline(reason("card_declined", "stolen_card", "Your card was declined.")),
    ),
    visa("4000000000000069", "pm_card_chargeDeclinedExpiredCard", Does::Decline(EXPIRED)),
    visa("4000000000000127", "pm_card_chargeDeclinedIncorrectCvc", Does::Decline(CVC)),
    visa(
        "4000000000000119",
        "pm_card_chargeDeclinedProcessingError",
        Does::Decline(reason(
            "processing_error",
            "processing_error",
            "An error occurred while processing your card. Try again in a little bit.",
        )),
    ),
    visa(
        "4000000000006975",
        "pm_card_visa_chargeDeclinedVelocityLimitExceeded",
        Does::Decline(reason(
            "card_declined",
            "card_velocity_exceeded",
            "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
        )),
    ),
    visa("4000000000000341", "pm_card_chargeCustomerFail", Does::DeclineCharges(GENERIC)),
    visa("4000002760003184", "pm_card_authenticationRequired", Does::Authenticate),
    visa("4000002500003155", "pm_card_authenticationRequiredOnSetup", Does::AuthenticateUnlessSetUp),
    visa("4000003800000446", "pm_card_authenticationRequiredSetupForOffSession", Does::AuthenticatePresent),
    visa(
        "4000008260003178",
        "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
        Does::AuthenticateThenDecline(FUNDS),
    ),
    visa("4000000000000259", "pm_card_createDispute", Does::Dispute("fraudulent")),
    visa(
        "4000000000002685",
        "pm_card_createDisputeProductNotReceived",
        Does::Dispute("product_not_received"),
    ),
];

/// The test card that a token stands for; without a name of its own it is Visa's.
pub(crate) fn by_token(token: &str) -> Option<&'static Card> {
    let of_charge = token.strip_prefix("tok_").map(|rest| format!("pm_card_{rest}"));
    let token = of_charge.as_deref().unwrap_or(token);
    CARDS.iter().find(|card| card.token == token)
}

/// The test card with this number, which people may have written with blanks.
pub(crate) fn by_number(number: &str) -> Result<&'static Card, ApiError> {
    let digits: String = number.chars().filter(|char| !matches!(char, ' ' | '-')).collect();
    if let Some(card) = CARDS.iter().find(|card| card.number == digits) {
        return Ok(card);
    }
    if luhn(&digits) {
        let message = "Your card was declined. Your request was in test mode, but used a non test (live) card. \
                       For a list of valid test cards, visit: https://stripe.com/docs/testing.";
        return Err(ApiError::card(message, "card_declined", Some("test_mode_live_card")).param("number"));
    }
    Err(ApiError::card("Your card number is incorrect.", "incorrect_number", None).param("number"))
}

/// Whether the digits sum up as a card number's do.
fn luhn(digits: &str) -> bool {
    let mut sum = 0;
    for (index, char) in digits.chars().rev().enumerate() {
        let Some(digit) = char.to_digit(10) else { return false };
        let doubled = if index % 2 == 0 { digit } else { digit * 2 };
        sum += if doubled > 9 { doubled - 9 } else { doubled };
    }
    digits.len() >= 12 && sum % 10 == 0
}

impl Card {
    pub(crate) fn last4(&self) -> &'static str {
        &self.number[self.number.len() - 4..]
    }

    /// What a bank answers to the wish to save it.
    pub(crate) fn refuses_to_be_saved(&self) -> Option<Reason> {
        match self.does {
            Does::Decline(reason) => Some(reason),
            _ => None,
        }
    }

    /// Whether it asks who it is before it is set up, or before a payment with somebody there.
    pub(crate) fn asks_present(&self) -> bool {
        matches!(
            self.does,
            Does::Authenticate
                | Does::AuthenticateUnlessSetUp
                | Does::AuthenticatePresent
                | Does::AuthenticateThenDecline(_)
        )
    }

    /// Why it says no to a charge, if it does. `authenticated`: somebody said who it is just now; `set_up`: some time ago.
    pub(crate) fn refuses(&self, present: bool, authenticated: bool, set_up: bool) -> Option<Reason> {
        match self.does {
            Does::Pay | Does::Dispute(_) | Does::AuthenticatePresent => None,
            Does::Decline(reason) | Does::DeclineCharges(reason) => Some(reason),
            Does::AuthenticateThenDecline(reason) if authenticated || set_up => Some(reason),
            Does::Authenticate if authenticated || present => None,
            Does::AuthenticateUnlessSetUp if authenticated || present || set_up => None,
            Does::Authenticate | Does::AuthenticateUnlessSetUp | Does::AuthenticateThenDecline(_) => {
                Some(AUTHENTICATION)
            }
        }
    }

    /// The object `card` of a payment method.
    pub(crate) fn shown(&self, expiry: (i64, i64), seed: u64) -> Value {
        let check = match self.does {
            Does::Decline(reason) if reason == CVC => "fail",
            _ => "pass",
        };
        let number = self.number.bytes().fold(0, |sum: u64, byte| sum * 10 + u64::from(byte - b'0'));
        json!({
            "brand": self.brand,
            "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": check },
            "country": "US",
            "display_brand": if self.brand == "amex" { "american_express" } else { self.brand },
            "exp_month": expiry.0,
            "exp_year": expiry.1,
            "fingerprint": crate::tx::letters(seed, number, 16),
            "funding": self.funding,
            "generated_from": null,
            "last4": self.last4(),
            "networks": { "available": [self.brand], "preferred": null },
            "regulated_status": "unregulated",
            "three_d_secure_usage": { "supported": true },
            "wallet": null,
        })
    }
}

/// A card as somebody writes it: number, expiry and security code.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written {
    pub(crate) card: &'static Card,
    pub(crate) expiry: (i64, i64),
}

/// Reads `number`, `exp_month`, `exp_year` and `cvc`.
pub(crate) fn written(params: &Params, now: i64) -> Result<Written, ApiError> {
    let number = params.required("number")?;
    let month = params.integer("exp_month")?.ok_or_else(|| ApiError::missing(&params.name("exp_month")))?;
    let year = params.integer("exp_year")?.ok_or_else(|| ApiError::missing(&params.name("exp_year")))?;
    check(number, month, year, params.text("cvc")?, now)
}

/// The same, checked as the pages' forms and the API's parameters are.
pub(crate) fn check(
    number: &str,
    month: i64,
    year: i64,
    cvc: Option<&str>,
    now: i64,
) -> Result<Written, ApiError> {
    let wrong =
        |message: &str, code: &str, param: &str| Err(ApiError::card(message, code, None).param(param));
    let card = by_number(number)?;
    let year = if year < 100 { year + 2000 } else { year };
    if !(1..=12).contains(&month) {
        return wrong("Your card's expiration month is invalid.", "invalid_expiry_month", "exp_month");
    }
    let today = jiff::Timestamp::from_second(now)
        .map(|now| now.to_zoned(jiff::tz::TimeZone::UTC).date())
        .map_err(|error| ApiError::internal(error.to_string()))?;
    if !(i64::from(today.year())..=i64::from(today.year()) + 50).contains(&year) {
        return wrong("Your card's expiration year is invalid.", "invalid_expiry_year", "exp_year");
    }
    if year == i64::from(today.year()) && month < i64::from(today.month()) {
        return wrong("Your card's expiration month is invalid.", "invalid_expiry_month", "exp_month");
    }
    let length = if card.brand == "amex" { 4 } else { 3 };
    if cvc.is_some_and(|cvc| cvc.len() != length || !cvc.bytes().all(|byte| byte.is_ascii_digit())) {
        return wrong("Your card's security code is invalid.", "invalid_cvc", "cvc");
    }
    Ok(Written { card, expiry: (month, year) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000; // September 2026

    #[test]
    fn every_test_card_is_a_card_and_has_names_of_its_own() {
        for (index, card) in CARDS.iter().enumerate() {
            assert!(luhn(card.number), "{}", card.number);
            for other in &CARDS[index + 1..] {
                assert!(card.number != other.number && card.token != other.token, "{}", card.token);
            }
        }
        assert_eq!(by_token("tok_visa"), by_token("pm_card_visa"));
        assert_eq!(by_number("4242 4242-4242 4242").unwrap().last4(), "4242");
    }

    #[test]
    fn what_is_no_test_card_is_refused_with_the_reason() {
        let code = |number: &str| by_number(number).unwrap_err().error["code"].clone();
        assert_eq!(code("4242424242424241"), "incorrect_number");
        assert_eq!(code("4111111111111111"), "card_declined");
        assert_eq!(code("abc"), "incorrect_number");
    }

    #[test]
    fn expiry_and_code_are_checked() {
        let code = |month, year, cvc| {
            let checked = check("4242424242424242", month, year, Some(cvc), NOW);
            checked.err().map(|error| error.error["code"].as_str().unwrap().to_owned())
        };
        assert_eq!(code(9, 2026, "123"), None);
        assert_eq!(code(12, 34, "123"), None);
        assert_eq!(code(8, 2026, "123").as_deref(), Some("invalid_expiry_month"));
        assert_eq!(code(13, 2030, "123").as_deref(), Some("invalid_expiry_month"));
        assert_eq!(code(1, 2025, "123").as_deref(), Some("invalid_expiry_year"));
        assert_eq!(code(1, 2030, "12").as_deref(), Some("invalid_cvc"));
    }

    #[test]
    fn banks_do_what_stripes_list_says() {
        let card = |number| by_number(number).unwrap();
        let (present, absent) = (true, false);
        let refuses = |number, present, authenticated, set_up| {
            card(number).refuses(present, authenticated, set_up).map(|reason| reason.decline_code)
        };
        assert_eq!(refuses("4242424242424242", absent, false, false), None);
        assert_eq!(refuses("4000000000009995", present, false, true), Some("insufficient_funds"));
        assert_eq!(card("4000000000000341").refuses_to_be_saved(), None);
        assert_eq!(refuses("4000000000000341", absent, false, true), Some("generic_decline"));
        // Always, unless set up, and already set up.
        assert_eq!(refuses("4000002760003184", absent, false, true), Some("authentication_required"));
        assert_eq!(refuses("4000002500003155", absent, false, false), Some("authentication_required"));
        assert_eq!(refuses("4000002500003155", absent, false, true), None);
        assert_eq!(refuses("4000003800000446", absent, false, false), None);
        assert_eq!(refuses("4000008260003178", absent, false, true), Some("insufficient_funds"));
        assert!(card("4000003800000446").asks_present() && !card("4000000000000259").asks_present());
    }
}
