//! A local Stripe by itself: `cargo run -p clipwright-stripe --example serve -- FOLDER PORT KEY`.

use std::io::Write as _;

use anyhow::Context as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let mut word = |what: &str| words.next().with_context(|| format!("say {what}: serve FOLDER PORT KEY"));
    let state = word("a folder")?.into();
    let port = word("a port")?.parse()?;
    let key = word("a key")?;
    let stripe = stripe::serve(stripe::Options { state, port, key, webhook: None, seed: None }).await?;
    writeln!(std::io::stdout(), "{}", stripe.url())?;
    std::future::pending().await
}
