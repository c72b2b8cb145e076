//! Pushes the images of functions.

use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Context as _, bail};

use super::aws::Aws;
use super::sam::Place;
use crate::image::engine::Engine;
use crate::{image, say};

/// How much of the image's own digest is its tag: as good as unique.
const TAG_LEN: usize = 16;

/// Pushes the image of an area that was built, unless it is there; returns the address by which Lambda fetches exactly this one.
pub(crate) fn image(engine: &Engine, aws: &Aws, place: &Place, area: &str) -> anyhow::Result<String> {
    let name = image::name(area);
    let tag: String = engine.id(&name)?.chars().take(TAG_LEN).collect();
    let pinned = |digest: &str| format!("{}@{digest}", place.image());
    if let Some(digest) = aws.image(&place.repository, &tag)? {
        say::line(&format!("xtask: the image {tag} was pushed before"));
        return Ok(pinned(&digest));
    }
    login(engine, &place.registry, &aws.login()?)?;
    let tagged = format!("{}:{tag}", place.image());
    engine.said(&["tag", &name, &tagged])?;
    say::line(&format!("xtask: pushing {tagged}"));
    if !engine.command().args(["push", &tagged]).stdin(Stdio::null()).status()?.success() {
        bail!("the image could not be pushed; the reason is above");
    }
    let digest = aws.image(&place.repository, &tag)?;
    digest.map(|digest| pinned(&digest)).context("the image was pushed, but is not in the repository")
}

/// The password goes by stdin: an argument could be seen by everybody on this machine.
fn login(engine: &Engine, registry: &str, password: &str) -> anyhow::Result<()> {
    let mut login = engine.command();
    login.args(["login", "--username", "AWS", "--password-stdin", registry]);
    let mut login = login.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    login.stdin.take().context("the engine has no input")?.write_all(password.as_bytes())?;
    if !login.wait()?.success() {
        bail!("{registry} does not let us in; the reason is above");
    }
    Ok(())
}
