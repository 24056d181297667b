//! How often a message was dead-lettered before, which travels with it.

use chrono::{DateTime, Utc};
use lapin::types::{AMQPValue, FieldTable};
use serde::Serialize;

/// What has happened to a message before: it travels with it, from dead letter to replay to dead letter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryHistory {
    /// How often it was dead-lettered.
    pub tries: u32,
    /// When it was first, in milliseconds since 1970.
    pub first_seen: Option<i64>,
}

impl DeliveryHistory {
    pub(super) fn read(headers: Option<&FieldTable>) -> Self {
        let number = |name: &str| {
            let value = headers.and_then(|headers| headers.inner().get(name))?;
            value.as_long_long_int().or_else(|| value.as_long_int().map(i64::from))
        };
        let tries = number("tries").and_then(|tries| u32::try_from(tries).ok()).unwrap_or(0);
        Self { tries, first_seen: number("first-seen") }
    }

    /// After one more failure.
    pub(super) fn once_more(self, now: DateTime<Utc>) -> Self {
        let first_seen = self.first_seen.or_else(|| Some(now.timestamp_millis()));
        Self { tries: self.tries.saturating_add(1), first_seen }
    }

    pub(super) fn write(self, headers: &mut FieldTable) {
        headers.insert("tries".into(), AMQPValue::LongLongInt(self.tries.into()));
        if let Some(first_seen) = self.first_seen {
            headers.insert("first-seen".into(), AMQPValue::LongLongInt(first_seen));
        }
    }
}
