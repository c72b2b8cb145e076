//! What was said against what was heard.

/// A word and when it begins, in seconds; nothing where nobody knows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) start_s: Option<f64>,
}

/// The words of a text, as they are compared: small letters and apostrophes.
pub(crate) fn words(text: &str, start_s: Option<f64>) -> Vec<Word> {
    let parts = text.split(|letter: char| !letter.is_alphanumeric() && letter != '\'');
    let small = parts.map(|part| match part.trim_matches('\'').to_lowercase().as_str() {
        "mr" => "mister".to_owned(),
        other => other.to_owned(),
    });
    small.filter(|part| !part.is_empty()).map(|text| Word { text, start_s }).collect()
}

/// How a recogniser did.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Score {
    /// Words that were said.
    pub(crate) said: usize,
    /// Words that were heard wrong, missed, or invented.
    pub(crate) wrong: usize,
    /// By how many seconds the words that were heard right begin too late.
    pub(crate) late_s: Vec<f64>,
}

impl Score {
    /// The fewest changes that make one of the other (Levenshtein).
    pub(crate) fn of(said: &[Word], heard: &[Word]) -> Self {
        let width = heard.len() + 1;
        let mut costs = vec![0; (said.len() + 1) * width];
        for at in 0..costs.len() {
            let (row, column) = (at / width, at % width);
            costs[at] = match (row, column) {
                (0, _) => column,
                (_, 0) => row,
                _ => {
                    let differs = usize::from(said[row - 1].text != heard[column - 1].text);
                    (costs[at - width - 1] + differs).min(costs[at - width] + 1).min(costs[at - 1] + 1)
                }
            };
        }
        let (mut row, mut column) = (said.len(), heard.len());
        let mut late_s = Vec::new();
        while row > 0 && column > 0 {
            let at = row * width + column;
            let (one, other) = (&said[row - 1], &heard[column - 1]);
            if one.text == other.text && costs[at] == costs[at - width - 1] {
                late_s.extend(other.start_s.zip(one.start_s).map(|(heard, said)| heard - said));
                (row, column) = (row - 1, column - 1);
            } else if costs[at] == costs[at - width - 1] + 1 {
                (row, column) = (row - 1, column - 1);
            } else if costs[at] == costs[at - width] + 1 {
                row -= 1;
            } else {
                column -= 1;
            }
        }
        Self { said: said.len(), wrong: costs[said.len() * width + heard.len()], late_s }
    }

    /// With that of another sound.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.said += other.said;
        self.wrong += other.wrong;
        self.late_s.extend(other.late_s);
        self
    }

    /// Word error rate: wrong words for each one that was said.
    pub(crate) fn rate(&self) -> f64 {
        self.wrong as f64 / self.said.max(1) as f64
    }

    /// Of nine tenths (`0.9`) of the words, the error of their beginnings is at most this, in milliseconds.
    pub(crate) fn within_ms(&self, part: f64) -> Option<f64> {
        let mut errors: Vec<f64> = self.late_s.iter().map(|late| late.abs() * 1000.0).collect();
        errors.sort_by(f64::total_cmp);
        errors.get((errors.len() as f64 * part) as usize).copied()
    }

    /// The mean error with its sign, in milliseconds: above zero is too late.
    pub(crate) fn bias_ms(&self) -> Option<f64> {
        let sum: f64 = self.late_s.iter().sum();
        (!self.late_s.is_empty()).then(|| sum / self.late_s.len() as f64 * 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timed(text: &str, first_s: f64) -> Vec<Word> {
        let parts = text.split(' ').enumerate();
        parts.flat_map(|(at, part)| words(part, Some(first_s + at as f64))).collect()
    }

    #[test]
    fn words_are_compared_without_dress() {
        let plain: Vec<_> =
            words("Don't -- \"stop\", Mr. Émile!", None).into_iter().map(|word| word.text).collect();
        assert_eq!(plain, ["don't", "stop", "mister", "émile"]);
    }

    #[test]
    fn wrong_missed_and_invented_words_count() {
        let said = timed("a b c d e", 0.0);
        let score = Score::of(&said, &timed("f a x c e", -0.5));
        assert_eq!((score.said, score.wrong), (5, 3));
        assert_eq!(score.late_s, [-0.5, 0.5, 0.5]);
        assert_eq!(score.within_ms(0.5), Some(500.0));
        assert_eq!(score.bias_ms().map(f64::round), Some(167.0));
        assert_eq!(Score::of(&said, &[]).wrong, 5);
        assert_eq!(Score::of(&[], &said).rate(), 5.0);
        let both = Score::of(&said, &said).and(Score::of(&said, &[]));
        assert_eq!(both.rate(), 0.5);
    }
}
