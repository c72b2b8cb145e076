//! From a query to moments: which way a query goes, what it finds, and what of it is answered.

use std::collections::{BTreeMap, BTreeSet};

use domain::time::MediaTime;

use crate::curves::{Curves, Sought, standard};
use crate::edges::{Lengths, Range, Words, padded, weights};
use crate::embed::{Model, ModelError, Vector};
use crate::intent::{self, Intent, What, Which};
use crate::lines::Line;
use crate::mentions::{self, Mention};
use crate::query;
use crate::spans::{self, Chosen, Rules, Span};
use crate::text::{Tongue, distance, words};
use crate::units::{Units, divide};
use crate::weights::{confidence, logistic, present};
use crate::{Ask, Found, Kept, Moment, Pointed, Transcript, Why, bm25};

/// Below this, what was asked for is not in the video: of what is, 4 % are lost; of what isn't, two thirds.
const PRESENT_MIN: f64 = 0.2;
/// Who says where to look has seen it.
const PRESENT_MIN_IN_STRETCH: f64 = 0.02;
/// The same where words alone tell: their share, rare ones counting more.
const COVER_MIN: f64 = 0.3;
/// A further place must be worth this share of the best one: if the query asks for one, for several, for all.
const WORTH_ONE: f64 = 0.75;
const WORTH_SEVERAL: f64 = 0.55;
const WORTH_ALL: f64 = 0.45;
/// Moments that are told beside those answered.
const ALTERNATES_MAX: usize = 5;
/// The most that any query is answered with.
const MOMENTS_MAX: usize = 1_000;
/// Shorter words are not taken for typing errors, and longer ones may have two.
const TYPO_LETTERS_MIN: usize = 4;
const TYPO_LETTERS_TWO: usize = 8;
/// What leads to a laugh, in microseconds.
const BEFORE_SOUND_MICROS: i64 = 12_000_000;
/// Words that a sound's brackets hold at most.
const SOUND_WORDS_MAX: usize = 6;
/// Seconds of a moment that is worth seeing, and seconds of the source for each.
const WORTH_SECONDS: (f64, f64) = (15.0, 75.0);
const SECONDS_EACH: f64 = 120.0;
/// What laughter or applause adds to a unit, in standard deviations.
const LAUGHTER: f64 = 2.0;
const LAUGHTER_FOR_FUN: f64 = 6.0;
/// What people say when it is worth listening.
const WORTH_SENTENCE: &str =
    "This is the most important and surprising point, the key insight of the whole story.";
/// Sentences that explain a moment.
const SENTENCES_MAX: usize = 3;

/// A place that fits, before its edges are set.
#[derive(Clone, Debug)]
struct Pick {
    range: Range,
    confidence: f64,
    meaning: Option<f64>,
    present: f64,
}

/// A transcript, ready to be searched.
pub(crate) struct Search<'a> {
    model: &'a Model,
    lines: &'a [Line],
    words: Words<'a>,
    units: Units,
    tongue: Tongue,
    duration: i64,
}

impl<'a> Search<'a> {
    pub(crate) fn new(model: &'a Model, transcript: &Transcript, lines: &'a [Line], kept: &Kept) -> Self {
        let tongue = Tongue::of(transcript.language.as_deref(), lines.iter().map(|line| line.text.as_str()));
        let duration = transcript.duration.0.max(lines.last().map_or(0, |line| line.end));
        let units = Units::new(lines, duration as f64 / 1e6, &tongue, &kept.vectors);
        Self { model, lines, words: Words::new(lines), units, tongue, duration }
    }

    pub(crate) fn find(&self, ask: &Ask) -> Result<Found, ModelError> {
        if self.lines.is_empty() || ask.query.trim().is_empty() || ask.segments_max == 0 {
            return Ok(Found::default());
        }
        let query = self.corrected(&ask.query);
        let intent = intent::read(&query, self.duration as f64 / 1e6);
        let picks = match &intent.what {
            What::Quote(quote) => self.of_mentions(mentions::quote(self.lines, quote), &intent),
            What::Phrase(phrase) => self.phrase(phrase, &intent),
            What::Either(phrase) => {
                let said = self.phrase(phrase, &intent);
                if said.is_empty() { self.topic(phrase, &intent, ask)? } else { said }
            }
            What::Sound(stems) => self.sound(stems, &intent),
            What::Anything { fun } => self.worth(&intent, *fun, ask)?,
            What::Topic(topic) => self.topic(topic, &intent, ask)?,
        };
        Ok(self.answer(picks, &query, &intent, ask))
    }

    /// The moments of lines that somebody else has pointed at.
    pub(crate) fn pointed(&self, at: &[Pointed], ask: &Ask) -> Found {
        let is_there = |at: &&Pointed| at.from < at.to && at.to <= self.lines.len();
        let pick = |at: &Pointed| Pick {
            range: self.words.of_lines(at.from, at.to),
            confidence: f64::from(at.confidence),
            meaning: None,
            present: 1.0,
        };
        let mut picks: Vec<Pick> = at.iter().filter(is_there).map(pick).collect();
        picks.sort_by(|one, other| other.confidence.total_cmp(&one.confidence));
        picks.truncate(MOMENTS_MAX);
        let moments = self.moments(picks, &ask.query, None, ask).into_iter().map(|(_, moment)| moment);
        let mut moments: Vec<Moment> = moments.collect();
        let others = moments.split_off(ask.segments_max.min(moments.len()));
        let most = if ask.alternates { ALTERNATES_MAX } else { 0 };
        Found { moments, alternates: others.into_iter().take(most).collect() }
    }

    /// The best spans for a query, which may overlap, with confidences that only order them: what sets without regard to intent
    /// are measured by.
    pub(crate) fn ranked(&self, query: &str) -> Result<Vec<(i64, i64)>, ModelError> {
        if self.lines.is_empty() {
            return Ok(Vec::new());
        }
        let (curves, _) = self.curves(query)?;
        let rules = Rules::fitted(&self.units);
        let spans = spans::candidates(&self.units, &rules);
        let scores = spans::scores(&self.units, &curves, query::shape(query), &spans);
        let chosen = spans::choose(&self.units, &spans, &scores, &rules);
        let micros = |seconds: f64| (seconds * 1e6).round() as i64;
        let time = |span: Span| (micros(self.units.start[span.from]), micros(self.units.end[span.to - 1]));
        Ok(chosen.iter().map(|chosen| time(chosen.span)).collect())
    }

    /// How likely the source has what was asked for at all.
    pub(crate) fn present(&self, query: &str) -> Result<f64, ModelError> {
        if self.lines.is_empty() {
            return Ok(0.0);
        }
        let (curves, terms) = self.curves(query)?;
        Ok(self.presence(&curves, &bm25::cover(&self.units, &terms), (0, self.units.len())).0)
    }

    fn curves(&self, query: &str) -> Result<(Curves, Vec<String>), ModelError> {
        let terms = self.terms(query);
        let vector = self.vector(&query::topic(query))?;
        let sought = Sought { vector: vector.as_ref(), terms: &terms, shape: query::shape(query) };
        Ok((Curves::new(&self.units, &sought), terms))
    }

    fn terms(&self, query: &str) -> Vec<String> {
        let mut once = Vec::new();
        for stem in self.tongue.of_query(query).iter().map(|word| self.tongue.stem(word)) {
            if !once.contains(&stem) {
                once.push(stem);
            }
        }
        once
    }

    fn vector(&self, text: &str) -> Result<Option<Vector>, ModelError> {
        if !self.tongue.is_english() {
            return Ok(None);
        }
        Ok(self.model.embed(&[text])?.pop())
    }

    /// The query with words that are neither said nor words at all as those that are said and look like them.
    fn corrected(&self, query: &str) -> String {
        let unknown = |word: &String| word.chars().count() >= TYPO_LETTERS_MIN && !self.model.knows(word);
        let suspects: BTreeSet<String> = words(query).into_iter().filter(unknown).collect();
        if suspects.is_empty() {
            return query.to_owned();
        }
        let mut said: BTreeMap<String, usize> = BTreeMap::new();
        for word in self.lines.iter().flat_map(|line| words(&line.text)) {
            *said.entry(word).or_default() += 1;
        }
        let mut corrected = query.to_owned();
        for word in suspects.iter().filter(|word| !said.contains_key(*word)) {
            let most = if word.chars().count() < TYPO_LETTERS_TWO { 1 } else { 2 };
            let near = said.iter().filter(|(other, _)| other.chars().count() >= TYPO_LETTERS_MIN).filter_map(
                |(other, count)| Some((distance(word, other, most)?, std::cmp::Reverse(*count), other)),
            );
            let Some((_, _, meant)) = near.min() else { continue };
            if let Some(at) = corrected.to_lowercase().find(word.as_str())
                && corrected.is_char_boundary(at)
                && corrected.is_char_boundary(at + word.len())
            {
                corrected.replace_range(at..at + word.len(), meant);
            }
        }
        corrected
    }

    /// The units whose middle lies in the stretch that is looked at.
    fn in_stretch(&self, intent: &Intent) -> (usize, usize) {
        let Some((from, to)) = intent.stretch else { return (0, self.units.len()) };
        let middle = |unit: usize| (self.units.start[unit] + self.units.end[unit]) / 2.0;
        let inside: Vec<usize> =
            (0..self.units.len()).filter(|unit| (from..=to).contains(&middle(*unit))).collect();
        (inside.first().copied().unwrap_or(0), inside.last().map_or(0, |last| last + 1))
    }

    /// How likely what was asked for is there, by the best window's cosine and cover.
    fn presence(&self, curves: &Curves, cover: &[f64], (from, to): (usize, usize)) -> (f64, f64, f64) {
        let most = |values: &[f64]| values[from..to].iter().copied().fold(0.0, f64::max);
        let (meaning, cover) = (most(&curves.meaning), most(cover));
        let is = if self.tongue.is_english() { present(meaning, cover) } else { cover };
        (is, meaning, cover)
    }

    fn topic(&self, topic: &str, intent: &Intent, ask: &Ask) -> Result<Vec<Pick>, ModelError> {
        let (curves, terms) = self.curves(topic)?;
        let stretch = self.in_stretch(intent);
        let (present, meaning, cover) = self.presence(&curves, &bm25::cover(&self.units, &terms), stretch);
        let least = match intent.stretch {
            Some(_) => PRESENT_MIN_IN_STRETCH,
            None if self.tongue.is_english() => PRESENT_MIN,
            None => COVER_MIN,
        };
        if present < least {
            return Ok(Vec::new());
        }
        let fitted = Rules::fitted(&self.units);
        let (from, to) = intent.stretch.unwrap_or((f64::MIN, f64::MAX));
        let rules = Rules {
            from,
            to,
            overlap: 0.0,
            count: ask.segments_max.min(MOMENTS_MAX) + ALTERNATES_MAX,
            ..fitted
        };
        let mut spans = spans::candidates(&self.units, &rules);
        if spans.is_empty() {
            spans = spans::candidates(&self.units, &Rules { shortest: 0.0, ..rules });
        }
        let scores = spans::scores(&self.units, &curves, query::shape(topic), &spans);
        let chosen = spans::choose(&self.units, &spans, &scores, &rules);
        let pick = |Chosen { span, gain }: &Chosen| {
            let products = curves.products[span.to] - curves.products[span.from];
            let cosine = products / (self.units.norm(span.from, span.to) + 1e-9);
            let english = self.tongue.is_english();
            let sure = if english { confidence(*gain, meaning, cover) } else { cover * gain.sqrt() };
            Pick {
                range: self.of_units(*span),
                confidence: sure,
                meaning: english.then_some(cosine),
                present,
            }
        };
        Ok(chosen.iter().map(pick).collect())
    }

    fn of_units(&self, span: Span) -> Range {
        let (from, to) = (self.units.lines[span.from].0, self.units.lines[span.to - 1].1);
        self.words.of_lines(from, to)
    }

    fn phrase(&self, phrase: &str, intent: &Intent) -> Vec<Pick> {
        self.of_mentions(mentions::find(self.lines, phrase, &self.tongue), intent)
    }

    /// Mentions in the stretch that is looked at, best first; all alike in the order of time.
    fn of_mentions(&self, mentions: Vec<Mention>, intent: &Intent) -> Vec<Pick> {
        let inside = |mention: &Mention| {
            let middle = (self.lines[mention.from].start + self.lines[mention.to - 1].end) as f64 / 2e6;
            intent.stretch.is_none_or(|(from, to)| (from..=to).contains(&middle))
        };
        let pick = |mention: Mention| {
            let range = self.words.of_lines(mention.from, mention.to);
            Pick { range, confidence: f64::from(mention.sure), meaning: None, present: 1.0 }
        };
        let mut picks: Vec<Pick> = mentions.into_iter().filter(inside).map(pick).collect();
        picks.sort_by(|one, other| other.confidence.total_cmp(&one.confidence));
        picks
    }

    /// Where captions tell of a sound, each with what leads to it.
    fn sound(&self, stems: &[String], intent: &Intent) -> Vec<Pick> {
        let mut picks: Vec<Pick> = Vec::new();
        for sound in
            self.words.sounds(SOUND_WORDS_MAX, |text| stems.iter().any(|stem| text.contains(stem.as_str())))
        {
            let (start, end) = self.words.time(sound);
            let middle = (start + end) as f64 / 2e6;
            if intent.stretch.is_some_and(|(from, to)| !(from..=to).contains(&middle)) {
                continue;
            }
            let before =
                self.words.start.partition_point(|word| *word < start - BEFORE_SOUND_MICROS).min(sound.from);
            match picks.last_mut() {
                Some(last) if before < last.range.to => last.range.to = last.range.to.max(sound.to),
                _ => picks.push(Pick {
                    range: Range { from: before, to: sound.to },
                    confidence: 0.9,
                    meaning: None,
                    present: 1.0,
                }),
            }
        }
        picks
    }

    /// What is worth seeing: rich in the video's own words, near its middle in meaning, and followed by laughter or applause.
    fn worth(&self, intent: &Intent, fun: bool, ask: &Ask) -> Result<Vec<Pick>, ModelError> {
        let units = &self.units;
        let count = units.len();
        let mut dense = vec![0.0; count];
        for (term, postings) in &units.postings {
            // A word that is said once tells nothing of the video.
            for (unit, often) in postings.iter().filter(|_| postings.len() > 1) {
                dense[*unit] += bm25::rarity_of(units, term) * often.sqrt();
            }
        }
        let mut score = standard(&dense);
        if let Some(vector) = self.vector(WORTH_SENTENCE)? {
            let cosines = crate::curves::cosines(units, &units.products(&vector), 0);
            for (score, cosine) in score.iter_mut().zip(standard(&cosines)) {
                *score += cosine;
            }
        }
        let reactions = ["laugh", "applau", "cheer", "clap"];
        for sound in
            self.words.sounds(SOUND_WORDS_MAX, |text| reactions.iter().any(|stem| text.contains(stem)))
        {
            let unit = units.at(self.words.start[sound.from] as f64 / 1e6 + 0.001).saturating_sub(1);
            score[unit] += if fun { LAUGHTER_FOR_FUN } else { LAUGHTER };
        }
        let (from, to) = intent.stretch.unwrap_or((f64::MIN, f64::MAX));
        let (shortest, longest) = (WORTH_SECONDS.0, WORTH_SECONDS.1.min(units.duration));
        let rules = Rules { shortest, longest, from, to, overlap: 0.0, count: 1 };
        let sums = crate::units::sums(score.iter().copied());
        let worth = |span: &Span| {
            let mean = (sums[span.to] - sums[span.from]) / ((span.to - span.from) as f64).sqrt();
            mean + 0.3 * (units.valley[span.from] + units.valley[span.to])
        };
        let mut open: Vec<(f64, Span)> =
            spans::candidates(units, &rules).into_iter().map(|span| (worth(&span), span)).collect();
        open.sort_by(|one, other| other.0.total_cmp(&one.0));
        let by_length = (units.duration / SECONDS_EACH).ceil().max(1.0) as usize;
        let wanted = intent
            .count
            .unwrap_or(if intent.several { by_length } else { 1 })
            .min(ask.segments_max)
            .min(MOMENTS_MAX);
        let mut picks: Vec<Pick> = Vec::new();
        for (worth, span) in open {
            let range = self.of_units(span);
            if picks.len() < wanted
                && picks.iter().all(|pick| pick.range.to <= range.from || range.to <= pick.range.from)
            {
                picks.push(Pick { range, confidence: logistic(worth / 4.0), meaning: None, present: 1.0 });
            }
        }
        Ok(picks)
    }

    /// Those of the picks that were asked for, with their edges set.
    fn answer(&self, picks: Vec<Pick>, query: &str, intent: &Intent, ask: &Ask) -> Found {
        let best = picks.first().map_or(0.0, |pick| pick.confidence);
        let worth = match intent.which {
            Which::Best if intent.several => WORTH_SEVERAL,
            Which::Best => WORTH_ONE,
            _ => WORTH_ALL,
        };
        let (mut chosen, mut others): (Vec<Pick>, Vec<Pick>) =
            picks.into_iter().partition(|pick| pick.confidence >= worth * best);
        let by_time = |picks: &mut Vec<Pick>| picks.sort_by_key(|pick| pick.range.from);
        let nth = |picks: Vec<Pick>, at: Option<usize>| {
            let (mut one, mut rest) = (Vec::new(), Vec::new());
            for (number, pick) in picks.into_iter().enumerate() {
                if Some(number) == at { one.push(pick) } else { rest.push(pick) }
            }
            (one, rest)
        };
        let most = intent.count.unwrap_or(usize::MAX).min(ask.segments_max).min(MOMENTS_MAX);
        let rest = match intent.which {
            Which::Nth(number) => {
                by_time(&mut chosen);
                let (one, rest) = nth(chosen, number.checked_sub(1));
                chosen = one;
                rest
            }
            Which::Last => {
                by_time(&mut chosen);
                let at = chosen.len().checked_sub(1);
                let (one, rest) = nth(chosen, at);
                chosen = one;
                rest
            }
            Which::Best | Which::All => chosen.split_off(most.min(chosen.len())),
        };
        others.splice(0..0, rest);
        others.truncate(if ask.alternates { ALTERNATES_MAX } else { 0 });
        let answered = chosen.len();
        chosen.append(&mut others);
        let mut moments = self.moments(chosen, query, intent.stretch, ask);
        let alternates = moments.iter().position(|(number, _)| *number >= answered).unwrap_or(moments.len());
        let alternates = moments.split_off(alternates);
        let plain = |moments: Vec<(usize, Moment)>| moments.into_iter().map(|(_, moment)| moment).collect();
        Found { moments: plain(moments), alternates: plain(alternates) }
    }

    /// The picks as moments that don't overlap, in their order, each with its number; a pick whose place is taken is left out.
    fn moments(
        &self,
        picks: Vec<Pick>,
        query: &str,
        stretch: Option<(f64, f64)>,
        ask: &Ask,
    ) -> Vec<(usize, Moment)> {
        let longest = ask.longest.map_or(i64::MAX, |longest| longest.0.max(1));
        let shortest = ask.shortest.map_or(0, |shortest| shortest.0).clamp(0, longest);
        let lengths = Lengths { shortest, longest };
        let terms = self.terms(query);
        let weights = self.weights(&terms, &picks, longest);
        let bounds =
            stretch.map_or(Range { from: 0, to: self.words.len() }, |(from, to)| self.words.within(from, to));
        let mut placed: Vec<(usize, Pick, Range)> = Vec::new();
        for (number, pick) in picks.into_iter().enumerate() {
            let taken =
                |word: usize| placed.iter().any(|(_, _, range)| range.from <= word && word < range.to);
            if taken(pick.range.from) || taken(pick.range.to - 1) {
                continue;
            }
            let inner =
                placed.iter().any(|(_, _, range)| pick.range.from <= range.from && range.to <= pick.range.to);
            if inner {
                continue;
            }
            let before =
                placed.iter().map(|(_, _, range)| range.to).filter(|to| *to <= pick.range.from).max();
            let behind =
                placed.iter().map(|(_, _, range)| range.from).filter(|from| *from >= pick.range.to).min();
            let free = Range {
                from: before.unwrap_or(0).max(bounds.from.min(pick.range.from)),
                to: behind.unwrap_or(self.words.len()).min(bounds.to.max(pick.range.to)),
            };
            let range = self.words.fit(pick.range, ask.snap, lengths, free, &weights);
            placed.push((number, pick, range));
        }
        let mut order: Vec<usize> = (0..placed.len()).collect();
        order.sort_by_key(|at| placed[*at].2.from);
        let ranges: Vec<Range> = order.iter().map(|at| placed[*at].2).collect();
        let padded = padded(&self.words, &ranges, ask.pad.0, shortest, longest, self.duration);
        let mut times = vec![(0, 0); placed.len()];
        for (at, time) in order.iter().zip(padded) {
            times[*at] = time;
        }
        let moment = |((number, pick, range), (start, end)): ((usize, Pick, Range), (i64, i64))| {
            let moment = Moment {
                start: MediaTime(start),
                end: MediaTime(end),
                excerpt: self.words.excerpt(range),
                confidence: pick.confidence.clamp(0.0, 1.0) as f32,
                why: ask.explain.then(|| self.why(query, range, &pick)),
            };
            (number, moment)
        };
        placed.into_iter().zip(times).map(moment).collect()
    }

    /// The sums of what each word is worth, if a pick has to be shortened.
    fn weights(&self, terms: &[String], picks: &[Pick], longest: i64) -> Vec<f64> {
        let too_long = |pick: &&Pick| {
            let (start, end) = self.words.time(pick.range);
            end - start > longest
        };
        let ranges: Vec<Range> = picks.iter().filter(too_long).map(|pick| pick.range).collect();
        let rarity: BTreeMap<&str, f64> =
            terms.iter().map(|term| (term.as_str(), bm25::rarity_of(&self.units, term))).collect();
        weights(&self.words, |text, at| {
            if !ranges.iter().any(|range| (range.from..range.to).contains(&at)) {
                return 0.0;
            }
            let stems = words(text).into_iter().map(|word| self.tongue.stem(&word));
            1e-3 + stems.filter_map(|stem| rarity.get(stem.as_str())).sum::<f64>()
        })
    }

    fn why(&self, query: &str, range: Range, pick: &Pick) -> Why {
        let asked = self.tongue.of_query(query);
        let stems_of = |range: Range| -> BTreeSet<String> {
            self.tongue.of_speech(&self.words.text(range)).into_iter().collect()
        };
        let said = stems_of(range);
        let is_said = |word: &&String| said.contains(&self.tongue.stem(word));
        let rarity = |word: &String| bm25::rarity_of(&self.units, &self.tongue.stem(word));
        let all: f64 = asked.iter().map(rarity).sum();
        let cover: f64 = asked.iter().filter(is_said).map(rarity).sum();
        let mut sentences: Vec<(f64, Range)> = Vec::new();
        for sentence in self.words.sentences(range) {
            let stems = stems_of(sentence);
            let has = asked.iter().filter(|word| stems.contains(&self.tongue.stem(word)));
            sentences.push((has.map(rarity).sum(), sentence));
        }
        sentences.retain(|(worth, _)| *worth > 0.0);
        sentences.sort_by(|one, other| other.0.total_cmp(&one.0));
        sentences.truncate(SENTENCES_MAX);
        sentences.sort_by_key(|(_, sentence)| sentence.from);
        Why {
            words: asked.iter().filter(is_said).cloned().collect(),
            sentences: sentences.iter().map(|(_, sentence)| self.words.excerpt(*sentence)).collect(),
            meaning: pick.meaning.map(|meaning| meaning as f32),
            cover: (cover / (all + 1e-9)) as f32,
            present: pick.present as f32,
        }
    }
}

/// The texts that the model reads of a transcript.
pub(crate) fn texts(lines: &[Line]) -> Vec<String> {
    divide(lines).into_iter().map(|unit| crate::units::text(lines, unit)).collect()
}
