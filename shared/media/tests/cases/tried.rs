//! Trying a case as the service would: look, decide, fetch, cut; then what came is compared.

use std::{
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
};

use domain::{
    clip::{ClipSpec, Refusal},
    quality::Format,
    source::SourceInfo,
    time::MediaTime,
    tracks::AudioWish,
};
use futures_util::FutureExt as _;
use media::{
    engine::{self, Cut},
    ffmpeg::{ProbeError, Tools},
    measure::Measured,
    mp4::{Index, LocalFile, Part, ReadAt, SpanFile, Wanted},
    remux, ts,
};

use crate::{Ask, Case, Want, kit};

/// A line of the table.
pub(crate) struct Row {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) ask: String,
    /// What came, or what is wrong with it.
    pub(crate) result: Result<String, String>,
}

/// By how much sound may be off where its codec does not tell its delay, in samples of 48 kHz: 50 ms.
const LAG_MAX: i32 = 2400;

/// Tries all that is asked of a case.
pub(crate) async fn case(folder: &Path, case: Case) -> Vec<Row> {
    let dir = folder.join(case.name.replace('/', "-"));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("source");
    let make = AssertUnwindSafe(|| (case.make)(&path));
    let made = std::panic::catch_unwind(make).map_err(|panic| format!("not made: {}", words(&*panic)));
    let mut rows = Vec::new();
    for ask in &case.asks {
        let result = match &made {
            Err(why) => Err(why.clone()),
            Ok(()) => {
                let tried = AssertUnwindSafe(one(&path, ask)).catch_unwind().await;
                tried.unwrap_or_else(|panic| Err(words(&*panic)))
            }
        };
        let Ask { span, format, .. } = ask;
        let audio = ask.audio.map(|audio| format!(" audio {audio}")).unwrap_or_default();
        let ask = format!("{} {}-{}{audio}", format.extension(), span.start.seconds(), span.end.seconds());
        rows.push(Row { kind: case.kind, name: case.name.clone(), ask, result });
    }
    std::fs::remove_dir_all(&dir).unwrap();
    rows
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}

async fn one(path: &Path, ask: &Ask) -> Result<String, String> {
    let delivered = deliver(path, ask).await;
    match (ask.want, delivered) {
        (_, Err(Refused::Ours(why))) => Err(format!("our side: {why}")),
        (Want::Refusal(words), Err(Refused::Source(why))) if why.contains(words) => {
            Ok(format!("refused: {why}"))
        }
        (Want::Either, Err(Refused::Source(why))) => Ok(format!("refused: {why}")),
        (_, Err(Refused::Source(why))) => Err(format!("refused: {why}")),
        (Want::Refusal(words), Ok(_)) => Err(format!("a clip, instead of a reason with {words:?}")),
        (Want::Clip, Ok((media, method))) => {
            clip(&media, ask)?;
            Ok(format!("the clip, {method}"))
        }
        (Want::Length | Want::Either, Ok((media, method))) => {
            length(&media, ask)?;
            Ok(format!("a clip, {method}"))
        }
        (Want::Heard(check), Ok((media, method))) => {
            length(&media, ask)?;
            check(&media);
            Ok(format!("the clip, {method}"))
        }
    }
}

/// Why there is no clip.
enum Refused {
    Source(String),
    Ours(String),
}

/// The clip of a local file, made as a job makes it, and how.
async fn deliver(path: &Path, ask: &Ask) -> Result<(PathBuf, &'static str), Refused> {
    let tools = kit::tools();
    let file = LocalFile::open(path).unwrap();
    let wish = ask.audio.map(|word| AudioWish::parse(word).unwrap());
    let index = Index::read_for(&file, Part::Whole, wish.as_ref()).await.ok();
    let source = match &index {
        Some(index) if index.is_protected() => {
            return Err(Refused::Source("It is protected (DRM).".to_owned()));
        }
        Some(index) => index.info(),
        None => measured(&tools, path).await.map_err(|error| Refused::Source(error.to_string()))?,
    };
    let refused = |error: Refusal| Refused::Source(error.to_string());
    let spec = ClipSpec::new("https://example.com/a", ask.span, Some(ask.format.extension()), None);
    let spec = spec.and_then(|spec| spec.with_audio(wish)).map_err(refused)?;
    let spec = spec.fitted(&source).map_err(refused)?;

    let wanted = Wanted { video: ask.format.has_picture(), audio: ask.format != Format::Gif };
    // Among several sounds the engine tells the silent ones apart.
    let index = index.filter(|index| spec.audio.is_some() || index.sounds.len() < 2);
    let small = index.as_ref().and_then(|index| SpanFile::plan(index, spec.span, wanted).ok());
    let (input, origin, pace) = match small {
        Some(small) => {
            let mut bytes = small.header.clone();
            for range in &small.ranges {
                bytes.extend(file.read_at(range.start, range.end - range.start).await.unwrap());
            }
            let input = path.with_file_name("span");
            std::fs::write(&input, bytes).unwrap();
            (input, small.origin, small.pace)
        }
        None => {
            let (going_on, begins) = (path.with_file_name("one-clock"), origin(path));
            match remux::on_one_clock(&tools, path, &going_on).await {
                Ok(Some(shift)) => (going_on, begins.since(shift), None),
                Ok(None) => (path.to_owned(), begins, None),
                Err(error) => return Err(Refused::Ours(format!("{error:?}"))),
            }
        }
    };
    let out_dir = path.with_file_name("out");
    std::fs::create_dir_all(&out_dir).unwrap();
    let job = Cut {
        input: &input,
        origin,
        span: spec.span,
        pace,
        format: ask.format,
        quality: spec.quality,
        audio: spec.audio.as_ref(),
        bytes_max: None,
        encode: false,
        out_dir: &out_dir,
    };
    match engine::cut(&tools, &job, &|_| {}).await {
        Ok(output) => Ok((output.media, output.method)),
        Err(error) => Err(match error.source_message() {
            Some(message) => Refused::Source(message),
            None => Refused::Ours(format!("{error}: {error:?}").chars().take(300).collect()),
        }),
    }
}

/// As the probe has it.
async fn measured(tools: &Tools, path: &Path) -> Result<SourceInfo, ProbeError> {
    let probe = tools.probe(path).await?;
    let measured = tools.measure(path, &probe).await?;
    let Measured { end, frame, .. } = measured.ok_or_else(|| ProbeError::NotAVideo("no packets".into()))?;
    Ok(SourceInfo { duration: end, frame: frame.or(probe.frame), ..probe.info() })
}

/// As Download has it: the zero of a transport stream is its first picture.
fn origin(path: &Path) -> MediaTime {
    let head = std::fs::read(path).unwrap();
    let opening = Some(head).filter(|head| ts::is_transport(head)).and_then(|head| ts::opening(&head));
    let picture = opening.and_then(|opening| Some((opening.earliest, opening.picture?)));
    let near = picture.filter(|(earliest, picture)| picture.since(*earliest) <= MediaTime(100_000));
    near.map_or(MediaTime::ZERO, |(earliest, picture)| earliest.since(picture))
}

fn ensure(is_so: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(why()) }
}

/// The length of a clip.
fn length(media: &Path, ask: &Ask) -> Result<f64, String> {
    let wanted = ask.span.duration().seconds();
    let name = media.to_str().unwrap();
    let text = kit::read("ffprobe", &["-show_entries", "format=duration", "-of", "csv=p=0", name]);
    let found: f64 = String::from_utf8(text).unwrap().trim().parse().map_err(|_| "no length".to_owned())?;
    ensure((found - wanted).abs() < 0.11, || format!("{found} s instead of {wanted}"))?;
    Ok(found)
}

/// The numbers of the frames, and the chirp.
fn clip(media: &Path, ask: &Ask) -> Result<(), String> {
    length(media, ask)?;
    let (start, end) = (ask.span.start.seconds(), ask.span.end.seconds());
    let mut began = start;
    if ask.format.has_picture() {
        let frames = kit::frames(media, "null");
        let numbers: Vec<i64> = frames.list.iter().map(|frame| frame.number().into()).collect();
        let (first, last) = (*numbers.first().ok_or("no frame")?, *numbers.last().ok_or("no frame")?);
        let rate = if ask.format == Format::Gif { 0.0 } else { 30.0 };
        if rate > 0.0 {
            let steps = numbers.windows(2).all(|pair| pair[1] - pair[0] == 1);
            ensure(steps, || format!("frames {numbers:?}"))?;
            ensure((first as f64 - start * 30.0).abs() <= 1.5, || format!("it begins with frame {first}"))?;
            ensure((last as f64 + 1.0 - end * 30.0).abs() <= 1.5, || format!("it ends with frame {last}"))?;
            began = first as f64 / 30.0 - frames.micros(frames.list[0].pts) as f64 / 1e6;
        } else {
            let rising = numbers.windows(2).all(|pair| pair[1] > pair[0]);
            ensure(rising && (first as f64 - start * 30.0).abs() <= 3.0, || format!("frames {numbers:?}"))?;
        }
    }
    if ask.format == Format::Gif || kit::packet_times(media, "a:0").is_empty() {
        return Ok(());
    }
    let pcm = kit::sound(media);
    ensure((pcm.len() as f64 / 48_000.0 - (end - start)).abs() < 0.11, || format!("{} samples", pcm.len()))?;
    let lag = lag(&pcm, began)?;
    ensure(lag.abs() <= LAG_MAX, || format!("the sound is {lag} samples late"))
}

/// As [`kit::lag_within`], by a part of the sound, first roughly: this is done a hundred times.
fn lag(pcm: &[f64], began: f64) -> Result<i32, String> {
    const WINDOW: usize = 24_000;
    const REACH: i32 = LAG_MAX + 480;
    let reach = usize::try_from(REACH).unwrap();
    let first = pcm.len().saturating_sub(WINDOW + 2 * reach) / 2 + reach;
    ensure(pcm.len() >= first + WINDOW + reach, || "too little sound".to_owned())?;
    let chirp = |n: usize| {
        let t = (n + first - reach) as f64 / 48_000.0 + began;
        (std::f64::consts::TAU * (300.0 * t + 60.0 * t * t)).sin()
    };
    let wanted: Vec<f64> = (0..WINDOW + 2 * reach).map(chirp).collect();
    let likeness = |lag: i32| {
        let (mut dot, mut a, mut b) = (0.0, 0.0, 0.0);
        for n in (0..WINDOW).step_by(12) {
            let want = wanted[usize::try_from(i32::try_from(n + reach).unwrap() - lag).unwrap()];
            let found = pcm[first + n];
            (dot, a, b) = (dot + want * found, a + want * want, b + found * found);
        }
        dot / (a * b).sqrt()
    };
    let best = |mut lags: Box<dyn Iterator<Item = i32>>| {
        let first = lags.next().unwrap();
        lags.fold((first, likeness(first)), |(best, like), lag| {
            let this = likeness(lag);
            if this > like { (lag, this) } else { (best, like) }
        })
    };
    let (rough, _) = best(Box::new((-REACH..=REACH).step_by(6)));
    let (lag, like) = best(Box::new((rough - 6).max(-REACH)..=(rough + 6).min(REACH)));
    ensure(like > 0.9, || format!("the sound is not the chirp: {like:.2}"))?;
    Ok(lag)
}
