//! How many files and connections this process may have open.

use std::sync::Once;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets this process have so many open files and connections, as far as the system allows.
pub fn allow_open_files(wanted: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let raised =
        Rlimit { current: limit.maximum.map_or(Some(wanted), |most| Some(wanted.min(most))), ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files can't be raised");
    }
    if let Some(current) = raised.current.filter(|current| *current < wanted) {
        static LOGGED: Once = Once::new();
        LOGGED.call_once(|| {
            tracing::info!(
                "at most {current} connections at a time, by the system's limit of open files (ulimit -Hn)"
            );
        });
    }
}
