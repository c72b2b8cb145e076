//! The list of domains that hand out mailboxes to be thrown away: committed, and written anew when the version changes that
//! `infra/xtask/tools/disposable.txt` pins by its hash. So nothing is fetched as long as both agree.

use std::process::Command;

use anyhow::{Context as _, bail};

use crate::{setup, tools};

/// The list as it is committed. Its first line names what it was made from.
const LIST: &str = "shared/domain/src/disposable.txt";
/// What it is made from.
const PACKAGE: &str = "disposable-email-domains";
/// Prints the domains in order, without those below others that are named.
const PRINT: &str = "
from disposable_email_domains import blocklist
parents = lambda name: (name.split('.', n)[n] for n in range(1, name.count('.') + 1))
print('\\n'.join(sorted(name for name in blocklist if not any(parent in blocklist for parent in parents(name)))))";

/// Writes the list if it is not of the version that is pinned, or with `check` fails then.
pub(crate) fn refresh(check: bool) -> anyhow::Result<()> {
    let path = setup::root()?.join(LIST);
    let first = format!("# {PACKAGE} {}", tools::pinned("disposable.txt", PACKAGE)?);
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    if written.lines().next() == Some(first.as_str()) {
        return Ok(());
    }
    if check {
        bail!("{LIST} is stale; run `cargo xtask generate`");
    }
    let python = tools::disposable()?.join("python");
    let output = Command::new(python).args(["-c", PRINT]).output().context("cannot run Python")?;
    if !output.status.success() {
        bail!("cannot read {PACKAGE}: {}", String::from_utf8_lossy(&output.stderr));
    }
    std::fs::write(&path, format!("{first}\n{}", String::from_utf8(output.stdout)?))
        .with_context(|| format!("cannot write {}", path.display()))
}
