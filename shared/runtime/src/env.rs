//! Every environment variable, spelled once; configuration is read and checked once.

use std::collections::BTreeMap;

use domain::{
    hosts::AllowedHosts,
    rate::{self, Quota},
    sign_in,
};
use url::{Host, Url};

/// A variable that an endpoint may declare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Var {
    /// Name of the DynamoDB table.
    TableName,
    /// Name of the S3 bucket.
    MediaBucket,
    /// ARN of the state machine that makes clips.
    ClipMachineArn,
    /// URL of the queue that wakes `dispatch`.
    DispatchQueueUrl,
    /// URL of the queue of uploads to look at.
    UploadsQueueUrl,
    /// URL of the queue of mails to send.
    MailQueueUrl,
    /// URL of the queue of accounts to erase.
    EraseQueueUrl,
    /// URL of the queue of webhooks to deliver.
    WebhooksQueueUrl,
    /// URL of the queue of webhooks that nobody took.
    WebhooksDeadLettersUrl,
    /// ARN of the secret that all secrets of webhooks are made from.
    WebhooksSecretArn,
    /// The address that mail comes from.
    MailFrom,
    /// Where people reach the product; links in mails begin with it.
    PublicUrl,
    /// The same for pages; empty if that is where each request comes in. (API Gateway is made of its functions, so they
    /// cannot be told its address.)
    PageUrl,
    /// Name of the function that looks at sources with ffprobe.
    ProbeFunction,
    /// Name of the function that finds captions.
    CaptionsFunction,
    /// Name of the function that keeps what is said in sources.
    WordsFunction,
    /// Name of the function that finds moments in it.
    FindFunction,
    /// How many clip jobs of one account run at once.
    ClipSlots,
    /// How many clip jobs one account may ask for in an hour.
    ClipJobsPerHour,
    /// How many requests without a key one client address may make in a minute.
    OpenRequestsPerMinute,
    /// How many sign-in mails one client address may ask for in an hour.
    MailsPerHour,
    /// The hosts that sources may come from.
    Sources,
    /// `true` allows sources on private addresses. For the local cloud only: see [`Config::read`].
    AllowPrivateSources,
    /// ARN of the secret with cookies, token and proxy for web pages; empty if there is none.
    PageSecretArn,
    /// Which model recognises speech: `base` or `tiny.en`.
    SpeechModel,
}

impl Var {
    /// All variables.
    pub const ALL: [Self; 25] = [
        Self::TableName,
        Self::MediaBucket,
        Self::ClipMachineArn,
        Self::DispatchQueueUrl,
        Self::UploadsQueueUrl,
        Self::MailQueueUrl,
        Self::EraseQueueUrl,
        Self::WebhooksQueueUrl,
        Self::WebhooksDeadLettersUrl,
        Self::WebhooksSecretArn,
        Self::MailFrom,
        Self::PublicUrl,
        Self::PageUrl,
        Self::ProbeFunction,
        Self::CaptionsFunction,
        Self::WordsFunction,
        Self::FindFunction,
        Self::ClipSlots,
        Self::ClipJobsPerHour,
        Self::OpenRequestsPerMinute,
        Self::MailsPerHour,
        Self::Sources,
        Self::AllowPrivateSources,
        Self::PageSecretArn,
        Self::SpeechModel,
    ];

    /// The name in the environment.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TableName => "TABLE_NAME",
            Self::MediaBucket => "MEDIA_BUCKET",
            Self::ClipMachineArn => "CLIP_MACHINE_ARN",
            Self::DispatchQueueUrl => "DISPATCH_QUEUE_URL",
            Self::UploadsQueueUrl => "UPLOADS_QUEUE_URL",
            Self::MailQueueUrl => "MAIL_QUEUE_URL",
            Self::EraseQueueUrl => "ERASE_QUEUE_URL",
            Self::WebhooksQueueUrl => "WEBHOOKS_QUEUE_URL",
            Self::WebhooksDeadLettersUrl => "WEBHOOKS_DEAD_LETTERS_URL",
            Self::WebhooksSecretArn => "WEBHOOKS_SECRET_ARN",
            Self::MailFrom => "MAIL_FROM",
            Self::PublicUrl => "PUBLIC_URL",
            Self::PageUrl => "PAGE_URL",
            Self::ProbeFunction => "PROBE_FUNCTION",
            Self::CaptionsFunction => "CAPTIONS_FUNCTION",
            Self::WordsFunction => "WORDS_FUNCTION",
            Self::FindFunction => "FIND_FUNCTION",
            Self::ClipSlots => "CLIP_SLOTS",
            Self::ClipJobsPerHour => "CLIP_JOBS_PER_HOUR",
            Self::OpenRequestsPerMinute => "OPEN_REQUESTS_PER_MINUTE",
            Self::MailsPerHour => "MAILS_PER_HOUR",
            Self::Sources => "SOURCES",
            Self::AllowPrivateSources => "ALLOW_PRIVATE_SOURCES",
            Self::PageSecretArn => "PAGE_SECRET_ARN",
            Self::SpeechModel => "SPEECH_MODEL",
        }
    }

    fn check(self, value: &str) -> Result<(), &'static str> {
        let fine = match self {
            Self::ClipMachineArn | Self::WebhooksSecretArn => value.starts_with("arn:"),
            Self::SpeechModel => matches!(value, "base" | "tiny.en"),
            Self::PageSecretArn => value.is_empty() || value.starts_with("arn:"),
            Self::DispatchQueueUrl
            | Self::UploadsQueueUrl
            | Self::MailQueueUrl
            | Self::EraseQueueUrl
            | Self::WebhooksQueueUrl
            | Self::WebhooksDeadLettersUrl
            | Self::PublicUrl => value.starts_with("http://") || value.starts_with("https://"),
            Self::PageUrl => {
                value.is_empty() || value.starts_with("http://") || value.starts_with("https://")
            }
            Self::MailFrom => value.contains('@'),
            Self::ClipSlots => value.parse::<u32>().is_ok_and(|slots| (1..=1000).contains(&slots)),
            Self::ClipJobsPerHour | Self::OpenRequestsPerMinute | Self::MailsPerHour => {
                value.parse::<u32>().is_ok_and(|max| (1..=1_000_000).contains(&max))
            }
            Self::Sources => AllowedHosts::parse(value).is_ok(),
            Self::AllowPrivateSources => matches!(value, "true" | "false"),
            Self::TableName
            | Self::MediaBucket
            | Self::ProbeFunction
            | Self::CaptionsFunction
            | Self::WordsFunction
            | Self::FindFunction => !value.is_empty(),
        };
        if fine { Ok(()) } else { Err(self.expected()) }
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::ClipMachineArn | Self::WebhooksSecretArn => "must be an ARN",
            Self::PageSecretArn => "must be empty or an ARN",
            Self::SpeechModel => "must be base or tiny.en",
            Self::DispatchQueueUrl
            | Self::UploadsQueueUrl
            | Self::MailQueueUrl
            | Self::EraseQueueUrl
            | Self::WebhooksQueueUrl
            | Self::WebhooksDeadLettersUrl => "must be a queue's URL",
            Self::MailFrom => "must be an e-mail address",
            Self::PublicUrl => "must be an http or https URL",
            Self::PageUrl => "must be empty or an http or https URL",
            Self::ClipSlots => "must be a whole number from 1 to 1000",
            Self::ClipJobsPerHour | Self::OpenRequestsPerMinute | Self::MailsPerHour => {
                "must be a whole number from 1 to 1000000"
            }
            Self::Sources => "must be hosts like example.com, separated by commas, or * for all",
            Self::AllowPrivateSources => "must be true or false",
            Self::TableName
            | Self::MediaBucket
            | Self::ProbeFunction
            | Self::CaptionsFunction
            | Self::WordsFunction
            | Self::FindFunction => "must not be empty",
        }
    }
}

/// What is wrong with the environment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A declared variable is not set.
    #[error("environment variable {0} is not set")]
    Missing(&'static str),
    /// A declared variable has a value that cannot be.
    #[error("environment variable {name} {problem}")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// What it must be.
        problem: &'static str,
    },
    /// An endpoint uses a variable that it does not declare.
    #[error("environment variable {0} is used but not declared by this endpoint")]
    Undeclared(&'static str),
}

/// The declared variables and their values.
#[derive(Clone, Debug, Default)]
pub struct Config(BTreeMap<Var, String>);

impl Config {
    /// Reads `declared` through `lookup`.
    ///
    /// Private sources are allowed only where AWS itself is played by a program on this machine: `AWS_ENDPOINT_URL` must
    /// lead to loopback. A stack on AWS whose operator set the variable does not start, rather than let anybody in the
    /// world read what its functions can reach.
    ///
    /// # Errors
    /// [`ConfigError`], naming the first variable that is missing or wrong.
    pub fn read(declared: &[Var], lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let private = Var::AllowPrivateSources;
        let is_private = declared.contains(&private) && lookup(private.name()).as_deref() == Some("true");
        if is_private && !is_local(&lookup) {
            let problem =
                "must be false on AWS: true is for a local cloud, with AWS_ENDPOINT_URL on loopback";
            return Err(ConfigError::Invalid { name: private.name(), problem });
        }
        let mut values = BTreeMap::new();
        for &var in declared {
            let value = lookup(var.name()).ok_or(ConfigError::Missing(var.name()))?;
            var.check(&value).map_err(|problem| ConfigError::Invalid { name: var.name(), problem })?;
            values.insert(var, value);
        }
        Ok(Self(values))
    }

    /// A variable's value.
    ///
    /// # Errors
    /// [`ConfigError::Undeclared`].
    pub fn get(&self, var: Var) -> Result<&str, ConfigError> {
        self.0.get(&var).map(String::as_str).ok_or(ConfigError::Undeclared(var.name()))
    }

    /// The hosts that sources may come from.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn sources(&self) -> Result<AllowedHosts, ConfigError> {
        let invalid =
            |_| ConfigError::Invalid { name: Var::Sources.name(), problem: Var::Sources.expected() };
        AllowedHosts::parse(self.get(Var::Sources)?).map_err(invalid)
    }

    /// How many clip jobs of one account run at once.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn clip_slots(&self) -> Result<u32, ConfigError> {
        self.number(Var::ClipSlots)
    }

    /// How many clip jobs one account may ask for.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn clip_jobs(&self) -> Result<Quota, ConfigError> {
        self.number(Var::ClipJobsPerHour).map(rate::clip_jobs)
    }

    /// How many requests without a key one client address may make.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn open_requests(&self) -> Result<Quota, ConfigError> {
        self.number(Var::OpenRequestsPerMinute).map(rate::open_requests)
    }

    /// How many sign-in mails one client address may ask for.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn mails_asked_for(&self) -> Result<Quota, ConfigError> {
        self.number(Var::MailsPerHour).map(sign_in::mails_asked_for)
    }

    fn number(&self, var: Var) -> Result<u32, ConfigError> {
        let invalid = ConfigError::Invalid { name: var.name(), problem: var.expected() };
        self.get(var)?.parse().map_err(|_| invalid)
    }
}

/// Whether every AWS service that is called lives on loopback, as the SDK's own variables say.
fn is_local(lookup: &impl Fn(&str) -> Option<String>) -> bool {
    let leads_to_loopback = |url: String| {
        Url::parse(&url).ok().is_some_and(|url| match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        })
    };
    let for_one = ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_S3"];
    lookup("AWS_ENDPOINT_URL").is_some_and(leads_to_loopback)
        && for_one.into_iter().filter_map(lookup).all(leads_to_loopback)
        && !lookup("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(declared: &[Var], values: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::read(declared, |name| values.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn names_the_variable_that_is_wrong() {
        let error = read(&[Var::TableName], &[]).unwrap_err();
        assert_eq!(error.to_string(), "environment variable TABLE_NAME is not set");
        let error = read(&[Var::ClipSlots], &[("CLIP_SLOTS", "many")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "environment variable CLIP_SLOTS must be a whole number from 1 to 1000"
        );
        assert!(read(&[Var::AllowPrivateSources], &[("ALLOW_PRIVATE_SOURCES", "yes")]).is_err());
        assert!(read(&[Var::ClipMachineArn], &[("CLIP_MACHINE_ARN", "clip")]).is_err());
    }

    #[test]
    fn private_sources_are_for_the_local_cloud() {
        let read_with = |private: &str, more: &[(&str, &str)]| {
            let values = [&[("ALLOW_PRIVATE_SOURCES", private)], more].concat();
            read(&[Var::AllowPrivateSources], &values)
        };
        let endpoint = |url| [("AWS_ENDPOINT_URL", url)];
        for url in ["http://127.0.0.1:4566", "http://localhost:4566/", "http://[::1]:1", "http://127.8.0.1"] {
            assert!(read_with("true", &endpoint(url)).is_ok(), "{url}");
        }
        let elsewhere = [
            "https://dynamodb.eu-central-1.amazonaws.com",
            "http://localhost.example.com",
            "http://169.254.169.254",
            "http://10.0.0.1:4566",
            "http://127.0.0.1@example.com",
            "127.0.0.1",
            "",
        ];
        for url in elsewhere {
            assert!(read_with("true", &endpoint(url)).is_err(), "{url}");
            assert!(read_with("false", &endpoint(url)).is_ok(), "{url}");
        }
        let local = endpoint("http://127.0.0.1:4566")[0];
        assert!(read_with("true", &[local, ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")]).is_ok());
        assert!(read_with("true", &[local, ("AWS_ENDPOINT_URL_S3", "https://s3.amazonaws.com")]).is_err());
        assert!(read_with("true", &[local, ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "TRUE")]).is_err());
        assert!(read_with("false", &[]).is_ok());
        let error = read_with("true", &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "environment variable ALLOW_PRIVATE_SOURCES must be false on AWS: true is for a local cloud, with \
             AWS_ENDPOINT_URL on loopback"
        );
    }

    #[test]
    fn an_undeclared_variable_does_not_exist() {
        let config = read(&[Var::ClipSlots], &[("CLIP_SLOTS", "5"), ("TABLE_NAME", "t")]).unwrap();
        assert_eq!(config.clip_slots(), Ok(5));
        assert_eq!(config.get(Var::TableName), Err(ConfigError::Undeclared("TABLE_NAME")));
    }
}
