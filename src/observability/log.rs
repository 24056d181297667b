//! The log of a process, to standard error: text for people, or JSON.

use tracing_subscriber::{EnvFilter, fmt};

use crate::config::Reader;
use crate::runtime::output::{self, LogWriter};

/// `[log]`
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// In the syntax of [`EnvFilter`].
    pub filter: String,
    /// JSON rather than text.
    pub json: bool,
}

impl LogOptions {
    pub fn read(reader: &mut Reader) -> Self {
        let check = |text: &str| match EnvFilter::try_new(text) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("a log filter such as \"info\" ({error})")),
        };
        Self {
            filter: reader.checked_text("log.filter", check),
            json: reader.one_of("log.format", &["text", "json"]) == "json",
        }
    }
}

/// Starts logging, once per process.
pub fn start_log(options: &LogOptions) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&options.filter)?;
    let builder = fmt().with_env_filter(filter).with_writer(|| LogWriter).with_target(false);
    // It would be printed past the writer.
    let builder = builder.log_internal_errors(false);
    let started = if options.json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.with_ansi(output::screen().is_some_and(|screen| screen.colours)).try_init()
    };
    started.map_err(|error| anyhow::anyhow!("logging can't start: {error}"))
}
