//! The only place that reads the wall clock. Everything else is given the time.

use std::sync::Arc;

use chrono::{DateTime, Utc};

/// Tells the time; cheap to clone. Where Redis admits, Redis' own clock decides about a sale, never this one.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl Clock {
    /// The system's clock.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    pub fn system() -> Self {
        let skew = skew();
        Self(Arc::new(move || Utc::now() + skew))
    }

    /// A clock that a test moves.
    pub fn from_fn(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time now.
    pub fn now(&self) -> DateTime<Utc> {
        (self.0)()
    }
}

/// How far this process's clock is off: `FLASHSALE_CLOCK_SKEW_S`, in builds for tests alone.
#[cfg(feature = "failpoints")]
fn skew() -> chrono::TimeDelta {
    let seconds = std::env::var("FLASHSALE_CLOCK_SKEW_S").ok().and_then(|seconds| seconds.parse().ok());
    chrono::TimeDelta::seconds(seconds.unwrap_or(0))
}

/// The clock is the system's.
#[cfg(not(feature = "failpoints"))]
fn skew() -> chrono::TimeDelta {
    chrono::TimeDelta::zero()
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Clock({})", self.now())
    }
}
