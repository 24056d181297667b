//! What a step of a batch works with.

use super::Mode;
use crate::broker::{BrokerError, DeadReason, DeliveryHistory, Unrecordable};
use crate::observability::{EventKind, Telemetry};
use crate::stores::Stores;

/// Records in one mode, on these stores.
#[derive(Clone, Debug)]
pub struct Recorder {
    pub stores: Stores,
    pub telemetry: Telemetry,
    pub mode: Mode,
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
}
