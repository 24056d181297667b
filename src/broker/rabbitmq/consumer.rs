//! The receiving end, on a connection of its own.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::StreamExt;
use lapin::{
    Acker, Channel, Connection,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions},
    types::{FieldTable, ShortString},
};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use super::{
    RabbitOptions,
    connect::{connect, with_timeout},
    headers, message,
    stall::Stall,
};
use crate::broker::{Acknowledge, BrokerError, Consumer, Content, Delivery, QueueState, Rejected};
use crate::domain::SystemId;

/// A consumer to which nothing was delivered for so long asks whether the queue has messages.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);

/// A connection to the queue of purchases.
#[derive(Debug)]
pub(super) struct RabbitConsumer {
    connection: Connection,
    channel: Channel,
    queue: ShortString,
    answer_timeout: Duration,
    stream: Option<lapin::Consumer>,
    /// Ticks while nothing is delivered.
    idle: Interval,
    /// A wait for a message may be given up during a check, which then begins again.
    check_is_due: bool,
    was_behind: bool,
    system: SystemId,
    stall: Arc<Stall>,
}

impl RabbitConsumer {
    pub(super) async fn connect(
        options: &RabbitOptions,
        system: SystemId,
        stall: &Arc<Stall>,
    ) -> Result<Self, BrokerError> {
        with_timeout(options, async {
            let connection = connect(options, "consume").await?;
            options.topology.ensure(&connection, system).await?;
            let channel = connection.create_channel().await?;
            channel.basic_qos(options.prefetch_messages, BasicQosOptions::default()).await?;
            let mut idle = interval(IDLE_INTERVAL);
            idle.set_missed_tick_behavior(MissedTickBehavior::Delay);
            Ok(Self {
                connection,
                channel,
                queue: options.topology.purchases(),
                answer_timeout: options.connect_timeout,
                stream: None,
                idle,
                check_is_due: false,
                was_behind: false,
                system,
                stall: stall.clone(),
            })
        })
        .await
    }
}

impl RabbitConsumer {
    /// Fails when the queue has had messages for a while, and delivers none. RabbitMQ moves the
    /// consumer of a queue that was deleted over to a new queue of the same name, if that is
    /// declared at once, and then takes new messages for ones that this consumer has seen.
    async fn check_delivery(&mut self) -> Result<(), BrokerError> {
        let is_behind = self.state().await?.ready > 0;
        if is_behind && self.was_behind {
            return Err(BrokerError::Undelivered);
        }
        self.was_behind = is_behind;
        Ok(())
    }
}

#[async_trait]
impl Consumer for RabbitConsumer {
    async fn start(&mut self) -> Result<(), BrokerError> {
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consuming = self.channel.basic_consume(self.queue.clone(), "".into(), options, arguments);
        let consuming = timeout(self.answer_timeout, consuming).await;
        self.stream = Some(consuming.map_err(|_elapsed| BrokerError::NotConnected)??);
        Ok(())
    }

    async fn next(&mut self) -> Result<Delivery, BrokerError> {
        let delivery = loop {
            let stream = self.stream.as_mut().ok_or(BrokerError::NotConnected)?;
            tokio::select! {
                biased;
                delivery = stream.next() => break delivery.ok_or(BrokerError::NotConnected)??,
                () = std::future::ready(()), if self.check_is_due => {}
                _ = self.idle.tick() => self.check_is_due = true,
            }
            self.check_delivery().await?;
            self.check_is_due = false;
        };
        self.idle.reset();
        self.check_is_due = false;
        self.was_behind = false;
        self.stall.ended();
        let history = headers::read_history(delivery.properties.headers().as_ref());
        let content = message::decode(self.system, &delivery.data).unwrap_or_else(|reason| Content {
            entries: Vec::new(),
            rejected: vec![Rejected { body: delivery.data.clone(), reason }],
        });
        Ok(Delivery { content, history, acknowledge: Box::new(delivery.acker) })
    }

    async fn state(&mut self) -> Result<QueueState, BrokerError> {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let asking = self.channel.queue_declare(self.queue.clone(), passive, FieldTable::default());
        let queue = timeout(self.answer_timeout, asking).await;
        let queue = queue.map_err(|_elapsed| BrokerError::NotConnected)??;
        Ok(QueueState { ready: queue.message_count(), consumers: queue.consumer_count() })
    }

    async fn close(self: Box<Self>) {
        let closing = self.connection.close(200, "done".into());
        let closed = timeout(Duration::from_secs(2), closing).await;
        if !matches!(closed, Ok(Ok(()))) {
            tracing::debug!("the consuming connection did not close in order");
        }
    }
}

#[async_trait]
impl Acknowledge for Acker {
    async fn ack(self: Box<Self>) -> Result<(), BrokerError> {
        // False: the acker's channel is gone, and the message is delivered again.
        if Acker::ack(&self, BasicAckOptions::default()).await? {
            Ok(())
        } else {
            Err(BrokerError::NotConnected)
        }
    }
}
