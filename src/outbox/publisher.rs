//! Group commit: what waited while the previous publish was under way goes out as one message.
//!
//! At low load that is one purchase per message, at high load hundreds, so that the broker's confirm, which costs
//! a write to its disk, is paid once for all of them.
//!
//! What the broker did not confirm is kept, and sent again once it is back. The outbox has it as well, and the sweeper
//! sends it; but should Redis be lost in that very outage, this process is the last that knows of it.

use std::{collections::VecDeque, time::Duration};

use futures_util::future::join_all;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};

use crate::broker::{Broker, Message};
use crate::domain::{Durability, OutboxEntry};
use crate::runtime::crash_points::crash_point;

/// Most purchases in one message: enough to make the confirm cheap, few enough for a worker's memory.
const GROUP_ITEMS_MAX: usize = 500;
/// Purchases that may wait to be sent. Beyond it a purchase is left to the sweeper.
const WAITING_MAX: usize = 65_536;
/// Unconfirmed purchases that are kept. Beyond it the oldest ones are left to the sweeper alone.
const KEPT_MAX: usize = 65_536;
/// Shortest and longest time between two tries at sending what is kept.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Sends admitted purchases; clones share one sending task, which ends when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Publisher {
    sender: mpsc::Sender<Waiting>,
    durability: Durability,
}

#[derive(Debug)]
struct Waiting {
    entry: OutboxEntry,
    /// Dropped without a word when the message was not confirmed.
    confirm: oneshot::Sender<()>,
}

impl Publisher {
    /// Starts the sending task. Its handle ends after everything that was handed in has been sent or refused.
    pub fn start(broker: Broker) -> (Self, JoinHandle<()>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let durability = broker.durability();
        let task = Sending { broker, kept: VecDeque::new(), retry_after: RETRY_MIN };
        (Self { sender, durability }, tokio::spawn(task.run(receiver)))
    }

    /// Sends a purchase and waits for the confirm. `None`: not confirmed in time, or the broker is away; the
    /// outbox still has it.
    pub async fn send(&self, entry: OutboxEntry, confirm_timeout: Duration) -> Option<Durability> {
        let (confirm, confirmed) = oneshot::channel();
        self.sender.try_send(Waiting { entry, confirm }).ok()?;
        timeout(confirm_timeout, confirmed).await.ok()?.ok()?;
        Some(self.durability)
    }
}

/// The sending task.
struct Sending {
    broker: Broker,
    /// What was not confirmed, oldest first.
    kept: VecDeque<OutboxEntry>,
    retry_after: Duration,
}

impl Sending {
    async fn run(mut self, mut handed_in: mpsc::Receiver<Waiting>) {
        let mut waiting = Vec::with_capacity(GROUP_ITEMS_MAX);
        let mut retry_at = Instant::now();
        loop {
            tokio::select! {
                // Those who wait for an answer come first.
                biased;
                number = handed_in.recv_many(&mut waiting, GROUP_ITEMS_MAX) => match number {
                    0 => return self.end().await,
                    _ => self.send_group(&mut waiting).await,
                },
                () = sleep_until(retry_at), if !self.kept.is_empty() => {
                    retry_at = Instant::now() + self.send_kept().await;
                }
            }
        }
    }

    async fn send_group(&mut self, waiting: &mut Vec<Waiting>) {
        let (entries, confirms): (Vec<_>, Vec<_>) =
            waiting.drain(..).map(|waiting| (waiting.entry, waiting.confirm)).unzip();
        let ids: Vec<_> = entries.iter().map(|entry| entry.purchase.id).collect();
        crash_point!("publisher-before-publish");
        let unconfirmed = self.send(entries).await;
        crash_point!("publisher-after-confirm");
        let left: std::collections::HashSet<_> = unconfirmed.iter().map(|entry| entry.purchase.id).collect();
        for (id, confirm) in ids.into_iter().zip(confirms) {
            if !left.contains(&id) {
                // A caller that no longer waits has answered already.
                let _ = confirm.send(());
            }
        }
        self.keep(unconfirmed);
    }

    /// Sends purchases, and returns what was not confirmed.
    async fn send(&self, entries: Vec<OutboxEntry>) -> Vec<OutboxEntry> {
        let messages = Message::group(entries);
        let sending = messages.iter().map(async |message| (message, self.broker.publish(message).await));
        let mut unconfirmed = Vec::new();
        for (message, sent) in join_all(sending).await {
            if let Err(error) = sent {
                tracing::debug!(%error, items = message.items.len(), "not confirmed");
                unconfirmed.extend(message.items.iter().map(|item| item.entry(message.epoch)));
            }
        }
        unconfirmed
    }

    fn keep(&mut self, unconfirmed: Vec<OutboxEntry>) {
        // Where the admission does not outlive this process, it need not outlive the admission.
        if self.broker.durability() == Durability::Broker {
            self.kept.extend(unconfirmed);
            let over = self.kept.len().saturating_sub(KEPT_MAX);
            if over > 0 {
                tracing::warn!(
                    over,
                    "more purchases than are kept are not confirmed: the outbox alone has these"
                );
                self.kept.drain(..over);
            }
        }
    }

    /// Sends one group of what was kept. How long to wait before the next one.
    async fn send_kept(&mut self) -> Duration {
        let group: Vec<_> = self.kept.drain(..self.kept.len().min(GROUP_ITEMS_MAX)).collect();
        let unconfirmed = self.send(group).await;
        if unconfirmed.is_empty() {
            self.retry_after = RETRY_MIN;
            return Duration::ZERO;
        }
        unconfirmed.into_iter().rev().for_each(|entry| self.kept.push_front(entry));
        let wait = self.retry_after;
        self.retry_after = RETRY_MAX.min(wait * 2);
        wait
    }

    /// Sends what was kept, as far as that is possible, before the process ends.
    async fn end(mut self) {
        while !self.kept.is_empty() {
            if !self.send_kept().await.is_zero() {
                let left = self.kept.len();
                return tracing::warn!(
                    left,
                    "purchases that RabbitMQ has not confirmed are left to the outbox"
                );
            }
        }
    }
}
