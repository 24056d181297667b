//! Checks 1 to 3: each store alone, and the stores against each other.

use std::collections::{HashMap, HashSet};

use super::{AdmissionState, Check, Evidence, comparison::differences, evidence::LetterPlace};
use crate::domain::{Conservation, LedgerCounts};

pub(super) fn checks(evidence: &Evidence) -> Vec<Check> {
    vec![units(evidence), users(evidence), agreement(evidence)]
}

fn units(evidence: &Evidence) -> Check {
    let mut check = Check::new(1, "rows are at most total_stock, their units distinct and in range");
    let total_stock = evidence.terms.total_stock;
    let mut owners = HashMap::new();
    for row in &evidence.rows {
        let before = owners.insert(row.unit, &row.user);
        check.verify(before.is_none(), || {
            let before = before.map_or("", |user| user.as_str());
            format!("unit {} belongs to {before} and to {}", row.unit, row.user)
        });
        check.verify((1..=total_stock).contains(&row.unit), || {
            format!("unit {} of {} is not within 1..={total_stock}", row.unit, row.user)
        });
    }
    check.verify(evidence.rows.len() <= total_stock as usize, || {
        format!("{} rows for {total_stock} units", evidence.rows.len())
    });
    check
}

fn users(evidence: &Evidence) -> Check {
    let mut check = Check::new(2, "a user has at most one row, and no purchase is both recorded and revoked");
    let mut seen = HashSet::new();
    let holding = evidence.cancelled.iter().filter(|row| !row.may_buy_again).map(|row| &row.purchase);
    for row in evidence.rows.iter().chain(holding) {
        check.verify(seen.insert(&row.user), || format!("{} has two rows", row.user));
        check.verify(!evidence.revocations.contains_key(&row.id.to_string()), || {
            format!("purchase {} of {} is in the ledger, and revoked", row.id, row.user)
        });
    }
    check
}

/// The conservation law with the counts of the evidence. `None`: admission can't be read.
pub(super) fn conservation(evidence: &Evidence) -> Option<Conservation> {
    let admission = evidence.admission.as_ref()?;
    let dead = evidence.letters().filter(|(_, place)| *place == LetterPlace::Here);
    let withheld = evidence.cancelled.iter().filter(|row| row.keeps_unit);
    let returning = evidence.not_carried_over().filter(|row| !row.keeps_unit);
    let counts = LedgerCounts {
        recorded: evidence.rows.len() as u64,
        withheld: withheld.count() as u64,
        returning: returning.count() as u64,
    };
    Some(Conservation::at_rest(
        total_stock(evidence, admission).into(),
        admission.sale.remaining.into(),
        admission.outbox.len() as u64,
        counts,
        dead.count() as u64,
    ))
}

/// A lower stock that is asked for counts as soon as admission sells by it.
fn total_stock(evidence: &Evidence, admission: &AdmissionState) -> u32 {
    let decided = evidence.decided().total_stock;
    if admission.sale.terms.total_stock == decided { decided } else { evidence.terms.total_stock }
}

fn agreement(evidence: &Evidence) -> Check {
    let mut check = Check::new(
        3,
        "total = remaining + in flight + in the ledger + dead-lettered + withheld, in Redis and ledger alike",
    );
    let (Some(admission), Some(law)) = (&evidence.admission, conservation(evidence)) else { return check };
    check.verify(law.holds(), || law.to_string());
    // Each winner, each row, and the units as a whole.
    check.checked += admission.winners.len() + evidence.rows.len() + 1;
    let differences = differences(evidence);
    for difference in differences.iter().filter(|difference| difference.kind().breaks_agreement()) {
        let user = difference.user().map_or("the sale", |user| user.as_str());
        check.violation(|| format!("{user}: {}", difference.detail()));
    }
    check
}
