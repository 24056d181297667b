//! The database server: its tables, its advisory locks, and whether it can be reached.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::tables::Tables;
use crate::{executor::WORLD, sim::Sim};

/// A handle; clones lead to the same server.
#[derive(Clone, Debug)]
pub(crate) struct Database(Arc<Mutex<State>>);

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) tables: Tables,
    pub(super) locks: Locks,
    pub(super) reach: Reach,
    /// Of a hundred replies, how many are lost after the commit.
    pub(super) replies_lost: u32,
    /// Longest time between the first statement of a batch and its COMMIT.
    pub(super) commits_take: Duration,
    /// Rises with each restart, which ends all sessions.
    pub(super) incarnation: u64,
    last_session: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reach {
    #[default]
    Up,
    /// Connections are refused.
    Down,
    /// Nothing is answered.
    Silent,
}

pub(super) type Session = u64;

/// Advisory locks.
#[derive(Debug, Default)]
pub(super) struct Locks {
    pub(super) leader: Option<Session>,
    /// The workers' lock, exclusive: the session, and how often it has taken it.
    pub(super) paused: Option<(Session, u32)>,
    /// Sessions that wait for the exclusive lock.
    pub(super) pausing: u32,
    /// Transactions of workers under way.
    pub(super) working: u32,
}

impl Locks {
    /// Whether a worker's transaction may begin.
    pub(super) fn workers_may_run(&self) -> bool {
        self.paused.is_none() && self.pausing == 0
    }

    pub(super) fn release(&mut self, session: Session) {
        if self.leader == Some(session) {
            self.leader = None;
        }
        if self.paused.is_some_and(|(holder, _)| holder == session) {
            self.paused = None;
        }
    }
}

impl Database {
    pub(crate) fn new(commits_take: Duration) -> Self {
        Self(Arc::new(Mutex::new(State { commits_take, ..State::default() })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn new_session(&self) -> Session {
        let mut state = self.lock();
        state.last_session += 1;
        state.last_session
    }

    pub(crate) fn set_reach(&self, sim: &Sim, reach: Reach) {
        sim.note(WORLD, format_args!("the database is {reach:?}"));
        self.lock().reach = reach;
    }

    pub(crate) fn set_replies_lost(&self, sim: &Sim, percent: u32) {
        sim.note(WORLD, format_args!("{percent} % of the database's replies are lost"));
        self.lock().replies_lost = percent;
    }

    /// kill -9 and an immediate start: sessions end, transactions under way are rolled back.
    pub(crate) fn restart(&self, sim: &Sim) {
        sim.note(WORLD, "the database restarts");
        let mut state = self.lock();
        state.incarnation += 1;
        state.locks = Locks::default();
    }

    pub(crate) fn snapshot(&self) -> Tables {
        self.lock().tables.clone()
    }

    /// Puts an earlier state in place, as an operator does from a backup.
    pub(crate) fn restore(&self, sim: &Sim, earlier: Tables) {
        self.restart(sim);
        sim.note(WORLD, "the database is restored to an earlier state");
        self.lock().tables = earlier;
    }
}
