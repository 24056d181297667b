//! What a run leaves behind: report, JSON, history.

use std::io::Write;

use anyhow::Context;

use super::{Options, Run, Verdict, recorder, recorder::Recorder, report};
use crate::audit::Line;

/// Writes what was asked for.
pub(super) fn write(
    options: &Options,
    run: &Run,
    recorder: &Recorder,
    verdict: &Verdict,
) -> anyhow::Result<()> {
    if let Some(path) = &options.report {
        let page = recorder.look(|record| report::page(run, record, verdict))?;
        std::fs::write(path, page).with_context(|| format!("can't write {}", path.display()))?;
        eprintln!("report: {}", path.display());
    }
    if let Some(path) = &options.json {
        let told: serde_json::Map<_, _> = recorder
            .look(recorder::Record::told)
            .into_iter()
            .map(|(told, number)| (told.as_str().to_owned(), number.into()))
            .collect();
        let latencies = recorder.look(recorder::Record::latencies);
        let at = |percent| latencies.value_at_quantile(percent);
        let latency_us = serde_json::json!({ "p50": at(0.5), "p95": at(0.95), "p99": at(0.99) });
        let seconds: Vec<_> = recorder.look(|record| {
            let second = |second: &recorder::Second| {
                let due = run.on_schedule.then_some(second.due);
                serde_json::json!({ "target": due, "achieved": second.sent, "stock": second.stock, "rows": second.rows })
            };
            record.seconds.iter().map(second).collect()
        });
        let all = serde_json::json!({
            "run": run, "told": told, "latencyUs": latency_us, "seconds": seconds, "verdict": verdict,
        });
        let text = serde_json::to_string_pretty(&all)?;
        std::fs::write(path, text).with_context(|| format!("can't write {}", path.display()))?;
    }
    if let Some(path) = &options.history {
        let file = std::fs::File::create(path).with_context(|| format!("can't write {}", path.display()))?;
        let mut file = std::io::BufWriter::new(file);
        for attempt in recorder.take_attempts() {
            writeln!(file, "{}", serde_json::to_string(&Line::Attempt(attempt))?)?;
        }
        file.flush()?;
    }
    Ok(())
}

/// Processor, cores and system, as far as the system tells.
pub(super) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown processor", |(_, model)| model.trim());
    format!("{cores} cores, {model}, {}", std::env::consts::OS)
}
