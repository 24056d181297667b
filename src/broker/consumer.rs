//! The receiving end. A consumer lives until its first error; whoever uses it asks for another then.

use futures_util::StreamExt;
use lapin::{
    Acker, Channel, Connection,
    options::{BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions, QueueDeclareOptions},
    types::{FieldTable, ShortString},
};
use tokio::sync::{OwnedMutexGuard, mpsc, oneshot};

use super::{
    BrokerError, RabbitOptions, embedded,
    publisher::{connect, within},
};

/// A message that was received and not yet settled. Dropping the consumer gives it back to the queue.
#[derive(Debug)]
pub struct Delivery {
    /// The message.
    pub body: Vec<u8>,
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
                acker.ack(BasicAckOptions::default()).await?;
            }
            // A publisher that no longer waits does not matter: the commit stands.
            Self::Embedded(confirm) => drop(confirm.send(())),
        }
        Ok(())
    }
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
        stream: Option<lapin::Consumer>,
    },
    Embedded {
        receiver: embedded::Receiver,
        held: Option<OwnedMutexGuard<mpsc::Receiver<embedded::Envelope>>>,
    },
}

impl Consumer {
    pub(super) fn embedded(receiver: embedded::Receiver) -> Self {
        Self(Source::Embedded { receiver, held: None })
    }

    /// A consumer that the queue pushes messages to.
    pub(super) async fn rabbit(options: &RabbitOptions) -> Result<Self, BrokerError> {
        within(options, Self::open_consuming(options)).await
    }

    async fn open_consuming(options: &RabbitOptions) -> Result<Self, BrokerError> {
        let mut consumer = Self::open(options).await?;
        let Source::Rabbit { channel, queue, stream, .. } = &mut consumer.0 else { return Ok(consumer) };
        channel.basic_qos(options.prefetch_messages, BasicQosOptions::default()).await?;
        let arguments = FieldTable::default();
        let consuming =
            channel.basic_consume(queue.clone(), "".into(), BasicConsumeOptions::default(), arguments);
        *stream = Some(consuming.await?);
        Ok(consumer)
    }

    /// One that asks for messages, for draining the queue during a rebuild.
    pub(super) async fn puller(options: &RabbitOptions) -> Result<Self, BrokerError> {
        within(options, Self::open(options)).await
    }

    async fn open(options: &RabbitOptions) -> Result<Self, BrokerError> {
        let connection = connect(options, "consume").await?;
        let channel = connection.create_channel().await?;
        options.topology.declare(&channel).await?;
        let queue = ShortString::from(options.topology.purchases.as_str());
        Ok(Self(Source::Rabbit { connection, channel, queue, stream: None }))
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
                Ok(Delivery { body, acknowledge: Acknowledge::Embedded(confirm) })
            }
        }
    }

    /// Takes the next message if there is one, without consuming. The embedded broker has none to take: it holds
    /// nothing that outlives the process.
    pub async fn take(&mut self) -> Result<Option<Delivery>, BrokerError> {
        match &self.0 {
            Source::Rabbit { channel, queue, .. } => {
                let message = channel.basic_get(queue.clone(), BasicGetOptions::default()).await?;
                Ok(message.map(|message| delivered(message.delivery)))
            }
            Source::Embedded { .. } => Ok(None),
        }
    }

    /// How many consumers the queue has.
    pub async fn consumers(&self) -> Result<u32, BrokerError> {
        match &self.0 {
            Source::Rabbit { channel, queue, .. } => {
                let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
                let queue = channel.queue_declare(queue.clone(), passive, FieldTable::default()).await?;
                Ok(queue.consumer_count())
            }
            Source::Embedded { .. } => Ok(0),
        }
    }

    /// Ends it and gives what it holds back to the queue, before returning where the broker still answers.
    pub async fn close(self) {
        if let Source::Rabbit { connection, .. } = self.0 {
            let closing = connection.close(200, "done".into());
            let waited = tokio::time::timeout(std::time::Duration::from_secs(2), closing).await;
            if !matches!(waited, Ok(Ok(()))) {
                tracing::debug!("the consuming connection did not close in order");
            }
        }
    }
}

fn delivered(delivery: lapin::message::Delivery) -> Delivery {
    Delivery { body: delivery.data, acknowledge: Acknowledge::Rabbit(Box::new(delivery.acker)) }
}
