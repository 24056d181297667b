//! The dead-letter queue as an operator sees it. Letters are read while this connection holds them.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use lapin::{
    Acker, Channel, Connection,
    options::{BasicAckOptions, BasicGetOptions},
};
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    RabbitOptions,
    connect::{connect, with_timeout},
    headers, lock, message,
    publisher::Publisher,
};
use crate::broker::{BrokerError, DeadLetter, DeadLetters};
use crate::domain::SystemId;
use crate::runtime::Runtime;

/// Most letters that are held at a time.
const HELD_MAX: usize = 100_000;

pub(super) struct RabbitDeadLetters {
    connection: Connection,
    /// The letters are held, and locked against other operators, for as long as these are open.
    _channels: [Channel; 2],
    publisher: Publisher,
    held: Vec<(DeadLetter, Acker)>,
}

impl fmt::Debug for RabbitDeadLetters {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "RabbitDeadLetters({})", self.held.len())
    }
}

impl RabbitDeadLetters {
    /// Takes hold of all letters.
    pub(super) async fn hold(
        options: &RabbitOptions,
        system: SystemId,
        publisher: &Publisher,
        runtime: &Runtime,
    ) -> Result<Self, BrokerError> {
        let (connection, channel) = with_timeout(options, async {
            let connection = connect(options, "dead-letters").await?;
            let channel = connection.create_channel().await?;
            options.topology.declare(&channel, system).await?;
            Ok((connection, channel))
        })
        .await?;
        // Two holders at a time would each see only a part of the letters.
        let name = format!("{}.lock", options.topology.dead);
        let lock = lock::acquire(&connection, &name, options.connect_timeout, runtime).await?;
        let lock = lock.ok_or(BrokerError::DeadLettersInUse)?;
        let queue = options.topology.dead();
        let mut held = Vec::new();
        while held.len() < HELD_MAX {
            let getting = channel.basic_get(queue.clone(), BasicGetOptions::default());
            let got = timeout(options.connect_timeout, getting)
                .await
                .map_err(|_elapsed| BrokerError::NotConnected)??;
            let Some(message) = got else { break };
            held.push((letter(system, &message.delivery), message.delivery.acker));
        }
        Ok(Self { connection, _channels: [channel, lock], publisher: publisher.clone(), held })
    }
}

#[async_trait]
impl DeadLetters for RabbitDeadLetters {
    fn letters(&self) -> Vec<&DeadLetter> {
        self.held.iter().map(|(letter, _)| letter).collect()
    }

    async fn replay(&mut self, id: &str) -> Result<usize, BrokerError> {
        let mut replayed = 0;
        for (letter, acker) in self.held.extract_if(.., |(letter, _)| letter.id == id) {
            let headers = headers::of_history(letter.history);
            self.publisher.publish_unfenced(&letter.body, headers).await?;
            remove(acker).await?;
            replayed += 1;
        }
        Ok(replayed)
    }

    async fn remove(&mut self, id: &str) -> Result<usize, BrokerError> {
        let mut removed = 0;
        for (_, acker) in self.held.extract_if(.., |(letter, _)| letter.id == id) {
            remove(acker).await?;
            removed += 1;
        }
        Ok(removed)
    }

    async fn close(self: Box<Self>) {
        let closing = self.connection.close(200, "done".into());
        if !matches!(timeout(Duration::from_secs(2), closing).await, Ok(Ok(()))) {
            tracing::debug!("the connection to the dead letters did not close in order");
        }
    }
}

async fn remove(acker: Acker) -> Result<(), BrokerError> {
    // False: the channel is gone, and the letter is back in the queue.
    if acker.ack(BasicAckOptions::default()).await? { Ok(()) } else { Err(BrokerError::NotConnected) }
}

fn letter(system: SystemId, delivery: &lapin::message::Delivery) -> DeadLetter {
    let fields = delivery.properties.headers().as_ref();
    let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, &delivery.data);
    DeadLetter {
        id: hash.simple().to_string().chars().take(12).collect(),
        reason: headers::read_text(fields, "reason").unwrap_or_else(|| "delivery-limit".to_owned()),
        detail: headers::read_text(fields, "detail")
            .unwrap_or_else(|| "RabbitMQ gave it up after too many deliveries".to_owned()),
        history: headers::read_history(fields),
        entries: message::decode(system, &delivery.data).map(|content| content.entries).unwrap_or_default(),
        body: delivery.data.clone(),
    }
}
