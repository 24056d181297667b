//! Operators' decisions by scripts.

use async_trait::async_trait;

use super::{Connections, RedisAdmission, call::add_window, records::record, replies};
use crate::admission::{AdmissionError, OperatorDecisions};
use crate::domain::{ProductId, Purchase, Terms, UserId};

#[async_trait]
impl<C: Connections> OperatorDecisions for RedisAdmission<C> {
    async fn cancel(
        &self,
        cancelled: &Purchase,
        keeps_unit: bool,
        may_buy_again: bool,
    ) -> Result<bool, AdmissionError> {
        let mut call = self.call(&self.scripts().cancel, &cancelled.product);
        call.arg(cancelled.user.as_str()).arg(cancelled.id.to_string());
        call.arg(u8::from(keeps_unit)).arg(u8::from(may_buy_again));
        replies::is_done(&self.run_known(&cancelled.product, call).await?)
    }

    async fn bar(&self, earlier: &[Purchase]) -> Result<(), AdmissionError> {
        let Some(first) = earlier.first() else { return Ok(()) };
        let mut call = self.call(&self.scripts().bar, &first.product);
        for purchase in earlier {
            call.arg(purchase.user.as_str()).arg(record(purchase));
        }
        replies::is_done(&self.run_known(&first.product, call).await?).map(|_done| ())
    }

    async fn rename(
        &self,
        product: &ProductId,
        user: &UserId,
        pseudonym: &UserId,
    ) -> Result<bool, AdmissionError> {
        let mut call = self.call(&self.scripts().rename, product);
        call.arg(user.as_str()).arg(pseudonym.as_str());
        replies::is_done(&self.run_known(product, call).await?)
    }

    async fn configure(
        &self,
        product: &ProductId,
        epoch: u64,
        terms: &Terms,
    ) -> Result<bool, AdmissionError> {
        let mut call = self.call(&self.scripts().configure, product);
        call.arg(epoch).arg(terms.total_stock);
        add_window(&mut call, terms);
        self.run(call).await
    }
}
