//! What only an operator can do, for readiness and the console.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::observability::readiness::{Check, Probe, Subject};

/// What is asked of an operator, by the queue that it is about; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Requests(Arc<Mutex<BTreeMap<&'static str, String>>>);

pub(super) const PURCHASES: &str = "queue of purchases";
pub(super) const DEAD_LETTERS: &str = "dead-letter queue";

impl Requests {
    /// Logs the request, unless it is known.
    pub(super) fn ask(&self, queue: &'static str, request: String) {
        let mut requests = self.lock();
        if requests.get(queue) != Some(&request) {
            tracing::error!("{queue}: {request}");
            requests.insert(queue, request);
        }
    }

    pub(super) fn withdraw(&self, queue: &'static str) {
        if self.lock().remove(queue).is_some() {
            tracing::info!("{queue}: no operator is needed any more");
        }
    }

    /// For a process that has lost the leadership: another one asks from now on.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    pub(super) fn is_asked(&self, queue: &'static str) -> bool {
        self.lock().contains_key(queue)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Probe for Requests {
    fn check(&self) -> Vec<Check> {
        let check = |(queue, request): (&&'static str, &String)| Check {
            subject: Subject::Queue,
            name: (*queue).to_owned(),
            outage: Some(request.clone()),
            required: false,
        };
        self.lock().iter().map(check).collect()
    }
}
