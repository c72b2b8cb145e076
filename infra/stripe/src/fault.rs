//! Calls that fail because a test asks for it.

use serde::{Deserialize, Serialize};

/// Makes calls of the API fail: the body of `POST /_local/stripe/faults`.
///
/// `{"method": "POST", "path": "/v1/payment_intents", "when": "after", "answer": "none"}` carries the next such call out and
/// breaks the connection instead of answering; `"answer": "real"` only makes it slow, with `delay_ms`. `path` may end in `*`. Faults are used in the order in which they came; `GET`
/// shows those that are left, `DELETE` takes all away, and a restart forgets them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Only calls with this method; any, if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Only calls of this path; any, if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How many such calls pass first.
    #[serde(default)]
    pub skip: u32,
    /// How many then fail.
    #[serde(default = "once")]
    pub times: u32,
    /// Whether the call is carried out first.
    #[serde(default)]
    pub when: When,
    /// What it is answered.
    #[serde(default)]
    pub answer: Answer,
    /// How long it takes before that, in milliseconds; meanwhile another call under its idempotency key is answered 409.
    #[serde(default)]
    pub delay_ms: u64,
}

/// Where a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Before it has any effect.
    #[default]
    Before,
    /// After its effect. Not with the status 409 or 429: what is answered so never happened.
    After,
}

/// What a call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Nothing: the connection breaks. What was carried out is kept with its real answer under the idempotency key.
    #[default]
    None,
    /// What it would be; the fault is its delay.
    Real,
    /// This status: `{"status": 500}`. A 5xx is kept under the idempotency key, as Stripe keeps it; 409 and 429 are not.
    Status(u16),
}

fn once() -> u32 {
    1
}

impl Fault {
    /// Whether it is this call's; counts it.
    pub(crate) fn meets(&mut self, method: &str, path: &str) -> bool {
        let path_fits = self.path.as_deref().is_none_or(|wanted| match wanted.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => wanted == path,
        });
        if !path_fits || self.method.as_deref().is_some_and(|wanted| wanted != method) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.times = self.times.saturating_sub(1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_for_the_calls_it_names_and_for_so_many() {
        let text = r#"{"path": "/v1/refunds*", "skip": 1, "times": 2, "answer": {"status": 500}}"#;
        let mut fault: Fault = serde_json::from_str(text).unwrap();
        assert_eq!((fault.when, fault.answer), (When::Before, Answer::Status(500)));
        assert!(!fault.meets("POST", "/v1/customers"));
        let met: Vec<bool> = (0..3).map(|_| fault.meets("POST", "/v1/refunds/x")).collect();
        assert_eq!((met, fault.times), (vec![false, true, true], 0));
        assert!(serde_json::from_str::<Fault>(r#"{"paht": "/"}"#).is_err());
    }
}
