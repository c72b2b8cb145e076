//! FFmpeg's words for the pictures of a clip: which frames, in which size and colours.

use domain::quality::PictureSize;

use super::plan::{Double, Fit, VideoPlan};
use crate::ffmpeg::{Colour, TimeBase};

/// How pictures are resampled: sharp, rounded instead of cut off, chroma interpolated like luma.
const SCALER: &str = "flags=lanczos+accurate_rnd+full_chroma_int+full_chroma_inp";

/// The brightness in cd/m² that becomes white before highlights are rolled off (ITU-R BT.2100's nominal white of a
/// usual screen).
const NOMINAL_PEAK: u32 = 100;

/// Picks the frames by timestamp, moves them to the clip's own timeline and makes whole pictures of fields.
pub(super) fn frames(video: &VideoPlan) -> String {
    let VideoPlan { first, last, zero, .. } = *video;
    // A held picture is shown when the span starts.
    let at = if first < zero { format!("max(PTS-({zero})\\,0)") } else { format!("PTS-({zero})") };
    let double = left_out(&video.double);
    let clip = format!("trim=start_pts={first}:end_pts={},setpts={at}", last + 1);
    if !video.may_interlace {
        return double + &clip;
    }
    let TimeBase { num, den } = video.time_base;
    // What moves is seen by the frames around each, those outside of the clip included.
    let around = i64::from(den / num) / 2;
    let near = format!("trim=start_pts={}:end_pts={}", first - around, last + around);
    // Counts in halves of a tick, and leaves alone what is not marked as interlaced.
    format!("{double}{near},bwdif=mode=send_frame:parity=auto:deint=interlaced,settb={num}/{den},{clip}")
}

/// A filter without these frames. FFmpeg begins to count anew where the size of the pictures changes.
fn left_out(doubles: &[Double]) -> String {
    let one = |Double { at, place }: &Double| format!("eq(pts\\,{at})*eq(n\\,{place})");
    let all: Vec<String> = doubles.iter().map(one).collect();
    if all.is_empty() { String::new() } else { format!("select='not({})',", all.join("+")) }
}

/// The delivered picture as 8-bit 4:2:0, which every H.264 decoder takes. Nothing is resampled or converted that
/// need not be, and what the numbers mean stays said.
pub(super) fn delivered(video: &VideoPlan) -> String {
    let colour = &video.colour;
    let range = colour.range();
    if colour.is_hdr() {
        return format!("{},{}", scaled(video, &format!("out_range={range}")), standard_range(colour));
    }
    // Red, green and blue become what high definition is made of; everything else keeps its matrix and range.
    let (range, matrix, tag) = match colour.rgb {
        true => ("tv", ":out_color_matrix=bt709", ":colorspace=bt709"),
        false => (range, "", ""),
    };
    let scaled = scaled(video, &format!("out_range={range}{matrix}"));
    format!("{scaled},format=yuv420p,setparams=range={range}{tag}")
}

/// The delivered picture as red, green and blue.
pub(super) fn delivered_rgb(video: &VideoPlan) -> String {
    let colour = &video.colour;
    if colour.is_hdr() {
        let rgb = format!("scale={SCALER}:in_range=tv:in_color_matrix=bt709,format=rgb24");
        return format!("{},{rgb}", delivered(video));
    }
    let matrix = if colour.rgb { "auto" } else { colour.scaler_matrix(video.source) };
    format!("{},format=rgb24", scaled(video, &format!("in_color_matrix={matrix}")))
}

/// A picture for JPEG files, which hold BT.601 in full range whatever else is said (ITU-T T.871).
pub(super) fn jpeg(colour: &Colour, from: PictureSize, to: PictureSize) -> String {
    let PictureSize { width, height } = to;
    let (before, range, matrix) = match colour {
        hdr if hdr.is_hdr() => (format!("{},", standard_range(hdr)), "tv", "bt709"),
        rgb if rgb.rgb => (String::new(), "pc", "auto"),
        other => (String::new(), other.range(), other.scaler_matrix(from)),
    };
    format!(
        "{before}scale={width}:{height}:{SCALER}:in_range={range}:in_color_matrix={matrix}:out_range=pc:\
         out_color_matrix=bt601,setsar=1,format=yuvj420p"
    )
}

/// Crops or scales to the delivered size and square pixels. The same filter converts to the format that follows it;
/// `to` says how.
fn scaled(video: &VideoPlan, to: &str) -> String {
    let PictureSize { width, height } = video.picture;
    let planned = |side| only(video.source, side);
    let (before, size, behind) = match video.fit {
        Fit::Keep => (String::new(), format!("w={}:h=ih:", planned("iw")), String::new()),
        Fit::Crop => {
            (format!("crop={}:{height}:0:0,", planned(&width.to_string())), String::new(), String::new())
        }
        Fit::Scale => {
            (String::new(), format!("w={}:h={height}:", planned(&width.to_string())), String::new())
        }
        Fit::Bars => {
            let decrease = "force_original_aspect_ratio=decrease:force_divisible_by=2";
            let pad = format!(",pad={width}:{height}:-1:-1");
            // Square pixels first: what keeps the shape looks at the numbers of pixels alone.
            let square = "scale=w='max(2,trunc(iw*sar/2)*2)':h=ih,setsar=1,".to_owned();
            (square, format!("w={width}:h={height}:{decrease}:"), pad)
        }
    };
    format!("{before}scale={size}{SCALER}:in_range={}:{to}{behind},setsar=1", video.colour.range())
}

/// More pixels than any filter takes.
const TOO_MANY: u32 = 100_000_000;

/// The length of a side for pictures of the planned size alone: for others it is one at which the filter fails. FFmpeg
/// begins anew when the size changes in the middle, and would stretch what comes then without a word.
fn only(PictureSize { width, height }: PictureSize, side: &str) -> String {
    format!("'if(eq(iw\\,{width})*eq(ih\\,{height})\\,{side}\\,{TOO_MANY})'")
}

/// Brings a picture of high dynamic range (ITU-R BT.2100) to BT.709 in limited range: to linear light, to the
/// smaller set of colours, highlights rolled off, and back to numbers. What the file does not say is taken to be as
/// BT.2100 has it.
fn standard_range(colour: &Colour) -> String {
    let or = |word: &Option<String>, usual: &str| word.clone().unwrap_or_else(|| usual.to_owned());
    let (matrix, primaries) = (or(&colour.matrix, "bt2020nc"), or(&colour.primaries, "bt2020"));
    let (transfer, range) = (or(&colour.transfer, "smpte2084"), colour.range());
    format!(
        "zscale=rin={range}:min={matrix}:pin={primaries}:tin={transfer}:t=linear:npl={NOMINAL_PEAK},\
         format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=tv:d=ordered,\
         format=yuv420p,setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709"
    )
}
