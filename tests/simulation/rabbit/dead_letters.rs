//! The dead-letter queue, held by one command at a time.

use std::time::Duration;

use async_trait::async_trait;
use flashsale::broker::{BrokerError, DeadLetter, DeadLetters, encode};
use tokio::time::{Instant, sleep};

use super::{
    SYSTEM, SimBroker,
    server::{Body, Dead},
};

/// How long the holder of a dead-letter queue is waited for.
const IN_USE_MAX: Duration = Duration::from_secs(5);
const IN_USE_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct SimDeadLetters {
    broker: SimBroker,
    /// Letters that were read.
    held: Vec<Dead>,
}

impl SimDeadLetters {
    /// Waits for another holder, as the lock of the real one does.
    pub(super) async fn hold(broker: &SimBroker) -> Result<Self, BrokerError> {
        let until = Instant::now() + IN_USE_MAX;
        while std::mem::replace(&mut broker.server.lock().dead_are_held, true) {
            if Instant::now() > until {
                return Err(BrokerError::DeadLettersInUse);
            }
            sleep(IN_USE_INTERVAL).await;
        }
        Ok(Self { broker: broker.clone(), held: Vec::new() })
    }

    fn take(&mut self, number: u64) -> Option<Dead> {
        let position = self.held.iter().position(|dead| dead.number == number)?;
        Some(self.held.remove(position))
    }
}

fn letter(dead: &Dead) -> DeadLetter {
    DeadLetter {
        position: dead.number,
        id: dead.number.to_string(),
        reason: dead.reason.clone(),
        detail: dead.detail.clone(),
        history: dead.history,
        entries: dead.body.entries(),
        body: match &dead.body {
            Body::Entries(entries) => encode(SYSTEM, entries),
            Body::Encoded(body) => body.clone(),
        },
    }
}

#[async_trait]
impl DeadLetters for SimDeadLetters {
    async fn unread(&mut self) -> Result<u32, BrokerError> {
        self.broker.reach().await?;
        Ok(u32::try_from(self.broker.server.lock().dead.len()).unwrap_or(u32::MAX))
    }

    async fn next(&mut self) -> Result<Option<DeadLetter>, BrokerError> {
        self.broker.reach().await?;
        let mut state = self.broker.server.lock();
        if state.dead.is_empty() {
            return Ok(None);
        }
        self.held.push(state.dead.remove(0));
        Ok(self.held.last().map(letter))
    }

    async fn replay(&mut self, replayed: &DeadLetter) -> Result<(), BrokerError> {
        self.broker.reach().await?;
        let Some(dead) = self.take(replayed.position) else { return Err(BrokerError::NotConnected) };
        let mut state = self.broker.server.lock();
        let number = state.enqueue(&self.broker.sim, &dead.body, dead.history);
        state.confirm(number);
        drop(state);
        self.broker.server.changed.notify_waiters();
        Ok(())
    }

    async fn remove(&mut self, position: u64) -> Result<(), BrokerError> {
        self.broker.sim.latency().await;
        self.take(position);
        Ok(())
    }

    async fn close(self: Box<Self>) {}
}

impl Drop for SimDeadLetters {
    fn drop(&mut self) {
        let mut state = self.broker.server.lock();
        state.dead_are_held = false;
        let later = std::mem::take(&mut state.dead);
        state.dead = self.held.drain(..).chain(later).collect();
    }
}
