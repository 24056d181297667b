//! Admission that is wrong in a known way.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use flashsale::{
    admission::{
        Admission, AdmissionError, Contents, Decision, Keys, Opening, Scripts, SnapshotTotals, StagedPart,
    },
    domain::{Entry, EntryId, Outcome, ProductId, Purchase, PurchaseId, SaleState, Terms, UserId},
};
use redis::aio::ConnectionLike;

use super::decorator::{AdmissionDecorator, Decorated};

/// Scripts of which `admit` does not look for an earlier purchase of the user.
pub(crate) fn no_duplicate_check() -> Scripts {
    Scripts::edited(|name, text| {
        if name != "admit" {
            return text;
        }
        let edited = text
            .replace("local winner, returned = call('HGET', KEYS[3], ARGV[1]), nil", "local winner, returned")
            .replace("if damage(next_unit) then", "if false then");
        assert_ne!(edited.len(), text.len(), "admit.lua has changed: edit this mutant too");
        edited
    })
}

/// Takes an attempt of which nothing is known for one that found no unit.
#[derive(Debug)]
pub(crate) struct TimeOutIsSoldOut(pub(crate) Arc<dyn Admission>);

#[async_trait]
impl AdmissionDecorator for TimeOutIsSoldOut {
    fn inner(&self) -> &Arc<dyn Admission> {
        &self.0
    }

    fn around(&self, inner: Arc<dyn Admission>) -> Self {
        Self(inner)
    }

    async fn admit(
        &self,
        product: &ProductId,
        user: &UserId,
        id: PurchaseId,
    ) -> Result<Decision, AdmissionError> {
        match self.0.admit(product, user, id).await {
            Err(error) if error.is_unknown() => Ok(Decision::Refused(Outcome::SoldOut)),
            decided => decided,
        }
    }
}

/// Opens a sale with the whole stock, as if nothing was sold, and hides that.
#[derive(Debug)]
pub(crate) struct ResetStock(pub(crate) Arc<dyn Admission>);

#[async_trait]
impl AdmissionDecorator for ResetStock {
    fn inner(&self) -> &Arc<dyn Admission> {
        &self.0
    }

    fn around(&self, inner: Arc<dyn Admission>) -> Self {
        Self(inner)
    }

    async fn sale(&self, product: &ProductId) -> Result<SaleState, AdmissionError> {
        let sale = self.0.sale(product).await?;
        Ok(SaleState { next: sale.terms.total_stock, ..sale })
    }

    async fn stage(
        &self,
        _product: &ProductId,
        _epoch: u64,
        _part: &StagedPart,
    ) -> Result<(), AdmissionError> {
        Ok(())
    }

    async fn open(
        &self,
        product: &ProductId,
        epoch: u64,
        terms: &Terms,
        totals: SnapshotTotals,
    ) -> Result<Opening, AdmissionError> {
        self.0.open(product, epoch, terms, SnapshotTotals { next: 0, balance: 0, ..totals }).await
    }
}

/// Shows neither outbox nor winners to a rebuild, which alone reads the outbox to its end.
#[derive(Debug)]
pub(crate) struct HidesState(pub(crate) Arc<dyn Admission>);

#[async_trait]
impl AdmissionDecorator for HidesState {
    fn inner(&self) -> &Arc<dyn Admission> {
        &self.0
    }

    fn around(&self, inner: Arc<dyn Admission>) -> Self {
        Self(inner)
    }

    async fn outbox(
        &self,
        product: &ProductId,
        after: EntryId,
        up_to: EntryId,
        limit: usize,
    ) -> Result<Vec<Entry>, AdmissionError> {
        match up_to {
            EntryId::LAST => Ok(Vec::new()),
            up_to => self.0.outbox(product, after, up_to, limit).await,
        }
    }

    async fn contents(&self, _product: &ProductId) -> Result<Contents, AdmissionError> {
        Ok(Contents::default())
    }
}

/// Reads the number of units and writes the next one in two steps: another attempt may come between them.
pub(crate) struct CheckThenDecrement<C> {
    inner: Arc<dyn Admission>,
    connection: C,
    prefix: String,
}

impl<C> fmt::Debug for CheckThenDecrement<C> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("CheckThenDecrement")
    }
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> CheckThenDecrement<C> {
    /// `connection` leads to the server of `inner`.
    pub(crate) fn new(inner: Arc<dyn Admission>, connection: C, prefix: &str) -> Decorated<Self> {
        Decorated(Self { inner, connection, prefix: prefix.to_owned() })
    }

    async fn take(
        &self,
        product: &ProductId,
        user: &UserId,
        id: PurchaseId,
    ) -> Result<Option<Decision>, AdmissionError> {
        let (keys, mut connection) = (Keys::new(&self.prefix, product), self.connection.clone());
        let mut held = redis::cmd("HGET");
        held.arg(&keys.buyers).arg(user.as_str());
        let mut check = redis::cmd("HMGET");
        check.arg(&keys.sale).arg("next").arg("total").arg("epoch").arg("opens_ms");
        let sale: (Option<u32>, Option<u32>, Option<u64>, Option<String>) =
            check.query_async(&mut connection).await?;
        let held: Option<String> = held.query_async(&mut connection).await?;
        // What is not simply a sale of a fresh unit is left to the right implementation.
        let (Some(next), Some(total), Some(epoch), Some(opens_ms)) = sale else { return Ok(None) };
        if next >= total || held.is_some() || !opens_ms.is_empty() {
            return Ok(None);
        }
        let unit = next + 1;
        let mut add = redis::cmd("XADD");
        add.arg(&keys.outbox).arg("*").arg("user").arg(user.as_str()).arg("unit").arg(unit);
        add.arg("id").arg(id.to_string()).arg("epoch").arg(epoch);
        let entry: String = add.query_async(&mut connection).await?;
        let record = format!("{unit} {id} {entry}");
        let mut write = redis::cmd("HSET");
        write.arg(&keys.buyers).arg(user.as_str()).arg(record).exec_async(&mut connection).await?;
        redis::cmd("HINCRBY").arg(&keys.sale).arg("in_flight").arg(1).exec_async(&mut connection).await?;
        redis::cmd("HSET").arg(&keys.sale).arg("next").arg(unit).exec_async(&mut connection).await?;
        let entry: EntryId = entry.parse().expect("an entry id of XADD");
        let (product, user) = (product.clone(), user.clone());
        let purchase = Purchase { id, product, user, unit, admitted_at: entry.admitted_at() };
        Ok(Some(Decision::Won(Entry { id: entry, epoch, purchase })))
    }
}

#[async_trait]
impl<C: ConnectionLike + Clone + Send + Sync + 'static> AdmissionDecorator for CheckThenDecrement<C> {
    fn inner(&self) -> &Arc<dyn Admission> {
        &self.inner
    }

    fn around(&self, inner: Arc<dyn Admission>) -> Self {
        Self { inner, connection: self.connection.clone(), prefix: self.prefix.clone() }
    }

    async fn admit(
        &self,
        product: &ProductId,
        user: &UserId,
        id: PurchaseId,
    ) -> Result<Decision, AdmissionError> {
        match self.take(product, user, id).await? {
            Some(decision) => Ok(decision),
            None => self.inner.admit(product, user, id).await,
        }
    }
}
