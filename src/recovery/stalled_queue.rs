//! A queue that takes messages, and neither confirms nor delivers any: it is replaced where that
//! loses nothing.

use std::time::Duration;

use super::{Recovery, RecoveryError, obstacle::Obstacle};
use crate::ledger::Leadership;

/// A queue that confirms within this time is slow, not stalled. A new queue has as long to show
/// that it does better.
const STALLED_AFTER: Duration = Duration::from_secs(10);

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
