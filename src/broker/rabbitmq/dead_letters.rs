//! The dead-letter queue, held page by page: letters are read while this connection holds them.

use std::{collections::VecDeque, fmt, time::Duration};

use async_trait::async_trait;
use futures_util::StreamExt;
use lapin::{
    Channel, Connection,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions,
        QueueDeclareOptions,
    },
    protocol::{AMQPErrorKind, AMQPHardError},
    types::{FieldTable, ShortString},
};
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    RabbitOptions,
    connect::{connect, with_timeout},
    headers, lock, message,
    publisher::Publisher,
};
use crate::broker::{BrokerError, DeadLetter, DeadLetters, QueueState};
use crate::domain::SystemId;
use crate::runtime::Runtime;

/// Letters in memory at a time.
const PAGE: u16 = 256;
const CONSUMERS_INTERVAL: Duration = Duration::from_millis(50);

pub(super) struct RabbitDeadLetters {
    connection: Connection,
    /// The letters that were delivered on it are held for as long as it is open.
    channel: Channel,
    /// Held against other operators for as long as this is open.
    _lock: Channel,
    queue: ShortString,
    publisher: Publisher,
    /// Letters that are held, and not read yet.
    page: VecDeque<DeadLetter>,
    system: SystemId,
    answer_timeout: Duration,
}

impl fmt::Debug for RabbitDeadLetters {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "RabbitDeadLetters({})", self.queue)
    }
}

impl RabbitDeadLetters {
    /// Takes hold of the queue once nobody else holds letters of it.
    pub(super) async fn hold(
        options: &RabbitOptions,
        system: SystemId,
        publisher: &Publisher,
        runtime: &Runtime,
    ) -> Result<Self, BrokerError> {
        let (connection, channel) = with_timeout(options, async {
            let connection = connect(options, "dead-letters").await?;
            options.topology.ensure(&connection, system).await?;
            let channel = connection.create_channel().await?;
            Ok((connection, channel))
        })
        .await?;
        // Two holders at a time would each see only a part of the letters.
        let name = format!("{}.lock", options.topology.dead);
        let answer_timeout = options.connect_timeout;
        let lock = lock::acquire(&connection, &name, answer_timeout, runtime).await?;
        let lock = lock.ok_or(BrokerError::DeadLettersInUse)?;
        let mut held = Self {
            connection,
            channel,
            _lock: lock,
            queue: options.topology.dead(),
            publisher: publisher.clone(),
            page: VecDeque::new(),
            system,
            answer_timeout,
        };
        held.wait_for_others(runtime).await?;
        Ok(held)
    }

    /// RabbitMQ counts a consumer for as long as it holds a letter, also one that is gone: the
    /// letters of the former holder are back once there is none.
    async fn wait_for_others(&mut self, runtime: &Runtime) -> Result<(), BrokerError> {
        let deadline = runtime.instant() + self.answer_timeout;
        while self.state().await?.consumers > 0 {
            if runtime.instant() > deadline {
                return Err(BrokerError::DeadLettersInUse);
            }
            runtime.sleep(CONSUMERS_INTERVAL).await;
        }
        Ok(())
    }

    async fn state(&self) -> Result<QueueState, BrokerError> {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let asking = self.channel.queue_declare(self.queue.clone(), passive, FieldTable::default());
        let queue = self.answered(asking).await?;
        Ok(QueueState { ready: queue.message_count(), consumers: queue.consumer_count() })
    }

    async fn answered<T>(
        &self,
        answer: impl Future<Output = Result<T, lapin::Error>>,
    ) -> Result<T, BrokerError> {
        let answer = timeout(self.answer_timeout, answer).await;
        let answer = answer.map_err(|_elapsed| self.silent())?;
        answer.map_err(|error| if is_of_queue(&error) { self.silent() } else { error.into() })
    }

    fn silent(&self) -> BrokerError {
        if self.connection.status().connected() && !self.connection.status().blocked() {
            BrokerError::DeadLettersSilent(self.queue.to_string())
        } else {
            BrokerError::NotConnected
        }
    }

    /// Holds the next letters, up to `number`. The consumer ends before this returns, and what it
    /// was given stays held: a letter that is removed makes room for no other one.
    async fn turn_page(&mut self, number: u16) -> Result<(), BrokerError> {
        self.answered(self.channel.basic_qos(number, BasicQosOptions::default())).await?;
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consuming = self.channel.basic_consume(self.queue.clone(), "".into(), options, arguments);
        let mut deliveries = self.answered(consuming).await?;
        for _ in 0..number {
            let Ok(delivery) = timeout(self.answer_timeout, deliveries.next()).await else {
                // Another program may have taken the rest.
                if self.state().await?.ready > 0 {
                    return Err(self.silent());
                }
                break;
            };
            let delivery = delivery.ok_or(BrokerError::NotConnected)??;
            self.page.push_back(letter(self.system, delivery));
        }
        let cancelling = self.channel.basic_cancel(deliveries.tag(), BasicCancelOptions::default());
        self.answered(cancelling).await
    }

    /// The proof that a queue which shows no letters is empty: one that does not answer shows none.
    async fn get(&self) -> Result<Option<DeadLetter>, BrokerError> {
        let got = self.answered(self.channel.basic_get(self.queue.clone(), BasicGetOptions::default()));
        Ok(got.await?.map(|message| letter(self.system, message.delivery)))
    }
}

#[async_trait]
impl DeadLetters for RabbitDeadLetters {
    async fn unread(&mut self) -> Result<u32, BrokerError> {
        let held = u32::try_from(self.page.len()).unwrap_or(u32::MAX);
        Ok(self.state().await?.ready.saturating_add(held))
    }

    async fn next(&mut self) -> Result<Option<DeadLetter>, BrokerError> {
        if self.page.is_empty() {
            match self.state().await?.ready {
                0 => return self.get().await,
                ready => self.turn_page(u16::try_from(ready).unwrap_or(PAGE).min(PAGE)).await?,
            }
        }
        match self.page.pop_front() {
            Some(letter) => Ok(Some(letter)),
            None => self.get().await,
        }
    }

    async fn replay(&mut self, letter: &DeadLetter) -> Result<(), BrokerError> {
        let headers = headers::of_history(letter.history);
        self.publisher.publish_unfenced(&letter.body, headers).await?;
        self.remove(letter.position).await
    }

    async fn remove(&mut self, position: u64) -> Result<(), BrokerError> {
        Ok(self.channel.basic_ack(position, BasicAckOptions::default()).await?)
    }

    async fn close(self: Box<Self>) {
        let closing = self.connection.close(200, "done".into());
        if !matches!(timeout(Duration::from_secs(2), closing).await, Ok(Ok(()))) {
            tracing::debug!("the connection to the dead letters did not close in order");
        }
    }
}

/// RabbitMQ ends the connection of a client to whom a queue does not answer.
fn is_of_queue(error: &lapin::Error) -> bool {
    let lapin::ErrorKind::ProtocolError(error) = error.kind() else { return false };
    matches!(error.kind(), AMQPErrorKind::Hard(AMQPHardError::INTERNALERROR))
}

fn letter(system: SystemId, delivery: lapin::message::Delivery) -> DeadLetter {
    let fields = delivery.properties.headers().as_ref();
    let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, &delivery.data);
    DeadLetter {
        position: delivery.delivery_tag,
        id: hash.simple().to_string().chars().take(12).collect(),
        reason: headers::read_text(fields, "reason").unwrap_or_else(|| "delivery-limit".to_owned()),
        detail: headers::read_text(fields, "detail")
            .unwrap_or_else(|| "RabbitMQ gave it up after too many deliveries".to_owned()),
        history: headers::read_history(fields),
        entries: message::decode(system, &delivery.data).map(|content| content.entries).unwrap_or_default(),
        body: delivery.data,
    }
}
