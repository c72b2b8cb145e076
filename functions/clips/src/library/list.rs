//! `GET /v1/clips`: the caller's clips, newest first.

use std::sync::Arc;

use domain::{
    expiry::link_seconds,
    library::{PER_PAGE, PER_PAGE_MAX, SKIPPED_MAX, file_name, hours_left},
    quality::PictureSize,
    time::Timestamp,
};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation, paging};
use serde::Serialize;
use store::{
    clips::Clip,
    delivery::Parcel,
    library::{Cursor, Start},
};
use utoipa::ToSchema;

/// A clip in the list.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListedClip {
    /// The clip, which has the id of its job.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub id: String,
    /// Its name: the file's, until it is given another.
    #[schema(example = "Intro Section")]
    pub name: String,
    /// `mp4`, `mp3`, `gif`, `m4a`, `wav` or `flac`.
    #[schema(example = "mp4")]
    pub format: &'static str,
    /// The delivered quality; null for sound.
    #[schema(example = "1080p")]
    pub quality: Option<String>,
    /// Length in seconds.
    #[schema(example = 60.0)]
    pub duration: f64,
    /// Length of the file in bytes.
    #[schema(example = 1_048_576)]
    pub file_size: u64,
    /// Whether it is kept until it is unpinned or deleted.
    pub pinned: bool,
    /// When it is gone; empty while it is pinned.
    #[schema(example = "2026-03-31T12:00:00Z")]
    pub expires_at: String,
    /// Hours until then, in tenths; null while it is pinned.
    #[schema(example = 23.9)]
    pub hours_left: Option<f64>,
    /// Link to the file; works for an hour, but no longer than the clip lives. A new one is made on each request.
    pub download_url: String,
    /// Path of its share page.
    #[schema(example = "/c/a1b2c3d4e5f6g7h8")]
    pub share_url: String,
    /// Path of its embeddable player.
    #[schema(example = "/embed/a1b2c3d4e5f6g7h8")]
    pub embed_url: String,
    /// Shape of the picture; null for sound.
    #[schema(example = "16:9")]
    pub aspect_ratio: Option<String>,
    /// The source's title.
    #[schema(example = "My Source Video")]
    pub source_title: String,
    /// When it was made.
    #[schema(example = "2026-03-30T12:00:00Z")]
    pub created: String,
}

/// Some clips, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClipList {
    /// The clips.
    pub clips: Vec<ListedClip>,
    /// Which page this is; null if it was asked for with `?cursor=`.
    #[schema(example = 1)]
    pub page: Option<usize>,
    /// How many clips a page has.
    #[schema(example = 20)]
    pub per_page: usize,
    /// How many clips there are.
    #[schema(example = 47)]
    pub total_items: u64,
    /// How many pages they make.
    #[schema(example = 3)]
    pub total_pages: u64,
    /// Ask with `?cursor=` for the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// Answers `GET /v1/clips`.
///
/// # Errors
/// 400 for a bad page, size or cursor, 401 without a key.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let asked = Asked::of(|name| request.query(name))?;
    let (table, now) = (app.table()?, app.now());
    let total_items = table.clip_count(&caller.account, now).await?;
    let page = table.clip_page(&caller.account, asked.start, asked.per_page, now).await?;
    let mut clips = Vec::with_capacity(page.clips.len());
    for clip in &page.clips {
        clips.push(view(&app, clip, now).await?);
    }
    Ok(ApiResponse::ok(&ClipList {
        clips,
        page: asked.page,
        per_page: asked.per_page,
        total_items,
        total_pages: total_items.div_ceil(asked.per_page as u64),
        next_cursor: page.next.map(|cursor| cursor.to_string()),
    }))
}

async fn view(app: &App, clip: &Clip, now: Timestamp) -> Result<ListedClip, ApiError> {
    let (output, id) = (&clip.output, &clip.id);
    let format = output.format.extension();
    let links = app.hand_out(&Parcel::of_clip(clip), output, link_seconds(clip.expires_at, now)).await?;
    Ok(ListedClip {
        id: id.to_string(),
        name: clip.name.clone(),
        format,
        quality: output.picture.map(PictureSize::label),
        duration: output.duration.seconds(),
        file_size: output.size_bytes,
        pinned: clip.expires_at.is_none(),
        expires_at: clip.expires_at.map(Timestamp::rfc3339).unwrap_or_default(),
        hours_left: clip.expires_at.map(|expires| hours_left(expires, now)),
        download_url: links.download(&file_name(&clip.name, format)).await?,
        share_url: format!("/c/{id}"),
        embed_url: format!("/embed/{id}"),
        aspect_ratio: output.picture.map(PictureSize::aspect_ratio),
        source_title: clip.source_title.clone(),
        created: clip.created_at.rfc3339(),
    })
}

/// What was asked for.
#[derive(Debug)]
struct Asked {
    start: Start,
    page: Option<usize>,
    per_page: usize,
}

impl Asked {
    fn of(parameter: impl Fn(&str) -> Option<String>) -> Result<Self, ApiError> {
        let count = |name, otherwise, max| paging::count(name, parameter(name).as_deref(), otherwise, max);
        let per_page = count("per_page", PER_PAGE, PER_PAGE_MAX)?;
        if let Some(cursor) = paging::cursor(parameter("cursor").as_deref(), Cursor::parse)? {
            if parameter("page").is_some() {
                return Err(ApiError::bad_request("send either `page` or `cursor`, not both"));
            }
            return Ok(Self { start: Start::Behind(cursor), page: None, per_page });
        }
        let page = count("page", 1, usize::MAX)?;
        let skipped = (page - 1).checked_mul(per_page).filter(|skipped| *skipped <= SKIPPED_MAX);
        let skipped = skipped.ok_or_else(|| {
            ApiError::bad_request(format!(
                "`page` reaches {SKIPPED_MAX} clips back at most; to go further, send `next_cursor` as `cursor`"
            ))
        })?;
        Ok(Self { start: Start::Skip(skipped), page: Some(page), per_page })
    }
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("List the clips, newest first")
        .answers::<ClipList>()
        .query("page", "integer", "1, the newest clips, or more")
        .query("per_page", "integer", "1 to 100; 20 if left out")
        .query("cursor", "string", "in place of `page`: the `next_cursor` of the page before")
        .problems(&[400, 503])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(parameters: &[(&str, &str)]) -> Option<(Start, Option<usize>, usize)> {
        let named = |name: &str| {
            parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        Asked::of(named).ok().map(|asked| (asked.start, asked.page, asked.per_page))
    }

    #[test]
    fn a_page_is_a_number_or_a_cursor() {
        assert_eq!(asked(&[]), Some((Start::Skip(0), Some(1), 20)));
        assert_eq!(asked(&[("page", "3"), ("per_page", "100")]), Some((Start::Skip(200), Some(3), 100)));
        let cursor = "1800000000000-aaaaaaaaaaaaaaaa";
        let start = Start::Behind(Cursor::parse(cursor).unwrap());
        assert_eq!(asked(&[("cursor", cursor)]), Some((start, None, 20)));
        for wrong in [
            &[("page", "0")][..],
            &[("page", "-1")],
            &[("page", "x")],
            &[("page", "5002")],
            &[("page", "18446744073709551615"), ("per_page", "2")],
            &[("per_page", "0")],
            &[("per_page", "101")],
            &[("cursor", "x")],
            &[("cursor", cursor), ("page", "1")],
        ] {
            assert_eq!(asked(wrong), None, "{wrong:?}");
        }
    }
}
