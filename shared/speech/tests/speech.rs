//! Real models, real sound: what is said is found where it is said, and nothing is found where nobody speaks.
//!
//! `cargo xtask setup` fetches the models, and the programs that speak.

#![allow(clippy::unwrap_used)]

use std::f32::consts::PI;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use domain::time::MediaTime;
use speech::{Error, Recogniser, SAMPLE_RATE_HZ, SpeechModel, Spoken};

const RATE: usize = SAMPLE_RATE_HZ as usize;

static MODELS: LazyLock<PathBuf> = LazyLock::new(|| places::tools::models(places::Models::Speech).unwrap());
static BASE: LazyLock<Recogniser> = LazyLock::new(|| Recogniser::load(&MODELS, SpeechModel::Base).unwrap());

/// What a program that speaks makes of a text, as samples.
fn say(speaker: &str, voice: &str, text: &str) -> Vec<f32> {
    let wav = tempfile::Builder::new().suffix(".wav").tempfile().unwrap();
    let mut command = Command::new(speaker);
    match speaker {
        "flite" => command.args(["-voice", voice, "-t", text, "-o"]).arg(wav.path()),
        _ => command.args(["-v", voice, "-s", "140", "-w"]).arg(wav.path()).arg(text),
    };
    assert!(command.status().unwrap().success(), "{speaker}");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "error", "-i"]).arg(wav.path());
    let output = ffmpeg.args(["-ac", "1", "-ar", "16000", "-f", "f32le", "-"]).output().unwrap();
    assert!(output.status.success());
    output.stdout.as_chunks::<4>().0.iter().map(|sample| f32::from_le_bytes(*sample)).collect()
}

fn silence(seconds: usize) -> Vec<f32> {
    vec![0.0; seconds * RATE]
}

fn heard(spoken: &Spoken) -> String {
    let texts: Vec<&str> = spoken.segments.iter().map(|segment| segment.text.as_str()).collect();
    texts.join(" ").to_lowercase()
}

#[test]
fn words_are_where_they_are_said() {
    let first = say("flite", "slt", "The captain opened the letter before breakfast.");
    let second = say("flite", "slt", "Nobody told him about the bridge.");
    let (first_s, second_s) = (first.len() as f64 / RATE as f64, second.len() as f64 / RATE as f64);
    let sound = [silence(3), first, silence(4), second, silence(2)].concat();
    let recogniser = Recogniser::load(&MODELS, SpeechModel::TinyEn).unwrap();
    let offset = MediaTime(60_000_000);
    let spoken = recogniser.recognise(&sound, offset, None).unwrap();
    assert_eq!(spoken.language.as_deref(), Some("en"));
    assert_eq!(
        heard(&spoken),
        "the captain opened the letter before breakfast. nobody told him about the bridge."
    );
    let words: Vec<_> = spoken.segments.iter().flat_map(|segment| &segment.words).collect();
    assert_eq!(words.len(), 13);
    let begins = 63.0 + first_s + 4.0;
    for (number, word) in words.iter().enumerate() {
        let (from, to) = if number < 7 { (63.0, 63.0 + first_s) } else { (begins, begins + second_s) };
        let (start, end) = (word.start.seconds(), word.end.seconds());
        assert!(from - 0.1 <= start && start <= end && end <= to + 0.1, "{word:?} within {from} to {to}");
        assert!(word.confidence > 0.3 && word.confidence <= 1.0, "{word:?}");
    }
    assert!(matches!(recogniser.recognise(&sound, offset, Some("de")), Err(Error::Language(_))));
}

#[test]
fn a_language_is_heard() {
    let german = "Guten Morgen. Wir fahren morgen mit dem Zug nach Berlin, weil das Wetter dort besser ist.";
    let spoken = BASE.recognise(&say("espeak-ng", "de", german), MediaTime::ZERO, None).unwrap();
    assert_eq!(spoken.language.as_deref(), Some("de"));
    for word in ["guten morgen", "wir fahren morgen mit dem zug nach berlin"] {
        assert!(heard(&spoken).contains(word), "{word}: {}", heard(&spoken));
    }
    let spanish = "Buenos días. Mañana vamos a la playa con nuestros amigos, porque hace mucho calor.";
    let spoken = BASE.recognise(&say("espeak-ng", "es", spanish), MediaTime::ZERO, None).unwrap();
    assert_eq!(spoken.language.as_deref(), Some("es"));
    for word in ["buenos días", "a la playa con nuestros amigos"] {
        assert!(heard(&spoken).contains(word), "{word}: {}", heard(&spoken));
    }
}

/// A chord that changes every second and fades.
fn music(seconds: usize) -> Vec<f32> {
    let chords = [[220.0, 277.2, 329.6], [246.9, 293.7, 370.0], [196.0, 246.9, 293.7]];
    let sample = |at: usize| {
        let time = (at % RATE) as f32 / RATE as f32;
        let tone =
            |pitch: &f32| (1..6).map(|n| (2.0 * PI * pitch * n as f32 * time).sin() / n as f32).sum::<f32>();
        chords[at / RATE % 3].iter().map(tone).sum::<f32>() * (-3.0 * time).exp() / 6.0
    };
    (0..seconds * RATE).map(sample).collect()
}

/// Noise, by a generator of pseudo-random numbers (Knuth's).
fn noise(seconds: usize) -> Vec<f32> {
    let mut state = 1u64;
    let mut sample = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    (0..seconds * RATE).map(|_| sample()).collect()
}

#[test]
fn nothing_is_made_of_silence_music_or_noise() {
    for (name, sound) in
        [("silence", silence(20)), ("music", music(20)), ("noise", noise(20)), ("none", vec![])]
    {
        let spoken = BASE.recognise(&sound, MediaTime::ZERO, None).unwrap();
        assert_eq!(spoken, Spoken::default(), "{name}");
    }
}

#[test]
fn what_is_asked_wrongly_is_told() {
    let told = BASE.recognise(&silence(1), MediaTime::ZERO, Some("klingon"));
    assert!(matches!(told, Err(Error::Language(_))));
    // A mark that is no language.
    assert!(BASE.recognise(&silence(1), MediaTime::ZERO, Some("transcribe")).is_err());
    let empty = tempfile::tempdir().unwrap();
    let told = Recogniser::load(empty.path(), SpeechModel::Base).unwrap_err().to_string();
    assert!(told.contains("whisper-base"), "{told}");
}
