//! What a job costs, before it is accepted and whenever more is known.
//!
//! Invariant: acceptance reserves exactly what a quote told, and no job costs more than its owner allows.
//!
//! The same code prices `POST /v1/clip/quote` (which reads and checks a body by the code that accepts the job, then
//! stops), the acceptance, and Reserve. A job's `max_cost` is kept with it and bounds the hold at acceptance (402), the
//! adjusted hold at Reserve, where a price that has outgrown it fails the job, refunded, and the charge.
//!
//! Prices are versioned data files (`shared/domain/prices`), embedded and never changed; a job keeps the version it was
//! priced by.

use crate::{
    money::Amount, prices::PriceBook, quality::PictureSize, source::SourceInfo, spec::Spec, time::MediaTime,
};

/// What a request costs with its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The edition of the price list.
    pub price_book: String,
    /// What is reserved, and charged if all comes as foreseen.
    pub cost: Amount,
    /// The picture that will be delivered; `None` for sound.
    pub picture: Option<PictureSize>,
    /// Length of what was asked for.
    pub duration: MediaTime,
}

impl Quote {
    /// Prices `spec` by what will be delivered from `source`.
    #[must_use]
    pub fn of(spec: &Spec, source: &SourceInfo, book: &PriceBook) -> Self {
        Self::of_files(1, spec, source, book)
    }

    /// Prices `spec` if so many files are delivered of `source`.
    #[must_use]
    pub fn of_files(files: usize, spec: &Spec, source: &SourceInfo, book: &PriceBook) -> Self {
        let picture = spec.delivered_picture(source);
        let cost = spec.price(book, source.duration, &vec![picture; files]);
        Self { price_book: book.version.clone(), cost, picture, duration: spec.span(source).duration() }
    }
}

/// A job costs more than its owner allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this costs {cost}, which is more than the {max_cost} that `max_cost` allows")]
pub struct TooDear {
    /// What it costs.
    pub cost: Amount,
    /// What it may cost.
    pub max_cost: Amount,
}

/// Checks a price against the most that its owner allows.
///
/// # Errors
/// [`TooDear`].
pub fn within(cost: Amount, max_cost: Option<Amount>) -> Result<(), TooDear> {
    match max_cost {
        Some(max_cost) if cost > max_cost => Err(TooDear { cost, max_cost }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        clip::ClipSpec,
        cut::Span,
        download::DownloadSpec,
        ids::{AccountId, JobId},
        job::Job,
        quality::Format,
        time::Timestamp,
    };

    fn picture() -> impl Strategy<Value = Option<PictureSize>> {
        prop::option::of((1u32..9000, 1u32..9000).prop_map(|(width, height)| PictureSize { width, height }))
    }

    fn source() -> impl Strategy<Value = SourceInfo> {
        (picture(), any::<bool>(), 1i64..20_000).prop_map(|(picture, has_audio, seconds)| SourceInfo {
            duration: MediaTime(seconds * 1_000_000),
            picture,
            has_audio,
            ..SourceInfo::default()
        })
    }

    fn spec() -> impl Strategy<Value = Spec> {
        let quality = prop::sample::select(vec![None, Some("720p"), Some("1080p"), Some("4k")]);
        let format = prop::sample::select(Format::ALL.to_vec());
        (any::<bool>(), format, quality, 0i64..60, 1i64..30).prop_filter_map(
            "a request that is refused",
            |(is_clip, format, quality, start, length)| {
                let (url, format) = ("https://example.com/a.mp4", Some(format.extension()));
                if !is_clip {
                    return DownloadSpec::new(url, format, quality, false).ok().map(Spec::from);
                }
                let end = MediaTime((start + length) * 1_000_000);
                let span = Span { start: MediaTime(start * 1_000_000), end };
                ClipSpec::new(url, span, format, quality).ok().map(Spec::from)
            },
        )
    }

    proptest! {
        #[test]
        fn a_job_reserves_its_quote_and_never_costs_more_than_it_may(
            spec in spec(),
            (seen, later) in (source(), source()),
            delivered in picture(),
            max_cost in prop::option::of(0u64..300_000),
        ) {
            let (book, max_cost) = (PriceBook::current().unwrap(), max_cost.map(Amount::new));
            let quote = Quote::of(&spec, &seen, book);
            let price = (quote.price_book.clone(), quote.cost);
            let (id, account) = (JobId::from_random([1; 16]), AccountId::from_random([2; 16]));
            let mut job = Job::accepted(id, account, spec, seen, price, Timestamp(0));
            job.max_cost = max_cost;
            prop_assert_eq!(job.reserved, quote.cost);
            prop_assert_eq!(within(quote.cost, max_cost).is_ok(), max_cost.is_none_or(|max| quote.cost <= max));
            if within(quote.cost, max_cost).is_err() {
                return Ok(());
            }
            // The hold is trued up by another source, and something else again comes out.
            let trued = Quote::of(&job.spec, &later, book).cost;
            if within(trued, max_cost).is_ok() {
                job.reserved = trued;
            }
            let charged = job.charge(book, &[delivered]);
            prop_assert!(charged <= job.reserved);
            prop_assert!(max_cost.is_none_or(|max| charged <= max));
        }
    }

    #[test]
    fn both_figures_are_named() {
        assert_eq!(within(Amount::cents(10), Some(Amount::cents(10))), Ok(()));
        assert_eq!(within(Amount::cents(10), None), Ok(()));
        let refused = within(Amount::cents(10), Some(Amount::new(99_999))).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "this costs $0.10, which is more than the $0.099999 that `max_cost` allows"
        );
    }
}
