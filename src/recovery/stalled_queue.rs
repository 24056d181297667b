//! A queue that takes messages, and neither confirms nor delivers any: it is replaced where that
//! loses nothing. Otherwise an operator is told what to do.

use std::time::Duration;

use super::{
    Recovery, RecoveryError,
    obstacle::Obstacles,
    operator::{DEAD_LETTERS, PURCHASES},
};
use crate::broker::BrokerError;
use crate::domain::{EntryId, ProductId};
use crate::ledger::{Leadership, LedgerSale};
use crate::runtime::error_chain;

/// A queue that confirms within this time is slow, not stalled. A new queue has as long to show
/// that it does better.
const STALLED_AFTER: Duration = Duration::from_secs(10);
/// Between two tries of a dead-letter queue that did not answer; one may take seconds.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(20);

impl Recovery {
    /// Replaces a stalled queue, so that the sweeper fills it again; or tells an operator what to
    /// do, once. `broken`: sales that have to be rebuilt.
    pub(super) async fn replace_stalled_queues(
        &mut self,
        leader: &mut dyn Leadership,
        mut obstacles: Obstacles,
        broken: &[(LedgerSale, String)],
    ) -> Result<(), RecoveryError> {
        self.ask_dead_letters_again().await;
        let now = self.runtime.instant();
        if self.stores.broker.stalled_for().is_none_or(|lasts| lasts < STALLED_AFTER) {
            self.requests.withdraw(PURCHASES);
            return Ok(());
        }
        if self.replaced_at.is_some_and(|at| now - at < STALLED_AFTER) {
            return Ok(());
        }
        for (sale, _) in broken {
            if sale.opened_epoch > 0 || !self.has_nothing(&sale.product).await? {
                obstacles.not_intact();
            }
        }
        if let Some(obstacle) = obstacles.of_purchases {
            if !self.requests.is_asked(PURCHASES) {
                self.check_dead_letters(Some(leader), obstacles).await?;
            }
            let request = format!(
                "it confirms and delivers nothing, and is not replaced, because {}. Repair the broker; if that is \
                 not possible, delete the queue <prefix>.purchases, which loses the purchases that it alone \
                 holds, and it is declared anew within a second",
                obstacle.describe()
            );
            self.requests.ask(PURCHASES, request);
            return Ok(());
        }
        leader.check().await?;
        let bindings = self.bindings.as_mut().ok_or(RecoveryError::BindingsNotHeld)?;
        let replaced = bindings.replace_queue().await;
        self.kept(replaced)?;
        self.replaced_at = Some(now);
        self.requests.withdraw(PURCHASES);
        tracing::warn!(
            "replaced the queue of purchases, which confirmed and delivered nothing; the outbox has everything \
             that was in it, and is sent again"
        );
        self.check_dead_letters(Some(leader), obstacles).await
    }

    /// Whether admission knows no purchase of a sale that the ledger has never let sell.
    async fn has_nothing(&self, product: &ProductId) -> Result<bool, RecoveryError> {
        let admission = &self.stores.admission;
        Ok(admission.outbox(product, EntryId::FIRST, EntryId::LAST, 1).await?.is_empty()
            && admission.contents(product).await?.winners.is_empty())
    }

    /// Replaces a dead-letter queue that does not answer, where it can hold nothing; or asks an
    /// operator. `leader`: without one, it is only asked again.
    async fn check_dead_letters(
        &mut self,
        leader: Option<&mut dyn Leadership>,
        obstacles: Obstacles,
    ) -> Result<(), RecoveryError> {
        let silent = match self.dead_letters_answer().await {
            Ok(()) => {
                self.requests.withdraw(DEAD_LETTERS);
                return Ok(());
            }
            Err(silent @ BrokerError::DeadLettersSilent(_)) => silent,
            Err(error) => {
                tracing::debug!(error = error_chain(&error), "the dead letters were not asked");
                return Ok(());
            }
        };
        let (Some(leader), None) = (leader, obstacles.of_dead_letters) else {
            self.note_dead_letters(&silent);
            return Ok(());
        };
        leader.check().await?;
        let bindings = self.bindings.as_mut().ok_or(RecoveryError::BindingsNotHeld)?;
        let replaced = bindings.replace_dead_letters().await;
        self.kept(replaced)?;
        self.requests.withdraw(DEAD_LETTERS);
        tracing::warn!(
            "replaced the dead-letter queue, which did not answer; no worker has recorded anything yet"
        );
        Ok(())
    }

    /// An operator may have repaired what an operator was asked to repair.
    async fn ask_dead_letters_again(&mut self) {
        let is_due = self.runtime.instant() >= self.ask_dead_letters_at;
        if is_due && self.requests.is_asked(DEAD_LETTERS) {
            self.ask_dead_letters_at = self.runtime.instant() + ASK_AGAIN_AFTER;
            let _ = self.check_dead_letters(None, Obstacles::default()).await;
        }
    }

    async fn dead_letters_answer(&self) -> Result<(), BrokerError> {
        let Some(mut held) = self.stores.broker.dead_letters().await? else { return Ok(()) };
        let read = held.next().await;
        held.close().await;
        read.map(drop)
    }

    /// Tells an operator, if the dead-letter queue is what an error is about.
    pub(super) fn note_dead_letters(&mut self, error: &BrokerError) {
        if let BrokerError::DeadLettersSilent(_) = error {
            self.requests.ask(DEAD_LETTERS, error.to_string());
            self.ask_dead_letters_at = self.runtime.instant() + ASK_AGAIN_AFTER;
        }
    }
}
