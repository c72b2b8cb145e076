//! What people type, and what they want to see: queries with intent over talks written for it, a line of text each with its
//! time. The table is printed, and so many must be right.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::fmt::Write as _;
use std::sync::LazyLock;

use domain::time::MediaTime;
use moments::{Ask, Error, Kept, Model, Moment, Segment, Snap, Transcript, Word, find, measure, prepare};
use proptest::prelude::*;

/// Of the cases, at least so many are answered right.
const RIGHT_MIN: usize = 66;
/// A place where something is said is no longer than this, in seconds.
const PLACE_SECONDS_MAX: f64 = 50.0;

/// What would be right.
enum Want {
    /// The middle of the first moment lies between the lines that begin so, both included.
    Part(&'static str, &'static str),
    /// These lines, each in a short moment of its own, and no other moments; several in one moment are joined by `|`.
    Places(&'static [&'static str]),
    /// So many moments.
    Many(usize),
    /// Every moment lies in the seconds.
    Within(f64, f64),
    /// Nothing is answered.
    Nothing,
}
use Want::{Many, Nothing, Part, Places, Within};

const CASES: &[(&str, &str, Want)] = &[
    // Topics.
    ("bees", "where they talk about swarming", Part("So let's talk about swarming", "He got two jars")),
    ("bees", "the part about varroa mites", Part("Welcome back. Ruben", "No, because you treat")),
    ("bees", "How much honey does a hive make?", Part("Speaking of honey", "The honey tastes")),
    ("bees", "what it costs to start keeping bees", Part("What does it cost", "Join a club first")),
    (
        "bees",
        "legal requirements and permission of the landlord",
        Part("Let me ask about the neighbours", "And I registered"),
    ),
    ("bees", "how the bees survive winter", Part("And Tomas asks", "You only lift")),
    ("bees", "how he lost his first colony", Part("The first winter", "That one trick")),
    (
        "lecture",
        "explain how a B-tree page splits",
        Part("Now, what happens when", "Are there any questions"),
    ),
    ("lecture", "What is a Bloom filter?", Part("Reading then has", "With ten bits")),
    (
        "lecture",
        "hash index versus range queries",
        Part("Let's come to the second", "So a hash index is good"),
    ),
    ("lecture", "homework deadline", Part("Before we start", "Please upload")),
    (
        "lecture",
        "Find the section on optimizer statistics and histograms",
        Part("The optimizer decides", "When statistics are stale"),
    ),
    ("lecture", "log structured merge trees", Part("Okay, the third kind", "Compaction is the price")),
    ("lecture", "what will be in the exam", Part("Next week we look", "For the exam")),
    (
        "council",
        "the discussion about the library budget",
        Part("Item three is the budget", "I move to approve the library"),
    ),
    ("council", "complaints about potholes", Part("My name is Harold", "Thank you, Mr. Winslow")),
    (
        "council",
        "steel or concrete for the pool",
        Part("Item four is the new", "Seconded. All in favour? Three"),
    ),
    ("council", "rules for renting homes to tourists", Part("Item five", "Then let's send")),
    (
        "council",
        "What did the police chief report?",
        Part("Item seven, the report", "We also have two vacancies"),
    ),
    ("council", "train horns at night", Part("My name is Ines", "Thank you. We will ask")),
    // All of them.
    ("bees", "all mentions of brother-in-law", Places(&["It was a bet", "In eleven years"])),
    (
        "bees",
        "every time they mention the queen",
        Places(&["Swarm season", "If the queen", "They sit in a ball"]),
    ),
    ("lecture", "every mention of compaction", Places(&["In the background|Compaction is the price"])),
    ("council", "all references to the boiler", Places(&["The other part"])),
    ("council", "find each mention of quiet zone", Places(&["Other towns|Thank you. We will ask"])),
    ("bees", "all mentions of wasps", Nothing),
    // Ordinals.
    ("bees", "the first time he mentions the queen", Places(&["Swarm season"])),
    ("bees", "the last time the queen is mentioned", Places(&["They sit in a ball"])),
    ("bees", "the second time they mention the queen", Places(&["If the queen"])),
    ("lecture", "first mention of Bloom filters", Places(&["Reading then"])),
    ("lecture", "when does he first mention the homework", Places(&["Before we start"])),
    ("council", "the third time somebody says the motion carries", Nothing),
    ("council", "the last time they say seconded", Places(&["I move to approve the dog"])),
    // Parts of the video.
    (
        "bees",
        "what he says about the queen in the last three minutes",
        Part("And Tomas asks", "You only lift"),
    ),
    ("bees", "laughter in the first minute", Within(0.0, 75.0)),
    ("lecture", "all mentions of index in the second half", Within(270.0, 600.0)),
    (
        "lecture",
        "questions about binary trees in the first half",
        Part("Somebody asked me", "A binary tree of"),
    ),
    ("council", "announcements after 8:00", Part("We also have", "If there's no other")),
    ("council", "votes before 4:30", Within(0.0, 285.0)),
    ("council", "best moments between 2:00 and 5:00", Within(105.0, 315.0)),
    ("bees", "advice at the end of the show", Part("A last question", "Patience is a tool")),
    // Quotes.
    ("bees", "\"patience is a tool\"", Places(&["I would say|Patience is a tool"])),
    ("bees", "\"a swarm is the gentlest thing in the world\"", Places(&["People call the fire"])),
    (
        "lecture",
        "where he says \"an index is a promise you pay for with every write\"",
        Places(&["So if you remember"]),
    ),
    (
        "council",
        "“a town without a pool is a town where kids don't learn to swim”",
        Places(&["With respect"]),
    ),
    ("council", "\"four score and seven years ago our fathers\"", Nothing),
    // Sounds.
    ("bees", "[laughter]", Many(5)),
    ("bees", "when people laugh", Many(5)),
    ("council", "applause", Many(2)),
    ("council", "[laughter]", Places(&["The fire chief says"])),
    ("lecture", "the part where everybody laughs", Many(1)),
    // Whatever is worth seeing.
    ("bees", "best moments", Many(5)),
    ("lecture", "the three most interesting parts", Many(3)),
    ("council", "highlights for tiktok", Many(5)),
    ("bees", "funniest clip", Many(1)),
    // Typing errors.
    ("bees", "how they treat the varoa mite", Part("Welcome back. Ruben", "No, because you treat")),
    ("lecture", "compacton merges files", Part("So an LSM tree", "Compaction is the price")),
    ("council", "the sweming pool offers", Part("Item four is the new", "Seconded. All in favour? Three")),
    ("bees", "all mentions of Ostrender", Places(&["What changed my mind"])),
    // Other languages.
    ("brot", "die Stelle über Sauerteig", Part("Reden wir über Sauerteig", "Mein Sauerteig")),
    ("brot", "alle Erwähnungen von Horst", Places(&["Mein Sauerteig"])),
    ("brot", "Woher kommt das Mehl?", Part("Woher bekommst", "Ich zahle")),
    ("brot", "Arbeitszeit und Lehrlinge", Part("Kommen wir zur", "Mit langer")),
    ("brot", "\"weggeworfen haben wir weniger als ein Prozent\"", Places(&["Der Rest geht"])),
    ("brot", "Quantenphysik", Nothing),
    ("tren", "los trenes nocturnos", Part("¿Y los trenes", "Lo malo es")),
    ("tren", "el peor momento del viaje", Part("¿Cuál fue", "Desde entonces")),
    ("tren", "¿cuánto cuesta el billete de Interrail?", Part("Primero pensé", "El billete cuesta")),
    ("tren", "todas las menciones de pasaporte", Places(&["Desde entonces"])),
    // What isn't there.
    ("bees", "the offside rule in football", Nothing),
    ("lecture", "how to bake sourdough bread", Nothing),
    ("council", "training a neural network on images", Nothing),
];

struct Talk {
    transcript: Transcript,
    kept: Kept,
}

static MODEL: LazyLock<Model> =
    LazyLock::new(|| Model::load(&places::tools::models(places::Models::Finder).unwrap()).unwrap());

fn talk(name: &str, text: &str, language: Option<&str>) -> Talk {
    let lines: Vec<(MediaTime, &str)> = text
        .lines()
        .map(|line| {
            let (time, text) = line.split_once(' ').unwrap_or((line, ""));
            (time.parse().unwrap_or_else(|error| panic!("{name}: {line}: {error}")), text)
        })
        .collect();
    let segment = |pair: &[(MediaTime, &str)]| Segment {
        start: pair[0].0,
        end: pair[1].0,
        text: pair[0].1.to_owned(),
        words: Vec::new(),
    };
    let transcript = Transcript {
        language: language.map(str::to_owned),
        duration: lines.last().unwrap().0,
        segments: lines.windows(2).map(segment).collect(),
    };
    let kept = prepare(&MODEL, &transcript).unwrap();
    Talk { transcript, kept }
}

fn ask(query: &str) -> Ask {
    Ask {
        query: query.to_owned(),
        segments_max: 5,
        shortest: None,
        longest: Some(MediaTime(600_000_000)),
        snap: Snap::Sentences,
        pad: MediaTime::ZERO,
        explain: true,
        alternates: false,
    }
}

impl Talk {
    fn line(&self, beginning: &str) -> &Segment {
        let found = self.transcript.segments.iter().find(|segment| segment.text.starts_with(beginning));
        found.unwrap_or_else(|| panic!("no line begins with {beginning:?}"))
    }

    fn is_right(&self, found: &[Moment], want: &Want) -> bool {
        let length = |moment: &Moment| moment.end.since(moment.start).seconds();
        let has = |moment: &Moment, line: &Segment| {
            let middle = MediaTime((line.start.0 + line.end.0) / 2);
            moment.start <= middle && middle < moment.end
        };
        match want {
            Part(from, to) => {
                let (start, end) = (self.line(from).start, self.line(to).end);
                found.first().is_some_and(|first| {
                    let middle = MediaTime((first.start.0 + first.end.0) / 2);
                    start <= middle && middle <= end
                })
            }
            Places(places) => {
                found.len() == places.len()
                    && places.iter().all(|place| {
                        let all =
                            |moment: &&Moment| place.split('|').all(|line| has(moment, self.line(line)));
                        found.iter().filter(all).any(|moment| length(moment) <= PLACE_SECONDS_MAX)
                    })
            }
            Many(count) => found.len() == *count,
            Within(from, to) => {
                let inside = |moment: &Moment| moment.start.seconds() >= *from && moment.end.seconds() <= *to;
                !found.is_empty() && found.iter().all(inside)
            }
            Nothing => found.is_empty(),
        }
    }
}

#[test]
fn people_find_what_they_want() {
    let talks = [
        ("bees", talk("bees", include_str!("finding/bees.txt"), Some("en"))),
        ("lecture", talk("lecture", include_str!("finding/lecture.txt"), None)),
        ("council", talk("council", include_str!("finding/council.txt"), Some("en-US"))),
        ("brot", talk("brot", include_str!("finding/brot.txt"), Some("de"))),
        ("tren", talk("tren", include_str!("finding/tren.txt"), None)),
    ];
    let (mut table, mut right) = (String::new(), 0);
    for (name, query, want) in CASES {
        let talk = &talks.iter().find(|(known, _)| known == name).unwrap().1;
        let found = find(&MODEL, &talk.transcript, &talk.kept, &ask(query)).unwrap().moments;
        let is_right = talk.is_right(&found, want);
        right += usize::from(is_right);
        write!(table, "{} {name:<8}{query:<60}", if is_right { "   " } else { "NOT" }).unwrap();
        for moment in found.iter().take(5) {
            write!(table, " {}–{} {:.2}", moment.start, moment.end, moment.confidence).unwrap();
        }
        table.push('\n');
    }
    println!("{table}{right} of {} are right", CASES.len());
    assert!(right >= RIGHT_MIN, "{table}{right} of {} are right, of at least {RIGHT_MIN}", CASES.len());
}

/// Texts as captions have them, and as nobody would.
fn text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        4 => "[a-z]{1,8}[.?!,]?",
        1 => Just("[laughter]".to_owned()),
        1 => "\\PC{0,6}",
    ];
    prop::collection::vec(word, 0..25).prop_map(|words| words.join(" "))
}

fn segment() -> impl Strategy<Value = Segment> {
    let time = || prop_oneof![8 => 0i64..200_000_000, 1 => any::<i64>()];
    (time(), time(), text(), any::<bool>()).prop_map(|(start, end, text, timed)| {
        let words = text.split_whitespace().zip(0..).map(|(text, at)| Word {
            start: MediaTime(start.saturating_add(at * 300_000)),
            end: MediaTime(start.saturating_add(at * 310_000)),
            text: text.to_owned(),
        });
        let words = if timed { words.collect() } else { Vec::new() };
        Segment { start: MediaTime(start), end: MediaTime(end), text, words }
    })
}

fn query() -> impl Strategy<Value = String> {
    let known = CASES.iter().map(|(_, query, _)| (*query).to_owned()).collect::<Vec<_>>();
    prop_oneof![3 => prop::sample::select(known), 1 => "\\PC{0,40}", 1 => "all mentions of [a-z]{1,2}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the transcript says: moments lie in the source, don't overlap and are not longer than asked.
    #[test]
    fn moments_keep_the_rules(
        mut segments in prop::collection::vec(segment(), 0..25),
        sorted in any::<bool>(),
        query in query(),
        snap in prop::sample::select(vec![Snap::Words, Snap::Sentences, Snap::None]),
        shortest in prop::option::of(0i64..40_000_000),
        room in prop::option::of(1i64..40_000_000),
        pad in 0i64..5_000_000,
    ) {
        if sorted {
            segments.sort_by_key(|segment| segment.start);
        }
        let duration = MediaTime(200_000_000);
        let transcript = Transcript { language: None, duration, segments };
        let kept = prepare(&MODEL, &transcript).unwrap();
        prop_assert_eq!(Kept::from_bytes(&kept.to_bytes()), Ok(kept.clone()));
        let longest = room.map(|room| MediaTime(shortest.unwrap_or(0) + room));
        let ask = Ask {
            snap,
            shortest: shortest.map(MediaTime),
            longest,
            pad: MediaTime(pad),
            alternates: true,
            ..ask(&query)
        };
        let found = find(&MODEL, &transcript, &kept, &ask).unwrap();
        prop_assert_eq!(&found, &find(&MODEL, &transcript, &kept, &ask).unwrap(), "the same again");
        prop_assert!(found.moments.len() <= 5);
        let mut all: Vec<&Moment> = found.moments.iter().chain(&found.alternates).collect();
        all.sort_by_key(|moment| moment.start);
        for moment in &all {
            prop_assert!(MediaTime::ZERO <= moment.start && moment.start <= moment.end && moment.end <= duration, "{moment:?}");
            prop_assert!((0.0..=1.0).contains(&moment.confidence), "{moment:?}");
            // One word may be longer than what is asked for.
            let words = moment.excerpt.split(' ').count();
            let length = moment.end.since(moment.start);
            prop_assert!(words == 1 || longest.is_none_or(|longest| length <= longest), "{moment:?} {longest:?}");
        }
        for pair in all.windows(2) {
            prop_assert!(pair[0].end <= pair[1].start, "{pair:?}");
        }
        // Whether the source times its words or not.
        for (start, end) in measure::words(&transcript).unwrap() {
            let cut = |edge: MediaTime| start < edge && edge < end;
            for moment in &all {
                prop_assert!(!cut(moment.start) && !cut(moment.end), "{moment:?} cuts the word {start}–{end}");
            }
        }
    }

    /// Where the source times its words, and they follow each other, those are the words that are not cut.
    #[test]
    fn words_that_are_timed_are_not_cut(
        steps in prop::collection::vec((0i64..900_000, 50_000i64..900_000), 40..160),
        each in 1usize..12,
        query in query(),
        snap in prop::sample::select(vec![Snap::Words, Snap::Sentences, Snap::None]),
        shortest in prop::option::of(0i64..40_000_000),
        room in prop::option::of(1_000_000i64..40_000_000),
        pad in 0i64..5_000_000,
    ) {
        let said: Vec<&str> = include_str!("finding/bees.txt").split_whitespace().collect();
        let mut at = 0;
        let words: Vec<Word> = steps.iter().zip(said.iter().cycle()).map(|((pause, length), text)| {
            let start = at + pause;
            at = start + length;
            Word { start: MediaTime(start), end: MediaTime(at), text: (*text).to_owned() }
        }).collect();
        let segment = |words: &[Word]| Segment {
            start: words[0].start,
            end: words[words.len() - 1].end,
            text: words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" "),
            words: words.to_vec(),
        };
        let segments: Vec<Segment> = words.chunks(each).map(segment).collect();
        let transcript = Transcript { language: Some("en".to_owned()), duration: MediaTime(at + 3_000_000), segments };
        let kept = prepare(&MODEL, &transcript).unwrap();
        let ask = Ask {
            snap,
            shortest: shortest.map(MediaTime),
            longest: room.map(|room| MediaTime(shortest.unwrap_or(0) + room)),
            pad: MediaTime(pad),
            alternates: true,
            ..ask(&query)
        };
        let found = find(&MODEL, &transcript, &kept, &ask).unwrap();
        for moment in found.moments.iter().chain(&found.alternates) {
            for word in &words {
                let cut = |edge: MediaTime| word.start < edge && edge < word.end;
                prop_assert!(!cut(moment.start) && !cut(moment.end), "{moment:?} cuts {word:?}");
            }
        }
    }
}

#[test]
fn vectors_of_another_transcript_are_refused() {
    let one = talk("one", "0:00 Something is said.\n0:10", None);
    let other = talk("other", "0:00 Something else is said.\n0:10", None);
    let found = find(&MODEL, &one.transcript, &other.kept, &ask("something"));
    assert!(matches!(found, Err(Error::Foreign)), "{found:?}");
    assert!(one.kept.belongs_to(&MODEL, &one.transcript) && !one.kept.belongs_to(&MODEL, &other.transcript));
}
