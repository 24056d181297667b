//! The history of a run: what clients sent and were answered, one JSON object per line, in any
//! order.
//!
//! `{"type":"attempt","operation":"buy","user":"u","product":"p","start":1700000000000,"end":1700000000012,
//! "kind":"ok","answer":{…}}` is one request with the API's answer.
//! `{"type":"fault","name":"redis-wipe", "start":…,"end":…,"tookHold":true,"losesRedis":true}` is a
//! fault that was injected.

use std::{collections::HashSet, io::BufRead};

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum HistoryLine {
    Attempt(Attempt),
    Fault(Fault),
}

/// One request, as its client saw it; times in milliseconds since 1970.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attempt {
    pub operation: Operation,
    pub user: String,
    pub product: String,
    pub start: i64,
    /// When the answer was complete, or the client gave up.
    pub end: i64,
    pub kind: AttemptKind,
    pub answer: Option<Answer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Operation {
    Buy,
    /// A query of the purchase.
    Status,
}

/// What the client knows of the effect of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AttemptKind {
    /// Answered with 200.
    Ok,
    /// Refused without an effect.
    Refused,
    /// A timeout, a reset, or a 5xx that does not exclude an effect.
    Unknown,
}

/// The members of an answer that the audit reads.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    pub status: Option<String>,
    pub has_purchased: Option<bool>,
    pub purchase_id: Option<String>,
    pub unit: Option<u32>,
    pub state: Option<String>,
    pub durability: Option<String>,
    /// Why the purchase was revoked, if it was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// An injected fault; times in milliseconds since 1970.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    pub name: String,
    pub start: i64,
    pub end: i64,
    /// The fault was observed to take effect.
    pub took_hold: bool,
    /// Redis lost data that it had answered with.
    #[serde(default)]
    pub loses_redis: bool,
    /// The database lost rows: it was restored to an earlier state.
    #[serde(default)]
    pub loses_rows: bool,
}

#[derive(Clone, Debug, Default)]
pub struct History {
    /// In the order of `end`.
    pub attempts: Vec<Attempt>,
    pub faults: Vec<Fault>,
}

impl History {
    /// Reads the lines about one product. The error names the line.
    pub fn read(lines: impl BufRead, product: &str) -> anyhow::Result<Self> {
        let mut history = Self::default();
        for (index, line) in lines.lines().enumerate() {
            let line = line?;
            if line.trim().is_empty() {
                continue;
            }
            let read = serde_json::from_str(&line);
            match read.map_err(|error| anyhow::anyhow!("line {} of the history: {error}", index + 1))? {
                HistoryLine::Attempt(attempt) if attempt.product == product => history.attempts.push(attempt),
                HistoryLine::Attempt(_) => {}
                HistoryLine::Fault(fault) => history.faults.push(fault),
            }
        }
        history.attempts.sort_by_key(|attempt| attempt.end);
        Ok(history)
    }

    /// Whether Redis lost data that it had answered with, after this attempt.
    pub fn redis_was_lost_after(&self, attempt: &Attempt) -> bool {
        self.faults_after(attempt).any(|fault| fault.loses_redis)
    }

    pub fn rows_were_lost_after(&self, attempt: &Attempt) -> bool {
        self.faults_after(attempt).any(|fault| fault.loses_rows)
    }

    fn faults_after(&self, attempt: &Attempt) -> impl Iterator<Item = &Fault> {
        self.faults.iter().filter(move |fault| fault.took_hold && attempt.start <= fault.end)
    }

    /// The purchases of which an attempt was told SUCCESS.
    pub fn promised(&self) -> HashSet<&str> {
        let promised = self.buys().filter(|attempt| attempt.outcome() == "SUCCESS");
        promised.filter_map(Attempt::purchase).collect()
    }

    pub fn buys(&self) -> impl Iterator<Item = &Attempt> {
        self.attempts.iter().filter(|attempt| attempt.operation == Operation::Buy)
    }
}

impl Attempt {
    /// Empty for a query, and for an attempt that was not answered.
    pub fn outcome(&self) -> &str {
        let status = self.answer.as_ref().and_then(|answer| answer.status.as_deref());
        status.filter(|_| self.operation == Operation::Buy).unwrap_or_default()
    }

    /// The id in the answer.
    pub fn purchase(&self) -> Option<&str> {
        self.answer.as_ref()?.purchase_id.as_deref()
    }
}
