//! Places where a test makes a process die as if its power was cut:
//! `FLASHSALE_CRASH=worker-before-ack@2` aborts at the second time that this point is passed, and
//! `worker-before-ack@2:stop` freezes it there until SIGCONT. Only with the cargo feature
//! `failpoints`, which no release has.

/// A place where a test can make the process die.
macro_rules! crash_point {
    ($name:literal) => {
        fail::fail_point!($name)
    };
}
pub(crate) use crash_point;

/// The environment variable that says where and when.
#[cfg(feature = "failpoints")]
const VARIABLE: &str = "FLASHSALE_CRASH";

/// Prepares the crash that the environment asks for.
#[cfg(feature = "failpoints")]
pub fn arm() -> anyhow::Result<()> {
    use std::sync::atomic::{AtomicU32, Ordering};

    use anyhow::Context;

    let Ok(wanted) = std::env::var(VARIABLE) else { return Ok(()) };
    let (name, hit) =
        wanted.split_once('@').context("FLASHSALE_CRASH must be POINT@HIT or POINT@HIT:stop")?;
    let (hit, stops) = hit.strip_suffix(":stop").map_or((hit, false), |hit| (hit, true));
    let hit: u32 = hit.parse().context("the HIT of FLASHSALE_CRASH must be a number")?;
    let (shown, hits) = (name.to_owned(), AtomicU32::new(0));
    let armed = fail::cfg_callback(name, move || {
        if hits.fetch_add(1, Ordering::Relaxed) + 1 != hit {
            return;
        }
        if stops {
            eprintln!("crash point {shown}, hit {hit}: stopped");
            let stopped =
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
            if let Err(error) = stopped {
                eprintln!("crash point {shown}: not stopped: {error}");
            }
            // The signal may reach another thread first: this one must not go on before all have
            // stopped.
            std::thread::sleep(std::time::Duration::from_millis(100));
        } else {
            eprintln!("crash point {shown}, hit {hit}: aborting");
            std::process::abort();
        }
    });
    armed.map_err(anyhow::Error::msg)
}

/// There are no crash points in this build.
#[cfg(not(feature = "failpoints"))]
pub fn arm() -> anyhow::Result<()> {
    Ok(())
}
