//! `cargo xtask lint`: what reads the stack's files without running them. Nothing here needs an AWS account or asks AWS.

use std::process::Command;

use anyhow::bail;

use crate::{image, say, setup, tools};

/// What a step is called, and the command that fails when it finds something.
type Step = (&'static str, fn() -> anyhow::Result<Command>);

const STEPS: [Step; 8] = [
    ("sam validate --lint", sam),
    ("cfn-lint", cfn_lint),
    ("checkov", checkov),
    ("asl-validator", asl_validator),
    ("what SAM makes of the templates", transform),
    ("hadolint", hadolint),
    ("actionlint", actionlint),
    ("zizmor", zizmor),
];

/// The templates beside the product's own.
const OTHER_TEMPLATES: [&str; 2] = ["infra/artifacts.yaml", "infra/github-oidc.yaml"];

/// The product's templates: the root, then the areas' own.
fn templates() -> anyhow::Result<Vec<String>> {
    let areas = setup::areas()?.into_iter().filter_map(|area| area.template);
    Ok(std::iter::once("template.yaml".to_owned()).chain(areas).collect())
}

/// Runs every step, also behind one that failed, so that one run tells everything.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut failed = Vec::new();
    for (name, command) in STEPS {
        if let Err(error) = command().and_then(|mut command| setup::run(&mut command, name)) {
            say::line(&format!("error: {error:#}"));
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("{} of {} steps failed: {}", failed.len(), STEPS.len(), failed.join(", "));
    }
    say::answer(&format!("{} steps, nothing found", STEPS.len()))
}

/// Installs what the steps run.
pub(crate) fn set_up() -> anyhow::Result<()> {
    for tool in [tools::sam, tools::python, tools::checkov, tools::linters, tools::node] {
        tool()?;
    }
    Ok(())
}

fn sam() -> anyhow::Result<Command> {
    let mut sam = here(tools::sam()?.join("sam"))?;
    sam.args(["validate", "--lint", "--template", "template.yaml"]).env("SAM_CLI_TELEMETRY", "0");
    Ok(sam)
}

fn cfn_lint() -> anyhow::Result<Command> {
    let mut cfn_lint = here(tools::python()?.join("cfn-lint"))?;
    cfn_lint.args(templates()?).args(OTHER_TEMPLATES);
    Ok(cfn_lint)
}

/// What is checked and what is not, with the reasons, is in `.checkov.yaml`.
fn checkov() -> anyhow::Result<Command> {
    let mut checkov = here(tools::checkov()?.join("checkov"))?;
    checkov.arg("--file").args(templates()?).args(OTHER_TEMPLATES);
    Ok(checkov)
}

fn asl_validator() -> anyhow::Result<Command> {
    setup::clients()?;
    let mut validator = here(tools::node()?.join(".bin/asl-validator"))?;
    validator.args(["--json-path", "infra/statemachines/clip.asl.json"]);
    Ok(validator)
}

/// Counts what the template becomes, because CloudFormation has bounds for it.
fn transform() -> anyhow::Result<Command> {
    let mut transform = here(tools::python()?.join("python"))?;
    transform.args(["infra/xtask/tools/transform.py", "--count"]).args(templates()?);
    Ok(transform)
}

/// What it is told not to ask for is said in the Dockerfiles, with the reason.
fn hadolint() -> anyhow::Result<Command> {
    let mut hadolint = here(tools::linters()?.join("hadolint"))?;
    hadolint.args(image::AREAS.map(image::recipe));
    Ok(hadolint)
}

/// Whether GitHub's workflows work.
fn actionlint() -> anyhow::Result<Command> {
    here(tools::linters()?.join("actionlint"))
}

/// Whether they give nothing away.
fn zizmor() -> anyhow::Result<Command> {
    let mut zizmor = here(tools::linters()?.join("zizmor"))?;
    zizmor.args(["--offline", "--quiet", ".github"]);
    Ok(zizmor)
}

/// A program that runs in the checkout. SAM asks for a region, and takes any.
fn here(program: impl AsRef<std::ffi::OsStr>) -> anyhow::Result<Command> {
    let mut command = Command::new(program);
    command.current_dir(setup::root()?).env("AWS_DEFAULT_REGION", "us-east-1");
    Ok(command)
}
