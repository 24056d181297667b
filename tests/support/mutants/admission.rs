//! Admission that is wrong in a known way.

use std::sync::Arc;

use async_trait::async_trait;
use flashsale::{
    admission::{
        Admission, AdmissionError, Contents, Decision, Fence, Found, Keys, Opening, Reassignment, RebuildStep,
        Scripts, WithdrawnUnit,
    },
    domain::{
        Entry, EntryId, Outcome, ProductId, Purchase, PurchaseId, SaleState, Terms, UserId,
    },
};
use redis::aio::ConnectionLike;

/// Scripts of which `admit` does not look for an earlier purchase of the user.
pub(crate) fn no_duplicate_check() -> Scripts {
    Scripts::edited(|name, text| {
        if name != "admit" {
            return text;
        }
        let edited = text.replace("\nif winner then", "\nif false then").replace("if held ~= expected then", "if held < 0 then");
        assert_ne!(edited.len(), text.len(), "admit.lua has changed: edit this mutant too");
        edited
    })
}

/// Reads the number of units and writes the next one in two steps: another attempt may come between them.
#[derive(Debug)]
pub(crate) struct CheckThenDecrement<C> {
    inner: Arc<dyn Admission>,
    connection: Connection<C>,
    prefix: String,
}

struct Connection<C>(C);

impl<C> std::fmt::Debug for Connection<C> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Connection")
    }
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> CheckThenDecrement<C> {
    /// `connection` leads to the server of `inner`.
    pub(crate) fn new(inner: Arc<dyn Admission>, connection: C, prefix: &str) -> Self {
        Self { inner, connection: Connection(connection), prefix: prefix.to_owned() }
    }

    async fn wrong_admit(
        &self,
        product: &ProductId,
        user: &UserId,
        id: PurchaseId,
    ) -> redis::RedisResult<Decision> {
        let (keys, mut connection) = (Keys::new(&self.prefix, product), self.connection.0.clone());
        let mut check = redis::cmd("HMGET");
        check.arg(&keys.sale).arg("next").arg("total").arg("epoch");
        let (next, total, epoch): (u32, u32, u64) = check.query_async(&mut connection).await?;
        if next >= total {
            return Ok(Decision::Refused(Outcome::SoldOut));
        }
        let unit = next + 1;
        let mut add = redis::cmd("XADD");
        add.arg(&keys.outbox).arg("*").arg("user").arg(user.as_str()).arg("unit").arg(unit);
        add.arg("id").arg(id.to_string()).arg("epoch").arg(epoch);
        let entry: String = add.query_async(&mut connection).await?;
        let record = format!("{unit} {id} {entry}");
        let mut write = redis::cmd("HSET");
        write.arg(&keys.buyers).arg(user.as_str()).arg(record).exec_async(&mut connection).await?;
        redis::cmd("HSET").arg(&keys.sale).arg("next").arg(unit).exec_async(&mut connection).await?;
        let entry: EntryId = entry.parse().expect("an entry id of XADD");
        let (product, user) = (product.clone(), user.clone());
        let purchase = Purchase { id, product, user, unit, admitted_at: entry.admitted_at() };
        Ok(Decision::Won(Entry { id: entry, epoch, purchase }))
    }
}

#[async_trait]
impl<C: ConnectionLike + Clone + Send + Sync + 'static> Admission for CheckThenDecrement<C> {
    async fn admit(
        &self,
        product: &ProductId,
        user: &UserId,
        id: PurchaseId,
    ) -> Result<Decision, AdmissionError> {
        self.wrong_admit(product, user, id).await.map_err(AdmissionError::from)
    }

    async fn sale(&self, product: &ProductId) -> Result<SaleState, AdmissionError> {
        self.inner.sale(product).await
    }

    async fn find(&self, product: &ProductId, user: &UserId) -> Result<Found, AdmissionError> {
        self.inner.find(product, user).await
    }

    async fn outbox(
        &self,
        product: &ProductId,
        after: EntryId,
        up_to: EntryId,
        limit: usize,
    ) -> Result<Vec<Entry>, AdmissionError> {
        self.inner.outbox(product, after, up_to, limit).await
    }

    async fn contents(&self, product: &ProductId) -> Result<Contents, AdmissionError> {
        self.inner.contents(product).await
    }

    async fn settle(&self, entries: &[Entry]) -> Result<(), AdmissionError> {
        self.inner.settle(entries).await
    }

    async fn mark_dead_lettered(&self, entries: &[Entry]) -> Result<(), AdmissionError> {
        self.inner.mark_dead_lettered(entries).await
    }

    async fn withdraw(
        &self,
        withdrawn: &Purchase,
        stands: Option<&Purchase>,
        unit: WithdrawnUnit,
    ) -> Result<(), AdmissionError> {
        self.inner.withdraw(withdrawn, stands, unit).await
    }

    async fn reassign(&self, purchase: &Purchase, may_keep: bool) -> Result<Reassignment, AdmissionError> {
        self.inner.reassign(purchase, may_keep).await
    }

    async fn adopt(&self, owner: &Purchase) -> Result<(), AdmissionError> {
        self.inner.adopt(owner).await
    }

    async fn send_again(&self, purchase: &Purchase) -> Result<bool, AdmissionError> {
        self.inner.send_again(purchase).await
    }

    async fn configure(&self, product: &ProductId, epoch: u64, terms: &Terms) -> Result<bool, AdmissionError> {
        self.inner.configure(product, epoch, terms).await
    }

    async fn fence(&self, product: &ProductId, epoch: u64) -> Result<Fence, AdmissionError> {
        self.inner.fence(product, epoch).await
    }

    async fn note_step(&self, product: &ProductId, epoch: u64, step: RebuildStep) -> Result<(), AdmissionError> {
        self.inner.note_step(product, epoch, step).await
    }

    async fn stage(
        &self,
        product: &ProductId,
        epoch: u64,
        purchases: &[Purchase],
        free: &[u32],
    ) -> Result<(), AdmissionError> {
        self.inner.stage(product, epoch, purchases, free).await
    }

    async fn unstage(&self, product: &ProductId, epoch: u64) -> Result<(), AdmissionError> {
        self.inner.unstage(product, epoch).await
    }

    async fn open(
        &self,
        product: &ProductId,
        epoch: u64,
        terms: &Terms,
        next: u32,
        revoked: bool,
    ) -> Result<Opening, AdmissionError> {
        self.inner.open(product, epoch, terms, next, revoked).await
    }

    fn on_this_thread(&self) -> Arc<dyn Admission> {
        let inner = self.inner.on_this_thread();
        Arc::new(Self { inner, connection: Connection(self.connection.0.clone()), prefix: self.prefix.clone() })
    }

    fn outlives_process(&self) -> bool {
        self.inner.outlives_process()
    }
}
