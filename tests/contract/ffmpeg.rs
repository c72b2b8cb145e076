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
    let mut wanted: BTreeSet<String> = formats.split(',').map(own).collect();
    assert!(wanted.len() > 20, "{wanted:?}");
    // A GIF's palette.
    wanted.insert("image_png_pipe".to_owned());
    assert_eq!(enabled("demuxer"), wanted);
}

#[test]
fn nothing_leads_to_the_network() {
    assert_eq!(enabled("protocol"), BTreeSet::from(["file".to_owned(), "pipe".to_owned()]));
}
