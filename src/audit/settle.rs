//! Waits until all purchases of one product are recorded.

use std::{collections::HashSet, time::Duration};

use super::{
    History, Sources, empty_messages,
    sources::{GatherError, PAGE},
};
use crate::domain::{AdmissionChange, ChangeKind, ProductId};
use crate::runtime::{Runtime, error_chain};

const POLL_INTERVAL: Duration = Duration::from_millis(250);

impl Sources {
    /// Waits until outbox and queue are empty, operators' decisions are carried over, and every
    /// purchase that the history promises is recorded, revoked or dead-lettered: what a publisher
    /// keeps in memory, and what a consumer held that is gone, is in neither. Where the time is
    /// over and only promises are missing, the audit finds them.
    pub async fn settle(
        &self,
        product: &ProductId,
        history: Option<&History>,
        timeout: Duration,
        runtime: &Runtime,
    ) -> Result<(), GatherError> {
        self.sale(product).await?;
        let deadline = runtime.instant() + timeout;
        let mut promised = history.map(History::promised).unwrap_or_default();
        let mut queue_of_proofs = self.broker.as_deref();
        loop {
            let is_over = runtime.instant() > deadline;
            let in_flight = self.in_flight(product).await;
            if matches!(in_flight, Ok((0, 1.., _)))
                && let Some(broker) = queue_of_proofs.take()
            {
                // Where no worker runs, they would pass for purchases on their way.
                if let Err(error) = empty_messages::remove(broker, runtime).await {
                    tracing::debug!(error = error_chain(&error), "messages without purchases stay");
                }
                continue;
            }
            match in_flight {
                Ok((0, 0, 0)) if is_over => return Ok(()),
                Ok((0, 0, 0)) => match self.have_settled(product, &mut promised).await {
                    Ok(true) => return Ok(()),
                    Ok(false) => {}
                    // A store may be away for a moment, and others may be reading the dead letters.
                    Err(error) => tracing::debug!(error = error_chain(&error), "not settled yet"),
                },
                Ok((in_flight, queued, changes)) if is_over => {
                    return Err(GatherError::Unsettled { in_flight, queued, changes });
                }
                Err(error) if is_over => return Err(error),
                Ok(_) | Err(_) => {}
            }
            runtime.sleep(POLL_INTERVAL).await;
        }
    }

    /// Whether these purchases have arrived; leaves those that have not.
    async fn have_settled(
        &self,
        product: &ProductId,
        promised: &mut HashSet<&str>,
    ) -> Result<bool, GatherError> {
        if !promised.is_empty() {
            let rows = self.ledger.all_recorded(product).await?;
            let revoked = self.ledger.revocations(product).await?;
            let settled = rows.iter().map(|row| row.purchase.id).chain(revoked.iter().map(|(id, _)| *id));
            let dead = self.dead(product).await?;
            for id in settled.chain(dead.iter().map(|purchase| purchase.id)) {
                promised.remove(id.to_string().as_str());
            }
        }
        Ok(promised.is_empty())
    }

    async fn in_flight(&self, product: &ProductId) -> Result<(u64, u32, usize), GatherError> {
        let Some(admission) = &self.admission else { return Ok((0, self.queued().await?.unwrap_or(0), 0)) };
        let in_flight = admission.sale(product).await?.in_flight;
        // Units and rights are affected by these kinds alone, and an erasure may wait for long.
        let affects = |change: &AdmissionChange| match &change.kind {
            ChangeKind::Cancel { purchase, .. } | ChangeKind::Import(purchase) => {
                purchase.product == *product
            }
            ChangeKind::Rename { .. } => false,
        };
        let changes = self.ledger.changes(0, PAGE).await?.iter().filter(|change| affects(change)).count();
        Ok((in_flight, self.queued().await?.unwrap_or(0), changes))
    }
}
