//! What a query is about: "What did the chair think about the budget?" is about the budget.

use regex_lite::Regex;

/// Nothing longer is read: the API takes 500 characters.
const LETTERS_MAX: usize = 1_000;
/// Less than this is no topic: then the pattern took too much.
const TOPIC_LETTERS_MIN: usize = 4;
const CORE_LETTERS_MIN: usize = 3;

/// Requests around what is looked for.
const REQUESTS: [&str; 4] = [
    r"^(please\s+)?(can you |could you )?(find|show|clip|cut|get|give|extract|play|locate|pull|take)( me| us| out)?( a| the)? ?(clip|moment|part|section|segment|bit|piece|place|scene|discussion)?s?( of| about| on| for| where| when| in which)?\s+",
    r"^(the |a )?(part|section|bit|moment|segment|clip|place|point|discussion)s? (where|when|in which|about|on|of|with)( the| that)?\s+",
    r"^where (they|he|she|i|we|people|the \w+) (talk|talks|talked|discuss|discusses|discussed|speak|speaks|mention|mentions)( about)?\s+",
    r"^(they|he|she|i|we) (talk|talks|talked|discuss|discusses|discussed|speak|speaks|mention|mentions)( about)?\s+",
];
/// Somebody, in a question.
const SOMEBODY: &str = r"(?:the |an? |his |her |their |its |our )?[\w'’\.\- ]{2,40}?";
/// Questions and summaries; what is left is what they are about. `NP` is [`SOMEBODY`].
const FRAMES: [&str; 5] = [
    r"^summari[sz]e (?:the |their |a |what )?(?:whole |entire )?(?:meeting|discussion|discussions|conversation|presentation|debate|opinion|opinions|views?|content|part|section|information|process|decision|suggestion|suggestions|introduction)s?(?: (?:about|on|of|regarding|concerning|over|for))\s+(.+)$",
    r"^(?:what|how|why) (?:did|do|does|was|were|is|are|would|had|has|have) NP (?:think|thought|say|said|mention|talk|discuss|feel|suggest|propose|recommend|present|explain|learn|know|conclude|decide|agree|disagree|argue|respond|react|describe|introduce|want to do|plan to do)\w*(?: (?:about|of|on|regarding|to|towards?|when (?:discussing|talking about|introducing|presenting)|for|in terms of|with))\s+(.+)$",
    r"^what (?:was|were|is|are|'s|’s) NP (?:opinion|opinions|view|views|attitude|attitudes|idea|ideas|thought|thoughts|suggestion|suggestions|conclusion|decision|recommendation|discussion|perspective|comment|comments|reaction|response)s? (?:about|on|of|regarding|towards?|to|for|when discussing)\s+(.+)$",
    r"^(?:what was|what is|what's|what’s) (?:the )?(?:conclusion|decision|discussion|outcome|result|purpose|reason|problem|issue)s? (?:of the discussion |of discussion )?(?:about|on|of|for|with|regarding)\s+(.+)$",
    r"^(?:discussions?|presentations?|introductions?|conversations?|debates?) (?:about|on|of|regarding)\s+(.+)$",
];
/// What asks for the beginning or the end of a video, by its topic.
const OPENING: &str =
    r"\b(intro\w*|open\w*|warm\w*|agenda|welcome|beginning|start\w*|background|overview|goals? of)\b";
const CLOSING: &str = r"\b(clos\w*|conclu\w*|wrap\w*|final\w*|end\w*|summary|future|next (meeting|step)\w*|q ?& ?a|questions?|last|takeaways?)\b";
/// A question: its answer is shorter than a topic's part.
const QUESTION: &str = r"^\s*(what|why|how|when|who|which|did|do|does|is|are|was|were|would|should|could|can|summari[sz]e|according|in )\b|^\s*where\b|\?\s*$";
const WHERE_THEY: &str = r"^\s*where they\b[^?]*$";

/// A pattern without regard to case. All are constants, and a test makes each; one that could not be made matches nothing.
pub(crate) fn pattern(text: &str) -> Option<Regex> {
    Regex::new(&format!("(?i){text}")).ok()
}

pub(crate) fn is_match(text: &str, within: &str) -> bool {
    pattern(text).is_some_and(|pattern| pattern.is_match(within))
}

/// What the weights know of a query besides its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) question: bool,
    pub(crate) opening: bool,
    pub(crate) closing: bool,
}

pub(crate) fn shape(query: &str) -> Shape {
    let query = short(query);
    let question = is_match(QUESTION, query) && !is_match(WHERE_THEY, query);
    Shape { question, opening: is_match(OPENING, query), closing: is_match(CLOSING, query) }
}

/// The query without its request and its frame.
pub(crate) fn topic(query: &str) -> String {
    let core = core(short(query));
    for frame in FRAMES {
        let frame = pattern(&frame.replace("NP", SOMEBODY));
        let about =
            frame.and_then(|frame| frame.captures(&core)?.get(1).map(|about| about.as_str().to_owned()));
        if let Some(about) = about.filter(|about| about.chars().count() >= TOPIC_LETTERS_MIN) {
            let about = without(r"^(the )?(discussion|topic|issue|part)s? (about|on|of) ", &about, 0);
            return about.trim_matches([' ', '.', '?', '!']).to_owned();
        }
    }
    core
}

fn core(query: &str) -> String {
    let mut rest = query.trim().to_owned();
    for _ in 0..2 {
        for request in REQUESTS {
            rest = without(request, &rest, CORE_LETTERS_MIN);
        }
    }
    let link = pattern(r"\(?https?://\S+\)?");
    let rest = link.map_or_else(|| rest.clone(), |link| link.replace_all(&rest, " ").into_owned());
    let rest = without(r"^(paper|article|news|topic|section|chapter)\s*:\s*", &rest, 0);
    match rest.trim_matches([' ', '.', '?', '!', ':', ';', '"', '\'']) {
        "" => query.to_owned(),
        rest => rest.to_owned(),
    }
}

/// The text without what the pattern takes from its beginning, if so many letters are left.
fn without(beginning: &str, text: &str, letters_min: usize) -> String {
    let end = pattern(beginning).and_then(|pattern| pattern.find(text)).map_or(0, |found| found.end());
    let rest = text.get(end..).unwrap_or(text);
    if rest.chars().count() >= letters_min { rest.to_owned() } else { text.to_owned() }
}

fn short(query: &str) -> &str {
    let end = query.char_indices().nth(LETTERS_MAX).map_or(query.len(), |(end, _)| end);
    query.get(..end).unwrap_or(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_one() {
        let frames = FRAMES.map(|frame| frame.replace("NP", SOMEBODY));
        let others = [OPENING, CLOSING, QUESTION, WHERE_THEY].into_iter().chain(REQUESTS);
        for text in others.chain(frames.iter().map(String::as_str)) {
            assert!(pattern(text).is_some(), "{text}");
        }
    }

    #[test]
    fn requests_and_frames_are_taken_off() {
        for (query, expected) in [
            ("Find the part where they talk about mining pools.", "mining pools"),
            ("Summarize the discussion about the disadvantages of ATLAS", "the disadvantages of ATLAS"),
            ("What did the chair think about the budget of the team?", "the budget of the team"),
            ("What was the conclusion on the shape?", "the shape"),
            ("show it", "show it"),
            ("paper: Lightning https://a.example/b", "Lightning"),
            ("???", "???"),
        ] {
            assert_eq!(topic(query), expected, "{query}");
        }
    }

    #[test]
    fn questions_ask_for_less() {
        let question = |query| shape(query).question;
        assert!(question("What is it") && question("it is?") && question("where is it"));
        assert!(!question("where they talk about it") && !question("Mining pools"));
        assert!(shape("Introduction").opening && shape("wrap-up").closing && !shape("mining").closing);
    }
}
