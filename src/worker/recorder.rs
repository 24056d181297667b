//! What recording works with, and what becomes of purchases that can't be recorded.

use super::Mode;
use crate::admission::AdmissionError;
use crate::broker::{BrokerError, DeadReason, DeliveryHistory, Unrecordable};
use crate::domain::{Entry, Purchase};
use crate::ledger::LedgerError;
use crate::observability::{EventKind, Telemetry};
use crate::runtime::error_chain;
use crate::stores::Stores;

/// Records in one mode, on these stores.
#[derive(Clone, Debug)]
pub struct Recorder {
    pub stores: Stores,
    pub telemetry: Telemetry,
    pub mode: Mode,
}

/// A purchase that can never be recorded, as admission has it, and why.
#[derive(Clone, Debug)]
pub struct Dead {
    pub entry: Entry,
    pub reason: DeadReason,
}

impl Recorder {
    /// Publishes what can never be recorded to the dead-letter queue.
    pub(super) async fn dead_letter(
        &self,
        letter: &Unrecordable,
        reason: &DeadReason,
        history: DeliveryHistory,
    ) -> Result<(), BrokerError> {
        self.stores.broker.dead_letter(letter, reason, history).await?;
        let DeadReason { class, detail } = reason;
        tracing::warn!(reason = class.as_str(), "dead-lettered: {detail:.500}");
        self.telemetry.events.note(EventKind::DeadLetter, class.as_str(), format!("{detail:.200}"));
        Ok(())
    }

    /// Publishes a purchase to the dead-letter queue, and tells admission so.
    pub async fn dead_letter_entry(
        &self,
        Dead { entry, reason }: &Dead,
        history: DeliveryHistory,
    ) -> Result<(), BrokerError> {
        self.dead_letter(&Unrecordable::Entry(entry.clone()), reason, history).await?;
        Self::note_unsettled(self.stores.admission.mark_dead_lettered(std::slice::from_ref(entry)).await);
        Ok(())
    }

    /// Records why a purchase is taken back. False: it is in the ledger by now, and stays,
    /// or was revoked before.
    pub async fn revoke(&self, purchase: &Purchase, reason: &str) -> Result<bool, LedgerError> {
        let revoked = self.stores.ledger.revoke(purchase, reason).await?;
        if revoked {
            tracing::warn!(purchase = %purchase.id, user = %purchase.user, "revoked: {reason}");
        }
        Ok(revoked)
    }

    /// Admission can't be reached, or was rebuilt: the rows stand all the same. An entry that stays
    /// is swept, found recorded, and deleted then.
    pub(super) fn note_unsettled(settled: Result<(), AdmissionError>) {
        if let Err(error) = settled {
            tracing::debug!(error = error_chain(&error), "outbox entries stay for the sweeper");
        }
    }
}
