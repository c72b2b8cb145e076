//! A sound in which there is nothing to be heard: the unused channel of a recorder, a microphone that was off.

use std::path::Path;

use domain::{
    cut::Span,
    time::MediaTime,
    tracks::{self, AudioWish},
};

use super::{Cut, EngineError, execute::NO_EXTRAS};
use crate::{
    ffmpeg::{Args, Probe, Tools},
    process::Finished,
};

/// Below this no sample of 16 bits is heard: -66 dB. What is quieter is the noise of a converter.
const HEARD_MIN: u16 = 16;

/// Enough to hear whether there is anything, in samples a second.
const RATE: u32 = 8_000;

/// The most tracks that are listened to for one that is not silent.
const TRACKS_MAX: usize = 8;

/// Which sound is meant instead of the default one, if that is silent within the span and another is not.
pub(super) async fn stand_in(
    tools: &Tools,
    job: &Cut<'_>,
    probe: &Probe,
) -> Result<Option<AudioWish>, EngineError> {
    let shift = job.origin.since(probe.zero);
    let local = |at: MediaTime| at.since(shift);
    let span = Span { start: local(job.span.start), end: local(job.span.end) };
    let Ok(Some(chosen)) = tracks::choose(&probe.sounds, None) else { return Ok(None) };
    let heard = async |position: usize| {
        let Some(track) = probe.sounds.get(position) else { return Ok(false) };
        is_silent(tools, (job.input, track.stream), span, job.out_dir).await.map(|silent| !silent)
    };
    let number = |position: usize| probe.sounds.get(position).map(|track| AudioWish::Number(track.number));
    match (heard(chosen.track).await?, chosen.right) {
        (true, None) => return Ok(None),
        (left, Some(right)) => match (left, heard(right).await?) {
            (true, true) => return Ok(None),
            // A channel that is silent is none: what is left is heard on both sides.
            (true, false) => return Ok(number(chosen.track)),
            (false, true) => return Ok(number(right)),
            (false, false) => {}
        },
        (false, None) => {}
    }
    let others = tracks::stand_ins(&probe.sounds, chosen.track);
    for other in others.into_iter().filter(|other| Some(*other) != chosen.right).take(TRACKS_MAX) {
        if heard(other).await? {
            return Ok(number(other));
        }
    }
    Ok(None)
}

/// Whether nothing is heard in a stream of a local file within `span` of the file's own clock. What cannot be
/// decoded is silent.
///
/// # Errors
/// [`EngineError`] if FFmpeg cannot be run.
pub async fn is_silent(
    tools: &Tools,
    (path, stream): (&Path, u32),
    span: Span,
    folder: &Path,
) -> Result<bool, EngineError> {
    let out = folder.join("heard.wav");
    let trim = format!("atrim=start={:.6}:end={:.6}", span.start.seconds(), span.end.seconds());
    let args = Args::default()
        .words("-copyts")
        .input(path)
        .words(&format!("-map 0:{stream} -af {trim} -ar {RATE} -c:a pcm_s16le"))
        .words(NO_EXTRAS)
        .words("-f wav")
        .file(&out);
    let Finished { success, .. } = tools.ffmpeg(args, &mut |_| {}).await?;
    let read = tokio::fs::read(&out).await;
    let _ = tokio::fs::remove_file(&out).await;
    Ok(!success || !read.is_ok_and(|bytes| peak(&bytes) >= HEARD_MIN))
}

/// The loudest sample of a WAV file of 16 bits.
fn peak(wav: &[u8]) -> u16 {
    let body = wav.windows(4).position(|window| window == b"data").map_or(wav.len(), |at| at + 8);
    let samples = wav.get(body..).unwrap_or_default().chunks_exact(2).filter_map(|b| b.first_chunk::<2>());
    samples.map(|sample| i16::from_le_bytes(*sample).unsigned_abs()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loudest_sample_counts() {
        let wav = |samples: &[i16]| {
            let mut bytes = b"RIFF....WAVEfmt data....".to_vec();
            bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
            bytes
        };
        assert_eq!((peak(&wav(&[0, -40, 7])), peak(&wav(&[])), peak(b"")), (40, 0, 0));
    }
}
