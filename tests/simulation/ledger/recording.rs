//! Recording in the simulated ledger: a commit takes time, and its reply may be lost.

use std::time::Duration;

use async_trait::async_trait;
use flashsale::{
    domain::{Entry, LedgerVerdict, Purchase},
    ledger::{Discard, LedgerError, RecordingLedger, Writer},
};
use tokio::time::sleep;

use super::{SimLedger, tables::RevocationRow, transaction::Transaction};

#[async_trait]
impl RecordingLedger for SimLedger {
    async fn record(&self, entries: &[Entry], writer: Writer) -> Result<Vec<LedgerVerdict>, LedgerError> {
        self.arrive().await?;
        let transaction = Transaction::begin(self, entries, writer)?;
        let most = self.database.lock().commits_take;
        let millis = u64::try_from(most.as_millis()).expect("short");
        let takes = self.sim.draw(|random| Duration::from_millis(random.u64(0..=millis)));
        sleep(takes).await;
        let verdicts = transaction.commit()?;
        self.reply().await?;
        Ok(verdicts)
    }

    async fn revoke(&self, purchase: &Purchase, reason: &str) -> Result<bool, LedgerError> {
        let revoked = self
            .run(|tables| {
                if tables.recorded_purchase(purchase.id).is_some() || tables.is_revoked(purchase.id) {
                    return false;
                }
                let Purchase { id, product, user, .. } = purchase.clone();
                tables.revocations.push(RevocationRow { id, product, user, reason: reason.to_owned() });
                true
            })
            .await?;
        let Purchase { user, unit, .. } = purchase;
        self.sim.note(self.pid, format_args!("revoke {user} unit {unit}: {revoked}, {reason}"));
        Ok(revoked)
    }

    async fn record_discard(&self, discard: Discard) -> Result<(), LedgerError> {
        self.run(|tables| tables.discards.push(discard)).await
    }
}
