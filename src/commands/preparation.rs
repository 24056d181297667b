//! What a process does with the ledger before it works: migrate, prove that the configuration is of
//! this system, add products.

use anyhow::ensure;
use tokio_util::sync::CancellationToken;

use super::{
    data_dir::DataDir,
    ledger::check_prefix,
    settings::{Mode, Settings},
    target::actor,
};
use crate::config::CatalogueSource;
use crate::domain::{Catalogue, Product, SystemId};
use crate::ledger::{Ledger, LedgerError, LedgerSale};
use crate::observability::Dependency;
use crate::operations::products;
use crate::runtime::{Backoff, Runtime, error_chain};

/// A ledger that a process waits for.
pub(super) struct Preparation<'process> {
    pub(super) ledger: &'process dyn Ledger,
    pub(super) settings: &'process Settings,
    pub(super) state: &'process Dependency,
    pub(super) runtime: &'process Runtime,
    pub(super) stop: &'process CancellationToken,
}

impl Preparation<'_> {
    /// Migrates the ledger and adds the products of the catalogue to it.
    /// `None`: stopped before that.
    pub(super) async fn prepare(&self) -> anyhow::Result<Option<SystemId>> {
        let migrated = self.until_reached(async || {
            let applied = self.ledger.migrate().await?;
            if applied > 0 {
                tracing::info!(applied, "migrated the ledger");
            }
            Ok(())
        });
        if migrated.await?.is_none() {
            return Ok(None);
        }
        let Some(system) = self.identify().await? else { return Ok(None) };
        let written = self.until_reached(async || {
            self.write_products().await?;
            self.lower_stocks().await
        });
        let written = written.await?;
        Ok(written.map(|()| system))
    }

    /// The terms of a known product are an operator's decision. In the embedded mode, the operator
    /// who starts the only process with another file has made it. Where it can't be carried out,
    /// the ledger's terms stay as they would in the distributed mode.
    async fn write_products(&self) -> Result<(), LedgerError> {
        let known = self.ledger.products().await?;
        let catalogue = match &self.settings.catalogue {
            CatalogueSource::File(file) => &file.catalogue,
            CatalogueSource::Demo(catalogue) if known.is_empty() => {
                tracing::info!(
                    "no catalogue file is configured, so a demo product is sold; name yours with --products FILE"
                );
                catalogue
            }
            CatalogueSource::Demo(_) | CatalogueSource::Ledger => return Ok(()),
        };
        match self.settings.mode {
            Mode::Embedded { .. } => match self.apply(catalogue).await {
                Err(error @ LedgerError::StockBelowSold { .. }) => {
                    tracing::warn!(
                        "the catalogue file is not applied, and the products keep their terms: {error}"
                    );
                    self.ledger.add_products(catalogue.products()).await
                }
                applied => applied,
            },
            Mode::Distributed(_) => {
                let is_new = |product: &&Product| known.iter().all(|known| known.id != product.id);
                let new: Vec<_> = catalogue.products().iter().filter(is_new).cloned().collect();
                // A role that may only read can start, where there is nothing to add.
                if new.is_empty() { Ok(()) } else { self.ledger.add_products(&new).await }
            }
        }
    }

    /// In the embedded mode nothing is on its way before the only process sells.
    async fn lower_stocks(&self) -> Result<(), LedgerError> {
        if matches!(self.settings.mode, Mode::Distributed(_)) {
            return Ok(());
        }
        for LedgerSale { product, lower_stock_to, .. } in self.ledger.sales().await? {
            if let Some(wanted) = lower_stock_to {
                self.ledger.settle_stock(&product, wanted, true).await?;
            }
        }
        Ok(())
    }

    /// Fails if there is nothing to sell: a catalogue that was forgotten is noticed at once.
    pub(super) async fn require_products(&self) -> anyhow::Result<()> {
        let products = self.until_reached(async || self.ledger.products().await).await?;
        ensure!(
            products.is_none_or(|products| !products.is_empty()),
            "there is nothing to sell: no catalogue file is configured, and the database has no product. Name the \
             file with --products FILE or FLASHSALE_PRODUCTS, or add its products to the database with `flashsale \
             products apply FILE`."
        );
        Ok(())
    }

    async fn apply(&self, catalogue: &Catalogue) -> Result<(), LedgerError> {
        let actor = actor();
        let plan = products::plan(&actor, self.ledger, catalogue).await?;
        products::apply(&actor, self.ledger, &plan).await
    }

    /// Reads which system this is, and fails if the configuration is of another one.
    /// `None`: stopped before that.
    pub(super) async fn identify(&self) -> anyhow::Result<Option<SystemId>> {
        let prefix = &self.settings.prefix;
        let system = self.until_reached(async || self.ledger.system(prefix).await).await?;
        system.map(|system| check_prefix(&system, prefix)).transpose()
    }

    /// Waits during an outage of the database; fails with an error that repeating does not resolve.
    async fn until_reached<T>(
        &self,
        attempt: impl AsyncFn() -> Result<T, LedgerError>,
    ) -> anyhow::Result<Option<T>> {
        let (mut backoff, mut writing) = (Backoff::of_reconnects(self.runtime), self.state.writing());
        loop {
            let ended = tokio::select! {
                ended = attempt() => ended,
                // What was begun ends by itself, as a whole or not at all.
                () = self.stop.cancelled() => return Ok(None),
            };
            match ended {
                Ok(value) => {
                    writing.succeeded();
                    return Ok(Some(value));
                }
                Err(error) if error.is_transient() => writing.failed(error.outage(), error_chain(&error)),
                Err(error) => return Err(self.explained(error)),
            }
            tokio::select! {
                () = backoff.wait() => {}
                () = self.stop.cancelled() => return Ok(None),
            }
        }
    }

    /// With the file that it is about, if it is about one.
    fn explained(&self, error: LedgerError) -> anyhow::Error {
        match (&self.settings.mode, error) {
            (
                Mode::Embedded { data_dir },
                error @ (LedgerError::UnusableFile(_) | LedgerError::Migration(_)),
            ) => DataDir::unusable(data_dir, error).into(),
            (_, error) => error.into(),
        }
    }
}
