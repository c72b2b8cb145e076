//! Which addresses are those of pages, known without a look.

use url::Url;

/// Sites all of whose addresses are pages with a player. Anything else is opened first: if a web page comes, it is
/// yt-dlp's turn, too.
const HOSTS: &[&str] = &[
    "youtube.com",
    "youtu.be",
    "youtube-nocookie.com",
    "vimeo.com",
    "dailymotion.com",
    "dai.ly",
    "twitch.tv",
    "tiktok.com",
    "twitter.com",
    "x.com",
    "instagram.com",
    "facebook.com",
    "fb.watch",
    "reddit.com",
    "soundcloud.com",
    "bilibili.com",
];

/// Whether `url` leads to a site of which only yt-dlp knows where its media lies.
#[must_use]
pub fn is_page(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let Some(host) = url.host_str() else { return false };
    let host = host.trim_end_matches('.');
    HOSTS
        .iter()
        .any(|site| host.strip_suffix(site).is_some_and(|left| left.is_empty() || left.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_sites_and_their_subdomains_and_nothing_that_looks_alike() {
        for url in [
            "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
            "https://m.youtube.com./shorts/dQw4w9WgXcQ",
            "https://youtu.be/dQw4w9WgXcQ?t=4",
            "https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ",
            "https://YOUTUBE.com/watch?v=1",
        ] {
            assert!(is_page(url), "{url}");
        }
        for url in [
            "https://notyoutube.com/watch?v=1",
            "https://youtube.com.example.org/",
            "https://example.org/youtube.com",
            "https://netflix.com/a.mp4",
            "nonsense",
        ] {
            assert!(!is_page(url), "{url}");
        }
    }
}
