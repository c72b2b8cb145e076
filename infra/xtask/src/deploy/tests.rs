//! A deployment with programs that write down what they are told in place of sam, AWS and docker.

use super::*;

/// A folder with the programs, and a deployment that runs them.
struct Rehearsed {
    folder: PathBuf,
    deployment: Deployment,
}

impl Rehearsed {
    /// `stack` is the state that the stack is in.
    fn new(name: &str, words: &[&str], stack: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("xtask-deploy-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("stack"), stack).unwrap();
        let fakes = setup::root().unwrap().join("infra/xtask/src/deploy/fakes");
        for program in ["sam", "python", "docker"] {
            std::os::unix::fs::symlink(fakes.join(program), folder.join(program)).unwrap();
        }
        let options = Options::parse(&mut lexopt::Parser::from_args(words)).unwrap();
        let settings = Settings {
            stack: "clips".to_owned(),
            region: "eu-west-1".to_owned(),
            parameters: [("MailFrom".to_owned(), "Clips <a@example.com>".to_owned())].into(),
        };
        let deployment = Deployment {
            aws: Aws::new(&folder, &settings.region).unwrap(),
            sam: folder.join("sam"),
            root: folder.clone(),
            engine: options.images.is_empty().then(|| Engine::docker(folder.join("docker"))),
            options,
            settings,
        };
        Self { folder, deployment }
    }

    fn run(&self) -> anyhow::Result<()> {
        let facts = self.deployment.preflight()?;
        self.deployment.carry_out(facts.as_ref())
    }

    fn has(&self, file: &str) -> bool {
        self.folder.join(file).exists()
    }

    /// What was called, in order.
    fn calls(&self) -> Vec<String> {
        let calls = std::fs::read_to_string(self.folder.join("calls")).unwrap();
        calls.lines().map(str::to_owned).collect()
    }
}

impl Drop for Rehearsed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn assert_begins(calls: &[String], expected: &[&str]) {
    assert_eq!(calls.len(), expected.len(), "{calls:#?}");
    for (call, expected) in calls.iter().zip(expected) {
        assert!(call.starts_with(expected), "{call}\nis not\n{expected}");
    }
}

#[test]
fn a_deployment_pushes_the_image_once_and_deploys_it_by_its_digest() {
    let first = Rehearsed::new("first", &["--yes"], "");
    first.run().unwrap();
    let repository = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/clips-media";
    let (calls, config) = (first.calls(), first.folder.join("samconfig.toml"));
    let config = config.display();
    let packaged = first.folder.join(".local/deploy/clips.yaml");
    let packaged = packaged.display();
    assert_begins(
        &calls,
        &[
            "sam validate --lint",
            "aws look clips Clips <a@example.com>",
            &format!(
                "sam deploy --template-file infra/artifacts.yaml --config-file {config} --config-env default"
            ),
            "docker image inspect",
            "aws image clips-media 0123456789abcdef",
            "aws login",
            "docker login --username AWS --password-stdin 123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            &format!("docker tag {} {repository}:0123456789abcdef", image::name("media")),
            &format!("docker push {repository}:0123456789abcdef"),
            "aws image clips-media 0123456789abcdef",
            // The other image has the same id here, and so is there already.
            "docker image inspect",
            "aws image clips-media 0123456789abcdef",
            "sam package --template-file template.yaml --region eu-west-1 --s3-bucket clips-artifacts-123456789012-eu-west-1",
            &format!("sam deploy --template-file {packaged} --config-file {config} --config-env default"),
        ],
    );
    let last = calls.last().unwrap();
    for parameter in ["MediaImage", "SpeechImage"] {
        assert!(last.contains(&format!("{parameter}=\"{repository}@sha256:feed\"")), "{last}");
    }
    assert!(last.contains("Release=\""), "{last}");
    assert!(last.contains("Architecture=\"arm64\"") && last.contains("--no-confirm-changeset"), "{last}");
    assert_eq!(std::fs::read_to_string(first.folder.join("password")).unwrap(), "s3cret");
    assert!(!calls.iter().any(|call| call.contains("s3cret")), "the password could be seen");

    let again = Rehearsed::new("again", &["--yes"], "UPDATE_COMPLETE");
    std::fs::write(again.folder.join("pushed"), "").unwrap();
    again.run().unwrap();
    assert!(!again.calls().iter().any(|call| call.starts_with("docker push")));
}

#[test]
fn a_dry_run_changes_nothing() {
    for (name, stack, credentials) in [("unseen", "", false), ("new", "", true)] {
        let dry = Rehearsed::new(name, &["--dry-run"], stack);
        if !credentials {
            std::fs::write(dry.folder.join("no-credentials"), "").unwrap();
        }
        dry.run().unwrap();
        assert_begins(&dry.calls(), &["sam validate", "aws look"]);
    }
    let images = ["--dry-run", "--image", "1.dkr.ecr/x@sha256:1", "--speech-image", "1.dkr.ecr/x@sha256:2"];
    let dry = Rehearsed::new("changed", &images, "UPDATE_COMPLETE");
    dry.run().unwrap();
    let calls = dry.calls();
    assert_begins(&calls, &["sam validate", "aws look", "sam package", "sam deploy"]);
    assert!(
        calls[3].contains("--no-execute-changeset")
            && calls[3].contains("MediaImage=\"1.dkr.ecr/x@sha256:1\"")
            && calls[3].contains("SpeechImage=\"1.dkr.ecr/x@sha256:2\"")
    );
}

#[test]
fn what_keeps_a_deployment_from_going_well_is_said_first() {
    let nobody = Rehearsed::new("nobody", &["--yes"], "");
    std::fs::write(nobody.folder.join("no-credentials"), "").unwrap();
    assert!(nobody.run().unwrap_err().to_string().contains("AWS_PROFILE"));
    let stuck = Rehearsed::new("stuck", &["--yes"], "ROLLBACK_COMPLETE");
    assert!(stuck.run().unwrap_err().to_string().contains("sam delete --stack-name clips"));
    for refused in [&nobody, &stuck] {
        assert_begins(&refused.calls(), &["sam validate", "aws look"]);
        assert!(!refused.has("pushed"));
    }
}

#[test]
fn others_get_the_packaged_template_and_the_image() {
    let packaged = std::env::temp_dir().join(format!("xtask-packaged-{}.yaml", std::process::id()));
    let package = Rehearsed::new("package", &["--package", &packaged.to_string_lossy()], "");
    package.run().unwrap();
    let calls = package.calls();
    let last = calls.last().unwrap();
    assert!(
        last.starts_with("sam package --template-file template.yaml") && last.ends_with(".yaml"),
        "{last}"
    );
    assert!(!calls.iter().any(|call| call.contains("--stack-name clips ")));
    std::fs::remove_file(packaged).unwrap();
}

#[test]
fn what_contradicts_itself_is_refused() {
    for words in [
        &["--image", "x"][..],
        &["--dry-run", "--yes"],
        &["--dry-run", "--package", "x"],
        &["--arch", "mips"],
        &["--force"],
    ] {
        assert!(Options::parse(&mut lexopt::Parser::from_args(words)).is_err(), "{words:?}");
    }
    assert_eq!(shell_word("a b'c"), r"'a b'\''c'");
}
