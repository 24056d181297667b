//! Headers of messages: the delivery history, and why a message is dead-lettered.

use lapin::types::FieldTable;

use super::topology::text;
use crate::broker::DeliveryHistory;

/// The headers of a dead letter.
pub(super) fn headers(reason: &str, detail: &str, history: DeliveryHistory) -> FieldTable {
    let mut headers = FieldTable::default();
    headers.insert("reason".into(), text(reason));
    headers.insert("detail".into(), text(detail));
    history.write(&mut headers);
    headers
}
