//! DASH manifests (ISO/IEC 23009-1): one period, on demand.

mod scope;
#[cfg(test)]
mod tests;
mod times;

use std::{ops::Range, sync::Arc};

use domain::{
    quality::{PictureSize, Quality},
    time::MediaTime,
};
use roxmltree::{Document, Node, ParsingOptions};
use url::Url;

use self::{
    scope::{Scope, element, elements, fill},
    times::Times,
};
use super::{
    Candidate, Codecs, DURATION_MAX, Piece, Place, RENDITIONS_MAX, Rendition, SEGMENTS_MAX, choose, damaged,
    picture, resolve, unsupported,
};
use crate::SourceError;

/// The most elements and texts of a manifest.
const NODES_MAX: u32 = 400_000;

/// The most attributes of one element, and the most names of schemas in all. Reading them takes time that grows with the
/// square of their number.
const ATTRIBUTES_MAX: usize = 100;
const SCHEMAS_MAX: usize = 100;

/// A manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    videos: Vec<Representation>,
    audios: Vec<Representation>,
}

/// One of several forms of the picture or the sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Representation {
    /// The picture, where it is told.
    pub picture: Option<PictureSize>,
    /// Whether it has sound.
    pub has_audio: bool,
    /// Its media.
    pub media: Media,
    plain: bool,
    bandwidth: u64,
}

/// Where a representation's media is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Media {
    /// In one file, which has an index of its own.
    File(Url),
    /// In segments.
    Segments(Rendition),
}

impl Manifest {
    /// Reads the text of a manifest that came from `base`.
    ///
    /// # Errors
    /// [`SourceError::Unsupported`] for what is damaged or is not cut: a live stream, DRM, several periods.
    pub fn parse(text: &str, base: &Url) -> Result<Self, SourceError> {
        must_be_modest(text)?;
        // Without a document type there are no entities to expand.
        let options =
            ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
        let document = Document::parse_with_options(text, options).map_err(|_| damaged("it is no XML"))?;
        let mpd = document.root_element();
        if mpd.tag_name().name() != "MPD" {
            return Err(damaged("it is no DASH manifest"));
        }
        if mpd.attribute("type") == Some("dynamic") {
            return Err(unsupported("it is a live stream; try again when it is over"));
        }
        let mut periods = elements(mpd, "Period");
        let period = periods.next().ok_or_else(|| damaged("it has no period"))?;
        if periods.next().is_some() || period.attributes().any(|attribute| attribute.name() == "href") {
            return Err(unsupported(
                "its manifest consists of several periods, as with advertisements; give the address of the video alone",
            ));
        }
        let told = period.attribute("duration").or_else(|| mpd.attribute("mediaPresentationDuration"));
        let end = told.map(|text| duration(text).ok_or_else(|| damaged("a duration is none"))).transpose()?;
        let mut reader =
            Reader { end, manifest: Self { videos: Vec::new(), audios: Vec::new() }, hidden: false };
        let place = Scope::root(base).within(mpd)?.within(period)?;
        for set in elements(period, "AdaptationSet") {
            reader.set(set, &place.within(set)?)?;
        }
        match reader {
            Reader { manifest, .. } if !(manifest.videos.is_empty() && manifest.audios.is_empty()) => {
                Ok(manifest)
            }
            Reader { hidden: true, .. } => {
                Err(unsupported("it is protected (DRM); only streams without protection can be cut"))
            }
            Reader { .. } => Err(damaged("it has neither picture nor sound")),
        }
    }

    /// The picture for `quality`; `None` for sound alone.
    #[must_use]
    pub fn video(&self, quality: Quality) -> Option<&Representation> {
        pick(&self.videos, quality)
    }

    /// The sound; `None` if it comes with the picture or not at all.
    #[must_use]
    pub fn audio(&self) -> Option<&Representation> {
        pick(&self.audios, Quality::K4)
    }
}

/// Refuses a text that would keep the reader of XML busy for long. What is no XML is the reader's business.
fn must_be_modest(text: &str) -> Result<(), SourceError> {
    let too_much = |what: &str| Err(damaged(format!("an element of it has too many {what}")));
    let (mut rest, mut schemas) = (text, 0);
    while let Some((_, tag)) = rest.split_once('<') {
        let hidden = [("!--", "-->"), ("![CDATA[", "]]>"), ("?", "?>")];
        if let Some((_, end)) = hidden.iter().find(|(begin, _)| tag.starts_with(begin)) {
            rest = tag.split_once(end).map_or("", |(_, rest)| rest);
            continue;
        }
        let mut attributes = 0;
        rest = tag;
        loop {
            let Some(at) = rest.find(['=', '"', '\'', '>']) else { return Ok(()) };
            let (before, found) = (&rest[..at], rest.as_bytes()[at]);
            rest = &rest[at + 1..];
            match found {
                b'=' => {
                    attributes += 1;
                    let name = before.trim_end().rsplit(char::is_whitespace).next().unwrap_or_default();
                    schemas += usize::from(name.starts_with("xmlns"));
                }
                b'>' => break,
                quote => match rest.split_once(char::from(quote)) {
                    Some((_, behind)) => rest = behind,
                    None => return Ok(()),
                },
            }
            if attributes > ATTRIBUTES_MAX {
                return too_much("attributes");
            }
            if schemas > SCHEMAS_MAX {
                return too_much("schemas");
            }
        }
    }
    Ok(())
}

fn pick(all: &[Representation], quality: Quality) -> Option<&Representation> {
    let candidate =
        |one: &Representation| Candidate { picture: one.picture, plain: one.plain, bandwidth: one.bandwidth };
    all.get(choose(all.iter().map(candidate), quality)?)
}

struct Reader {
    /// Where the period ends, if that is told.
    end: Option<MediaTime>,
    manifest: Manifest,
    /// Something is protected and was left out.
    hidden: bool,
}

impl Reader {
    fn set(&mut self, set: Node<'_, '_>, scope: &Scope<'_, '_>) -> Result<(), SourceError> {
        let tricks = ["EssentialProperty", "SupplementalProperty"].into_iter().any(|name| {
            elements(set, name).any(|property| {
                property.attribute("schemeIdUri").is_some_and(|scheme| scheme.contains("trickmode"))
            })
        });
        if tricks {
            return Ok(());
        }
        for representation in elements(set, "Representation") {
            let scope = scope.within(representation)?;
            if scope.protected {
                self.hidden = true;
                continue;
            }
            self.representation(&scope)?;
        }
        Ok(())
    }

    fn representation(&mut self, scope: &Scope<'_, '_>) -> Result<(), SourceError> {
        if self.manifest.videos.len() + self.manifest.audios.len() >= RENDITIONS_MAX {
            return Err(damaged(format!("it names more than {RENDITIONS_MAX} renditions")));
        }
        let told = scope.attribute("contentType").unwrap_or_default();
        let mime = scope.attribute("mimeType").unwrap_or_default();
        let codecs = scope.attribute("codecs").map(Codecs::parse);
        let is = |kind: &str| told == kind || mime.starts_with(kind);
        let (video, audio) = (is("video"), is("audio"));
        // Sets of several kinds tell them by their codecs alone.
        let video = video || (!audio && codecs.is_some_and(|codecs| codecs.video));
        let audio = !video && (audio || codecs.is_some_and(|codecs| codecs.audio));
        if !(video || audio) {
            return Ok(());
        }
        let size = |name| scope.attribute(name).and_then(|text: &str| text.trim().parse::<u64>().ok());
        let one = Representation {
            picture: if video {
                size("width").zip(size("height")).and_then(|(w, h)| picture(w, h))
            } else {
                None
            },
            has_audio: audio || codecs.is_some_and(|codecs| codecs.audio),
            media: self.media(scope)?,
            plain: codecs.is_none_or(|codecs| codecs.plain) && !mime.ends_with("webm"),
            bandwidth: size("bandwidth").unwrap_or(0),
        };
        if video {
            self.manifest.videos.push(one)
        } else {
            self.manifest.audios.push(one)
        }
        Ok(())
    }

    fn media(&self, scope: &Scope<'_, '_>) -> Result<Media, SourceError> {
        match scope.kind() {
            Some("SegmentTemplate") => self.template(scope).map(Media::Segments),
            Some("SegmentList") => self.list(scope).map(Media::Segments),
            _ => Ok(Media::File(scope.base.clone())),
        }
    }

    fn template(&self, scope: &Scope<'_, '_>) -> Result<Rendition, SourceError> {
        let media = scope.setting("media").ok_or_else(|| damaged("a template has no media"))?;
        let first = scope.number("startNumber", 1)?;
        let times = Times::read(scope, self.end, None)?;
        let init = match scope.setting("initialization") {
            Some(address) => {
                let url = resolve(&scope.base, &fill(address, scope, 0, 0)?)?;
                Some(Arc::new(plain(url, None)))
            }
            None => initialization(scope)?,
        };
        let piece = |n: usize, ticks: u64| {
            let address = fill(media, scope, first.saturating_add(n as u64), ticks)?;
            Ok(plain(resolve(&scope.base, &address)?, None))
        };
        times.rendition(init.as_ref(), piece)
    }

    fn list(&self, scope: &Scope<'_, '_>) -> Result<Rendition, SourceError> {
        let list = scope.same().find(|node| element(*node, "SegmentURL").is_some());
        let list = list.ok_or_else(|| damaged("a list is empty"))?;
        let addresses: Vec<_> = elements(list, "SegmentURL").take(SEGMENTS_MAX + 1).collect();
        let times = Times::read(scope, self.end, Some(addresses.len()))?;
        let init = initialization(scope)?;
        let piece = |n: usize, _| {
            let told = addresses.get(n).ok_or_else(|| damaged("a list is too short"))?;
            let url = match told.attribute("media") {
                Some(address) => resolve(&scope.base, address)?,
                None => scope.base.clone(),
            };
            Ok(plain(url, told.attribute("mediaRange").map(byte_range).transpose()?))
        };
        times.rendition(init.as_ref(), piece)
    }
}

const fn plain(url: Url, range: Option<Range<u64>>) -> Piece {
    Piece { place: Place { url, range }, key: None }
}

/// The `Initialization` element.
fn initialization(scope: &Scope<'_, '_>) -> Result<Option<Arc<Piece>>, SourceError> {
    let Some(told) = scope.part("Initialization") else { return Ok(None) };
    let url = match told.attribute("sourceURL") {
        Some(address) => resolve(&scope.base, address)?,
        None => scope.base.clone(),
    };
    let range = told.attribute("range").map(byte_range).transpose()?;
    Ok(Some(Arc::new(plain(url, range))))
}

/// `first-last`, both included.
fn byte_range(text: &str) -> Result<Range<u64>, SourceError> {
    let wrong = || damaged("a byte range is none");
    let (first, last) = text.trim().split_once('-').ok_or_else(wrong)?;
    let (first, last): (u64, u64) = (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
    let end = last.checked_add(1).filter(|end| *end > first && *end < 1 << 62);
    Ok(first..end.ok_or_else(wrong)?)
}

/// An `xs:duration` without years and months, which have no fixed length.
fn duration(text: &str) -> Option<MediaTime> {
    let rest = text.trim().strip_prefix('P')?;
    let (days, time) = rest.split_once('T').unwrap_or((rest, ""));
    let mut total = 0.0;
    for (part, units) in [
        (days, &[('Y', 0.0), ('M', 0.0), ('D', 86_400.0)][..]),
        (time, &[('H', 3600.0), ('M', 60.0), ('S', 1.0)]),
    ] {
        let mut rest = part;
        for (unit, length) in units {
            if let Some((number, behind)) = rest.split_once(*unit) {
                let number: f64 = number.parse().ok().filter(|number: &f64| *number >= 0.0)?;
                if *length == 0.0 && number > 0.0 {
                    return None;
                }
                total += number * length;
                rest = behind;
            }
        }
        if !rest.is_empty() {
            return None;
        }
    }
    MediaTime::from_seconds(total).ok().filter(|time| time.0 <= DURATION_MAX)
}
