//! Makes a product's admission state from the ledger. Nothing else writes that state as a whole: not at the
//! first preparation, not after a loss, not after a rollback.
//!
//! Every step can be cut off and done again: until the last one admission is closed, and a new attempt starts
//! with a higher epoch.

use std::time::Instant;

use super::{Recovery, RecoveryError};
use crate::admission::{Gate, Opening};
use crate::ledger::{Leader, Ledger, LedgerSale};

/// Rows read and staged at a time.
const PAGE: u32 = 2_000;

impl Recovery {
    /// Rebuilds one product and lets the workers go on, whether it succeeded or not.
    pub(super) async fn rebuild(
        &self,
        leader: &mut Leader,
        sale: &LedgerSale,
        reason: &str,
    ) -> Result<(), RecoveryError> {
        let product = &sale.product;
        tracing::info!(%product, "rebuilding admission from the ledger: {reason}");
        let started = Instant::now();
        let rebuilt = self.fence_drain_load(leader, sale).await;
        leader.resume_workers().await?;
        match &rebuilt {
            Ok(Loaded { epoch, buyers, free }) => tracing::info!(
                %product, epoch, buyers, free, elapsed = ?started.elapsed(), "the sale is ready"
            ),
            Err(error) => tracing::warn!(%product, %error, "not rebuilt yet, trying again"),
        }
        rebuilt.map(drop)
    }

    async fn fence_drain_load(
        &self,
        leader: &mut Leader,
        sale: &LedgerSale,
    ) -> Result<Loaded, RecoveryError> {
        let product = &sale.product;
        let epoch = self.stores.ledger.raise_epoch(product).await?;
        self.stores.gate.fence(product).await?;
        leader.pause_workers().await?;
        let was_open_before = sale.epoch > 0;
        if was_open_before && self.stores.gate.outlives_process() {
            tokio::time::sleep(self.options.settle_time).await;
            self.drain(product).await?;
        }
        // The snapshot is whole only while the workers stand aside.
        leader.check().await?;
        let loaded = load(&self.stores.ledger, &self.stores.gate, sale, epoch).await?;
        leader.check().await?;
        let revoked = self.stores.ledger.revocations(product).await?;
        let next = loaded.buyers + loaded.free;
        match self.stores.gate.open(product, epoch, &sale.terms, next, revoked).await? {
            Opening::Open => Ok(loaded),
            refused => Err(RecoveryError::NotOpened(refused)),
        }
    }
}

/// What was staged.
struct Loaded {
    epoch: u64,
    buyers: u32,
    /// Units below the highest sold one that nobody has.
    free: u32,
}

async fn load(ledger: &Ledger, gate: &Gate, sale: &LedgerSale, epoch: u64) -> Result<Loaded, RecoveryError> {
    let mut loaded = Loaded { epoch, buyers: 0, free: 0 };
    let mut last = 0;
    loop {
        let page = ledger.purchases(&sale.product, last, PAGE).await?;
        if page.is_empty() {
            return Ok(loaded);
        }
        let mut free = Vec::new();
        for purchase in &page {
            free.extend(last + 1..purchase.unit);
            last = purchase.unit;
            loaded.buyers += 1;
        }
        loaded.free += u32::try_from(free.len()).unwrap_or(u32::MAX);
        // A gap may be long; a script's arguments must not be.
        let mut parts = free.chunks(PAGE as usize);
        gate.stage(&sale.product, epoch, &page, parts.next().unwrap_or(&[])).await?;
        for part in parts {
            gate.stage(&sale.product, epoch, &[], part).await?;
        }
    }
}
