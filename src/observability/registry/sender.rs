//! Sends the heartbeat of this process once a second.

use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    heartbeat::{AllCounted, Heartbeat, Role},
    store::ProcessRegistry,
};
use crate::observability::readiness::Readiness;
use crate::observability::{Counts, Telemetry};
use crate::runtime::Runtime;

const INTERVAL: Duration = Duration::from_secs(1);
/// The end of a process does not wait longer for its last heartbeat.
const LAST_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct HeartbeatSender {
    registry: ProcessRegistry,
    readiness: Readiness,
    telemetry: Telemetry,
    runtime: Runtime,
    heartbeat: Heartbeat,
    counted: AllCounted,
}

impl HeartbeatSender {
    pub fn new(
        role: Role,
        registry: ProcessRegistry,
        readiness: Readiness,
        telemetry: Telemetry,
        runtime: &Runtime,
    ) -> Self {
        let (now, runtime) = (runtime.clock.now(), runtime.clone());
        let heartbeat = Heartbeat {
            id: format!("{:016x}", runtime.entropy.bits()),
            role,
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: now.timestamp_millis(),
            left: false,
            checks: Vec::new(),
            products: std::collections::BTreeMap::new(),
            events: Vec::new(),
        };
        Self { registry, readiness, telemetry, runtime, heartbeat, counted: AllCounted::new() }
    }

    /// Sends until `stop`, and then a last heartbeat that says that the process has left.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = self.runtime.instant();
        loop {
            let next = async {
                interval.tick().await;
                self.beat(&mut last).await;
            };
            tokio::select! {
                () = next => {}
                () = stop.cancelled() => break,
            }
        }
        self.heartbeat.left = true;
        self.heartbeat.events = self.telemetry.events.latest();
        self.heartbeat.products.clear();
        self.heartbeat.checks.clear();
        if timeout(LAST_TIMEOUT, self.send()).await.is_err() {
            tracing::debug!("the last heartbeat was not sent in time");
        }
    }

    async fn beat(&mut self, last: &mut Instant) {
        self.heartbeat.checks = self.readiness.check();
        self.heartbeat.events = self.telemetry.events.latest();
        // Counted after everything that may be slow, so that rates are of the measured time.
        let now = self.runtime.instant();
        let seconds = (now - *last).as_secs_f64().max(0.001);
        *last = now;
        self.count(self.telemetry.meter.take(), seconds);
        self.send().await;
    }

    async fn send(&self) {
        if let Err(error) = self.registry.send(&self.heartbeat).await {
            tracing::debug!(%error, "a heartbeat is not sent");
        }
    }

    fn count(&mut self, mut counts: Counts, seconds: f64) {
        for product in counts.keys() {
            self.counted.entry(product.clone()).or_default();
        }
        for (product, counted) in &mut self.counted {
            counted.add(counts.remove(product).unwrap_or_default());
            self.heartbeat.products.insert(product.to_string(), counted.window(seconds));
        }
    }
}
