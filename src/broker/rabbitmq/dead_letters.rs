//! The dead-letter queue as an operator sees it: letters are looked at while they are held, and what is neither
//! replayed nor removed goes back to the queue.

use std::time::Duration;

use lapin::{
    Acker, Channel, Connection,
    options::{BasicAckOptions, BasicGetOptions, QueueDeclareOptions},
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::{FieldTable, ShortString},
};
use serde::Serialize;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::{
    RabbitPublisher,
    connect::{connect, with_timeout},
};
use crate::broker::{BrokerError, DeliveryHistory, Message, RabbitOptions};
use crate::domain::{OutboxEntry, Purchase};

/// Most letters that are held at a time.
const HELD_MAX: usize = 100_000;

/// A message that could never be recorded, or that RabbitMQ gave up.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// Names it: the beginning of a hash of its body, so that it is the same at each look.
    pub id: String,
    /// The kind of reason; `delivery-limit` where RabbitMQ gave it up.
    pub reason: String,
    /// The details, for a person.
    pub detail: String,
    /// What happened to it before.
    #[serde(flatten)]
    pub history: DeliveryHistory,
    /// The message, as it is.
    #[serde(serialize_with = "as_text")]
    pub body: Vec<u8>,
}

fn as_text<S: serde::Serializer>(body: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(body))
}

impl DeadLetter {
    /// The purchases in it, where it can be read, as entries of the epoch that admitted them.
    pub fn entries(&self) -> Vec<OutboxEntry> {
        let Ok(decoded) = Message::decode(&self.body) else { return Vec::new() };
        let epoch = decoded.message.epoch;
        decoded.message.items.iter().map(|item| item.entry(epoch)).collect()
    }

    /// The purchases in it.
    pub fn purchases(&self) -> Vec<Purchase> {
        self.entries().into_iter().map(|entry| entry.purchase).collect()
    }
}

/// The dead letters, held.
pub struct DeadLetters {
    connection: Connection,
    /// Letters are held, and nobody else looks at them, for as long as these are open.
    _channels: [Channel; 2],
    publisher: RabbitPublisher,
    held: Vec<(DeadLetter, Acker)>,
}

impl std::fmt::Debug for DeadLetters {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "DeadLetters({})", self.held.len())
    }
}

impl DeadLetters {
    /// Takes hold of all of them.
    pub(in crate::broker) async fn hold(
        options: &RabbitOptions,
        publisher: &RabbitPublisher,
    ) -> Result<Self, BrokerError> {
        let (connection, channel) = with_timeout(options, async {
            let connection = connect(options, "dead-letters").await?;
            let channel = connection.create_channel().await?;
            options.topology.declare(&channel).await?;
            Ok((connection, channel))
        })
        .await?;
        let alone = alone(&connection, options).await?;
        let queue = ShortString::from(options.topology.dead.as_str());
        let mut held = Vec::new();
        while held.len() < HELD_MAX {
            let getting = channel.basic_get(queue.clone(), BasicGetOptions::default());
            let got = timeout(options.connect_timeout, getting)
                .await
                .map_err(|_elapsed| BrokerError::NotConnected)??;
            let Some(message) = got else { break };
            held.push((letter(&message.delivery), message.delivery.acker));
        }
        Ok(Self { connection, _channels: [channel, alone], publisher: publisher.clone(), held })
    }

    /// What is held.
    pub fn letters(&self) -> impl Iterator<Item = &DeadLetter> {
        self.held.iter().map(|(letter, _)| letter)
    }

    /// Sends the letters with this id to the workers again, and removes them once the broker has confirmed that.
    /// How many there were.
    pub async fn replay(&mut self, id: &str) -> Result<usize, BrokerError> {
        let mut replayed = 0;
        for (letter, acker) in self.held.extract_if(.., |(letter, _)| letter.id == id) {
            let mut headers = FieldTable::default();
            letter.history.write(&mut headers);
            self.publisher.publish_again(&letter.body, headers).await?;
            settle(acker).await?;
            replayed += 1;
        }
        Ok(replayed)
    }

    /// Removes the letters with this id. What was in them must be recorded elsewhere.
    pub async fn remove(&mut self, id: &str) -> Result<usize, BrokerError> {
        let mut removed = 0;
        for (_, acker) in self.held.extract_if(.., |(letter, _)| letter.id == id) {
            settle(acker).await?;
            removed += 1;
        }
        Ok(removed)
    }

    /// Gives the rest back to the queue.
    pub async fn close(self) {
        let closing = self.connection.close(200, "done".into());
        if !matches!(timeout(Duration::from_secs(2), closing).await, Ok(Ok(()))) {
            tracing::debug!("the connection to the dead letters did not close in order");
        }
    }
}

/// Makes sure that nobody else holds letters at the same time: each would see only a part of them. An exclusive queue,
/// which ends with its connection, is the lock; whoever has it has it for moments.
async fn alone(connection: &Connection, options: &RabbitOptions) -> Result<Channel, BrokerError> {
    let name = ShortString::from(format!("{}.lock", options.topology.dead));
    let exclusive =
        QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
    let deadline = Instant::now() + options.connect_timeout;
    loop {
        // A refusal closes the channel.
        let channel = connection.create_channel().await?;
        match channel.queue_declare(name.clone(), exclusive, FieldTable::default()).await {
            Ok(_) => return Ok(channel),
            Err(error) if is_locked(&error) => {
                if Instant::now() > deadline {
                    return Err(BrokerError::LettersInUse);
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_locked(error: &lapin::Error) -> bool {
    let lapin::ErrorKind::ProtocolError(error) = error.kind() else { return false };
    matches!(error.kind(), AMQPErrorKind::Soft(AMQPSoftError::RESOURCELOCKED))
}

async fn settle(acker: Acker) -> Result<(), BrokerError> {
    // False: the channel is gone, and the letter is back in the queue.
    if acker.ack(BasicAckOptions::default()).await? { Ok(()) } else { Err(BrokerError::NotConnected) }
}

fn letter(delivery: &lapin::message::Delivery) -> DeadLetter {
    let headers = delivery.properties.headers().as_ref();
    let header = |name: &str| {
        let value = headers.and_then(|headers| headers.inner().get(name))?;
        value.as_long_string().map(ToString::to_string)
    };
    let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, &delivery.data);
    DeadLetter {
        id: hash.simple().to_string().chars().take(12).collect(),
        reason: header("reason").unwrap_or_else(|| "delivery-limit".to_owned()),
        detail: header("detail")
            .unwrap_or_else(|| "RabbitMQ gave it up after too many deliveries".to_owned()),
        history: DeliveryHistory::read(headers),
        body: delivery.data.clone(),
    }
}
