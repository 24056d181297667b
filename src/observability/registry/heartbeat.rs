//! What a process reports of itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::ProductId;
use crate::observability::readiness::Check;
use crate::observability::{Attempt, Durations, Event, Tally};

/// The command that a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Serve,
    Work,
    Web,
    /// A role of another version of this program.
    #[serde(other)]
    Other,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Work => "work",
            Self::Web => "web",
            Self::Other => "?",
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    /// Random; stays the same as long as the process runs.
    pub id: String,
    pub role: Role,
    /// The machine or container.
    pub host: String,
    pub pid: u32,
    pub version: String,
    /// In milliseconds since 1970.
    pub started_at: i64,
    /// The process has ended in order; this is its last heartbeat.
    pub left: bool,
    /// What `/readyz` answers.
    pub checks: Vec<Check>,
    pub products: BTreeMap<String, Window>,
    pub events: Vec<Event>,
}

impl Heartbeat {
    /// The process as people call it.
    pub fn name(&self) -> String {
        format!("{} {}:{}", self.role.as_str(), self.host, self.pid)
    }

    /// Whether the process can do its work.
    pub fn is_ready(&self) -> bool {
        self.checks.iter().all(|check| check.outage.is_none() || !check.required)
    }
}

/// The counts of a product in one process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// Attempts in the last second.
    pub per_s: BTreeMap<Attempt, f64>,
    /// Since the process started.
    pub attempts: BTreeMap<Attempt, u64>,
    /// From the admission permit to the decision, over the last 10 seconds, as pairs of
    /// microseconds and a count.
    pub admission: Vec<(u64, u32)>,
    /// From a request to its answer.
    pub answer: Vec<(u64, u32)>,
    /// From an admission to the commit of its row.
    pub recording: Vec<(u64, u32)>,
}

/// Seconds over which durations are kept.
pub(crate) const WINDOW_S: usize = 10;

/// The counts of a product in this process: since it started, and by second for the last seconds.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    attempts: BTreeMap<Attempt, u64>,
    latest: std::collections::VecDeque<Tally>,
}

impl Counted {
    pub(crate) fn add(&mut self, tally: Tally) {
        for (attempt, number) in &tally.attempts {
            *self.attempts.entry(*attempt).or_default() += number;
        }
        if self.latest.len() == WINDOW_S {
            self.latest.pop_front();
        }
        self.latest.push_back(tally);
    }

    /// `seconds`: the exact length of the last second.
    pub(crate) fn window(&self, seconds: f64) -> Window {
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 attempts a second")]
        let per_s = |(attempt, number): (&Attempt, &u64)| (*attempt, *number as f64 / seconds);
        let sum = |part: fn(&Tally) -> &Durations| {
            let mut all = Durations::default();
            self.latest.iter().for_each(|tally| all.add(part(tally)));
            all.to_pairs()
        };
        Window {
            per_s: self
                .latest
                .back()
                .map(|tally| tally.attempts.iter().map(per_s).collect())
                .unwrap_or_default(),
            attempts: self.attempts.clone(),
            admission: sum(|tally| &tally.admission),
            answer: sum(|tally| &tally.answer),
            recording: sum(|tally| &tally.recording),
        }
    }
}

pub(crate) type AllCounted = BTreeMap<ProductId, Counted>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observability::{EventKind, readiness::Subject};

    #[test]
    fn the_heartbeat_of_a_later_version_can_be_decoded() {
        let later = r#"{"id":"a","role":"referee","host":"h","pid":1,"version":"9","startedAt":0,"left":false,"more":true,
            "checks":[{"subject":"weather","name":"rain","outage":null,"required":false}],"products":{"p":{"perS":{"SUCCESS":1.5,"MAYBE":2.0},"attempts":{"MAYBE":3},
            "admission":[],"answer":[[1000,2]],"recording":[]}},
            "events":[{"at":1,"kind":"APPLAUSE","about":"p","text":"","times":1}]}"#;
        let heartbeat: Heartbeat = serde_json::from_str(later).expect("a heartbeat");
        assert_eq!(
            (heartbeat.role, heartbeat.left, heartbeat.events[0].kind),
            (Role::Other, false, EventKind::Other)
        );
        assert_eq!(heartbeat.checks[0].subject, Subject::Other);
        let window = &heartbeat.products["p"];
        assert_eq!((window.per_s[&Attempt::Success], window.attempts[&Attempt::Other]), (1.5, 3));
    }
}
