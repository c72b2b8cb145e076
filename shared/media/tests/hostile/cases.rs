//! The files.

use End::{Malformed, Truncated, Unsupported, Valid, Whole};

use crate::kit::muxer::{
    Base, Layout, Map, Media, boxed, fragmented, ftyp, full, moov, plain, small, tables, trak, words,
};

pub(crate) const FRAGMENTED: Layout =
    Layout { packets: 5, base: Base::Moof, map: Map::Sidx, explicit: true, tfdt: true };

/// What a case may come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Malformed,
    Truncated,
    Unsupported,
    /// An index that says that its picture cannot be taken apart.
    Whole,
    Valid,
}

/// The small file with one table of its picture replaced.
fn with_table(kind: &[u8; 4], table: Vec<u8>) -> Vec<u8> {
    let media = small();
    let whole = plain(&media);
    let offsets: Vec<u32> = (0..media[0].packets.len() as u32).map(|n| 64 + n).collect();
    let mut tables = tables(&media[0], &offsets);
    match tables.iter_mut().find(|it| it[4..8] == *kind) {
        Some(old) => *old = table,
        None => tables.push(table),
    }
    [ftyp(), moov(&[trak(1, &media[0], &tables)]), boxed(b"mdat", &whole)].concat()
}

/// The small fragmented file with this `moof` at its end.
fn with_moof(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut file = fragmented(&small(), Layout { map: Map::None, ..FRAGMENTED });
    file.extend(boxed(b"moof", &parts.concat()));
    file
}

/// A `traf` of the picture with these fields of a `tfhd`, far behind the others, with this `trun`.
fn traf(tfhd: &[u32], trun: &[u32]) -> Vec<u8> {
    let tfhd = full(b"tfhd", &[&[tfhd[0], 1], &tfhd[1..]].concat());
    boxed(b"traf", &[tfhd, full(b"tfdt", &[0, 99_999]), full(b"trun", trun)].concat())
}

/// The small fragmented file with another `sidx`.
fn with_sidx(sidx: &[u32]) -> Vec<u8> {
    let file = fragmented(&small(), FRAGMENTED);
    let at = file.windows(4).position(|w| w == b"sidx").unwrap() - 4;
    let len = u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    [&file[..at], &full(b"sidx", sidx), &file[at + len..]].concat()
}

/// A box with a 64-bit size.
fn huge(kind: &[u8; 4], size: u64, body: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 1], &kind[..], &size.to_be_bytes(), body].concat()
}

fn repeated(part: &[u8], times: usize) -> Vec<u8> {
    part.repeat(times)
}

/// Silence in samples that all lie at the file's beginning.
fn overlapping(count: u32) -> Vec<u8> {
    let media = Media { edit: None, ..small().swap_remove(0) };
    let tables = [
        tables(&media, &[])[0].clone(),
        full(b"stts", &[0, 1, count, 512]),
        full(b"stsc", &[0, 1, 1, 1, 1]),
        full(b"stsz", &[&[0, 0, count][..], &vec![100; count as usize]].concat()),
        full(b"stco", &[&[0, count][..], &vec![0; count as usize]].concat()),
    ];
    [ftyp(), moov(&[trak(1, &media, &tables)])].concat()
}

/// A count that no file has room for.
const MANY: u32 = 1_000_000_000;

/// What it is, how to make it, and what reading it comes to. Made one at a time.
pub(crate) type Case = (&'static str, fn() -> Vec<u8>, End);

const fn case(name: &'static str, make: fn() -> Vec<u8>, end: End) -> Case {
    (name, make, end)
}

pub(crate) const TABLES: &[Case] = &[
    case("stsz of 10^9 entries", || with_table(b"stsz", full(b"stsz", &[0, 0, MANY])), Whole),
    case(
        "stsz of 3·10^6 entries that are not there",
        || with_table(b"stsz", full(b"stsz", &[0, 0, 3_000_000])),
        Malformed,
    ),
    case("10^9 equal samples", || with_table(b"stsz", full(b"stsz", &[0, 1, MANY])), Whole),
    case(
        "3·10^6 equal samples in a small file",
        || with_table(b"stsz", full(b"stsz", &[0, 9, 3_000_000])),
        Malformed,
    ),
    case("stts of 10^9 entries", || with_table(b"stts", full(b"stts", &[0, MANY, 1, 1])), Malformed),
    case("one stts entry for 10^9 samples", || with_table(b"stts", full(b"stts", &[0, 1, MANY, 1])), Valid),
    case("stts for fewer samples", || with_table(b"stts", full(b"stts", &[0, 1, 3, 1])), Malformed),
    case("durations of 2^32-1", || with_table(b"stts", full(b"stts", &[0, 1, 25, u32::MAX])), Whole),
    case("durations of nothing", || with_table(b"stts", full(b"stts", &[0, 1, 25, 0])), Valid),
    case("ctts of 10^9 entries", || with_table(b"ctts", full(b"ctts", &[0, MANY, 1, 1])), Malformed),
    case("ctts for fewer samples", || with_table(b"ctts", full(b"ctts", &[0, 1, 3, 512])), Valid),
    case("ctts of -2^31", || with_table(b"ctts", full(b"ctts", &[0, 1, 25, 1 << 31])), Valid),
    case("stss of 10^9 entries", || with_table(b"stss", full(b"stss", &[0, MANY, 1])), Malformed),
    case("stss that falls", || with_table(b"stss", full(b"stss", &[0, 2, 6, 1])), Malformed),
    case("stss beyond the samples", || with_table(b"stss", full(b"stss", &[0, 2, 1, 26])), Malformed),
    case("stco of 10^9 entries", || with_table(b"stco", full(b"stco", &[0, MANY, 64])), Malformed),
    case(
        "stco beyond the file",
        || with_table(b"stco", full(b"stco", &[&[0, 25][..], &[u32::MAX; 25]].concat())),
        Truncated,
    ),
    case("stsc that falls", || with_table(b"stsc", full(b"stsc", &[0, 2, 5, 1, 1, 1, 1, 1])), Malformed),
    case("stsc of 10^9 samples a chunk", || with_table(b"stsc", full(b"stsc", &[0, 1, 1, MANY, 1])), Valid),
    case("stsc that begins at 0", || with_table(b"stsc", full(b"stsc", &[0, 1, 0, 1, 1])), Malformed),
    case(
        "samples of no bytes",
        || with_table(b"stsz", full(b"stsz", &[&[0, 0, 25][..], &[0; 25]].concat())),
        Valid,
    ),
    case("300 000 samples that share bytes", || overlapping(300_000), Valid),
    case("a clock that stands still", || moved(&plain(&small()), b"mdhd", 12, 0), Malformed),
    case("a movie clock that stands still", || moved(&plain(&small()), b"mvhd", 12, 0), Valid),
    case("an edit list of 10^9 entries", || moved(&plain(&small()), b"elst", 4, MANY), Malformed),
    case("an edit before all time", || moved(&plain(&small()), b"elst", 12, 1 << 31), Malformed),
    case("10^5 empty edits", || with_edits(&repeated(&words(&[1, u32::MAX, 0x1_0000]), 100_000)), Whole),
    case(
        "10^5 edits in turn",
        || with_edits(&repeated(&words(&[1, 0, 0x1_0000, 1, u32::MAX, 0x1_0000]), 50_000)),
        Whole,
    ),
    case("3·10^5 equal samples that are there", || equal(300_000), Valid),
];

pub(crate) const BOXES: &[Case] = &[
    case("a box of 2^64-1 bytes", || [ftyp(), huge(b"free", u64::MAX, &[])].concat(), Malformed),
    case("a moov of 2^63 bytes", || [ftyp(), huge(b"moov", 1 << 63, &[])].concat(), Truncated),
    case(
        "a child of 2^64-1 bytes",
        || [ftyp(), boxed(b"moov", &huge(b"mvhd", u64::MAX, &[]))].concat(),
        Malformed,
    ),
    case("boxes of 0 bytes", || [ftyp(), boxed(b"moov", &[0; 4096])].concat(), Malformed),
    case(
        "a box of 1 byte whose size is missing",
        || [ftyp(), vec![0, 0, 0, 1, b'm', b'o', b'o', b'v']].concat(),
        Malformed,
    ),
    case("a box of 7 bytes", || [ftyp(), vec![0, 0, 0, 7, b'm', b'o', b'o', b'v']].concat(), Malformed),
    case("a 64-bit box of 9 bytes", || [ftyp(), huge(b"moov", 9, &[])].concat(), Malformed),
    case("100 000 boxes in each other", || [ftyp(), nested(100_000)].concat(), Malformed),
    case(
        "10^6 boxes in a moov",
        || [ftyp(), moov(&[repeated(&boxed(b"free", &[]), 1_000_000)])].concat(),
        Valid,
    ),
    case(
        "10^6 boxes in a track",
        || [ftyp(), moov(&[boxed(b"trak", &repeated(&boxed(b"free", &[]), 1_000_000))])].concat(),
        Malformed,
    ),
    case(
        "10^6 boxes before the moov",
        || [ftyp(), repeated(&boxed(b"free", &[]), 1_000_000), plain(&small())].concat(),
        Unsupported,
    ),
    case(
        "10^5 movies",
        || [repeated(&[ftyp(), moov(&[])].concat(), 100_000), plain(&small())].concat(),
        Valid,
    ),
    case(
        "10^5 tracks without samples",
        || [ftyp(), moov(&[repeated(&track_without_samples(), 100_000)])].concat(),
        Unsupported,
    ),
    case(
        "10^5 sample entries",
        || {
            with_table(
                b"stsd",
                boxed(b"stsd", &[&[0; 8][..], &repeated(&boxed(b"avc1", &[0; 78]), 100_000)].concat()),
            )
        },
        Valid,
    ),
    case("no sample entry", || with_table(b"stsd", full(b"stsd", &[0, 0])), Malformed),
];

pub(crate) const FRAGMENTS: &[Case] = &[
    case("a trun of 2^32-1 samples", || with_moof(&[traf(&[0x2_0000], &[0x201, u32::MAX, 8])]), Malformed),
    case(
        "a trun of 2^32-1 equal samples",
        || with_moof(&[traf(&[0x2_0018, 1, 1], &[1, u32::MAX, 8])]),
        Malformed,
    ),
    case(
        "a trun of 2^32-1 samples of no bytes",
        || with_moof(&[traf(&[0x2_0018, 1, 0], &[1, u32::MAX, 8])]),
        Malformed,
    ),
    case("10^5 runs over the same bytes", || with_moof(&[traf_of_runs(100_000)]), Malformed),
    case("10^5 trafs", || with_moof(&[repeated(&traf(&[0x2_0018, 1, 0], &[1, 0, 8]), 100_000)]), Valid),
    case("data before the file", || with_moof(&[traf(&[0x2_0018, 1, 9], &[1, 1, 1 << 31])]), Malformed),
    case(
        "data behind the file",
        || with_moof(&[traf(&[0x2_0018, 1, 9], &[1, 1, i32::MAX as u32])]),
        Malformed,
    ),
    case("data at 2^64-1", || with_moof(&[traf(&[0x19, u32::MAX, u32::MAX, 1, 9], &[1, 1, 8])]), Malformed),
    case(
        "a fragment before the last",
        || {
            with_moof(&[boxed(
                b"traf",
                &[full(b"tfhd", &[0x2_0018, 1, 1, 9]), full(b"tfdt", &[0, 0]), full(b"trun", &[1, 1, 0])]
                    .concat(),
            )])
        },
        Unsupported,
    ),
    case(
        "a time of 2^64-1",
        || {
            with_moof(&[boxed(
                b"traf",
                &[full(b"tfhd", &[0, 1]), full(b"tfdt", &[0x100_0000, u32::MAX, u32::MAX])].concat(),
            )])
        },
        Malformed,
    ),
    case("a traf without tfhd", || with_moof(&[boxed(b"traf", &[])]), Malformed),
    case(
        "a sidx of 65535 references to nowhere",
        || with_sidx(&[&[0, 1, 1000, 0, 0, 65_535][..], &[0x7fff_ffff; 65_535 * 3]].concat()),
        Truncated,
    ),
    case(
        "a sidx of 65535 references to nothing",
        || with_sidx(&[&[0, 1, 1000, 0, 0, 65_535][..], &[0; 65_535 * 3]].concat()),
        Valid,
    ),
    case("a sidx of references that are not there", || with_sidx(&[0, 1, 1000, 0, 0, 65_535]), Malformed),
    case("a sidx of indexes", || with_sidx(&[0, 1, 1000, 0, 0, 1, 0x8000_0040, 1000, 0]), Valid),
    case("a sidx whose clock stands still", || with_sidx(&[0, 1, 0, 0, 0, 1, 64, 1000, 0]), Valid),
];

fn track_without_samples() -> Vec<u8> {
    trak(1, &small()[0], &tables(&small()[0], &[]))
}

/// So many boxes in each other.
fn nested(depth: u32) -> Vec<u8> {
    (0..depth).rev().flat_map(|n| [&(8 * (n + 1)).to_be_bytes()[..], b"moov"].concat()).collect()
}

/// Pictures of equal sizes, in a file with room for them.
fn equal(count: u32) -> Vec<u8> {
    let media = Media { edit: None, ..small().swap_remove(0) };
    let tables = [
        tables(&media, &[])[0].clone(),
        full(b"stts", &[0, 1, count, 512]),
        full(b"stsc", &[0, 1, 1, count, 1]),
        full(b"stsz", &[0, 9, count]),
        full(b"stco", &[0, 1, 0]),
    ];
    let moov = moov(&[trak(1, &media, &tables)]);
    [ftyp(), moov, boxed(b"mdat", &vec![0; 9 * count as usize])].concat()
}

/// The file with the `fields`th byte behind a box's type changed.
fn moved(file: &[u8], kind: &[u8; 4], at: usize, value: u32) -> Vec<u8> {
    let mut file = file.to_vec();
    let place = file.windows(4).position(|w| w == kind).unwrap() + 4 + at;
    file[place..place + 4].copy_from_slice(&value.to_be_bytes());
    file
}

fn with_edits(entries: &[u8]) -> Vec<u8> {
    let media = Media { edit: None, ..small().swap_remove(0) };
    let elst = boxed(b"elst", &[&words(&[0, (entries.len() / 12) as u32])[..], entries].concat());
    let offsets: Vec<u32> = (0..media.packets.len() as u32).collect();
    let mut trak = trak(1, &media, &tables(&media, &offsets));
    trak.extend(boxed(b"edts", &elst));
    let len = trak.len() as u32;
    trak[..4].copy_from_slice(&len.to_be_bytes());
    [ftyp(), moov(&[trak])].concat()
}

fn traf_of_runs(count: usize) -> Vec<u8> {
    let runs = repeated(&full(b"trun", &[1, 1000, 0]), count);
    boxed(b"traf", &[full(b"tfhd", &[0x2_0018, 1, 1, 1]), full(b"tfdt", &[0, 99_999]), runs].concat())
}
