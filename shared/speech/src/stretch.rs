//! From how likely somebody speaks, every 32 ms, to where somebody speaks.

use std::ops::Range;

/// Samples of a window that is judged as one: 32 ms.
pub(crate) const WINDOW: usize = 512;
/// Speech begins where it is as likely as this, and ends where it is less likely than that: between the two, it goes on.
const BEGINS: f32 = 0.5;
const ENDS: f32 = 0.35;
/// A shorter silence is a part of the speech around it: 96 ms, as between words.
const PAUSE_MIN: usize = 3 * WINDOW;
/// Shorter speech is none: 96 ms. No word is as short.
const SPEECH_MIN: usize = 3 * WINDOW;

/// Somebody speaks from this sample to that one.
pub(crate) type Stretch = Range<usize>;

/// The stretches of `chances`, one for each window of a sound of so many samples: in order, apart from each other, none empty.
pub(crate) fn stretches(chances: &[f32], samples: usize) -> Vec<Stretch> {
    let mut found: Vec<Stretch> = Vec::new();
    let mut speaks = false;
    for (number, chance) in chances.iter().enumerate() {
        speaks = *chance >= if speaks { ENDS } else { BEGINS };
        if !speaks {
            continue;
        }
        let (start, end) = (number * WINDOW, ((number + 1) * WINDOW).min(samples));
        match found.last_mut() {
            Some(last) if start < last.end + PAUSE_MIN => last.end = end,
            _ => found.push(start..end),
        }
    }
    found.retain(|stretch| stretch.len() >= SPEECH_MIN);
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_word_is_found_and_a_click_is_not() {
        let mut chances = vec![0.0; 100];
        chances[10..20].fill(0.9);
        // Doubt within speech, and a pause shorter than one between sentences.
        chances[14] = 0.4;
        chances[17] = 0.0;
        chances[50] = 1.0;
        // Doubt alone begins nothing.
        chances[70..80].fill(0.4);
        let found = stretches(&chances, 100 * WINDOW);
        assert_eq!((found.len(), found.first()), (1, Some(&(10 * WINDOW..20 * WINDOW))));
    }

    proptest! {
        #[test]
        fn stretches_are_in_order_and_within_the_sound(
            chances in proptest::collection::vec(0f32..1.0, 0..200),
            missing in 0..WINDOW,
        ) {
            let samples = (chances.len() * WINDOW).saturating_sub(missing);
            let found = stretches(&chances, samples);
            prop_assert!(found.iter().all(|one| one.len() >= SPEECH_MIN && one.end <= samples));
            prop_assert!(found.windows(2).all(|two| two[0].end + PAUSE_MIN <= two[1].start));
        }
    }
}
