//! What the tests share: servers, our own processes, HTTP, and waiting for a value.

pub(crate) mod browser;
pub(crate) mod gateway;
pub(crate) mod http;
pub(crate) mod names;
pub(crate) mod nginx;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod replicated;
pub(crate) mod sale;
pub(crate) mod servers;
pub(crate) mod services;
pub(crate) mod stage;
pub(crate) mod terminal;

use std::time::Duration;

/// Repeats `attempt` until it gives a value; fails the test after `deadline`. Tests wait for values, never for
/// time to pass.
pub(crate) async fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut attempt: impl AsyncFnMut() -> Option<T>,
) -> T {
    let mut turns = tokio::time::interval(Duration::from_millis(20));
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let waiting = async {
        loop {
            turns.tick().await;
            if let Some(value) = attempt().await {
                return value;
            }
        }
    };
    tokio::time::timeout(deadline, waiting)
        .await
        .unwrap_or_else(|_| panic!("not within {deadline:?}: {what}"))
}

/// Long enough for anything that happens by itself on a busy machine.
pub(crate) const SOON: Duration = Duration::from_mins(1);
