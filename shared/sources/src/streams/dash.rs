//! DASH manifests (ISO/IEC 23009-1): one period, on demand.

use std::{ops::Range, sync::Arc};

use domain::{
    quality::{PictureSize, Quality},
    time::MediaTime,
};
use roxmltree::{Document, Node, ParsingOptions};
use url::Url;

use super::{
    ADDRESS_BYTES_MAX, Candidate, Codecs, DURATION_MAX, Piece, Place, RENDITIONS_MAX, Rendition,
    SEGMENTS_MAX, Segment, choose, damaged, picture, resolve, unsupported,
};
use crate::SourceError;

/// The most elements and texts of a manifest.
const NODES_MAX: u32 = 400_000;

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

fn pick(all: &[Representation], quality: Quality) -> Option<&Representation> {
    let candidate =
        |one: &Representation| Candidate { picture: one.picture, plain: one.plain, bandwidth: one.bandwidth };
    all.get(choose(all.iter().map(candidate), quality)?)
}

fn elements<'a, 'i: 'a>(parent: Node<'a, 'i>, name: &'a str) -> impl Iterator<Item = Node<'a, 'i>> {
    parent.children().filter(move |node| node.is_element() && node.tag_name().name() == name)
}

fn element<'a, 'i: 'a>(parent: Node<'a, 'i>, name: &'a str) -> Option<Node<'a, 'i>> {
    elements(parent, name).next()
}

/// What holds at one place of the tree: each level adds to what is above (5.3.9.1, 5.6).
#[derive(Clone)]
struct Scope<'a, 'i> {
    base: Url,
    /// The elements that tell where the segments are, the innermost first.
    told: Vec<Node<'a, 'i>>,
    /// The elements above, the innermost first.
    above: Vec<Node<'a, 'i>>,
    protected: bool,
}

impl<'a, 'i: 'a> Scope<'a, 'i> {
    fn root(base: &Url) -> Self {
        Self { base: base.clone(), told: Vec::new(), above: Vec::new(), protected: false }
    }

    fn within(&self, node: Node<'a, 'i>) -> Result<Self, SourceError> {
        let base = match element(node, "BaseURL").and_then(|base| base.text()) {
            Some(text) => resolve(&self.base, text)?,
            None => self.base.clone(),
        };
        let told = ["SegmentTemplate", "SegmentList", "SegmentBase"].into_iter();
        let own = told.filter_map(|name| element(node, name));
        let told = own.chain(self.told.iter().copied()).collect();
        let above = [node].into_iter().chain(self.above.iter().copied()).collect();
        Ok(Self {
            base,
            told,
            above,
            protected: self.protected || element(node, "ContentProtection").is_some(),
        })
    }

    /// An attribute of the nearest element that has it.
    fn attribute(&self, name: &str) -> Option<&'a str> {
        self.above.iter().find_map(|node| node.attribute(name))
    }

    /// The innermost kind of addressing.
    fn kind(&self) -> Option<&'a str> {
        self.told.first().map(|node| node.tag_name().name())
    }

    /// The elements of that kind, the innermost first.
    fn same(&self) -> impl Iterator<Item = Node<'a, 'i>> {
        let kind = self.kind();
        self.told.iter().copied().filter(move |node| Some(node.tag_name().name()) == kind)
    }

    fn setting(&self, name: &str) -> Option<&'a str> {
        self.same().find_map(|node| node.attribute(name))
    }

    fn number(&self, name: &str, otherwise: u64) -> Result<u64, SourceError> {
        self.setting(name).map_or(Ok(otherwise), |text| {
            text.trim().parse().map_err(|_| damaged(format!("@{name} is no number")))
        })
    }

    fn part(&self, name: &'a str) -> Option<Node<'a, 'i>> {
        self.same().find_map(|node| element(node, name))
    }
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

/// When the segments begin and end, in ticks of the media's own clock.
struct Times {
    timescale: u64,
    /// What that clock shows at the period's beginning (`presentationTimeOffset`).
    zero: u64,
    list: Vec<(u64, u64)>,
}

impl Times {
    /// `count` is how many segments there are, where the manifest lists them.
    fn read(
        scope: &Scope<'_, '_>,
        end: Option<MediaTime>,
        count: Option<usize>,
    ) -> Result<Self, SourceError> {
        let timescale = scope.number("timescale", 1)?;
        if timescale == 0 || timescale > u64::from(u32::MAX) {
            return Err(damaged("a timescale is out of range"));
        }
        let zero = scope.number("presentationTimeOffset", 0)?;
        let mut times = Self { timescale, zero, list: Vec::new() };
        let end = end.map(|end| times.ticks(end));
        match (scope.part("SegmentTimeline"), scope.number("duration", 0)?) {
            (Some(timeline), _) => times.timeline(timeline, end)?,
            (None, 0) if count == Some(1) => times.push(zero, end.unwrap_or(zero))?,
            (None, 0) => return Err(damaged("its segments have no durations")),
            (None, step) => times.even(step, count, end)?,
        }
        if count.is_some_and(|count| count < times.list.len()) {
            times.list.truncate(count.unwrap_or(0));
        }
        if times.list.is_empty() { Err(damaged("it names no segment")) } else { Ok(times) }
    }

    fn ticks(&self, at: MediaTime) -> u64 {
        let ticks = u128::from(at.0.unsigned_abs()) * u128::from(self.timescale);
        u64::try_from(ticks.div_ceil(1_000_000)).unwrap_or(u64::MAX).saturating_add(self.zero)
    }

    /// The presentation's time at `ticks`.
    fn time(&self, ticks: u64) -> Result<MediaTime, SourceError> {
        let ticks = (i128::from(ticks) - i128::from(self.zero)) * 1_000_000;
        let time = i64::try_from(ticks.div_euclid(i128::from(self.timescale)));
        let time = time.ok().filter(|time| (-DURATION_MAX..=DURATION_MAX).contains(time));
        time.map(MediaTime).ok_or_else(|| damaged("it is absurdly long"))
    }

    fn push(&mut self, start: u64, end: u64) -> Result<(), SourceError> {
        if self.list.len() >= SEGMENTS_MAX {
            return Err(unsupported(format!("it has more than {SEGMENTS_MAX} segments")));
        }
        self.list.push((start, end));
        Ok(())
    }

    fn even(&mut self, step: u64, count: Option<usize>, end: Option<u64>) -> Result<(), SourceError> {
        if count.is_none() && end.is_none() {
            return Err(damaged("it does not say how long it is"));
        }
        let mut at = self.zero;
        while count.map_or(Some(at) < end, |count| self.list.len() < count) {
            let next = at.checked_add(step).ok_or_else(|| damaged("it is absurdly long"))?;
            self.push(at, next)?;
            at = next;
        }
        Ok(())
    }

    /// `SegmentTimeline` (5.3.9.6): a negative `r` repeats until the next `S` begins, or the period ends.
    fn timeline(&mut self, timeline: Node<'_, '_>, end: Option<u64>) -> Result<(), SourceError> {
        let wrong = || damaged("a segment timeline is none");
        let number = |node: Node<'_, '_>, name| {
            node.attribute(name).map(|text| text.trim().parse::<u64>().map_err(|_| wrong())).transpose()
        };
        let mut at = 0_u64;
        let mut entries = elements(timeline, "S").peekable();
        while let Some(entry) = entries.next() {
            at = number(entry, "t")?.unwrap_or(at);
            let step = number(entry, "d")?.filter(|step| *step > 0).ok_or_else(wrong)?;
            let repeats: i64 =
                entry.attribute("r").map_or(Ok(0), |text| text.trim().parse().map_err(|_| wrong()))?;
            let until = match entries.peek() {
                Some(next) => number(*next, "t")?,
                None => end,
            };
            let mut left = u64::try_from(repeats).ok().map(|repeats| repeats.saturating_add(1));
            if left.is_none() && until.is_none() {
                return Err(damaged("it does not say how long it is"));
            }
            while left.map_or(Some(at) < until, |left| left > 0) {
                let next = at.checked_add(step).ok_or_else(wrong)?;
                self.push(at, next)?;
                at = next;
                left = left.map(|left| left - 1);
            }
        }
        Ok(())
    }

    fn rendition(
        &self,
        init: Option<&Arc<Piece>>,
        piece: impl Fn(usize, u64) -> Result<Piece, SourceError>,
    ) -> Result<Rendition, SourceError> {
        let mut segments = Vec::new();
        for (n, (start, end)) in self.list.iter().enumerate() {
            segments.push(Segment {
                piece: piece(n, *start)?,
                init: init.cloned(),
                start: self.time(*start)?,
                end: self.time(*end)?,
                run: 0,
                gap: false,
            });
        }
        let zero = i128::from(self.zero) * 1_000_000 + i128::from(self.timescale) / 2;
        let zero =
            i64::try_from(zero / i128::from(self.timescale)).map_err(|_| damaged("it is absurdly long"))?;
        Ok(Rendition { segments, zero: Some(MediaTime(zero)) })
    }
}

/// Fills in a template (5.3.9.4.4).
fn fill(template: &str, scope: &Scope<'_, '_>, number: u64, time: u64) -> Result<String, SourceError> {
    let wrong = || damaged("a template is none");
    if template.len() > ADDRESS_BYTES_MAX {
        return Err(wrong());
    }
    let mut filled = String::new();
    let mut parts = template.split('$');
    filled.push_str(parts.next().unwrap_or_default());
    while let Some(name) = parts.next() {
        let behind = parts.next().ok_or_else(wrong)?;
        let (name, width) = match name.split_once("%0") {
            Some((name, format)) => {
                let width = format.strip_suffix('d').and_then(|width| width.parse::<usize>().ok());
                (name, width.filter(|width| *width <= 32).ok_or_else(wrong)?)
            }
            None => (name, 1),
        };
        match name {
            "" => filled.push('$'),
            "RepresentationID" => filled.push_str(scope.attribute("id").unwrap_or_default()),
            "Number" => filled.push_str(&format!("{number:0width$}")),
            "Time" => filled.push_str(&format!("{time:0width$}")),
            "Bandwidth" => {
                let bandwidth: u64 =
                    scope.attribute("bandwidth").unwrap_or("0").parse().map_err(|_| wrong())?;
                filled.push_str(&format!("{bandwidth:0width$}"));
            }
            _ => return Err(wrong()),
        }
        filled.push_str(behind);
    }
    Ok(filled)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<Manifest, SourceError> {
        let text = format!(
            "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" \
             mediaPresentationDuration=\"PT10S\">{body}</MPD>"
        );
        Manifest::parse(&text, &Url::parse("https://example.com/a/m.mpd").unwrap())
    }

    fn segments(body: &str) -> Result<Rendition, SourceError> {
        let body = format!("<Period><AdaptationSet mimeType=\"video/mp4\">{body}</AdaptationSet></Period>");
        match &parse(&body)?.video(Quality::P1080).unwrap().media {
            Media::Segments(rendition) => Ok(rendition.clone()),
            Media::File(url) => panic!("{url}"),
        }
    }

    fn paths(rendition: &Rendition) -> Vec<&str> {
        rendition.segments.iter().map(|segment| segment.piece.place.url.path()).collect()
    }

    #[test]
    fn templates_are_filled_in_and_inherited() {
        let list = segments(
            "<BaseURL>v/</BaseURL><SegmentTemplate timescale=\"10\" duration=\"40\" startNumber=\"9\" \
             initialization=\"$RepresentationID$/init.mp4\" media=\"$RepresentationID$-$Bandwidth%03d$-$Number%04d$$$.m4s\"/>\
             <Representation id=\"x\" bandwidth=\"7\"><BaseURL>w/</BaseURL><SegmentTemplate \
             presentationTimeOffset=\"20\"/></Representation>",
        );
        let list = list.unwrap();
        assert_eq!(
            paths(&list),
            ["/a/v/w/x-007-0009$.m4s", "/a/v/w/x-007-0010$.m4s", "/a/v/w/x-007-0011$.m4s"]
        );
        assert_eq!(list.segments[0].init.as_ref().unwrap().place.url.path(), "/a/v/w/x/init.mp4");
        assert_eq!((list.segments[1].start, list.zero), (MediaTime(4_000_000), Some(MediaTime(2_000_000))));
    }

    #[test]
    fn timelines_repeat_and_jump() {
        let list = segments(
            "<Representation id=\"x\"><SegmentTemplate timescale=\"1000\" media=\"$Time$.m4s\"><SegmentTimeline>\
             <S t=\"500\" d=\"1000\" r=\"-1\"/><S t=\"3500\" d=\"2000\" r=\"1\"/><S d=\"1500\" r=\"-1\"/>\
             </SegmentTimeline></SegmentTemplate></Representation>",
        );
        let list = list.unwrap();
        let times = ["500", "1500", "2500", "3500", "5500", "7500", "9000"];
        assert_eq!(paths(&list), times.map(|time| format!("/a/{time}.m4s")));
        assert_eq!(list.duration(), MediaTime(10_500_000));
    }

    #[test]
    fn lists_and_single_files() {
        let list = segments(
            "<Representation id=\"x\"><BaseURL>all.mp4</BaseURL><SegmentList duration=\"4\"><Initialization \
             range=\"0-99\"/><SegmentURL mediaRange=\"100-199\"/><SegmentURL media=\"b.m4s\"/></SegmentList>\
             </Representation>",
        );
        let list = list.unwrap();
        assert_eq!(list.segments[0].init.as_ref().unwrap().place.range, Some(0..100));
        assert_eq!(list.segments[0].piece.place.range, Some(100..200));
        assert_eq!(paths(&list), ["/a/all.mp4", "/a/b.m4s"]);
        let both = parse(
            "<BaseURL>https://cdn.example.org/c/</BaseURL><Period>\
             <AdaptationSet contentType=\"video\"><Representation width=\"640\" height=\"360\"><BaseURL>v.mp4\
             </BaseURL><SegmentBase indexRange=\"1-2\"/></Representation></AdaptationSet>\
             <AdaptationSet contentType=\"audio\"><Representation><BaseURL>a.mp4</BaseURL></Representation>\
             </AdaptationSet><AdaptationSet contentType=\"text\"><Representation/></AdaptationSet></Period>",
        );
        let both = both.unwrap();
        let file = |url: &str| Media::File(Url::parse(url).unwrap());
        assert_eq!(both.video(Quality::P720).unwrap().media, file("https://cdn.example.org/c/v.mp4"));
        assert_eq!(both.audio().unwrap().media, file("https://cdn.example.org/c/a.mp4"));
    }

    #[test]
    fn what_cannot_be_cut_is_told_apart() {
        let told = |body: &str| parse(body).unwrap_err().to_string();
        assert!(told("<Period/><Period/>").contains("several periods"));
        let drm = "<Period><AdaptationSet mimeType=\"video/mp4\"><ContentProtection/><Representation/></AdaptationSet></Period>";
        assert!(told(drm).contains("DRM"));
        let live = Manifest::parse("<MPD type=\"dynamic\"/>", &Url::parse("https://example.com/").unwrap());
        assert!(live.unwrap_err().to_string().contains("live"));
    }

    #[test]
    fn hostile_manifests_end_in_an_error() {
        let template = |inner: &str, more: &str| {
            segments(&format!(
                "<Representation id=\"x\"><SegmentTemplate {more}>{inner}</SegmentTemplate></Representation>"
            ))
        };
        for (inner, more) in [
            ("", "media=\"a\""),
            ("", "media=\"$Number$\" duration=\"1\" timescale=\"0\""),
            ("", "media=\"$Number$\" duration=\"1\" timescale=\"4294967295\""),
            ("", "media=\"$Number$\" duration=\"0\""),
            ("", "media=\"$Number%99999d$\" duration=\"1\""),
            ("", "media=\"$Number\" duration=\"1\""),
            ("", "media=\"$Secret$\" duration=\"1\""),
            ("", "duration=\"1\""),
            ("", "media=\"http://[x\" duration=\"1\""),
            ("", "media=\"a\" duration=\"1\" presentationTimeOffset=\"18446744073709551615\""),
            ("<SegmentTimeline/>", "media=\"$Time$\""),
            ("<SegmentTimeline><S d=\"0\" r=\"-1\"/></SegmentTimeline>", "media=\"$Time$\""),
            ("<SegmentTimeline><S d=\"1\" r=\"999999999\"/></SegmentTimeline>", "media=\"$Time$\""),
            (
                "<SegmentTimeline><S t=\"18446744073709551615\" d=\"5\"/></SegmentTimeline>",
                "media=\"$Time$\"",
            ),
            ("<SegmentTimeline><S d=\"5\" r=\"-1\"/><S d=\"5\"/></SegmentTimeline>", "media=\"$Time$\""),
        ] {
            assert!(template(inner, more).is_err(), "{inner} {more}");
        }
        let base = Url::parse("https://example.com/").unwrap();
        let laughs = "<!DOCTYPE MPD [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><MPD>&b;</MPD>";
        for text in ["", "<MPD>", "<html/>", "<MPD/>", "<MPD><Period/></MPD>", laughs] {
            assert!(Manifest::parse(text, &base).is_err(), "{text}");
        }
        let deep = format!("<MPD>{}", "<Period>".repeat(100_000));
        assert!(Manifest::parse(&deep, &base).is_err());
    }

    #[test]
    fn durations() {
        assert_eq!(duration("PT1H2M3.5S"), Some(MediaTime(3_723_500_000)));
        assert_eq!(duration("P0Y0M1DT0H0M0.000S"), Some(MediaTime(86_400_000_000)));
        for text in ["", "P", "10", "PT5", "PT-5S", "P1M", "PTnanS", "P9999D"] {
            assert!(duration(text).is_none() || text == "P", "{text}");
        }
    }
}
