//! What the numbers of a picture mean (ITU-T H.273).

use domain::quality::PictureSize;

/// A picture's samples. The words are FFmpeg's; `None` where the file says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Colour {
    /// Whether the samples are red, green and blue instead of luma and chroma.
    pub rgb: bool,
    /// Whether black is 0 and white the largest number, instead of 16 and 235 of 255.
    pub full_range: bool,
    /// How luma and chroma are made of red, green and blue (H.273, 8.3).
    pub matrix: Option<String>,
    /// How light becomes a number (8.2).
    pub transfer: Option<String>,
    /// Which red, green and blue (8.1).
    pub primaries: Option<String>,
}

/// A picture larger than this is high definition, and then players take the matrix to be BT.709, where nothing is
/// said; below it they take BT.601.
const STANDARD_DEFINITION: PictureSize = PictureSize { width: 1024, height: 576 };

impl Colour {
    /// Luma and chroma with these codes of primaries, transfer and matrix (H.273, tables 2 to 4). What FFmpeg does not
    /// make use of is taken as not said.
    #[must_use]
    pub fn from_codes(full_range: bool, [primaries, transfer, matrix]: [u32; 3]) -> Self {
        let word = |code: u32, words: &[(u32, &str)]| {
            words.iter().find(|(own, _)| *own == code).map(|(_, word)| (*word).to_owned())
        };
        let old = [(1, "bt709"), (5, "bt470bg"), (6, "smpte170m"), (7, "smpte240m")];
        let with = |more: &[(u32, &'static str)]| [&old[..], more].concat();
        Self {
            rgb: matrix == 0,
            full_range,
            matrix: word(matrix, &with(&[(0, "gbr"), (4, "fcc"), (9, "bt2020nc"), (10, "bt2020c")])),
            transfer: word(
                transfer,
                &[
                    (1, "bt709"),
                    (6, "smpte170m"),
                    (7, "smpte240m"),
                    (13, "iec61966-2-1"),
                    (14, "bt2020-10"),
                    (15, "bt2020-12"),
                    (16, "smpte2084"),
                    (18, "arib-std-b67"),
                ],
            ),
            primaries: word(primaries, &with(&[(9, "bt2020")])),
        }
    }

    /// Whether a screen of usual brightness needs the picture tone-mapped: it is PQ or HLG (ITU-R BT.2100).
    #[must_use]
    pub fn is_hdr(&self) -> bool {
        matches!(self.transfer.as_deref(), Some("smpte2084" | "arib-std-b67"))
    }

    /// FFmpeg's word for the range.
    #[must_use]
    pub const fn range(&self) -> &'static str {
        if self.full_range { "pc" } else { "tv" }
    }

    /// The matrix in the words of FFmpeg's scaler. One that is not said is guessed from the size as players do.
    #[must_use]
    pub fn scaler_matrix(&self, size: PictureSize) -> &'static str {
        match self.matrix.as_deref() {
            Some("bt709") => "bt709",
            Some("smpte170m" | "bt470bg") => "bt601",
            Some("fcc") => "fcc",
            Some("smpte240m") => "smpte240m",
            Some("bt2020nc" | "bt2020c") => "bt2020",
            _ if is_high_definition(size) => "bt709",
            _ => "bt601",
        }
    }
}

const fn is_high_definition(size: PictureSize) -> bool {
    let (long, short) =
        if size.width > size.height { (size.width, size.height) } else { (size.height, size.width) };
    long > STANDARD_DEFINITION.width || short > STANDARD_DEFINITION.height
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_that_is_not_said_is_guessed_from_the_size() {
        let said = |matrix: &str| Colour { matrix: Some(matrix.to_owned()), ..Colour::default() };
        let (sd, hd) = (PictureSize { width: 576, height: 720 }, PictureSize { width: 720, height: 1280 });
        assert_eq!(
            (Colour::default().scaler_matrix(sd), Colour::default().scaler_matrix(hd)),
            ("bt601", "bt709")
        );
        assert_eq!((said("bt470bg").scaler_matrix(hd), said("bt709").scaler_matrix(sd)), ("bt601", "bt709"));
    }

    #[test]
    fn codes_are_words() {
        let hdr = Colour::from_codes(false, [9, 16, 9]);
        assert!(hdr.is_hdr() && !hdr.rgb);
        assert_eq!((hdr.matrix.as_deref(), hdr.primaries.as_deref()), (Some("bt2020nc"), Some("bt2020")));
        assert_eq!(Colour::from_codes(false, [2, 2, 2]), Colour::default());
        assert_eq!(Colour::from_codes(true, [1, 1, 1]).range(), "pc");
    }

    #[test]
    fn pq_and_hlg_are_hdr() {
        let transfer = |word: &str| Colour { transfer: Some(word.to_owned()), ..Colour::default() };
        assert!(transfer("smpte2084").is_hdr() && transfer("arib-std-b67").is_hdr());
        assert!(!transfer("bt2020-10").is_hdr() && !Colour::default().is_hdr());
    }
}
