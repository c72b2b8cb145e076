//! A small muxer: the same media as a plain and as a fragmented file, and parts of files for those who want to break
//! them. A sample's bytes tell which one it is.

/// A sample in decoding order; times in ticks.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    pub duration: u32,
    pub cts: i32,
    pub size: u32,
    pub sync: bool,
}

/// A track.
#[derive(Clone, Debug)]
pub struct Media {
    pub is_sound: bool,
    pub timescale: u32,
    pub packets: Vec<Packet>,
    /// An empty edit in movie ticks (a thousand a second), and the media time shown behind it.
    pub edit: Option<(u32, u32)>,
}

/// How a file is fragmented.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Samples of the first track in a fragment; the others' follow in proportion.
    pub packets: usize,
    /// Where the data of a `traf` is counted from: the file, the `moof`, or what was before it.
    pub base: Base,
    /// What tells where the fragments are.
    pub map: Map,
    /// Whether each sample says all of itself, instead of `tfhd` and the first sample's flags.
    pub explicit: bool,
    /// Whether fragments have a `tfdt`.
    pub tfdt: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    File,
    Moof,
    Implicit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Map {
    Sidx,
    Mfra,
    None,
}

/// A box.
pub fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut out = ((body.len() + 8) as u32).to_be_bytes().to_vec();
    out.extend(kind);
    out.extend(body);
    out
}

/// 32-bit fields, after version and flags.
pub fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A full box of 32-bit fields.
pub fn full(kind: &[u8; 4], fields: &[u32]) -> Vec<u8> {
    boxed(kind, &words(fields))
}

fn list(count: usize, fields: impl IntoIterator<Item = u32>) -> Vec<u32> {
    [0, count as u32].into_iter().chain(fields).collect()
}

/// The tables of a `stbl`, each a box. Empty for a fragmented file.
pub fn tables(media: &Media, offsets: &[u32]) -> Vec<Vec<u8>> {
    let packets = if offsets.is_empty() { &[][..] } else { &media.packets };
    let n = packets.len();
    let entry = match media.is_sound {
        true => boxed(b"mp4a", &[&[0; 6][..], &[0, 1], &[0; 20]].concat()),
        false => boxed(
            b"avc1",
            &[&[0; 6][..], &[0, 1], &[0; 16], &320u16.to_be_bytes(), &180u16.to_be_bytes(), &[0; 50]]
                .concat(),
        ),
    };
    let mut tables = vec![
        boxed(b"stsd", &[&[0, 0, 0, 0, 0, 0, 0, 1], &entry[..]].concat()),
        full(b"stts", &list(n, packets.iter().flat_map(|packet| [1, packet.duration]))),
        full(b"stsc", &list(n.min(1), [1, 1, 1].into_iter().take(3 * n.min(1)))),
        full(b"stsz", &[&[0, 0, n as u32], &packets.iter().map(|p| p.size).collect::<Vec<_>>()[..]].concat()),
        full(b"stco", &list(n, offsets.iter().copied())),
    ];
    if packets.iter().any(|packet| packet.cts != 0) {
        let offsets = packets.iter().flat_map(|packet| [1, packet.cts.cast_unsigned()]);
        tables.push(full(b"ctts", &list(n, offsets)));
    }
    if packets.iter().any(|packet| !packet.sync) {
        let sync: Vec<u32> = (1..).zip(packets).filter(|(_, p)| p.sync).map(|(n, _)| n).collect();
        tables.push(full(b"stss", &list(sync.len(), sync.iter().copied())));
    }
    tables
}

/// A `trak` with these tables.
pub fn trak(number: u32, media: &Media, tables: &[Vec<u8>]) -> Vec<u8> {
    let handler = if media.is_sound { b"soun" } else { b"vide" };
    let tkhd = full(b"tkhd", &[&[3, 0, 0, number][..], &[0; 17]].concat());
    let edts = media.edit.map(|(delay, at)| {
        let edits = [delay, u32::MAX, 0x1_0000, 0, at, 0x1_0000];
        let skip = if delay == 0 { 3 } else { 0 };
        boxed(b"edts", &full(b"elst", &list((6 - skip) / 3, edits[skip..].iter().copied())))
    });
    let mdia = [
        full(b"mdhd", &[0, 0, 0, media.timescale, 0, 0]),
        boxed(b"hdlr", &[&[0; 8][..], handler, &[0; 13]].concat()),
        boxed(b"minf", &boxed(b"stbl", &tables.concat())),
    ];
    boxed(b"trak", &[tkhd, edts.unwrap_or_default(), boxed(b"mdia", &mdia.concat())].concat())
}

pub fn ftyp() -> Vec<u8> {
    boxed(b"ftyp", b"isom\0\0\0\0isom")
}

/// A `moov` of these parts.
pub fn moov(parts: &[Vec<u8>]) -> Vec<u8> {
    let mvhd = full(b"mvhd", &[&[0, 0, 0, 1000][..], &[0; 20], &[9]].concat());
    boxed(b"moov", &[mvhd, parts.concat()].concat())
}

/// The bytes of sample `number` of track `track`.
pub fn bytes(track: usize, number: usize, size: u32) -> impl Iterator<Item = u8> {
    (0..size).map(move |n| (n as usize ^ (number * 31) ^ (track * 131)) as u8)
}

/// The number of each track's samples in the `n`th of all fragments.
fn parts(media: &[Media], layout: usize) -> Vec<Vec<std::ops::Range<usize>>> {
    let count = media.first().map_or(0, |first| first.packets.len().div_ceil(layout.max(1))).max(1);
    let share = |n: usize, track: &Media| {
        let cut = |n: usize| match n {
            n if n >= count => track.packets.len(),
            n => (n * layout * track.packets.len() / media[0].packets.len().max(1)).min(track.packets.len()),
        };
        cut(n)..cut(n + 1)
    };
    (0..count).map(|n| media.iter().map(|track| share(n, track)).collect()).collect()
}

/// The media in one `mdat`, interleaved by eights, behind a `moov` with all tables.
pub fn plain(media: &[Media]) -> Vec<u8> {
    let parts = parts(media, 8);
    let head = |offsets: &[Vec<u32>]| {
        let traks = (1..).zip(media.iter().zip(offsets));
        let traks = traks.map(|(number, (track, offsets))| trak(number, track, &tables(track, offsets)));
        [ftyp(), moov(&traks.collect::<Vec<_>>())].concat()
    };
    let placed = |start: usize| {
        let (mut at, mut offsets) = (start as u32, vec![Vec::new(); media.len()]);
        for (track, range) in parts.iter().flat_map(|part| part.iter().enumerate()) {
            for packet in &media[track].packets[range.clone()] {
                offsets[track].push(at);
                at += packet.size;
            }
        }
        offsets
    };
    let start = head(&placed(0)).len() + 8;
    let mut out = head(&placed(start));
    let body: Vec<u8> = parts.iter().flat_map(|part| payload(media, part)).collect();
    out.extend(boxed(b"mdat", &body));
    out
}

fn payload(media: &[Media], part: &[std::ops::Range<usize>]) -> Vec<u8> {
    let samples = part.iter().enumerate().flat_map(|(track, range)| range.clone().map(move |n| (track, n)));
    samples.flat_map(|(track, n)| bytes(track, n, media[track].packets[n].size)).collect()
}

/// The media in fragments.
pub fn fragmented(media: &[Media], layout: Layout) -> Vec<u8> {
    let traks = (1..).zip(media).map(|(number, track)| trak(number, track, &tables(track, &[])));
    let trex = (1..).zip(media).map(|(number, _)| full(b"trex", &[0, number, 1, 0, 0, 0]));
    let mvex = boxed(b"mvex", &trex.collect::<Vec<_>>().concat());
    let head = [ftyp(), moov(&traks.chain([mvex]).collect::<Vec<_>>())].concat();
    let parts = parts(media, layout.packets);
    let sidx_len = if layout.map == Map::Sidx { 32 + 12 * parts.len() } else { 0 };
    let mut decoded = vec![0u64; media.len()];
    let (mut out, mut entries) = (Vec::new(), Vec::new());
    for (number, part) in parts.iter().enumerate() {
        let at = head.len() + sidx_len + out.len();
        let first = &media[0].packets[part[0].clone()];
        let mut dts = decoded[0] as i64;
        let shown = first.iter().map(|packet| {
            dts += i64::from(packet.duration);
            dts - i64::from(packet.duration) + i64::from(packet.cts)
        });
        let shown = shown.min().unwrap_or(0).max(0) as u32;
        let moof = |len: usize| moof(media, part, number, &decoded, layout, (at, len));
        let moof = moof(moof(0).len());
        let mdat = boxed(b"mdat", &payload(media, part));
        entries.push((shown, at as u32, (moof.len() + mdat.len()) as u32));
        out.extend([moof, mdat].concat());
        for ((track, range), decoded) in media.iter().zip(part).zip(&mut decoded) {
            *decoded += track.packets[range.clone()].iter().map(|p| u64::from(p.duration)).sum::<u64>();
        }
    }
    let end = decoded[0] as u32;
    let sidx = match layout.map {
        Map::Sidx => {
            let ends = entries.iter().skip(1).map(|entry| entry.0).chain([end]);
            let fields = entries
                .iter()
                .zip(ends)
                .flat_map(|(entry, end)| [entry.2, end.saturating_sub(entry.0), 0x9000_0000]);
            let head = [0, 1, media[0].timescale, entries[0].0, 0, entries.len() as u32];
            full(b"sidx", &head.into_iter().chain(fields).collect::<Vec<_>>())
        }
        _ => Vec::new(),
    };
    let mfra = match layout.map {
        Map::Mfra => {
            let fields = entries.iter().flat_map(|entry| [entry.0, entry.1, 0x0101_0100]);
            let entries: Vec<u8> =
                fields.collect::<Vec<_>>().chunks(3).flat_map(|e| words(e)[..11].to_vec()).collect();
            let head = words(&[0, 1, 0, parts.len() as u32]);
            let tfra = boxed(b"tfra", &[head, entries].concat());
            let size = (8 + tfra.len() + 16) as u32;
            boxed(b"mfra", &[tfra, full(b"mfro", &[0, size])].concat())
        }
        _ => Vec::new(),
    };
    [head, sidx, out, mfra].concat()
}

/// A `moof` of `len` bytes at `at`.
fn moof(
    media: &[Media],
    part: &[std::ops::Range<usize>],
    number: usize,
    decoded: &[u64],
    layout: Layout,
    (at, len): (usize, usize),
) -> Vec<u8> {
    let mut boxes = full(b"mfhd", &[0, number as u32 + 1]);
    // From the `moof` on.
    let mut data = (len + 8) as u32;
    for (id, ((track, range), decoded)) in (1..).zip(media.iter().zip(part).zip(decoded)) {
        let packets = &track.packets[range.clone()];
        let (flags, base) = match layout.base {
            Base::File => (1, vec![0, at as u32]),
            Base::Moof => (0x2_0000, vec![]),
            Base::Implicit => (0, vec![]),
        };
        let mut tfhd = vec![flags, id];
        tfhd.extend(base);
        if !layout.explicit {
            // Duration, and the flags of all but the first.
            let later = packets.get(1).is_none_or(|packet| packet.sync);
            tfhd[0] |= 0x28;
            tfhd.extend([packets.first().map_or(0, |p| p.duration), if later { 0 } else { 0x101_0000 }]);
        }
        let mut traf = full(b"tfhd", &tfhd);
        if layout.tfdt {
            let words = [0x100_0000, (decoded >> 32) as u32, *decoded as u32];
            traf.extend(full(b"tfdt", &words));
        }
        let uniform = packets.windows(2).all(|pair| pair[0].duration == pair[1].duration)
            && packets.get(1..).unwrap_or_default().windows(2).all(|pair| pair[0].sync == pair[1].sync);
        let full_entries = layout.explicit || !uniform;
        let not_sync = |packet: &Packet| if packet.sync { 0x200_0000 } else { 0x101_0000 };
        let mut trun = vec![0x100_0000 | 1 | 0x200 | 0x800, packets.len() as u32];
        // Without a base, a later `traf` counts from the end of the one before, where its data is.
        trun.push(if layout.base == Base::Implicit && id > 1 { 0 } else { data });
        if full_entries {
            trun[0] |= 0x500;
        } else if let Some(first) = packets.first() {
            trun[0] |= 4;
            trun.push(not_sync(first));
        }
        for packet in packets {
            match full_entries {
                true => trun.extend([packet.duration, packet.size, not_sync(packet)]),
                false => trun.push(packet.size),
            }
            trun.push(packet.cts.cast_unsigned());
        }
        traf.extend(full(b"trun", &trun));
        boxes.extend(boxed(b"traf", &traf));
        data += packets.iter().map(|packet| packet.size).sum::<u32>();
    }
    boxed(b"moof", &boxes)
}

/// A small file's media: a second of picture in groups of five, and its sound.
pub fn small() -> Vec<Media> {
    let cts = [512, 1536, 0, 512, 512];
    let picture =
        |n: usize| Packet { duration: 512, cts: cts[n % 5], size: 40 + n as u32, sync: n.is_multiple_of(5) };
    let sound = Packet { duration: 1024, cts: 0, size: 9, sync: true };
    vec![
        Media {
            is_sound: false,
            timescale: 12_800,
            packets: (0..25).map(picture).collect(),
            edit: Some((0, 512)),
        },
        Media { is_sound: true, timescale: 48_000, packets: vec![sound; 47], edit: None },
    ]
}
