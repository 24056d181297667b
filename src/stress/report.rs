//! The report of a run: one self-contained HTML page.

use askama::Template;

use super::{
    Run,
    chart::{Chart, Drawing, Plan, Series, sums},
    progress::show_percentile,
    recorder::{Record, Second},
    response::ResponseClass,
    scale::Scale,
    shape::whole,
    verdict::RunVerdict,
};
use crate::audit::{CheckResult, Report};
use crate::domain::{grouped, latency};

#[derive(Template)]
#[template(path = "stress_report.html")]
struct Page<'run> {
    run: &'run Run,
    verdict: &'run RunVerdict,
    law: String,
    numbers: Vec<(&'static str, String)>,
    charts: Vec<Chart>,
}

pub(super) fn page(run: &Run, record: &Record, verdict: &RunVerdict) -> anyhow::Result<String> {
    let linear = |title, series: Vec<Series>, drawing| {
        let values: Vec<_> = match drawing {
            Drawing::Lines => series.iter().flat_map(|one| one.values.iter().copied().flatten()).collect(),
            Drawing::Stacked => sums(&series),
        };
        let (scale, show) = (Scale::linear(values.into_iter()), |value| grouped(whole(value)));
        Plan { title, series, drawing, scale, limit: None, show }.chart()
    };
    let charts = vec![
        linear("Requests a second", rate(run, record), Drawing::Lines),
        linear("Responses a second", responses(record), Drawing::Stacked),
        latencies(run, record),
        linear("Stock, and rows in the ledger", stock(record), Drawing::Lines),
    ];
    let law = verdict.audit.as_ref().map(Report::show_law).unwrap_or_default();
    Ok(Page { run, verdict, law, numbers: numbers(record), charts }.render()?)
}

fn numbers(record: &Record) -> Vec<(&'static str, String)> {
    let (responses, latencies) = (record.responses(), record.latencies());
    let at = |percent| show_percentile(&latencies, percent);
    let mut numbers = vec![
        ("requests", grouped(responses.values().sum::<u64>())),
        ("p50", at(0.5)),
        ("p95", at(0.95)),
        ("p99", at(0.99)),
        ("slowest", at(1.0)),
    ];
    let classes = ResponseClass::ALL.iter();
    numbers.extend(classes.filter_map(|one| Some((one.as_str(), grouped(responses.get(one)?)))));
    numbers
}

fn each(record: &Record, value: impl Fn(&Second) -> Option<f64>) -> Vec<Option<f64>> {
    record.seconds.iter().map(value).collect()
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn number(value: u64) -> f64 {
    value as f64
}

fn rate(run: &Run, record: &Record) -> Vec<Series> {
    let achieved = each(record, |second| Some(number(second.sent)));
    let mut series = Vec::new();
    if run.open_model {
        let target = each(record, |second| Some(number(second.due)));
        series.push(Series { name: "target", class: "target", values: target });
    }
    series.push(Series { name: "achieved", class: "achieved", values: achieved });
    series
}

fn responses(record: &Record) -> Vec<Series> {
    let of = |name, class, wanted: fn(ResponseClass) -> bool| {
        let values = each(record, |second| {
            let classes = second.responses.iter().filter(|(class, _)| wanted(**class));
            Some(number(classes.map(|(_, number)| number).sum()))
        });
        Series { name, class, values }
    };
    let all = vec![
        of("SUCCESS", "success", |class| class == ResponseClass::Success),
        of("PURCHASED", "purchased", |class| class == ResponseClass::Purchased),
        of("SOLD_OUT", "sold-out", |class| class == ResponseClass::SoldOut),
        of("UPCOMING, ENDED, PAUSED", "closed", ResponseClass::is_closed_sale),
        of("viewed", "viewed", |class| class == ResponseClass::Viewed),
        of("abandoned", "abandoned", |class| class == ResponseClass::Abandoned),
        of("failed", "failed", ResponseClass::is_failure),
    ];
    all.into_iter().filter(|series| series.values.iter().flatten().any(|value| *value > 0.0)).collect()
}

/// In microseconds, with the limit of the p95.
fn latencies(run: &Run, record: &Record) -> Chart {
    let of = |name, class, percent| {
        let values = each(record, |second| {
            let some = !second.latencies.is_empty();
            some.then(|| number(second.latencies.value_at_quantile(percent)))
        });
        Series { name, class, values }
    };
    let series = vec![of("p50", "p50", 0.5), of("p95", "p95", 0.95), of("p99", "p99", 0.99)];
    let limit = run.p95_max.map(|limit| limit.as_secs_f64() * 1e6);
    let values = series.iter().flat_map(|one| one.values.iter().copied().flatten());
    let scale = Scale::logarithmic(values.chain(limit).collect::<Vec<_>>().into_iter());
    let title = "Latency, from when a request was due";
    Plan { title, series, drawing: Drawing::Lines, scale, limit, show: |micros| latency(whole(micros)) }
        .chart()
}

fn stock(record: &Record) -> Vec<Series> {
    #[expect(clippy::cast_precision_loss, reason = "units of a sale")]
    let stock = each(record, |second| second.stock.map(|stock| stock as f64));
    vec![
        Series { name: "stock", class: "stock", values: stock },
        Series { name: "rows", class: "rows", values: each(record, |second| second.rows.map(number)) },
    ]
}
