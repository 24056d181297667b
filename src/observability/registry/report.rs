//! What a process posts of itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::ProductId;
use crate::observability::readiness::{Check, Subject};
use crate::observability::{Attempt, Durations, Event, Tally};

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// `flashsale serve`
    Serve,
    /// `flashsale work`
    Work,
    /// `flashsale web`
    Web,
    /// Something that this version does not know of.
    #[serde(other)]
    Other,
}

impl Role {
    /// As it is called on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Work => "work",
            Self::Web => "web",
            Self::Other => "?",
        }
    }
}

/// A process, as it says itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Names it, for as long as it lives.
    pub id: String,
    /// What it does.
    pub role: Role,
    /// The machine or container.
    pub host: String,
    /// Its number there.
    pub pid: u32,
    /// Of the program.
    pub version: String,
    /// When it started, in milliseconds since 1970.
    pub started_at: i64,
    /// Whether it has said goodbye.
    #[serde(default)]
    pub left: bool,
    /// What it depends on, as `/readyz` answers.
    pub checks: Vec<CheckReport>,
    /// What it counted, by product.
    pub products: BTreeMap<String, Window>,
    /// What happened to it lately.
    pub events: Vec<Event>,
}

impl Report {
    /// What people call it.
    pub fn name(&self) -> String {
        format!("{} {}:{}", self.role.as_str(), self.host, self.pid)
    }

    /// Whether it can do its work.
    pub fn is_ready(&self) -> bool {
        self.checks.iter().all(|check| check.outage.is_none() || !check.required)
    }
}

/// One dependency of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// What it is about.
    pub subject: Subject,
    /// Its name.
    pub name: String,
    /// Why it is not ready; `None`: it is.
    pub outage: Option<String>,
    /// Whether the process can't work without it.
    pub required: bool,
}

impl From<Check> for CheckReport {
    fn from(Check { subject, name, outage, required }: Check) -> Self {
        Self { subject, name, outage, required }
    }
}

/// What a process counted of a product.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// Attempts a second, over the last second.
    pub per_s: BTreeMap<Attempt, f64>,
    /// Attempts since it started.
    pub attempts: BTreeMap<Attempt, u64>,
    /// Pairs of microseconds and how often, over the last seconds: from an attempt's turn to the decision.
    pub admission: Vec<(u64, u32)>,
    /// From an attempt to its answer.
    pub answer: Vec<(u64, u32)>,
    /// From an admission to the commit that recorded it.
    pub recording: Vec<(u64, u32)>,
}

/// Seconds over which durations are looked at.
pub(crate) const WINDOW_S: usize = 10;

/// What this process counted of a product: since it started, and second by second of late.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    attempts: BTreeMap<Attempt, u64>,
    latest: std::collections::VecDeque<Tally>,
}

impl Counted {
    /// Adds another second.
    pub(crate) fn add(&mut self, tally: Tally) {
        for (attempt, number) in &tally.attempts {
            *self.attempts.entry(*attempt).or_default() += number;
        }
        if self.latest.len() == WINDOW_S {
            self.latest.pop_front();
        }
        self.latest.push_back(tally);
    }

    /// As it is posted; the last second took so many seconds in fact.
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

/// What was counted of every product.
pub(crate) type AllCounted = BTreeMap<ProductId, Counted>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observability::EventKind;

    #[test]
    fn the_report_of_a_later_version_can_be_read() {
        let later = r#"{"id":"a","role":"referee","host":"h","pid":1,"version":"9","startedAt":0,"more":true,
            "checks":[{"subject":"weather","name":"rain","outage":null,"required":false}],"products":{"p":{"perS":{"SUCCESS":1.5,"MAYBE":2.0},"attempts":{"MAYBE":3},
            "admission":[],"answer":[[1000,2]],"recording":[]}},
            "events":[{"at":1,"kind":"APPLAUSE","about":"p","text":"","times":1}]}"#;
        let report: Report = serde_json::from_str(later).expect("a report");
        assert_eq!((report.role, report.left, report.events[0].kind), (Role::Other, false, EventKind::Other));
        assert_eq!(report.checks[0].subject, Subject::Other);
        let window = &report.products["p"];
        assert_eq!((window.per_s[&Attempt::Success], window.attempts[&Attempt::Other]), (1.5, 3));
    }
}
