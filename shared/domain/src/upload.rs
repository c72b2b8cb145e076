//! Files that a client uploads itself, in place of naming a URL.
//!
//! Invariants: a file is its owner's alone; it is used only once it was looked at; it is the length that was announced;
//! it is gone 24 hours after it was announced.

use serde::{Deserialize, Serialize};

use crate::{
    clip::{Refusal, bad},
    ids::{AccountId, FileId},
    job::Failure,
    rate::{Quota, Window},
    source::SourceInfo,
    time::Timestamp,
};

/// The largest file, in bytes. S3 takes 5 GiB in one PUT.
pub const FILE_BYTES_MAX: u64 = 5_000_000_000;
/// The length of every part but the last, in bytes: at most 75 parts, of the 10,000 that S3 takes.
pub const PART_BYTES: u64 = 64 << 20;
/// The longest file name, in bytes: what file systems take.
pub const NAME_BYTES_MAX: usize = 255;
/// How long a link works to which the whole file is sent, in seconds. It must begin by then, not end.
pub const LINK_SECONDS: u64 = 3600;
/// How long the links to the parts work, in seconds: 5 GB at 2 Mbit/s take 6 hours.
pub const PART_LINK_SECONDS: u64 = 6 * 3600;
/// How many files one account may announce in a day (UTC).
pub const FILES_A_DAY: Quota = Quota::new("uploads", Window::Day, 100);
/// How many bytes one account may announce in a day (UTC).
pub const BYTES_A_DAY_MAX: u64 = 100_000_000_000;

const TYPE_BYTES_MAX: usize = 127;
const KEPT_MS: i64 = 24 * 3_600_000;
/// A look that has told nothing by then was lost, or its function has ended: another one is ordered.
const LOOK_AGAIN_MS: i64 = 60_000;
/// How many looks are ordered: what five of them did not get through, another one will not.
const LOOKS_MAX: u32 = 5;

/// What a client says of its file before it sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// Its name at the client's, in any script.
    pub filename: String,
    /// What the client takes it for (RFC 9110, section 8.3.1). It is sent along with the bytes and believed by nobody.
    pub content_type: String,
    /// Its length in bytes.
    pub file_size: u64,
}

impl Announced {
    /// Checks what a request says.
    ///
    /// # Errors
    /// [`Refusal::BadRequest`].
    pub fn new(filename: &str, content_type: &str, file_size: u64) -> Result<Self, Refusal> {
        if filename.len() > NAME_BYTES_MAX {
            return Err(bad(format!("`filename` may be {NAME_BYTES_MAX} bytes long at most")));
        }
        if filename.trim().is_empty() || filename.chars().any(char::is_control) {
            return Err(bad("`filename` must be a name without control characters"));
        }
        if content_type.len() > TYPE_BYTES_MAX || !is_media_type(content_type) {
            return Err(bad("`content_type` must be a media type like video/mp4"));
        }
        match file_size {
            0 => Err(bad("`file_size` is 0: there is nothing to upload")),
            1..=FILE_BYTES_MAX => {
                let (filename, content_type) = (filename.to_owned(), content_type.to_owned());
                Ok(Self { filename, content_type, file_size })
            }
            _ => Err(bad(format!("`file_size` may be {FILE_BYTES_MAX} bytes (5 GB) at most"))),
        }
    }

    /// The name without its extension, a title for files that have none.
    #[must_use]
    pub fn title(&self) -> &str {
        let name = self.filename.rsplit(['/', '\\']).next().unwrap_or_default();
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem).trim();
        if stem.is_empty() { self.filename.trim() } else { stem }
    }

    /// How many parts it is sent in, if it is.
    #[must_use]
    pub const fn parts(&self) -> u64 {
        self.file_size.div_ceil(PART_BYTES)
    }

    /// The length of a part, counted from 1.
    #[must_use]
    pub fn part_bytes(&self, number: u64) -> u64 {
        let before = number.saturating_sub(1).saturating_mul(PART_BYTES);
        self.file_size.saturating_sub(before).min(PART_BYTES)
    }
}

/// `type/subtype` of RFC 9110's token characters, with parameters or without.
fn is_media_type(text: &str) -> bool {
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let token = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    let is_plain = |b: u8| b == b' ' || b.is_ascii_graphic();
    essence.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
        && parameters.bytes().all(is_plain)
}

/// Where an upload stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UploadStatus {
    /// Its bytes have not arrived.
    Awaiting,
    /// They have, and are being looked at.
    Checking,
    /// It can be used.
    Ready,
    /// It cannot.
    Failed,
}

impl UploadStatus {
    /// The word in answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Awaiting => "awaiting",
            Self::Checking => "checking",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}

/// An upload that was announced, and all that became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Its id.
    pub id: FileId,
    /// Whose it is.
    pub account: AccountId,
    /// What was announced.
    #[serde(flatten)]
    pub file: Announced,
    /// Where it stands.
    pub status: UploadStatus,
    /// S3's id of the multipart upload, if it comes in parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multipart: Option<String>,
    /// The parts that it is to be made of, once they have all arrived.
    #[serde(default)]
    pub parts: Vec<Part>,
    /// When it was last ordered that somebody looks at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look_at: Option<Timestamp>,
    /// How often that was ordered.
    #[serde(default)]
    pub looks: u32,
    /// What the look saw, once it is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceInfo>,
    /// Entity tag of the bytes that were looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Why it cannot be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// When it was announced.
    pub created_at: Timestamp,
    /// From this instant on it is gone.
    pub expires_at: Timestamp,
}

impl Upload {
    /// An upload as it is announced at `now`.
    #[must_use]
    pub const fn announced(
        id: FileId,
        account: AccountId,
        file: Announced,
        multipart: Option<String>,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            account,
            file,
            status: UploadStatus::Awaiting,
            multipart,
            parts: Vec::new(),
            look_at: None,
            looks: 0,
            source: None,
            version: None,
            failure: None,
            created_at: now,
            expires_at: now.plus_ms(KEPT_MS),
        }
    }

    /// Whether no more looks at it are ordered.
    #[must_use]
    pub const fn is_given_up(&self) -> bool {
        self.looks >= LOOKS_MAX
    }

    /// Whether a look that was ordered has told nothing for so long that another one is due.
    #[must_use]
    pub fn is_overlooked(&self, now: Timestamp) -> bool {
        let ordered = self.look_at.unwrap_or(self.created_at);
        self.status == UploadStatus::Checking && ordered.plus_ms(LOOK_AGAIN_MS) <= now
    }
}

/// A part as a client or S3 names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// From 1, in the file's order.
    pub part_number: u64,
    /// The entity tag that S3 answered when it was sent.
    pub etag: String,
}

/// A part that has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// Which one.
    pub part: Part,
    /// Its length in bytes.
    pub len: u64,
}

/// What the file is to be made of: every part must have arrived in its length, and be the one that the client names, if
/// it names any.
///
/// # Errors
/// [`Refusal::BadRequest`] with the first part that is missing or another one.
pub fn assembled(
    file: &Announced,
    arrived: &[Arrived],
    named: Option<&[Part]>,
) -> Result<Vec<Part>, Refusal> {
    let bare = |etag: &str| etag.trim().trim_matches('"').to_ascii_lowercase();
    if named.is_some_and(|named| named.len() as u64 != file.parts()) {
        return Err(bad(format!("`parts` must name all {} parts", file.parts())));
    }
    let mut parts = Vec::new();
    for number in 1..=file.parts() {
        let found = arrived.iter().find(|arrived| arrived.part.part_number == number);
        let found = found.ok_or_else(|| {
            bad(format!("part {number} of {} has not arrived; send it, then complete again", file.parts()))
        })?;
        let wanted = file.part_bytes(number);
        if found.len != wanted {
            let len = found.len;
            return Err(bad(format!("part {number} has {len} bytes instead of {wanted}; send it again")));
        }
        if let Some(named) = named {
            let one = named.iter().find(|part| part.part_number == number);
            let one = one.ok_or_else(|| bad(format!("`parts` does not name part {number}")))?;
            if bare(&one.etag) != bare(&found.part.etag) {
                return Err(bad(format!("part {number} has another `etag` than the one that arrived")));
            }
        }
        parts.push(found.part.clone());
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(size: u64) -> Announced {
        Announced::new("Ferien.mp4", "video/mp4", size).unwrap()
    }

    fn part(number: u64, etag: &str) -> Part {
        Part { part_number: number, etag: etag.to_owned() }
    }

    #[test]
    fn names_of_any_script_and_types_of_any_kind() {
        for (name, title) in [
            ("Ferien am Meer.MP4", "Ferien am Meer"),
            ("夏休み 🎬.mov", "夏休み 🎬"),
            ("../../etc/passwd", "passwd"),
            ("C:\\videos\\a.mp4", "a"),
            (".mp4", ".mp4"),
            ("plain", "plain"),
        ] {
            assert_eq!(Announced::new(name, "video/mp4", 1).unwrap().title(), title, "{name}");
        }
        for kind in ["video/mp4", "application/octet-stream", "video/webm; codecs=\"vp9, opus\""] {
            assert!(Announced::new("a", kind, 1).is_ok(), "{kind}");
        }
        let long = "ü".repeat(128);
        for (name, kind) in [
            ("", "video/mp4"),
            (" ", "video/mp4"),
            ("a\nb", "video/mp4"),
            ("a\0", "video/mp4"),
            (long.as_str(), "video/mp4"),
            ("a", ""),
            ("a", "video"),
            ("a", "video/"),
            ("a", "video/mp4\r\nx-evil: 1"),
            ("a", "vidéo/mp4"),
        ] {
            assert!(
                matches!(Announced::new(name, kind, 1), Err(Refusal::BadRequest(_))),
                "{name:?} {kind:?}"
            );
        }
    }

    #[test]
    fn sizes_have_an_end() {
        for size in [0, FILE_BYTES_MAX + 1, u64::MAX] {
            assert!(Announced::new("a", "video/mp4", size).is_err(), "{size}");
        }
        assert_eq!((file(1).parts(), file(PART_BYTES).parts(), file(PART_BYTES + 1).parts()), (1, 1, 2));
        assert_eq!(file(FILE_BYTES_MAX).parts(), 75);
        for size in [1, PART_BYTES, PART_BYTES + 1, FILE_BYTES_MAX] {
            let file = file(size);
            let sum: u64 = (1..=file.parts()).map(|number| file.part_bytes(number)).sum();
            assert_eq!(sum, size);
            assert!((1..file.parts()).all(|number| file.part_bytes(number) >= 5 << 20), "S3's least");
        }
        assert_eq!(file(1).part_bytes(2), 0);
    }

    #[test]
    fn a_file_is_made_of_all_its_parts() {
        let file = file(PART_BYTES + 5);
        let arrived = |number, etag: &str, len| Arrived { part: part(number, etag), len };
        let all = [arrived(2, "\"b\"", 5), arrived(1, "\"a\"", PART_BYTES)];
        let whole = vec![part(1, "\"a\""), part(2, "\"b\"")];
        assert_eq!(assembled(&file, &all, None), Ok(whole.clone()));
        assert_eq!(assembled(&file, &all, Some(&[part(2, "B"), part(1, "a")])), Ok(whole));
        let said = |arrived: &[Arrived], named: Option<&[Part]>| match assembled(&file, arrived, named) {
            Err(Refusal::BadRequest(text)) => text,
            other => format!("{other:?}"),
        };
        assert!(said(&all[..1], None).contains("part 1 of 2 has not arrived"));
        assert!(said(&[], None).contains("part 1 of 2"));
        let short = [all[1].clone(), arrived(2, "\"b\"", 4)];
        assert!(said(&short, None).contains("4 bytes instead of 5"));
        assert!(said(&all, Some(&[part(1, "a")])).contains("all 2 parts"));
        assert!(said(&all, Some(&[part(1, "a"), part(1, "a")])).contains("does not name part 2"));
        assert!(said(&all, Some(&[part(1, "a"), part(2, "c")])).contains("another `etag`"));
    }

    #[test]
    fn a_look_that_tells_nothing_is_ordered_again() {
        let (id, account) = (FileId::from_random([1; 16]), AccountId::from_random([2; 16]));
        let mut upload = Upload::announced(id, account, file(9), None, Timestamp(0));
        assert_eq!(upload.expires_at, Timestamp(86_400_000));
        assert!(!upload.is_overlooked(Timestamp(90_000)), "nobody was asked to look");
        (upload.status, upload.look_at) = (UploadStatus::Checking, Some(Timestamp(1000)));
        assert!(!upload.is_overlooked(Timestamp(60_999)) && upload.is_overlooked(Timestamp(61_000)));
        upload.status = UploadStatus::Ready;
        assert!(!upload.is_overlooked(Timestamp(61_000)));
    }
}
