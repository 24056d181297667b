//! The form of a message: JSON, tagged and versioned.
//!
//! `{"type":"purchases","v":1,"system":"…","epoch":3,"product":"limited-001","items":[…]}`, with items
//! `{"id","user","unit","admittedAt","seq"}`. `system` is the id of the system that sends it.
//! `admittedAt` is in milliseconds since 1970; together with `seq` it is the id of the purchase's
//! outbox entry.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::broker::{Content, DeadReason, DeadReasonClass, Rejected};
use crate::domain::{Entry, EntryId, ProductId, Purchase, PurchaseId, SystemId, UserId};

const TYPE: &str = "purchases";
const VERSION: u64 = 1;

#[derive(Serialize, Deserialize)]
struct Envelope<'text, Items> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'text, str>,
    v: u64,
    system: SystemId,
    epoch: u64,
    #[serde(borrow)]
    product: Cow<'text, str>,
    items: Items,
}

#[derive(Serialize, Deserialize)]
struct Item<User> {
    id: PurchaseId,
    user: User,
    unit: u32,
    #[serde(rename = "admittedAt")]
    admitted_at: u64,
    seq: u64,
}

/// Encodes entries of one product and epoch. Empty if there is none.
pub fn encode(system: SystemId, entries: &[Entry]) -> Vec<u8> {
    let Some(Entry { epoch, purchase, .. }) = entries.first() else { return Vec::new() };
    let items: Vec<_> = entries.iter().map(item).collect();
    let (epoch, product) = (*epoch, purchase.product.as_str().into());
    let envelope = Envelope { kind: TYPE.into(), v: VERSION, system, epoch, product, items };
    serde_json::to_vec(&envelope).unwrap_or_default() // strings and integers always serialise
}

/// A message without purchases. A consumer acknowledges it, and does nothing: it shows to its
/// publisher that the queue confirms.
pub(super) fn encode_nothing(system: SystemId) -> Vec<u8> {
    let envelope =
        Envelope { kind: TYPE.into(), v: VERSION, system, epoch: 0, product: "none".into(), items: [(); 0] };
    serde_json::to_vec(&envelope).unwrap_or_default() // strings and integers always serialise
}

fn item(Entry { id, purchase, .. }: &Entry) -> Item<&str> {
    let Purchase { id: purchase_id, user, unit, .. } = purchase;
    Item { id: *purchase_id, user: user.as_str(), unit: *unit, admitted_at: id.millis, seq: id.sequence }
}

/// Decodes a message of this system. An item that can never be recorded does not hold up its
/// neighbours; the error is about the message as a whole.
pub fn decode(system: SystemId, body: &[u8]) -> Result<Content, DeadReason> {
    if let Some(entries) = decode_whole(system, body) {
        return Ok(Content { entries, rejected: Vec::new() });
    }
    let envelope: Envelope<'_, Vec<&RawValue>> = decode_envelope(body)?;
    if envelope.system != system {
        let detail = format!("a message of the system {}; this system is {system}", envelope.system);
        return Err(DeadReason { class: DeadReasonClass::ForeignSystem, detail });
    }
    let product = ProductId::parse(&envelope.product)
        .map_err(|error| DeadReason { class: DeadReasonClass::BadField, detail: error.to_string() })?;
    let mut content = Content { entries: Vec::with_capacity(envelope.items.len()), rejected: Vec::new() };
    for raw in &envelope.items {
        match decode_item(raw, &product, envelope.epoch) {
            Ok(entry) => content.entries.push(entry),
            Err(detail) => {
                let Envelope { kind, v, system, epoch, product, .. } = &envelope;
                let (kind, product) = (kind.clone(), product.clone());
                let alone = Envelope { kind, v: *v, system: *system, epoch: *epoch, product, items: [raw] };
                let body = serde_json::to_vec(&alone).unwrap_or_default(); // it was JSON before
                let reason = DeadReason { class: DeadReasonClass::BadField, detail };
                content.rejected.push(Rejected { body, reason });
            }
        }
    }
    Ok(content)
}

/// The usual case, in one pass: every item is good. `None`: a part of the message is
/// out of the ordinary.
fn decode_whole(expected: SystemId, body: &[u8]) -> Option<Vec<Entry>> {
    let envelope: Envelope<'_, Vec<Item<&str>>> = serde_json::from_slice(body).ok()?;
    let Envelope { kind, v, system, epoch, product, items } = envelope;
    let is_ours = kind == TYPE && v == VERSION && system == expected;
    let product = ProductId::parse(&product).ok().filter(|_| is_ours)?;
    items.iter().map(|item| entry(item, &product, epoch).ok()).collect()
}

fn decode_envelope(body: &[u8]) -> Result<Envelope<'_, Vec<&RawValue>>, DeadReason> {
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
    let envelope = serde_json::from_slice::<Envelope<'_, Vec<&RawValue>>>(body);
    // A version that is not known may have another form: the reason names the version, not a
    // missing field.
    let Head { kind, v } = match &envelope {
        Ok(Envelope { kind, v, .. }) => Head { kind: kind.clone().into_owned(), v: *v },
        Err(_) => serde_json::from_slice(body).map_err(malformed)?,
    };
    if kind != TYPE || v != VERSION {
        let detail = format!("type {kind:?} version {v} is not known; {TYPE:?} version {VERSION} is");
        return Err(DeadReason { class: DeadReasonClass::UnknownVersion, detail });
    }
    envelope.map_err(malformed)
}

fn decode_item(raw: &RawValue, product: &ProductId, epoch: u64) -> Result<Entry, String> {
    let item: Item<String> = serde_json::from_str(raw.get()).map_err(|error| error.to_string())?;
    entry(&item, product, epoch)
}

fn entry(item: &Item<impl AsRef<str>>, product: &ProductId, epoch: u64) -> Result<Entry, String> {
    let user = UserId::parse(item.user.as_ref()).map_err(|error| error.to_string())?;
    let id = EntryId { millis: item.admitted_at, sequence: item.seq };
    let purchase = Purchase {
        id: item.id,
        product: product.clone(),
        user,
        unit: item.unit,
        admitted_at: id.admitted_at(),
    };
    let entry = Entry { id, epoch, purchase };
    entry.check()?;
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const SYSTEM: SystemId = SystemId(Uuid::from_u128(7));

    /// The users of odd units need no escapes in JSON.
    fn sample(unit: u32) -> Entry {
        let id = EntryId { millis: 1_732_000_000_123, sequence: u64::from(unit) };
        let purchase = Purchase {
            id: PurchaseId::new(id.admitted_at(), [unit.into(), 0]),
            product: ProductId::parse("limited-001").unwrap(),
            user: UserId::parse(&format!("buyer-{unit}{}", ["\"\\", ""][unit as usize % 2])).unwrap(),
            unit,
            admitted_at: id.admitted_at(),
        };
        Entry { id, epoch: 7, purchase }
    }

    #[test]
    fn a_message_decodes_to_what_was_encoded() {
        for (entries, in_one_pass) in
            [(vec![sample(1), sample(3)], true), (vec![sample(1), sample(2)], false)]
        {
            let body = encode(SYSTEM, &entries);
            assert_eq!(decode_whole(SYSTEM, &body).is_some(), in_one_pass);
            assert_eq!(decode(SYSTEM, &body).unwrap(), Content { entries, rejected: Vec::new() });
        }
    }

    #[test]
    fn a_message_without_purchases_is_well_formed() {
        assert_eq!(decode(SYSTEM, &encode_nothing(SYSTEM)).unwrap(), Content::default());
    }

    #[test]
    fn an_envelope_with_escapes_is_read() {
        let body = String::from_utf8(encode(SYSTEM, &[sample(1)])).unwrap();
        let escaped =
            body.replace("limited-001", "limited\\u002d001").replace("purchases", "purch\\u0061ses");
        assert_ne!(escaped, body);
        assert_eq!(decode(SYSTEM, escaped.as_bytes()).unwrap().entries, [sample(1)]);
    }

    #[test]
    fn an_item_that_can_never_be_recorded_is_rejected_alone() {
        let good = serde_json::to_string(&item(&sample(1))).unwrap();
        let id = r#""id":"0193a000-0000-7000-8000-000000000001""#;
        for bad_item in [
            "1".to_owned(),
            "{}".to_owned(),
            format!(r#"{{{id},"user":"u","unit":1,"admittedAt":1}}"#),
            format!(r#"{{{id},"user":"u","unit":0,"admittedAt":1,"seq":0}}"#),
            format!(r#"{{{id},"user":"u","unit":-1,"admittedAt":1,"seq":0}}"#),
            format!(r#"{{{id},"user":"a\u0000","unit":1,"admittedAt":1,"seq":0}}"#),
            format!(r#"{{{id},"user":"{}","unit":1,"admittedAt":1,"seq":0}}"#, "x".repeat(129)),
            format!(r#"{{{id},"user":"u","unit":1,"admittedAt":-1,"seq":0}}"#),
            format!(r#"{{{id},"user":"u","unit":1,"admittedAt":253402300800000,"seq":0}}"#),
            r#"{"id":"nope","user":"u","unit":1,"admittedAt":1,"seq":0}"#.to_owned(),
        ] {
            let body = format!(
                r#"{{"type":"purchases","v":1,"system":"{SYSTEM}","epoch":7,"product":"limited-001","items":[{good},{bad_item}]}}"#
            );
            let decoded = decode(SYSTEM, body.as_bytes()).unwrap();
            assert_eq!(decoded.entries, [sample(1)], "{bad_item}");
            assert_eq!(decoded.rejected.len(), 1, "{bad_item}");
            assert_eq!(decoded.rejected[0].reason.class, DeadReasonClass::BadField, "{bad_item}");
            assert!(String::from_utf8_lossy(&decoded.rejected[0].body).contains(&bad_item));
        }
    }

    #[test]
    fn what_is_no_message_is_refused_as_a_whole() {
        use DeadReasonClass::{BadField, Malformed, UnknownVersion};
        let bad_product = format!(
            r#"{{"type":"purchases","v":1,"system":"{SYSTEM}","epoch":1,"product":"NO WAY","items":[]}}"#
        );
        for (body, class) in [
            ("", Malformed),
            ("{", Malformed),
            ("\u{0}", Malformed),
            ("[]", Malformed),
            (r#"{"type":"purchases","v":1}"#, Malformed),
            (r#"{"type":"purchases","v":2,"parcels":[]}"#, UnknownVersion),
            (r#"{"type":"refunds","v":1,"epoch":1,"product":"p","items":[]}"#, UnknownVersion),
            (bad_product.as_str(), BadField),
        ] {
            assert_eq!(decode(SYSTEM, body.as_bytes()).unwrap_err().class, class, "{body:?}");
        }
    }

    #[test]
    fn a_message_of_another_system_is_refused_as_a_whole() {
        let foreign = encode(SystemId(Uuid::from_u128(8)), &[sample(1)]);
        assert_eq!(decode(SYSTEM, &foreign).unwrap_err().class, DeadReasonClass::ForeignSystem);
    }
}
