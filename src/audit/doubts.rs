//! Why a run could not have shown some violation.

use std::collections::HashSet;

use super::{Evidence, History};
use crate::domain::grouped;

pub(super) fn doubts(evidence: &Evidence, history: &History) -> Vec<String> {
    let mut doubts = Vec::new();
    for fault in history.faults.iter().filter(|fault| !fault.took_hold) {
        doubts.push(format!("the fault {} never took hold", fault.name));
    }
    if !history.buys().any(|attempt| attempt.outcome() == "SOLD_OUT") {
        doubts.push("no attempt was answered SOLD_OUT".to_owned());
    }
    let mut users = HashSet::new();
    if history.buys().all(|attempt| users.insert(&attempt.user)) {
        doubts.push("no user made two attempts".to_owned());
    }
    let withheld = evidence.cancelled.iter().filter(|row| row.keeps_unit).count();
    let (rows, total_stock) = (evidence.rows.len() + withheld, evidence.terms.total_stock);
    if rows < total_stock as usize {
        let (rows, total) = (grouped(rows), grouped(total_stock));
        doubts.push(format!("the stock was not exhausted: {rows} of {total}"));
    }
    doubts
}
