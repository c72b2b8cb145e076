//! Key pictures whose time is known to be wrong.
//!
//! FFmpeg's writer of segments (HLS and DASH) gives the first picture of each fragment the composition offset of the very
//! first picture. Where the group is open, that is too little: the key picture comes to lie on the time of the first of
//! its leading pictures, and its own place behind the last of them stays empty. That place is found again here. Two
//! pictures of one time are in no file that is right, so nothing else is ever changed.

use super::samples::{Sample, Samples};

impl Samples {
    /// Moves key pictures that share their time with a picture of their own group to the place that is free in it, if
    /// its pictures are evenly apart and one place is.
    pub(super) fn mend(&mut self) {
        let Some(sync) = &self.sync else { return };
        for (n, key) in sync.iter().enumerate() {
            let end = sync.get(n + 1).map_or(self.list.len(), |next| *next as usize);
            let Some([key, others @ ..]) = self.list.get_mut(*key as usize..end) else { continue };
            if others.iter().any(|other| other.pts() == key.pts())
                && let Some(free) = free_place(others)
                && let Ok(offset) = i32::try_from(free - key.dts)
            {
                key.cts = offset;
            }
        }
    }
}

/// The one place that is free among pictures that are else evenly apart.
fn free_place(pictures: &[Sample]) -> Option<i64> {
    let mut times: Vec<i64> = pictures.iter().map(Sample::pts).collect();
    times.sort_unstable();
    let gaps =
        || times.windows(2).filter_map(|pair| if let [a, b] = pair { Some((*a, b - a)) } else { None });
    let step = gaps().map(|(_, gap)| gap).min().filter(|step| *step > 0)?;
    let mut wide = gaps().filter(|(_, gap)| *gap != step);
    let (before, gap) = wide.next()?;
    (gap == 2 * step && wide.next().is_none()).then_some(before + step)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A group of pictures shown at these times, decoded in this order.
    fn group(times: &[i64]) -> Samples {
        let sample = |(n, pts): (usize, &i64)| {
            let dts = i64::try_from(n).unwrap() - 2;
            Sample { dts, offset: 0, cts: i32::try_from(pts - dts).unwrap(), size: 1 }
        };
        let list = times.iter().enumerate().map(sample).collect();
        Samples { list, sync: Some(vec![0]), last_duration: 1, description: 1 }
    }

    fn mended(times: &[i64]) -> Vec<i64> {
        let mut samples = group(times);
        samples.mend();
        samples.list.iter().map(Sample::pts).collect()
    }

    #[test]
    fn a_key_picture_finds_its_place_behind_those_that_lead_it() {
        assert_eq!(mended(&[0, 1, 0, 2, 7, 5, 4, 6]), [3, 1, 0, 2, 7, 5, 4, 6]);
    }

    #[test]
    fn what_is_right_or_in_doubt_stays() {
        for times in [
            &[3, 1, 0, 2, 7, 5, 4, 6][..], // right
            &[0, 1, 0, 2, 9, 5, 4, 6],     // two places are free
            &[0, 1, 0, 2, 3],              // none is
            &[0, 0],
            &[0],
        ] {
            assert_eq!(mended(times), times);
        }
    }
}
