//! The receiving end. A consumer lives until its first error; whoever uses it asks for another then.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::{
    Acker, Channel, Connection,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions},
    types::{FieldTable, ShortString},
};
use tokio::{
    sync::{OwnedMutexGuard, mpsc, oneshot},
    time::timeout,
};

use super::connect::{connect, with_timeout};
use crate::broker::{BrokerError, DeliveryHistory, RabbitOptions, memory as embedded};

/// A message that was received and not yet settled. Dropping the consumer gives it back to the queue.
#[derive(Debug)]
pub struct Delivery {
    /// The message.
    pub body: Vec<u8>,
    /// What happened to it before.
    pub history: DeliveryHistory,
    /// To be used once the ledger has committed everything in it, or the dead-letter queue has it.
    pub acknowledge: Acknowledge,
}

/// Settles a delivery.
#[derive(Debug)]
pub enum Acknowledge {
    /// With RabbitMQ.
    Rabbit(Box<Acker>),
    /// Within the process; dropping it tells the publisher that nothing is promised.
    Embedded(oneshot::Sender<()>),
}

impl Acknowledge {
    /// The message is done with.
    pub async fn ack(self) -> Result<(), BrokerError> {
        match self {
            Self::Rabbit(acker) => {
                // False: its channel is gone, and the message is delivered again.
                if !acker.ack(BasicAckOptions::default()).await? {
                    return Err(BrokerError::NotConnected);
                }
            }
            // A publisher that no longer waits does not matter: the commit stands.
            Self::Embedded(confirm) => drop(confirm.send(())),
        }
        Ok(())
    }
}

/// A queue, as far as the broker tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueState {
    /// Messages that no consumer holds.
    pub ready: u32,
    /// How many consume.
    pub consumers: u32,
}

/// Receives messages.
#[derive(Debug)]
pub struct Consumer(Source);

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one consumer in a process")]
enum Source {
    Rabbit {
        connection: Connection,
        channel: Channel,
        queue: ShortString,
        /// Longest wait for an answer of the broker.
        patience: Duration,
        stream: Option<lapin::Consumer>,
    },
    Embedded {
        receiver: embedded::Receiver,
        held: Option<OwnedMutexGuard<mpsc::Receiver<embedded::Envelope>>>,
    },
}

impl Consumer {
    pub(in crate::broker) fn embedded(receiver: embedded::Receiver) -> Self {
        Self(Source::Embedded { receiver, held: None })
    }

    /// A connection to the queue of purchases, on which [`Consumer::start`] begins to consume.
    pub(in crate::broker) async fn rabbit(options: &RabbitOptions) -> Result<Self, BrokerError> {
        with_timeout(options, async {
            let connection = connect(options, "consume").await?;
            let channel = connection.create_channel().await?;
            options.topology.declare(&channel).await?;
            channel.basic_qos(options.prefetch_messages, BasicQosOptions::default()).await?;
            let queue = ShortString::from(options.topology.purchases.as_str());
            let patience = options.connect_timeout;
            Ok(Self(Source::Rabbit { connection, channel, queue, patience, stream: None }))
        })
        .await
    }

    /// Begins to consume: the queue pushes messages from now on. The embedded broker does so anyway.
    pub async fn start(&mut self) -> Result<(), BrokerError> {
        if let Source::Rabbit { channel, queue, patience, stream, .. } = &mut self.0 {
            let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
            let consuming = channel.basic_consume(queue.clone(), "".into(), options, arguments);
            let consuming = timeout(*patience, consuming).await;
            *stream = Some(consuming.map_err(|_elapsed| BrokerError::NotConnected)??);
        }
        Ok(())
    }

    /// The next message. An error is the end of this consumer. Cancel-safe.
    pub async fn next(&mut self) -> Result<Delivery, BrokerError> {
        match &mut self.0 {
            Source::Rabbit { stream, .. } => {
                let stream = stream.as_mut().ok_or(BrokerError::NotConnected)?;
                let delivery = stream.next().await.ok_or(BrokerError::NotConnected)??;
                Ok(delivered(delivery))
            }
            Source::Embedded { receiver, held } => {
                if held.is_none() {
                    *held = Some(receiver.clone().lock_owned().await);
                }
                let receiver = held.as_mut().ok_or(BrokerError::NotCommitted)?;
                let embedded::Envelope { body, confirm } =
                    receiver.recv().await.ok_or(BrokerError::NotCommitted)?;
                let acknowledge = Acknowledge::Embedded(confirm);
                Ok(Delivery { body, history: DeliveryHistory::default(), acknowledge })
            }
        }
    }

    /// The queue as it stands. The embedded broker's holds nothing that outlives the process.
    pub async fn state(&self) -> Result<QueueState, BrokerError> {
        match &self.0 {
            Source::Rabbit { channel, queue, patience, .. } => {
                let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
                let asking = channel.queue_declare(queue.clone(), passive, FieldTable::default());
                let queue =
                    timeout(*patience, asking).await.map_err(|_elapsed| BrokerError::NotConnected)??;
                Ok(QueueState { ready: queue.message_count(), consumers: queue.consumer_count() })
            }
            Source::Embedded { .. } => Ok(QueueState { ready: 0, consumers: 0 }),
        }
    }

    /// Ends it and gives what it holds back to the queue, before returning where the broker still answers.
    pub async fn close(self) {
        if let Source::Rabbit { connection, .. } = self.0 {
            let closing = connection.close(200, "done".into());
            let waited = timeout(Duration::from_secs(2), closing).await;
            if !matches!(waited, Ok(Ok(()))) {
                tracing::debug!("the consuming connection did not close in order");
            }
        }
    }
}

fn delivered(delivery: lapin::message::Delivery) -> Delivery {
    let history = DeliveryHistory::read(delivery.properties.headers().as_ref());
    Delivery { body: delivery.data, history, acknowledge: Acknowledge::Rabbit(Box::new(delivery.acker)) }
}
