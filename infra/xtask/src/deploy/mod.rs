//! `cargo xtask deploy`: looks at the account, builds, uploads, and lets CloudFormation make the change.
//!
//! Whatever can be known is said before anything is built, and nothing in AWS is changed before everything is built.

mod aws;
mod guided;
mod options;
mod parameters;
mod push;
mod release;
mod sam;
mod settings;
mod zips;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use self::aws::{Aws, Facts};
use self::options::{Architecture, Options};
use self::sam::{Config, Place, Until};
use self::settings::Settings;
use crate::image::engine::Engine;
use crate::{image, say, setup, tools};

/// One run of the command.
#[derive(Debug)]
struct Deployment {
    options: Options,
    settings: Settings,
    root: PathBuf,
    sam: PathBuf,
    aws: Aws,
    /// `None` where the images were pushed before.
    engine: Option<Engine>,
}

/// Does as the command line says.
pub(crate) fn run(arguments: &mut lexopt::Parser) -> anyhow::Result<()> {
    let options = Options::parse(arguments)?;
    let root = match &options.built {
        Some(built) => built.clone(),
        None => setup::root()?,
    };
    let settings = settings(&root, &options)?;
    let sam = tools::sam()?;
    let engine = if options.images.is_empty() {
        Some(Engine::found().context(
            "docker or podman is needed to build the images of media and speech, and neither answers here; --image and \
             --speech-image take those that were pushed before",
        )?)
    } else {
        None
    };
    if engine.is_some() {
        options.architecture.buildable()?;
    }
    let deployment = Deployment {
        aws: Aws::new(&sam, &settings.region)?,
        sam: sam.join("sam"),
        root,
        options,
        settings,
        engine,
    };
    let facts = deployment.preflight()?;
    if deployment.options.built.is_none() {
        zips::build(deployment.options.architecture)?;
    }
    zips::check(&deployment.root, deployment.options.architecture)?;
    if let Some(engine) = &deployment.engine {
        for area in image::AREAS {
            engine.build(area, deployment.options.architecture.platform())?;
        }
    }
    deployment.carry_out(facts.as_ref())
}

/// What was set before, or what is answered now.
fn settings(root: &Path, options: &Options) -> anyhow::Result<Settings> {
    let template = std::fs::read_to_string(root.join(sam::TEMPLATE))?;
    let known = parameters::asked(&template)?;
    let (file, environment) = (root.join(settings::FILE), options.environment.as_str());
    let before = Settings::read(&file, environment)?;
    if options.guided {
        let (mut from, mut to) = (std::io::stdin().lock(), std::io::stderr().lock());
        let settings = guided::ask(before.as_ref(), &known, &mut from, &mut to)?;
        settings.write(&file, environment)?;
        say::line(&format!("xtask: kept in {}; keep it with the rest of what you deploy", file.display()));
    }
    let settings = Settings::read(&file, environment)?.with_context(|| {
        format!(
            "{} says nothing of {environment} yet: cargo xtask deploy --guided asks once and writes it",
            file.display()
        )
    })?;
    parameters::check(&known, &settings.parameters)?;
    Ok(settings)
}

impl Deployment {
    /// What can be known before anything is built. `None` if AWS is not reached, which only a dry run can do without.
    fn preflight(&self) -> anyhow::Result<Option<Facts>> {
        self.run_sam(&sam::validate(), "checking the template")?;
        let sender = self.settings.parameters.get("MailFrom").map_or("no-reply@example.com", String::as_str);
        let Some(facts) = self.aws.look(&self.settings, sender)? else {
            if self.options.dry_run {
                say::line("xtask: AWS takes no credentials from here, so this stays a rehearsal");
                return Ok(None);
            }
            bail!(
                "AWS takes no credentials from here: sign in (aws sso login, aws configure) or name what is set up \
                 with AWS_PROFILE"
            );
        };
        say::line(&format!(
            "xtask: stack {} in {}, account {}, as {}",
            self.settings.stack, self.settings.region, facts.account, facts.arn
        ));
        if let Some(hindrance) = facts.hindrance(&self.settings) {
            bail!(hindrance);
        }
        for hint in facts.hints() {
            say::line(&format!("note: {hint}"));
        }
        Ok(Some(facts))
    }

    /// Uploads what was built and makes the change, or says what would be done.
    fn carry_out(&self, facts: Option<&Facts>) -> anyhow::Result<()> {
        let Some(facts) = facts.filter(|facts| !self.options.dry_run || facts.has_stack()) else {
            return self.rehearse(facts);
        };
        let (place, config) = (Place::of(&self.settings, &facts.account), self.root.join(settings::FILE));
        if !self.options.dry_run {
            self.run_sam(&sam::artifacts(self.what(&config)), "making room for what was built")?;
        }
        let mut images = self.options.images.clone();
        if let Some(engine) = &self.engine {
            for area in image::AREAS {
                images.insert(area, push::image(engine, &self.aws, &place, area)?);
            }
        }
        let (mut parameters, file) = (self.parameters(images), self.packaged()?);
        self.run_sam(&sam::package(&self.settings, (&file, &place)), "uploading the functions")?;
        let release = release::name(&std::fs::read_to_string(&file)?, &parameters);
        parameters.insert(release::PARAMETER.to_owned(), release);
        if self.options.package.is_some() {
            say::answer(&file.display().to_string())?;
            return parameters.iter().try_for_each(|(name, value)| say::answer(&format!("{name}={value}")));
        }
        let until = match (self.options.dry_run, self.options.yes) {
            (true, _) => Until::Shown,
            (false, true) => Until::Done,
            (false, false) => Until::Agreed,
        };
        let template = (file.as_path(), &place);
        self.run_sam(&sam::deploy(self.what(&config), template, &parameters, until), "deploying")?;
        if self.options.dry_run {
            say::answer(&self.nested()?)?;
            say::line(
                "xtask: nothing was changed; the change set waits under CloudFormation, Stacks, Change sets",
            );
        }
        Ok(())
    }

    /// The commands of a deployment that is not made, because AWS is not reached or has no such stack yet.
    fn rehearse(&self, facts: Option<&Facts>) -> anyhow::Result<()> {
        let place = Place::of(&self.settings, facts.map_or("ACCOUNT", |facts| &facts.account));
        let config = self.root.join(settings::FILE);
        let mut images = self.options.images.clone();
        for area in image::AREAS {
            images.entry(area).or_insert_with(|| place.image() + "@sha256:DIGEST");
        }
        say::answer("Built and checked. Nothing was sent to AWS; without --dry-run these would follow:\n")?;
        let mut commands = vec![("sam", sam::artifacts(self.what(&config)))];
        if self.engine.is_some() {
            commands.extend(image::AREAS.map(|_| ("docker", vec!["push".to_owned(), place.image()])));
        }
        let (file, mut parameters) = (self.packaged()?, self.parameters(images));
        parameters.insert(release::PARAMETER.to_owned(), "DIGEST".to_owned());
        commands.push(("sam", sam::package(&self.settings, (&file, &place))));
        commands.push(("sam", sam::deploy(self.what(&config), (&file, &place), &parameters, Until::Agreed)));
        say::answer(&self.nested()?)?;
        for (program, arguments) in commands {
            say::answer(&format!(
                "{program} {}",
                arguments.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")
            ))?;
        }
        Ok(())
    }

    /// The stacks within the stack, which a change set shows as one line each. CloudFormation names them after the stack.
    fn nested(&self) -> anyhow::Result<String> {
        let nested = setup::areas()?.into_iter().filter_map(|area| area.template);
        let names: Vec<String> = nested
            .map(|template| {
                let area = template.split('/').nth(1).unwrap_or_default();
                format!("  {}-{} ({template})", self.settings.stack, setup::capital(area))
            })
            .collect();
        Ok(format!("nested stacks, each changed with it:\n{}\n", names.join("\n")))
    }

    /// The values of all parameters that are not left to the template.
    fn parameters(&self, images: BTreeMap<&str, String>) -> BTreeMap<String, String> {
        let mut parameters = self.settings.parameters.clone();
        parameters.extend(images.into_iter().map(|(area, image)| (image::parameter(area), image)));
        parameters.insert("Architecture".to_owned(), self.options.architecture.name().to_owned());
        parameters
    }

    /// Where the packaged template is written.
    fn packaged(&self) -> anyhow::Result<PathBuf> {
        if let Some(file) = &self.options.package {
            return Ok(file.clone());
        }
        let folder = self.root.join(".local/deploy");
        std::fs::create_dir_all(&folder)?;
        Ok(folder.join(format!("{}.yaml", self.settings.stack)))
    }

    /// What is deployed, and what else sam reads of it.
    fn what<'a>(&'a self, file: &'a Path) -> (&'a Settings, Config<'a>) {
        (&self.settings, Config { file, environment: &self.options.environment })
    }

    /// Runs sam where its paths are right; it may ask.
    fn run_sam(&self, arguments: &[String], what: &str) -> anyhow::Result<()> {
        say::line(&format!("xtask: {what}"));
        let mut sam = Command::new(&self.sam);
        sam.current_dir(&self.root).args(arguments).env("SAM_CLI_TELEMETRY", "0");
        sam.env("AWS_REGION", &self.settings.region).env("AWS_DEFAULT_REGION", &self.settings.region);
        let status = sam.status().with_context(|| format!("cannot run {}", self.sam.display()))?;
        if !status.success() {
            bail!("{what}: failed ({status}); the reason is above");
        }
        Ok(())
    }
}

/// The word as a shell takes it.
fn shell_word(word: &str) -> String {
    let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:=@,".contains(&byte));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests;
