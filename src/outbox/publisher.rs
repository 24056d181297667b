//! Group commit: the purchases that arrive while the previous publish is under way go out as one
//! message.
//!
//! At low load that is one purchase per message, at high load hundreds, so that the broker's
//! confirm, which costs a write to its disk, is paid once for all of them.
//!
//! What the broker did not confirm is kept, and sent again once the broker is reachable. The outbox
//! has it as well, and the sweeper sends it; but should admission be lost in that very outage, this
//! process is the last that knows of it. It goes past the broker's fence, because its answer did
//! not claim that the broker has it: the ledger decides what becomes of it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};

use super::{
    repeated::{Repeated, Repetition},
    unconfirmed::Unconfirmed,
};
use crate::broker::{Broker, BrokerError};
use crate::domain::{Durability, Entry};
use crate::runtime::{Runtime, crash_points::crash_point, error_chain};

/// Most purchases in one message: enough to make the confirm cheap, few enough for a
/// worker's memory.
const GROUP_ENTRIES_MAX: usize = 500;
/// Purchases in the queue before the publisher. Beyond it a purchase is left to the sweeper.
const QUEUE_MAX: usize = 65_536;
/// Purchases in that queue before one that may have been sent already. Beyond it, such a purchase
/// is left to the sweeper.
const AHEAD_MAX: usize = 4_000;
/// Purchases that are sent because their buyers ask again, and the time in which they are.
const REPEATED_MAX: usize = 65_536;
const REPEATED_FOR: Duration = Duration::from_mins(1);
/// Unconfirmed purchases that are kept. Beyond it the oldest ones are left to the sweeper.
const UNCONFIRMED_MAX: usize = 65_536;
/// Shortest and longest time between two tries at sending what is kept.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// What became of a purchase that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// The purchase is safe there.
    Confirmed(Durability),
    /// Not confirmed in time, or the broker can't be reached; the outbox still has the purchase.
    Unconfirmed,
    /// As [`Published::Unconfirmed`], because the broker takes no purchase of this epoch.
    Fenced,
}

/// Hands purchases to the [`PublisherTask`]; clones share it.
#[derive(Clone, Debug)]
pub struct Publisher {
    sender: mpsc::Sender<Request>,
    broker: Arc<dyn Broker>,
    repeated: Arc<Mutex<Repeated>>,
    runtime: Runtime,
}

#[derive(Debug)]
struct Request {
    entry: Entry,
    published: oneshot::Sender<Published>,
}

impl Publisher {
    /// The publisher, and its task, which must be run for anything to be sent.
    pub fn new(broker: Arc<dyn Broker>, runtime: &Runtime) -> (Self, PublisherTask) {
        let (sender, requests) = mpsc::channel(QUEUE_MAX);
        let runtime = runtime.clone();
        let task = PublisherTask {
            broker: broker.clone(),
            requests,
            unconfirmed: Unconfirmed::new(UNCONFIRMED_MAX),
            retry_after: RETRY_MIN,
            runtime: runtime.clone(),
        };
        let repeated = Arc::new(Mutex::new(Repeated::new(REPEATED_MAX, REPEATED_FOR)));
        (Self { sender, broker, repeated, runtime }, task)
    }

    /// Sends a purchase and waits for the confirm.
    pub async fn publish(&self, entry: Entry, confirm_timeout: Duration) -> Published {
        let (published, receiver) = oneshot::channel();
        if self.sender.try_send(Request { entry, published }).is_err() {
            return Published::Unconfirmed;
        }
        match self.runtime.timeout(confirm_timeout, receiver).await {
            Some(Ok(published)) => published,
            Some(Err(_)) | None => Published::Unconfirmed,
        }
    }

    /// As [`Publisher::publish`], of a purchase that may have been sent already, since its buyer
    /// asks again. To a broker that keeps messages, it goes out once a minute at most on each
    /// connection, however often they ask, and only while that keeps no new purchase waiting.
    pub async fn publish_again(&self, entry: Entry, confirm_timeout: Duration) -> Published {
        if self.broker.durability() != Durability::Broker {
            return self.publish(entry, confirm_timeout).await;
        }
        let (key, generation) = (entry.key(), self.broker.generation());
        let repetition = self.repeated().repetition(key, generation, self.runtime.instant());
        match repetition {
            Repetition::Confirmed => return Published::Confirmed(Durability::Broker),
            Repetition::ToSend if self.sender.max_capacity() - self.sender.capacity() < AHEAD_MAX => {}
            Repetition::ToSend | Repetition::TooMany => return Published::Unconfirmed,
        }
        let published = self.publish(entry, confirm_timeout).await;
        if matches!(published, Published::Confirmed(_)) {
            self.repeated().add(key, generation, self.runtime.instant());
        }
        published
    }

    fn repeated(&self) -> MutexGuard<'_, Repeated> {
        self.repeated.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sending side of a [`Publisher`].
#[derive(Debug)]
pub struct PublisherTask {
    broker: Arc<dyn Broker>,
    requests: mpsc::Receiver<Request>,
    unconfirmed: Unconfirmed,
    retry_after: Duration,
    runtime: Runtime,
}

impl PublisherTask {
    /// Sends until every [`Publisher`] is dropped and everything that was handed in
    /// was sent or refused.
    pub async fn run(mut self) {
        let mut requests = Vec::with_capacity(GROUP_ENTRIES_MAX);
        let mut retry_at = self.runtime.instant();
        loop {
            tokio::select! {
                // Purchases whose buyers wait for an answer come first.
                biased;
                number = self.requests.recv_many(&mut requests, GROUP_ENTRIES_MAX) => match number {
                    0 => return self.finish().await,
                    _ => self.send_group(&mut requests).await,
                },
                () = sleep_until(&self.runtime, retry_at), if !self.unconfirmed.is_empty() => {
                    retry_at = self.runtime.instant() + self.retry().await;
                }
            }
        }
    }

    async fn send_group(&mut self, requests: &mut Vec<Request>) {
        let (mut entries, waiting): (Vec<_>, Vec<_>) = requests
            .drain(..)
            .map(|Request { entry, published }| {
                let key = entry.key();
                (entry, (key, published))
            })
            .unzip();
        // Buyers ask again while their purchases are on their way.
        let mut sent = HashSet::new();
        entries.retain(|entry| sent.insert(entry.key()));
        crash_point!("publisher-before-publish");
        let publish = async |group: Vec<Entry>| {
            let published = outcome(self.broker.publish(&group).await, self.broker.durability());
            (group, published)
        };
        let sent = join_all(Entry::group(entries).into_iter().map(publish)).await;
        crash_point!("publisher-after-confirm");
        let mut outcomes = HashMap::new();
        for (group, published) in sent {
            outcomes.extend(group.iter().map(|entry| (entry.key(), published)));
            if !matches!(published, Published::Confirmed(_)) {
                self.keep(group);
            }
        }
        for (key, waiting) in waiting {
            // A caller that no longer waits has answered already.
            let _ = waiting.send(outcomes.get(&key).copied().unwrap_or(Published::Unconfirmed));
        }
    }

    fn keep(&mut self, unconfirmed: Vec<Entry>) {
        // Where the admission does not outlive this process, its purchases need not outlive the
        // admission.
        if self.broker.durability() != Durability::Broker {
            return;
        }
        let over = self.unconfirmed.add(unconfirmed);
        if over > 0 {
            tracing::warn!(over, "too many unconfirmed purchases: the oldest ones are left to the outbox");
        }
    }

    /// Sends one group of what is unconfirmed, and returns how long to wait before the next one.
    async fn retry(&mut self) -> Duration {
        let entries = self.unconfirmed.take(GROUP_ENTRIES_MAX);
        let publish = async |group: Vec<Entry>| {
            let sent = self.broker.publish_unfenced(&group).await;
            if sent.is_ok() { Vec::new() } else { group }
        };
        let sent = join_all(Entry::group(entries).into_iter().map(publish)).await;
        let unconfirmed: Vec<_> = sent.into_iter().flatten().collect();
        if unconfirmed.is_empty() {
            self.retry_after = RETRY_MIN;
            return Duration::ZERO;
        }
        self.unconfirmed.put_back(unconfirmed);
        let wait = self.retry_after;
        self.retry_after = RETRY_MAX.min(wait * 2);
        wait
    }

    /// Sends what is unconfirmed, as far as that is possible, before the process ends.
    async fn finish(mut self) {
        while !self.unconfirmed.is_empty() {
            if !self.retry().await.is_zero() {
                let left = self.unconfirmed.len();
                return tracing::warn!(left, "purchases without a broker's confirm are left to the outbox");
            }
        }
    }
}

fn outcome(sent: Result<(), BrokerError>, durability: Durability) -> Published {
    match sent {
        Ok(()) => Published::Confirmed(durability),
        Err(BrokerError::Unroutable) => Published::Fenced,
        Err(error) => {
            tracing::debug!(error = error_chain(&error), "not confirmed");
            Published::Unconfirmed
        }
    }
}

async fn sleep_until(runtime: &Runtime, deadline: Instant) {
    runtime.sleep(deadline.saturating_duration_since(runtime.instant())).await;
}
