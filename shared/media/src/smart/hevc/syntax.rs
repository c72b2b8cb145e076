//! What stands in a sequence parameter set (H.265 7.3.2.2.1) between the fields that matter, and has to be read to get
//! past it.

use super::super::bits::BitReader;

/// The most sets of reference pictures (7.4.3.2.1), and the most pictures in one.
const REFERENCE_SETS_MAX: u32 = 64;
const REFERENCES_MAX: u32 = 16;

/// `profile_tier_level` (7.3.3): the profile, 0 in another profile space; and whether all pictures are interlaced.
pub(super) fn profile(r: &mut BitReader<'_>, layers: u32) -> Option<(u8, bool)> {
    let (space, _, profile) = (r.bits(2)?, r.flag()?, r.bits(5)?);
    r.bits(32)?;
    let (progressive, interlaced) = (r.flag()?, r.flag()?);
    skip(r, 46 + 8)?; // constraints and level
    let mut present = Vec::new();
    if layers > 1 {
        for _ in 0..8 {
            present.push((r.flag()?, r.flag()?));
        }
    }
    for (has_profile, has_level) in present.into_iter().take(usize::try_from(layers - 1).ok()?) {
        skip(r, if has_profile { 88 } else { 0 } + if has_level { 8 } else { 0 })?;
    }
    let profile = u8::try_from(profile).ok().filter(|_| space == 0).unwrap_or(0);
    Some((profile, interlaced && !progressive))
}

fn skip(r: &mut BitReader<'_>, bits: usize) -> Option<()> {
    (0..bits).try_for_each(|_| r.flag().map(|_| ()))
}

/// From the size of coding blocks to `strong_intra_smoothing_enabled_flag`.
pub(super) fn read_tools(r: &mut BitReader<'_>, count_bits: u32) -> Option<()> {
    for _ in 0..6 {
        r.ue()?; // sizes of blocks and depths of their trees
    }
    if r.flag()? && r.flag()? {
        scaling_lists(r)?;
    }
    r.flag()?; // amp_enabled_flag
    r.flag()?; // sample_adaptive_offset_enabled_flag
    if r.flag()? {
        r.bits(8)?; // bit depths of pulse code modulation
        r.ue()?;
        r.ue()?;
        r.flag()?;
    }
    let sets = r.ue().filter(|sets| *sets <= REFERENCE_SETS_MAX)?;
    let mut last = Vec::new();
    for number in 0..sets {
        last = reference_set(r, (number > 0).then_some(last))?;
    }
    if r.flag()? {
        for _ in 0..r.ue().filter(|count| *count <= 32)? {
            r.bits(count_bits + 1)?;
        }
    }
    r.flag()?; // sps_temporal_mvp_enabled_flag
    r.flag()?;
    Some(())
}

/// `scaling_list_data` (7.3.4).
fn scaling_lists(r: &mut BitReader<'_>) -> Option<()> {
    for size in 0..4 {
        for _ in 0..if size == 3 { 2 } else { 6 } {
            if !r.flag()? {
                r.ue()?;
                continue;
            }
            if size > 1 {
                r.se()?;
            }
            for _ in 0..64.min(1 << (4 + 2 * size)) {
                r.se()?;
            }
        }
    }
    Some(())
}

/// `st_ref_pic_set` (7.3.7): the differences of picture order counts in it, the nearest before first, then those
/// behind. `last` is the set before, if there is one.
fn reference_set(r: &mut BitReader<'_>, last: Option<Vec<i64>>) -> Option<Vec<i64>> {
    if let Some(last) = last
        && r.flag()?
    {
        let is_negative = r.flag()?;
        let distance = i64::from(r.ue()?) + 1;
        let delta = if is_negative { -distance } else { distance };
        let mut set = Vec::new();
        for other in last.into_iter().chain([0]) {
            let is_there = r.flag()? || r.flag()?; // used_by_curr_pic_flag, else use_delta_flag
            set.extend(Some(other + delta).filter(|count| is_there && *count != 0));
        }
        set.sort_unstable_by_key(|count| (*count > 0, count.abs()));
        return Some(set).filter(|set| set.len() <= 2 * REFERENCES_MAX as usize);
    }
    let counts = [r.ue()?, r.ue()?];
    let mut set = Vec::new();
    for (count, sign) in counts.into_iter().zip([-1, 1]) {
        let mut at = 0;
        for _ in 0..Some(count).filter(|count| *count <= REFERENCES_MAX)? {
            at += sign * (i64::from(r.ue()?) + 1);
            r.flag()?;
            set.push(at);
        }
    }
    Some(set)
}

#[cfg(test)]
mod tests {
    use super::{super::super::bits::BitWriter, *};

    #[test]
    fn reference_sets_are_derived_from_each_other() {
        let mut bits = BitWriter::default();
        // One picture before by 1, two behind by 2 and 5.
        [1, 2, 0].into_iter().for_each(|value| bits.ue(value));
        bits.flag(true);
        for distance in [1, 2] {
            bits.ue(distance);
            bits.flag(true);
        }
        // Predicted: all moved by -2, of which the one that then is this picture itself does not count.
        bits.flag(true);
        bits.flag(true);
        bits.ue(1);
        [true, true, true, false, true].into_iter().for_each(|flag| bits.flag(flag));
        let data = bits.finish();
        let mut r = BitReader::new(&data, 0);
        let first = reference_set(&mut r, None).unwrap();
        assert_eq!(first, [-1, 2, 5]);
        assert_eq!(reference_set(&mut r, Some(first)).unwrap(), [-2, -3, 3]);
    }
}
