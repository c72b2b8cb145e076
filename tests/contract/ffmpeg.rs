//! The image's FFmpeg reads every container that the product lets in, and no protocol but local ones.

use std::collections::BTreeSet;

use crate::root::read;

/// The names that one demuxer goes by, and its own.
const ALIASES: [(&str, &str); 4] = [("mp4", "mov"), ("3gp", "mov"), ("webm", "matroska"), ("mpeg", "mpegps")];

/// What `--enable-<kind>=` lists.
fn enabled(kind: &str) -> BTreeSet<String> {
    let option = format!("--enable-{kind}=");
    let options = read("functions/media/ffmpeg/options.txt");
    let lists = options.lines().filter_map(|line| line.strip_prefix(&option));
    lists.flat_map(|list| list.split(',')).map(str::to_owned).collect()
}

#[test]
fn what_may_be_read_can_be_read() {
    let source = read("shared/media/src/ffmpeg/process.rs");
    let (_, formats) = source.split_once("const FORMATS: &str = \"").unwrap();
    let formats = formats.split('"').next().unwrap().replace("\\\n", "").replace(' ', "");
    let own = |name: &str| {
        ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name.to_owned(), |(_, own)| (*own).to_owned())
    };
    let wanted: BTreeSet<String> = formats.split(',').map(own).collect();
    assert!(wanted.len() > 20, "{wanted:?}");
    assert_eq!(enabled("demuxer"), wanted);
}

/// What the sound of a container needs to be read: its decoders, and the parser that parts its packets.
const SOUNDS: [(&str, &[&str], &[&str]); 9] = [
    ("ac3", &["ac3"], &["ac3"]),
    ("eac3", &["eac3"], &["ac3"]),
    ("wv", &["wavpack"], &[]),
    ("tta", &["tta"], &[]),
    ("ape", &["ape"], &[]),
    ("amr", &["amrnb", "amrwb"], &["amr"]),
    ("dts", &["dca"], &["dca"]),
    ("truehd", &["truehd", "mlp"], &["mlp"]),
    ("loas", &["aac_latm"], &["aac_latm"]),
];

#[test]
fn what_can_be_read_can_be_decoded() {
    let (demuxers, decoders, parsers) = (enabled("demuxer"), enabled("decoder"), enabled("parser"));
    for (demuxer, decoded, parsed) in SOUNDS {
        assert!(demuxers.contains(demuxer), "{demuxer}");
        assert!(decoded.iter().all(|name| decoders.contains(*name)), "{demuxer} needs {decoded:?}");
        assert!(parsed.iter().all(|name| parsers.contains(*name)), "{demuxer} needs {parsed:?}");
    }
}

/// The filters that the engine names are there: the image's FFmpeg has no others.
#[test]
fn what_is_asked_for_is_built() {
    let filters = enabled("filter");
    let engine = ["audio", "execute", "gif", "picture", "poster", "silence", "sprite"]
        .map(|file| read(&format!("shared/media/src/engine/{file}.rs")))
        .concat();
    let known = [
        "aformat",
        "apad",
        "aresample",
        "asetpts",
        "atrim",
        "bwdif",
        "crop",
        "fps",
        "join",
        "palettegen",
        "paletteuse",
        "scale",
        "select",
        "setparams",
        "setpts",
        "setsar",
        "settb",
        "tile",
        "tonemap",
        "tpad",
        "trim",
        "zscale",
        "volumedetect",
        "astats",
        "silencedetect",
        "amerge",
        "amix",
        "pan",
    ];
    let named = known.iter().filter(|name| engine.contains(&format!("{name}=")));
    let lacking: Vec<_> = named.filter(|name| !filters.contains(**name)).collect();
    assert!(lacking.is_empty(), "{lacking:?}");
}

#[test]
fn nothing_leads_to_the_network() {
    assert_eq!(enabled("protocol"), BTreeSet::from(["file".to_owned(), "pipe".to_owned()]));
}
