//! The fence at the broker: which epochs reach the queue.

use std::time::Duration;

use super::{Recovery, RecoveryError};
use crate::broker::BrokerError;
use crate::domain::ProductId;
use crate::ledger::Leadership;
use crate::runtime::error_chain;

const CONNECTING_INTERVAL: Duration = Duration::from_millis(20);

impl Recovery {
    /// Takes hold of the bindings, where that is not done yet. The lead is proven once they are
    /// held: from then on no other process can have removed a binding that this one restores.
    /// Fails if the broker is another system's: then admission may be that system's, too.
    pub(super) async fn hold_bindings(&mut self, leader: &mut dyn Leadership) -> Result<(), RecoveryError> {
        if self.bindings.is_some() {
            return Ok(());
        }
        loop {
            match self.stores.broker.bindings().await {
                Ok(held) => {
                    leader.check().await?;
                    self.bindings = Some(held);
                    return Ok(());
                }
                Err(error @ BrokerError::ForeignSystem(_)) => return Err(error.into()),
                Err(_connecting) if self.runtime.instant() < self.broker_awaited_until => {
                    self.runtime.sleep(CONNECTING_INTERVAL).await;
                }
                Err(error) => {
                    self.not_bound.goes_on(self.runtime.instant(), &error_chain(&error));
                    return Ok(());
                }
            }
        }
    }

    /// Lets the epochs that sell reach the queue, and at the beginning of a hold no other one.
    /// Where the broker has lost its queue or a binding, that restores them, so each round does it.
    pub(super) async fn bind(&mut self, selling: &[(ProductId, u64)]) {
        let Some(bindings) = &mut self.bindings else { return };
        let bound = bindings.bind(selling).await;
        let now = self.runtime.instant();
        match bound {
            Ok(()) => self.not_bound.ended(now),
            Err(error) => {
                self.not_bound.goes_on(now, &error_chain(&error));
                self.bindings = None;
            }
        }
    }

    pub(super) async fn unbind(&mut self, fenced: &ProductId) -> Result<(), RecoveryError> {
        let bindings = self.bindings.as_mut().ok_or(RecoveryError::BindingsNotHeld)?;
        let unbound = bindings.unbind(fenced).await;
        self.kept(unbound)
    }

    /// Fails while the queue has confirmed nothing on the present connection. To find that out
    /// on the connection of the bindings would end the hold, without which a stalled queue
    /// can't be replaced.
    pub(super) async fn check_queue(&self) -> Result<(), RecoveryError> {
        loop {
            match self.stores.broker.depths().await {
                Ok(_depths) => return Ok(()),
                Err(_connecting) if self.runtime.instant() < self.broker_awaited_until => {
                    self.runtime.sleep(CONNECTING_INTERVAL).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until what reached the queue before the fence can be drained.
    pub(super) async fn settle_queue(&mut self) -> Result<(), RecoveryError> {
        let bindings = self.bindings.as_mut().ok_or(RecoveryError::BindingsNotHeld)?;
        let settled = bindings.settle().await;
        self.kept(settled)
    }

    /// An error is the end of the hold.
    pub(super) fn kept(&mut self, outcome: Result<(), BrokerError>) -> Result<(), RecoveryError> {
        if outcome.is_err() {
            self.bindings = None;
        }
        Ok(outcome?)
    }
}
