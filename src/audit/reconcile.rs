//! What admission and the ledger say of the same purchases, where they differ, and what mends it.

use std::collections::{HashMap, HashSet};

use chrono::TimeDelta;
use serde::{Serialize, ser::SerializeStruct};

use super::{AdmissionState, Evidence};
use crate::domain::{Entry, Purchase};

/// A purchase that is on its way for so long has not been taken by anybody: it is sent again after seconds.
const UNDERWAY_MAX: TimeDelta = TimeDelta::minutes(1);

/// A purchase, or a sale as a whole, of which the stores differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What differs.
    pub kind: Kind,
    /// Whose purchase it is.
    pub user: Option<String>,
    /// What each store says, for a person.
    pub detail: String,
    /// What mends it.
    pub repair: Repair,
}

impl Difference {
    /// Whether the other one, found at another time, is about the same thing.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.kind, &self.user) == (other.kind, &other.user)
    }
}

impl Serialize for Difference {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Difference", 5)?;
        object.serialize_field("kind", &self.kind)?;
        object.serialize_field("user", &self.user)?;
        object.serialize_field("detail", &self.detail)?;
        object.serialize_field("cause", self.kind.cause())?;
        object.serialize_field("repair", self.repair.describe())?;
        object.end()
    }
}

/// Kinds of difference, each with its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// In the ledger and still in the outbox.
    StaleEntry,
    /// Admitted, and neither in the ledger nor on its way.
    LostOnTheWay,
    /// In the outbox for more than a minute, and not in the ledger.
    Undelivered,
    /// In the ledger, and unknown to admission.
    UnknownToAdmission,
    /// Admission and ledger name different purchases or units for a user.
    OtherPurchase,
    /// The units of winners and the free ones are not exactly those that were handed out.
    Units,
}

impl Kind {
    /// How this comes about.
    pub fn cause(self) -> &'static str {
        match self {
            Self::StaleEntry => "a worker ended between its commit and the deletion of the entry; harmless",
            Self::LostOnTheWay => {
                "its outbox entry was deleted without a commit, by hand or by an older Redis"
            }
            Self::Undelivered => {
                "every worker is away, or the queue holds it back, or a conflict can't be settled"
            }
            Self::UnknownToAdmission => "Redis lost it, or it was inserted by hand",
            Self::OtherPurchase => "Redis was rolled back, or a row was changed by hand",
            Self::Units => "Redis was changed by hand",
        }
    }
}

/// What mends a difference without guessing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Delete the outbox entry.
    Settle(Box<Entry>),
    /// Put it into the outbox again; recording it twice is safe.
    SendAgain(Box<Purchase>),
    /// None is needed: it is sent again by itself until somebody takes it.
    Wait,
    /// Make admission anew from the ledger, which is the source of truth.
    Rebuild,
}

impl Repair {
    /// What it does, for a person.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Settle(_) => "delete the outbox entry",
            Self::SendAgain(_) => "put it into the outbox again",
            Self::Wait => "none is needed: it is sent again by itself",
            Self::Rebuild => "rebuild admission from the ledger",
        }
    }
}

/// Every difference, both ways.
pub fn differences(evidence: &Evidence) -> Vec<Difference> {
    let Some(admission) = &evidence.admission else { return Vec::new() };
    let mut found = Vec::new();
    let rows: HashMap<_, _> = evidence.rows.iter().map(|row| (&row.user, row)).collect();
    let on_their_way: HashSet<_> = admission.outbox.iter().map(|entry| entry.purchase.id).collect();
    let dead: HashSet<_> = evidence.dead.iter().map(|purchase| purchase.id).collect();
    for winner in &admission.winners {
        let waits = on_their_way.contains(&winner.id) || dead.contains(&winner.id);
        match rows.get(&winner.user) {
            Some(row) if row.id == winner.id && row.unit == winner.unit => {}
            Some(row) if !waits => {
                let detail = format!("admission has {}, the ledger {}", shown(winner), shown(row));
                found.push(difference(Kind::OtherPurchase, winner, detail, Repair::Rebuild));
            }
            None if !waits => {
                let detail =
                    format!("admission has {}; it is neither recorded nor on its way", shown(winner));
                let repair = Repair::SendAgain(Box::new(winner.clone()));
                found.push(difference(Kind::LostOnTheWay, winner, detail, repair));
            }
            _ => {}
        }
    }
    let winners: HashSet<_> = admission.winners.iter().map(|winner| &winner.user).collect();
    for row in evidence.rows.iter().filter(|row| !winners.contains(&row.user)) {
        let detail = format!("the ledger has {}; admission does not know it", shown(row));
        found.push(difference(Kind::UnknownToAdmission, row, detail, Repair::Rebuild));
    }
    for entry in &admission.outbox {
        if rows.get(&entry.purchase.user).is_some_and(|row| row.id == entry.purchase.id) {
            let detail = format!("{} is recorded, and in the outbox as {}", shown(&entry.purchase), entry.id);
            let repair = Repair::Settle(Box::new(entry.clone()));
            found.push(difference(Kind::StaleEntry, &entry.purchase, detail, repair));
        } else if admission.sale.now - entry.purchase.admitted_at > UNDERWAY_MAX {
            let detail = format!("{} is in the outbox as {}", shown(&entry.purchase), entry.id);
            found.push(difference(Kind::Undelivered, &entry.purchase, detail, Repair::Wait));
        }
    }
    found.extend(units(admission));
    found
}

/// The units of winners and the free ones must be exactly those that were handed out. While more are handed out, only a
/// unit that two have is wrong for certain.
fn units(admission: &AdmissionState) -> Option<Difference> {
    let mut units: Vec<_> = admission.winners.iter().map(|winner| winner.unit).collect();
    units.extend(&admission.free);
    units.sort_unstable();
    let twice =
        units.windows(2).find_map(|pair| (pair.first() == pair.last()).then(|| pair.first().copied())?);
    let next = admission.sale.next;
    let detail = match twice {
        Some(unit) => format!("unit {unit} is given out twice"),
        None if admission.at_rest && !units.iter().copied().eq(1..=next) => {
            let (winners, free) = (admission.winners.len(), admission.free.len());
            format!("{winners} winners and {free} free units are not exactly 1..={next}")
        }
        None => return None,
    };
    Some(Difference { kind: Kind::Units, user: None, detail, repair: Repair::Rebuild })
}

fn difference(kind: Kind, purchase: &Purchase, detail: String, repair: Repair) -> Difference {
    Difference { kind, user: Some(purchase.user.to_string()), detail, repair }
}

fn shown(purchase: &Purchase) -> String {
    format!("unit {} (purchase {})", purchase.unit, purchase.id)
}
