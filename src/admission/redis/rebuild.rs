//! Rebuilds by scripts.

use async_trait::async_trait;

use super::{
    Connections, RedisAdmission,
    call::add_window,
    records::{Winners, record},
};
use crate::admission::{
    AdmissionError, Contents, Fence, Horizon, Opening, Rebuild, RebuildStep, SnapshotTotals, StagedPart,
    Watermark,
};
use crate::domain::{ProductId, Terms, UsedRight};

#[async_trait]
impl<C: Connections> Rebuild for RedisAdmission<C> {
    async fn contents(&self, product: &ProductId) -> Result<Contents, AdmissionError> {
        let keys = self.keys(product);
        let free: Vec<String> = self.query(redis::cmd("LRANGE").arg(keys.free).arg(0).arg(-1)).await?;
        let mut read = Winners::of(product, &free);
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("HSCAN");
            scan.arg(&keys.buyers).arg(cursor).arg("COUNT").arg(1000);
            let (next, page): (u64, Vec<(String, String)>) = self.query(&scan).await?;
            read.add(page);
            cursor = next;
            if cursor == 0 {
                return Ok(read.contents());
            }
        }
    }

    async fn fence(&self, product: &ProductId, epoch: u64) -> Result<Fence, AdmissionError> {
        let mut call = self.call(&self.scripts().fence, product);
        call.arg(epoch);
        Ok(match self.run(call).await? {
            0 => Fence::Stopped,
            later => Fence::Later(later),
        })
    }

    async fn note_step(
        &self,
        product: &ProductId,
        epoch: u64,
        step: RebuildStep,
    ) -> Result<(), AdmissionError> {
        let mut call = self.call(&self.scripts().note_step, product);
        call.arg(epoch).arg(step.number());
        self.run(call).await
    }

    async fn stage(&self, product: &ProductId, epoch: u64, part: &StagedPart) -> Result<(), AdmissionError> {
        let StagedPart { recorded, dead_lettered, used, free } = part;
        let mut call = self.staging_call(&self.scripts().stage, product, epoch);
        call.arg(free.len()).arg(free).arg(dead_lettered.len());
        for purchase in dead_lettered {
            call.arg(purchase.id.to_string());
        }
        for purchase in recorded.iter().chain(dead_lettered) {
            call.arg(purchase.user.as_str()).arg(record(purchase));
        }
        for UsedRight { purchase, is_cancelled } in used {
            let mark = if *is_cancelled { " C" } else { "" };
            call.arg(purchase.user.as_str()).arg(record(purchase) + mark);
        }
        self.run(call).await
    }

    async fn unstage(&self, product: &ProductId, epoch: u64) -> Result<(), AdmissionError> {
        let staged = self.keys(product).staged(epoch);
        self.query(redis::cmd("UNLINK").arg(&staged[..])).await
    }

    async fn open(
        &self,
        product: &ProductId,
        epoch: u64,
        terms: &Terms,
        totals: SnapshotTotals,
    ) -> Result<Opening, AdmissionError> {
        let mut call = self.staging_call(&self.scripts().open, product, epoch);
        let SnapshotTotals { next, balance, revoked } = totals;
        call.arg(epoch).arg(terms.total_stock).arg(next);
        add_window(&mut call, terms);
        call.arg(u8::from(revoked)).arg(balance);
        match self.run::<String>(call).await?.as_str() {
            "OPEN" => Ok(Opening::Open),
            "STALE" => Ok(Opening::Stale),
            "INCOMPLETE" => Ok(Opening::Incomplete),
            other => Err(AdmissionError::Malformed(other.into())),
        }
    }

    fn seen_epoch(&self, product: &ProductId) -> u64 {
        self.shared.watermarks.of(product).surpassed_epoch()
    }

    fn raise_watermark(&self, product: &ProductId, raised: u64, opened: u64) {
        let seen = Watermark { epoch: opened, unit: 0 };
        self.shared.watermarks.advance(product, Horizon { seen, raised });
    }
}
