//! Every environment variable, spelled once; configuration is read and checked once.

use std::collections::BTreeMap;

use domain::{
    account::BonusTerms,
    delivery::DeliveryBounds,
    hosts::AllowedHosts,
    money::Amount,
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
    /// Name of the set of SES by which mail is sent, so that its bounces and complaints are told.
    MailSet,
    /// How many sign-in mails go to addresses without an account in an hour.
    StackMailsPerHour,
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
    /// How many seconds a minute sources are looked at on behalf of one account.
    LookSeconds,
    /// How many seconds a minute sources are looked at on behalf of one client address without a key.
    OpenLookSeconds,
    /// Cents of the bonus that a mailbox gets when it signs up.
    SignupBonus,
    /// How many of them the mailboxes of one domain get in a day.
    BonusesPerDomain,
    /// How many of them there are in an hour.
    BonusesPerHour,
    /// GB that may be fetched in a day of what an account has had made, before its first deposit.
    BonusDeliveryGb,
    /// The same after it.
    DeliveryGb,
    /// The hosts that sources may come from.
    Sources,
    /// `true` allows sources on private addresses. For the local cloud only: see [`Config::read`].
    AllowPrivateSources,
    /// ARN of the secret with cookies, token and proxy for web pages; empty if there is none.
    PageSecretArn,
    /// The large model that finds moments, as Amazon Bedrock calls it; empty if there is none.
    MomentsModel,
    /// ARN of the secret with Stripe's keys; empty if nothing can be paid.
    StripeSecretArn,
    /// Which model recognises speech: `base` or `tiny.en`.
    SpeechModel,
}

impl Var {
    /// All variables.
    pub const ALL: [Self; 36] = [
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
        Self::MailSet,
        Self::StackMailsPerHour,
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
        Self::LookSeconds,
        Self::OpenLookSeconds,
        Self::SignupBonus,
        Self::BonusesPerDomain,
        Self::BonusesPerHour,
        Self::BonusDeliveryGb,
        Self::DeliveryGb,
        Self::Sources,
        Self::AllowPrivateSources,
        Self::PageSecretArn,
        Self::MomentsModel,
        Self::StripeSecretArn,
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
            Self::MailSet => "MAIL_SET",
            Self::StackMailsPerHour => "STACK_MAILS_PER_HOUR",
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
            Self::LookSeconds => "LOOK_SECONDS",
            Self::OpenLookSeconds => "OPEN_LOOK_SECONDS",
            Self::SignupBonus => "SIGNUP_BONUS",
            Self::BonusesPerDomain => "BONUSES_PER_DOMAIN",
            Self::BonusesPerHour => "BONUSES_PER_HOUR",
            Self::BonusDeliveryGb => "BONUS_DELIVERY_GB",
            Self::DeliveryGb => "DELIVERY_GB",
            Self::Sources => "SOURCES",
            Self::AllowPrivateSources => "ALLOW_PRIVATE_SOURCES",
            Self::PageSecretArn => "PAGE_SECRET_ARN",
            Self::MomentsModel => "MOMENTS_MODEL",
            Self::StripeSecretArn => "STRIPE_SECRET_ARN",
            Self::SpeechModel => "SPEECH_MODEL",
        }
    }

    fn check(self, value: &str) -> Result<(), &'static str> {
        let fine = match self {
            Self::ClipMachineArn | Self::WebhooksSecretArn => value.starts_with("arn:"),
            Self::SpeechModel => matches!(value, "base" | "tiny.en"),
            Self::PageSecretArn | Self::StripeSecretArn => value.is_empty() || value.starts_with("arn:"),
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
            Self::SignupBonus => value.parse::<u32>().is_ok_and(|cents| cents <= 100_000),
            Self::ClipSlots => value.parse::<u32>().is_ok_and(|slots| (1..=1000).contains(&slots)),
            Self::ClipJobsPerHour
            | Self::OpenRequestsPerMinute
            | Self::MailsPerHour
            | Self::LookSeconds
            | Self::OpenLookSeconds
            | Self::BonusesPerDomain
            | Self::BonusesPerHour
            | Self::StackMailsPerHour
            | Self::BonusDeliveryGb
            | Self::DeliveryGb => value.parse::<u32>().is_ok_and(|max| (1..=1_000_000).contains(&max)),
            Self::Sources => AllowedHosts::parse(value).is_ok(),
            Self::AllowPrivateSources => matches!(value, "true" | "false"),
            Self::MomentsModel => !value.chars().any(char::is_whitespace),
            Self::TableName
            | Self::MediaBucket
            | Self::MailSet
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
            Self::PageSecretArn | Self::StripeSecretArn => "must be empty or an ARN",
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
            Self::SignupBonus => "must be a whole number of cents from 0 to 100000",
            Self::ClipSlots => "must be a whole number from 1 to 1000",
            Self::ClipJobsPerHour
            | Self::OpenRequestsPerMinute
            | Self::MailsPerHour
            | Self::LookSeconds
            | Self::OpenLookSeconds
            | Self::BonusesPerDomain
            | Self::BonusesPerHour
            | Self::StackMailsPerHour
            | Self::BonusDeliveryGb
            | Self::DeliveryGb => "must be a whole number from 1 to 1000000",
            Self::Sources => "must be hosts like example.com, separated by commas, or * for all",
            Self::AllowPrivateSources => "must be true or false",
            Self::MomentsModel => "must be empty or the name of a model or inference profile",
            Self::TableName
            | Self::MediaBucket
            | Self::MailSet
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

    /// How long sources are looked at on behalf of one account.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn look_seconds(&self) -> Result<Quota, ConfigError> {
        self.number(Var::LookSeconds).map(rate::look_seconds)
    }

    /// How long sources are looked at on behalf of one client address.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn open_look_seconds(&self) -> Result<Quota, ConfigError> {
        self.number(Var::OpenLookSeconds).map(rate::open_look_seconds)
    }

    /// On what terms a mailbox gets its bonus.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn bonus_terms(&self) -> Result<BonusTerms, ConfigError> {
        let dollars = Amount::cents(self.number(Var::SignupBonus)?.into());
        Ok(BonusTerms::new(dollars, self.number(Var::BonusesPerDomain)?, self.number(Var::BonusesPerHour)?))
    }

    /// How much may be fetched of what an account has had made.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn delivery(&self) -> Result<DeliveryBounds, ConfigError> {
        let (bonus_gb, paid_gb) = (self.number(Var::BonusDeliveryGb)?, self.number(Var::DeliveryGb)?);
        Ok(DeliveryBounds { bonus_gb, paid_gb })
    }

    /// How many sign-in mails go to addresses without an account.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn mails_to_strangers(&self) -> Result<Quota, ConfigError> {
        self.number(Var::StackMailsPerHour).map(sign_in::mails_to_strangers)
    }

    fn number(&self, var: Var) -> Result<u32, ConfigError> {
        let invalid = ConfigError::Invalid { name: var.name(), problem: var.expected() };
        self.get(var)?.parse().map_err(|_| invalid)
    }
}

/// Where Stripe is.
const STRIPE: &str = "https://api.stripe.com";

/// The address of Stripe's API: `STRIPE_ENDPOINT_URL` on a local cloud, where that leads to loopback as AWS does; Stripe's
/// own everywhere else, whatever the environment says.
#[must_use]
pub fn stripe_endpoint(lookup: impl Fn(&str) -> Option<String>) -> String {
    let local =
        lookup("STRIPE_ENDPOINT_URL").filter(|url| leads_to_loopback(url.clone()) && is_local(&lookup));
    local.unwrap_or_else(|| STRIPE.to_owned())
}

fn leads_to_loopback(url: String) -> bool {
    Url::parse(&url).ok().is_some_and(|url| match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    })
}

/// Whether every AWS service that is called lives on loopback, as the SDK's own variables say.
fn is_local(lookup: &impl Fn(&str) -> Option<String>) -> bool {
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
    fn stripe_is_elsewhere_only_on_a_local_cloud() {
        let of = |aws: &str, stripe: &str| {
            stripe_endpoint(|name| match name {
                "AWS_ENDPOINT_URL" => Some(aws.to_owned()).filter(|url| !url.is_empty()),
                "STRIPE_ENDPOINT_URL" => Some(stripe.to_owned()),
                _ => None,
            })
        };
        let local = "http://127.0.0.1:12111";
        assert_eq!(of("http://127.0.0.1:4566", local), local);
        assert_eq!(of("", local), STRIPE);
        assert_eq!(of("https://dynamodb.amazonaws.com", local), STRIPE);
        assert_eq!(of("http://127.0.0.1:4566", "https://stripe.example.com"), STRIPE);
    }

    #[test]
    fn an_undeclared_variable_does_not_exist() {
        let config = read(&[Var::ClipSlots], &[("CLIP_SLOTS", "5"), ("TABLE_NAME", "t")]).unwrap();
        assert_eq!(config.clip_slots(), Ok(5));
        assert_eq!(config.get(Var::TableName), Err(ConfigError::Undeclared("TABLE_NAME")));
    }
}
