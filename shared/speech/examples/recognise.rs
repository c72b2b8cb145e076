//! Recognises files of sound, for `cargo xtask bench speech`: 16 kHz, mono, 16-bit samples without a header. Prints one line of JSON.
//!
//! Each thread has a recogniser of its own and takes file after file.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use domain::time::MediaTime;
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::json;
use speech::{Error, Recogniser, SpeechModel, Spoken, Voice};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(models), Some(model), Some(threads)) = (words.next(), words.next(), words.next()) else {
        return Err("usage: recognise MODELS whisper-base|whisper-tiny.en THREADS FILE...".into());
    };
    let model =
        [SpeechModel::Base, SpeechModel::TinyEn].into_iter().find(|one| Path::new(one.name()) == model);
    let model = model.ok_or("no such model")?;
    let threads: usize = threads.to_string_lossy().parse()?;
    let files: Vec<PathBuf> = words.collect();
    let begun = Instant::now();
    let recognisers =
        (0..threads).map(|_| Recogniser::load(&models, model)).collect::<Result<Vec<_>, Error>>()?;
    let voice = Voice::load(&models)?;
    let load_s = begun.elapsed().as_secs_f64();
    let (begun, used) = (Instant::now(), cpu_s()?);
    let open = Mutex::new(files.iter().enumerate().collect::<Vec<_>>());
    let told = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let work = |recogniser: &Recogniser| -> Result<(), String> {
            while let Some((number, file)) = open.lock().map_err(|_| "locked")?.pop() {
                let spoken = recognise(&voice, recogniser, file).map_err(|error| error.to_string())?;
                told.lock().map_err(|_| "locked")?.push((number, spoken));
            }
            Ok(())
        };
        let all: Vec<_> = recognisers.iter().map(|one| scope.spawn(move || work(one))).collect();
        all.into_iter().try_for_each(|one| one.join().map_err(|_| "a thread broke off".to_owned())?)
    })?;
    let (wall_s, cpu_s) = (begun.elapsed().as_secs_f64(), cpu_s()? - used);
    let mut told = told.into_inner()?;
    told.sort_by_key(|(number, _)| *number);
    let told: Vec<Spoken> = told.into_iter().map(|(_, spoken)| spoken).collect();
    let answer = json!({ "load_s": load_s, "wall_s": wall_s, "cpu_s": cpu_s, "spoken": told });
    Ok(writeln!(std::io::stdout(), "{answer}")?)
}

/// As a job does it: pieces first, then their words.
fn recognise(
    voice: &Voice,
    recogniser: &Recogniser,
    file: &Path,
) -> Result<Spoken, Box<dyn std::error::Error>> {
    let bytes = std::fs::read(file)?;
    let (samples, _) = bytes.as_chunks::<2>();
    let samples: Vec<f32> =
        samples.iter().map(|sample| f32::from(i16::from_le_bytes(*sample)) / 32_768.0).collect();
    let mut listening = voice.listen();
    listening.hear(&samples)?;
    let at = |time: MediaTime| {
        ((time.seconds() * f64::from(speech::SAMPLE_RATE_HZ)).round() as usize).min(samples.len())
    };
    let pieces = listening.pieces()?;
    let spoken = pieces
        .iter()
        .map(|piece| recogniser.recognise(&samples[at(piece.start)..at(piece.end)], piece.start, None));
    Ok(speech::join(spoken.collect::<Result<_, _>>()?))
}

/// Seconds of processor time of this process.
fn cpu_s() -> Result<f64, nix::Error> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}
