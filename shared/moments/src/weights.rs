//! Every number that was fitted, on the development set that docs/moments.md describes.

/// Half widths, in units, of the windows that meaning and words are compared over.
pub(crate) const WIDTHS: [usize; 5] = [0, 1, 3, 6, 10];
/// The same for the evidence of both, taken together and sharpened.
pub(crate) const WIDTHS_SHARP: [usize; 4] = [1, 3, 6, 10];

/// How likely a unit is relevant: a logistic regression.
pub(crate) struct UnitWeights {
    pub(crate) meaning: [f64; 5],
    pub(crate) words: [f64; 5],
    pub(crate) sharp: [f64; 4],
    /// For a question.
    pub(crate) question: f64,
    /// For the logarithm of the video's length in 3,000 s.
    pub(crate) length: f64,
    pub(crate) bias: f64,
}

pub(crate) const UNIT: UnitWeights = UnitWeights {
    meaning: [0.0318, 0.0532, 0.1203, 0.111, 0.2544],
    words: [0.034, 0.0469, 0.0521, 0.0335, 0.2979],
    sharp: [0.0076, 0.0188, 0.0381, 0.1514],
    question: -0.3337,
    length: -0.6048,
    bias: -2.2984,
};

/// How good a span is; `spans` says what each feature is.
pub(crate) struct SpanWeights {
    pub(crate) relevant: f64,
    pub(crate) relevant_log: f64,
    pub(crate) relevant_share: f64,
    pub(crate) relevant_both: f64,
    pub(crate) score: f64,
    pub(crate) evidence: f64,
    pub(crate) head: f64,
    pub(crate) tail: f64,
    pub(crate) left: f64,
    pub(crate) left_far: f64,
    pub(crate) right: f64,
    pub(crate) right_far: f64,
    pub(crate) length: f64,
    pub(crate) length_squared: f64,
    pub(crate) length_of_answer: f64,
    pub(crate) length_squared_of_answer: f64,
    pub(crate) length_of_summary: f64,
    pub(crate) share: f64,
    pub(crate) length_and_relevance: f64,
    pub(crate) valley_before: f64,
    pub(crate) valley_behind: f64,
    pub(crate) meaning: f64,
    pub(crate) opening: f64,
    pub(crate) closing: f64,
    pub(crate) to_the_end: f64,
}

pub(crate) const SPAN: SpanWeights = SpanWeights {
    relevant: 9.1788,
    relevant_log: -1.4657,
    relevant_share: -5.1112,
    relevant_both: 3.1277,
    score: -0.7378,
    evidence: 1.6394,
    head: 0.8653,
    tail: 0.4498,
    left: 1.1768,
    left_far: -1.1288,
    right: -0.1907,
    right_far: -0.1973,
    length: 0.9049,
    length_squared: -0.1365,
    length_of_answer: -0.499,
    length_squared_of_answer: -0.8548,
    length_of_summary: 3.4988,
    share: 0.9442,
    length_and_relevance: 1.0807,
    valley_before: 0.492,
    valley_behind: 0.2673,
    meaning: -0.0018,
    opening: 5.2451,
    closing: 3.3377,
    to_the_end: 0.6306,
};

/// What a chosen span is worth if another one was meant: for enough in common (a ramp over the IoU), for the time in common
/// (F1), and for its middle lying in the other.
pub(crate) const WORTH_ENOUGH: f64 = 0.4;
pub(crate) const WORTH_TIME: f64 = 0.35;
pub(crate) const WORTH_MIDDLE: f64 = 0.25;

/// How likely the middle of a span lies in what was meant.
pub(crate) fn confidence(gain: f64, meaning: f64, cover: f64) -> f64 {
    logistic(5.159 * gain + 1.607 * meaning + 0.682 * cover - 3.104)
}

/// How likely the video has what was asked for at all: by the best window's cosine and share of the query's words.
pub(crate) fn present(meaning: f64, cover: f64) -> f64 {
    logistic(9.42 * meaning + 3.90 * cover - 5.90)
}

pub(crate) fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
