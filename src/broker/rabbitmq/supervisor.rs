//! Keeps the publishing connection: rebuilds it with channel and topology after any error, and
//! lets nothing use it before the queue has confirmed a message. Consumers have connections of
//! their own: a blocked publisher must not stop them.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use lapin::{Channel, Connection, options::ConfirmSelectOptions, types::FieldTable};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use super::{
    RabbitOptions,
    connect::{connect, with_timeout},
    message,
    returned::Returned,
    send::{DEFAULT_EXCHANGE, send},
    stall::Stall,
};
use crate::broker::BrokerError;
use crate::domain::SystemId;
use crate::observability::Dependency;
use crate::runtime::{Backoff, Runtime, error_chain};

/// How often an idle connection is checked.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);
/// A ledger that is there tells the system's id in less.
const LEDGER_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub(super) struct Live {
    pub(super) generation: u64,
    pub(super) connection: Arc<Connection>,
    pub(super) channel: Channel,
    /// For questions, which the broker answers "no" by closing the channel.
    pub(super) asking: Arc<tokio::sync::Mutex<Option<Channel>>>,
}

/// Where the connection is, while there is one.
#[derive(Default)]
pub(super) struct Slot {
    live: RwLock<Option<Live>>,
    /// How many connections there have been.
    generation: AtomicU64,
    /// The latest of them on which a publish failed. A failure on an earlier one says
    /// nothing of the present.
    broken_generation: AtomicU64,
    broken: Notify,
    /// The server took the latest connection, whether or not the queue has confirmed since.
    is_reachable: AtomicBool,
}

impl Slot {
    pub(super) fn live(&self) -> Option<Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    pub(super) fn is_reachable(&self) -> bool {
        self.is_reachable.load(Ordering::Relaxed)
    }

    /// A publish failed on this connection.
    pub(super) fn broke(&self, generation: u64) {
        self.broken_generation.fetch_max(generation, Ordering::Relaxed);
        self.broken.notify_one();
    }

    fn set(&self, live: Option<Live>) {
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = live;
    }
}

/// What a connection is made of.
pub(super) struct Supervisor {
    pub(super) slot: Arc<Slot>,
    pub(super) stall: Arc<Stall>,
    pub(super) returned: Arc<Returned>,
    pub(super) options: RabbitOptions,
    pub(super) system: watch::Receiver<Option<SystemId>>,
    pub(super) dependency: Dependency,
    pub(super) runtime: Runtime,
}

impl Supervisor {
    pub(super) async fn run(mut self) {
        let Some(system) = self.system().await else { return };
        let mut backoff = Backoff::of_reconnects(&self.runtime);
        loop {
            let opened = self.open(system).await;
            self.slot.is_reachable.store(opened.is_ok(), Ordering::Relaxed);
            let ended = match opened {
                Ok(live) => self.keep(live, system, &mut backoff).await,
                Err(error) => error,
            };
            if !self.slot.is_reachable() {
                self.stall.ended();
            }
            self.slot.set(None);
            self.dependency.down(ended.outage(), error_chain(&ended));
            backoff.wait().await;
        }
    }

    /// Waits for the system's id, which the ledger has. `None`: the process ends.
    async fn system(&mut self) -> Option<SystemId> {
        if let Ok(known) = timeout(LEDGER_ANSWERS_WITHIN, self.system.wait_for(Option::is_some)).await {
            return *known.ok()?;
        }
        let unknown = BrokerError::SystemUnknown;
        self.dependency.down(unknown.outage(), &unknown);
        *self.system.wait_for(Option::is_some).await.ok()?
    }

    async fn open(&self, system: SystemId) -> Result<Live, BrokerError> {
        let (connection, channel) = with_timeout(&self.options, async {
            let connection = connect(&self.options, "publish").await?;
            self.options.topology.ensure(&connection, system).await?;
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok((connection, channel))
        })
        .await?;
        let generation = self.slot.generation.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Live { generation, connection: Arc::new(connection), channel, asking: Arc::default() })
    }

    /// Returns when the connection is of no use any more, with the reason.
    async fn keep(&self, live: Live, system: SystemId, backoff: &mut Backoff) -> BrokerError {
        loop {
            let proves = self.options.proves_queue;
            let usable =
                if proves { self.prove(&live, system).await } else { self.outlast_alarm(&live).await };
            if let Err(error) = usable {
                return error;
            }
            self.slot.set(Some(live.clone()));
            self.stall.ended();
            // That the queue confirms does not end the outage of a sale whose epoch is not bound.
            if !self.returned.is_unbound() {
                self.dependency.up();
            }
            backoff.reset();
            if let Err(error) = self.watch(&live).await {
                return error;
            }
            self.dependency.down(BrokerError::Blocked.outage(), BrokerError::Blocked);
        }
    }

    /// Waits until the queue has confirmed a message, which only then counts as being up: a queue
    /// that never confirms is declared and bound like any other. Waits out an alarm.
    async fn prove(&self, live: &Live, system: SystemId) -> Result<(), BrokerError> {
        let (queue, nothing) = (self.options.topology.purchases(), message::encode_nothing(system));
        let sending = send(&live.channel, DEFAULT_EXCHANGE, queue, &nothing, FieldTable::default());
        tokio::pin!(sending);
        let mut sent_at = self.runtime.instant();
        loop {
            if let Ok(outcome) = timeout(WATCH_INTERVAL, &mut sending).await {
                return outcome;
            }
            if !live.connection.status().connected() {
                return Err(BrokerError::NotConnected);
            }
            let now = self.runtime.instant();
            if live.connection.status().blocked() {
                self.dependency.down(BrokerError::Blocked.outage(), BrokerError::Blocked);
                sent_at = now;
            } else if now - sent_at > self.options.publish_timeout {
                self.stall.suspected(sent_at);
                return Err(BrokerError::Unconfirmed("the queue takes messages and confirms none"));
            }
        }
    }

    async fn outlast_alarm(&self, live: &Live) -> Result<(), BrokerError> {
        loop {
            if !live.connection.status().connected() {
                return Err(BrokerError::NotConnected);
            }
            if !live.connection.status().blocked() {
                return Ok(());
            }
            self.dependency.down(BrokerError::Blocked.outage(), BrokerError::Blocked);
            self.runtime.sleep(WATCH_INTERVAL).await;
        }
    }

    /// Returns when an alarm has blocked the connection, or with the reason why it is of
    /// no use any more.
    async fn watch(&self, live: &Live) -> Result<(), BrokerError> {
        loop {
            tokio::select! {
                () = self.slot.broken.notified() => {}
                () = self.runtime.sleep(WATCH_INTERVAL) => {}
            }
            if self.slot.broken_generation.load(Ordering::Relaxed) >= live.generation {
                return Err(BrokerError::Unconfirmed("a publish failed"));
            }
            if !live.connection.status().connected() {
                return Err(BrokerError::NotConnected);
            }
            if live.connection.status().blocked() {
                return Ok(());
            }
            if self.returned.is_forgotten(self.runtime.instant()) {
                self.dependency.up();
            }
        }
    }
}
