//! A broker that is wrong in a known way.

use std::{mem, sync::Arc};

use async_trait::async_trait;
use flashsale::{
    admission::Admission,
    broker::{Acknowledge, Broker, BrokerError, Consumer, Delivery, QueueState},
    domain::Entry,
};

use super::decorator::BrokerDecorator;

/// What a mutant does to the consumer of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WrongConsumer {
    /// Acks a message when it is delivered, not when it is committed.
    AcksAtDelivery,
    /// Deletes the outbox entries of a message when it is delivered.
    SettlesAtDelivery,
    /// Shows the queue as empty to who drains it.
    HidesQueue,
}

#[derive(Debug)]
pub(crate) struct WrongBroker {
    pub(crate) inner: Arc<dyn Broker>,
    pub(crate) admission: Arc<dyn Admission>,
    pub(crate) wrong: WrongConsumer,
}

impl BrokerDecorator for WrongBroker {
    fn inner(&self) -> &Arc<dyn Broker> {
        &self.inner
    }

    fn consumer(&self, consumer: Box<dyn Consumer>) -> Box<dyn Consumer> {
        let (admission, wrong) = (self.admission.clone(), self.wrong);
        Box::new(Mistaken { inner: consumer, admission, wrong })
    }
}

#[derive(Debug)]
struct Mistaken {
    inner: Box<dyn Consumer>,
    admission: Arc<dyn Admission>,
    wrong: WrongConsumer,
}

#[derive(Debug)]
struct AckedBefore;

#[async_trait]
impl Acknowledge for AckedBefore {
    async fn ack(self: Box<Self>) -> Result<(), BrokerError> {
        Ok(())
    }
}

#[async_trait]
impl Consumer for Mistaken {
    async fn start(&mut self) -> Result<(), BrokerError> {
        self.inner.start().await
    }

    async fn next(&mut self) -> Result<Delivery, BrokerError> {
        let mut delivery = self.inner.next().await?;
        match self.wrong {
            WrongConsumer::AcksAtDelivery => {
                let acknowledge: Box<dyn Acknowledge> = Box::new(AckedBefore);
                mem::replace(&mut delivery.acknowledge, acknowledge).ack().await?;
            }
            WrongConsumer::SettlesAtDelivery => {
                for group in Entry::group(delivery.content.entries.clone()) {
                    // As in the right order, an entry that can't be deleted is left to the sweeper.
                    let _ = self.admission.settle(&group).await;
                }
            }
            WrongConsumer::HidesQueue => {}
        }
        Ok(delivery)
    }

    async fn state(&mut self) -> Result<QueueState, BrokerError> {
        match self.wrong {
            WrongConsumer::HidesQueue => Ok(QueueState { ready: 0, consumers: 0 }),
            _ => self.inner.state().await,
        }
    }

    async fn close(self: Box<Self>) {
        self.inner.close().await;
    }
}
