//! Sound with known words: synthetic speech, whose words have known times as well, real speech, and sound without any.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use super::wer::{Word, words};

/// Samples a second, and bytes a sample, of all sound here.
const BYTES_A_SECOND: u64 = 16_000 * 2;
/// How long sound without speech is.
const NOTHING_S: u64 = 600;
/// Real speech, read from a novel, in Debian's `pocketsphinx-testdata`.
const REAL: &str = "/usr/share/pocketsphinx/test/data/librivox";

/// What three voices say.
const TEXTS: [(&str, &str); 3] = [
    (
        "slt",
        "The captain opened the letter before breakfast and read it twice. Nobody had told him that the northern bridge \
         was closed. He walked down to the market, where the farmers were already selling apples, bread and cheese. A \
         small boy asked him whether the ship would leave in the evening. We leave when the wind turns, he answered, and \
         the wind does what it likes. In the afternoon the clouds came over the hills and the water became dark. His \
         sister had packed the books in a wooden box, together with the lamps and the old map of the islands. She said \
         that the map was wrong, because the lighthouse had moved. Lighthouses never move, said the captain. This one \
         did, said his sister, and she was right. The river had carried away half of the beach during the winter.",
    ),
    (
        "rms",
        "Good morning and welcome to the show. Today we talk about gardens, and about the people who plant them. My \
         guest has worked in the same garden for many years. She knows every tree in it, and most of the birds. What is \
         the first thing you do in spring? I wait, she says, and I look. Many people dig too early, when the ground is \
         cold and wet. The best tool is a chair. Sit down, watch where the sun falls, and then decide. Vegetables want \
         light and water, but they also want company. Beans climb up the corn, and the leaves of the pumpkin keep the \
         soil cool. If you have only a balcony, begin with herbs. They forgive almost everything except too much care.",
    ),
    (
        "awb",
        "This machine has three parts, and each of them can be replaced in a few minutes. First we remove the cover and \
         unplug the power supply. The long cable goes behind the panel, never in front of it. Then we check the filter. \
         If it looks dusty, it needs to be washed with warm water. Do not use soap, because soap leaves a film on the \
         surface. When the filter is dry, put it back and close the door until you hear a click. The green light tells \
         you that everything works. A yellow light means that the tank is empty, and a red light means that you should \
         call us. Keep the paper that came with the machine, since the number on it is the only proof of purchase.",
    ),
];

/// A file of sound, and what is said in it.
#[derive(Clone, Debug)]
pub(crate) struct Sound {
    /// Samples of 16 bits without a header, 16 kHz, mono.
    pub(crate) file: PathBuf,
    pub(crate) seconds: f64,
    pub(crate) words: Vec<Word>,
}

/// Sounds that belong together.
type Group = (&'static str, Vec<Sound>);

/// Speech. If it is to be quick, one voice.
pub(crate) fn speech(folder: &Path, python: &Path, quick: bool) -> anyhow::Result<Vec<Group>> {
    let texts = if quick { &TEXTS[..1] } else { &TEXTS };
    let synthetic = texts.iter().map(|(voice, text)| synthetic(folder, python, voice, text));
    let mut groups = vec![("synthetic", synthetic.collect::<anyhow::Result<Vec<_>>>()?)];
    if !quick {
        groups.push(("read by people", real(folder)?));
    }
    Ok(groups)
}

fn synthetic(folder: &Path, python: &Path, voice: &str, text: &str) -> anyhow::Result<Sound> {
    let wav = folder.join(format!("{voice}.wav"));
    let output = Command::new("python3").arg(python.join("say.py")).args([voice, text]).arg(&wav).output()?;
    ensure!(output.status.success(), "flite: {}", String::from_utf8_lossy(&output.stderr));
    let told: Vec<(String, f64, f64)> = serde_json::from_slice(&output.stdout)?;
    let said = told.iter().flat_map(|(word, start, _)| words(word, Some(*start)));
    sound(&["-i".as_ref(), wav.as_os_str()], &folder.join(format!("{voice}.raw")), said.collect())
}

fn real(folder: &Path) -> anyhow::Result<Vec<Sound>> {
    let told = Path::new(REAL).join("transcription");
    let told = std::fs::read_to_string(&told).with_context(|| format!("cannot read {}", told.display()))?;
    let mut sounds = Vec::new();
    for line in told.lines() {
        let (text, name) = line.trim().trim_end_matches(')').rsplit_once('(').context("a strange line")?;
        let said = words(&text.replace("<s>", "").replace("</s>", ""), None);
        let wav = Path::new(REAL).join(format!("{name}.wav"));
        sounds.push(sound(&["-i".as_ref(), wav.as_os_str()], &folder.join(format!("{name}.raw")), said)?);
    }
    Ok(sounds)
}

/// Ten minutes each of silence, of noise and of music, the last from a package in the Python environment.
pub(crate) fn nothing(folder: &Path, venv: &Path) -> anyhow::Result<Vec<Group>> {
    let mut groups = Vec::new();
    for (name, graph) in
        [("silence", "anullsrc=r=16000:cl=mono"), ("noise", "anoisesrc=r=16000:color=pink:a=0.3:seed=1")]
    {
        let words = ["-f".as_ref(), "lavfi".as_ref(), "-i".as_ref(), graph.as_ref()];
        groups.push((name, vec![sound(&words, &folder.join(format!("{name}.raw")), Vec::new())?]));
    }
    let mut tracks = Command::new(venv.join("python"));
    tracks.args(["-c", "import immich_memories_music as music; print(music.__path__[0])"]);
    let output = tracks.output()?;
    ensure!(output.status.success(), "no music: {}", String::from_utf8_lossy(&output.stderr));
    let package = PathBuf::from(String::from_utf8(output.stdout)?.trim());
    let mut files = Vec::new();
    find(&package, &mut files)?;
    files.sort();
    let list: String = files.iter().map(|file| format!("file '{}'\n", file.display())).collect();
    let list_file = folder.join("music.txt");
    std::fs::write(&list_file, list)?;
    let words = [
        "-f".as_ref(),
        "concat".as_ref(),
        "-safe".as_ref(),
        "0".as_ref(),
        "-i".as_ref(),
        list_file.as_os_str(),
    ];
    groups.push(("music", vec![sound(&words, &folder.join("music.raw"), Vec::new())?]));
    Ok(groups)
}

/// The pieces of music below a folder.
fn find(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, found)?;
        } else if path
            .extension()
            .is_some_and(|kind| ["mp3", "ogg", "opus", "m4a", "flac", "wav"].iter().any(|one| kind == *one))
        {
            found.push(path);
        }
    }
    Ok(())
}

/// Makes sound of what `input` names, at most [`NOTHING_S`] of it.
fn sound(input: &[&std::ffi::OsStr], file: &Path, words: Vec<Word>) -> anyhow::Result<Sound> {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "error", "-y"]).args(input).args(["-t", &NOTHING_S.to_string()]);
    ffmpeg.args(["-vn", "-ac", "1", "-ar", "16000", "-f", "s16le"]).arg(file);
    let output = ffmpeg.output().context("cannot run ffmpeg")?;
    if !output.status.success() {
        bail!("ffmpeg: {}", String::from_utf8_lossy(&output.stderr));
    }
    let seconds = std::fs::metadata(file)?.len() as f64 / BYTES_A_SECOND as f64;
    Ok(Sound { file: file.to_owned(), seconds, words })
}
