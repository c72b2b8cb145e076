//! What a clip costs on AWS: list prices of one day and one region (`data/prices.json`) times what a job takes
//! (`data/measured.json`). [`document`] is docs/costs.md; a test compares it with the file.

mod data;
mod job;
mod limits;
mod text;

pub use data::{Function, Measured, Prices};

/// The data files, as they stand in the repository.
///
/// # Errors
/// When they do not have the form that they must have.
pub fn data() -> anyhow::Result<(Prices, Measured)> {
    let prices = serde_json::from_str(include_str!("../data/prices.json"))?;
    let measured = serde_json::from_str(include_str!("../data/measured.json"))?;
    Ok((prices, measured))
}

/// The whole of docs/costs.md.
///
/// # Errors
/// As [`data`], and when a price or a function that is used is not there.
pub fn document() -> anyhow::Result<String> {
    let (prices, measured) = data()?;
    text::document(&prices, &measured)
}
