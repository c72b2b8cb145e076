//! Which picture of a file is the film.

/// A stream of pictures, as far as it matters here.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pictures {
    /// How many there are, where it is told.
    pub(crate) count: Option<u64>,
    /// Pixels of each.
    pub(crate) area: u64,
    /// Whether they are coded like photographs, each for itself.
    pub(crate) is_stills: bool,
    /// Whether the file says that this is the one to show.
    pub(crate) is_default: bool,
    /// Whether the file says that it is a cover or a row of thumbnails.
    pub(crate) is_cover: bool,
}

/// A film has at least so many times fewer pixels than another stream, and it is taken for the other's thumbnails.
const THUMBNAIL_SHARE: u64 = 16;

/// The codecs of photographs, by FFmpeg's names and as MP4 names them.
const STILLS: [&str; 9] = ["mjpeg", "png", "bmp", "webp", "tiff", "jpeg", "jpg ", "mjpa", "png "];

/// Whether a codec is one of photographs.
pub(crate) fn is_stills(codec: &str) -> bool {
    STILLS.contains(&codec)
}

/// The position of the film among `streams`: no cover, no thumbnails, then the file's default, then the first.
pub(crate) fn film(streams: &[Pictures]) -> Option<usize> {
    let plain = || streams.iter().filter(|stream| !stream.is_cover);
    let largest = plain().map(|stream| stream.area).max()?;
    let moves = plain().any(|stream| stream.count.is_none_or(|count| count > 1));
    let filmed = plain().any(|stream| !stream.is_stills && stream.count != Some(1));
    let is_film = |stream: &Pictures| {
        !stream.is_cover
            && (!moves || stream.count.is_none_or(|count| count > 1))
            && (!filmed || !stream.is_stills)
    };
    // What is left may be a film in small.
    let is_large = |stream: &Pictures| stream.area.saturating_mul(THUMBNAIL_SHARE) > largest;
    let first = |suits: &dyn Fn(&Pictures) -> bool| streams.iter().position(suits);
    first(&|stream| is_film(stream) && is_large(stream) && stream.is_default)
        .or_else(|| first(&|stream| is_film(stream) && is_large(stream)))
        .or_else(|| first(&is_film))
        .or_else(|| first(&|stream| !stream.is_cover))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbnails_in_front_are_passed_over() {
        let film_ = Pictures { count: Some(300), area: 1920 * 1080, ..Pictures::default() };
        let still = Pictures { count: Some(1), is_default: true, ..film_ };
        let jpegs = Pictures { is_stills: true, count: None, is_default: true, ..film_ };
        let small = Pictures { area: 160 * 90, is_default: true, ..film_ };
        let cover = Pictures { is_cover: true, is_default: true, ..film_ };
        for front in [still, jpegs, small, cover] {
            assert_eq!(film(&[front, film_]), Some(1), "{front:?}");
            assert_eq!(film(&[film_, front]), Some(0), "{front:?}");
        }
        assert_eq!(film(&[film_, Pictures { is_default: true, ..film_ }]), Some(1));
        // What there is has to do.
        for only in [still, jpegs, small] {
            assert_eq!(film(&[only]), Some(0), "{only:?}");
        }
        assert_eq!((film(&[cover]), film(&[])), (None, None));
    }
}
