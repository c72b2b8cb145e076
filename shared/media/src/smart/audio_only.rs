//! Sound alone, its packets copied: M4A.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use super::{Job, Reason, blocking, sound::Sound, told};
use crate::{
    engine::{Progress, Verified, verify},
    ffmpeg::Tools,
    mp4::{
        Index, LocalFile, Sample,
        movie::{Chunk, MovieSample, MovieTrack, header},
    },
};

/// Packets of a chunk: about a second of AAC.
const CHUNK_PACKETS: usize = 48;

/// Copies the sound from its first sample to its last, or tells why it cannot.
pub(super) async fn cut(
    tools: &Tools,
    job: &Job<'_>,
    progress: Progress<'_>,
) -> Result<(Verified, &'static str), Reason> {
    let (Some(plan), Some(stream)) = (job.plan.audio, job.audio) else { return Err(Reason::Sound) };
    if stream.codec != "aac" || stream.sample_rate != plan.rate || stream.channels != plan.channels {
        return Err(Reason::Sound);
    }
    let index = Index::read(&LocalFile::open(job.input.path)?).await;
    let index = index.map_err(|error| Reason::Index(error.to_string()))?;
    let track = index.audio.ok_or(Reason::Sound)?;
    progress(0.1);
    let (input, out) = (job.input.path.to_owned(), job.out.to_owned());
    let copy = move || {
        let sound = Sound::cover(&input, track, &plan, plan.from..plan.to)?;
        // An encoder fills what is missing with silence.
        let sound = sound.filter(|sound| sound.length == plan.to - plan.from).ok_or(Reason::Sound)?;
        write(&sound, &out)
    };
    blocking(copy).await?;
    progress(0.8);
    let verified = verify(tools, job.plan, job.out).await.map_err(told)?;
    progress(1.0);
    Ok((verified, "copy"))
}

fn write(sound: &Sound, out: &Path) -> Result<(), Reason> {
    let list = sound.media.samples.get(sound.packets.clone()).unwrap_or_default();
    let zero = list.first().map_or(0, Sample::pts);
    let mut written = 0;
    let chunk = |samples: &[Sample]| {
        let chunk = Chunk { samples: samples.len(), position: written };
        written += samples.iter().map(|sample| u64::from(sample.size)).sum::<u64>();
        chunk
    };
    let chunks = list.chunks(CHUNK_PACKETS).map(chunk).collect();
    let sample = |s: &Sample| MovieSample { dts: s.pts() - zero, cts: 0, size: s.size, sync: true };
    let track = MovieTrack {
        handler: sound.track.handler,
        timescale: sound.track.timescale,
        language: sound.track.language,
        geometry: sound.track.geometry,
        stsd: sound.track.stsd.clone(),
        samples: list.iter().map(sample).collect(),
        last_duration: sound.last_duration,
        chunks,
        delay: 0,
        media_time: sound.media_time,
        length: sound.length,
    };
    let mut file = BufWriter::with_capacity(1 << 20, File::create(out)?);
    file.write_all(&header(&[track], written))?;
    for index in sound.packets.clone() {
        file.write_all(&sound.media.read(index)?)?;
    }
    Ok(file.flush()?)
}
