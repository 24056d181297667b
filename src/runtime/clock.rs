//! Time as an effect: wall time, monotonic time and sleeping go through [`Clock`].

use std::{
    fmt,
    future::ready,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;

/// The time of one process.
///
/// Two implementations exist: [`SystemClock`], and the simulator's, whose time passes only when
/// every task waits. No decision about a sale depends on this clock where Redis admits: Redis' own
/// `TIME` decides there.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Wall time. It may jump in either direction.
    fn now(&self) -> DateTime<Utc>;

    /// Monotonic time, for measuring how long something took.
    fn instant(&self) -> Instant;

    /// Completes after `duration` of monotonic time: at the first poll if that is zero.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now() + skew()
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
    fn instant(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        // A timer of zero length would be rounded up to the next millisecond.
        if duration.is_zero() { Box::pin(ready(())) } else { Box::pin(tokio::time::sleep(duration)) }
    }
}

/// Seconds by which this process's wall clock is off, in builds for tests alone.
#[cfg(feature = "failpoints")]
pub(super) const SKEW_VARIABLE: &str = "FLASHSALE_CLOCK_SKEW_S";

#[cfg(feature = "failpoints")]
fn skew() -> chrono::TimeDelta {
    static SKEW: std::sync::OnceLock<chrono::TimeDelta> = std::sync::OnceLock::new();
    *SKEW.get_or_init(|| {
        let seconds = std::env::var(SKEW_VARIABLE).ok().and_then(|text| text.parse().ok());
        chrono::TimeDelta::seconds(seconds.unwrap_or(0))
    })
}

#[cfg(not(feature = "failpoints"))]
fn skew() -> chrono::TimeDelta {
    chrono::TimeDelta::zero()
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_sleep_of_no_length_is_over_at_the_first_poll() {
        assert!(SystemClock.sleep(Duration::ZERO).now_or_never().is_some());
        assert!(SystemClock.sleep(Duration::from_mins(1)).now_or_never().is_none());
    }
}
