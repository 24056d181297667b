//! The broker within one process. Its confirm is the worker's ack, which comes after the ledger's
//! commit.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, oneshot};

use super::{
    Acknowledge, Bindings, Broker, BrokerError, Consumer, Content, DeadLetters, DeadReason, Delivery,
    DeliveryHistory, Depths, QueueState, Unrecordable,
};
use crate::domain::{Durability, Entry, ProductId};
use crate::observability::Dependency;

/// Messages that may be in the channel; a publisher of more waits.
const MESSAGES_MAX: usize = 64;

type Receiver = mpsc::Receiver<Envelope>;

#[derive(Debug)]
struct Envelope {
    entries: Vec<Entry>,
    confirm: oneshot::Sender<()>,
}

/// A channel within the process; clones share it. Messages are never encoded.
#[derive(Clone, Debug)]
pub struct MemoryBroker {
    sender: mpsc::Sender<Envelope>,
    receiver: Arc<Mutex<Receiver>>,
}

impl Default for MemoryBroker {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(MESSAGES_MAX);
        Self { sender, receiver: Arc::new(Mutex::new(receiver)) }
    }
}

#[async_trait]
impl Broker for MemoryBroker {
    async fn publish(&self, entries: &[Entry]) -> Result<(), BrokerError> {
        let (confirm, confirmed) = oneshot::channel();
        let sent = self.sender.send(Envelope { entries: entries.to_vec(), confirm }).await;
        sent.map_err(|_worker_ended| BrokerError::NotCommitted)?;
        confirmed.await.map_err(|_given_up| BrokerError::NotCommitted)
    }

    /// The channel has no epochs: what leads to it ends with its process.
    async fn publish_unfenced(&self, entries: &[Entry]) -> Result<(), BrokerError> {
        self.publish(entries).await
    }

    async fn bindings(&self) -> Result<Box<dyn Bindings>, BrokerError> {
        Ok(Box::new(NoBindings))
    }

    fn durability(&self) -> Durability {
        Durability::Database
    }

    async fn consumer(&self) -> Result<Box<dyn Consumer>, BrokerError> {
        Ok(Box::new(MemoryConsumer { receiver: self.receiver.clone(), held: None }))
    }

    async fn depths(&self) -> Result<Option<Depths>, BrokerError> {
        Ok(None)
    }

    fn generation(&self) -> u64 {
        0
    }

    fn stalled_for(&self) -> Option<Duration> {
        None
    }

    fn consuming(&self) -> Option<&Dependency> {
        None
    }

    async fn dead_letter(
        &self,
        _letter: &Unrecordable,
        _reason: &DeadReason,
        _history: DeliveryHistory,
    ) -> Result<(), BrokerError> {
        Err(BrokerError::NotCommitted)
    }

    async fn dead_letters(&self) -> Result<Option<Box<dyn DeadLetters>>, BrokerError> {
        Ok(None)
    }
}

#[derive(Debug)]
struct NoBindings;

#[async_trait]
impl Bindings for NoBindings {
    async fn bind(&mut self, _epochs: &[(ProductId, u64)]) -> Result<(), BrokerError> {
        Ok(())
    }

    async fn unbind(&mut self, _product: &ProductId) -> Result<(), BrokerError> {
        Ok(())
    }

    async fn replace_queue(&mut self) -> Result<(), BrokerError> {
        Ok(())
    }

    async fn replace_dead_letters(&mut self) -> Result<(), BrokerError> {
        Ok(())
    }

    async fn settle(&mut self) -> Result<(), BrokerError> {
        Ok(())
    }
}

/// Consumes once no other consumer does.
#[derive(Debug)]
struct MemoryConsumer {
    receiver: Arc<Mutex<Receiver>>,
    held: Option<OwnedMutexGuard<Receiver>>,
}

#[async_trait]
impl Consumer for MemoryConsumer {
    async fn start(&mut self) -> Result<(), BrokerError> {
        Ok(())
    }

    async fn next(&mut self) -> Result<Delivery, BrokerError> {
        let receiver = match &mut self.held {
            Some(receiver) => receiver,
            held => held.insert(self.receiver.clone().lock_owned().await),
        };
        let Envelope { entries, confirm } = receiver.recv().await.ok_or(BrokerError::NotCommitted)?;
        let content = Content { entries, rejected: Vec::new() };
        let acknowledge = Box::new(Confirm(confirm));
        Ok(Delivery { content, history: DeliveryHistory::default(), acknowledge })
    }

    async fn state(&mut self) -> Result<QueueState, BrokerError> {
        Ok(QueueState { ready: 0, consumers: 0 })
    }

    async fn close(self: Box<Self>) {}
}

/// Confirms a message to its publisher. Dropping it tells the publisher that nothing is promised.
#[derive(Debug)]
struct Confirm(oneshot::Sender<()>);

#[async_trait]
impl Acknowledge for Confirm {
    async fn ack(self: Box<Self>) -> Result<(), BrokerError> {
        // A publisher that no longer waits does not matter: the commit stands.
        let _ = self.0.send(());
        Ok(())
    }
}
