//! Decorators of the broker.

use std::{fmt::Debug, sync::Arc, time::Duration};

use async_trait::async_trait;
use flashsale::{
    broker::{
        Bindings, Broker, BrokerError, Consumer, DeadLetters, DeadReason, DeliveryHistory, Depths,
        Unrecordable,
    },
    domain::{Durability, Entry},
    observability::Dependency,
};

use super::Decorated;

/// The operations of [`Broker`] that a mutant changes.
#[async_trait]
pub(crate) trait BrokerDecorator: Debug + Send + Sync + 'static {
    fn inner(&self) -> &Arc<dyn Broker>;

    /// What the queue's consumer is replaced with.
    fn consumer(&self, consumer: Box<dyn Consumer>) -> Box<dyn Consumer> {
        consumer
    }

    /// What the dead letters are replaced with.
    fn dead_letters(&self, held: Box<dyn DeadLetters>) -> Box<dyn DeadLetters> {
        held
    }

    /// For how long the queue has confirmed and delivered nothing.
    fn stalled_for(&self) -> Option<Duration> {
        self.inner().stalled_for()
    }
}

#[async_trait]
impl<D: BrokerDecorator> Broker for Decorated<D> {
    async fn publish(&self, entries: &[Entry]) -> Result<(), BrokerError> {
        self.0.inner().publish(entries).await
    }

    async fn publish_unfenced(&self, entries: &[Entry]) -> Result<(), BrokerError> {
        self.0.inner().publish_unfenced(entries).await
    }

    async fn bindings(&self) -> Result<Box<dyn Bindings>, BrokerError> {
        self.0.inner().bindings().await
    }

    fn durability(&self) -> Durability {
        self.0.inner().durability()
    }

    async fn consumer(&self) -> Result<Box<dyn Consumer>, BrokerError> {
        Ok(self.0.consumer(self.0.inner().consumer().await?))
    }

    async fn depths(&self) -> Result<Option<Depths>, BrokerError> {
        self.0.inner().depths().await
    }

    fn generation(&self) -> u64 {
        self.0.inner().generation()
    }

    fn stalled_for(&self) -> Option<Duration> {
        self.0.stalled_for()
    }

    fn consuming(&self) -> Option<&Dependency> {
        self.0.inner().consuming()
    }

    async fn dead_letter(
        &self,
        letter: &Unrecordable,
        reason: &DeadReason,
        history: DeliveryHistory,
    ) -> Result<(), BrokerError> {
        self.0.inner().dead_letter(letter, reason, history).await
    }

    async fn dead_letters(&self) -> Result<Option<Box<dyn DeadLetters>>, BrokerError> {
        Ok(self.0.inner().dead_letters().await?.map(|held| self.0.dead_letters(held)))
    }
}
