//! `cargo xtask deploy`, with the real SAM command line, to the CloudFormation of the local cloud, which knows
//! neither CodeDeploy nor saved queries, so a small template stands for the product's.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use crate::root::root;
use crate::stack::cloud::{Cloud, binary, cloud, http};

const IMAGE: &str = "000000000000.dkr.ecr.us-east-1.amazonaws.com/clips-media@sha256:1";

/// A checkout that was built: its functions start and end, which is all that CloudFormation asks of them.
fn built(settings: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in [("tests/stack/deploy.yaml", "template.yaml"), ("infra", "infra")] {
        symlink(root().join(from), folder.path().join(to)).unwrap();
    }
    for area in generate::areas::list(&root()).unwrap().into_iter().filter(|area| !area.is_container) {
        let functions = folder.path().join("target/lambda").join(area.binary);
        std::fs::create_dir_all(&functions).unwrap();
        std::fs::copy("/bin/true", functions.join("bootstrap")).unwrap();
    }
    std::fs::write(folder.path().join("samconfig.toml"), settings).unwrap();
    folder
}

fn deploy(cloud: &Cloud, checkout: &Path, how: &str) -> Output {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    Command::new(binary("xtask"))
        .args(["deploy", how, "--arch", architecture, "--image", IMAGE, "--speech-image", IMAGE, "--built"])
        .arg(checkout)
        .env("AWS_ENDPOINT_URL", &cloud.info.ministack_url)
        .env("AWS_ACCESS_KEY_ID", &cloud.info.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", &cloud.info.secret_access_key)
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .output()
        .unwrap()
}

/// What it said, on both ways; fails unless it ended well.
fn said(output: Output) -> String {
    let words =
        [output.stdout, output.stderr].map(|words| String::from_utf8_lossy(&words).into_owned()).concat();
    assert!(output.status.success(), "{words}");
    words
}

/// CloudFormation's answer about the stack.
async fn asked(cloud: &Cloud, action: &str) -> String {
    let url = format!("{}/?Action={action}&StackName=clips&Version=2010-05-15", cloud.info.ministack_url);
    let credential = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/cloudformation/aws4_request";
    let answer = http().post(url).header("authorization", credential).send().await.unwrap();
    answer.text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_is_deployed_changed_and_looked_at() {
    let settings = |slots: u32| {
        format!(
            "version = 0.1\n[default.global.parameters]\nstack_name = \"clips\"\nregion = \"us-east-1\"\n\
             [default.deploy.parameters]\nparameter_overrides = [\"MailFrom=Clips \\\"R\\\" Us <a@example.com>\", \
             \"ClipSlots={slots}\"]\n"
        )
    };
    let cloud = cloud();
    let checkout = built(&settings(5));

    let words = said(deploy(cloud, checkout.path(), "--dry-run"));
    assert!(
        words.contains("Nothing was sent to AWS")
            && words.contains("clips-Accounts (functions/accounts/template.yaml)")
            && words.contains("SES knows neither a@example.com"),
        "{words}"
    );
    assert!(asked(cloud, "DescribeStacks").await.contains("does not exist"));

    let words = said(deploy(cloud, checkout.path(), "--yes"));
    assert!(
        words.contains("BaseUrl") && words.contains("Successfully created/updated stack - clips"),
        "{words}"
    );
    let stack = asked(cloud, "DescribeStacks").await;
    assert!(stack.contains("<StackStatus>CREATE_COMPLETE</StackStatus>"), "{stack}");
    assert!(stack.contains(IMAGE) && stack.contains("&lt;a@example.com&gt;"), "{stack}");

    // Again, nothing to do; then a change, which first is only shown.
    said(deploy(cloud, checkout.path(), "--yes"));
    std::fs::write(checkout.path().join("samconfig.toml"), settings(7)).unwrap();
    let words = said(deploy(cloud, checkout.path(), "--dry-run"));
    assert!(words.contains("nothing was changed"), "{words}");
    let slots = "<ParameterKey>ClipSlots</ParameterKey><ParameterValue>";
    let before = asked(cloud, "DescribeStacks").await;
    assert!(before.contains(&format!("{slots}5<")), "{before}");
    said(deploy(cloud, checkout.path(), "--yes"));
    let stack = asked(cloud, "DescribeStacks").await;
    assert!(stack.contains(&format!("{slots}7<")), "{stack}");
    let release = |stack: &str| {
        let (_, value) = stack.split_once("<ParameterKey>Release</ParameterKey><ParameterValue>").unwrap();
        value[..10].to_owned()
    };
    assert_ne!(release(&stack), release(&before), "the functions that are called would stay what they are");
}
