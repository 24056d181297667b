//! Places where a test makes a process die as if its power was cut:
//! `FLASHSALE_CRASH=worker-before-ack@2` aborts at the second time that this point is passed,
//! `worker-before-ack@2:stop` freezes the process there until SIGCONT, and
//! `worker-before-ack@2:panic` makes the task panic. Only with the cargo feature `failpoints`,
//! which no release has.

/// A place where a test can make the process die.
macro_rules! crash_point {
    ($name:literal) => {
        fail::fail_point!($name)
    };
}
pub(crate) use crash_point;

#[cfg(feature = "failpoints")]
use super::output;

/// Environment variables that have a meaning in this build for tests.
#[cfg(feature = "failpoints")]
pub const VARIABLES: &[&str] = &[VARIABLE, super::clock::SKEW_VARIABLE];
#[cfg(not(feature = "failpoints"))]
pub const VARIABLES: &[&str] = &[];

/// Says where and when.
#[cfg(feature = "failpoints")]
const VARIABLE: &str = "FLASHSALE_CRASH";

/// Prepares the crash that the environment asks for.
#[cfg(feature = "failpoints")]
pub fn arm() -> anyhow::Result<()> {
    use std::sync::atomic::{AtomicU32, Ordering};

    use anyhow::Context;

    let Ok(wanted) = std::env::var(VARIABLE) else { return Ok(()) };
    let (name, hit) = wanted
        .split_once('@')
        .context("FLASHSALE_CRASH must be POINT@HIT, POINT@HIT:stop or POINT@HIT:panic")?;
    let (hit, action) = hit.split_once(':').unwrap_or((hit, "abort"));
    let action = action.to_owned();
    let hit: u32 = hit.parse().context("the HIT of FLASHSALE_CRASH must be a number")?;
    let (shown, hits) = (name.to_owned(), AtomicU32::new(0));
    let armed = fail::cfg_callback(name, move || {
        if hits.fetch_add(1, Ordering::Relaxed) + 1 != hit {
            return;
        }
        strike(&action, &shown);
    });
    armed.map_err(anyhow::Error::msg)
}

#[cfg(feature = "failpoints")]
fn strike(action: &str, point: &str) {
    match action {
        "stop" => stop(point),
        "panic" => panic!("crash point {point}"),
        _ => {
            output::note(format_args!("crash point {point}: aborting"));
            output::flush();
            std::process::abort();
        }
    }
}

#[cfg(feature = "failpoints")]
fn stop(point: &str) {
    use rustix::process::{Signal, getpid, kill_process};

    output::note(format_args!("crash point {point}: stopped"));
    output::flush();
    if let Err(error) = kill_process(getpid(), Signal::STOP) {
        output::note(format_args!("crash point {point}: not stopped: {error}"));
    }
    // The signal may reach another thread first: this one must not go on before all have stopped.
    std::thread::sleep(std::time::Duration::from_millis(100));
}

/// There are no crash points in this build.
#[cfg(not(feature = "failpoints"))]
pub fn arm() -> anyhow::Result<()> {
    Ok(())
}
