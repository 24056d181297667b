//! The report of a run: one self-contained HTML page.

use askama::Template;

use super::{
    Run,
    chart::{Series, lines, stacked},
    progress::show_us,
    recorder::{Record, Second},
    response::ResponseClass,
    verdict::RunVerdict,
};
use crate::audit::Report;

#[derive(Template)]
#[template(path = "stress_report.html")]
struct Page<'run> {
    run: &'run Run,
    verdict: &'run RunVerdict,
    law: String,
    numbers: Vec<(&'static str, String)>,
    charts: Vec<Chart>,
}

struct Chart {
    title: &'static str,
    legend: Vec<(&'static str, &'static str)>,
    svg: String,
}

pub(super) fn page(run: &Run, record: &Record, verdict: &RunVerdict) -> anyhow::Result<String> {
    let charts = vec![
        chart("Requests a second", &rate(run, record), |series| {
            lines("Requests a second", "per second", series)
        }),
        chart("Responses", &responses(record), |series| stacked("Responses", "per second", series)),
        chart("Latency, from when a request was due", &latency(record), |series| {
            lines("Latency", "milliseconds", series)
        }),
        chart("Stock, and rows in the ledger", &stock(record), |series| {
            lines("Stock and rows", "units", series)
        }),
    ];
    let law = verdict.audit.as_ref().map(Report::show_law).unwrap_or_default();
    Ok(Page { run, verdict, law, numbers: numbers(record), charts }.render()?)
}

fn numbers(record: &Record) -> Vec<(&'static str, String)> {
    let (responses, latencies) = (record.responses(), record.latencies());
    let at = |percent| show_us(latencies.value_at_quantile(percent));
    let mut numbers = vec![
        ("requests", responses.values().sum::<u64>().to_string()),
        ("p50", at(0.5)),
        ("p95", at(0.95)),
        ("p99", at(0.99)),
        ("slowest", show_us(latencies.max())),
    ];
    let classes = ResponseClass::ALL.iter();
    numbers.extend(classes.filter_map(|one| Some((one.as_str(), responses.get(one)?.to_string()))));
    numbers
}

fn chart(title: &'static str, series: &[Series], draw: impl Fn(&[Series]) -> String) -> Chart {
    let svg = draw(series);
    Chart { title, legend: series.iter().map(|one| (one.name, one.class)).collect(), svg }
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

fn latency(record: &Record) -> Vec<Series> {
    let of = |name, class, percent| {
        let values = each(record, |second| {
            let some = !second.latencies.is_empty();
            some.then(|| number(second.latencies.value_at_quantile(percent)) / 1_000.0)
        });
        Series { name, class, values }
    };
    vec![of("p50", "p50", 0.5), of("p95", "p95", 0.95), of("p99", "p99", 0.99)]
}

fn stock(record: &Record) -> Vec<Series> {
    #[expect(clippy::cast_precision_loss, reason = "units of a sale")]
    let stock = each(record, |second| second.stock.map(|stock| stock as f64));
    vec![
        Series { name: "stock", class: "stock", values: stock },
        Series { name: "rows", class: "rows", values: each(record, |second| second.rows.map(number)) },
    ]
}
