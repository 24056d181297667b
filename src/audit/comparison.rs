//! The comparison of the stores: where admission, outbox and ledger differ about the same
//! purchases.

use std::collections::{HashMap, HashSet};

use chrono::TimeDelta;

use super::{AdmissionState, Difference, Evidence, evidence::LetterPlace};
use crate::domain::Purchase;

/// The sweeper publishes an entry again after seconds; an entry of this age is one
/// that no worker takes.
const IN_FLIGHT_MAX: TimeDelta = TimeDelta::minutes(1);

/// Every difference, in both directions.
pub fn differences(evidence: &Evidence) -> Vec<Difference> {
    let Some(admission) = &evidence.admission else { return Vec::new() };
    let mut found = Vec::new();
    let rows: HashMap<_, _> = evidence.rows.iter().map(|row| (&row.user, row)).collect();
    let in_flight: HashSet<_> = admission.outbox.iter().map(|entry| entry.purchase.id).collect();
    let dead: HashSet<_> = evidence.dead.iter().map(|purchase| purchase.id).collect();
    found.extend(not_followed(evidence, admission).map(Difference::NotCarriedOver));
    let cancelled: HashSet<_> = evidence.cancelled.iter().map(|row| row.purchase.id).collect();
    // Under whatever name: its buyer may be erased.
    let recorded: HashSet<_> = evidence.rows.iter().map(|row| row.id).collect();
    for winner in &admission.winners {
        let unrecorded = in_flight.contains(&winner.id) || dead.contains(&winner.id);
        match rows.get(&winner.user) {
            Some(row) if row.id == winner.id && row.unit == winner.unit => {}
            Some(row) if !unrecorded => {
                let (admitted, recorded) = (winner.clone(), (*row).clone());
                found.push(Difference::OtherPurchase { admitted, recorded });
            }
            None if cancelled.contains(&winner.id) => {}
            None if recorded.contains(&winner.id) => found.push(Difference::NotCarriedOver(winner.clone())),
            None if !unrecorded => found.push(Difference::LostOnTheWay(winner.clone())),
            _ => {}
        }
    }
    let winners: HashSet<_> = admission.winners.iter().map(|winner| &winner.user).collect();
    let admitted: HashSet<_> = admission.winners.iter().map(|winner| winner.id).collect();
    let is_unknown = |row: &&Purchase| !winners.contains(&row.user) && !admitted.contains(&row.id);
    let unknown = evidence.rows.iter().filter(is_unknown);
    found.extend(unknown.map(|row| Difference::UnknownToAdmission(row.clone())));
    for entry in &admission.outbox {
        if recorded.contains(&entry.purchase.id) || cancelled.contains(&entry.purchase.id) {
            found.push(Difference::StaleEntry(entry.clone()));
        } else if admission.sale.now - entry.purchase.admitted_at > IN_FLIGHT_MAX
            || admission.sale.ahead(entry.id).is_some()
        {
            found.push(Difference::Undelivered(entry.clone()));
        }
    }
    let forgotten = evidence.letters().filter(|(_, place)| *place == LetterPlace::Nowhere);
    found.extend(forgotten.map(|(letter, _)| Difference::ForgottenLetter(letter.clone())));
    found.extend(units(evidence, admission).map(Difference::Units));
    let (sold, decided) = (&admission.sale.terms, evidence.decided());
    if *sold != decided {
        found.push(Difference::Terms { sold: sold.clone(), decided });
    }
    found
}

/// Cancelled purchases that count here, and users who could buy here and must not.
fn not_followed(evidence: &Evidence, admission: &AdmissionState) -> impl Iterator<Item = Purchase> {
    let known = admission.winners.iter().map(|winner| &winner.user);
    let known: HashSet<_> = known.chain(admission.used.iter().map(|right| &right.purchase.user)).collect();
    let barred = evidence.cancelled.iter().filter(|row| !row.may_buy_again).map(|row| &row.purchase);
    let barred = barred.chain(&evidence.earlier).filter(move |purchase| !known.contains(&purchase.user));
    evidence.not_carried_over().map(|row| &row.purchase).chain(barred).cloned()
}

/// While units are taken, only a unit with two owners is wrong for certain.
fn units(evidence: &Evidence, admission: &AdmissionState) -> Option<String> {
    let mut units: Vec<_> = admission.winners.iter().map(|winner| winner.unit).collect();
    let still_won: HashSet<_> = evidence.not_carried_over().map(|row| row.purchase.id).collect();
    let withheld = evidence.cancelled.iter().filter(|row| row.keeps_unit);
    let withheld = withheld.filter(|row| !still_won.contains(&row.purchase.id));
    units.extend(withheld.map(|row| row.purchase.unit));
    units.extend(&admission.free);
    units.sort_unstable();
    let twice =
        units.windows(2).find_map(|pair| (pair.first() == pair.last()).then(|| pair.first().copied())?);
    let next = admission.sale.next;
    match twice {
        Some(unit) => Some(format!("unit {unit} is given out twice")),
        None if admission.at_rest && !units.iter().copied().eq(1..=next) => {
            let (winners, free) = (admission.winners.len(), admission.free.len());
            Some(format!("{winners} winners and {free} free units are not exactly 1..={next}"))
        }
        None => None,
    }
}
