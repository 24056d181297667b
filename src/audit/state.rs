//! Checks 1 to 3: the state of the stores, each alone and against each other.

use std::collections::{HashMap, HashSet};

use super::{Check, Evidence, report::Law};
use crate::domain::Purchase;

pub(super) fn checks(evidence: &Evidence) -> Vec<Check> {
    vec![units(evidence), users(evidence), conservation(evidence)]
}

fn units(evidence: &Evidence) -> Check {
    let mut check = Check::new(1, "rows are at most total_stock, their units distinct and in range");
    let total_stock = evidence.terms.total_stock;
    let mut owners = HashMap::new();
    for row in &evidence.rows {
        let before = owners.insert(row.unit, &row.user);
        check.look(before.is_none(), || {
            format!(
                "unit {} belongs to {} and to {}",
                row.unit,
                before.map_or("", |user| user.as_str()),
                row.user
            )
        });
        check.look((1..=total_stock).contains(&row.unit), || {
            format!("unit {} of {} is not within 1..={total_stock}", row.unit, row.user)
        });
    }
    check.look(evidence.rows.len() <= total_stock as usize, || {
        format!("{} rows for {total_stock} units", evidence.rows.len())
    });
    check
}

fn users(evidence: &Evidence) -> Check {
    let mut check = Check::new(2, "a user has at most one row, and no purchase is both recorded and revoked");
    let mut seen = HashSet::new();
    for row in &evidence.rows {
        check.look(seen.insert(&row.user), || format!("{} has two rows", row.user));
        check.look(!evidence.revocations.contains_key(&row.id.to_string()), || {
            format!("purchase {} of {} is in the ledger, and revoked", row.id, row.user)
        });
    }
    check
}

/// The numbers of the conservation law.
pub fn law(evidence: &Evidence) -> Law {
    let admission = evidence.admission.as_ref();
    // A dead letter of somebody who has no unit takes none: foreign, or of a state that was lost since.
    let winners: Option<HashSet<_>> =
        admission.map(|admission| admission.winners.iter().map(|winner| winner.id).collect());
    let has_unit = |dead: &&Purchase| winners.as_ref().is_none_or(|winners| winners.contains(&dead.id));
    Law {
        total_stock: evidence.terms.total_stock,
        remaining: admission.map(|admission| admission.sale.remaining),
        in_flight: admission.map(|admission| admission.outbox.len()),
        in_ledger: evidence.rows.len(),
        dead_lettered: evidence.dead.iter().filter(has_unit).count(),
    }
}

fn conservation(evidence: &Evidence) -> Check {
    let mut check = Check::new(
        3,
        "total = remaining + in flight + in the ledger + dead-lettered, in Redis and ledger alike",
    );
    let Some(admission) = &evidence.admission else { return check };
    let law = law(evidence);
    check.look(law.holds() != Some(false), || law.to_string());
    let rows: HashMap<_, _> = evidence.rows.iter().map(|row| (&row.user, row)).collect();
    let on_their_way: HashSet<_> = admission.outbox.iter().map(|entry| entry.purchase.id).collect();
    let dead: HashSet<_> = evidence.dead.iter().map(|purchase| purchase.id).collect();
    for winner in &admission.winners {
        let recorded =
            rows.get(&winner.user).is_some_and(|row| row.id == winner.id && row.unit == winner.unit);
        let elsewhere = on_their_way.contains(&winner.id) || dead.contains(&winner.id);
        check.look(recorded || elsewhere, || {
            let (user, unit, id) = (&winner.user, winner.unit, winner.id);
            format!("{user} won unit {unit} (purchase {id}), which is neither recorded nor on its way")
        });
    }
    let winners: HashSet<_> = admission.winners.iter().map(|winner| &winner.user).collect();
    for row in &evidence.rows {
        check.look(winners.contains(&row.user), || {
            format!("{} has unit {} in the ledger, and admission does not know it", row.user, row.unit)
        });
    }
    let mut units: Vec<_> =
        admission.winners.iter().map(|winner| winner.unit).chain(admission.free.iter().copied()).collect();
    units.sort_unstable();
    check.look(units.iter().copied().eq(1..=admission.sale.next), || {
        format!("the units of winners and the free ones are not exactly 1..={}", admission.sale.next)
    });
    check
}
