//! What travels through the broker: JSON, tagged and versioned.
//!
//! `{"type":"purchases","v":1,"epoch":3,"product":"limited-001","items":[{"id","user","unit","admittedAt","seq"}]}`
//! `admittedAt` is in milliseconds since 1970 (an RFC 3339 text is read too); together with the optional `seq`
//! it is the id of the purchase's outbox entry.

use chrono::DateTime;
use serde::{Deserialize, Serialize};

use crate::domain::{EntryId, OutboxEntry, ProductId, Purchase, PurchaseId, UserId};

const TYPE: &str = "purchases";
const VERSION: u64 = 1;

/// Purchases of one product, admitted under one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The incarnation of the admission state that admitted them.
    pub epoch: u64,
    /// What was bought.
    pub product: ProductId,
    /// Who bought which unit.
    pub items: Vec<Item>,
}

/// One purchase in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The purchase.
    pub purchase: Purchase,
    /// Sequence of its outbox entry, if the sender told it; the entry's milliseconds are the admission time.
    pub sequence: Option<u64>,
}

impl Item {
    /// The item as an outbox entry of `epoch`.
    pub fn entry(&self, epoch: u64) -> OutboxEntry {
        let millis = u64::try_from(self.purchase.admitted_at.timestamp_millis()).unwrap_or(0);
        let id = EntryId { millis, sequence: self.sequence.unwrap_or(0) };
        OutboxEntry { id, epoch, purchase: self.purchase.clone() }
    }
}

/// What was read of a message: its good part, and the items that can never succeed.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The good items.
    pub message: Message,
    /// Each bad item as a message of its own, and why it is bad.
    pub bad: Vec<(Vec<u8>, DeadReason)>,
}

/// Why something is in the dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadReason {
    /// The kind of reason, for sorting and counting.
    pub class: DeadReasonClass,
    /// The details, for a person.
    pub detail: String,
}

/// Kinds of reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadReasonClass {
    /// Not JSON, or not of the form of a message.
    Malformed,
    /// A type or version that this program does not know.
    UnknownVersion,
    /// A field of an item is out of its bounds.
    BadField,
    /// The ledger has no such product.
    UnknownProduct,
    /// The unit is above the product's total stock.
    UnitOutOfRange,
    /// The ledger refuses the values themselves.
    Refused,
}

impl DeadReasonClass {
    /// Its stable name in headers and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownVersion => "unknown-version",
            Self::BadField => "bad-field",
            Self::UnknownProduct => "unknown-product",
            Self::UnitOutOfRange => "unit-out-of-range",
            Self::Refused => "refused",
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Wire<Items> {
    #[serde(rename = "type")]
    kind: String,
    v: u64,
    epoch: u64,
    product: String,
    items: Items,
}

#[derive(Serialize, Deserialize)]
struct WireItem {
    id: PurchaseId,
    user: String,
    unit: u32,
    #[serde(rename = "admittedAt")]
    admitted_at: WireInstant,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    seq: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WireInstant {
    Millis(i64),
    Text(DateTime<chrono::Utc>),
}

impl Message {
    /// Groups entries into messages: one per product and epoch, in their order.
    pub fn group(entries: impl IntoIterator<Item = OutboxEntry>) -> Vec<Self> {
        let mut messages: Vec<Self> = Vec::new();
        for OutboxEntry { id, epoch, purchase } in entries {
            let item = Item { sequence: Some(id.sequence), purchase };
            let product = &item.purchase.product;
            let same = |message: &&mut Self| message.epoch == epoch && message.product == *product;
            match messages.iter_mut().find(same) {
                Some(message) => message.items.push(item),
                None => messages.push(Self { epoch, product: product.clone(), items: vec![item] }),
            }
        }
        messages
    }

    /// As JSON.
    pub fn encode(&self) -> Vec<u8> {
        let items: Vec<_> = self.items.iter().map(wire_item).collect();
        let product = self.product.to_string();
        let wire = Wire { kind: TYPE.to_owned(), v: VERSION, epoch: self.epoch, product, items };
        serde_json::to_vec(&wire).unwrap_or_default() // strings and integers always serialise
    }

    /// Reads a message. An item that can never succeed does not keep its neighbours back; the error is about
    /// the message as a whole.
    pub fn decode(body: &[u8]) -> Result<Decoded, DeadReason> {
        let wire: Wire<Vec<serde_json::Value>> = read_envelope(body)?;
        let product = ProductId::parse(&wire.product)
            .map_err(|error| DeadReason { class: DeadReasonClass::BadField, detail: error.to_string() })?;
        let mut message = Self { epoch: wire.epoch, product, items: Vec::with_capacity(wire.items.len()) };
        let mut bad = Vec::new();
        for value in wire.items {
            let item = WireItem::deserialize(&value)
                .map_err(|error| error.to_string())
                .and_then(|item| read_item(&message.product, &item));
            match item {
                Ok(item) => message.items.push(item),
                Err(detail) => {
                    let alone = Wire {
                        kind: wire.kind.clone(),
                        v: wire.v,
                        epoch: wire.epoch,
                        product: wire.product.clone(),
                        items: [value],
                    };
                    let body = serde_json::to_vec(&alone).unwrap_or_default(); // it was JSON before
                    bad.push((body, DeadReason { class: DeadReasonClass::BadField, detail }));
                }
            }
        }
        Ok(Decoded { message, bad })
    }
}

fn read_envelope(body: &[u8]) -> Result<Wire<Vec<serde_json::Value>>, DeadReason> {
    #[derive(Deserialize)]
    struct Head {
        #[serde(rename = "type")]
        kind: String,
        v: u64,
    }
    let malformed = |error: serde_json::Error| DeadReason {
        class: DeadReasonClass::Malformed,
        detail: error.to_string(),
    };
    let wire = serde_json::from_slice(body);
    // A version that we don't know may have another form: say that, rather than which field is missing.
    let Head { kind, v } = match &wire {
        Ok(Wire { kind, v, .. }) => Head { kind: kind.clone(), v: *v },
        Err(_) => serde_json::from_slice(body).map_err(malformed)?,
    };
    if kind != TYPE || v != VERSION {
        let detail = format!("type {kind:?} version {v} is not known; {TYPE:?} version {VERSION} is");
        return Err(DeadReason { class: DeadReasonClass::UnknownVersion, detail });
    }
    wire.map_err(malformed)
}

fn read_item(product: &ProductId, item: &WireItem) -> Result<Item, String> {
    let user = UserId::parse(&item.user).map_err(|error| error.to_string())?;
    if item.unit == 0 {
        return Err("unit must be at least 1".to_owned());
    }
    let admitted_at = match item.admitted_at {
        WireInstant::Text(instant) => Some(instant),
        WireInstant::Millis(millis) => DateTime::from_timestamp_millis(millis),
    };
    // PostgreSQL and SQLite hold the years 0 to 9999 alike.
    let in_range = |instant: &DateTime<chrono::Utc>| (0..253_402_300_800).contains(&instant.timestamp());
    let admitted_at = admitted_at.filter(in_range).ok_or("admittedAt must be between 1970 and 9999")?;
    let purchase = Purchase { id: item.id, product: product.clone(), user, unit: item.unit, admitted_at };
    Ok(Item { purchase, sequence: item.seq })
}

fn wire_item(item: &Item) -> WireItem {
    WireItem {
        id: item.purchase.id,
        user: item.purchase.user.to_string(),
        unit: item.purchase.unit,
        admitted_at: WireInstant::Millis(item.purchase.admitted_at.timestamp_millis()),
        seq: item.sequence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(unit: u32) -> OutboxEntry {
        let id = EntryId { millis: 1_732_000_000_123, sequence: u64::from(unit) };
        let purchase = Purchase {
            id: PurchaseId::generate(id.admitted_at()),
            product: ProductId::parse("limited-001").unwrap(),
            user: UserId::parse(&format!("buyer-{unit}\"\\")).unwrap(),
            unit,
            admitted_at: id.admitted_at(),
        };
        OutboxEntry { id, epoch: 7, purchase }
    }

    #[test]
    fn a_message_comes_back_as_it_was_sent() {
        let entries: Vec<_> = (1..=3).map(entry).collect();
        let messages = Message::group(entries.clone());
        assert_eq!(messages.len(), 1);
        let Decoded { message, bad } = Message::decode(&messages[0].encode()).unwrap();
        assert_eq!(bad, []);
        assert_eq!(message.items.iter().map(|item| item.entry(7)).collect::<Vec<_>>(), entries);
    }

    #[test]
    fn a_message_without_seq_and_with_a_textual_time_is_read() {
        let body = r#"{"type":"purchases","v":1,"epoch":1,"product":"p","items":[
            {"id":"0193a000-0000-7000-8000-000000000001","user":"u","unit":1,
             "admittedAt":"2026-11-27T18:00:00.250Z"}]}"#;
        let Decoded { message, bad } = Message::decode(body.as_bytes()).unwrap();
        assert_eq!(bad, []);
        assert_eq!(message.items[0].sequence, None);
        assert_eq!(message.items[0].purchase.admitted_at.timestamp_subsec_millis(), 250);
    }

    #[test]
    fn what_can_never_succeed_is_named_and_its_neighbours_go_through() {
        let good = serde_json::to_string(&wire_item(&Message::group([entry(1)])[0].items[0])).unwrap();
        let id = r#""id":"0193a000-0000-7000-8000-000000000001""#;
        for bad_item in [
            "1".to_owned(),
            "{}".to_owned(),
            format!(r#"{{{id},"user":"u","unit":0,"admittedAt":1}}"#),
            format!(r#"{{{id},"user":"u","unit":-1,"admittedAt":1}}"#),
            format!(r#"{{{id},"user":"a\u0000","unit":1,"admittedAt":1}}"#),
            format!(r#"{{{id},"user":"{}","unit":1,"admittedAt":1}}"#, "x".repeat(129)),
            format!(r#"{{{id},"user":"u","unit":1,"admittedAt":-1}}"#),
            r#"{"id":"nope","user":"u","unit":1,"admittedAt":1}"#.to_owned(),
        ] {
            let body = format!(
                r#"{{"type":"purchases","v":1,"epoch":7,"product":"limited-001","items":[{good},{bad_item}]}}"#
            );
            let decoded = Message::decode(body.as_bytes()).unwrap();
            assert_eq!(decoded.message.items.len(), 1, "{bad_item}");
            assert_eq!(decoded.bad.len(), 1, "{bad_item}");
            assert_eq!(decoded.bad[0].1.class, DeadReasonClass::BadField, "{bad_item}");
        }
    }

    #[test]
    fn a_message_that_is_none_is_refused_as_a_whole() {
        use DeadReasonClass::{BadField, Malformed, UnknownVersion};
        for (body, class) in [
            ("", Malformed),
            ("{", Malformed),
            ("\u{0}", Malformed),
            ("[]", Malformed),
            (r#"{"type":"purchases","v":1}"#, Malformed),
            (r#"{"type":"purchases","v":2,"parcels":[]}"#, UnknownVersion),
            (r#"{"type":"refunds","v":1,"epoch":1,"product":"p","items":[]}"#, UnknownVersion),
            (r#"{"type":"purchases","v":1,"epoch":1,"product":"NO WAY","items":[]}"#, BadField),
        ] {
            assert_eq!(Message::decode(body.as_bytes()).unwrap_err().class, class, "{body:?}");
        }
    }
}
