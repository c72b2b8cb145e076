//! The cases: those of public bug reports, then others of the same kinds.

use std::{path::Path, sync::Arc};

use domain::{cut::Span, quality::Format, time::MediaTime};

use crate::{
    Ask, Case, Want, kit,
    made::{X264, beside, by, change, replace},
};

const fn span(start_ms: i64, end_ms: i64) -> Span {
    Span { start: MediaTime(start_ms * 1000), end: MediaTime(end_ms * 1000) }
}

/// Within a source, and at its very end: between two frames, where clocks of milliseconds are in no doubt.
const MIDDLE: Span = span(2_510, 6_240);
const END: Span = span(9_510, 11_980);
/// More than any tolerance behind the end.
const BEYOND: Span = span(9_510, 12_600);

const fn ask(span: Span, format: Format, want: Want) -> Ask {
    Ask { span, format, audio: None, want }
}

const MP4: Ask = ask(MIDDLE, Format::Mp4, Want::Clip);
const MP4_END: Ask = ask(END, Format::Mp4, Want::Clip);
const MP3: Ask = ask(MIDDLE, Format::Mp3, Want::Clip);
const WAV: Ask = ask(MIDDLE, Format::Wav, Want::Clip);
const FLAC: Ask = ask(MIDDLE, Format::Flac, Want::Clip);
const M4A: Ask = ask(MIDDLE, Format::M4a, Want::Clip);
const GIF: Ask = ask(span(2_510, 4_240), Format::Gif, Want::Clip);
const WAV_END: Ask = ask(END, Format::Wav, Want::Clip);
const MP3_END: Ask = ask(END, Format::Mp3, Want::Clip);
const NOT_BEYOND: Ask = ask(BEYOND, Format::Wav, Want::Refusal("beyond the end"));
const NO_PICTURE_BEYOND: Ask = ask(BEYOND, Format::Mp4, Want::Refusal("beyond the end"));

fn case(kind: &'static str, name: impl Into<String>, words: impl Into<String>, asks: &[Ask]) -> Case {
    let words = words.into();
    made(kind, name, move |path| by(&words, path), asks)
}

fn made(
    kind: &'static str,
    name: impl Into<String>,
    make: impl Fn(&Path) + Send + Sync + 'static,
    asks: &[Ask],
) -> Case {
    Case { kind, name: name.into(), make: Arc::new(make), asks: asks.to_vec() }
}

pub(crate) fn all() -> Vec<Case> {
    [reported(), streams(), containers(), lengths(), formats()].into_iter().flatten().collect()
}

/// One of each kind that was reported, as people had it.
fn reported() -> Vec<Case> {
    let ts = |path: &Path| by("CODED -c copy -f mpegts", path);
    vec![
        case(
            "length",
            "pipe.mkv",
            format!("PIPE BASE {X264} -c:a aac -f matroska"),
            &[MP4, MP3, WAV, FLAC, M4A, GIF, MP4_END, NO_PICTURE_BEYOND],
        ),
        case(
            "length",
            "pipe.flac",
            "PIPE BASE -vn -c:a flac -f flac",
            &[WAV, MP3, FLAC, M4A, WAV_END, NOT_BEYOND],
        ),
        case(
            "length",
            "loudfirst.mp3",
            "BASE -vn -af volume=if(lt(t\\,4)\\,1\\,0.001):eval=frame -c:a libmp3lame -q:a 2 -write_xing 0 -f mp3",
            &[
                MP3,
                WAV,
                ask(span(9_000, 11_500), Format::Wav, Want::Length),
                ask(span(9_000, 11_500), Format::Mp3, Want::Length),
                NOT_BEYOND,
            ],
        ),
        made(
            "length",
            "chained.ogg",
            |path| {
                by("BASE -vn -c:a libvorbis -f ogg", path);
                change(path, |bytes| [&bytes[..], &bytes].concat());
            },
            &[
                WAV,
                ask(span(14_000, 18_000), Format::Mp3, Want::Length),
                ask(span(11_000, 13_000), Format::Wav, Want::Length),
                ask(span(22_000, 25_000), Format::Wav, Want::Refusal("beyond the end")),
            ],
        ),
        made(
            "outside",
            "midgop.ts",
            move |path| {
                ts(path);
                change(path, |bytes| bytes[bytes.len() / 188 / 8 * 188..].to_vec());
            },
            &[
                ask(span(7_000, 10_000), Format::Mp4, Want::Length),
                ask(span(7_000, 10_000), Format::Mp3, Want::Length),
            ],
        ),
        made(
            "outside",
            "lost.ts",
            move |path| {
                ts(path);
                change(path, |mut bytes| {
                    let middle = bytes.len() / 188 / 2;
                    bytes.drain(middle * 188..(middle + 6) * 188);
                    bytes
                });
            },
            &[
                ask(span(9_010, 11_490), Format::Mp4, Want::Clip),
                ask(span(9_010, 11_490), Format::Wav, Want::Clip),
            ],
        ),
        made(
            "clock",
            "twice.ts",
            move |path| {
                ts(path);
                change(path, |bytes| [&bytes[..], &bytes].concat());
            },
            &[
                MP4,
                ask(span(14_000, 18_000), Format::Mp4, Want::Either),
                ask(span(14_000, 18_000), Format::Mp3, Want::Either),
            ],
        ),
        case(
            "gaps",
            "small_gaps.mkv",
            format!("BASE {X264} -af aselect='gte(mod(t\\,1)\\,0.06)' -c:a libopus -f matroska"),
            &[
                ask(span(2_510, 7_990), Format::Mp4, Want::Length),
                ask(span(2_510, 7_990), Format::Wav, Want::Length),
            ],
        ),
        case(
            "stills",
            "one_picture.mp4",
            format!("BASE -map 0 {X264} -vf select='eq(n\\,0)' -fps_mode passthrough -c:a aac -f mp4"),
            &[ask(span(3_000, 8_000), Format::Mp4, Want::Heard(shows_at_once)), WAV],
        ),
        case(
            "stills",
            "fps1.mp4",
            format!("BASE -vf fps=1 {X264} -c:a aac -f mp4"),
            &[
                ask(span(3_000, 8_000), Format::Mp4, Want::Heard(shows_at_once)),
                ask(span(3_300, 8_000), Format::Mp4, Want::Heard(shows_at_once)),
            ],
        ),
        made(
            "resized",
            "resized.mp4",
            |path| {
                let (one, two) = (beside(path, "one.ts"), beside(path, "two.ts"));
                by(&format!("BASE -t 6 {X264} -c:a aac -f mpegts"), &one);
                let size = "-vf scale=640:360 -output_ts_offset 6";
                by(&format!("BASE -ss 6 {X264} {size} -c:a aac -f mpegts"), &two);
                let both = [one, two].map(|path| std::fs::read(path).unwrap()).concat();
                std::fs::write(beside(path, "both.ts"), both).unwrap();
                by("-i DIR/both.ts -c copy -f mp4", path);
            },
            &[
                ask(span(4_000, 8_000), Format::Mp4, Want::Either),
                ask(span(1_000, 5_000), Format::Mp4, Want::Length),
            ],
        ),
        case(
            "streams",
            "second_default.mkv",
            format!(
                "BASE -f lavfi -i sine=f=440:d=12 -map 0:v -map 1:a -map 0:a {X264} -c:a aac \
                 -metadata:s:a:0 language=deu -metadata:s:a:1 language=eng -disposition:a:0 0 \
                 -disposition:a:1 default -f matroska"
            ),
            &[
                MP4,
                WAV,
                Ask { audio: Some("2"), ..MP4 },
                Ask { audio: Some("en"), ..MP3 },
                Ask { audio: Some("ger"), want: Want::Heard(hums), ..MP4 },
                Ask { audio: Some("1"), want: Want::Heard(hums), ..WAV },
                Ask { audio: Some("fr"), want: Want::Refusal("1 (deu), 2 (eng)"), ..MP4 },
                Ask { audio: Some("3"), want: Want::Refusal("2 audio tracks"), ..MP4 },
            ],
        ),
        made(
            "streams",
            "mono_tracks.mov",
            |path| {
                let split = "[0:a]asplit[a][b];[a]pan=mono|c0=c0[l];[b]pan=mono|c0=-1*c0[r];\
                             anullsrc=r=48000:cl=mono,atrim=0:12,asplit[x][y]";
                by(
                    &format!(
                        "BASE -filter_complex {split} -map 0:v -map [l] -map [r] -map [x] -map [y] {X264} \
                         -c:a pcm_s16le -f mov"
                    ),
                    path,
                );
            },
            &[
                ask(MIDDLE, Format::Mp4, Want::Heard(two_channels)),
                ask(MIDDLE, Format::Wav, Want::Heard(two_channels)),
            ],
        ),
        case(
            "protected",
            "protected.mp4",
            "CODED -c copy -encryption_scheme cenc-aes-ctr -encryption_key 76a6c65c5ea762046bd749a2e632ccbb \
             -encryption_kid a7e61c373e219033c21091fa607bf3b8 -f mp4",
            &[
                ask(MIDDLE, Format::Mp4, Want::Refusal("rotected")),
                ask(MIDDLE, Format::Mp3, Want::Refusal("rotected")),
            ],
        ),
        made(
            "header",
            "header_size.mkv",
            |path| {
                by("CODED -c copy -f matroska", path);
                replace(path, &[0xb0, 0x82, 0x01, 0x40], &[0xb0, 0x82, 0x01, 0x44]);
            },
            &[ask(MIDDLE, Format::Mp4, Want::Length)],
        ),
    ]
}

/// Something is shown from the first instant on, and to the end.
fn shows_at_once(media: &Path) {
    let first = kit::packet_times(media, "v:0").into_iter().min().unwrap();
    assert_eq!(first, 0, "the first picture comes at once");
}

/// Nothing but the tone of 440 Hz.
fn hums(media: &Path) {
    let pcm = kit::sound(media);
    let pcm = &pcm[4800..pcm.len() - 4800];
    let turn = std::f64::consts::TAU * 440.0 / 48_000.0;
    let (mut cos, mut sin, mut all) = (0.0, 0.0, 0.0);
    for (n, sample) in pcm.iter().enumerate() {
        cos += sample * (turn * n as f64).cos();
        sin += sample * (turn * n as f64).sin();
        all += sample * sample;
    }
    let share = 2.0 * (cos * cos + sin * sin) / (pcm.len() as f64 * all);
    assert!(share > 0.9, "{share} of the sound is the tone");
}

/// Two channels, the second of which is the first one upside down.
fn two_channels(media: &Path) {
    let name = media.to_str().unwrap();
    let args = ["-i", name, "-map", "0:a:0", "-af", "pan=stereo|c0=c0|c1=c1", "-f", "s16le", "-"];
    let raw = kit::run("ffmpeg", &args);
    let samples: Vec<f64> =
        raw.chunks_exact(2).map(|b| f64::from(i16::from_le_bytes([b[0], b[1]]))).collect();
    let (mut left, mut cross) = (0.0, 0.0);
    for pair in samples.chunks_exact(2) {
        left += pair[0] * pair[0];
        cross += pair[0] * pair[1];
    }
    assert!(left / samples.len() as f64 > 1000.0, "there is sound");
    assert!(cross / left < -0.9, "the right channel is the other track: {}", cross / left);
}

/// Which of several streams is meant.
fn streams() -> Vec<Case> {
    let tone = "BASE -f lavfi -i sine=f=440:d=12:r=48000";
    let silence = "BASE -f lavfi -i anullsrc=r=48000:cl=stereo:d=12";
    let small = "-f lavfi -i testsrc=s=160x90:r=30:d=12";
    let still = "-f lavfi -i testsrc=s=320x180:r=30:d=0.03";
    let german = Ask { audio: Some("de"), want: Want::Heard(hums), ..MP4 };
    let other = Ask { audio: Some("2"), want: Want::Heard(hums), ..WAV };
    let channels = "asplit[a][b];[a]pan=mono|c0=c0[l];[b]pan=mono|c0=-1*c0[r]";
    let both = [
        ask(MIDDLE, Format::Mp4, Want::Heard(two_channels)),
        ask(MIDDLE, Format::Flac, Want::Heard(two_channels)),
    ];
    vec![
        case(
            "streams",
            "languages.mp4",
            format!(
                "{tone} -map 0:v -map 0:a -map 1:a {X264} -c:a aac -metadata:s:a:0 language=eng \
                 -metadata:s:a:1 language=deu -f mp4"
            ),
            &[MP4, M4A, german, other, Ask { audio: Some("fr"), want: Want::Refusal("2 (deu)"), ..MP4 }],
        ),
        case(
            "streams",
            "languages-fragmented.mp4",
            format!(
                "{tone} -map 0:v -map 0:a -map 1:a {X264} -c:a aac -metadata:s:a:0 language=eng \
                 -metadata:s:a:1 language=deu -movflags frag_keyframe+empty_moov -f mp4"
            ),
            &[MP4, german],
        ),
        case(
            "streams",
            "languages.ts",
            format!(
                "{tone} -map 0:v -map 0:a -map 1:a {X264} -c:a aac -metadata:s:a:0 language=eng \
                 -metadata:s:a:1 language=ger -f mpegts"
            ),
            &[MP4, german, other],
        ),
        case(
            "streams",
            "languages.avi",
            format!("{tone} -map 0:v -map 0:a -map 1:a -c:v mpeg4 -q:v 3 -c:a libmp3lame -f avi"),
            &[MP4, other],
        ),
        case(
            "streams",
            "default.mov",
            format!(
                "{tone} -map 0:v -map 1:a -map 0:a {X264} -c:a aac -disposition:a:0 0 -disposition:a:1 default -f mov"
            ),
            &[MP4, WAV],
        ),
        case(
            "streams",
            "commentary.mkv",
            format!(
                "{tone} -map 0:v -map 1:a -map 0:a {X264} -c:a aac -metadata:s:a language=eng \
                 -disposition:a:0 comment -disposition:a:1 0 -f matroska"
            ),
            &[MP4, Ask { audio: Some("en"), ..MP3 }],
        ),
        case(
            "streams",
            "silent-first.mp4",
            format!("{silence} -map 0:v -map 1:a -map 0:a {X264} -c:a aac -f mp4"),
            &[MP4, MP3, WAV],
        ),
        case(
            "streams",
            "silent-first.mkv",
            format!("{silence} -map 0:v -map 1:a -map 0:a {X264} -c:a libopus -f matroska"),
            &[MP4, M4A],
        ),
        // Dubbed: nobody wants another language because the film is quiet here.
        case(
            "streams",
            "silent-film.mkv",
            format!(
                "{silence} -map 0:v -map 1:a -map 0:a {X264} -c:a flac -metadata:s:a:0 language=eng \
                 -metadata:s:a:1 language=deu -f matroska"
            ),
            &[ask(MIDDLE, Format::Wav, Want::Heard(is_mute))],
        ),
        case(
            "streams",
            "camera.mxf",
            format!(
                "BASE -filter_complex [0:a]{channels} -map 0:v -map [l] -map [r] -c:v mpeg2video -q:v 3 -g 15 -bf 0 \
                 -c:a pcm_s16le -f mxf"
            ),
            &both,
        ),
        case(
            "streams",
            "camera-aac.mp4",
            format!("BASE -filter_complex [0:a]{channels} -map 0:v -map [l] -map [r] {X264} -c:a aac -f mp4"),
            &both,
        ),
        case(
            "streams",
            "one-microphone.mov",
            format!(
                "{silence} -filter_complex [1:a]pan=mono|c0=c0[r];[0:a]pan=mono|c0=c0[l] -map 0:v -map [l] -map [r] \
                 {X264} -c:a pcm_s16le -f mov"
            ),
            &[MP4, WAV],
        ),
        case(
            "surround",
            "ac3-5.1.mp4",
            "CODED -c:v copy -c:a ac3 -ac 6 -f mp4",
            &[ask(MIDDLE, Format::Mp4, Want::Heard(six_channels)), WAV],
        ),
        case(
            "surround",
            "eac3-5.1.mp4",
            "CODED -c:v copy -c:a eac3 -ac 6 -f mp4",
            &[ask(MIDDLE, Format::Mp4, Want::Heard(six_channels)), MP3],
        ),
        case(
            "streams",
            "thumbnail-first.mp4",
            format!("{still} BASE -map 0:v -map 1:v -map 1:a {X264} -c:a aac -f mp4"),
            &[MP4, GIF],
        ),
        case(
            "streams",
            "thumbnail-first.mkv",
            format!(
                "{small} BASE -map 0:v -map 1:v -map 1:a -c:v:1 libx264 -c:v:0 mjpeg -pix_fmt:v:0 yuvj420p -c:a aac -f matroska"
            ),
            &[MP4, GIF],
        ),
        case(
            "streams",
            "two-programmes.ts",
            format!(
                "{tone} -f lavfi -i testsrc=s=320x180:r=25:d=20 -map 0:v -map 0:a -map 2:v -map 1:a {X264} -c:a aac \
                 -program title=one:st=0:st=1 -program title=two:st=2:st=3 -f mpegts"
            ),
            &[MP4, WAV, NO_PICTURE_BEYOND],
        ),
        made(
            "streams",
            "programmes-apart.ts",
            |path| {
                let late = beside(path, "late.ts");
                by(
                    &format!(
                        "-f lavfi -i testsrc=s=320x180:r=25:d=12 -f lavfi -i sine=f=440:d=12 {X264} -c:a aac \
                         -output_ts_offset 5000 -mpegts_service_id 2 -mpegts_pmt_start_pid 0x1100 \
                         -mpegts_start_pid 0x200 -f mpegts"
                    ),
                    &late,
                );
                by("CODED -c copy -f mpegts", path);
                let other = std::fs::read(late).unwrap();
                change(path, |bytes| multiplex(&bytes, &other));
            },
            &[MP4, WAV, MP4_END, NO_PICTURE_BEYOND],
        ),
    ]
}

/// All of 5.1, as it was.
fn six_channels(media: &Path) {
    let name = media.to_str().unwrap();
    let entries = "stream=codec_name,channels";
    let text =
        kit::read("ffprobe", &["-select_streams", "a", "-show_entries", entries, "-of", "csv=p=0", name]);
    let text = String::from_utf8(text).unwrap();
    assert!(text.starts_with("ac3,6") || text.starts_with("eac3,6"), "{text}");
}

/// Silence, and nothing else.
fn is_mute(media: &Path) {
    assert!(kit::sound(media).iter().all(|sample| sample.abs() < 0.001), "another sound was taken");
}

/// Two transport streams of one programme each as one of two, whose clocks are hours apart.
fn multiplex(one: &[u8], two: &[u8]) -> Vec<u8> {
    let pid = |packet: &[u8]| u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
    // Both programmes in one table: the second one's entry goes behind the first's.
    let first = one.chunks_exact(188).find(|packet| pid(packet) == 0).unwrap();
    let mut table = first[..188].to_vec();
    let section = 5;
    let entry = [0, 2, 0xf1, 0x00];
    let len = usize::from(u16::from_be_bytes([table[section + 1] & 0x0f, table[section + 2]]));
    let at = section + 3 + len - 4;
    table.splice(at..at, entry);
    let len = len + 4;
    table[section + 1] = table[section + 1] & 0xf0 | u8::try_from(len >> 8).unwrap();
    table[section + 2] = u8::try_from(len & 0xff).unwrap();
    let sum = crc(&table[section..section + 3 + len - 4]).to_be_bytes();
    table[section + 3 + len - 4..section + 3 + len].copy_from_slice(&sum);
    table.truncate(188);
    let mut out = Vec::new();
    let mut others = two.chunks_exact(188).filter(|packet| !matches!(pid(packet), 0 | 0x11));
    let mut count = 0;
    for packet in one.chunks_exact(188) {
        if pid(packet) == 0 {
            table[3] = table[3] & 0xf0 | count & 0x0f;
            count += 1;
            out.extend_from_slice(&table);
        } else {
            out.extend_from_slice(packet);
        }
        out.extend(others.next().into_iter().flatten());
    }
    out.extend(others.flatten());
    out
}

/// The checksum of a section (ISO/IEC 13818-1, annex A).
fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte) << 24, |sum, _| {
            if sum >> 31 == 1 { sum << 1 ^ 0x04c1_1db7 } else { sum << 1 }
        })
    })
}

/// Containers and codecs, each told from its bytes alone.
fn containers() -> Vec<Case> {
    let picture: &[(&str, &str)] = &[
        ("h264-aac.mp4", "CODED -c copy -f mp4"),
        ("h264-aac.mov", "CODED -c copy -f mov"),
        ("fragmented.mp4", "CODED -c copy -movflags frag_keyframe+empty_moov -f mp4"),
        ("h264-mp3.mkv", "CODED -c:v copy -c:a libmp3lame -f matroska"),
        ("h264-ac3.mkv", "CODED -c:v copy -c:a ac3 -f matroska"),
        ("h264-eac3.mp4", "CODED -c:v copy -c:a eac3 -f mp4"),
        ("h264-flac.mkv", "CODED -c:v copy -c:a flac -f matroska"),
        ("h264-pcm.mov", "CODED -c:v copy -c:a pcm_s16le -f mov"),
        ("h264-alac.mov", "CODED -c:v copy -c:a alac -f mov"),
        ("h264-opus.mp4", "CODED -c:v copy -c:a libopus -f mp4"),
        ("h264-dts.mkv", "CODED -c:v copy -c:a dca -strict -2 -f matroska"),
        ("h264.flv", "CODED -c copy -f flv"),
        ("h264.3gp", "CODED -c copy -f 3gp"),
        ("h264.3g2", "CODED -c copy -f 3g2"),
        ("h264.ts", "CODED -c copy -f mpegts"),
        ("h264.m2ts", "CODED -c copy -mpegts_m2ts_mode 1 -f mpegts"),
        ("h264.nut", "CODED -c copy -f nut"),
        ("h264.avi", "CODED -c:v libx264 -preset ultrafast -bf 0 -c:a libmp3lame -f avi"),
        ("h264-op1a.mxf", "BASE -c:v libx264 -preset ultrafast -bf 0 -g 15 -c:a pcm_s16le -f mxf"),
        ("mpeg2-op1a.mxf", "BASE -c:v mpeg2video -q:v 3 -g 15 -bf 0 -c:a pcm_s16le -f mxf"),
        (
            "hevc.mkv",
            "BASE -c:v libx265 -preset ultrafast -x265-params log-level=none -c:a libopus -f matroska",
        ),
        ("vp8.webm", "BASE -c:v libvpx -deadline realtime -cpu-used 8 -b:v 1M -c:a libvorbis -f webm"),
        ("vp9.webm", "BASE -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 1M -c:a libopus -f webm"),
        ("av1.mp4", "BASE -c:v libsvtav1 -preset 12 -svtav1-params tune=0 -c:a aac -f mp4"),
        ("mpeg1.mpg", "BASE -c:v mpeg1video -q:v 3 -c:a mp2 -f mpeg"),
        ("mpeg2.vob", "BASE -c:v mpeg2video -q:v 3 -bf 2 -c:a ac3 -f vob"),
        ("mpeg2.ts", "BASE -c:v mpeg2video -q:v 3 -bf 2 -c:a mp2 -f mpegts"),
        ("mpeg4.avi", "BASE -c:v mpeg4 -q:v 3 -c:a libmp3lame -f avi"),
        ("mpeg4.mp4", "BASE -c:v mpeg4 -q:v 3 -c:a aac -f mp4"),
        ("xvid-packed.avi", "BASE -c:v libxvid -q:v 3 -bf 0 -c:a mp2 -f avi"),
        ("mjpeg.avi", "BASE -c:v mjpeg -q:v 3 -pix_fmt yuvj420p -c:a pcm_s16le -f avi"),
        ("mjpeg.mov", "BASE -c:v mjpeg -q:v 3 -pix_fmt yuvj420p -c:a pcm_s16le -f mov"),
        ("mjpeg-adpcm.avi", "BASE -c:v mjpeg -q:v 3 -pix_fmt yuvj420p -c:a adpcm_ima_wav -f avi"),
        ("huffyuv.avi", "BASE -c:v huffyuv -pix_fmt yuv422p -c:a pcm_s16le -f avi"),
        ("ffv1.mkv", "BASE -c:v ffv1 -c:a flac -f matroska"),
        ("prores.mov", "BASE -c:v prores -c:a pcm_s24le -f mov"),
        ("theora.ogv", "BASE -c:v libtheora -q:v 8 -c:a libvorbis -f ogg"),
        ("wmv2.asf", "BASE -c:v wmv2 -q:v 3 -c:a wmav2 -f asf"),
        ("flv1.flv", "BASE -c:v flv -q:v 3 -c:a libmp3lame -ar 44100 -f flv"),
        ("rv20.rm", "BASE -vf scale=352:288 -c:v rv20 -q:v 3 -c:a ac3 -f rm"),
    ];
    let sound: &[(&str, &str)] = &[
        ("ac3", "-c:a ac3 -f ac3"),
        ("eac3", "-c:a eac3 -f eac3"),
        ("wv", "-c:a wavpack -f wv"),
        ("tta", "-c:a tta -f tta"),
        ("au", "-c:a pcm_s16be -f au"),
        ("mulaw.au", "-c:a pcm_mulaw -f au"),
        ("aiff", "-c:a pcm_s16be -f aiff"),
        ("caf", "-c:a pcm_s16be -f caf"),
        ("alac.caf", "-c:a alac -f caf"),
        ("w64", "-c:a pcm_s24le -f w64"),
        ("wav", "-c:a pcm_s16le -f wav"),
        ("rf64.wav", "-c:a pcm_s16le -rf64 always -f wav"),
        ("adpcm.wav", "-c:a adpcm_ms -f wav"),
        ("mp3", "-c:a libmp3lame -f mp3"),
        ("mp2", "-c:a mp2 -f mp2"),
        ("aac", "-c:a aac -f adts"),
        ("latm", "-c:a aac -f latm"),
        ("m4a", "-c:a aac -f ipod"),
        ("flac", "-c:a flac -f flac"),
        ("opus", "-c:a libopus -f opus"),
        ("vorbis.oga", "-c:a libvorbis -f oga"),
        ("flac.oga", "-c:a flac -f oga"),
        ("spx", "-c:a libspeex -ar 16000 -ac 1 -f spx"),
        ("wma", "-c:a wmav2 -f asf"),
        ("mka", "-c:a libopus -f matroska"),
        ("dts", "-c:a dca -strict -2 -f dts"),
        ("mp3.mp4", "-c:a libmp3lame -f mp4"),
    ];
    let picture = picture.iter().map(|(name, words)| case("container", *name, *words, &[MP4, WAV]));
    let sound =
        sound.iter().map(|(name, words)| case("container", *name, format!("BASE -vn {words}"), &[WAV, MP3]));
    picture.chain(sound).chain(raw()).collect()
}

/// What has no container.
fn raw() -> Vec<Case> {
    let pictures = [
        ("raw.h264", format!("BASE -an {X264} -f h264")),
        (
            "raw.hevc",
            "BASE -an -c:v libx265 -preset ultrafast -x265-params log-level=none -f hevc".to_owned(),
        ),
        ("raw.m2v", "BASE -an -c:v mpeg2video -q:v 3 -f mpeg2video".to_owned()),
        ("raw.m4v", "BASE -an -c:v mpeg4 -q:v 3 -f m4v".to_owned()),
        ("raw.ivf", "BASE -an -c:v libvpx -deadline realtime -cpu-used 8 -b:v 1M -f ivf".to_owned()),
        ("raw.obu", "BASE -an -c:v libsvtav1 -preset 12 -f obu".to_owned()),
    ];
    // A raw stream does not tell its rate: 25 is taken.
    let named = |(name, words): (&'static str, String)| {
        let want = if matches!(name, "raw.ivf") { Want::Clip } else { Want::Length };
        case("raw", name, words, &[ask(MIDDLE, Format::Mp4, want)])
    };
    let amr = |path: &Path| {
        // 12.2 kbit/s: 600 frames of 20 ms, each 31 bytes behind its header.
        let mut bytes = b"#!AMR\n".to_vec();
        let frame = |n: u32| (0..31).map(move |k| (n * 31 + k).wrapping_mul(2_654_435_761).to_be_bytes()[0]);
        (0..600).for_each(|n| {
            bytes.push(0x3c);
            bytes.extend(frame(n));
        });
        std::fs::write(path, bytes).unwrap();
    };
    let in_3gp = move |path: &Path| {
        amr(&beside(path, "sound.amr"));
        by("BASE -i DIR/sound.amr -map 0:v -map 1:a -c:v mpeg4 -q:v 3 -c:a copy -f 3gp", path);
    };
    let length = |span, format| ask(span, format, Want::Length);
    pictures
        .into_iter()
        .map(named)
        .chain([
            made(
                "raw",
                "speech.amr",
                amr,
                &[length(MIDDLE, Format::Mp3), length(END, Format::Wav), NOT_BEYOND],
            ),
            made("raw", "speech.3gp", in_3gp, &[length(MIDDLE, Format::Mp4), length(END, Format::M4a)]),
        ])
        .collect()
}

/// Lengths that are not told, or told wrong.
fn lengths() -> Vec<Case> {
    let pipe = |name: &'static str, words: &str| {
        case("length", name, format!("PIPE BASE {words}"), &[MP4, MP4_END, NO_PICTURE_BEYOND])
    };
    let heard = |name: &'static str, words: &str| {
        case("length", name, format!("PIPE BASE -vn {words}"), &[WAV, WAV_END, MP3_END, NOT_BEYOND])
    };
    let changed = |name: &'static str, words: &'static str, change_it: fn(&Path)| {
        let make = move |path: &Path| {
            by(words, path);
            change_it(path);
        };
        let end = ask(END, Format::Wav, if name == "behind.mp3" { Want::Length } else { Want::Clip });
        made("length", name, make, &[WAV, end, NOT_BEYOND])
    };
    vec![
        pipe("pipe.webm", "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 1M -c:a libvorbis -f webm"),
        pipe("pipe.avi", "-c:v mpeg4 -q:v 3 -c:a libmp3lame -f avi"),
        pipe("pipe-mjpeg.avi", "-c:v mjpeg -q:v 3 -pix_fmt yuvj420p -c:a pcm_s16le -f avi"),
        pipe("pipe.flv", &format!("{X264} -c:a aac -f flv")),
        pipe("pipe.asf", "-c:v wmv2 -q:v 3 -c:a wmav2 -f asf"),
        pipe("pipe.nut", &format!("{X264} -c:a aac -f nut")),
        pipe("pipe.mxf", "-c:v mpeg2video -q:v 3 -g 15 -bf 0 -c:a pcm_s16le -f mxf"),
        pipe("pipe.ogv", "-c:v libtheora -q:v 8 -c:a libvorbis -f ogg"),
        pipe("pipe.ts", &format!("{X264} -c:a aac -f mpegts")),
        pipe("pipe.mpg", "-c:v mpeg2video -q:v 3 -c:a mp2 -f mpeg"),
        pipe("pipe-fragments.mp4", &format!("{X264} -c:a aac -movflags frag_keyframe+empty_moov -f mp4")),
        heard("pipe.mp3", "-c:a libmp3lame -q:a 4 -f mp3"),
        heard("pipe.aac", "-c:a aac -f adts"),
        heard("pipe.ac3", "-c:a ac3 -f ac3"),
        heard("pipe.eac3", "-c:a eac3 -f eac3"),
        heard("pipe.wv", "-c:a wavpack -f wv"),
        heard("pipe.wav", "-c:a pcm_s16le -f wav"),
        heard("pipe.au", "-c:a pcm_s16be -f au"),
        heard("pipe.opus", "-c:a libopus -f opus"),
        heard("pipe.mka", "-c:a libvorbis -f matroska"),
        heard("pipe.dts", "-c:a dca -strict -2 -f dts"),
        heard("pipe.mp2", "-c:a mp2 -f mp2"),
        heard("pipe.oga", "-c:a flac -f oga"),
        // ADTS whose first seconds are loud.
        case(
            "length",
            "loudfirst.aac",
            "BASE -vn -af volume=if(lt(t\\,4)\\,1\\,0.0001):eval=frame -c:a aac -f adts",
            &[ask(END, Format::Wav, Want::Length), NOT_BEYOND],
        ),
        case(
            "length",
            "quietfirst.aac",
            "BASE -vn -af volume=if(lt(t\\,8)\\,0.0001\\,1):eval=frame -c:a aac -f adts",
            &[ask(END, Format::Wav, Want::Clip), NOT_BEYOND],
        ),
        // One file behind the other: what the first one's header says is half of it.
        // The second one begins with an encoder's delay of its own, 47 ms.
        changed("behind.mp3", "BASE -vn -t 6 -c:a libmp3lame -f mp3", |path| {
            by("BASE -vn -ss 6 -c:a libmp3lame -id3v2_version 0 -f mp3", &beside(path, "second"));
            let second = std::fs::read(beside(path, "second")).unwrap();
            change(path, |bytes| [bytes, second].concat());
        }),
        // A header that was written for more than came: a recorder that died, a download that broke off.
        changed(
            "cut-off.wav",
            "-f lavfi -i aevalsrc=0.5*sin(2*PI*(300*t+60*t*t)):s=48000:d=40 -f wav",
            |path| {
                change(path, |mut bytes| {
                    bytes.truncate(44 + 12 * 96_000 + 34);
                    bytes
                });
            },
        ),
        changed("cut-off.flac", "BASE -vn -c:a flac -f flac", |path| {
            // STREAMINFO says twice as many samples.
            change(path, |mut bytes| {
                let samples = 1_152_000_u32.to_be_bytes();
                bytes[22..26].copy_from_slice(&samples);
                bytes
            });
        }),
        changed("wrong.mka", "BASE -vn -c:a libopus -f matroska", |path| {
            // `Duration` as a number of milliseconds: 60,000 instead of 12,000.
            change(path, |mut bytes| {
                let at = bytes.windows(3).position(|window| window == [0x44, 0x89, 0x88]).unwrap() + 3;
                bytes[at..at + 8].copy_from_slice(&60_000_f64.to_be_bytes());
                bytes
            });
        }),
        changed("short.mka", "BASE -vn -c:a libopus -f matroska", |path| {
            change(path, |mut bytes| {
                let at = bytes.windows(3).position(|window| window == [0x44, 0x89, 0x88]).unwrap() + 3;
                bytes[at..at + 8].copy_from_slice(&4_000_f64.to_be_bytes());
                bytes
            });
        }),
        changed("xing-lies.mp3", "BASE -vn -c:a libmp3lame -q:a 4 -f mp3", |path| {
            change(path, |mut bytes| {
                let tag = |window: &[u8]| window == b"Xing" || window == b"Info";
                let at = bytes.windows(4).position(tag).unwrap();
                bytes[at + 8..at + 12].copy_from_slice(&3_000_u32.to_be_bytes());
                bytes
            });
        }),
        changed("cut-off.mp3", "BASE -vn -c:a libmp3lame -f mp3", |_| {}),
        // Behind the end by less than a frame, or 50 ms: the clip up to the end.
        case(
            "clamp",
            "a-frame-more.mp4",
            "CODED -c copy -f mp4",
            &[ask(span(9_510, 12_040), Format::Mp4, Want::Length)],
        ),
        case(
            "clamp",
            "a-frame-more.wav",
            "BASE -vn -f wav",
            &[
                ask(span(9_510, 12_050), Format::Wav, Want::Length),
                ask(span(9_510, 12_080), Format::Wav, Want::Refusal("beyond the end")),
            ],
        ),
        case(
            "clamp",
            "a-frame-more-fps5.mp4",
            format!("BASE -vf fps=5 {X264} -an -f mp4"),
            &[ask(span(9_600, 12_100), Format::Mp4, Want::Length)],
        ),
    ]
}

/// Every format of some sources.
fn formats() -> Vec<Case> {
    let all = [MP4, MP3, WAV, FLAC, M4A, GIF];
    vec![
        case("format", "all.mp4", "CODED -c copy -f mp4", &all),
        case("format", "all.mkv", "CODED -c copy -f matroska", &all),
        case("format", "all.ts", "CODED -c copy -f mpegts", &all),
        case(
            "format",
            "all.webm",
            "BASE -c:v libvpx -deadline realtime -cpu-used 8 -b:v 1M -c:a libopus -f webm",
            &all,
        ),
        case("format", "all.avi", "BASE -c:v mpeg4 -q:v 3 -c:a libmp3lame -f avi", &all),
    ]
}
