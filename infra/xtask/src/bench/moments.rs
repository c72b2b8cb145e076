//! `cargo xtask bench moments`.

use crate::setup;

/// The models, the program, and the words of the command as they are.
pub(crate) fn run(arguments: &mut lexopt::Parser) -> anyhow::Result<()> {
    let models = places::tools::models(places::Models::Finder)?;
    let folder = setup::local()?.join("bench/moments");
    let mut bench = super::program("moments", &[])?;
    bench.arg("--models").arg(models).arg("--folder").arg(folder).args(arguments.raw_args()?);
    super::finish(&mut bench)
}
