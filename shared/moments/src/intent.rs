//! What kind of answer a query wants: the best places or all, the first or the last, a quote, a sound, a stretch of the video.

use regex_lite::{Captures, Regex};

use crate::mentions;
use crate::query::{is_match, pattern};
use crate::text::{is_stop, words};

/// Which of the places that fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The best, or the best few.
    Best,
    /// All of them.
    All,
    /// The first in time is 1.
    Nth(usize),
    /// The last in time.
    Last,
}

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Something that is spoken about.
    Topic(String),
    /// Something that is said in these words.
    Phrase(String),
    /// The same; if it isn't said so, it is a topic.
    Either(String),
    /// A sentence, from memory.
    Quote(String),
    /// A sound that captions tell of in brackets: any of these words in them.
    Sound(Vec<String>),
    /// Whatever is worth seeing.
    Anything {
        /// Whether it has to be funny.
        fun: bool,
    },
}

/// A query, understood.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Intent {
    pub(crate) which: Which,
    pub(crate) what: What,
    /// Seconds of the source that are looked at.
    pub(crate) stretch: Option<(f64, f64)>,
    /// How many moments the query names.
    pub(crate) count: Option<usize>,
    /// Whether it asks for more than one.
    pub(crate) several: bool,
}

/// The share of a video that is its beginning, middle or end.
const CORNER: f64 = 0.2;
/// Words of a phrase that "when they talk about" is taken at its word for.
const PHRASE_WORDS_MAX: usize = 3;
/// Letters of a quote.
const QUOTE_LETTERS_MIN: usize = 3;

const NUMBER: &str = r"(\d{1,3}|an?|one|two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen|twenty|thirty|forty|sixty|ninety|half an|couple of|few)";
const VIDEO: &str = r"(?:the |this )?(?:video|talk|episode|podcast|meeting|lecture|recording|film|movie|show|interview|session|stream|call)";
const CLOCK: &str = r"(\d{1,2}:\d{2}(?::\d{2})?|minute \d{1,3}|\d{1,3} ?min(?:ute)?s?|\d ?h(?:our)?s?)";
const ORDINALS: [(&str, usize); 8] = [
    ("first|1st|erste[nrsm]?|primer[ao]?|première|premier", 1),
    ("second|2nd|zweite[nrsm]?|segund[ao]|deuxième", 2),
    ("third|3rd|dritte[nrsm]?|tercer[ao]?|troisième", 3),
    ("fourth|4th", 4),
    ("fifth|5th", 5),
    ("sixth|6th", 6),
    ("seventh|7th", 7),
    ("eighth|8th", 8),
];
/// An occurrence, as people count them.
const TIME: &str = r"(?:times?|mal|vez|fois|mentions?|occurrences?|references?|instances?|erwähnung)";
/// Sounds in brackets: what people ask for, and what captions write.
const SOUNDS: [(&str, &[&str]); 4] = [
    (r"laugh\w*|chuckl\w*|giggl\w*", &["laugh", "chuckl", "giggl"]),
    (r"applau\w*|clap\w*|cheer\w*", &["applau", "clap", "cheer"]),
    (r"music|musical|sing|sings|singing|song|songs", &["music", "sing", "song", "♪"]),
    (r"sigh\w*|gasp\w*|cough\w*", &["sigh", "gasp", "cough"]),
];
/// Words around a sound that don't make it a topic.
const AROUND_SOUND: &str = "people audience crowd everyone everybody part parts moment moments clip clips time times plays play \
    playing heard hear background sound sounds bit bits show find loud host hosts guest speaker room breaks bursts out starts";
/// What makes a wish a generic one, and what else it may say.
const WORTH: &str = r"\b(best|most|highlights?|interesting|exciting|funniest|funny|key|viral|engaging|memorable|important|greatest|juiciest|coolest|insightful|shareable|quotable|surprising|worth)\b";
const AROUND_WORTH: &str = "best most highlight highlights interesting exciting funniest funny key viral engaging memorable important \
    greatest juiciest coolest insightful shareable quotable surprising worth moment moments clip clips part parts bit bits scene \
    scenes segment segments section sections point points piece pieces stuff minute minutes second seconds video videos episode talk \
    podcast lecture meeting recording stream interview show shows find give make create cut pick choose extract select please \
    short shorts reel reels tiktok tiktoks youtube instagram social media posting post watch watching sharing share seeing top two \
    three four five six seven eight nine ten few several some good great main whole entire long want need";

/// Reads a query for a source of so many seconds.
pub(crate) fn read(query: &str, duration: f64) -> Intent {
    let (rest, stretch) = stretch(query.trim(), duration);
    let (rest, which) = ordinal(&rest);
    let lower = rest.to_lowercase();
    let several = which == Which::All
        || is_match(
            r"\b(moments|parts|clips|segments|sections|places|times|highlights|scenes|bits|discussions|jokes|examples|stories|stellen|momentos|partes)\b",
            &lower,
        );
    let what = what(&rest, which);
    let count = first(
        &format!(
            r"\b{NUMBER} (?:\w+ )?(?:\w+ )?(?:moments|clips|parts|segments|highlights|scenes|bits|shorts)\b"
        ),
        &lower,
    )
    .and_then(|found| number(&found[1]))
    .map(|count| count as usize)
    .filter(|count| *count > 0);
    Intent { which, what, stretch, count, several: several || count.is_some_and(|count| count > 1) }
}

fn first(text: &str, within: &str) -> Option<Vec<String>> {
    let captures = pattern(text)?.captures(within)?;
    Some(
        captures.iter().map(|group| group.map_or(String::new(), |group| group.as_str().to_owned())).collect(),
    )
}

fn number(word: &str) -> Option<f64> {
    let known = [
        ("half an", 0.5),
        ("couple of", 2.0),
        ("few", 3.0),
        ("a", 1.0),
        ("an", 1.0),
        ("one", 1.0),
        ("two", 2.0),
        ("three", 3.0),
        ("four", 4.0),
        ("five", 5.0),
        ("six", 6.0),
        ("seven", 7.0),
        ("eight", 8.0),
        ("nine", 9.0),
        ("ten", 10.0),
        ("twelve", 12.0),
        ("fifteen", 15.0),
        ("twenty", 20.0),
        ("thirty", 30.0),
        ("forty", 40.0),
        ("sixty", 60.0),
        ("ninety", 90.0),
        ("", 1.0),
    ];
    let word = word.to_lowercase();
    let named = known.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
    named.or_else(|| word.parse().ok())
}

fn seconds_of(unit: &str) -> f64 {
    match unit.to_lowercase().chars().next() {
        Some('h') => 3_600.0,
        Some('s') => 1.0,
        _ => 60.0,
    }
}

/// "1:02:00", "minute 20", "20 minutes", "1 hour".
fn clock(text: &str) -> Option<f64> {
    if text.contains(':') {
        return text.split(':').try_fold(0.0, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?));
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let hours = !text.to_lowercase().contains("min") && text.to_lowercase().contains('h');
    Some(digits.parse::<f64>().ok()? * if hours { 3_600.0 } else { 60.0 })
}

/// The stretch of the video that a query names, and the query without it.
fn stretch(query: &str, duration: f64) -> (String, Option<(f64, f64)>) {
    type Rule<'a> = (String, &'a dyn Fn(&Captures) -> Option<(f64, f64)>);
    let group = |found: &Captures, at: usize| {
        found.get(at).map_or(String::new(), |group| group.as_str().to_lowercase())
    };
    let is_last = |word: &str| matches!(word, "last" | "final" | "closing");
    let span = |found: &Captures| {
        let number = number(&group(found, 2))?;
        let length = number * seconds_of(&group(found, 3));
        Some(if is_last(&group(found, 1)) { (duration - length, duration) } else { (0.0, length) })
    };
    let fraction = |found: &Captures| {
        let many = match group(found, 2).as_str() {
            "half" => 2.0,
            "third" => 3.0,
            _ => 4.0,
        };
        let which = match group(found, 1).as_str() {
            "first" | "opening" => 0.0,
            "second" | "middle" => 1.0,
            "third" if many > 3.0 => 2.0,
            _ => many - 1.0,
        };
        Some((duration * which / many, duration * (which + 1.0) / many))
    };
    let after = |found: &Captures| Some((clock(&group(found, 1))?, duration));
    let before = |found: &Captures| Some((0.0, clock(&group(found, 1))?));
    let between = |found: &Captures| Some((clock(&group(found, 1))?, clock(&group(found, 2))?));
    let around = |found: &Captures| clock(&group(found, 1)).map(|at| (at - 60.0, at + 60.0));
    let corner = |found: &Captures| match group(found, 1).as_str() {
        "end" => Some((duration * (1.0 - CORNER), duration)),
        "middle" => Some((duration * 0.3, duration * 0.7)),
        _ => Some((0.0, duration * CORNER)),
    };
    let of_video = format!(r"(?: (?:of|in|from) {VIDEO})?");
    let rules: [Rule; 8] = [
        (
            format!(
                r"(?:\b(?:in|from|during|within|of|for|over) )?\b(?:the )?(last|final|closing|first|opening) (?:{NUMBER} )?(minutes?|mins?|seconds?|secs?|hours?)\b{of_video}"
            ),
            &span,
        ),
        (
            format!(
                r"\b(?:in|from|during|within|of) (?:the )?(first|second|third|last|final|opening|middle|fourth) (half|third|quarter)\b{of_video}"
            ),
            &fraction,
        ),
        (format!(r"\b(?:between|from) {CLOCK} (?:and|to|until) {CLOCK}"), &between),
        (format!(r"\b(?:after|since|past|from) (?:the )?{CLOCK}(?: mark| on| onwards?)?"), &after),
        (format!(r"\b(?:before|until|up to) (?:the )?{CLOCK}(?: mark)?"), &before),
        (format!(r"\b(?:around|at|near|about) (?:the )?{CLOCK}(?: mark)?"), &around),
        (
            format!(
                r"\b(?:at|near|towards?|in|from) the (?:very )?(beginning|start|end|middle) of {VIDEO}\b"
            ),
            &corner,
        ),
        (r"\b(?:at|near|towards?) the (?:very )?(beginning|start|end|middle)[.?!]*$".to_owned(), &corner),
    ];
    for (rule, meaning) in rules {
        let Some(rule) = pattern(&rule) else { continue };
        let Some(found) = rule.captures(query) else { continue };
        let Some((from, to)) = meaning(&found) else { continue };
        let (from, to) = (from.clamp(0.0, duration), to.clamp(0.0, duration));
        // A stretch that the source doesn't have is none, and what is left must be something.
        if to - from < 1.0 {
            continue;
        }
        let rest = rule.replace(query, " ").trim_matches([' ', ',']).to_owned();
        return (rest.split_whitespace().collect::<Vec<_>>().join(" "), Some((from, to)));
    }
    (query.to_owned(), None)
}

/// "All", or a number, and the query without it.
fn ordinal(query: &str) -> (String, Which) {
    let cut = |rule: &Regex| rule.replace(query, "").trim().to_owned();
    // "They first mention X"; the first mention of X comes below.
    let verb = r"(?:mention|sa(?:y|ys|id)\b|talk|speak|discuss|bring|refer|introduc|appear)";
    let somebody = r"(?:they|he|she|we|i|you|somebody|someone|anyone|people|is|are|was|were|the \w+)";
    for (word, which) in [("first", Which::Nth(1)), ("last", Which::Last)] {
        if is_match(&format!(r"\b{somebody} {word} {verb}"), query) {
            let rule = pattern(&format!(r"\b{word} \b"));
            return (rule.map_or_else(|| query.to_owned(), |rule| cut(&rule)), which);
        }
    }
    for (names, number) in ORDINALS {
        let counted = format!(
            r"(?:\b(?:the|das|la|le) )?\b(?:very )?(?:{names}) {TIME}\b(?: (?:that|when|where|of|to|que|wo|qu'))?"
        );
        if let Some(rule) = pattern(&counted).filter(|rule| rule.is_match(query)) {
            return (cut(&rule), Which::Nth(number));
        }
    }
    let last = format!(
        r"(?:\b(?:the|das|la|le) )?\b(?:very )?(?:last|final|letzte[nrsm]?|última|dernière) {TIME}\b(?: (?:that|when|where|of|to|que|wo))?"
    );
    if let Some(rule) = pattern(&last).filter(|rule| rule.is_match(query)) {
        return (cut(&rule), Which::Last);
    }
    let all = r"\b(all|every|each|whenever|alle|jede[snrm]?|todas|todos|cada|toutes|tous|chaque)\b";
    if is_match(all, query) {
        return (query.to_owned(), Which::All);
    }
    (query.to_owned(), Which::Best)
}

fn what(query: &str, which: Which) -> What {
    if let Some(quote) = first(r#"["“„«]([^"“”„«»]+)["”“»]"#, query) {
        let quote = quote[1].trim().to_owned();
        if quote.chars().count() >= QUOTE_LETTERS_MIN {
            let short = words(&quote).len() <= PHRASE_WORDS_MAX;
            return if short { What::Phrase(quote) } else { What::Quote(quote) };
        }
    }
    if let Some(sound) = sound(query) {
        return What::Sound(sound);
    }
    if is_anything(query) {
        return What::Anything { fun: is_match(r"\b(funn|hilarious|laugh|joke)", query) };
    }
    if let Some(phrase) = phrase(query, which) {
        return phrase;
    }
    What::Topic(query.to_owned())
}

fn sound(query: &str) -> Option<Vec<String>> {
    let owned = |stems: &[&str]| stems.iter().map(|stem| (*stem).to_owned()).collect::<Vec<_>>();
    let bracketed = first(r"[\[(]([\w ]{3,40})[\])]", query).map(|found| found[1].to_lowercase());
    let of = bracketed.as_deref().unwrap_or(query);
    for (asked, written) in SOUNDS {
        let alone = || {
            let rest = pattern(&format!(r"\b({asked})\b"))?.replace_all(query, " ").into_owned();
            let around =
                |word: &String| is_stop(word) || AROUND_SOUND.split_ascii_whitespace().any(|one| one == word);
            Some(words(&rest).iter().all(around))
        };
        if is_match(&format!(r"\b({asked})\b"), of) && (bracketed.is_some() || alone().unwrap_or(false)) {
            return Some(owned(written));
        }
    }
    bracketed.filter(|_| query.trim_start().starts_with('[')).map(|sound| vec![sound])
}

fn is_anything(query: &str) -> bool {
    let around = |word: &String| {
        is_stop(word)
            || word.chars().all(|letter| letter.is_ascii_digit())
            || AROUND_WORTH.split_ascii_whitespace().any(|one| one == word)
    };
    is_match(WORTH, query) && words(query).iter().all(around)
}

/// Something that is to be found in its own words.
fn phrase(query: &str, which: Which) -> Option<What> {
    let counted =
        r"\b(mentions?|references?|instances?|occurrences?|erwähnungen|menciones) (of|to|von|de|à) ";
    let phrase = mentions::phrase(query);
    let short = words(&phrase).len() <= PHRASE_WORDS_MAX && phrase != query;
    if which == Which::All && is_match(counted, query) {
        return Some(What::Phrase(phrase));
    }
    let said = r"\b(mentions?|mentioned|says?|said|refers? to) ";
    if which != Which::Best {
        let bare = without_verbs(query);
        if is_match(&format!("(every|each) time .*{said}"), query) && phrase != query {
            return Some(What::Phrase(phrase));
        }
        return match which {
            Which::All if short => Some(What::Either(phrase)),
            Which::All => None,
            _ => Some(What::Either(bare)),
        };
    }
    // Taken at its word: when they talk about X.
    (short && is_match(r"^(when(ever)?|every time|each time|find each|find every) ", query))
        .then_some(What::Either(phrase))
}

/// What is left of "they mention X", "is X mentioned", "talking about X".
fn without_verbs(query: &str) -> String {
    let verbs = r"^(?:(?:please|show|find|give|clip|me|us|when|where|do|does|did|is|are|was|were|that|the moment|moment) )*(?:(?:they|he|she|we|i|you|somebody|someone|anyone|people|the \w+|\w+) )?(?:mentions?|mentioned|mentioning|says?|said|saying|talks? about|talked about|talking about|speaks? (?:of|about)|spoke (?:of|about)|discuss(?:es|ed)?|refers? to|referred to|brings? up|brought up|introduces?|introduced|hears?|sagt|spricht von|sprechen von|über|erwähnt|dice|dicen|habla de|hablan de|menciona|mencionan)\s+(.+)$";
    if let Some(found) = first(verbs, query) {
        return found[1].trim_matches([' ', '.', '?', '!']).to_owned();
    }
    if let Some(found) = first(
        r"^(?:(?:when|where|that|the moment) )*(.+?) (?:is|are|was|were|gets?|comes?|wird|werden) (?:mentioned|said|discussed|brought up|introduced|up|erwähnt|gesagt)[.?!]*$",
        query,
    ) {
        return found[1].to_owned();
    }
    mentions::phrase(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Intent {
        read(query, 3_600.0)
    }

    #[test]
    fn a_query_is_confined_to_a_stretch_of_the_video() {
        for (query, rest, from, to) in [
            ("mining in the last ten minutes", "mining", 3_000.0, 3_600.0),
            ("mining in the first half of the video", "mining", 0.0, 1_800.0),
            ("what is said about fees after 0:50:00", "what is said about fees", 3_000.0, 3_600.0),
            ("fees between 10:00 and 20:00", "fees", 600.0, 1_200.0),
            ("fees before minute 20", "fees", 0.0, 1_200.0),
            ("fees around 12:30", "fees", 690.0, 810.0),
            ("the joke at the end of the show", "the joke", 2_880.0, 3_600.0),
            ("the last half an hour", "", 1_800.0, 3_600.0),
        ] {
            let (found, stretch) = stretch(query, 3_600.0);
            assert_eq!((found.as_str(), stretch), (rest, Some((from, to))), "{query}");
        }
        for query in [
            "the end of the cold war",
            "after the meeting",
            "the first minutes of 1990",
            "in the last 99 hours of",
        ] {
            let whole = stretch(query, 3_600.0).1.is_none_or(|(from, _)| from == 0.0);
            assert!(whole, "{query}");
        }
    }

    #[test]
    fn which_of_the_places_is_told_by_their_number() {
        for (query, which) in [
            ("all mentions of fees", Which::All),
            ("the first time she mentions fees", Which::Nth(1)),
            ("when do they first talk about fees", Which::Nth(1)),
            ("the 3rd mention of fees", Which::Nth(3)),
            ("the last time fees are mentioned", Which::Last),
            ("the first release of the software", Which::Best),
            ("fees", Which::Best),
        ] {
            assert_eq!(of(query).which, which, "{query}");
        }
    }

    #[test]
    fn what_is_looked_for_is_told_by_its_words() {
        let own = str::to_owned;
        for (query, what) in [
            ("all mentions of home office", What::Phrase(own("home office"))),
            ("every time they mention home office", What::Phrase(own("home office"))),
            ("when they talk about fees", What::Either(own("fees"))),
            ("the first time she mentions fees", What::Either(own("fees"))),
            ("where they talk about fees", What::Topic(own("where they talk about fees"))),
            ("\"ask not what your country can do\"", What::Quote(own("ask not what your country can do"))),
            ("the best moments", What::Anything { fun: false }),
            ("funniest clips for tiktok", What::Anything { fun: true }),
            (
                "the most important decision of the board",
                What::Topic(own("the most important decision of the board")),
            ),
        ] {
            assert_eq!(of(query).what, what, "{query}");
        }
        assert!(
            matches!(of("[laughter]").what, What::Sound(_))
                && matches!(of("when people clap").what, What::Sound(_))
        );
        assert!(matches!(of("music theory").what, What::Topic(_)), "a topic, not a sound");
    }

    #[test]
    fn a_number_of_moments_is_read() {
        assert_eq!(
            (of("the three best moments").count, of("5 clips").count, of("the 2019 budget").count),
            (Some(3), Some(5), None)
        );
        assert!(of("parts about fees").several && !of("the part about fees").several);
    }
}
