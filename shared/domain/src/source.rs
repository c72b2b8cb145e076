//! What a probe tells about a source.

use serde::{Deserialize, Serialize};

use crate::{quality::PictureSize, time::MediaTime};

/// A source as a probe saw it: enough to validate a request, to price it and to show it to a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceInfo {
    /// A title to show: the file's own, or its name.
    pub title: String,
    /// Length of the presentation, from its zero to the end of its longest track.
    pub duration: MediaTime,
    /// The picture as it is shown, upright and with square pixels; `None` for a source without video.
    pub picture: Option<PictureSize>,
    /// Whether there is an audio track.
    pub has_audio: bool,
    /// Address of a still picture, where the source's site has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<String>,
    /// Address of the site's own player, for embedding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embed_url: Option<String>,
    /// Whether the URL is that of a web page, which says where the media is, and not that of the media itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_page: bool,
}
