//! Sound alone, its packets copied: M4A.

use super::{
    Job, Reason, blocking, mux,
    sound::{self, Sound},
    told,
};
use crate::{
    engine::{Clip, Codecs, Decode, Progress, Verified, verify},
    ffmpeg::Tools,
};

/// Copies the sound from its first sample to its last, or tells why it cannot.
pub(super) async fn cut(
    tools: &Tools,
    job: &Job<'_>,
    progress: Progress<'_>,
) -> Result<(Verified, &'static str), Reason> {
    let heard = job.plan.audio.zip(job.source.probe.audio.as_ref());
    let (plan, stream) = heard.ok_or(Reason::Sound)?;
    if stream.codec != "aac" || stream.sample_rate != plan.rate || stream.channels != plan.channels {
        return Err(Reason::Sound);
    }
    let track = job.source.index.as_ref().and_then(|index| index.audio.clone()).ok_or(Reason::Sound)?;
    progress(0.1);
    let (input, out) = (job.input.path.to_owned(), job.out.to_owned());
    let copy = move || {
        let sound = Sound::cover(&input, track, &sound::AAC, &plan, plan.from..plan.to)?;
        // An encoder fills what is missing with silence.
        let sound = sound.filter(|sound| sound.length == plan.to - plan.from).ok_or(Reason::Sound)?;
        mux::write(&mut [mux::sound_lane(&sound)], &out)
    };
    blocking(copy).await?;
    progress(0.8);
    let codecs = Codecs { video: "", audio: "aac" };
    let clip = Clip { path: job.out, codecs, decode: &Decode::Whole };
    let verified = verify(tools, job.plan, clip).await.map_err(told)?;
    progress(1.0);
    Ok((verified, "copy"))
}
