//! What yt-dlp's complaints mean for the person who gave the URL.

use crate::SourceError;

const YOUTUBE: &str = "YouTube blocked this URL for servers, as it does with some; try another URL, or upload the video instead";
const BLOCKED: &str = "the site blocked this URL for servers; try another URL, or upload the video instead";
const PRIVATE: &str = "this video is private; make it public or unlisted, or upload it instead";
const SIGN_IN: &str = "the site shows this video only to people who have signed in; upload it instead";
const MEMBERS: &str = "this video is for paying members only; upload it instead";
const AGE: &str = "the site shows this video only to people who have confirmed their age; upload it instead";
const PLACE: &str =
    "the site does not show this video in the place where this service runs; upload it instead";
const GONE: &str = "this video is gone";
const LATER: &str = "this video is live or has not begun yet; it can be cut when it is over";
const DRM: &str = "this video is protected against copying (DRM) and cannot be read";
const NONE: &str =
    "there is no video on this page that can be read; give the address of the video file itself";
const SILENT: &str = "the site did not answer as it should; try again later";

/// What becomes of a complaint.
#[derive(Clone, Copy)]
enum Kind {
    /// The site does not let us.
    Blocked,
    /// There is nothing to be had.
    Page,
    /// It may work another time.
    Unavailable,
}

/// Words of yt-dlp's messages, lower case, from the most to the least telling: the first that is found counts.
const TABLE: &[(&str, Kind, &str)] = &[
    ("not a bot", Kind::Blocked, YOUTUBE),
    ("forbidden by the egress guard", Kind::Page, NONE),
    ("confirm your age", Kind::Blocked, AGE),
    ("age-restricted", Kind::Blocked, AGE),
    ("age restricted", Kind::Blocked, AGE),
    ("inappropriate for some users", Kind::Blocked, AGE),
    ("members-only", Kind::Blocked, MEMBERS),
    ("channel's members", Kind::Blocked, MEMBERS),
    ("join this channel", Kind::Blocked, MEMBERS),
    ("requires payment", Kind::Blocked, MEMBERS),
    ("premium", Kind::Blocked, MEMBERS),
    ("private video", Kind::Blocked, PRIVATE),
    ("video is private", Kind::Blocked, PRIVATE),
    ("not available in your country", Kind::Blocked, PLACE),
    ("available in your country", Kind::Blocked, PLACE),
    ("from your location", Kind::Blocked, PLACE),
    ("geo restrict", Kind::Blocked, PLACE),
    ("geo-restrict", Kind::Blocked, PLACE),
    ("in your region", Kind::Blocked, PLACE),
    ("drm", Kind::Page, DRM),
    ("live event will begin", Kind::Page, LATER),
    ("premieres in", Kind::Page, LATER),
    ("premiere will begin", Kind::Page, LATER),
    ("is offline", Kind::Page, LATER),
    ("not currently live", Kind::Page, LATER),
    ("has been removed", Kind::Unavailable, GONE),
    ("been terminated", Kind::Unavailable, GONE),
    ("account associated with this video", Kind::Unavailable, GONE),
    ("video unavailable", Kind::Unavailable, GONE),
    ("video is unavailable", Kind::Unavailable, GONE),
    ("not available", Kind::Unavailable, GONE),
    ("does not exist", Kind::Unavailable, GONE),
    ("incomplete youtube id", Kind::Unavailable, GONE),
    ("rate-limit", Kind::Blocked, BLOCKED),
    ("http error 429", Kind::Blocked, BLOCKED),
    ("too many requests", Kind::Blocked, BLOCKED),
    ("captcha", Kind::Blocked, BLOCKED),
    ("cloudflare", Kind::Blocked, BLOCKED),
    ("ip address is blocked", Kind::Blocked, BLOCKED),
    ("login required", Kind::Blocked, SIGN_IN),
    ("log in", Kind::Blocked, SIGN_IN),
    ("login", Kind::Blocked, SIGN_IN),
    ("sign in", Kind::Blocked, SIGN_IN),
    ("--cookies", Kind::Blocked, SIGN_IN),
    ("registered users", Kind::Blocked, SIGN_IN),
    ("http error 401", Kind::Blocked, SIGN_IN),
    ("http error 403", Kind::Blocked, BLOCKED),
    ("http error 404", Kind::Unavailable, GONE),
    ("http error 410", Kind::Unavailable, GONE),
    ("unsupported url", Kind::Page, NONE),
    ("no video formats", Kind::Page, NONE),
    ("no media found", Kind::Page, NONE),
    ("no video could be found", Kind::Page, NONE),
    ("http error", Kind::Unavailable, SILENT),
    ("timed out", Kind::Unavailable, SILENT),
    ("unable to download", Kind::Unavailable, SILENT),
    ("tunnel connection failed", Kind::Unavailable, SILENT),
];

/// What the person is told for what yt-dlp wrote to standard error. None of its own words are passed on: they name
/// options that nobody here can set.
#[must_use]
pub fn refusal(stderr: &str) -> SourceError {
    let complaint = stderr.lines().rfind(|line| line.starts_with("ERROR:")).unwrap_or(stderr);
    // Typographic apostrophes come and go with the site's wording.
    let complaint = complaint.to_lowercase().replace('\u{2019}', "'");
    let row = TABLE.iter().find(|(words, ..)| complaint.contains(words));
    let (_, kind, text) = row.copied().unwrap_or(("", Kind::Page, NONE));
    match kind {
        Kind::Blocked => SourceError::Blocked(text.to_owned()),
        Kind::Page => SourceError::Page(text.to_owned()),
        Kind::Unavailable => SourceError::Unavailable(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_become_plain_words() {
        for (stderr, code, word) in [
            (
                "ERROR: [youtube] dQw4w9WgXcQ: Sign in to confirm you\u{2019}re not a bot. Use --cookies-from-browser or --cookies for the authentication.",
                "source_blocked",
                "YouTube blocked",
            ),
            (
                "ERROR: [youtube] x: Private video. Sign in if you've been granted access to this video",
                "source_blocked",
                "private",
            ),
            (
                "ERROR: [youtube] x: Sign in to confirm your age. This video may be inappropriate for some users.",
                "source_blocked",
                "age",
            ),
            (
                "ERROR: [youtube] x: Join this channel to get access to members-only content like this video, and other exclusive perks.",
                "source_blocked",
                "members",
            ),
            (
                "ERROR: [youtube] x: The uploader has not made this video available in your country",
                "source_blocked",
                "place",
            ),
            (
                "ERROR: [BBC] x: This video is not available from your location due to geo restriction",
                "source_blocked",
                "place",
            ),
            (
                "ERROR: [youtube] x: Video unavailable. This video has been removed by the uploader",
                "source_unavailable",
                "gone",
            ),
            ("ERROR: [youtube] x: Video unavailable", "source_unavailable", "gone"),
            ("ERROR: [youtube] x: This live event will begin in 3 hours.", "source_unsupported", "live"),
            ("ERROR: [youtube] x: Premieres in 20 minutes", "source_unsupported", "live"),
            (
                "ERROR: [youtube] x: The page needs to be reloaded. HTTP Error 429: Too Many Requests",
                "source_blocked",
                "blocked",
            ),
            (
                "ERROR: [Vimeo] 1: The web client only works when logged-in. Use --cookies",
                "source_blocked",
                "signed in",
            ),
            ("ERROR: [DRM] The requested site is known to use DRM protection.", "source_unsupported", "DRM"),
            (
                "WARNING: [generic] Falling back\nERROR: Unsupported URL: http://a.org/",
                "source_unsupported",
                "no video",
            ),
            (
                "ERROR: [generic] 404: Unable to download webpage: HTTP Error 404: Not Found (caused by <HTTPError 404: Not Found>)",
                "source_unavailable",
                "gone",
            ),
            (
                "ERROR: [generic] a: Unable to download webpage: HTTP Error 403: Forbidden",
                "source_blocked",
                "blocked",
            ),
            ("ERROR: something nobody has seen before", "source_unsupported", "no video"),
            ("", "source_unsupported", "no video"),
        ] {
            let refused = refusal(stderr);
            let told = refused.to_string();
            assert_eq!(refused.code(), code, "{stderr}: {told}");
            assert!(told.contains(word), "{stderr}: {told}");
            assert!(!told.contains("--"), "{told}");
        }
    }
}
