//! What a terminal shows while a run goes on; plain lines where standard error is no terminal.

use std::time::Duration;

use hdrhistogram::Histogram;
use tokio_util::sync::CancellationToken;

use super::{recorder::Recorder, response::ResponseClass};
use crate::domain::{grouped, latency};
use crate::runtime::{Colour, Screen, output};

const REDRAW: Duration = Duration::from_millis(200);
const PLAIN_LINE: Duration = Duration::from_secs(5);

/// Until `stop`. The status is gone afterwards.
pub(super) async fn show(recorder: Recorder, length: Duration, title: String, stop: CancellationToken) {
    let mut interval = tokio::time::interval(if output::screen().is_some() { REDRAW } else { PLAIN_LINE });
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = interval.tick() => {}
        }
        let elapsed = recorder.elapsed();
        let line = line(&recorder, elapsed);
        match output::screen() {
            Some(screen) => {
                output::show_status(&[bar(screen, &title, elapsed, length), fitting(&line, screen)]);
            }
            None => output::note(format_args!("{:>4} s  {line}", elapsed.as_secs())),
        }
    }
    output::clear_status();
}

fn bar(screen: Screen, title: &str, elapsed: Duration, length: Duration) -> String {
    let length = length.as_secs().max(1);
    let elapsed = elapsed.as_secs().min(length);
    let time = format!("{elapsed}/{length} s");
    let columns = screen.columns.saturating_sub(title.len() + time.len() + 5);
    let done = columns * usize::try_from(elapsed).unwrap_or(0) / usize::try_from(length).unwrap_or(1);
    let (full, rest) = ("━".repeat(done), "╌".repeat(columns - done));
    format!("{title} [{}{rest}] {time}", screen.paint(Colour::Accent, &full))
}

/// The part of a line that fits into one row, whose last column stays free.
fn fitting(line: &str, screen: Screen) -> String {
    line.chars().take(screen.columns.saturating_sub(1)).collect()
}

/// The rate of the last whole second; percentiles and response classes of the run so far.
fn line(recorder: &Recorder, elapsed: Duration) -> String {
    recorder.read(|record| {
        let last = usize::try_from(elapsed.as_secs().saturating_sub(1)).unwrap_or(0);
        let (due, sent) = record.seconds.get(last).map_or((0, 0), |second| (second.due, second.sent));
        let (responses, latencies) = (record.responses(), record.latencies());
        let shown = ResponseClass::ALL.iter().filter_map(|class| {
            let number = responses.get(class)?;
            Some(format!("{} {}", class.as_str(), grouped(number)))
        });
        let shown: Vec<_> = shown.collect();
        let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|percent| show_percentile(&latencies, percent));
        format!(
            "{}/s of {}/s  p50 {p50} p95 {p95} p99 {p99}  {}",
            grouped(sent),
            grouped(due),
            shown.join("  ")
        )
    })
}

/// Of latencies in microseconds; `–` where there are none.
pub(super) fn show_percentile(latencies: &Histogram<u64>, percent: f64) -> String {
    if latencies.is_empty() { "–".to_owned() } else { latency(latencies.value_at_quantile(percent)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_fits_its_screen() {
        let screen = Screen { columns: 40, colours: false };
        let (half, length) = (Duration::from_secs(5), Duration::from_secs(10));
        let bar = bar(screen, "buy", half, length);
        assert_eq!(bar.chars().count(), 39, "{bar}");
        assert_eq!(bar.matches('━').count(), bar.matches('╌').count(), "{bar}");
        assert_eq!(fitting(&"x".repeat(50), screen).len(), 39);
    }
}
