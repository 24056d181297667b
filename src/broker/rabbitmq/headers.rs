//! Headers of messages: the delivery history, and why a message is dead-lettered.

use lapin::types::{AMQPValue, FieldTable};

use super::topology::text;
use crate::broker::{DeadReason, DeliveryHistory};

/// A detail may quote the message, and a message's headers must fit into one frame.
const DETAIL_LEN_MAX: usize = 500;

pub(super) fn read_history(headers: Option<&FieldTable>) -> DeliveryHistory {
    let number = |name: &str| {
        let value = headers.and_then(|headers| headers.inner().get(name))?;
        value.as_long_long_int().or_else(|| value.as_long_int().map(i64::from))
    };
    let tries = number("tries").and_then(|tries| u32::try_from(tries).ok()).unwrap_or(0);
    DeliveryHistory { tries, first_seen: number("first-seen") }
}

pub(super) fn of_history(history: DeliveryHistory) -> FieldTable {
    let mut headers = FieldTable::default();
    headers.insert("tries".into(), AMQPValue::LongLongInt(history.tries.into()));
    if let Some(first_seen) = history.first_seen {
        headers.insert("first-seen".into(), AMQPValue::LongLongInt(first_seen));
    }
    headers
}

pub(super) fn of_dead_letter(reason: &DeadReason, history: DeliveryHistory) -> FieldTable {
    let mut headers = of_history(history);
    let detail = &reason.detail[..reason.detail.floor_char_boundary(DETAIL_LEN_MAX)];
    headers.insert("reason".into(), text(reason.class.as_str()));
    headers.insert("detail".into(), text(detail));
    headers
}

/// The text of a header.
pub(super) fn read_text(headers: Option<&FieldTable>, name: &str) -> Option<String> {
    headers?.inner().get(name)?.as_long_string().map(ToString::to_string)
}
