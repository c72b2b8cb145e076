//! What an endpoint is for people and programs that read the API's description (OpenAPI 3.1): it stands in the
//! endpoint's own file, made of the types that its handler reads and writes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

/// An endpoint's part of the API description; routes, security and limits follow from its row in `ENDPOINTS`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Operation {
    /// One line.
    pub summary: String,
    /// Name of the schema of the request's body.
    pub request: Option<String>,
    /// Name of the schema of the answer; without one it is a page or an object of no fixed form.
    pub answer: Option<String>,
    /// Query parameters.
    pub query: Vec<QueryParameter>,
    /// Statuses beside 200, 401, 403, 429 and 500, which follow from the row.
    pub problems: Vec<u16>,
    /// Whether it spends money, and so takes an `Idempotency-Key`.
    pub spends: bool,
    /// The schemas that it names, and those that these refer to.
    pub schemas: BTreeMap<String, Value>,
}

/// A query parameter of an [`Operation`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QueryParameter {
    /// Its name.
    pub name: String,
    /// `string` or `integer`.
    pub kind: String,
    /// What it does, in one line.
    pub description: String,
}

impl Operation {
    /// One without a body, parameters or problems of its own.
    #[must_use]
    pub fn new(summary: &str) -> Self {
        Self {
            summary: summary.to_owned(),
            request: None,
            answer: None,
            query: Vec::new(),
            problems: Vec::new(),
            spends: false,
            schemas: BTreeMap::new(),
        }
    }

    /// The request's body is a `T`.
    #[must_use]
    pub fn takes<T: ToSchema + PartialSchema>(mut self) -> Self {
        self.request = Some(self.schema::<T>());
        self
    }

    /// The answer is a `T`.
    #[must_use]
    pub fn answers<T: ToSchema + PartialSchema>(mut self) -> Self {
        self.answer = Some(self.schema::<T>());
        self
    }

    /// A query parameter: its name, `string` or `integer`, and what it does.
    #[must_use]
    pub fn query(mut self, name: &str, kind: &str, description: &str) -> Self {
        let [name, kind, description] = [name, kind, description].map(str::to_owned);
        self.query.push(QueryParameter { name, kind, description });
        self
    }

    /// Statuses beside those that follow from the row.
    #[must_use]
    pub fn problems(mut self, statuses: &[u16]) -> Self {
        self.problems.extend(statuses);
        self
    }

    /// It spends money: the same request under the same `Idempotency-Key` is carried out once.
    #[must_use]
    pub const fn spends(mut self) -> Self {
        self.spends = true;
        self
    }

    /// Notes the schema of `T`, and those it refers to; returns its name.
    fn schema<T: ToSchema + PartialSchema>(&mut self) -> String {
        let name = T::name().into_owned();
        let mut schemas: Vec<(String, RefOr<Schema>)> = vec![(name.clone(), T::schema())];
        T::schemas(&mut schemas);
        for (name, schema) in schemas {
            // A schema is plain data, of which JSON can be made.
            self.schemas.insert(name, serde_json::to_value(schema).unwrap_or_default());
        }
        name
    }
}

/// Makes the function that describes an endpoint, for the table of endpoints. Release builds describe nothing, and leave the
/// schemas out.
#[macro_export]
macro_rules! describe {
    ($function:path) => {
        if cfg!(debug_assertions) { Some($function) } else { None }
    };
}
