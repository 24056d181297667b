//! A simulated ledger: serialisable transactions with the real constraints, lost replies, outages, late locks.

mod changes;
mod database;
mod epochs;
mod leadership;
mod operator;
mod products;
mod purchases;
mod recording;
mod tables;
mod transaction;

use std::time::Duration;

use async_trait::async_trait;
use flashsale::{
    domain::{LedgerVerdict, SystemId},
    ledger::{LedgerError, System, SystemLedger},
};
use tokio::time::sleep;
use uuid::Uuid;

pub(crate) use database::{Database, Reach};
pub(crate) use tables::Tables;

use crate::{executor::Pid, sim::Sim};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The ledger as one process reaches it.
#[derive(Clone, Debug)]
pub(crate) struct SimLedger {
    sim: Sim,
    database: Database,
    pid: Pid,
}

fn unavailable(why: &'static str) -> LedgerError {
    LedgerError::Unavailable(why.into())
}

/// One id for all runs: the simulator has one system.
fn new_system(prefix: &str) -> System {
    System { id: SystemId(Uuid::from_u128(1)), prefix: prefix.to_owned() }
}

fn name_of(verdict: &LedgerVerdict) -> String {
    let shown = format!("{verdict:?}");
    shown.split([' ', '{']).next().unwrap_or_default().to_owned()
}

impl SimLedger {
    pub(crate) fn new(sim: &Sim, database: &Database, pid: Pid) -> Self {
        Self { sim: sim.clone(), database: database.clone(), pid }
    }

    /// A request on its way to the server.
    async fn arrive(&self) -> Result<(), LedgerError> {
        self.sim.latency().await;
        let reach = self.database.lock().reach;
        match reach {
            Reach::Up => Ok(()),
            Reach::Down => Err(unavailable("connection refused")),
            Reach::Silent => {
                sleep(CONNECT_TIMEOUT).await;
                Err(unavailable("time-out"))
            }
        }
    }

    /// A reply on its way back.
    async fn reply(&self) -> Result<(), LedgerError> {
        let (lost, incarnation) = {
            let state = self.database.lock();
            (state.replies_lost, state.incarnation)
        };
        self.sim.latency().await;
        if self.sim.happens(lost) || self.database.lock().incarnation != incarnation {
            self.sim.note(self.pid, "a reply of the database is lost");
            return Err(unavailable("the reply was lost"));
        }
        Ok(())
    }

    /// One transaction.
    async fn run<R>(&self, change: impl FnOnce(&mut Tables) -> R + Send) -> Result<R, LedgerError>
    where
        R: Send,
    {
        self.arrive().await?;
        let result = change(&mut self.database.lock().tables);
        self.reply().await?;
        Ok(result)
    }
}

#[async_trait]
impl SystemLedger for SimLedger {
    fn name(&self) -> &'static str {
        "simulated"
    }

    async fn migrate(&self) -> Result<usize, LedgerError> {
        self.run(|_| 0).await
    }

    async fn ping(&self) -> Result<(), LedgerError> {
        self.run(|_| ()).await
    }

    async fn system(&self, prefix: &str) -> Result<System, LedgerError> {
        self.run(|tables| tables.system.get_or_insert_with(|| new_system(prefix)).clone()).await
    }

    async fn change_prefix(&self, prefix: &str) -> Result<(), LedgerError> {
        self.run(|tables| {
            if let Some(system) = &mut tables.system {
                prefix.clone_into(&mut system.prefix);
            }
        })
        .await
    }

    async fn probe_write(&self) -> Result<(), LedgerError> {
        self.run(|_| ()).await
    }
}
