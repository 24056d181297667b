//! What a terminal shows while a run goes on; plain lines where standard error is no terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::{recorder::Recorder, response::ResponseClass};
use crate::runtime::output;

const REDRAW: Duration = Duration::from_millis(200);
const PLAIN_LINE: Duration = Duration::from_secs(5);

pub(super) async fn show(recorder: Recorder, length: Duration, title: String, stop: CancellationToken) {
    let bar = ProgressBar::with_draw_target(Some(length.as_secs().max(1)), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{prefix} [{wide_bar:.cyan/blue}] {pos}/{len} s\n{msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━━╌"));
    bar.set_prefix(title);
    let plain = bar.is_hidden();
    let mut interval = tokio::time::interval(if plain { PLAIN_LINE } else { REDRAW });
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = interval.tick() => {}
        }
        let elapsed = recorder.elapsed();
        let line = line(&recorder, elapsed);
        if plain {
            output::note(format_args!("{:>4} s  {line}", elapsed.as_secs()));
        } else {
            bar.set_position(elapsed.as_secs().min(length.as_secs()));
            bar.set_message(line);
        }
    }
    bar.finish_and_clear();
}

/// The rate of the last whole second; percentiles and response classes of the run so far.
fn line(recorder: &Recorder, elapsed: Duration) -> String {
    recorder.read(|record| {
        let last = usize::try_from(elapsed.as_secs().saturating_sub(1)).unwrap_or(0);
        let (due, sent) = record.seconds.get(last).map_or((0, 0), |second| (second.due, second.sent));
        let (responses, latencies) = (record.responses(), record.latencies());
        let shown = ResponseClass::ALL.iter().filter_map(|class| {
            let number = responses.get(class)?;
            Some(format!("{} {number}", class.as_str()))
        });
        let shown: Vec<_> = shown.collect();
        let percentile = |percent| show_us(latencies.value_at_quantile(percent));
        format!(
            "{sent}/s of {due}/s  p50 {} p95 {} p99 {}  {}",
            percentile(0.5),
            percentile(0.95),
            percentile(0.99),
            shown.join("  ")
        )
    })
}

pub(super) fn show_us(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        10_000..10_000_000 => format!("{} ms", micros / 1_000),
        _ => format!("{} s", micros / 1_000_000),
    }
}
