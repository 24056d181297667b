//! The lead: an advisory lock of a session.

use std::time::Duration;

use async_trait::async_trait;
use flashsale::ledger::{Leadership, LedgerError};
use tokio::time::sleep;

use super::{SimLedger, database::Session, unavailable};
use crate::executor::WORLD;

const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const LOCK_INTERVAL: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct SimLeadership {
    ledger: SimLedger,
    session: Session,
    incarnation: u64,
}

impl SimLeadership {
    pub(super) fn elect(ledger: &SimLedger) -> Option<Self> {
        let session = ledger.database.new_session();
        let mut state = ledger.database.lock();
        if state.locks.leader.is_some() {
            return None;
        }
        state.locks.leader = Some(session);
        let incarnation = state.incarnation;
        drop(state);
        ledger.sim.note(ledger.pid, "leads");
        Some(Self { ledger: ledger.clone(), session, incarnation })
    }

    fn is_lost(&self) -> bool {
        self.ledger.database.lock().incarnation != self.incarnation
    }

    async fn reach(&self) -> Result<(), LedgerError> {
        self.ledger.arrive().await?;
        if self.is_lost() { Err(unavailable("the session has ended")) } else { Ok(()) }
    }
}

#[async_trait]
impl Leadership for SimLeadership {
    async fn check(&mut self) -> Result<(), LedgerError> {
        self.reach().await?;
        self.ledger.reply().await
    }

    async fn pause_workers(&mut self) -> Result<(), LedgerError> {
        self.reach().await?;
        let _waiting = Waiting::begin(&self.ledger, self.incarnation);
        let mut waited = Duration::ZERO;
        loop {
            if self.is_lost() {
                return Err(unavailable("the session has ended"));
            }
            {
                let locks = &mut self.ledger.database.lock().locks;
                let free = locks.paused.is_none_or(|(holder, _)| holder == self.session);
                if locks.working == 0 && free {
                    locks.paused = Some((self.session, locks.paused.map_or(0, |(_, times)| times) + 1));
                    break;
                }
            }
            if waited >= LOCK_TIMEOUT {
                return Err(unavailable("lock timeout"));
            }
            sleep(LOCK_INTERVAL).await;
            waited += LOCK_INTERVAL;
        }
        self.ledger.sim.note(self.ledger.pid, "workers are paused");
        self.ledger.reply().await
    }

    async fn resume_workers(&mut self) -> Result<(), LedgerError> {
        self.reach().await?;
        {
            let locks = &mut self.ledger.database.lock().locks;
            locks.paused = match locks.paused {
                Some((holder, times)) if holder == self.session => (times > 1).then_some((holder, times - 1)),
                other => other,
            };
        }
        self.ledger.sim.note(self.ledger.pid, "workers may go on");
        self.ledger.reply().await
    }
}

/// A session in the queue for the exclusive lock.
struct Waiting<'a> {
    ledger: &'a SimLedger,
    incarnation: u64,
}

impl<'a> Waiting<'a> {
    fn begin(ledger: &'a SimLedger, incarnation: u64) -> Self {
        ledger.database.lock().locks.pausing += 1;
        Self { ledger, incarnation }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.ledger.database.lock();
        if state.incarnation == self.incarnation {
            state.locks.pausing = state.locks.pausing.saturating_sub(1);
        }
    }
}

impl Drop for SimLeadership {
    /// The server releases the locks of a crashed process when it notices that the connection is gone.
    fn drop(&mut self) {
        let SimLedger { sim, database, pid, .. } = self.ledger.clone();
        let (session, incarnation) = (self.session, self.incarnation);
        let release = move || {
            let mut state = database.lock();
            if state.incarnation == incarnation {
                state.locks.release(session);
            }
        };
        if !sim.executor.is_crashing(pid) {
            return release();
        }
        let late = sim.draw(|random| Duration::from_millis(random.u64(0..5_000)));
        sim.executor.clone().spawn(WORLD, async move {
            sleep(late).await;
            release();
            sim.note(WORLD, format_args!("the lead of p{pid} is released"));
        });
    }
}
