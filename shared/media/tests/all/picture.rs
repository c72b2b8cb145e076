//! What a full encode does to pictures: colours, high dynamic range, fields, and thumbnails.

#![allow(clippy::unwrap_used, clippy::panic)]

use crate::kit;

use std::path::Path;

use domain::{
    cut::Span,
    quality::{Format, Quality},
    time::MediaTime,
};
use kit::{HEIGHT, WIDTH, cut, frames, read, run, source, span};
use media::{
    engine::{self, Cut, Output},
    keyframe,
    mp4::{Index, LocalFile},
};

/// What `ffprobe` says of a file's picture, one value a line.
fn told(path: &Path, entries: &str) -> String {
    let entries = format!("stream={entries}");
    let args =
        ["-select_streams", "v:0", "-show_entries", &entries, "-of", "csv=p=0", path.to_str().unwrap()];
    String::from_utf8(read("ffprobe", &args)).unwrap().trim().trim_end_matches(',').to_owned()
}

/// Makes a file from a lavfi graph.
fn made(path: &Path, graph: &str, options: &str) {
    let mut args = vec!["-y", "-f", "lavfi", "-i", graph];
    args.extend(options.split_whitespace());
    args.push(path.to_str().unwrap());
    run("ffmpeg", &args);
}

async fn cut_small(input: &Path, span: Span, format: Format, out_dir: &Path) -> Output {
    std::fs::create_dir_all(out_dir).unwrap();
    let job = Cut {
        input,
        origin: MediaTime::ZERO,
        span,
        pace: None,
        format,
        quality: Quality::P720,
        audio: None,
        bytes_max: None,
        encode: false,
        out_dir,
    };
    engine::cut(&kit::tools(), &job, &|_| {}).await.unwrap()
}

/// Width and height of [`rgb`].
const SIDE: (usize, usize) = (70, 20);

/// The first picture as red, green and blue through the matrix and range that the file declares, by swscale; `guess`
/// is the matrix where it declares none.
fn rgb(path: &Path, guess: &str) -> Vec<u8> {
    let (width, height) = SIDE;
    let matrix = match told(path, "color_space").as_str() {
        "unknown" => guess.to_owned(),
        "smpte170m" | "bt470bg" => "bt601".to_owned(),
        other => other.to_owned(),
    };
    let matrix = if matrix == "gbr" { String::new() } else { format!(":in_color_matrix={matrix}") };
    let full = told(path, "color_range") == "pc" || told(path, "pix_fmt").starts_with("yuvj");
    let range = if full { "pc" } else { "tv" };
    let filter = format!(
        "scale={width}:{height}:flags=area+accurate_rnd+full_chroma_int:in_range={range}{matrix},format=rgb24"
    );
    let name = path.to_str().unwrap();
    read("ffmpeg", &["-i", name, "-map", "0:v:0", "-frames:v", "1", "-vf", &filter, "-f", "rawvideo", "-"])
}

/// How far the middles of seven bars are apart in two pictures, at most.
fn apart(a: &[u8], b: &[u8]) -> u8 {
    let middle = |bar: usize| (SIDE.0 * SIDE.1 / 3 / SIDE.0 * SIDE.0 + bar * SIDE.0 / 7 + SIDE.0 / 14) * 3;
    let values = (0..7).flat_map(|bar| middle(bar)..middle(bar) + 3);
    values.map(|at| a[at].abs_diff(b[at])).max().unwrap()
}

const LOSSLESS: &str = "-t 1 -c:v libx264 -preset ultrafast -qp 0 -g 25";

#[tokio::test]
async fn colours_stay_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let bars = |size: &str| format!("smptehdbars=s={size}:r=25,format=gbrp");
    let (hd, sd) = (bars("1440x810"), bars("640x360"));
    let to = |matrix: &str, range: &str, format: &str| {
        format!(
            "scale=out_color_matrix={matrix}:out_range={range}:flags=accurate_rnd+full_chroma_int,format={format}"
        )
    };
    let tags = |matrix: &str, range: &str| format!("-colorspace {matrix} -color_range {range}");
    for (name, graph, filter, options, expected) in [
        ("709.mkv", &hd, to("bt709", "tv", "yuv422p"), tags("bt709", "tv"), "tv,bt709"),
        ("601.mkv", &hd, to("bt601", "tv", "yuv444p"), tags("smpte170m", "tv"), "tv,smpte170m"),
        ("full.mkv", &hd, to("bt709", "pc", "yuv420p"), tags("bt709", "pc"), "pc,bt709"),
        ("full-sd.mkv", &sd, to("bt601", "pc", "yuv444p"), tags("bt470bg", "pc"), "pc,bt470bg"),
        ("2020.mkv", &hd, to("bt2020", "tv", "yuv420p10le"), tags("bt2020nc", "tv"), "tv,bt2020nc"),
        ("silent-sd.mkv", &sd, to("bt601", "tv", "yuv444p"), String::new(), "unknown,unknown"),
        ("silent-hd.mkv", &hd, to("bt709", "tv", "yuv420p"), String::new(), "unknown,unknown"),
        ("rgb.mkv", &hd, "null".to_owned(), "-c:v ffv1".to_owned(), "tv,bt709"),
    ] {
        let path = dir.path().join(name);
        made(&path, graph, &format!("{LOSSLESS} -vf {filter} {options}"));
        let guess = if name.contains("sd") { "bt601" } else { "bt709" };
        let wanted = rgb(&path, guess);
        assert!(wanted.iter().max() > wanted.iter().min(), "{name}: bars");
        let output = cut_small(&path, span(500, 1000), Format::Mp4, dir.path()).await;
        assert_eq!(output.method, "encode", "{name}");
        let clip = &output.media;
        assert_eq!(told(clip, "pix_fmt").replace("yuvj420p", "yuv420p"), "yuv420p", "{name}");
        assert_eq!(told(clip, "color_range,color_space"), expected, "{name}");
        let off = apart(&rgb(clip, guess), &wanted);
        assert!(off <= 2, "{name}: {off} of 255 off");
        // A JPEG says nothing: it is BT.601 in full range.
        let off = apart(&rgb(&kit::poster(&output).await.unwrap(), "bt601"), &wanted);
        assert!(off <= 4, "{name}: the poster is {off} of 255 off");
        let output = cut_small(&path, span(500, 1000), Format::Gif, dir.path()).await;
        let off = apart(&rgb(&output.media, ""), &wanted);
        assert!(off <= 4, "{name}: the GIF is {off} of 255 off");
    }
}

/// Five upright bars of these 10-bit luma values without colour.
fn greys(luma: [u32; 5]) -> String {
    let [a, b, c, d, e] = luma;
    let value = format!("if(lt(X,64),{a},if(lt(X,128),{b},if(lt(X,192),{c},if(lt(X,256),{d},{e}))))");
    format!("nullsrc=s=320x180:r=25:d=2,format=yuv420p10le,geq=lum='{value}':cb=512:cr=512")
}

/// The first picture in grey, and its middle line at five places.
fn middles(path: &Path) -> [u8; 5] {
    let name = path.to_str().unwrap();
    let picture = read("ffmpeg", &["-i", name, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "gray", "-"]);
    [32, 96, 160, 224, 288].map(|x| picture[HEIGHT / 2 * WIDTH + x])
}

#[tokio::test]
async fn high_dynamic_range_becomes_standard() {
    let dir = tempfile::tempdir().unwrap();
    let code = |signal: f64| (64.0 + 876.0 * signal).round() as u32;
    // PQ (SMPTE ST 2084) of 0, 20, 100, 203 and 1000 cd/m²; HLG of 0, 25, 50, 75 (diffuse white) and 100 %.
    let pq = [0.0, 0.3528, 0.5081, 0.5807, 0.7518].map(code);
    let hlg = [0.0, 0.25, 0.5, 0.75, 1.0].map(code);
    for (name, luma, transfer) in [("pq.mp4", pq, "smpte2084"), ("hlg.mp4", hlg, "arib-std-b67")] {
        let path = dir.path().join(name);
        let tags =
            format!("-color_primaries bt2020 -color_trc {transfer} -colorspace bt2020nc -color_range tv");
        made(&path, &greys(luma), &format!("-c:v libx264 -preset ultrafast -qp 4 {tags}"));
        assert!(told(&path, "pix_fmt,color_transfer").contains(transfer));
        let output = cut(&path, MediaTime::ZERO, span(500, 1500), Format::Mp4, dir.path()).await.unwrap();
        let entries = "pix_fmt,color_range,color_space,color_transfer,color_primaries";
        assert_eq!(told(&output.media, entries), "yuv420p,tv,bt709,bt709,bt709", "{name}");
        let gif =
            cut(&path, MediaTime::ZERO, span(500, 1500), Format::Gif, &dir.path().join("gif")).await.unwrap();
        let poster = kit::poster(&output).await.unwrap();
        for (kind, file) in [("mp4", output.media), ("poster", poster), ("gif", gif.media)] {
            let shown = middles(&file);
            assert!(shown.is_sorted_by(|a, b| a < b), "{name} {kind}: {shown:?}");
            let [black, dark, _, white, bright] = shown;
            // Untouched, black would be as dark, but white of PQ 148 and of HLG 191, and the brightest of PQ 192.
            assert!(black <= 3 && (20..110).contains(&dark), "{name} {kind}: {shown:?}");
            assert!((160..235).contains(&white) && bright >= 235, "{name} {kind}: {shown:?}");
        }
    }
}

#[tokio::test]
async fn ten_bits_are_dithered_not_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ramp.mp4");
    // Forty steps of 10 bit, which are ten of 8 bit.
    let ramp = "nullsrc=s=640x360:r=25:d=1,format=yuv420p10le,geq=lum='400+X/16':cb=512:cr=512";
    made(&path, ramp, "-c:v libx264 -preset ultrafast -qp 0");
    let output = cut(&path, MediaTime::ZERO, span(0, 500), Format::Mp4, dir.path()).await.unwrap();
    let name = output.media.to_str().unwrap();
    let raw = run(
        "ffmpeg",
        &["-i", name, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "gray", "-vf", "extractplanes=y", "-"],
    );
    let error = |(at, luma): (usize, &u8)| f64::from(*luma) - (400.0 + (at % 640 / 16) as f64) / 4.0;
    let mean = raw[..640 * 360].iter().enumerate().map(error).sum::<f64>() / (640.0 * 360.0);
    assert!(mean.abs() < 0.15, "{mean:.3} of 255 too bright, cut off it would be -0.375");
}

/// How unlike neighbouring lines are, on average, in pictures of upright bars: fields of different instants are.
fn combing(path: &Path) -> f64 {
    let name = path.to_str().unwrap();
    let raw = read("ffmpeg", &["-i", name, "-map", "0:v:0", "-f", "rawvideo", "-pix_fmt", "gray", "-"]);
    let (mut sum, mut pixels) = (0.0, 0.0);
    for picture in raw.chunks_exact(352 * 288) {
        let (upper, lower) = (&picture[..352 * 287], &picture[352..]);
        sum += upper.iter().zip(lower).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>();
        pixels += 352.0 * 287.0;
    }
    sum / pixels
}

#[tokio::test]
async fn fields_become_whole_pictures() {
    let dir = tempfile::tempdir().unwrap();
    // Bars that move 8 pixels a field.
    let fields = "nullsrc=s=352x288:r=50:d=4,format=yuv420p,geq=lum='16+200*lt(mod(X+8*N,88),44)':cb=128:cr=128,\
                  tinterlace=interleave_top,setfield=tff";
    for (name, options) in [
        ("a.ts", "-c:v mpeg2video -b:v 8M -flags +ildct+ilme -top 1"),
        ("a.mp4", "-c:v libx264 -preset veryfast -flags +ildct+ilme -x264-params tff=1"),
    ] {
        let path = dir.path().join(name);
        made(&path, fields, options);
        assert_ne!(told(&path, "field_order"), "progressive", "{name}");
        for (from, to, count) in [(500, 2500, 50), (1010, 1050, 1)] {
            let output = cut(&path, MediaTime::ZERO, span(from, to), Format::Mp4, dir.path()).await.unwrap();
            assert_eq!((output.method, output.verified.frames), ("encode", Some(count)), "{name}");
            assert_eq!(told(&output.media, "field_order"), "progressive", "{name}");
            let (before, after) = (combing(&path), combing(&output.media));
            assert!(after * 8.0 < before, "{name}: combing of {before:.2} became {after:.2}");
        }
    }
    // The same bars as whole pictures: not a line is touched.
    let path = dir.path().join("whole.mp4");
    let whole = fields.replace("tinterlace=interleave_top,setfield=tff", "null");
    made(&path, &whole, "-c:v libx264 -preset ultrafast -pix_fmt yuv444p -qp 0");
    let output = cut(&path, MediaTime::ZERO, span(500, 1500), Format::Mp4, dir.path()).await.unwrap();
    assert_eq!((output.method, output.verified.frames), ("encode", Some(50)));
    assert!(combing(&output.media) < 0.5);
}

const X264: &str = "-c:v libx264 -preset veryfast -c:a aac -sc_threshold 0";

#[tokio::test]
async fn thumbnails_show_their_instants() {
    let dir = tempfile::tempdir().unwrap();
    // With a sync picture every second only these are decoded, else all.
    for (group, slack) in [(25, 0), (250, 2)] {
        let path = source(dir.path(), "a.mp4", "25", 14.0, &format!("{X264} -g {group}"));
        let output = cut(&path, MediaTime::ZERO, span(1000, 11_500), Format::Mp4, dir.path()).await.unwrap();
        let sprite = engine::sprite(&kit::tools(), &output, "x.jpg").await.unwrap().unwrap();
        assert_eq!(told(&sprite.picture, "codec_name,width,height"), "mjpeg,1600,180");
        let name = sprite.picture.to_str().unwrap();
        let raw = read("ffmpeg", &["-i", name, "-f", "rawvideo", "-pix_fmt", "gray", "-"]);
        let cues = std::fs::read_to_string(&sprite.cues).unwrap();
        let places: Vec<Vec<usize>> = cues
            .lines()
            .filter_map(|line| line.strip_prefix("x.jpg#xywh="))
            .map(|place| place.split(',').map(|number| number.parse().unwrap()).collect())
            .collect();
        assert_eq!((places.len(), places[10].as_slice()), (11, &[0, 90, 160, 90][..]));
        assert!(cues.contains("00:00:10.000 --> 00:00:10.500\n"));
        for (second, place) in places.iter().enumerate() {
            let bright = |bit: &usize| raw[(place[1] + 85) * 1600 + place[0] + bit * 10 + 5] > 127;
            let number: usize = (0..16).filter(bright).map(|bit| 1 << bit).sum();
            // A frame that nothing refers to may be passed over.
            let early = (25 + 25 * second).checked_sub(number);
            assert!(early.is_some_and(|frames| frames <= slack), "thumbnail {second} is frame {number}");
        }
    }
    let path = dir.path().join("a.mp4");
    let short = cut(&path, MediaTime::ZERO, span(1000, 3000), Format::Mp4, dir.path()).await.unwrap();
    assert_eq!(engine::sprite(&kit::tools(), &short, "x.jpg").await.unwrap(), None);
}

#[tokio::test]
async fn a_span_between_key_frames_is_copied() {
    let dir = tempfile::tempdir().unwrap();
    for (options, wanted) in [
        ("-g 50 -bf 0", Some(span(2000, 5520))),
        ("-g 50 -bf 3 -x264-params b-pyramid=normal", None),
        ("-g 50 -bf 3 -x264-params b-pyramid=normal:b-adapt=0", None),
    ] {
        let path = source(dir.path(), "a.mp4", "25", 9.0, &format!("{X264} {options}"));
        let index = Index::read(&LocalFile::open(&path).unwrap()).await.unwrap();
        let asked = span(3010, 5510);
        let around = keyframe::around(&index, asked).unwrap();
        assert!(wanted.is_none_or(|wanted| wanted == around), "{around:?}");
        assert_eq!(around.start, MediaTime(2_000_000), "{options}");
        assert!(around.end >= asked.end && around.end <= MediaTime(6_000_000), "{options}: {around:?}");
        let output = cut(&path, MediaTime::ZERO, around, Format::Mp4, dir.path()).await.unwrap();
        assert_eq!((output.method, output.verified.span), ("copy", around), "{options}");
        let numbers: Vec<u32> = frames(&output.media, "null").list.iter().map(kit::Frame::number).collect();
        let behind = u32::try_from(around.end.0 / 40_000).unwrap();
        assert_eq!(numbers, (50..behind).collect::<Vec<u32>>(), "{options}");
        // The end of the file is as good a place as any, and may be the end of the sound.
        let last = keyframe::around(&index, span(8500, 8990)).unwrap();
        assert_eq!((last.start, last.end), (MediaTime(8_000_000), MediaTime(8_990_000)), "{options}");
    }
    // Nothing to begin with nearby, and a codec that is not copied.
    let one = source(dir.path(), "b.mp4", "25", 40.0, &format!("{X264} -preset ultrafast -g 2000"));
    let index = Index::read(&LocalFile::open(&one).unwrap()).await.unwrap();
    assert_eq!(keyframe::around(&index, span(35_000, 36_000)), None);
    assert_eq!(keyframe::around(&index, span(5000, 6000)).unwrap().start, MediaTime::ZERO);
    let other = source(dir.path(), "c.mp4", "25", 2.0, "-c:v mpeg4 -g 25 -an");
    let index = Index::read(&LocalFile::open(&other).unwrap()).await.unwrap();
    assert_eq!(keyframe::around(&index, span(1000, 1500)), None);
}
