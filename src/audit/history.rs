//! What clients saw: one JSON object a line, in any order.
//!
//! `{"type":"attempt","operation":"buy","user":"u","product":"p","start":1700000000000,"end":1700000000012,
//! "kind":"ok","answer":{…}}` is one request, with the API's answer as it came. `{"type":"fault","name":"redis-wipe",
//! "start":…,"end":…,"tookHold":true,"losesRedis":true}` is something that was done to the system.

use std::io::BufRead;

use serde::{Deserialize, Serialize};

/// A line of a history.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Line {
    /// A request.
    Attempt(Attempt),
    /// Something that was done to the system.
    Fault(Fault),
}

/// One request, as its client saw it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// What was asked.
    pub operation: Operation,
    /// For whom.
    pub user: String,
    /// Of which product.
    pub product: String,
    /// When it was sent, in milliseconds since 1970.
    pub start: i64,
    /// When its answer was there, or was given up.
    pub end: i64,
    /// Whether its effect is known.
    pub kind: Kind,
    /// The answer of a request that was answered.
    pub answer: Option<Answer>,
}

/// What a request asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Operation {
    /// To buy.
    Buy,
    /// What was bought.
    Status,
}

/// How much is known of a request's effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// It was answered with 200.
    Ok,
    /// It was refused, and had no effect.
    Refused,
    /// A time-out, a reset, or a 5xx that does not say that nothing happened.
    Unknown,
}

/// The members of an answer that the audit looks at.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The outcome of a purchase attempt.
    pub status: Option<String>,
    /// The answer to a question.
    pub has_purchased: Option<bool>,
    /// The purchase.
    pub purchase_id: Option<String>,
    /// Its unit.
    pub unit: Option<u32>,
    /// How far it is.
    pub state: Option<String>,
    /// Where it is safe.
    pub durability: Option<String>,
    /// Why it was taken back.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// Something that was done to the system.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// What.
    pub name: String,
    /// From when, in milliseconds since 1970.
    pub start: i64,
    /// Until when.
    pub end: i64,
    /// Whether it was seen to take effect.
    pub took_hold: bool,
    /// Whether Redis lost data that it had answered with.
    #[serde(default)]
    pub loses_redis: bool,
}

/// All that clients saw.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Requests, by the time of their answers.
    pub attempts: Vec<Attempt>,
    /// What was done to the system.
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
                Line::Attempt(attempt) if attempt.product == product => history.attempts.push(attempt),
                Line::Attempt(_) => {}
                Line::Fault(fault) => history.faults.push(fault),
            }
        }
        history.attempts.sort_by_key(|attempt| attempt.end);
        Ok(history)
    }

    /// Whether Redis lost data that it had answered with, after this attempt.
    pub fn redis_was_lost_after(&self, attempt: &Attempt) -> bool {
        let lost = |fault: &Fault| fault.took_hold && fault.loses_redis && attempt.start <= fault.end;
        self.faults.iter().any(lost)
    }

    /// The purchase attempts.
    pub fn buys(&self) -> impl Iterator<Item = &Attempt> {
        self.attempts.iter().filter(|attempt| attempt.operation == Operation::Buy)
    }
}

impl Attempt {
    /// The outcome of a purchase attempt, if it was answered.
    pub fn outcome(&self) -> &str {
        let status = self.answer.as_ref().and_then(|answer| answer.status.as_deref());
        status.filter(|_| self.operation == Operation::Buy).unwrap_or_default()
    }

    /// The purchase that the answer names.
    pub fn purchase(&self) -> Option<&str> {
        self.answer.as_ref()?.purchase_id.as_deref()
    }
}
