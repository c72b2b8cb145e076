//! What a file is, told from its first bytes: servers' content types are not to be trusted.

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// MP4, QuickTime and kin (ISO/IEC 14496-12).
    IsoBmff,
    /// Another container that ffmpeg may read.
    Other,
    /// An HLS playlist (RFC 8216).
    HlsPlaylist,
    /// A DASH manifest (ISO/IEC 23009-1).
    DashManifest,
    /// A web page.
    WebPage,
    /// Plain text, JSON, XML.
    Text,
    /// Nothing at all.
    Empty,
}

/// Tells the kind of file from its first bytes; a few kilobytes are plenty.
#[must_use]
pub fn sniff(head: &[u8]) -> Container {
    if head.is_empty() {
        return Container::Empty;
    }
    if matches!(
        head.get(4..8),
        Some(b"ftyp" | b"moov" | b"mdat" | b"wide" | b"free" | b"skip" | b"pnot" | b"styp")
    ) {
        return Container::IsoBmff;
    }
    let head = &head[..head.len().min(1024)];
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    if text.starts_with(b"#EXTM3U") {
        return Container::HlsPlaylist;
    }
    let lower = String::from_utf8_lossy(text).trim_start().to_ascii_lowercase();
    if ["<!doctype html", "<html", "<head", "<body", "<script"].iter().any(|tag| lower.starts_with(tag)) {
        return Container::WebPage;
    }
    if is_manifest(&lower) {
        return Container::DashManifest;
    }
    // A media file has control bytes in its first kilobyte; text has none.
    let is_text = |byte: &u8| !matches!(byte, 0..=8 | 11 | 14..=26 | 28..=31 | 127);
    if text.iter().all(is_text)
        && (std::str::from_utf8(text).is_ok_and(|t| !t.is_empty()) || head.len() == 1024)
    {
        return if lower.contains("<html") { Container::WebPage } else { Container::Text };
    }
    Container::Other
}

/// Whether the first element of an XML text is `MPD`, whatever declarations and comments stand before.
fn is_manifest(lower: &str) -> bool {
    let mut rest = lower;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        let end = if rest.starts_with("<!--") { "-->" } else { ">" };
        if rest.starts_with("<?") || rest.starts_with("<!--") {
            let Some((_, behind)) = rest.split_once(end) else { return false };
            rest = behind;
            continue;
        }
        let name =
            rest.strip_prefix('<').unwrap_or_default().split(|c: char| c.is_whitespace() || c == '>').next();
        return name.is_some_and(|name| name == "mpd" || name.ends_with(":mpd"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_media_from_pages_and_text() {
        assert_eq!(sniff(b"\0\0\0\x20ftypisom\0\0\x02\0"), Container::IsoBmff);
        assert_eq!(sniff(b"\x1aE\xdf\xa3\x01\0\0\0\0\0\0#B\x86\x81\x01"), Container::Other);
        assert_eq!(sniff(b"#EXTM3U\n#EXT-X-VERSION:3\n"), Container::HlsPlaylist);
        assert_eq!(sniff(b"\n  <!DOCTYPE HTML><html></html>"), Container::WebPage);
        assert_eq!(sniff(b"<?xml version=\"1.0\"?><html xmlns=\"\">"), Container::WebPage);
        let manifest =
            b"<?xml version=\"1.0\"?>\n<!-- <x> -->\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\">";
        assert_eq!(sniff(manifest), Container::DashManifest);
        assert_eq!(sniff(b"<mpdx>"), Container::Text);
        assert_eq!(sniff(b"{\"error\":\"no\"}"), Container::Text);
        assert_eq!(sniff("hello wörld\n".as_bytes()), Container::Text);
        assert_eq!(sniff(b""), Container::Empty);
        assert_eq!(sniff(&[0x47; 188]), Container::Text, "a lone packet of sync bytes is no stream");
    }
}
