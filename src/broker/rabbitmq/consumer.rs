//! The receiving end, on a connection of its own.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::StreamExt;
use lapin::{
    Acker, Channel, Connection,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions},
    types::{FieldTable, ShortString},
};
use tokio::time::timeout;

use super::{
    RabbitOptions,
    connect::{connect, with_timeout},
    headers, message,
    stall::Stall,
};
use crate::broker::{Acknowledge, BrokerError, Consumer, Content, Delivery, QueueState, Rejected};
use crate::domain::SystemId;

/// A connection to the queue of purchases.
#[derive(Debug)]
pub(super) struct RabbitConsumer {
    connection: Connection,
    channel: Channel,
    queue: ShortString,
    answer_timeout: Duration,
    stream: Option<lapin::Consumer>,
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
            let channel = connection.create_channel().await?;
            options.topology.declare(&channel, system).await?;
            channel.basic_qos(options.prefetch_messages, BasicQosOptions::default()).await?;
            Ok(Self {
                connection,
                channel,
                queue: options.topology.purchases(),
                answer_timeout: options.connect_timeout,
                stream: None,
                system,
                stall: stall.clone(),
            })
        })
        .await
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
        let stream = self.stream.as_mut().ok_or(BrokerError::NotConnected)?;
        let delivery = stream.next().await.ok_or(BrokerError::NotConnected)??;
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
