//! Every number that was fitted: on the development set that docs/moments.md describes, all of it.

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
    pub(crate) evidence: f64,
    pub(crate) head: f64,
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) length: f64,
    pub(crate) length_squared: f64,
    pub(crate) length_of_answer: f64,
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
    relevant: 7.074,
    evidence: 0.873,
    head: 0.4805,
    left: 0.2674,
    right: -0.1175,
    length: 0.3931,
    length_squared: -0.0263,
    length_of_answer: -0.3346,
    share: 0.3437,
    length_and_relevance: 0.6216,
    valley_before: 0.1375,
    valley_behind: 0.1275,
    meaning: 0.0138,
    opening: 4.7947,
    closing: 4.0228,
    to_the_end: 0.4495,
};

/// What scores of spans are divided by before they become probabilities.
pub(crate) const TEMPERATURE: f64 = 0.8;

/// How likely the middle of a span lies in what was meant.
pub(crate) fn confidence(gain: f64, meaning: f64, cover: f64) -> f64 {
    logistic(4.20 * gain + 1.21 * meaning + 0.22 * cover - 1.90)
}

/// How likely the video has what was asked for at all: by the best window's cosine and share of the query's words.
pub(crate) fn present(meaning: f64, cover: f64) -> f64 {
    logistic(9.42 * meaning + 3.90 * cover - 5.90)
}

pub(crate) fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
