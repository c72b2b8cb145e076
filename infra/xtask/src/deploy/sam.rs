//! The commands that are given to `sam`, as pure functions of what is deployed.

use std::collections::BTreeMap;
use std::path::Path;

use super::Settings;

/// The stack that holds what the other one is deployed from.
pub(crate) const ARTIFACTS_TEMPLATE: &str = "infra/artifacts.yaml";
/// The product's stack.
pub(crate) const TEMPLATE: &str = "template.yaml";

/// Where builds are put in the account; `infra/artifacts.yaml` makes both under these names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) bucket: String,
    /// The image registry's host name.
    pub(crate) registry: String,
    pub(crate) repository: String,
}

impl Place {
    pub(crate) fn of(settings: &Settings, account: &str) -> Self {
        let Settings { stack, region, .. } = settings;
        Self {
            bucket: format!("{stack}-artifacts-{account}-{region}"),
            registry: format!("{account}.dkr.ecr.{region}.{}", suffix(region)),
            repository: format!("{stack}-media"),
        }
    }

    /// The repository with its registry.
    pub(crate) fn image(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }
}

/// The domain of AWS's services, which differs in China.
fn suffix(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

/// What sam reads besides, for example `role_arn` and `tags`: a section of `samconfig.toml`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Config<'a> {
    pub(crate) file: &'a Path,
    pub(crate) environment: &'a str,
}

impl Config<'_> {
    /// The file's whole path, because sam would look for it beside each template.
    fn words(&self) -> Vec<String> {
        words(&["--config-file", &self.file.to_string_lossy(), "--config-env", self.environment])
    }
}

/// How far a deployment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// The change set is made and shown, and waits.
    Shown,
    /// It is shown and carried out when somebody says yes.
    Agreed,
    /// It is carried out.
    Done,
}

/// Checks the template; asks no AWS.
pub(crate) fn validate() -> Vec<String> {
    words(&["validate", "--lint", "--template-file", TEMPLATE])
}

/// Makes or updates the bucket and the repository.
pub(crate) fn artifacts((settings, config): (&Settings, Config<'_>)) -> Vec<String> {
    let name = format!("{}-artifacts", settings.stack);
    let mut all = words(&["deploy", "--template-file", ARTIFACTS_TEMPLATE]);
    all.extend(config.words());
    all.extend(words(&["--stack-name", &name, "--region", &settings.region]));
    all.extend(words(&["--no-confirm-changeset", "--no-fail-on-empty-changeset"]));
    all.extend(words(&["--parameter-overrides", &format!("Name={}", quoted(&settings.stack))]));
    all
}

/// Makes the change of the stack from the packaged template.
pub(crate) fn deploy(
    (settings, config): (&Settings, Config<'_>),
    (template, place): (&Path, &Place),
    parameters: &BTreeMap<String, String>,
    until: Until,
) -> Vec<String> {
    let mut all = words(&["deploy", "--template-file", &template.to_string_lossy()]);
    all.extend(config.words());
    all.extend(words(&["--stack-name", &settings.stack, "--region", &settings.region]));
    all.extend(uploads(place));
    all.extend(words(&["--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]));
    all.push("--no-fail-on-empty-changeset".to_owned());
    all.push(match until {
        Until::Shown => "--no-execute-changeset".to_owned(),
        Until::Agreed => "--confirm-changeset".to_owned(),
        Until::Done => "--no-confirm-changeset".to_owned(),
    });
    all.push("--parameter-overrides".to_owned());
    all.extend(parameters.iter().map(|(name, value)| format!("{name}={}", quoted(value))));
    all
}

/// Uploads the functions and writes the template that names where they are.
pub(crate) fn package(settings: &Settings, (file, place): (&Path, &Place)) -> Vec<String> {
    let mut all = words(&["package", "--template-file", TEMPLATE, "--region", &settings.region]);
    all.extend(uploads(place));
    all.extend(words(&["--output-template-file", &file.to_string_lossy()]));
    all
}

/// The image is in the repository already (`ImageUri` is a parameter), but sam wants to hear of one.
fn uploads(place: &Place) -> Vec<String> {
    words(&["--s3-bucket", &place.bucket, "--s3-prefix", "functions", "--image-repository", &place.image()])
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A parameter's value in the form in which sam takes blanks and quotes.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings { stack: "clips".to_owned(), region: "eu-west-1".to_owned(), parameters: [].into() }
    }

    #[test]
    fn builds_are_put_where_the_other_stack_makes_room_for_them() {
        let place = Place::of(&settings(), "123456789012");
        assert_eq!(place.bucket, "clips-artifacts-123456789012-eu-west-1");
        assert_eq!(place.image(), "123456789012.dkr.ecr.eu-west-1.amazonaws.com/clips-media");
        let china = Settings { region: "cn-north-1".to_owned(), ..settings() };
        assert!(Place::of(&china, "1").registry.ends_with("amazonaws.com.cn"));
        let template =
            std::fs::read_to_string(crate::setup::root().unwrap().join(ARTIFACTS_TEMPLATE)).unwrap();
        assert!(template.contains("BucketName: !Sub ${Name}-artifacts-${AWS::AccountId}-${AWS::Region}"));
        assert!(template.contains("RepositoryName: !Sub ${Name}-media"));
    }

    #[test]
    fn a_deployment_says_all_that_sam_would_ask_for() {
        let place = Place::of(&settings(), "1");
        let parameters =
            BTreeMap::from([("MailFrom".to_owned(), "Clips \"R\" Us <a@example.com>".to_owned())]);
        let config = Config { file: Path::new("/x/samconfig.toml"), environment: "default" };
        let deploy = |until| {
            deploy((&settings(), config), (Path::new("packaged.yaml"), &place), &parameters, until).join(" ")
        };
        assert_eq!(
            deploy(Until::Agreed),
            "deploy --template-file packaged.yaml --config-file /x/samconfig.toml --config-env default \
             --stack-name clips --region eu-west-1 --s3-bucket clips-artifacts-1-eu-west-1 --s3-prefix functions --image-repository \
             1.dkr.ecr.eu-west-1.amazonaws.com/clips-media --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND \
             --no-fail-on-empty-changeset --confirm-changeset --parameter-overrides \
             MailFrom=\"Clips \\\"R\\\" Us <a@example.com>\""
        );
        assert!(deploy(Until::Shown).contains("--no-execute-changeset"));
        assert!(deploy(Until::Done).contains("--no-confirm-changeset"));
    }
}
