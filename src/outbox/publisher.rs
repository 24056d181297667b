//! Group commit: what waited while the previous publish was under way goes out as one message.
//!
//! At low load that is one purchase per message, at high load hundreds, so that the broker's confirm, which costs
//! a write to its disk, is paid once for all of them.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

use crate::broker::{Broker, Message};
use crate::crash_points::crash_point;
use crate::domain::{Durability, OutboxEntry};

/// Most purchases in one message: enough to make the confirm cheap, few enough for a worker's memory.
const GROUP_ITEMS_MAX: usize = 500;
/// Purchases that may wait to be sent. Beyond it a purchase is left to the sweeper.
const WAITING_MAX: usize = 65_536;

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
        (Self { sender, durability }, tokio::spawn(send_groups(broker, receiver)))
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

async fn send_groups(broker: Broker, mut receiver: mpsc::Receiver<Waiting>) {
    let mut waiting = Vec::with_capacity(GROUP_ITEMS_MAX);
    while receiver.recv_many(&mut waiting, GROUP_ITEMS_MAX).await > 0 {
        let (entries, confirms): (Vec<_>, Vec<_>) =
            waiting.drain(..).map(|waiting| (waiting.entry, waiting.confirm)).unzip();
        let ids: Vec<_> = entries.iter().map(|entry| entry.purchase.id).collect();
        let messages = Message::group(entries);
        crash_point!("publisher-before-publish");
        let sending = messages.iter().map(async |message| (message, broker.publish(message).await));
        let mut unconfirmed = std::collections::HashSet::new();
        for (message, sent) in join_all(sending).await {
            if let Err(error) = sent {
                tracing::debug!(%error, items = message.items.len(), "left to the sweeper");
                unconfirmed.extend(message.items.iter().map(|item| item.purchase.id));
            }
        }
        crash_point!("publisher-after-confirm");
        for (id, confirm) in ids.into_iter().zip(confirms) {
            if !unconfirmed.contains(&id) {
                // A caller that no longer waits has answered already.
                let _ = confirm.send(());
            }
        }
    }
}
