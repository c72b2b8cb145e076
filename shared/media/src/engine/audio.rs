//! The sound of a clip: which samples it has, and FFmpeg's words for making them.

use domain::{quality::Format, time::MediaTime};

use super::plan::samples;
use crate::ffmpeg::{Args, AudioStream};

/// The sampling rates of AAC (ISO/IEC 14496-3, table 1.18).
const AAC_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// The most channels of an AAC stream whose layout every decoder knows without being told: 5.1.
const AAC_CHANNELS_MAX: u32 = 6;

/// The most channels of FLAC (RFC 9639, 9.1.3).
const FLAC_CHANNELS_MAX: u32 = 8;

/// The highest rate of FLAC in samples a second (RFC 9639, 8.2).
const FLAC_RATE_MAX: u32 = 655_350;

/// By how much sound may be off its own time.
const OFF_MAX: MediaTime = MediaTime(4_000);

/// A step of the clock of this much is a gap at once, however long packets are.
const STEP_MAX: MediaTime = MediaTime(10_000);

/// So many packets in a row that are off by more than [`OFF_MAX`] are: one alone is jitter, as of recorders that write
/// down when a packet came, and to fill and cut that would be heard.
const OFF_PACKETS_MAX: u32 = 3;

/// Times without jitter: an expression for `asetpts` by which each frame follows the one before, to the sample, unless
/// there is a gap between the two, or an overlap. It keeps when the next frame is due (0), whether there was one (1), for
/// how many frames in a row (behind its sign, in which direction) time has been off (2), and by how much it is (3).
fn steady(rate: u32) -> String {
    let (off, step) = (samples(OFF_MAX, rate), samples(STEP_MAX, rate));
    format!(
        "st(3,if(ld(1),PTS-ld(0),0));\
         st(2,if(gt(abs(ld(3)),{off}),if(gt(ld(2)*ld(3),0),ld(2),0)+sgn(ld(3)),0));\
         st(4,if(ld(1)*not(isnan(PTS))*lt(abs(ld(3)),min({step},NB_SAMPLES/2))*lt(abs(ld(2)),{OFF_PACKETS_MAX}),\
         ld(0),st(2,0)+PTS));st(1,1);st(0,ld(4)+NB_SAMPLES);ld(4)"
    )
}

/// The sound of a cut. Times are in samples of `rate` on the local file's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioPlan {
    /// The stream's number in the local file.
    pub stream: u32,
    /// The number of the stream that is the right channel, where that is one of its own.
    pub right: Option<u32>,
    /// Samples a second of the clip.
    pub rate: u32,
    /// How many channels; the source's own, unless it has more than the format takes.
    pub channels: u32,
    /// Bits of a sample where these are kept as they are: 16 or 24.
    pub bits: u32,
    /// The clip's zero.
    pub from: i64,
    /// The first sample behind the clip.
    pub to: i64,
}

impl AudioPlan {
    /// The sound of `stream` from `zero` to `end` of the local clock, as `format` has it.
    pub(super) fn new(stream: &AudioStream, format: Format, zero: MediaTime, end: MediaTime) -> Self {
        let AudioStream { index, sample_rate, channels, right, bits, .. } = *stream;
        let (rate, channels) = match format {
            Format::Wav | Format::Flac => {
                let rate = if sample_rate <= FLAC_RATE_MAX { sample_rate } else { 48_000 };
                (rate, if channels <= FLAC_CHANNELS_MAX { channels } else { 2 })
            }
            // Packets can be copied only as they are.
            Format::M4a
                if stream.codec == "aac"
                    && AAC_RATES.contains(&sample_rate)
                    && channels <= AAC_CHANNELS_MAX =>
            {
                (sample_rate, channels)
            }
            // What AAC and MPEG-1 layer III (at 192 kbit/s) both can do; anything else becomes 48 kHz.
            _ if matches!(sample_rate, 32_000 | 44_100 | 48_000) => (sample_rate, channels.min(2)),
            _ => (48_000, channels.min(2)),
        };
        let from = samples(zero, rate);
        let to = samples(end, rate).max(from + 1);
        let bits = if bits > 16 { 24 } else { 16 };
        Self { stream: index, right, rate, channels, bits, from, to }
    }

    /// How long it is heard.
    pub(super) fn length(&self) -> MediaTime {
        MediaTime::from_ticks(self.to - self.from, self.rate)
    }

    /// Picks the sound by sample. Where the source has none (it begins late, pauses, ends early) there is silence,
    /// so the track begins with the clip and needs no edit list to be in sync.
    ///
    /// Invariant: between any two gaps of the source, sound is within [`OFF_MAX`] of its own time.
    fn filters(&self) -> String {
        let Self { rate, from, to, .. } = *self;
        let steady = steady(rate);
        let layout = match if self.right.is_some() { 1 } else { self.channels } {
            1 => ":channel_layouts=mono",
            2 => ":channel_layouts=stereo",
            _ => "",
        };
        let length = to - from;
        // Both bounds of `aresample` are below one sample: what it sees as a gap is one.
        format!(
            "aformat=sample_rates={rate}{layout},asetpts='{steady}',atrim=start_pts={from}:end_pts={to},\
             asetpts=PTS-({from}),aresample=async=1:min_comp=0.000001:min_hard_comp=0.000001:first_pts=0,\
             apad=whole_len={length},atrim=end_sample={length}"
        )
    }

    /// FFmpeg's words for the stream and the samples of it.
    pub(super) fn heard(&self, args: Args) -> Args {
        let (left, filters) = (self.stream, self.filters());
        match self.right {
            None => args.words(&format!("-map 0:{left}")).option("-af", filters),
            // Each is as long as the other then, whatever lacks in the one.
            Some(right) => args
                .option(
                    "-filter_complex",
                    format!(
                        "[0:{left}]{filters}[left];[0:{right}]{filters}[right];[left][right]{JOIN}[heard]"
                    ),
                )
                .words("-map [heard]"),
        }
    }

    /// The codec's name as `ffprobe` prints it.
    pub(super) const fn codec(&self, format: Format) -> &'static str {
        match (format, self.bits) {
            (Format::Mp4 | Format::M4a, _) => "aac",
            (Format::Mp3, _) => "mp3",
            (Format::Flac, _) => "flac",
            (Format::Wav, 24) => "pcm_s24le",
            (Format::Wav, _) => "pcm_s16le",
            (Format::Gif, _) => "",
        }
    }

    /// Encoder and container of a file of sound alone.
    pub(super) fn output(&self, format: Format, args: Args) -> Args {
        match format {
            Format::Mp3 => args.words("-c:a libmp3lame -b:a 192k -id3v2_version 0 -f mp3"),
            Format::Wav => args.words(&format!("-c:a {} -fflags +bitexact -f wav", self.codec(format))),
            Format::Flac if self.bits == 24 => {
                args.words("-c:a flac -sample_fmt s32 -bits_per_raw_sample 24 -fflags +bitexact -f flac")
            }
            Format::Flac => args.words("-c:a flac -sample_fmt s16 -fflags +bitexact -f flac"),
            // On a clock of its own samples the edit list is exact.
            Format::M4a | Format::Mp4 | Format::Gif => {
                args.words(AAC).words(&format!("-movie_timescale {} -movflags +faststart -f ipod", self.rate))
            }
        }
    }
}

/// Two mono sounds as the left and the right of one.
pub(crate) const JOIN: &str = "join=inputs=2:channel_layout=stereo:map=0.0-FL|1.0-FR";

/// The sound of an MP4.
pub(super) const AAC: &str = "-c:a aac -b:a 192k";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffmpeg::TimeBase;

    fn plan(codec: &str, sample_rate: u32, channels: u32, bits: u32, format: Format) -> AudioPlan {
        let time_base = TimeBase { num: 1, den: sample_rate };
        let codec = codec.to_owned();
        let stream = AudioStream { index: 1, codec, time_base, sample_rate, channels, right: None, bits };
        AudioPlan::new(&stream, format, MediaTime(1_500_000), MediaTime(4_250_000))
    }

    #[test]
    fn what_has_no_loss_keeps_the_sources_samples() {
        for format in [Format::Wav, Format::Flac] {
            let kept = plan("pcm_s24le", 96_000, 6, 24, format);
            assert_eq!((kept.rate, kept.channels, kept.bits), (96_000, 6, 24));
            assert_eq!((kept.from, kept.to), (144_000, 408_000));
            assert_eq!(plan("aac", 22_050, 1, 0, format).bits, 16);
            let much = plan("pcm_f32le", 768_000, 16, 32, format);
            assert_eq!((much.rate, much.channels, much.bits), (48_000, 2, 24));
        }
    }

    #[test]
    fn two_channels_of_their_own_become_one_sound() {
        let right = |audio: AudioPlan| AudioPlan { right: Some(3), ..audio };
        let args =
            format!("{:?}", right(plan("pcm_s16le", 48_000, 2, 16, Format::Wav)).heard(Args::default()));
        assert!(
            args.contains("[0:1]") && args.contains("[0:3]") && args.contains("channel_layouts=mono"),
            "{args}"
        );
        assert!(args.contains("join=inputs=2"), "{args}");
    }

    #[test]
    fn what_can_be_copied_stays_as_it_is() {
        let shape = |plan: AudioPlan| (plan.rate, plan.channels);
        assert_eq!(shape(plan("aac", 22_050, 6, 0, Format::M4a)), (22_050, 6));
        assert_eq!(shape(plan("opus", 48_000, 6, 0, Format::M4a)), (48_000, 2));
        assert_eq!(shape(plan("aac", 22_050, 6, 0, Format::Mp4)), (48_000, 2));
        assert_eq!(shape(plan("aac", 44_100, 1, 0, Format::Mp3)), (44_100, 1));
    }
}
