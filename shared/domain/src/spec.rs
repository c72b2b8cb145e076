//! What a job was asked for: a clip, a whole video, or moments.

use serde::{Deserialize, Serialize};

use crate::{
    clip::{ClipSpec, Refusal},
    cut::Span,
    download::DownloadSpec,
    moments::MomentsSpec,
    money::Amount,
    prices::PriceBook,
    quality::{Format, PictureSize, Quality},
    source::{Location, SourceInfo},
    time::MediaTime,
    tracks::AudioWish,
};

/// A request of any kind. They are told apart by their fields: only a clip has a span, only moments have a search.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Spec {
    /// A clip between two times.
    Clip(ClipSpec),
    /// A whole video.
    Download(DownloadSpec),
    /// Moments that fit a description, with or without clips of them.
    Moments(MomentsSpec),
}

impl From<ClipSpec> for Spec {
    fn from(spec: ClipSpec) -> Self {
        Self::Clip(spec)
    }
}

impl From<DownloadSpec> for Spec {
    fn from(spec: DownloadSpec) -> Self {
        Self::Download(spec)
    }
}

impl From<MomentsSpec> for Spec {
    fn from(spec: MomentsSpec) -> Self {
        Self::Moments(spec)
    }
}

impl Spec {
    /// The word by which the state machine chooses its way.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Clip(_) => "clip",
            Self::Download(_) => "download",
            Self::Moments(MomentsSpec { clips: Some(_), .. }) => "auto",
            Self::Moments(_) => "analyze",
        }
    }

    /// Whether it only tells what there is: no file is made.
    #[must_use]
    pub const fn is_analysis(&self) -> bool {
        matches!(self, Self::Moments(MomentsSpec { clips: None, .. }))
    }

    /// Where the source is.
    #[must_use]
    pub const fn location(&self) -> &Location {
        match self {
            Self::Clip(spec) => &spec.location,
            Self::Download(spec) => &spec.location,
            Self::Moments(spec) => &spec.location,
        }
    }

    /// The URL of the source; `None` if it is an upload.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        match self.location() {
            Location::Url(url) => Some(url),
            Location::Upload(_) => None,
        }
    }

    /// What to deliver; without meaning where no file is.
    #[must_use]
    pub const fn format(&self) -> Format {
        match self {
            Self::Clip(spec) => spec.format,
            Self::Download(spec) => spec.format,
            Self::Moments(MomentsSpec { clips: Some(form), .. }) => form.format,
            Self::Moments(_) => Format::Mp4,
        }
    }

    /// The largest picture to deliver.
    #[must_use]
    pub const fn quality(&self) -> Quality {
        match self {
            Self::Clip(spec) => spec.quality,
            Self::Download(spec) => spec.quality,
            Self::Moments(MomentsSpec { clips: Some(form), .. }) => form.quality,
            Self::Moments(_) => Quality::P1080,
        }
    }

    /// The span of the source's timeline that is wanted.
    #[must_use]
    pub const fn span(&self, source: &SourceInfo) -> Span {
        match self {
            Self::Clip(spec) => spec.span,
            Self::Download(_) | Self::Moments(_) => Span { start: MediaTime::ZERO, end: source.duration },
        }
    }

    /// Whether the result is in the history. The clips of moments are those of the job's parts.
    #[must_use]
    pub const fn saved_to_library(&self) -> bool {
        match self {
            Self::Clip(_) => true,
            Self::Download(spec) => spec.save_to_library,
            Self::Moments(_) => false,
        }
    }

    /// The sound that was asked for, if one was.
    #[must_use]
    pub const fn audio(&self) -> Option<&AudioWish> {
        match self {
            Self::Clip(spec) => spec.audio.as_ref(),
            Self::Download(spec) => spec.audio.as_ref(),
            Self::Moments(_) => None,
        }
    }

    /// The most bytes that the file may have, if there is a bound.
    #[must_use]
    pub const fn bytes_max(&self) -> Option<u64> {
        match self {
            Self::Clip(spec) => spec.max_bytes,
            Self::Download(_) | Self::Moments(_) => None,
        }
    }

    /// What was changed of what was asked for, in sentences.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let Self::Clip(ClipSpec { asked_end: Some(asked), span, .. }) = self else { return Vec::new() };
        vec![format!("`end` was {asked}, and the source is {} long: the clip ends with it.", span.end)]
    }

    /// The same for this very source: a clip that would end a little behind the source's end ends with it.
    ///
    /// # Errors
    /// As [`Self::check_source`].
    pub fn fitted(self, source: &SourceInfo) -> Result<Self, Refusal> {
        match self {
            Self::Clip(spec) => spec.fitted(source).map(Self::Clip),
            Self::Download(spec) => spec.check_source(source).map(|()| Self::Download(spec)),
            Self::Moments(spec) => spec.check_source(source).map(|()| Self::Moments(spec)),
        }
    }

    /// Checks the request against its source.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check_source(&self, source: &SourceInfo) -> Result<(), Refusal> {
        match self {
            Self::Clip(spec) => spec.check_source(source),
            Self::Download(spec) => spec.check_source(source),
            Self::Moments(spec) => spec.check_source(source),
        }
    }

    /// The picture that will be delivered from this source.
    #[must_use]
    pub fn delivered_picture(&self, source: &SourceInfo) -> Option<PictureSize> {
        match self {
            Self::Clip(spec) => spec.delivered_picture(source),
            Self::Download(spec) => spec.delivered_picture(source),
            Self::Moments(spec) => spec.delivered_picture(source),
        }
    }

    /// What it costs when files with these `pictures` are delivered from a source of this length: one but for moments.
    #[must_use]
    pub fn price(&self, book: &PriceBook, source: MediaTime, pictures: &[Option<PictureSize>]) -> Amount {
        let picture = pictures.first().copied().flatten();
        match self {
            Self::Clip(spec) => spec.price(book, picture),
            Self::Download(spec) => spec.price(book, picture),
            Self::Moments(spec) => spec.price(book, source, pictures),
        }
    }

    /// The name of the delivered file.
    #[must_use]
    pub fn file_name(&self, source: &SourceInfo) -> String {
        match self {
            Self::Clip(spec) => spec.file_name(),
            Self::Download(spec) => spec.file_name(source),
            Self::Moments(_) => format!("moments.{}", self.format().extension()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ids::FileId, moments};

    #[test]
    fn every_kind_reads_back_as_what_it_is() {
        let span = Span { start: MediaTime(1), end: MediaTime(2_000_000) };
        let url = Location::Url("https://example.com/a".to_owned());
        let upload = Location::Upload(FileId::from_random([7; 16]));
        for (location, field) in [(url, "url"), (upload, "file_id")] {
            let clip: Spec = ClipSpec::of(location.clone(), span, None, None).unwrap().into();
            let download: Spec = DownloadSpec::of(location.clone(), None, None, true).unwrap().into();
            let wish = moments::Wish { query: "all of it", ..moments::Wish::default() };
            let auto: Spec = MomentsSpec::auto(location.clone(), wish, None, None).unwrap().into();
            let analyze: Spec = MomentsSpec::analyze(location.clone(), wish).unwrap().into();
            for (spec, kind) in [(clip, "clip"), (download, "download"), (auto, "auto"), (analyze, "analyze")]
            {
                assert_eq!(spec.kind(), kind);
                let record = serde_json::to_value(&spec).unwrap();
                assert!(record[field].is_string(), "{record}");
                assert_eq!(serde_json::from_value::<Spec>(record).unwrap(), spec);
                assert_eq!(spec.location(), &location);
            }
        }
    }

    #[test]
    fn a_record_from_before_there_were_uploads_reads() {
        let record =
            r#"{"url":"https://example.com/a","format":"mp4","quality":"p1080","save_to_library":false}"#;
        let quality = serde_json::to_string(&Quality::P1080).unwrap();
        let spec: Spec = serde_json::from_str(&record.replace(r#""p1080""#, &quality)).unwrap();
        assert_eq!(spec, DownloadSpec::new("https://example.com/a", None, None, false).unwrap().into());
    }
}
