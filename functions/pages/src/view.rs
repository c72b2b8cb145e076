//! `POST /v1/share/{clip_id}/view`: somebody sees a shared clip. A viewer is an address on a day (UTC); who it was is not
//! kept, so people behind one address are one viewer.

use std::sync::Arc;

use domain::{ids::JobId, rate};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation};
use serde::Serialize;
use utoipa::ToSchema;

/// How often a clip was seen.
#[derive(Debug, Serialize, ToSchema)]
pub struct Views {
    /// Once for each viewer and day. Whether this one counted is not shown: others may share the address.
    #[schema(example = 12)]
    pub views: u64,
}

/// Answers `POST /v1/share/{clip_id}/view`; it needs no body.
///
/// # Errors
/// 404 for a clip that has expired, was deleted or never was.
pub async fn handle(app: Arc<App>, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let id = JobId::parse(&request.path("clip_id")).ok_or_else(|| ApiError::not_found("clip"))?;
    // API Gateway always tells; who calls the function past it is one viewer.
    let client = request.client().map_or_else(|| "unknown".to_owned(), rate::client);
    let views = app.table()?.count_view(&id, &client, app.now()).await?;
    let views = views.ok_or_else(|| ApiError::not_found("clip"))?;
    Ok(ApiResponse::ok(&Views { views }))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Count a view of a shared clip, once for each viewer and day")
        .answers::<Views>()
        .problems(&[404, 503])
}
