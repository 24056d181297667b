//! The broker within one process. Its confirm is the worker's ack, which comes after the ledger's commit.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot};

use super::BrokerError;

/// Messages that may wait; more make the publisher wait.
const WAITING_MAX: usize = 64;

pub(super) type Receiver = Arc<Mutex<mpsc::Receiver<Envelope>>>;

/// A message, and where to confirm it.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) body: Vec<u8>,
    pub(super) confirm: oneshot::Sender<()>,
}

/// The broker within one process; clones share it.
#[derive(Clone, Debug)]
pub struct EmbeddedBroker {
    sender: mpsc::Sender<Envelope>,
    receiver: Receiver,
}

impl Default for EmbeddedBroker {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        Self { sender, receiver: Arc::new(Mutex::new(receiver)) }
    }
}

impl EmbeddedBroker {
    pub(super) async fn publish(&self, body: Vec<u8>) -> Result<(), BrokerError> {
        let (confirm, confirmed) = oneshot::channel();
        let sent = self.sender.send(Envelope { body, confirm }).await;
        sent.map_err(|_worker_ended| BrokerError::NotCommitted)?;
        confirmed.await.map_err(|_given_up| BrokerError::NotCommitted)
    }

    pub(super) fn receiver(&self) -> Receiver {
        self.receiver.clone()
    }
}
