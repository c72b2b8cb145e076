//! Where moments begin and end: between words always, between sentences if that is asked, within the lengths that are asked.

use crate::lines::Line;
use crate::{Snap, units};

/// Words after which a segment's beginning counts as a sentence's: captions often have no punctuation.
const SENTENCE_WORDS_MAX: usize = 60;
/// Microseconds that an edge moves to a sentence's at most.
const SNAP_MICROS_MAX: i64 = 15_000_000;
/// Words that end in a dot and no sentence.
const SHORT_FORMS: [&str; 14] = [
    "mr.", "mrs.", "ms.", "dr.", "prof.", "st.", "vs.", "e.g.", "i.e.", "etc.", "no.", "u.s.", "z.b.", "sr.",
];
/// Letters of an excerpt.
const EXCERPT_LETTERS_MAX: usize = 240;

/// Words [from, to) of a transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// How long a moment may be, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lengths {
    pub(crate) shortest: i64,
    pub(crate) longest: i64,
}

/// All words of a transcript with their times, which never go back.
pub(crate) struct Words<'a> {
    texts: Vec<&'a str>,
    pub(crate) start: Vec<i64>,
    pub(crate) end: Vec<i64>,
    /// Whether a sentence begins with it; one longer, for the end.
    opens: Vec<bool>,
    /// The first word of each line; one longer, for the end.
    first: Vec<usize>,
}

impl<'a> Words<'a> {
    pub(crate) fn new(lines: &'a [Line]) -> Self {
        let (mut texts, mut start, mut end) = (Vec::new(), Vec::new(), Vec::new());
        let (mut opens, mut first) = (Vec::new(), Vec::new());
        // What a sentence would begin with if it gets too long, since the last one that began.
        let (mut ended, mut begun, mut at) = (true, 0, 0);
        for line in lines {
            first.push(texts.len());
            for (number, (text, time)) in line.text.split(' ').zip(&line.words).enumerate() {
                let long = number == 0 && line.begins && texts.len() - begun >= SENTENCE_WORDS_MAX / 4;
                let is_open = ended || long || text.starts_with('[');
                if is_open {
                    begun = texts.len();
                }
                opens.push(is_open);
                at = time.start.max(at);
                start.push(at);
                end.push(time.end.max(at));
                ended = ends_sentence(text);
                texts.push(text);
            }
        }
        first.push(texts.len());
        opens.push(true);
        for word in 1..start.len() {
            end[word - 1] = end[word - 1].min(start[word]);
        }
        Self { texts, start, end, opens, first }
    }

    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }

    /// The words of the lines [from, to).
    pub(crate) fn of_lines(&self, from: usize, to: usize) -> Range {
        Range { from: self.first[from], to: self.first[to] }
    }

    /// When they are said, in microseconds.
    pub(crate) fn time(&self, range: Range) -> (i64, i64) {
        (self.start[range.from], self.end[range.to - 1].max(self.start[range.from]))
    }

    fn length(&self, range: Range) -> i64 {
        let (start, end) = self.time(range);
        end - start
    }

    /// What is said, cut to so many letters at a word's end.
    pub(crate) fn excerpt(&self, range: Range) -> String {
        let (mut text, mut letters) = (String::new(), 0);
        for word in &self.texts[range.from..range.to] {
            letters += word.chars().count() + 1;
            if letters > EXCERPT_LETTERS_MAX {
                let cut: String =
                    if text.is_empty() { word.chars().take(EXCERPT_LETTERS_MAX).collect() } else { text };
                return cut + "…";
            }
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
        }
        text
    }

    /// What is said.
    pub(crate) fn text(&self, range: Range) -> String {
        self.texts[range.from..range.to].join(" ")
    }

    /// The words that are said between these seconds.
    pub(crate) fn within(&self, from: f64, to: f64) -> Range {
        let micros = |seconds: f64| (seconds * 1e6) as i64;
        let first = self.start.partition_point(|start| *start < micros(from));
        Range { from: first, to: self.end.partition_point(|end| *end <= micros(to)).max(first) }
    }

    /// What stands in brackets, at most so many words of it, and has what is wanted, in lower case.
    pub(crate) fn sounds(&self, words_max: usize, wanted: impl Fn(&str) -> bool) -> Vec<Range> {
        let opens = |word: &str| word.starts_with(['[', '(', '♪', '*']);
        let closes = |word: &str| word.trim_end_matches(['.', ',', '!', '?']).ends_with([']', ')', '♪', '*']);
        let mut sounds = Vec::new();
        let mut from = 0;
        while from < self.len() {
            let end = self.len().min(from + words_max);
            let close =
                opens(self.texts[from]).then(|| (from..end).find(|word| closes(self.texts[*word]))).flatten();
            let Some(last) = close else {
                from += 1;
                continue;
            };
            let sound = Range { from, to: last + 1 };
            if wanted(&self.text(sound).to_lowercase()) {
                sounds.push(sound);
            }
            from = last + 1;
        }
        sounds
    }

    /// The sentences that overlap these words, each as its words.
    pub(crate) fn sentences(&self, range: Range) -> Vec<Range> {
        let mut sentences = Vec::new();
        let mut from = self.opening(range.from);
        while from < range.to {
            let to = self.closing(from + 1);
            sentences.push(Range { from, to });
            from = to;
        }
        sentences
    }

    /// Where the sentence of this word begins.
    fn opening(&self, word: usize) -> usize {
        (0..=word).rev().find(|word| self.opens[*word]).unwrap_or(0)
    }

    /// The next sentence's beginning at this word or behind it.
    fn closing(&self, word: usize) -> usize {
        (word..self.len()).find(|word| self.opens[*word]).unwrap_or(self.len())
    }

    /// The range with its edges where they may be: within `free`, as long as `lengths` say. Where it has to be shortened,
    /// the part is kept whose words weigh most; `weights` has the sums of all words' weights.
    pub(crate) fn fit(
        &self,
        range: Range,
        snap: Snap,
        lengths: Lengths,
        free: Range,
        weights: &[f64],
    ) -> Range {
        let mut fitted = range;
        if snap == Snap::Sentences {
            let (from, to) = (self.opening(range.from).max(free.from), self.closing(range.to).min(free.to));
            if self.start[range.from] - self.start[from] <= SNAP_MICROS_MAX {
                fitted.from = from;
            }
            if self.end[to - 1] - self.end[range.to - 1] <= SNAP_MICROS_MAX {
                fitted.to = to;
            }
        }
        if self.length(fitted) > lengths.longest {
            fitted = self.heaviest(fitted, snap, lengths.longest, weights);
        }
        if self.length(fitted) < lengths.shortest {
            fitted = self.grown(fitted, snap, lengths, free);
        }
        fitted
    }

    /// The part of it, of whole sentences if they fit, whose words weigh most.
    fn heaviest(&self, range: Range, snap: Snap, longest: i64, weights: &[f64]) -> Range {
        let may_begin = |word: &usize| snap != Snap::Sentences || *word == range.from || self.opens[*word];
        let may_end = |word: usize| snap != Snap::Sentences || word == range.to || self.opens[word];
        let mut best: Option<(f64, Range)> = None;
        let mut reach = range.from;
        for from in (range.from..range.to).filter(may_begin) {
            reach = reach.max(from);
            while reach < range.to && self.length(Range { from, to: reach + 1 }) <= longest {
                reach += 1;
            }
            let end = (from + 1..=reach).rev().take(SENTENCE_WORDS_MAX).find(|word| may_end(*word));
            let Some(to) = end.or((reach > from).then_some(reach)) else { continue };
            let weight = weights[to] - weights[from];
            if best.is_none_or(|(most, _)| weight > most) {
                best = Some((weight, Range { from, to }));
            }
        }
        // Not even one word fits: the shortest there is.
        best.map_or(Range { from: range.from, to: range.from + 1 }, |(_, range)| range)
    }

    /// With what is said behind and before it, in turn, until it is long enough.
    fn grown(&self, range: Range, snap: Snap, lengths: Lengths, free: Range) -> Range {
        let mut grown = range;
        let mut whole = snap == Snap::Sentences;
        while self.length(grown) < lengths.shortest {
            let before = |word: usize| if whole { self.opening(word).max(free.from) } else { word };
            let behind = |word: usize| if whole { self.closing(word).min(free.to) } else { word };
            let back = (grown.from > free.from).then(|| Range { from: before(grown.from - 1), ..grown });
            let on = (grown.to < free.to).then(|| Range { to: behind(grown.to + 1), ..grown });
            let fits = |range: &Range| self.length(*range) <= lengths.longest;
            // What was found stays in the middle.
            let (later, earlier) = (grown.to - range.to, range.from - grown.from);
            let order = if later <= earlier { [on, back] } else { [back, on] };
            match order.into_iter().flatten().find(fits) {
                Some(next) => grown = next,
                None if whole => whole = false,
                None => break,
            }
        }
        grown
    }
}

/// Whether a sentence ends with this word.
fn ends_sentence(word: &str) -> bool {
    let bare = word.trim_end_matches(['"', '\'', ')', '”', '’', '»', ']']);
    let ends = bare.ends_with(['.', '?', '!', '…', '。', '？', '！']) || word.ends_with(']');
    ends && !SHORT_FORMS.contains(&bare.to_lowercase().as_str())
}

/// Moments in microseconds, each with so much added before and behind it as there is room: not into another moment, nor
/// into a word, nor beyond the source or `longest`. `moments` are in the order of time.
pub(crate) fn padded(
    words: &Words,
    moments: &[Range],
    pad: i64,
    shortest: i64,
    longest: i64,
    duration: i64,
) -> Vec<(i64, i64)> {
    let times: Vec<(i64, i64)> = moments.iter().map(|range| words.time(*range)).collect();
    let mut padded = Vec::new();
    for (at, (range, (start, end))) in moments.iter().zip(&times).enumerate() {
        let middle = |one: i64, other: i64| one + (other - one) / 2;
        let least = if at == 0 { 0 } else { middle(times[at - 1].1, *start) };
        let most = times.get(at + 1).map_or(duration.max(*end), |next| middle(*end, next.0));
        let missing = (shortest - (end - start)).max(0);
        let room = (longest - (end - start)).max(0);
        let pad = pad.clamp(0, room / 2);
        let (mut from, mut to) = ((start - pad).max(least), (end + pad).min(most));
        // A word that is cut stays out.
        let (before, behind) = (
            words.start[..range.from].partition_point(|word| *word < from),
            words.end.partition_point(|word| *word <= to),
        );
        if let Some(end) = before.checked_sub(1).map(|word| words.end[word]).filter(|end| *end > from) {
            from = end.min(*start);
        }
        if let Some(word) = words.start.get(behind.max(range.to)).filter(|word| **word < to) {
            to = (*word).max(*end);
        }
        // Nothing more is said: silence makes up for it.
        if missing > 0 && range.to == words.len() {
            to = to.max((from + shortest).min(most));
        }
        if missing > 0 && range.from == 0 {
            from = from.min((to - shortest).max(least));
        }
        padded.push((from, to));
    }
    padded
}

/// The sums of the weights of all words: what is likely relevant, and more where the query's terms are said.
pub(crate) fn weights(words: &Words, of_word: impl Fn(&str, usize) -> f64) -> Vec<f64> {
    units::sums(words.texts.iter().enumerate().map(|(at, text)| of_word(text, at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::tests::lines;

    const ANY: Lengths = Lengths { shortest: 0, longest: i64::MAX };
    const SECOND: i64 = 1_000_000;

    /// Ten seconds a line; the second line begins within a sentence.
    fn texts() -> Vec<Line> {
        lines(&["One two. Three four", "five six. Seven eight.", "Nine ten.", "Eleven twelve."])
    }

    fn said(words: &Words, range: Range) -> String {
        words.text(range)
    }

    #[test]
    fn a_moment_begins_and_ends_with_a_sentence() {
        let lines = texts();
        let words = Words::new(&lines);
        let all = Range { from: 0, to: words.len() };
        let none = vec![0.0; words.len() + 1];
        let found = words.of_lines(1, 2);
        let fit = |snap, lengths, free| said(&words, words.fit(found, snap, lengths, free, &none));
        assert_eq!(fit(Snap::Sentences, ANY, all), "Three four five six. Seven eight.");
        assert_eq!(fit(Snap::Words, ANY, all), "five six. Seven eight.");
        assert_eq!(fit(Snap::Sentences, ANY, found), "five six. Seven eight.", "another moment is before it");
    }

    #[test]
    fn a_moment_grows_by_sentences_and_shrinks_to_what_weighs_most() {
        let lines = texts();
        let words = Words::new(&lines);
        let all = Range { from: 0, to: words.len() };
        let weigh = |wanted: &str| weights(&words, |word, _| f64::from(u8::from(word == wanted)));
        let longer = Lengths { shortest: 18 * SECOND, longest: 30 * SECOND };
        let grown = words.fit(words.of_lines(2, 3), Snap::Sentences, longer, all, &weigh(""));
        assert_eq!(said(&words, grown), "Nine ten. Eleven twelve.");
        let shorter = Lengths { shortest: 0, longest: 11 * SECOND };
        let shrunk = words.fit(all, Snap::Sentences, shorter, all, &weigh("Nine"));
        assert!(
            said(&words, shrunk).contains("Nine ten.") && words.length(shrunk) <= shorter.longest,
            "{shrunk:?}"
        );
    }

    #[test]
    fn padding_ends_at_words_and_other_moments() {
        let mut lines = texts();
        // Silence from 32 s to 38 s.
        lines[2].words[1].end = 28 * SECOND;
        lines[3].words[0] = crate::lines::Timed { start: 34 * SECOND, end: 36 * SECOND };
        lines[3].words[1] = crate::lines::Timed { start: 36 * SECOND, end: 38 * SECOND };
        let words = Words::new(&lines);
        let (nine, eleven) = (words.of_lines(2, 3), words.of_lines(3, 4));
        let pad = |moments: &[Range], pad| padded(&words, moments, pad * SECOND, 0, i64::MAX, 40 * SECOND);
        assert_eq!(pad(&[eleven], 2), [(32 * SECOND, 40 * SECOND)]);
        let both = [(12_173_913, 31 * SECOND), (31 * SECOND, 40 * SECOND)];
        assert_eq!(pad(&[nine, eleven], 9), both, "from 11 s, but for a word");
    }

    #[test]
    fn an_excerpt_ends_with_a_word() {
        let lines = lines(&[&"word ".repeat(100)]);
        let words = Words::new(&lines);
        let excerpt = words.excerpt(Range { from: 0, to: words.len() });
        assert!(excerpt.ends_with("word…") && excerpt.len() < 250, "{excerpt}");
    }

    #[test]
    fn short_forms_end_no_sentence() {
        assert!(ends_sentence("so.") && ends_sentence("so?\"") && ends_sentence("[laughter]"));
        assert!(!ends_sentence("Dr.") && !ends_sentence("so,"));
    }
}
