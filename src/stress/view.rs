//! What a terminal shows while a run goes on; plain lines where there is no terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::{recorder::Recorder, told::Told};

const REDRAW: Duration = Duration::from_millis(200);
const PLAIN_LINE: Duration = Duration::from_secs(5);

/// Shows a run of this length until `stop`.
pub(super) async fn show(recorder: Recorder, length: Duration, title: String, stop: CancellationToken) {
    let bar = ProgressBar::with_draw_target(Some(length.as_secs().max(1)), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{prefix} [{wide_bar:.cyan/blue}] {pos}/{len} s\n{msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━━╌"));
    bar.set_prefix(title);
    let plain = bar.is_hidden();
    let mut turns = tokio::time::interval(if plain { PLAIN_LINE } else { REDRAW });
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = turns.tick() => {}
        }
        let elapsed = recorder.elapsed();
        let line = line(&recorder, elapsed);
        if plain {
            eprintln!("{:>4} s  {line}", elapsed.as_secs());
        } else {
            bar.set_position(elapsed.as_secs().min(length.as_secs()));
            bar.set_message(line);
        }
    }
    bar.finish_and_clear();
}

/// Rate of the last whole second, outcomes so far, percentiles so far.
fn line(recorder: &Recorder, elapsed: Duration) -> String {
    recorder.look(|record| {
        let last = usize::try_from(elapsed.as_secs().saturating_sub(1)).unwrap_or(0);
        let (due, sent) = record.seconds.get(last).map_or((0, 0), |second| (second.due, second.sent));
        let (all, latencies) = (record.told(), record.latencies());
        let told = Told::ALL.iter().filter_map(|told| {
            let number = all.get(told)?;
            Some(format!("{} {number}", told.as_str()))
        });
        let told: Vec<_> = told.collect();
        let percentile = |percent| show_us(latencies.value_at_quantile(percent));
        format!(
            "{sent}/s of {due}/s  p50 {} p95 {} p99 {}  {}",
            percentile(0.5),
            percentile(0.95),
            percentile(0.99),
            told.join("  ")
        )
    })
}

/// Microseconds for people.
pub(super) fn show_us(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        10_000..10_000_000 => format!("{} ms", micros / 1_000),
        _ => format!("{} s", micros / 1_000_000),
    }
}
