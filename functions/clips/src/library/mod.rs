//! `/v1/clips`: what an account has made, as long as it lives.

use domain::{ids::JobId, storage::Full};
use runtime::{ApiError, ApiRequest, App, Caller};
use store::{StoreError, clips::Clip, copies::CopySizes, keys::Shelf, shelves::Moved};
use tracing::{info, warn};

pub mod delete;
pub mod list;
pub mod pin;
pub mod rename;
pub mod unpin;

/// How often a change is tried that others overtake.
const TRIES: usize = 5;

/// The clip that a path names.
fn id_of(request: &ApiRequest) -> Result<JobId, ApiError> {
    JobId::parse(&request.path("id")).ok_or_else(|| ApiError::not_found("clip"))
}

/// A clip of the caller's that is alive. Somebody else's gets the same 404 as an unknown one.
async fn owned(app: &App, caller: &Caller, id: &JobId) -> Result<Clip, ApiError> {
    let clip = app.table()?.clip(id, app.now()).await?;
    clip.filter(|clip| clip.account == caller.account).ok_or_else(|| ApiError::not_found("clip"))
}

/// Carries out the chore that a change has left. If S3 or the table fails, the sweeper will: the change itself stands.
async fn clear_up(app: &App, chore: &str) -> Result<(), ApiError> {
    if let Err(problem) = app.table()?.carry_out(chore, app.objects()?).await {
        warn!(chore, %problem, "files stay for now");
    }
    Ok(())
}

/// Moves a clip of the caller's to `shelf`, unless it is there; returns the clip as it is then.
async fn put_on(app: &App, caller: &Caller, id: &JobId, shelf: Shelf) -> Result<Clip, ApiError> {
    let table = app.table()?;
    for _ in 0..TRIES {
        let clip = owned(app, caller, id).await?;
        if clip.expires_at.is_none() == (shelf == Shelf::Pinned) {
            return Ok(clip);
        }
        if shelf == Shelf::Pinned {
            // Before anything is copied; what counts is said when the clip is moved.
            table.storage(&caller.account).await?.room_for(clip.output.size_bytes).map_err(full)?;
        }
        let begun = table.begin_move(&clip, shelf, app.now()).await?;
        let moved = match app.objects()?.copy_all(table, &begun, CopySizes::default()).await {
            Ok(()) => table.finish_move(&begun).await,
            Err(problem) => Err(problem),
        };
        // Whatever came of it, the chore names the files that are in the way now.
        clear_up(app, &begun.chore).await?;
        match moved {
            Ok(Moved::Done(clip)) => {
                info!(account = %caller.account, clip_id = %id, ?shelf, "moved a clip");
                return Ok(*clip);
            }
            Ok(Moved::Full(problem)) => return Err(full(problem)),
            Ok(Moved::Overtaken) => {}
            // If another request has deleted or moved it meanwhile, its files were gone from under this one.
            Err(problem) => {
                if owned(app, caller, id).await?.output.object_key == clip.output.object_key {
                    return Err(problem.into());
                }
            }
        }
    }
    Err(StoreError::Busy.into())
}

fn full(problem: Full) -> ApiError {
    ApiError::conflict("storage_full", problem.to_string())
}
