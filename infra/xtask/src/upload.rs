//! Sends a file to the service, as any client would: in one piece, or in parts if it is large. Nothing is held in memory.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value as Json, json};
use ureq::SendBody;

use crate::{http, say};

/// A file that is larger is sent in parts.
const ONE_PIECE_MAX: u64 = 64 << 20;
/// Longest time for one piece or part.
const SEND_MAX: Duration = Duration::from_secs(3600);
/// Longest time for the service to look at a file that has arrived.
const LOOK_MAX: Duration = Duration::from_secs(10 * 60);
const ASK_EVERY: Duration = Duration::from_millis(250);

/// The service's API.
pub(crate) struct Api<'a> {
    pub(crate) agent: &'a ureq::Agent,
    pub(crate) base_url: &'a str,
    pub(crate) key: &'a str,
}

impl Api<'_> {
    fn call(&self, path: &str, body: Option<&Json>) -> anyhow::Result<Json> {
        http::call(self.agent, &format!("{}{path}", self.base_url), self.key, body)
    }
}

/// Sends the file at `path`; returns its id once it can be used.
pub(crate) fn send(api: &Api<'_>, path: &Path) -> anyhow::Result<String> {
    let size = std::fs::metadata(path)?.len();
    let name = path.file_name().context("the file has no name")?.to_string_lossy();
    let announced = json!({ "filename": name, "content_type": media_type(path), "file_size": size });
    say::line(&format!("xtask: uploading {name}"));
    let id = if size <= ONE_PIECE_MAX {
        in_one_piece(api, path, &announced)?
    } else {
        in_parts(api, path, &announced)?
    };
    let begun = Instant::now();
    while begun.elapsed() < LOOK_MAX {
        let upload = api.call(&format!("/v1/upload/{id}"), None)?;
        match upload["status"].as_str() {
            Some("ready") => return Ok(id),
            Some("failed") => bail!("{}", upload["error"].as_str().unwrap_or("the upload failed")),
            _ => std::thread::sleep(ASK_EVERY),
        }
    }
    bail!("the service did not look at the upload within {} minutes", LOOK_MAX.as_secs() / 60)
}

fn in_one_piece(api: &Api<'_>, path: &Path, announced: &Json) -> anyhow::Result<String> {
    let requested = api.call("/v1/upload/request", Some(announced))?;
    let kind = announced["content_type"].as_str();
    put(text(&requested, "upload_url")?, kind, path, 0, announced["file_size"].as_u64().unwrap_or_default())?;
    Ok(text(&requested, "file_id")?.to_owned())
}

fn in_parts(api: &Api<'_>, path: &Path, announced: &Json) -> anyhow::Result<String> {
    let initiated = api.call("/v1/upload/multipart/initiate", Some(announced))?;
    let size = announced["file_size"].as_u64().unwrap_or_default();
    let part_size = initiated["part_size"].as_u64().context("the service named no part size")?;
    let urls = initiated["part_urls"].as_array().context("the service named no links")?;
    let mut parts = Vec::new();
    for (number, url) in (1_u64..).zip(urls) {
        let at = (number - 1) * part_size;
        let url = url.as_str().context("a link is no text")?;
        let etag = put(url, None, path, at, part_size.min(size.saturating_sub(at)))?;
        parts.push(json!({ "part_number": number, "etag": etag }));
    }
    let id = text(&initiated, "file_id")?;
    let complete = json!({ "file_id": id, "upload_id": initiated["upload_id"], "parts": parts });
    api.call("/v1/upload/multipart/complete", Some(&complete))?;
    Ok(id.to_owned())
}

/// Sends `len` bytes from `at` on; returns their entity tag.
fn put(url: &str, kind: Option<&str>, path: &Path, at: u64, len: u64) -> anyhow::Result<String> {
    let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    file.seek(SeekFrom::Start(at))?;
    let mut request = http::agent(SEND_MAX).put(url).header("content-length", len.to_string());
    if let Some(kind) = kind {
        request = request.header("content-type", kind);
    }
    let answer = request.send(SendBody::from_reader(&mut file.take(len))).context("the upload broke off")?;
    if !answer.status().is_success() {
        bail!("the upload was refused ({})", answer.status());
    }
    let etag = answer.headers().get("etag").and_then(|etag| etag.to_str().ok());
    Ok(etag.context("the upload was answered without an entity tag")?.to_owned())
}

fn text<'a>(answer: &'a Json, field: &str) -> anyhow::Result<&'a str> {
    answer[field].as_str().with_context(|| format!("the service answered without {field}"))
}

/// What a name says of a file; the service looks at its bytes.
fn media_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("mp4" | "m4v") => "video/mp4",
        Some("mov") => "video/quicktime",
        Some("webm") => "video/webm",
        Some("mkv") => "video/x-matroska",
        _ => "application/octet-stream",
    }
}
