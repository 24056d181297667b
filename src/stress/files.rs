//! The files of a run: report, JSON, history.

use std::io::Write;

use super::{Options, Run, RunVerdict, recorder, recorder::Recorder, report};
use crate::audit::HistoryLine;
use crate::runtime::{FileError, output};

pub(super) fn write(
    options: &Options,
    run: &Run,
    recorder: &Recorder,
    verdict: &RunVerdict,
) -> anyhow::Result<()> {
    if let Some(path) = &options.report {
        let page = recorder.read(|record| report::page(run, record, verdict))?;
        std::fs::write(path, page).map_err(FileError::of("write the report", path))?;
        output::note(format_args!("report: {}", path.display()));
    }
    if let Some(path) = &options.json {
        let responses: serde_json::Map<_, _> = recorder
            .read(recorder::Record::responses)
            .into_iter()
            .map(|(class, number)| (class.as_str().to_owned(), number.into()))
            .collect();
        let latencies = recorder.read(recorder::Record::latencies);
        let at = |percent| latencies.value_at_quantile(percent);
        let latency_us = serde_json::json!({ "p50": at(0.5), "p95": at(0.95), "p99": at(0.99) });
        let seconds: Vec<_> = recorder.read(|record| {
            let second = |second: &recorder::Second| {
                let due = run.open_model.then_some(second.due);
                serde_json::json!({ "target": due, "achieved": second.sent, "stock": second.stock, "rows": second.rows })
            };
            record.seconds.iter().map(second).collect()
        });
        let all = serde_json::json!({
            "run": run, "responses": responses, "latencyUs": latency_us, "seconds": seconds, "verdict": verdict,
        });
        let text = serde_json::to_string_pretty(&all)?;
        std::fs::write(path, text).map_err(FileError::of("write the result", path))?;
    }
    if let Some(path) = &options.history {
        let failed = || FileError::of("write the history", path);
        let file = std::fs::File::create(path).map_err(failed())?;
        let mut file = std::io::BufWriter::new(file);
        for attempt in recorder.take_attempts() {
            writeln!(file, "{}", serde_json::to_string(&HistoryLine::Attempt(attempt))?).map_err(failed())?;
        }
        file.flush().map_err(failed())?;
    }
    Ok(())
}

/// Processor, cores and operating system of the machine that makes the load.
pub(super) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown processor", |(_, model)| model.trim());
    format!("{cores} cores, {model}, {}", std::env::consts::OS)
}
