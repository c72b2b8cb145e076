//! What a handler works with: configuration, the clock, and the AWS services its endpoint declared.

use std::{
    sync::OnceLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_config::{
    BehaviorVersion, SdkConfig, environment::EnvironmentVariableCredentialsProvider, timeout::TimeoutConfig,
};
use aws_sdk_sfn::types::ExecutionStatus;
use domain::{
    ids::{AccountId, JobId},
    time::Timestamp,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use sources::{Guard, Limits, SourceClient, SourceError};
use store::{Table, objects::Objects, webhooks::DeliveryKey};
use tracing::error;
use url::Url;

use crate::{
    ApiError, Calls,
    env::{Config, ConfigError, Var},
    invocation::Watch,
    invoke::invoke,
    metrics::Metrics,
    time_limits,
};

/// Where an execution of the state machine stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Execution {
    /// It was never started.
    Unknown,
    /// It runs.
    Running,
    /// It has ended, in whatever way.
    Ended,
}

/// What a handler works with.
pub struct App {
    config: Config,
    watch: Watch,
    sdk: SdkConfig,
    table: Option<Table>,
    objects: Option<Objects>,
    machines: OnceLock<aws_sdk_sfn::Client>,
    queues: OnceLock<aws_sdk_sqs::Client>,
    functions: OnceLock<aws_sdk_lambda::Client>,
}

impl App {
    /// Connects to AWS as the environment says: region, `AWS_ENDPOINT_URL*`, and the credentials of the function's role,
    /// which Lambda puts there.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub async fn connect(config: Config) -> Result<Self, lambda_runtime::Error> {
        let timeouts = timeouts(time_limits::SDK_OPERATION, time_limits::SDK_ATTEMPT);
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .http_client(store::https()?)
            .credentials_provider(EnvironmentVariableCredentialsProvider::new())
            .timeout_config(timeouts)
            .load()
            .await;
        let table = config.get(Var::TableName).ok();
        let table = table.map(|name| {
            let config = aws_sdk_dynamodb::config::Builder::from(&sdk).interceptor(Calls::default()).build();
            Table::new(aws_sdk_dynamodb::Client::from_conf(config), name.to_owned())
        });
        // A clip or a span is one PUT, which may take minutes: the bucket's client has no limit per attempt.
        let objects = config.get(Var::MediaBucket).ok().map(|bucket| {
            let unbounded = aws_sdk_s3::config::Builder::from(&sdk).timeout_config(TimeoutConfig::disabled());
            let unbounded = unbounded.interceptor(Calls::default()).build();
            Objects::new(aws_sdk_s3::Client::from_conf(unbounded), bucket.to_owned())
        });
        Ok(Self {
            config,
            watch: Watch::of_environment(),
            sdk,
            table,
            objects,
            machines: OnceLock::new(),
            queues: OnceLock::new(),
            functions: OnceLock::new(),
        })
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Now.
    #[must_use]
    #[allow(clippy::unused_self)] // a handler has the time from here, as all else
    pub fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// What this invocation counts and measures.
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        &self.watch.metrics
    }

    pub(crate) const fn watch(&self) -> &Watch {
        &self.watch
    }

    /// How many milliseconds this invocation has until Lambda ends it.
    #[must_use]
    pub fn time_left_ms(&self) -> i64 {
        self.watch.deadline().0.saturating_sub(self.now().0)
    }

    /// Says which job this invocation is about, as soon as that is known: every line from here on names it.
    pub fn about(&self, job: &JobId) {
        self.watch.about(job);
    }

    /// The table.
    ///
    /// # Errors
    /// [`ConfigError::Undeclared`].
    pub fn table(&self) -> Result<&Table, ConfigError> {
        self.table.as_ref().ok_or(ConfigError::Undeclared(Var::TableName.name()))
    }

    /// The bucket.
    ///
    /// # Errors
    /// [`ConfigError::Undeclared`].
    pub fn objects(&self) -> Result<&Objects, ConfigError> {
        self.objects.as_ref().ok_or(ConfigError::Undeclared(Var::MediaBucket.name()))
    }

    /// A client for sources, with the guard that the configuration asks for.
    ///
    /// # Errors
    /// [`AppError::Config`] if the endpoint does not declare it, [`AppError::Source`] if TLS cannot be set up.
    pub fn sources(&self, limits: Limits) -> Result<SourceClient, AppError> {
        Ok(SourceClient::new(self.guard()?, limits)?)
    }

    /// The rule for addresses that the configuration asks for.
    ///
    /// # Errors
    /// [`ConfigError::Undeclared`].
    pub fn guard(&self) -> Result<Guard, ConfigError> {
        let private = self.config.get(Var::AllowPrivateSources)? == "true";
        Ok(if private { Guard::allowing_private() } else { Guard::public_only() })
    }

    /// Checks that the guard lets webhooks be sent to `url`, as far as its name tells today: each request checks anew. A
    /// name that nobody knows may be known tomorrow.
    ///
    /// # Errors
    /// 400.
    pub async fn may_send_to(&self, url: &Url) -> Result<(), ApiError> {
        match self.guard()?.addresses(url).await {
            Err(SourceError::Forbidden(why)) => {
                Err(ApiError::bad_request(format!("webhooks are not sent to this address: {why}")))
            }
            _ => Ok(()),
        }
    }

    /// A client for files in our own bucket, to be opened by links that we signed ourselves. The guard is for users'
    /// URLs: our own S3 may have a private address.
    ///
    /// # Errors
    /// [`AppError::Source`] if TLS cannot be set up.
    pub fn own_files(&self, limits: Limits) -> Result<SourceClient, AppError> {
        Ok(SourceClient::new(Guard::allowing_private(), limits)?)
    }

    /// Calls another function of the stack, whose name is in `function`, and waits for its answer.
    ///
    /// # Errors
    /// [`AppError`], also where that function failed.
    pub async fn invoke<T: DeserializeOwned>(
        &self,
        function: Var,
        request: &impl Serialize,
    ) -> Result<T, AppError> {
        invoke(self.functions(), self.config.get(function)?, request).await
    }

    /// Starts a job's execution. Its name is the job's id, so a repeat starts nothing.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn start_execution(&self, job: &JobId) -> Result<(), AppError> {
        let start = self
            .machines()
            .start_execution()
            .state_machine_arn(self.config.get(Var::ClipMachineArn)?)
            .name(job.as_str())
            .input(json!({ "job_id": job }).to_string());
        match start.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_execution_already_exists()) => Ok(()),
            Err(error) => Err(AppError::aws("StartExecution", &error)),
        }
    }

    /// Where a job's execution stands.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn execution(&self, job: &JobId) -> Result<Execution, AppError> {
        let describe = self.machines().describe_execution().execution_arn(self.execution_arn(job)?);
        match describe.send().await {
            Ok(answer) if *answer.status() == ExecutionStatus::Running => Ok(Execution::Running),
            Ok(_) => Ok(Execution::Ended),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_execution_does_not_exist()) => {
                Ok(Execution::Unknown)
            }
            Err(error) => Err(AppError::aws("DescribeExecution", &error)),
        }
    }

    /// Stops a job's execution, if it was ever started. `why` is a word for the operator.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn stop_execution(&self, job: &JobId, why: &str) -> Result<(), AppError> {
        let stop = self.machines().stop_execution().execution_arn(self.execution_arn(job)?).error(why);
        match stop.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_execution_does_not_exist()) => Ok(()),
            Err(error) => Err(AppError::aws("StopExecution", &error)),
        }
    }

    /// Wakes `dispatch`: an account may have both a free slot and a waiting job.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn wake_dispatch(&self, account: &AccountId) -> Result<(), AppError> {
        self.enqueue(Var::DispatchQueueUrl, &json!({ "account": account })).await
    }

    /// Puts the orders to deliver webhooks into their queue. Whoever raised the events has written them down already: an
    /// order that is lost here is given again by `webhooks.sweep`, so a failure is logged and nobody else's.
    pub async fn deliver(&self, orders: &[DeliveryKey]) {
        for order in orders {
            if let Err(problem) = self.enqueue(Var::WebhooksQueueUrl, order).await {
                error!(event_id = %order.event, %problem, "not ordered, left to the sweeper");
            }
        }
    }

    /// Puts a message, as JSON, into the queue whose URL is in `queue`.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn enqueue<T: Serialize>(&self, queue: Var, message: &T) -> Result<(), AppError> {
        self.enqueue_for_later(queue, message, 0).await
    }

    /// As [`App::enqueue`]; nobody sees the message for `seconds`, 900 at most.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn enqueue_for_later<T: Serialize>(
        &self,
        queue: Var,
        message: &T,
        seconds: i32,
    ) -> Result<(), AppError> {
        let body = serde_json::to_string(message).map_err(|error| AppError::aws("SendMessage", &error))?;
        let send = self.queues().send_message().queue_url(self.config.get(queue)?).message_body(body);
        let delay = (seconds > 0).then_some(seconds);
        send.set_delay_seconds(delay)
            .send()
            .await
            .map(drop)
            .map_err(|error| AppError::aws("SendMessage", &error))
    }

    /// The state machines. Made when first used, as are the clients below: most functions start faster without.
    fn machines(&self) -> &aws_sdk_sfn::Client {
        self.machines.get_or_init(|| {
            let config = aws_sdk_sfn::config::Builder::from(&self.sdk).interceptor(Calls::default());
            aws_sdk_sfn::Client::from_conf(config.build())
        })
    }

    fn queues(&self) -> &aws_sdk_sqs::Client {
        self.queues.get_or_init(|| {
            let config = aws_sdk_sqs::config::Builder::from(&self.sdk).interceptor(Calls::default());
            aws_sdk_sqs::Client::from_conf(config.build())
        })
    }

    /// The stack's own functions.
    fn functions(&self) -> &aws_sdk_lambda::Client {
        self.functions.get_or_init(|| {
            let config = aws_sdk_lambda::config::Builder::from(&self.sdk).interceptor(Calls::default());
            // One attempt waits as long as all of them: a function that is slow is not asked a second time meanwhile.
            let config = config.timeout_config(timeouts(time_limits::INVOKE, time_limits::INVOKE));
            aws_sdk_lambda::Client::from_conf(config.build())
        })
    }

    /// What a client of one more AWS service is made from: one that so few functions use that the others should
    /// not carry it. It gets an interceptor, [`Calls`], as all clients.
    #[must_use]
    pub const fn sdk(&self) -> &SdkConfig {
        &self.sdk
    }

    /// `arn:…:stateMachine:NAME` names its executions `arn:…:execution:NAME:EXECUTION`.
    fn execution_arn(&self, job: &JobId) -> Result<String, ConfigError> {
        let machine = self.config.get(Var::ClipMachineArn)?;
        Ok(format!("{}:{job}", machine.replacen(":stateMachine:", ":execution:", 1)))
    }
}

fn timeouts(operation: Duration, attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().operation_timeout(operation).operation_attempt_timeout(attempt).build()
}

/// Why a service did not do what a handler asked for.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The endpoint is not configured for it.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The client for sources could not be made.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// AWS refused or did not answer.
    #[error("{operation} failed: {message}")]
    Aws {
        /// What was tried.
        operation: &'static str,
        /// What the SDK says, for the log.
        message: String,
    },
}

impl AppError {
    /// An answer without what it was asked for.
    #[must_use]
    pub fn empty(operation: &'static str) -> Self {
        Self::Aws { operation, message: "the answer is empty".to_owned() }
    }

    /// What the SDK says of a failed call, with its causes.
    #[must_use]
    pub fn aws(operation: &'static str, error: &dyn std::error::Error) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        Self::Aws { operation, message }
    }
}

impl From<AppError> for crate::ApiError {
    fn from(error: AppError) -> Self {
        Self::internal(error.to_string())
    }
}

impl From<AppError> for crate::StageError {
    fn from(error: AppError) -> Self {
        Self::Passing(error.to_string())
    }
}
