//! Manifests as they are written, and as nobody should write them.

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
    assert_eq!(paths(&list), ["/a/v/w/x-007-0009$.m4s", "/a/v/w/x-007-0010$.m4s", "/a/v/w/x-007-0011$.m4s"]);
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
        ("<SegmentTimeline><S t=\"18446744073709551615\" d=\"5\"/></SegmentTimeline>", "media=\"$Time$\""),
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

/// A reader that compares each attribute with all before it would take minutes for these.
#[test]
fn elements_with_more_than_they_need_are_refused() {
    let attributes =
        |count: usize, name: &str| (0..count).map(|n| format!(" {name}{n}='>'")).collect::<String>();
    let body = |attributes: &str, inner: &str| {
        parse(&format!(
            "<Period{attributes}><AdaptationSet mimeType='video/mp4'>{inner}<Representation id='1' bandwidth='1'>\
            <BaseURL>v.mp4</BaseURL></Representation></AdaptationSet></Period>"
        ))
    };
    for name in ["a", "xmlns:a"] {
        let begun = std::time::Instant::now();
        let refused = body(&attributes(400_000, name), "").unwrap_err();
        assert!(refused.to_string().contains("too many"), "{refused}");
        assert!(begun.elapsed() < std::time::Duration::from_secs(5));
    }
    let nested = (0..200).map(|n| format!("<x xmlns:n{n}='u'>")).collect::<String>() + &"</x>".repeat(200);
    assert!(body("", &nested).is_err());
    // What only looks like attributes, and as many as manifests have.
    let hidden = format!(
        "<!-- <a{} > --><![CDATA[<a{} ]]><?x {}?>",
        attributes(200, "a"),
        attributes(200, "b"),
        "c='".repeat(200)
    );
    assert!(body(&attributes(90, "a"), &hidden).is_ok());
}

#[test]
fn durations() {
    assert_eq!(duration("PT1H2M3.5S"), Some(MediaTime(3_723_500_000)));
    assert_eq!(duration("P0Y0M1DT0H0M0.000S"), Some(MediaTime(86_400_000_000)));
    for text in ["", "P", "10", "PT5", "PT-5S", "P1M", "PTnanS", "P9999D"] {
        assert!(duration(text).is_none() || text == "P", "{text}");
    }
}
