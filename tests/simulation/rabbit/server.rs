//! The broker's server: its queues, connections and faults.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use flashsale::{
    broker::{DeliveryHistory, decode},
    domain::{Entry, ProductId},
};
use tokio::{sync::Notify, time::Instant};

use super::SYSTEM;
use crate::{executor::WORLD, sim::Sim};

pub(super) type ConsumerId = u64;

/// From the routing of a message until it is in the queue.
pub(super) const IN_TRANSIT_MAX: Duration = Duration::from_millis(100);

/// A handle; clones lead to the same server.
#[derive(Clone, Debug)]
pub(crate) struct RabbitServer {
    state: Arc<Mutex<State>>,
    /// Something was enqueued, or a connection has ended.
    pub(super) changed: Arc<Notify>,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a state of its own")]
pub(super) struct State {
    pub(super) ready: VecDeque<Message>,
    pub(super) dead: Vec<Dead>,
    pub(super) dead_are_held: bool,
    pub(super) consumers: BTreeMap<ConsumerId, Consuming>,
    pub(super) last_number: u64,
    pub(super) has_queue: bool,
    /// The queue is declared, and neither confirms nor delivers.
    pub(super) is_stalled: bool,
    /// The epochs whose messages reach the queue.
    pub(super) bindings: BTreeSet<(ProductId, u64)>,
    /// The connection that may change them.
    pub(super) bindings_holder: Option<u64>,
    /// Messages up to this number were in the queue when a rebuild had fenced: they come before later ones.
    pub(super) barrier: u64,
    pub(super) up: bool,
    pub(super) alarm: bool,
    /// Rises when all connections end.
    pub(super) incarnation: u64,
    pub(super) confirms: Confirms,
    pub(super) habits: Habits,
}

/// What becomes of the confirms of messages that are enqueued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Confirms {
    #[default]
    Prompt,
    /// So much later.
    Late(Duration),
    Never,
}

/// What a server does all through a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// Of a hundred messages, how many are enqueued twice.
    pub(crate) duplicated: u32,
    /// Of a hundred messages, how many are overtaken by others.
    pub(crate) reordered: u32,
    /// Returns to the queue after which a message is dead-lettered.
    pub(crate) delivery_limit: u32,
    /// Messages cross the network as JSON.
    pub(crate) encoded: bool,
}

#[derive(Debug, Default)]
pub(super) struct Consuming {
    pub(super) started: bool,
    pub(super) unacked: Vec<Message>,
}

#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) number: u64,
    pub(super) body: Body,
    pub(super) history: DeliveryHistory,
    pub(super) available_at: Instant,
    pub(super) returns: u32,
    pub(super) is_confirmed: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    Entries(Vec<Entry>),
    Encoded(Vec<u8>),
}

#[derive(Clone, Debug)]
pub(super) struct Dead {
    pub(super) number: u64,
    pub(super) body: Body,
    pub(super) reason: String,
    pub(super) detail: String,
    pub(super) history: DeliveryHistory,
}

impl Body {
    pub(super) fn entries(&self) -> Vec<Entry> {
        match self {
            Self::Entries(entries) => entries.clone(),
            Self::Encoded(body) => decode(SYSTEM, body).map(|content| content.entries).unwrap_or_default(),
        }
    }
}

impl RabbitServer {
    pub(crate) fn new(habits: Habits) -> Self {
        let state = State {
            ready: VecDeque::new(),
            dead: Vec::new(),
            dead_are_held: false,
            consumers: BTreeMap::new(),
            last_number: 0,
            has_queue: true,
            is_stalled: false,
            bindings: BTreeSet::new(),
            bindings_holder: None,
            barrier: 0,
            up: true,
            alarm: false,
            incarnation: 1,
            confirms: Confirms::Prompt,
            habits,
        };
        Self { state: Arc::new(Mutex::new(state)), changed: Arc::default() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Messages that a consumer has and has not acknowledged. RabbitMQ does not show them to those who ask for a queue's
    /// depth.
    pub(crate) fn unacked(&self) -> usize {
        self.lock().consumers.values().map(|consuming| consuming.unacked.len()).sum()
    }

    /// Dead letters.
    pub(crate) fn dead(&self) -> usize {
        self.lock().dead.len()
    }

    /// kill -9: confirmed messages are on disk; of the others some are.
    pub(crate) fn kill(&self, sim: &Sim) {
        sim.note(WORLD, "the broker is killed");
        {
            let mut state = self.lock();
            state.up = false;
            state.end_connections();
            let keep: Vec<_> =
                state.ready.iter().map(|message| message.is_confirmed || sim.happens(50)).collect();
            let mut keep = keep.into_iter();
            state.ready.retain(|_| keep.next() == Some(true));
        }
        self.changed.notify_waiters();
    }

    pub(crate) fn start(&self, sim: &Sim) {
        sim.note(WORLD, "the broker is up");
        self.lock().up = true;
    }

    /// The server is up again, with a queue that does nothing.
    pub(crate) fn start_stalled(&self, sim: &Sim) {
        self.lock().is_stalled = true;
        self.start(sim);
    }

    /// All data are lost, and the server is up again.
    pub(crate) fn wipe(&self, sim: &Sim) {
        sim.note(WORLD, "the broker is wiped");
        {
            let mut state = self.lock();
            state.end_connections();
            state.ready.clear();
            state.dead.clear();
            state.has_queue = false;
            state.is_stalled = false;
            state.bindings.clear();
        }
        self.changed.notify_waiters();
    }

    /// All connections end; the server goes on.
    pub(crate) fn cut(&self, sim: &Sim) {
        sim.note(WORLD, "the broker's connections end");
        self.lock().end_connections();
        self.changed.notify_waiters();
    }

    pub(crate) fn set_alarm(&self, sim: &Sim, alarm: bool) {
        sim.note(WORLD, format_args!("the broker's memory alarm: {alarm}"));
        self.lock().alarm = alarm;
    }

    pub(crate) fn set_confirms(&self, sim: &Sim, confirms: Confirms) {
        sim.note(WORLD, format_args!("confirms: {confirms:?}"));
        self.lock().confirms = confirms;
    }

    pub(crate) fn set_delivery_limit(&self, sim: &Sim, limit: u32) {
        sim.note(WORLD, format_args!("delivery limit: {limit}"));
        self.lock().habits.delivery_limit = limit;
    }
}

impl State {
    /// Enqueues a message, and perhaps a copy. Returns its number.
    pub(super) fn enqueue(&mut self, sim: &Sim, body: &Body, history: DeliveryHistory) -> u64 {
        let copies = if sim.happens(self.habits.duplicated) { 2 } else { 1 };
        let mut first = None;
        for _ in 0..copies {
            self.last_number += 1;
            let number = self.last_number;
            let is_late = sim.happens(self.habits.reordered);
            let millis = sim.draw(|random| if is_late { random.u64(0..2_000) } else { random.u64(0..3) });
            let available_at = Instant::now() + Duration::from_millis(millis);
            let is_confirmed = false;
            let body = body.clone();
            self.ready.push_back(Message { number, body, history, available_at, returns: 0, is_confirmed });
            first = first.or(Some(number));
        }
        first.unwrap_or_default()
    }

    pub(super) fn confirm(&mut self, number: u64) {
        let unacked = self.consumers.values_mut().flat_map(|consuming| &mut consuming.unacked);
        if let Some(message) = self.ready.iter_mut().chain(unacked).find(|message| message.number == number) {
            message.is_confirmed = true;
        }
    }

    /// Takes the next message that a consumer can have; or says when there will be one.
    pub(super) fn take(&mut self, consumer: ConsumerId, prefetch: usize) -> Result<Message, Option<Instant>> {
        let Some(consuming) = self.consumers.get_mut(&consumer) else { return Err(None) };
        if self.is_stalled || consuming.unacked.len() >= prefetch {
            return Err(None);
        }
        let now = Instant::now();
        let has_earlier = self.ready.iter().any(|message| message.number <= self.barrier);
        let is_next = |message: &Message| {
            message.available_at <= now && (!has_earlier || message.number <= self.barrier)
        };
        let Some(position) = self.ready.iter().position(is_next) else {
            let later = self.ready.iter().map(|message| message.available_at);
            return Err(later.filter(|available_at| *available_at > now).min());
        };
        let message = self.ready.remove(position).expect("a position");
        consuming.unacked.push(message.clone());
        Ok(message)
    }

    /// Ends a consumer and gives its messages back; a message that came back too often is dead-lettered.
    pub(super) fn end_consumer(&mut self, consumer: ConsumerId) {
        let Some(Consuming { unacked, .. }) = self.consumers.remove(&consumer) else { return };
        for mut message in unacked.into_iter().rev() {
            message.returns += 1;
            if message.returns <= self.habits.delivery_limit {
                self.ready.push_front(message);
                continue;
            }
            let Message { number, body, history, .. } = message;
            let (reason, detail) = ("delivery-limit".to_owned(), String::new());
            self.dead.push(Dead { number, body, reason, detail, history });
        }
    }

    fn end_connections(&mut self) {
        self.incarnation += 1;
        self.bindings_holder = None;
        let consumers: Vec<_> = self.consumers.keys().copied().collect();
        for consumer in consumers {
            self.end_consumer(consumer);
        }
    }
}
