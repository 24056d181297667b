//! The log of a process, to standard error: text for people, or JSON.

use tracing_subscriber::{EnvFilter, fmt};

use crate::config::Reader;

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
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let started = if options.json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init()
    };
    started.map_err(|error| anyhow::anyhow!("logging can't start: {error}"))
}
