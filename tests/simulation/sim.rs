//! What all parts of a run share: tasks, time, randomness and the trace.

use std::{
    future::ready,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use flashsale::runtime::{Clock, Entropy, Runtime, tasks::Tasks};
use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::{Instant, sleep};

use super::{
    executor::{Executor, Pid},
    trace::Trace,
};

/// When every run begins, in milliseconds since 1970.
const BEGIN_MILLIS: i64 = 1_795_650_000_000;

/// A handle; clones share everything.
#[derive(Clone)]
pub(crate) struct Sim {
    pub(crate) executor: Executor,
    pub(crate) trace: Trace,
    random: Arc<Mutex<fastrand::Rng>>,
    began: Instant,
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Sim")
    }
}

impl Sim {
    /// Within a runtime whose clock is paused.
    pub(crate) fn new(seed: u64, with_text: bool) -> Self {
        let trace = Trace::new(with_text);
        Self {
            executor: Executor::new(seed ^ 0x5eed_0e0e, &trace),
            trace,
            random: Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))),
            began: Instant::now(),
        }
    }

    /// Draws from the run's randomness.
    pub(crate) fn draw<T>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        draw(&mut self.random.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// True in `percent` of a hundred draws.
    pub(crate) fn happens(&self, percent: u32) -> bool {
        percent > 0 && self.draw(|random| random.u32(0..100)) < percent
    }

    /// The way of a message over the network.
    pub(crate) async fn latency(&self) {
        let millis = self.draw(|random| match random.u32(0..200) {
            0..120 => 1,
            120..180 => random.u64(1..5),
            180..199 => random.u64(5..30),
            _ => random.u64(50..400),
        });
        sleep(Duration::from_millis(millis)).await;
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// True time, which no process knows.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        let elapsed = i64::try_from(self.elapsed().as_millis()).expect("short runs");
        DateTime::from_timestamp_millis(BEGIN_MILLIS + elapsed).expect("a time")
    }

    pub(crate) fn note(&self, pid: Pid, event: impl std::fmt::Display) {
        self.trace.note(pid, event);
    }

    /// Clock and entropy of a process whose wall clock is ahead by so much.
    pub(crate) fn runtime(&self, ahead: TimeDelta) -> Runtime {
        let random = fastrand::Rng::with_seed(self.draw(|random| random.u64(..)));
        let clock = SimClock { sim_began: self.began, ahead };
        Runtime {
            clock: Arc::new(clock),
            entropy: Arc::new(SimEntropy(Mutex::new(random))),
            tasks: Tasks::default(),
        }
    }
}

#[derive(Debug)]
struct SimClock {
    sim_began: Instant,
    ahead: TimeDelta,
}

impl Clock for SimClock {
    fn now(&self) -> DateTime<Utc> {
        let elapsed = i64::try_from(self.sim_began.elapsed().as_millis()).expect("short runs");
        DateTime::from_timestamp_millis(BEGIN_MILLIS + elapsed).expect("a time") + self.ahead
    }

    fn instant(&self) -> std::time::Instant {
        Instant::now().into_std()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        if duration.is_zero() { ready(()).boxed() } else { sleep(duration).boxed() }
    }
}

#[derive(Debug)]
struct SimEntropy(Mutex<fastrand::Rng>);

impl Entropy for SimEntropy {
    fn bits(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).u64(..)
    }
}
