//! How many files and connections this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets this process have so many open files and connections, as far as the system allows, and
/// returns how many it may have.
pub fn allow_open_files(wanted: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current else { return u64::MAX };
    if current >= wanted {
        return current;
    }
    let raised = limit.maximum.map_or(wanted, |most| wanted.min(most));
    match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), ..limit }) {
        Ok(()) => raised,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files can't be raised");
            current
        }
    }
}
