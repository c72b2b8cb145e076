//! Text as it is compared: words without endings, for English as the weights were fitted, for other languages as well as a
//! stemmer can.

use std::collections::BTreeMap;

use rust_stemmers::{Algorithm, Stemmer};

/// English words that tell nothing of what is spoken about; spoken fillers are among them.
const STOP: &str = "a an the and or but if of to in on at for with from by as is are was were be been being am do does did done \
    doing have has had having i you he she it we they me him her us them my your his its our their this that these those so \
    just what when where who whom how why which whose not no don can will would could should shall may might must about into \
    out up down over under some any all than then too only also there here very much more most such own same other others \
    again once both each few because while during before after above below between through against s t d ll m re ve o uh um \
    yeah okay ok oh well like know think mean get got go going gonna really right thing things lot kind sort one";
/// Words of the request, not of what is looked for; if a query has no others, they count.
const REQUEST: &str = "talk talks talking talked clip discussion discussions section part mention mentions mentioned mentioning \
    every time find each summarize summary summarise discuss discussed discusses discussing said say says saying think thinks \
    thought thoughts team group meeting regarding describe described explain explained according opinion opinions view views \
    mind attitude conclusion decision decide decided presentation present presented introduce";
/// The same in the other languages, with words too small to be looked for.
const REQUEST_ELSEWHERE: &str = "der die das den dem des ein eine einen einer und oder in im an am auf für mit von vom zu zum zur \
    über wo wenn wann wie was wer es er sie wir ihr ist sind war wird werden nicht stelle stellen teil abschnitt clip zeig zeige \
    finde such suche mir alle jede jedes mal erwähnt erwähnung erwähnungen gesprochen spricht sprechen redet reden geht sagt \
    el la los las un una unos unas y o en de del al a con por para que cuando donde dónde cómo qué quién se su sus es son sobre \
    parte partes momento momentos clip muestra muéstrame busca encuentra todas todos cada vez veces menciona mencionan hablan \
    habla dice dicen le les des une et ou dans du au aux avec pour sur où quand comment qui il elle ils elles est sont partie \
    passage passages moment moments montre trouve cherche tous toutes chaque fois parle parlent mentionne dit disent";
/// Endings that an apostrophe joins to a word.
const JOINED: [&str; 7] = ["s", "re", "ve", "ll", "d", "m", "t"];
/// Small words that tell a language, and its stemmer.
const TELLING: [(&str, Algorithm, &str); 8] = [
    ("en", Algorithm::English, "the and of to is that it was for you with are"),
    ("de", Algorithm::German, "der die das und ist nicht wir ich auch ein mit auf"),
    ("es", Algorithm::Spanish, "el los las que y es una por con para como pero"),
    ("fr", Algorithm::French, "le les des est et une dans pour que pas vous nous"),
    ("it", Algorithm::Italian, "il che di è non per una sono con gli della anche"),
    ("pt", Algorithm::Portuguese, "o os que não uma é com para mais isso você em"),
    ("nl", Algorithm::Dutch, "de het een en van dat niet is ik we zijn maar"),
    ("sv", Algorithm::Swedish, "och att det som en är inte jag på för vi har"),
];
/// So many words are read to tell the language.
const TELLING_WORDS_MAX: usize = 2_000;

/// The language of a transcript, as far as comparing its words goes.
pub(crate) struct Tongue {
    stemmer: Option<Stemmer>,
    english: bool,
}

impl Tongue {
    /// That of this BCP 47 tag; without one, that which the words are most likely in.
    pub(crate) fn of<'a>(tag: Option<&str>, texts: impl Iterator<Item = &'a str>) -> Self {
        let primary = tag.map(|tag| tag.split(['-', '_']).next().unwrap_or(tag).to_ascii_lowercase());
        let known = primary.filter(|primary| !primary.is_empty() && primary != "und");
        let name = known.unwrap_or_else(|| likely(texts).to_owned());
        let stemmer = TELLING.iter().find(|(tag, ..)| *tag == name);
        Self { stemmer: stemmer.map(|(_, algorithm, _)| Stemmer::create(*algorithm)), english: name == "en" }
    }

    /// Whether the model and the weights know it.
    pub(crate) fn is_english(&self) -> bool {
        self.english
    }

    /// A word without its endings.
    pub(crate) fn stem(&self, word: &str) -> String {
        match &self.stemmer {
            Some(stemmer) => stemmer.stem(word).into_owned(),
            None => word.to_owned(),
        }
    }

    /// The stems that what is said is compared by.
    pub(crate) fn of_speech(&self, text: &str) -> Vec<String> {
        self.content(text).iter().map(|word| self.stem(word)).collect()
    }

    /// The words that a query is compared by, in their order, each once.
    pub(crate) fn of_query(&self, query: &str) -> Vec<String> {
        let all = self.content(query);
        let request = if self.english { REQUEST } else { REQUEST_ELSEWHERE };
        let told: Vec<String> = all.iter().filter(|word| !is_in(request, word)).cloned().collect();
        let mut once: Vec<String> = Vec::new();
        for word in if told.is_empty() { all } else { told } {
            if !once.contains(&word) {
                once.push(word);
            }
        }
        once
    }

    fn content(&self, text: &str) -> Vec<String> {
        words(text).into_iter().filter(|word| !(self.english && is_stop(word))).collect()
    }
}

/// Whether it is a small English word.
pub(crate) fn is_stop(word: &str) -> bool {
    is_in(STOP, word)
}

fn is_in(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|one| one == word)
}

/// English, unless another language's small words are more.
fn likely<'a>(texts: impl Iterator<Item = &'a str>) -> &'static str {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for word in texts.flat_map(words).take(TELLING_WORDS_MAX) {
        *counts.entry(word).or_default() += 1;
    }
    let count = |list: &str| list.split(' ').filter_map(|word| counts.get(word)).sum::<usize>();
    let mut best = ("en", count(TELLING[0].2));
    for (tag, _, list) in &TELLING[1..] {
        let found = count(list);
        if found > best.1 {
            best = (tag, found);
        }
    }
    best.0
}

/// The words of a text in lower case: letters and digits, with dots between them ("1.5", "u.s"), without `'s` and the like.
pub(crate) fn words(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.to_lowercase().chars().map(|c| if c == '’' { '\'' } else { c }).collect();
    let (mut found, mut word, mut at) = (Vec::new(), String::new(), 0);
    while let Some(&letter) = letters.get(at) {
        let next = letters.get(at + 1);
        if letter.is_alphanumeric()
            || (letter == '.' && !word.is_empty() && next.is_some_and(|c| c.is_alphanumeric()))
        {
            word.push(letter);
        } else if let Some(length) = joined(letter, &letters[at + 1..]) {
            at += length;
        } else if !word.is_empty() {
            found.push(std::mem::take(&mut word));
        }
        at += 1;
    }
    if !word.is_empty() {
        found.push(word);
    }
    found
}

/// How many letters behind this apostrophe are only an ending.
fn joined(letter: char, rest: &[char]) -> Option<usize> {
    let ending: String = rest.iter().take(3).take_while(|c| c.is_alphanumeric() || **c == '_').collect();
    (letter == '\'' && JOINED.contains(&ending.as_str())).then_some(ending.len())
}

/// A word without the commonest English endings of plurals.
pub(crate) fn singular(word: &str) -> String {
    let letters = word.chars().count();
    if letters <= 3
        || !word.ends_with('s')
        || word.ends_with("ss")
        || word.ends_with("us")
        || word.ends_with("is")
    {
        return word.to_owned();
    }
    let shorter = |by: usize| word.get(..word.len() - by).unwrap_or(word).to_owned();
    if letters > 4 && word.ends_with("ies") {
        return format!("{}y", shorter(3));
    }
    match ["sses", "xes", "ches", "shes", "zes"].iter().any(|ending| word.ends_with(ending)) {
        true => shorter(2),
        false => shorter(1),
    }
}

/// How many letters have to be changed, added, left out or swapped with their neighbour to make one word the other;
/// nothing above `most`.
pub(crate) fn distance(one: &str, other: &str, most: usize) -> Option<usize> {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    if one.len().abs_diff(other.len()) > most {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut least = (row[j] + usize::from(a != b)).min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                least = least.min(before[j - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().filter(|distance| *distance <= most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_as_the_weights_know_them() {
        for (text, expected) in [
            ("It's the U.S. state-of-the-art, isn’t it?", "it the u.s state of the art isn it"),
            ("Version 1.5-2 costs $3.", "version 1.5 2 costs 3"),
            ("they'll've rock'n'roll 'tis", "they rock n roll tis"),
            ("Größe naïve", "größe naïve"),
            (" . - ' ", ""),
        ] {
            assert_eq!(words(text).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn small_words_and_words_of_the_request_do_not_count() {
        let english = Tongue::of(Some("en-US"), std::iter::empty());
        assert_eq!(english.of_query("Where do they talk about the mining pools?"), ["mining", "pools"]);
        assert_eq!(english.of_query("the discussion"), ["discussion"], "if there are no others");
        assert_eq!(english.of_speech("Mining pools, you know, are mined"), ["mine", "pool", "mine"]);
    }

    #[test]
    fn a_language_is_told_by_its_small_words() {
        let tongue = |text: &str| Tongue::of(None, std::iter::once(text));
        assert!(tongue("and that is the point of it").is_english() && tongue("").is_english());
        let german = tongue("das ist nicht die Frage und wir haben auch keine Zeit");
        assert_eq!((german.is_english(), german.stem("zeiten")), (false, "zeit".to_owned()));
        assert!(!Tongue::of(Some("ja"), std::iter::empty()).is_english());
    }

    #[test]
    fn plurals_and_slips_of_the_keyboard() {
        let pairs = [
            ("classes", "class"),
            ("boxes", "box"),
            ("blocks", "block"),
            ("status", "status"),
            ("parties", "party"),
        ];
        for (word, expected) in pairs {
            assert_eq!(singular(word), expected);
        }
        assert_eq!(distance("blockchian", "blockchain", 2), Some(1));
        assert_eq!(
            (distance("cat", "dog", 2), distance("a", "abcd", 2), distance("", "", 0)),
            (None, None, Some(0))
        );
    }

    proptest! {
        #[test]
        fn any_text_has_words(text in "\\PC{0,60}") {
            for word in words(&text) {
                prop_assert!(word.starts_with(char::is_alphanumeric), "{word}");
                let _ = (singular(&word), joined('\'', &['s']));
            }
        }

        #[test]
        fn distance_is_the_same_from_both_sides(one in "[abc]{0,6}", other in "[abc]{0,6}") {
            prop_assert_eq!(distance(&one, &other, 3), distance(&other, &one, 3));
        }
    }
}
