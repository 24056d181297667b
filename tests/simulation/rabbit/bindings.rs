//! The bindings of the queue, held by one connection at a time.

use std::time::Duration;

use async_trait::async_trait;
use flashsale::{
    broker::{Bindings, BrokerError},
    domain::ProductId,
};
use tokio::time::sleep;

use super::{
    PUBLISH_TIMEOUT, SimBroker,
    server::{Confirms, IN_TRANSIT_MAX, State},
};
use crate::executor::WORLD;

#[derive(Debug)]
pub(super) struct SimBindings {
    broker: SimBroker,
    id: u64,
    /// Nothing was bound yet.
    is_new: bool,
}

impl SimBindings {
    pub(super) fn hold(broker: &SimBroker) -> Result<Self, BrokerError> {
        let mut state = broker.server.lock();
        if state.bindings_holder.is_some() {
            return Err(BrokerError::BindingsInUse);
        }
        state.last_number += 1;
        let id = state.last_number;
        state.bindings_holder = Some(id);
        drop(state);
        Ok(Self { broker: broker.clone(), id, is_new: true })
    }

    /// Changes the server's state, if the connection still holds the bindings when the change arrives.
    async fn change(&self, change: impl FnOnce(&mut State) + Send) -> Result<(), BrokerError> {
        self.broker.sim.latency().await;
        let mut state = self.broker.server.lock();
        if !state.up || state.bindings_holder != Some(self.id) {
            return Err(BrokerError::NotConnected);
        }
        state.has_queue = true;
        change(&mut state);
        Ok(())
    }
}

#[async_trait]
impl Bindings for SimBindings {
    async fn bind(&mut self, epochs: &[(ProductId, u64)]) -> Result<(), BrokerError> {
        let is_first = std::mem::take(&mut self.is_new);
        self.change(|state| {
            if is_first {
                state.bindings.clear();
            }
            state.bindings.extend(epochs.iter().cloned());
        })
        .await
    }

    async fn unbind(&mut self, product: &ProductId) -> Result<(), BrokerError> {
        let SimBroker { sim, pid, .. } = &self.broker;
        sim.note(*pid, format_args!("unbinds {product}"));
        if self.is_new {
            return Err(BrokerError::NotConnected);
        }
        self.change(|state| state.bindings.retain(|(bound, _)| bound != product)).await
    }

    async fn replace_queue(&mut self) -> Result<(), BrokerError> {
        self.change(|state| {
            state.is_stalled = false;
            state.ready.clear();
            state.bindings.clear();
        })
        .await
    }

    async fn replace_dead_letters(&mut self) -> Result<(), BrokerError> {
        self.change(|state| state.dead.clear()).await
    }

    async fn settle(&mut self) -> Result<(), BrokerError> {
        sleep(IN_TRANSIT_MAX).await;
        self.change(|state| state.barrier = state.last_number).await?;
        let (is_held_up, confirms) = {
            let state = self.broker.server.lock();
            (state.alarm || state.is_stalled, state.confirms)
        };
        match confirms {
            _ if is_held_up => sleep(PUBLISH_TIMEOUT).await,
            Confirms::Prompt => return Ok(()),
            Confirms::Late(late) if late < PUBLISH_TIMEOUT => {
                sleep(late).await;
                return self.change(|_| {}).await;
            }
            Confirms::Late(_) | Confirms::Never => sleep(PUBLISH_TIMEOUT).await,
        }
        Err(BrokerError::Unconfirmed("time-out"))
    }
}

impl Drop for SimBindings {
    /// A crash closes the connection; where its host is gone with it, the broker notices by missed heartbeats.
    fn drop(&mut self) {
        let (SimBroker { sim, server, pid, .. }, id) = (self.broker.clone(), self.id);
        let end = move || {
            let mut state = server.lock();
            if state.bindings_holder == Some(id) {
                state.bindings_holder = None;
            }
        };
        if !sim.executor.is_crashing(pid) || !sim.happens(20) {
            return end();
        }
        sim.executor.spawn(WORLD, async move {
            sleep(Duration::from_secs(20)).await;
            end();
        });
    }
}
