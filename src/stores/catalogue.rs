//! The products that a process shows and sells: the ledger's, cached.
//!
//! A process that was started with an older catalogue file must not show other terms than those
//! that are sold. Until the ledger has answered, the file is all that is known.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::domain::{Catalogue, CatalogueDifference, Offers, Product};
use crate::ledger::{Ledger, LedgerError};
use crate::observability::readiness::{Check, Probe, Subject};
use crate::runtime::{Runtime, error_chain};

const READ_INTERVAL: Duration = Duration::from_secs(1);

/// Reads the catalogue file of this process. `None`: it can't be read.
pub type ReadFile = Arc<dyn Fn() -> Option<Catalogue> + Send + Sync>;

/// Clones share the products.
#[derive(Clone)]
pub struct LedgerCatalogue {
    /// `None`: no file is configured.
    read_file: Option<ReadFile>,
    state: Arc<RwLock<State>>,
}

impl fmt::Debug for LedgerCatalogue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state.fmt(out)
    }
}

#[derive(Debug)]
struct State {
    products: Catalogue,
    /// What the file said when it was read last. `None`: no file is configured.
    file: Option<Catalogue>,
    /// The ledger has answered.
    is_read: bool,
    /// What products were sold as; none until the ledger has answered.
    offers: Arc<Offers>,
    /// How the file differs from the ledger.
    difference: CatalogueDifference,
}

impl LedgerCatalogue {
    /// `until_read`: shown until the ledger has answered; where it is empty, nothing is.
    pub fn new(until_read: Catalogue, read_file: Option<ReadFile>) -> Self {
        let state = State {
            file: read_file.as_ref().map(|_| until_read.clone()),
            products: until_read,
            is_read: false,
            offers: Arc::default(),
            difference: CatalogueDifference::default(),
        };
        Self { read_file, state: Arc::new(RwLock::new(state)) }
    }

    pub fn current(&self) -> Catalogue {
        self.state().products.clone()
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What products were sold as, at most about a second ago.
    pub fn offers(&self) -> Arc<Offers> {
        self.state().offers.clone()
    }

    /// Reads the ledger once. Sales that are over at `now` are named in the log when they are read
    /// first, and when their window is changed.
    pub async fn refresh(&self, ledger: &dyn Ledger, now: DateTime<Utc>) -> Result<(), LedgerError> {
        let (products, offers) = (ledger.products().await?, ledger.offers().await?);
        let file = self.file(&products).await;
        self.set(products, offers, file, now);
        Ok(())
    }

    /// What the file says. It is read again where it differed from the ledger when it was read
    /// last: an operator edits it, and then applies it.
    async fn file(&self, products: &[Product]) -> Option<Catalogue> {
        let known = self.state().file.clone()?;
        let read = self.read_file.clone()?;
        if CatalogueDifference::new(products, known.products()).is_empty() {
            return Some(known);
        }
        let reading = tokio::task::spawn_blocking(move || read());
        Some(reading.await.ok().flatten().unwrap_or(known))
    }

    /// Reads the ledger every second, until `stop`.
    pub async fn keep_fresh(self, ledger: Arc<dyn Ledger>, runtime: Runtime, stop: CancellationToken) {
        loop {
            if let Err(error) = self.refresh(&*ledger, runtime.clock.now()).await {
                tracing::debug!(error = error_chain(&error), "the products stay as they were read last");
            }
            tokio::select! {
                () = runtime.sleep(READ_INTERVAL) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    fn set(&self, products: Vec<Product>, offers: Offers, file: Option<Catalogue>, now: DateTime<Utc>) {
        // A ledger without products is not prepared yet.
        let Ok(read) = Catalogue::new(products) else { return };
        let in_file = file.as_ref().map_or(read.products(), Catalogue::products);
        let difference = CatalogueDifference::new(read.products(), in_file);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.difference != difference {
            if difference.is_empty() && difference.kept.is_empty() {
                tracing::info!("the catalogue file and the ledger agree");
            } else if difference.is_empty() {
                tracing::info!("the catalogue file agrees with what is sold, except for: {difference}");
            } else {
                tracing::warn!(
                    "the catalogue file is not what is sold; the ledger's terms count. It differs in: {difference}. \
                     Correct the file, or apply it: flashsale products apply FILE"
                );
            }
        }
        for product in read.products() {
            let before = state.products.get(product.id.as_str()).filter(|_| state.is_read);
            let is_known = before.is_some_and(|before| before.sale_end == product.sale_end);
            if let Some(ended_at) = product.ended_at(now).filter(|_| !is_known) {
                tracing::warn!(
                    "the sale of {} is over: it ended at {ended_at}, so nobody can buy. To sell, give it another \
                     sale_end: flashsale products apply FILE",
                    product.id
                );
            }
        }
        *state = State { products: read, file, is_read: true, offers: Arc::new(offers), difference };
    }
}

/// Without a product nothing can be sold. Of a file that differs the console is told, and the
/// process works all the same.
impl Probe for LedgerCatalogue {
    fn check(&self) -> Vec<Check> {
        let state = self.state();
        if state.products.is_empty() {
            let outage = Some("the database has none, or was not reached yet".to_owned());
            return vec![Check {
                subject: Subject::Catalogue,
                name: "products".to_owned(),
                outage,
                required: true,
            }];
        }
        if state.file.is_none() {
            return Vec::new();
        }
        let outage = (!state.difference.is_empty())
            .then(|| format!("the file is not what is sold; it differs in: {}", state.difference));
        let name = "catalogue file".to_owned();
        vec![Check { subject: Subject::Catalogue, name, outage, required: false }]
    }
}
