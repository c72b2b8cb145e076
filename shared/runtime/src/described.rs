//! The table of endpoints as plain data. Debug builds of an area's binary print it (`--describe`), and whatever writes or
//! checks templates and the API's description reads that. So there is no list of areas that has to be compiled in.

use serde::{Deserialize, Serialize};

use crate::{Endpoint, Operation, Route, Trigger, env::Var};

/// One row of `ENDPOINTS`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Described {
    /// `area.name`.
    pub handler: String,
    /// What calls it.
    pub caller: CalledBy,
    /// The routes that lead to it, the first being the endpoint's own.
    pub routes: Vec<DescribedRoute>,
    /// Environment variables, in their order: the name there, and the name of the stack's value.
    pub env: Vec<(String, String)>,
    /// What it may do.
    pub statements: Vec<Statement>,
    /// Memory in MB, from which its share of a processor follows.
    pub memory_mb: u32,
    /// How many seconds one call may take.
    pub timeout_s: u32,
    /// Scratch space in MB.
    pub scratch_mb: u32,
    /// Whether one job starts many of it at once, which the operator may bound.
    pub many: bool,
    /// The endpoint in the API's description.
    pub operation: Option<Operation>,
}

/// What calls an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CalledBy {
    /// Anyone, through the API.
    Open,
    /// Anyone in a browser, through the API.
    Page,
    /// Anyone, through the API; it counts for nobody.
    Uncounted,
    /// Anyone, by a request that no route takes.
    Rest,
    /// The owner of a key or a browser that has signed in, through the API.
    Key,
    /// A browser that has signed in, through the API.
    Session,
    /// The state machine, or another function.
    Stage,
    /// The queue of this name.
    Queue(String),
    /// A timer.
    Schedule {
        /// When, as EventBridge Scheduler writes it.
        expression: String,
        /// How often a call that failed is made again; `None` leaves it to AWS.
        retries: Option<u32>,
    },
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DescribedRoute {
    /// Upper-case HTTP method.
    pub method: String,
    /// Path with `{parameters}`.
    pub path: String,
}

/// A statement of an IAM policy that allows something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// IAM actions, sorted.
    pub actions: Vec<String>,
    /// ARNs as `Fn::Sub` takes them, with the names of the stack's values in `${…}`.
    pub resources: Vec<String>,
}

impl Described {
    /// The area, which names the binary and the folder under `functions/`.
    #[must_use]
    pub fn area(&self) -> &str {
        self.handler.split_once('.').map_or(&self.handler, |(area, _)| area)
    }

    /// Its name within the area.
    #[must_use]
    pub fn name(&self) -> &str {
        self.handler.split_once('.').map_or(&self.handler, |(_, name)| name)
    }

    /// Whether it answers what no other endpoint does.
    #[must_use]
    pub fn is_rest(&self) -> bool {
        self.caller == CalledBy::Rest
    }

    /// Whether people see its answers.
    #[must_use]
    pub fn is_page(&self) -> bool {
        self.caller == CalledBy::Page
    }

    /// Whether its requests are counted, for a key or for an address.
    #[must_use]
    pub const fn is_limited(&self) -> bool {
        matches!(self.caller, CalledBy::Open | CalledBy::Page | CalledBy::Key)
    }
}

impl From<&Endpoint> for Described {
    fn from(endpoint: &Endpoint) -> Self {
        let plain =
            |route: Route| DescribedRoute { method: route.method.to_owned(), path: route.path.to_owned() };
        Self {
            handler: endpoint.handler.to_owned(),
            caller: called_by(endpoint.trigger),
            routes: endpoint.routes().into_iter().map(plain).collect(),
            env: endpoint.env().into_iter().map(|var| (var.name().to_owned(), value_of(var))).collect(),
            statements: statements(endpoint),
            memory_mb: endpoint.memory_mb,
            timeout_s: endpoint.timeout_s,
            scratch_mb: endpoint.scratch_mb,
            many: endpoint.many,
            operation: endpoint.operation.map(|describe| describe()),
        }
    }
}

/// The name of the stack's value that a variable has.
fn value_of(var: Var) -> String {
    format!("{var:?}")
}

fn called_by(trigger: Trigger) -> CalledBy {
    match trigger {
        Trigger::Open(..) => CalledBy::Open,
        Trigger::Page(..) => CalledBy::Page,
        Trigger::Uncounted(..) => CalledBy::Uncounted,
        Trigger::Rest(_) => CalledBy::Rest,
        Trigger::Keyed(..) => CalledBy::Key,
        Trigger::Session(..) => CalledBy::Session,
        Trigger::Stage(_) => CalledBy::Stage,
        Trigger::Queue(queue, _) => CalledBy::Queue(queue.word().to_owned()),
        Trigger::Schedule(schedule, _) => {
            CalledBy::Schedule { expression: schedule.expression.to_owned(), retries: schedule.retries }
        }
    }
}

/// What the endpoint may do: each resource once, and one statement for resources with the same actions.
fn statements(endpoint: &Endpoint) -> Vec<Statement> {
    let mut by_resource: Vec<(String, Vec<String>)> = Vec::new();
    for grant in endpoint.grants() {
        let resource = grant.resource();
        let actions = grant.actions().into_iter().map(str::to_owned);
        match by_resource.iter_mut().find(|(known, _)| *known == resource) {
            Some((_, known)) => known.extend(actions),
            None => by_resource.push((resource, actions.collect())),
        }
    }
    let mut statements: Vec<Statement> = Vec::new();
    for (resource, mut actions) in by_resource {
        actions.sort();
        actions.dedup();
        match statements.iter_mut().find(|statement| statement.actions == actions) {
            Some(statement) => statement.resources.push(resource),
            None => statements.push(Statement { actions, resources: vec![resource] }),
        }
    }
    statements
}

#[cfg(test)]
mod tests {
    use domain::{account::Scope, rate::Limit};

    use super::*;
    use crate::{ApiRequest, ApiResponse, App, Caller, Grant, Item, Object, Prefix, Queue};
    use std::sync::Arc;

    async fn nothing(_: Arc<App>, _: Caller, _: ApiRequest) -> Result<ApiResponse, crate::ApiError> {
        Err(crate::ApiError::internal("not asked"))
    }

    #[test]
    fn a_row_tells_its_policy_and_its_environment() {
        let endpoint = Endpoint::keyed(
            "clips.try",
            Route::get("/v1/try"),
            Scope::ClipsRead,
            Limit::Requests,
            crate::handler!(nothing; app, caller, request),
        )
        .settings(&[Var::Sources])
        .may(&[
            Grant::Table(&[Item::Query]),
            Grant::Objects(Prefix::Clips, &[Object::Get]),
            Grant::Objects(Prefix::Work, &[Object::Get]),
            Grant::Queue(Queue::Mail),
        ]);
        let described = Described::from(&endpoint);
        let statement = |actions: &[&str], resources: &[&str]| Statement {
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
            resources: resources.iter().map(|resource| (*resource).to_owned()).collect(),
        };
        assert_eq!(
            described.statements,
            [
                // A session is read, and counting a request is an update.
                statement(&["dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem"], &["${TableArn}"]),
                statement(&["s3:GetObject"], &["${MediaBucketArn}/clips/*", "${MediaBucketArn}/work/*"]),
                statement(&["sqs:SendMessage"], &["${MailQueueArn}"]),
            ]
        );
        let names: Vec<&str> = described.env.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["TABLE_NAME", "MEDIA_BUCKET", "MAIL_QUEUE_URL", "SOURCES"]);
        assert_eq!(described.env[2].1, "MailQueueUrl");
    }
}
