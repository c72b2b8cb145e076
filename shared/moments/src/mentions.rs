//! Where a phrase is said: "all mentions of X", quotes, and the first or last time of something. Words alone count here.

use crate::lines::Line;
use crate::query::pattern;
use crate::text::{Tongue, singular, words};

/// Words of a query that are looked for in a row.
const PHRASE_WORDS_MAX: usize = 40;
/// Lines that follow each other so closely, in microseconds, are one place.
const TOUCHING_MICROS: i64 = 10_000;
/// How sure a mention is: in these words, in other numbers, in other forms.
const SURE: [f32; 3] = [0.95, 0.8, 0.6];
/// Forms count only where nothing is at least so sure.
const PLURAL: f32 = 0.8;
/// The share of a quote's words that have to be there, in their order.
const QUOTE_SHARE_MIN: f64 = 0.7;
/// Words that may stand between a quote's.
const QUOTE_SLACK: usize = 4;
/// What comes before the phrase.
const BEFORE: &str = r"(?:mentions? of|mentions?|talks? about|says?|references? to|instances? of|occurrences? of|refers? to|discuss(?:es)?|erwähnungen? von|menci(?:ón|ones) de|mentions? de)\s+(.+)$";
/// Articles that people put before a phrase that is said with others.
const ARTICLES: [&str; 3] = ["the", "a", "an"];

/// Lines [from, to) that mention what was looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mention {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) sure: f32,
}

/// What is mentioned, in "every time they mention X"; the whole query if it has no such words.
pub(crate) fn phrase(query: &str) -> String {
    let query = query.trim_matches([' ', '.', '?', '!', '"', '\'']);
    let found =
        pattern(BEFORE).and_then(|before| before.captures(query)?.get(1).map(|x| x.as_str().to_owned()));
    found.unwrap_or_else(|| query.to_owned())
}

/// A word that is said, and its line.
struct Said {
    word: String,
    line: usize,
    /// Whether a sentence ends between the word before and this one.
    opens: bool,
}

fn said(lines: &[Line]) -> Vec<Said> {
    let mut all = Vec::new();
    let mut opens = true;
    for (line, text) in lines.iter().enumerate().map(|(at, line)| (at, &line.text)) {
        for word in words(text) {
            all.push(Said { word, line, opens });
            opens = false;
        }
        opens = text.ends_with(['.', '?', '!', '…']);
    }
    all
}

/// Where the phrase is said, in the order of time: in its own words, or in other numbers; in other forms where those are
/// nowhere. A phrase may run over a line's end, but not over a sentence's.
pub(crate) fn find(lines: &[Line], phrase: &str, tongue: &Tongue) -> Vec<Mention> {
    let mut phrase: Vec<String> = words(phrase).into_iter().take(PHRASE_WORDS_MAX).collect();
    if phrase.len() > 1 && ARTICLES.contains(&phrase[0].as_str()) {
        phrase.remove(0);
    }
    let Some(last) = phrase.len().checked_sub(1) else { return Vec::new() };
    let said = said(lines);
    let mut sure = vec![0.0f32; lines.len()];
    let forms: [&dyn Fn(&str) -> String; 3] = [&str::to_owned, &singular, &|word| tongue.stem(word)];
    for (form, value) in forms.into_iter().zip(SURE).rev() {
        let phrase: Vec<String> = phrase.iter().map(|word| form(word)).collect();
        let words: Vec<String> = said.iter().map(|said| form(&said.word)).collect();
        for (at, place) in words.windows(phrase.len()).enumerate().filter(|(_, place)| *place == phrase) {
            debug_assert_eq!(place.len(), last + 1);
            let whole = &said[at..=at + last];
            if whole.iter().skip(1).any(|said| said.opens) {
                continue;
            }
            let (from, to) = (whole[0].line, whole[last].line);
            sure[from..=to].fill(value);
        }
    }
    let least = if sure.iter().any(|sure| *sure >= PLURAL) { PLURAL } else { f32::MIN_POSITIVE };
    let found = sure.iter().enumerate().filter(|(_, sure)| **sure >= least);
    merged(lines, found.map(|(line, sure)| Mention { from: line, to: line + 1, sure: *sure }))
}

/// Those that touch each other as one.
pub(crate) fn merged(lines: &[Line], mentions: impl Iterator<Item = Mention>) -> Vec<Mention> {
    let mut merged: Vec<Mention> = Vec::new();
    for next in mentions {
        match merged.last_mut() {
            Some(last)
                if next.from <= last.to
                    && lines[next.from].start - lines[last.to - 1].end < TOUCHING_MICROS =>
            {
                last.to = last.to.max(next.to);
                last.sure = last.sure.max(next.sure);
            }
            _ => merged.push(next),
        }
    }
    merged
}

/// Where a quote is said, best first: most of its words in their order. People quote from memory.
pub(crate) fn quote(lines: &[Line], quote: &str) -> Vec<Mention> {
    let quote: Vec<String> = words(quote).into_iter().take(PHRASE_WORDS_MAX).collect();
    let said = said(lines);
    let mut found: Vec<Mention> = Vec::new();
    for at in 0..said.len() {
        // It begins with one of its first two words.
        if !quote.iter().take(2).any(|word| *word == said[at].word) {
            continue;
        }
        let window = &said[at..said.len().min(at + quote.len() + QUOTE_SLACK)];
        let (mut next, mut hits, mut last) = (0, 0, 0);
        for word in &quote {
            if let Some(step) = window[next..].iter().position(|said| said.word == *word) {
                (hits, last) = (hits + 1, next + step);
                next = last + 1;
            }
        }
        let share = f64::from(hits) / quote.len() as f64;
        if share < QUOTE_SHARE_MIN {
            continue;
        }
        let mention = Mention { from: said[at].line, to: window[last].line + 1, sure: (share * 0.95) as f32 };
        match found.last_mut() {
            Some(before) if mention.from < before.to => {
                if mention.sure > before.sure {
                    *before = mention;
                }
            }
            _ => found.push(mention),
        }
    }
    merged(lines, found.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::tests::lines;

    fn tongue() -> Tongue {
        Tongue::of(Some("en"), std::iter::empty())
    }

    fn places(texts: &[&str], phrase: &str) -> Vec<(usize, usize, f32)> {
        let found = find(&lines(texts), phrase, &tongue());
        found.iter().map(|mention| (mention.from, mention.to, mention.sure)).collect()
    }

    #[test]
    fn words_come_before_numbers_and_these_before_forms() {
        let texts = ["a mining pool.", "nothing", "mining pools.", "nothing", "he mined pools."];
        assert_eq!(places(&texts, "mining pool"), [(0, 1, 0.95), (2, 3, 0.8)]);
        assert_eq!(places(&texts, "mines pools"), [(0, 1, 0.6), (2, 3, 0.6), (4, 5, 0.6)]);
        assert_eq!(places(&texts, "pools mining"), []);
        assert_eq!(places(&texts, ""), []);
    }

    #[test]
    fn a_phrase_runs_over_a_lines_end_but_not_over_a_sentences() {
        assert_eq!(places(&["we use stealth", "addresses here"], "stealth addresses"), [(0, 2, 0.95)]);
        assert_eq!(places(&["we use stealth.", "Addresses here"], "stealth addresses"), []);
    }

    #[test]
    fn what_is_mentioned_stands_behind_the_verb() {
        for (query, expected) in [
            ("every time they mention bitcoin core", "bitcoin core"),
            ("all references to home office.", "home office"),
            ("home office", "home office"),
        ] {
            assert_eq!(phrase(query), expected);
        }
    }

    #[test]
    fn a_quote_may_lack_a_word() {
        let lines = lines(&["so he said", "ask not what your nation", "can do for you.", "ask what"]);
        let found = quote(&lines, "Ask not what your country can do for you");
        assert_eq!(found.iter().map(|found| (found.from, found.to)).collect::<Vec<_>>(), [(1, 3)]);
        assert!(quote(&lines, "something else entirely").is_empty() && quote(&lines, "").is_empty());
    }
}
