//! Admission in memory, for the embedded mode: the state machine of each sale under one lock. A
//! rebuild from the ledger opens the sales at every start, as in Redis.

mod attempts;
mod operator;
mod rebuild;
mod settlement;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use super::{Admission, AdmissionError, watermarks::Watermarks};
use crate::domain::sale::{Known, NotAdmitting, SaleMachine};
use crate::domain::{ProductId, SystemId};
use crate::runtime::Clock;

/// The server identity of a state that ends with the process.
const SERVER: &str = "memory";

/// Clones share the state.
#[derive(Clone, Debug)]
pub struct MemoryAdmission {
    clock: Arc<dyn Clock>,
    sales: Arc<Mutex<HashMap<ProductId, SaleMachine>>>,
    watermarks: Watermarks,
    system: watch::Receiver<Option<SystemId>>,
}

impl MemoryAdmission {
    /// Without a sale: nothing is ready until a rebuild has opened it.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::of_system(clock, watch::channel(None).1)
    }

    /// As [`MemoryAdmission::new`], for a test in which systems share the states.
    pub fn of_system(clock: Arc<dyn Clock>, system: watch::Receiver<Option<SystemId>>) -> Self {
        Self { clock, sales: Arc::default(), watermarks: Watermarks::default(), system }
    }

    fn system(&self) -> Option<SystemId> {
        *self.system.borrow()
    }

    /// Runs an operation on a product's state; a test also damages the state so. The time is read
    /// under the lock, so that its order is that of the operations.
    pub fn with<T>(&self, product: &ProductId, run: impl FnOnce(&mut SaleMachine, DateTime<Utc>) -> T) -> T {
        let mut sales = self.sales.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        if let Some(sale) = sales.get_mut(product) {
            return run(sale, now);
        }
        run(sales.entry(product.clone()).or_insert(SaleMachine::new(product.clone())), now)
    }

    /// As [`MemoryAdmission::with`], for an operation on a state that must not be another system's.
    fn with_own<T>(
        &self,
        product: &ProductId,
        run: impl FnOnce(&mut SaleMachine, DateTime<Utc>) -> T,
    ) -> Result<T, AdmissionError> {
        let run = |sale: &mut SaleMachine, now| sale.check_owner(self.system()).map(|()| run(sale, now));
        Ok(self.with(product, run)?)
    }

    /// As [`MemoryAdmission::with_own`], for an operation that uses no state which is
    /// behind what is known.
    fn with_known<T>(
        &self,
        product: &ProductId,
        run: impl FnOnce(&mut SaleMachine, Known<'_>, DateTime<Utc>) -> Result<T, NotAdmitting>,
    ) -> Result<T, AdmissionError> {
        let horizon = self.watermarks.of(product);
        let answer = self.with_own(product, |sale, now| {
            let answer = run(sale, Known { server: SERVER, watermark: horizon.watermark() }, now);
            if matches!(answer, Err(NotAdmitting::RolledBack)) {
                sale.distrust(horizon.seen);
            }
            answer
        });
        Ok(answer??)
    }
}

impl Admission for MemoryAdmission {
    fn on_this_thread(&self) -> Arc<dyn Admission> {
        Arc::new(self.clone())
    }

    fn outlives_process(&self) -> bool {
        false
    }
}
