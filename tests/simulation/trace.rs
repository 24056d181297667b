//! Everything that happens in a run: its hash, which must be the same in each run of a seed, and its text.

use std::{
    fmt::{Display, Write as _},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

use super::executor::Pid;

/// A handle; clones write to the same trace.
#[derive(Clone)]
pub(crate) struct Trace(Arc<Mutex<State>>);

struct State {
    began: Instant,
    hasher: DefaultHasher,
    events: u64,
    /// `None`: only the hash is wanted.
    lines: Option<Vec<String>>,
    text: String,
}

impl Trace {
    pub(crate) fn new(with_text: bool) -> Self {
        Self(Arc::new(Mutex::new(State {
            began: Instant::now(),
            hasher: DefaultHasher::new(),
            events: 0,
            lines: with_text.then(Vec::new),
            text: String::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, pid: Pid, event: impl Display) {
        let mut state = self.lock();
        let at = state.began.elapsed().as_millis();
        let mut text = std::mem::take(&mut state.text);
        text.clear();
        let _ = write!(text, "{event}");
        (at, pid, &text).hash(&mut state.hasher);
        state.events += 1;
        if let Some(lines) = &mut state.lines {
            let who = if pid == 0 { "-".to_owned() } else { format!("p{pid}") };
            lines.push(format!("{:>4}.{:03} {who:<4} {text}", at / 1000, at % 1000));
        }
        state.text = text;
    }

    /// A task was polled: part of the hash alone.
    pub(crate) fn poll(&self, task: u64) {
        task.hash(&mut self.lock().hasher);
    }

    pub(crate) fn hash(&self) -> u64 {
        self.lock().hasher.finish()
    }

    pub(crate) fn events(&self) -> u64 {
        self.lock().events
    }

    /// The lines; none where only the hash was wanted.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lock().lines.clone().unwrap_or_default()
    }
}
