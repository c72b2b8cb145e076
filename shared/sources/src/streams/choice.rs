//! Which of several renditions of the same thing is taken.
//!
//! It is the variant with the largest picture that is no larger than the quality asked for; among equals H.264 with
//! AAC, then the most bits a second.

use domain::quality::{PictureSize, Quality};

/// What a choice is made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The picture, where it is told.
    pub picture: Option<PictureSize>,
    /// H.264 and AAC, which are cut without being encoded anew and play everywhere.
    pub plain: bool,
    /// Bits a second.
    pub bandwidth: u64,
}

/// The place of the best picture that is no larger than `quality`, else of the smallest one; among equals a plain one,
/// among these the one with most bits. Sizes that are not told count as small. `None` only if there is none.
#[must_use]
pub fn choose(candidates: impl IntoIterator<Item = Candidate>, quality: Quality) -> Option<usize> {
    let rank = |candidate: &Candidate| {
        let side = candidate.picture.map_or(0, |picture| i64::from(picture.width.min(picture.height)));
        let fits = candidate.picture.is_none_or(|picture| picture.fits(quality));
        (fits, if fits { side } else { -side }, candidate.plain, candidate.bandwidth)
    };
    let ranked = candidates.into_iter().enumerate().map(|(place, candidate)| (rank(&candidate), place));
    // Of wholly equal ones the first: it is the publisher's own preference.
    ranked.max_by_key(|(rank, place)| (*rank, std::cmp::Reverse(*place))).map(|(_, place)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(height: u32, plain: bool, bandwidth: u64) -> Candidate {
        let picture = (height > 0).then_some(PictureSize { width: height * 16 / 9, height });
        Candidate { picture, plain, bandwidth }
    }

    #[test]
    fn the_best_that_fits_else_the_smallest() {
        let all = [
            candidate(2160, true, 9),
            candidate(720, true, 3),
            candidate(1080, false, 8),
            candidate(1080, true, 5),
            candidate(1080, true, 6),
            candidate(1440, true, 7),
        ];
        assert_eq!(choose(all, Quality::P1080), Some(4));
        assert_eq!(choose(all, Quality::P720), Some(1));
        assert_eq!(choose(all, Quality::K4), Some(0));
        assert_eq!(choose([all[0], all[5]], Quality::P720), Some(1), "the smallest is made smaller");
        assert_eq!(choose([candidate(0, true, 1), candidate(0, true, 2)], Quality::P720), Some(1));
        assert_eq!(choose([], Quality::P720), None);
    }
}
