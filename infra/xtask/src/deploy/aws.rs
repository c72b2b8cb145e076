//! What AWS says before anything is built, and what of it keeps a deployment from going well.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, bail};
use serde_json::Value as Json;

use super::Settings;
use crate::setup;

/// How `aws.py` ends where nobody is signed in.
const NO_CREDENTIALS: i32 = 2;
/// How many environments Lambda gives an account that has not asked for more; some new accounts start with 10.
const CONCURRENCY_USUAL: u64 = 1000;

/// AWS as `aws.py` reaches it: with the operator's own credentials, in the stack's region.
#[derive(Debug)]
pub(crate) struct Aws {
    python: PathBuf,
    script: PathBuf,
    region: String,
}

/// What AWS said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) account: String,
    pub(crate) arn: String,
    /// The stack's state; empty if there is none, `None` if that may not be asked.
    stack: Option<String>,
    concurrency: Option<u64>,
    mail: Option<Mail>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Mail {
    address: String,
    verified: bool,
    sandbox: bool,
}

impl Aws {
    /// `tools` is where the SAM command line's own programs are.
    pub(crate) fn new(tools: &Path, region: &str) -> anyhow::Result<Self> {
        Ok(Self {
            python: tools.join("python"),
            script: setup::root()?.join("infra/xtask/tools/aws.py"),
            region: region.to_owned(),
        })
    }

    /// Looks; `None` where AWS takes none of the credentials that are there, if any.
    pub(crate) fn look(&self, settings: &Settings, sender: &str) -> anyhow::Result<Option<Facts>> {
        let output = self.ask(&["look", &settings.stack, sender])?;
        if output.status.code() == Some(NO_CREDENTIALS) {
            return Ok(None);
        }
        let answer = said(output, "asking AWS about the account")?;
        let answer = serde_json::from_str(&answer).context("aws.py answered strangely")?;
        Facts::read(&answer).context("aws.py left something out").map(Some)
    }

    /// The digest under which an image was pushed before.
    pub(crate) fn image(&self, repository: &str, tag: &str) -> anyhow::Result<Option<String>> {
        let digest = said(self.ask(&["image", repository, tag])?, "asking AWS for the image")?;
        Ok((!digest.is_empty()).then_some(digest))
    }

    /// What `docker login` wants to know. Never to be shown.
    pub(crate) fn login(&self) -> anyhow::Result<String> {
        said(self.ask(&["login"])?, "signing in to the image registry")
    }

    fn ask(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let mut ask = Command::new(&self.python);
        ask.arg(&self.script).args(arguments);
        ask.env("AWS_REGION", &self.region).env("AWS_DEFAULT_REGION", &self.region);
        ask.output().with_context(|| format!("cannot run {}", self.python.display()))
    }
}

fn said(output: Output, what: &str) -> anyhow::Result<String> {
    if !output.status.success() {
        bail!("{what}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

impl Facts {
    fn read(answer: &Json) -> Option<Self> {
        let mail = &answer["mail"];
        let mail = mail["address"].as_str().map(|address| Mail {
            address: address.to_owned(),
            verified: mail["verified"] == true,
            sandbox: mail["sandbox"] == true,
        });
        Some(Self {
            account: answer["account"].as_str()?.to_owned(),
            arn: answer["arn"].as_str()?.to_owned(),
            stack: answer["stack"].as_str().map(str::to_owned),
            concurrency: answer["concurrency"].as_u64(),
            mail,
        })
    }

    /// Whether there is a stack that a change can be made to.
    pub(crate) fn has_stack(&self) -> bool {
        self.stack.as_ref().is_some_and(|status| !status.is_empty() && status != "REVIEW_IN_PROGRESS")
    }

    /// Why a deployment cannot begin.
    pub(crate) fn hindrance(&self, settings: &Settings) -> Option<String> {
        let (status, name) = (self.stack.as_deref()?, &settings.stack);
        let region = &settings.region;
        match status {
            "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "DELETE_FAILED" => Some(format!(
                "the stack {name} is in the state {status}, in which it can only be deleted: sam delete --stack-name \
                 {name} --region {region}; its events say what had failed"
            )),
            "UPDATE_ROLLBACK_FAILED" => Some(format!(
                "the stack {name} is in the state {status}: aws cloudformation continue-update-rollback \
                 --stack-name {name} --region {region}"
            )),
            _ if status.ends_with("_IN_PROGRESS") && status != "REVIEW_IN_PROGRESS" => {
                Some(format!("the stack {name} is being changed ({status}); wait until that has ended"))
            }
            _ => None,
        }
    }

    /// What will not work as it should, although the stack deploys.
    pub(crate) fn hints(&self) -> Vec<String> {
        let mut hints = Vec::new();
        if let Some(limit) = self.concurrency.filter(|limit| *limit < CONCURRENCY_USUAL) {
            hints.push(format!(
                "this account may have {limit} Lambda environments at once, {CONCURRENCY_USUAL} are usual: ask for \
                 more under Service Quotas, Lambda, Concurrent executions (L-B99A9384)"
            ));
        }
        if let Some(mail) = &self.mail {
            if !mail.verified {
                hints.push(format!(
                    "SES knows neither {} nor its domain as a verified identity here, so nobody gets a sign-in mail: \
                     add it under SES, Identities, or name another sender (parameter MailFrom)",
                    mail.address
                ));
            }
            if mail.sandbox {
                hints.push(
                    "SES is in its sandbox here and sends to verified addresses only: ask for production access \
                     under SES, Account dashboard"
                        .to_owned(),
                );
            }
        }
        hints
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn facts(stack: &str, concurrency: u64, verified: bool, sandbox: bool) -> Facts {
        let answer = json!({
            "account": "123456789012", "arn": "arn:aws:iam::123456789012:user/o", "stack": stack,
            "concurrency": concurrency,
            "mail": {"address": "no-reply@example.com", "verified": verified, "sandbox": sandbox},
        });
        Facts::read(&answer).unwrap()
    }

    fn settings() -> Settings {
        Settings { stack: "clips".to_owned(), region: "eu-west-1".to_owned(), parameters: [].into() }
    }

    #[test]
    fn a_stack_that_cannot_be_changed_is_told_with_the_way_out() {
        let hindrance = |status: &str| facts(status, 1000, true, false).hindrance(&settings());
        for status in
            ["", "CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS"]
        {
            assert_eq!(hindrance(status), None, "{status}");
        }
        for (status, way) in [
            ("ROLLBACK_COMPLETE", "sam delete --stack-name clips --region eu-west-1"),
            ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
            ("UPDATE_IN_PROGRESS", "wait until"),
        ] {
            assert!(hindrance(status).is_some_and(|words| words.contains(way)), "{status}");
        }
        assert!(!facts("", 1, true, true).has_stack());
        assert!(facts("UPDATE_COMPLETE", 1, true, true).has_stack());
    }

    #[test]
    fn only_what_will_not_work_is_hinted_at() {
        assert_eq!(facts("", 1000, true, false).hints(), Vec::<String>::new());
        let hints = facts("", 10, false, true).hints();
        for (hint, words) in hints.iter().zip(["may have 10 Lambda", "no-reply@example.com nor", "sandbox"]) {
            assert!(hint.contains(words), "{hint}");
        }
        assert_eq!(hints.len(), 3);
        let unknown = json!({"account": "1", "arn": "a", "stack": null, "concurrency": null, "mail": null});
        assert_eq!(Facts::read(&unknown).unwrap().hints(), Vec::<String>::new());
    }
}
