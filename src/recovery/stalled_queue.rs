//! A queue that takes messages, and neither confirms nor delivers any: it is replaced where that
//! loses nothing.

use std::time::{Duration, Instant};

use super::{Recovery, RecoveryError};
use crate::domain::SaleState;
use crate::ledger::Leadership;

/// A queue that confirms within this time is slow, not stalled. A new queue has as long to show
/// that it does better.
const STALLED_AFTER: Duration = Duration::from_secs(10);

/// Why a stalled queue may hold purchases that nothing else has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Obstacle {
    /// The outbox of a lost state is lost with it.
    NotIntact,
    /// A dead letter that was replayed is in the queue alone.
    DeadLetters,
}

impl Obstacle {
    /// Of a sale whose admission state is intact: every purchase that is not recorded is in its
    /// outbox, or was dead-lettered.
    pub(super) fn in_sale(state: &SaleState) -> Option<Self> {
        (state.dead > 0).then_some(Self::DeadLetters)
    }

    fn describe(self) -> &'static str {
        match self {
            Self::NotIntact => "a sale has to be rebuilt from it, or can't be read",
            Self::DeadLetters => "a sale has dead letters, which may have been replayed into it",
        }
    }
}

/// What was done about the queue.
#[derive(Debug, Default)]
pub(super) struct Stalled {
    replaced_at: Option<Instant>,
    is_noted: bool,
}

impl Recovery {
    /// Replaces a stalled queue, so that the sweeper fills it again; or tells an operator what to
    /// do, once.
    pub(super) async fn replace_stalled_queue(
        &mut self,
        leader: &mut dyn Leadership,
        obstacle: Option<Obstacle>,
    ) -> Result<(), RecoveryError> {
        let now = self.runtime.instant();
        if self.stores.broker.stalled_for().is_none_or(|lasts| lasts < STALLED_AFTER) {
            self.stalled.is_noted = false;
            return Ok(());
        }
        if self.stalled.replaced_at.is_some_and(|at| now - at < STALLED_AFTER) {
            return Ok(());
        }
        if let Some(obstacle) = obstacle {
            if !self.stalled.is_noted {
                self.stalled.is_noted = true;
                tracing::error!(
                    "the queue of purchases confirms and delivers nothing, and is not replaced, because {}. \
                     Repair the broker; if that is not possible, delete the queue <prefix>.purchases, which loses \
                     the purchases that it alone holds, and it is declared anew within a second",
                    obstacle.describe()
                );
            }
            return Ok(());
        }
        leader.check().await?;
        let bindings = self.bindings.as_mut().ok_or(RecoveryError::BindingsNotHeld)?;
        let replaced = bindings.replace_queue().await;
        self.kept(replaced)?;
        self.stalled.replaced_at = Some(now);
        tracing::warn!(
            "replaced the queue of purchases, which confirmed and delivered nothing; the outbox has everything \
             that was in it, and is sent again"
        );
        Ok(())
    }
}
