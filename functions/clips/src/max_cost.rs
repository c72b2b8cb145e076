//! `max_cost`: the most that a job may cost.

use domain::money::{Amount, MoneyError};
use runtime::ApiError;
use serde::{Deserialize, Deserializer};
use serde_json::{json, value::RawValue};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

/// The most that a job may cost, as a request says it: a JSON number of dollars, read digit by digit. `null` is
/// refused: it is what JavaScript makes of a sum that went wrong, and must not lift the limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct MaxCost(Option<Result<Amount, MoneyError>>);

impl MaxCost {
    /// The amount, if there is a limit.
    ///
    /// # Errors
    /// 400 for what is no amount of money.
    pub(crate) fn amount(self) -> Result<Option<Amount>, ApiError> {
        self.0.transpose().map_err(|problem| ApiError::bad_request(format!("`max_cost` {problem}")))
    }
}

impl<'de> Deserialize<'de> for MaxCost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(Some(Amount::from_dollars(digits.get()))))
    }
}

/// A number of dollars.
pub(crate) fn schema() -> Schema {
    ObjectBuilder::new()
        .schema_type(Type::Number)
        .minimum(Some(0))
        .description(Some(
            "The most that it may cost, in dollars, with six decimals at most. What costs more is a 402; nothing is \
             spent then.",
        ))
        .examples([json!(0.1)])
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Ask {
        #[serde(default)]
        max_cost: MaxCost,
    }

    fn read(body: &str) -> Result<Option<Amount>, String> {
        let ask: Ask = serde_json::from_str(body).map_err(|error| error.to_string())?;
        ask.max_cost.amount().map_err(|error| error.to_string())
    }

    #[test]
    fn a_number_of_dollars_or_nothing() {
        assert_eq!(read("{}"), Ok(None));
        for number in ["0.10", "0.1", "1e-1"] {
            assert_eq!(
                read(&format!("{{\"max_cost\": {number} }}")),
                Ok(Some(Amount::cents(10))),
                "{number}"
            );
        }
        for other in ["-0.1", "0.0000001", "1e99", "null", "\"0.10\"", "true", "[0.1]", "{}", "NaN", ".5"] {
            assert!(read(&format!("{{\"max_cost\":{other}}}")).is_err(), "{other}");
        }
    }
}
