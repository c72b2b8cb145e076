//! Lose: give up one clip of several. The others go on, and this one costs nothing.

use std::sync::Arc;

use runtime::{App, StageError};
use serde_json::{Value, json};
use tracing::info;

use crate::{end::job_of, release::failure};

/// Gives up the part `{job_id, error: {Error, Cause}}`, as the state machine's `Catch` hands it over. A repeat changes
/// nothing.
///
/// # Errors
/// [`StageError::Passing`] only.
pub async fn handle(app: Arc<App>, input: Value) -> Result<Value, StageError> {
    let part = job_of(&app, &input).await?;
    let lost = app.table()?.lose_part(&part.id, &failure(&input), app.now()).await?;
    info!(part = %part.id, lost, "a clip of several cannot be made");
    Ok(json!({ "job_id": part.id }))
}
