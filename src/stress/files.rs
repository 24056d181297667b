//! The files of a run: report, JSON, history. They are open before the first request, so that a
//! place that can't be written is known before the load; what fails after it does not change the
//! result.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{Options, Run, RunVerdict, recorder, recorder::Recorder, report};
use crate::audit::HistoryLine;
use crate::runtime::{FileError, error_chain, output, secrets::scrub};

/// A file that can be written. What it had before is kept until then.
#[derive(Debug)]
struct Place {
    action: &'static str,
    path: PathBuf,
    file: File,
    /// It was made for this run, which has written nothing yet.
    is_new: bool,
}

impl Place {
    fn open(action: &'static str, path: &Path) -> Result<Self, FileError> {
        let mut options = File::options();
        let (opened, is_new) = match options.write(true).create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                (options.create_new(false).create(true).truncate(false).open(path), false)
            }
            opened => (opened, true),
        };
        let file = opened.map_err(FileError::of(action, path))?;
        Ok(Self { action, path: path.to_owned(), file, is_new })
    }

    /// Replaces what is in the file, without any secret.
    fn write(mut self, text: &str) {
        self.is_new = false;
        match self.replace(text) {
            Ok(()) => output::note(format_args!("written: {}", self.path.display())),
            Err(error) => {
                let error = FileError::new(self.action, &self.path, error);
                output::note(format_args!("flashsale: not written: {}", error_chain(&error)));
            }
        }
    }

    fn replace(&self, text: &str) -> io::Result<()> {
        // A device has no length.
        if self.file.metadata()?.is_file() {
            self.file.set_len(0)?;
        }
        let mut out = BufWriter::new(&self.file);
        for line in text.split_inclusive('\n') {
            out.write_all(scrub(line).as_bytes())?;
        }
        out.flush()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_new {
            // An empty file that stays behind does no harm.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[derive(Debug)]
pub(super) struct Files {
    report: Option<Place>,
    json: Option<Place>,
    history: Option<Place>,
}

impl Files {
    pub(super) fn open(options: &Options) -> Result<Self, FileError> {
        let open = |action, path: Option<&PathBuf>| path.map(|path| Place::open(action, path)).transpose();
        // goose writes it by itself.
        drop(open("write goose's report", options.goose_report.as_ref())?);
        Ok(Self {
            report: open("write the report", options.report.as_ref())?,
            json: open("write the result", options.json.as_ref())?,
            history: open("write the history", options.history.as_ref())?,
        })
    }

    pub(super) fn write(self, run: &Run, recorder: &Recorder, verdict: &RunVerdict) {
        let not_made = |what, error: &dyn std::error::Error| {
            output::note(format_args!("flashsale: {what} can't be made: {}", error_chain(error)));
        };
        if let Some(place) = self.report {
            match recorder.read(|record| report::page(run, record, verdict)) {
                Ok(page) => place.write(&page),
                Err(error) => not_made("the report", error.as_ref()),
            }
        }
        if let Some(place) = self.json {
            match result(run, recorder, verdict) {
                Ok(text) => place.write(&text),
                Err(error) => not_made("the result", &error),
            }
        }
        if let Some(place) = self.history {
            let lines = recorder
                .take_attempts()
                .into_iter()
                .map(|attempt| serde_json::to_string(&HistoryLine::Attempt(attempt)).map(|line| line + "\n"));
            match lines.collect::<Result<String, _>>() {
                Ok(text) => place.write(&text),
                Err(error) => not_made("the history", &error),
            }
        }
    }
}

/// The result as JSON.
fn result(run: &Run, recorder: &Recorder, verdict: &RunVerdict) -> serde_json::Result<String> {
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
    serde_json::to_string_pretty(&serde_json::json!({
        "run": run, "responses": responses, "latencyUs": latency_us, "seconds": seconds, "verdict": verdict,
    }))
}

/// Processor, cores and operating system of the machine that makes the load.
pub(super) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown processor", |(_, model)| model.trim());
    format!("{cores} cores, {model}, {}", std::env::consts::OS)
}
