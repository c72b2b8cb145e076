//! H.265, and pictures of 10 bits.

use std::{collections::BTreeSet, path::Path};

use super::{Kind, full, read, remake, source, span, turn};

const X265: &str = "-c:v libx265 -preset ultrafast -c:a aac -tag:v hvc1";

/// Two seconds to a group, all closed, with B-frames that others refer to.
const PYRAMID: &str =
    "log-level=error:keyint=50:min-keyint=50:scenecut=0:open-gop=0:bframes=3:b-adapt=0:b-pyramid=1:ref=3";

/// What the first and last screen of HDR10 pictures is told, as x265 takes it.
const HDR10: &str = "hdr-opt=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):\
                     max-cll=1000,400";

#[tokio::test]
async fn every_position_of_a_cut() {
    let dir = tempfile::tempdir().unwrap();
    let options = format!("{X265} -pix_fmt yuv420p -x265-params {PYRAMID}");
    let kind = Kind::new(source(dir.path(), "a.mp4", "25", 6.0, &options));
    kind.check(span(2000, 4000), (0, 0)).await; // group to group
    kind.check(span(1960, 2040), (1, 0)).await;
    kind.check(span(1500, 4250), (12, 2)).await;
    kind.check(span(40, 2200), (49, 0)).await;
}

#[tokio::test]
async fn noise_is_hardly_told_from_the_source() {
    let dir = tempfile::tempdir().unwrap();
    for encoder in [format!("{X265} -x265-params {PYRAMID}"), "-c:v libx264 -g 50 -bf 2 -c:a aac".to_owned()]
    {
        let options =
            format!("{encoder} -preset ultrafast -crf 8 -pix_fmt yuv420p -vf noise=alls=100:allf=t");
        let kind = Kind::new(source(dir.path(), "a.mp4", "25", 2.6, &options));
        kind.check(span(1500, 2250), (12, 3)).await;
    }
}

#[tokio::test]
async fn ten_bits_stay_ten() {
    let dir = tempfile::tempdir().unwrap();
    let ten = "-pix_fmt yuv420p10le";
    let wavefronts = format!("{X265} {ten} -x265-params {PYRAMID}:ctu=16:wpp=1:slices=2:temporal-layers=1");
    let kind = Kind::new(source(dir.path(), "hevc.mp4", "30000/1001", 5.0, &wavefronts));
    kind.check(span(1000, 4250), (20, 3)).await;
    let options = format!("-c:v libx264 -preset veryfast -g 50 -c:a aac {ten}");
    let kind = Kind::new(source(dir.path(), "avc.mp4", "25", 5.0, &options));
    kind.check(span(1500, 4250), (12, 3)).await;
}

#[tokio::test]
async fn variable_rate_without_sound() {
    let dir = tempfile::tempdir().unwrap();
    let times = "-an -vf select='mod(n,5)-2+gt(mod(n,11),7)' -fps_mode passthrough";
    // Under this name, sets might lie in the samples; here they do, and are the same as in the configuration.
    let options = format!("{X265} {times} -x265-params {PYRAMID}:repeat-headers=1").replace("hvc1", "hev1");
    let kind = Kind { sound: None, ..Kind::new(source(dir.path(), "a.mov", "30", 6.0, &options)) };
    let at = |frame: usize| kind.frames.micros(kind.frames.list[frame].pts) / 1000;
    kind.check(span(at(40) - 1, at(120) - 1), (10, 3)).await;
}

/// What ffprobe says of the light of each picture, and of how many pictures.
fn light(path: &Path) -> (BTreeSet<String>, usize) {
    let entries = "frame=pict_type:frame_side_data";
    let args = ["-select_streams", "v:0", "-show_entries", entries, "-of", "compact=nk=1"];
    let text = String::from_utf8(read("ffprobe", &[&args[..], &[path.to_str().unwrap()]].concat())).unwrap();
    let pictures: Vec<&str> = text.split("frame|").skip(1).collect();
    let is_light = |words: &&str| words.starts_with("Mastering") || words.starts_with("Content light");
    let said = |picture: &&str| {
        picture.split("side_data|").filter(is_light).map(str::trim).collect::<Vec<_>>().join(" ")
    };
    (pictures.iter().map(said).collect(), pictures.len())
}

#[tokio::test]
async fn what_is_said_of_the_picture_stays() {
    let dir = tempfile::tempdir().unwrap();
    let colours = "-pix_fmt yuv420p10le -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc";
    let options = |more: &str| format!("{X265} {colours} -x265-params {PYRAMID}:{HDR10}:{more}");
    // Once in the configuration alone, and once in the samples alone.
    let rate = "chromaloc=2:hrd=1:vbv-maxrate=2000:vbv-bufsize=2000";
    let once = source(dir.path(), "once.mp4", "25", 5.0, &options(rate));
    turn(&once);
    let stream = source(dir.path(), "a.ts", "25", 5.0, &format!("-an {}", options("repeat-headers=1")));
    let each = remake(&stream, "each.mp4", "", "-c copy -tag:v hvc1");
    for (path, sound) in [(once, Some(0.0)), (each, None)] {
        let said = light(&path).0;
        assert_eq!(said.len(), 1, "the same of all pictures");
        assert!(
            said.iter().all(|said| said.contains("34000/50000") && said.contains("1000|400")),
            "{said:?}"
        );
        let kind = Kind { sound, ..Kind::new(path) };
        let clip = kind.check(span(1500, 4250), (12, 2)).await;
        assert_eq!(light(&clip), (said, 69));
    }
}

#[tokio::test]
async fn what_cannot_be_matched_is_encoded_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let open = PYRAMID.replace("open-gop=0", "open-gop=1");
    for (options, why) in [
        (format!("-pix_fmt yuv420p -x265-params {open}"), "no closed group"),
        (format!("-pix_fmt yuv422p10le -x265-params {PYRAMID}"), "H.265 of profile 4"),
        (format!("-pix_fmt yuv420p -x265-params {PYRAMID}:interlace=tff"), "interlaced"),
    ] {
        let path = source(dir.path(), "a.mp4", "25", 4.0, &format!("{X265} {options}"));
        full(&path, span(1500, 3250), why).await;
    }
}
