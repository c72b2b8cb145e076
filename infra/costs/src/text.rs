//! docs/costs.md.

use std::fmt::Write as _;

use anyhow::Context as _;

use crate::data::{Kind, Measured, Prices};
use crate::job::{Cost, cost, fixed};
use crate::limits::limits;

/// The product's own prices, which are FastClip's list.
const PRICE_BOOK: &str = include_str!("../../../shared/domain/prices/fastclip-2026-11.json");
/// MediaConvert counts a minute in HD, at up to 30 pictures a second, as two; of its Professional tier, too.
const HD: f64 = 2.0;
/// MediaConvert charges for ten seconds at the least.
const MINUTES_MIN: f64 = 10.0 / 60.0;
const DAYS: f64 = 30.0;

pub(crate) fn document(prices: &Prices, measured: &Measured) -> anyhow::Result<String> {
    let costs: Vec<(&Kind, Cost)> = measured
        .kinds
        .iter()
        .map(|kind| Ok((kind, cost(kind, prices, measured)?)))
        .collect::<anyhow::Result<_>>()?;
    let usual = &costs.first().context("there is no kind of job")?.1;
    let mut text = head(prices, measured);
    text += &by_kind(&costs);
    text += &beside(&costs, prices)?;
    text += &speech(prices, measured)?;
    text += &by_day(usual, prices, measured)?;
    text += &first_limits(&costs, measured);
    text += &sources(prices, measured);
    Ok(text)
}

fn head(prices: &Prices, measured: &Measured) -> String {
    format!(
        "# What it costs\n\n\
         Written by `cargo xtask costs` from `infra/costs/data`: list prices of {} ({}), without free tiers and discounts, \
         and what a job takes, as measured on {} on {}. **An estimate: nobody has run this on AWS yet.** A second of a core \
         of that machine is taken for a second of a vCPU on Lambda; arm64 is assumed throughout. The terms of each figure are \
         at the end.\n",
        prices.date, prices.region, measured.date, measured.machine
    )
}

fn by_kind(costs: &[(&Kind, Cost)]) -> String {
    let mut text = "\n## A job, by kind\n\nIn US dollars. **made** is everything until the clip is there; **delivered** is the \
                    clip fetched once over the internet, which depends on its size alone and mostly costs more.\n\n\
                    | kind | Lambda | Step Functions | DynamoDB | S3 | API, queues, logs | made | delivered | made, 1,000 jobs |\n\
                    |---|--:|--:|--:|--:|--:|--:|--:|--:|\n"
        .to_owned();
    for (kind, cost) in costs {
        let Cost { lambda, steps, dynamodb, s3, around, delivery, .. } = cost;
        let _ = writeln!(
            text,
            "| {} | {lambda:.6} | {steps:.6} | {dynamodb:.6} | {s3:.6} | {around:.6} | **{:.5}** | {delivery:.5} | {:.2} |",
            kind.name,
            cost.made(),
            cost.made() * 1000.0
        );
    }
    text.push('\n');
    for (kind, _) in costs {
        let _ = writeln!(text, "- {}: {}", kind.name, kind.what);
    }
    text
}

fn beside(costs: &[(&Kind, Cost)], prices: &Prices) -> anyhow::Result<String> {
    let book: serde_json::Value = serde_json::from_str(PRICE_BOOK)?;
    let mut text = "\n## Beside others\n\nFastClip's list price is what this product's own price list charges by default. \
                    MediaConvert makes files out of files in S3 by encoding them; accounts, prices, sources, pages and what \
                    cannot be encoded are somebody else's work there.\n\n\
                    | kind | here: made and delivered | FastClip's list | MediaConvert Basic | MediaConvert Professional |\n\
                    |---|--:|--:|--:|--:|\n"
        .to_owned();
    for (kind, cost) in costs {
        let list = book[&kind.price].as_f64().with_context(|| format!("no price {}", kind.price))? / 1e6;
        let minutes = kind.minutes.max(MINUTES_MIN) * if kind.picture { HD } else { 1.0 };
        let convert = |name: &str| prices.usd(name).map(|usd| format!("{:.4}", usd * minutes));
        let (basic, professional) = if kind.picture {
            (convert("mediaconvert_basic")?, convert("mediaconvert_professional")?)
        } else {
            // Sound alone has prices of its own, which were not found.
            ("–".to_owned(), "–".to_owned())
        };
        let _ = writeln!(
            text,
            "| {} | {:.4} | {list:.2} | {basic} | {professional} |",
            kind.name,
            cost.made() + cost.delivery
        );
    }
    text += "\nDelivery is not in MediaConvert's prices. Where a kind costs more here than the list says, its delivery is the \
             reason: an operator who expects large files sets another price (`shared/domain/prices`) or a CDN in front.\n";
    Ok(text)
}

/// Words of a source without captions.
fn speech(prices: &Prices, measured: &Measured) -> anyhow::Result<String> {
    let speech = &measured.speech;
    let pieces = f64::from(speech.pieces);
    let all_s = speech.find_cpu_s + speech.words_cpu_s + speech.load_s * (pieces + 1.0);
    let usd = all_s * speech.memory_mb / 1024.0 * prices.usd("lambda_gb_second")?
        + (pieces + 1.0) * (prices.usd("lambda_request")? + prices.usd("step_transition")?);
    let mut text = format!(
        "\n## Words of an hour of speech\n\nOnly for a source without captions, and once for its version in 7 days. An hour of \
         sound takes {all_s:.0} s of functions of {} MB: **${usd:.4} a source hour**, however many run side by side. How long it \
         takes does depend on that:\n\n| pieces at once | minutes for an hour |\n|--:|--:|\n",
        speech.memory_mb
    );
    let piece_s = speech.load_s + speech.words_cpu_s / pieces;
    for at_once in 1..=speech.pieces {
        let rounds = speech.pieces.div_ceil(at_once);
        // As many rounds take as long with fewer at once.
        if at_once > 1 && speech.pieces.div_ceil(at_once - 1) == rounds {
            continue;
        }
        let minutes = (speech.load_s + speech.find_cpu_s + f64::from(rounds) * piece_s) / 60.0;
        let _ = writeln!(text, "| {at_once} | {minutes:.1} |");
    }
    Ok(text)
}

fn by_day(usual: &Cost, prices: &Prices, measured: &Measured) -> anyhow::Result<String> {
    let fixed = fixed(prices, measured)?;
    let base: f64 = fixed.iter().map(|(_, usd)| usd).sum();
    let mut text =
        "\n## A month\n\nSmart cuts of a minute, each fetched once. What is paid for without any job:\n\n\
                    | each month | $ |\n|---|--:|\n"
            .to_owned();
    for (what, usd) in &fixed {
        let _ = writeln!(text, "| {what} | {usd:.2} |");
    }
    let _ = writeln!(text, "| **sum** | **{base:.2}** |\n");
    text += "| jobs a day | fixed | made | delivered | sum a month | a job | FastClip's list |\n|--:|--:|--:|--:|--:|--:|--:|\n";
    for jobs in [10.0, 1_000.0, 100_000.0] {
        let month = jobs * DAYS;
        let (made, delivered) = (usual.made() * month, usual.delivery * month);
        let sum = base + made + delivered;
        let _ = writeln!(
            text,
            "| {jobs} | {base:.2} | {made:.2} | {delivered:.2} | {sum:.2} | {:.4} | {:.2} |",
            sum / month,
            0.10 * month
        );
    }
    Ok(text)
}

fn first_limits(costs: &[(&Kind, Cost)], measured: &Measured) -> String {
    let usual = &costs[0].1;
    let mut text = "\n## The first limits\n\nAs accounts have them in us-east-1, for smart cuts of a minute. The product's own \
                    limits (jobs of an account at once, and in an hour) come first for any one customer.\n\n\
                    | limit | given | jobs a second | jobs a day | why | what to raise |\n|---|---|--:|--:|---|---|\n"
        .to_owned();
    for limit in limits(usual, measured) {
        let _ = writeln!(
            text,
            "| {} | {} | {:.0} | {:.1} million | {} | {} |",
            limit.what,
            limit.given,
            limit.jobs_per_s,
            limit.jobs_per_s * 86_400.0 / 1e6,
            limit.why,
            limit.raise
        );
    }
    text += "\nOther kinds keep functions busy for longer, so that for them the first row comes sooner:\n\n\
             | kind | seconds of functions | jobs a second at 1,000 functions |\n|---|--:|--:|\n";
    for (kind, cost) in costs {
        let _ =
            writeln!(text, "| {} | {:.1} | {:.1} |", kind.name, cost.function_s, 1000.0 / cost.function_s);
    }
    text += "\nThe quotas are those of AWS's pages \
             [Lambda](https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html), \
             [DynamoDB](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html), \
             [Step Functions](https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html), \
             [API Gateway](https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html) and \
             [S3](https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html); only API Gateway's was \
             looked up when this was written, the others are as they are remembered.\n";
    text += "\nSigning up is limited by SES: 200 mails a day until the account has left SES's sandbox, then what AWS grants \
             (14 a second is usual at first).\n";
    text
}

fn sources(prices: &Prices, measured: &Measured) -> String {
    let mut text = "\n## Terms\n\n| price | $ | page | confirmed |\n|---|--:|---|---|\n".to_owned();
    for price in prices.prices.values() {
        let confirmed = if price.confirmed { "yes" } else { "NO" };
        let _ = writeln!(text, "| {} | {} | <{}> | {confirmed} |", price.unit, plain(price.usd), price.page);
    }
    text += "\nConfirmed are those that a copy of the page, or somebody who quotes it, showed when they were collected; the \
             others are as they are remembered. Look them up before you rely on them.\n\n";
    for kind in &measured.kinds {
        let _ = writeln!(text, "- {}: {}", kind.name, kind.from);
    }
    let job = &measured.job;
    let _ = writeln!(
        text,
        "- every job: {}. {} write and {} read units, {} PUT and {} GET, {} looks at its state, {} requests of SQS, {} bytes \
         of log",
        job.from,
        job.dynamodb_writes,
        job.dynamodb_reads,
        job.s3_puts,
        job.s3_gets,
        job.status_reads,
        job.sqs_requests,
        job.log_bytes
    );
    let _ = writeln!(text, "- an hour of speech: {}", measured.speech.from);
    let _ = writeln!(text, "- bytes: {} MB a second; {}", measured.network.mb_per_s, measured.network.from);
    let _ = writeln!(text, "- fixed: {}", measured.fixed.from);
    text
}

/// A small number without an exponent and without zeros at its end.
fn plain(usd: f64) -> String {
    let text = format!("{usd:.10}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_are_readable() {
        assert_eq!(plain(0.000_013_333_4), "0.0000133334");
        assert_eq!(plain(3.0), "3");
    }

    #[test]
    fn a_job_costs_the_sum_of_its_parts_and_scales() {
        let (prices, measured) = crate::data().unwrap();
        for kind in &measured.kinds {
            let one = cost(kind, &prices, &measured).unwrap();
            assert!(one.made() > 0.0 && one.made() < 0.10, "{}: {one:?}", kind.name);
            assert!(one.function_s > 0.1, "{}", kind.name);
        }
    }
}
