//! The dead-letter queue, held by one command at a time.

use async_trait::async_trait;
use flashsale::broker::{BrokerError, DeadLetter, DeadLetters, encode};

use super::{
    SYSTEM, SimBroker,
    server::{Body, Dead},
};

#[derive(Debug)]
pub(super) struct SimDeadLetters {
    broker: SimBroker,
    held: Vec<(DeadLetter, Dead)>,
}

impl SimDeadLetters {
    pub(super) fn hold(broker: &SimBroker) -> Result<Self, BrokerError> {
        let mut state = broker.server.lock();
        if state.dead_are_held {
            return Err(BrokerError::DeadLettersInUse);
        }
        state.dead_are_held = true;
        let held = std::mem::take(&mut state.dead).into_iter().map(|dead| (letter(&dead), dead)).collect();
        drop(state);
        Ok(Self { broker: broker.clone(), held })
    }

    /// Removes the letters with this id.
    fn take(&mut self, id: &str) -> Vec<Dead> {
        let (taken, left) =
            std::mem::take(&mut self.held).into_iter().partition(|(letter, _)| letter.id == id);
        self.held = left;
        let taken: Vec<(DeadLetter, Dead)> = taken;
        taken.into_iter().map(|(_, dead)| dead).collect()
    }
}

fn letter(dead: &Dead) -> DeadLetter {
    DeadLetter {
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
    fn letters(&self) -> Vec<&DeadLetter> {
        self.held.iter().map(|(letter, _)| letter).collect()
    }

    async fn replay(&mut self, id: &str) -> Result<usize, BrokerError> {
        self.broker.sim.latency().await;
        let taken = self.take(id);
        let mut state = self.broker.server.lock();
        for dead in &taken {
            let number = state.enqueue(&self.broker.sim, &dead.body, dead.history);
            state.confirm(number);
        }
        drop(state);
        self.broker.server.changed.notify_waiters();
        Ok(taken.len())
    }

    async fn remove(&mut self, id: &str) -> Result<usize, BrokerError> {
        self.broker.sim.latency().await;
        Ok(self.take(id).len())
    }

    async fn close(self: Box<Self>) {}
}

impl Drop for SimDeadLetters {
    fn drop(&mut self) {
        let mut state = self.broker.server.lock();
        state.dead_are_held = false;
        state.dead.extend(self.held.drain(..).map(|(_, dead)| dead));
    }
}
