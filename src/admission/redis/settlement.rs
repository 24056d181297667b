//! Settlement by scripts.

use async_trait::async_trait;
use redis::streams::StreamRangeReply;

use super::{
    Connections, RedisAdmission,
    records::{self, record},
    replies,
};
use crate::admission::{AdmissionError, Reassignment, Settlement, WithdrawnUnit};
use crate::domain::{Entry, EntryId, ProductId, Purchase};

impl<C: Connections> RedisAdmission<C> {
    async fn remove_from_outbox(&self, entries: &[Entry], dead: bool) -> Result<(), AdmissionError> {
        /// A script blocks all other commands while it runs.
        const ENTRIES_MAX: usize = 1000;
        for entries in entries.chunks(ENTRIES_MAX) {
            let Some(first) = entries.first() else { return Ok(()) };
            let mut call = self.call(&self.scripts().settle, &first.purchase.product);
            call.arg(first.epoch).arg(u8::from(dead));
            for entry in entries {
                call.arg(entry.id.to_string()).arg(entry.purchase.id.to_string());
            }
            self.run::<()>(call).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl<C: Connections> Settlement for RedisAdmission<C> {
    async fn outbox(
        &self,
        product: &ProductId,
        after: EntryId,
        up_to: EntryId,
        limit: usize,
    ) -> Result<Vec<Entry>, AdmissionError> {
        let key = self.keys(product).outbox;
        let mut after = after.to_string();
        loop {
            let mut range = redis::cmd("XRANGE");
            range.arg(&key).arg(format!("({after}")).arg(up_to.to_string()).arg("COUNT").arg(limit);
            let reply: StreamRangeReply = self.query(&range).await?;
            let Some(last) = reply.ids.last().map(|entry| entry.id.clone()) else { return Ok(Vec::new()) };
            let entries = records::outbox(reply, product);
            if !entries.is_empty() {
                return Ok(entries);
            }
            after = last;
        }
    }

    async fn settle(&self, entries: &[Entry]) -> Result<(), AdmissionError> {
        self.remove_from_outbox(entries, false).await
    }

    async fn mark_dead_lettered(&self, entries: &[Entry]) -> Result<(), AdmissionError> {
        self.remove_from_outbox(entries, true).await
    }

    async fn withdraw(
        &self,
        withdrawn: &Purchase,
        stands: Option<&Purchase>,
        unit: WithdrawnUnit,
    ) -> Result<(), AdmissionError> {
        let mut call = self.call(&self.scripts().withdraw, &withdrawn.product);
        call.arg(withdrawn.user.as_str()).arg(withdrawn.id.to_string());
        call.arg(stands.map(record).unwrap_or_default()).arg(u8::from(unit == WithdrawnUnit::Returns));
        self.run_known(&withdrawn.product, call).await.map(drop)
    }

    async fn reassign(&self, purchase: &Purchase, may_keep: bool) -> Result<Reassignment, AdmissionError> {
        let mut call = self.call(&self.scripts().reassign, &purchase.product);
        call.arg(purchase.user.as_str()).arg(purchase.id.to_string()).arg(purchase.unit);
        call.arg(u8::from(!may_keep));
        let reply = self.run_known(&purchase.product, call).await?;
        replies::reassignment(&reply, &purchase.product, &purchase.user)
    }

    async fn adopt(&self, owner: &Purchase) -> Result<(), AdmissionError> {
        let mut call = self.call(&self.scripts().adopt, &owner.product);
        call.arg(owner.user.as_str()).arg(record(owner));
        self.run(call).await
    }

    async fn send_again(&self, purchase: &Purchase) -> Result<bool, AdmissionError> {
        let mut call = self.call(&self.scripts().republish, &purchase.product);
        call.arg(purchase.user.as_str()).arg(purchase.id.to_string());
        self.run(call).await
    }
}
