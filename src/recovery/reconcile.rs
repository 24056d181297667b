//! Compares admission with the ledger, purchase by purchase, and repairs what can be repaired
//! without guessing.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::RecoveryError;
use crate::admission::{Admission, AdmissionError};
use crate::audit::{Difference, DifferenceKind, GatherError, Sources, differences, running_conservation};
use crate::domain::{Conservation, ProductId};
use crate::runtime::Runtime;
use crate::stores::Stores;

/// Purchases move on while the stores are read. A difference counts if it is there in two reads in
/// a row, this far apart.
const BETWEEN_READS: Duration = Duration::from_secs(2);
/// Each read may find what is only moving, and is confirmed by no other.
const READS_MAX: usize = 3;

/// What the stores of a sale say of each other. They agree exactly where it has no differences.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// Does not hold only where there are differences. `None`: the sale was rebuilt meanwhile, or
    /// its units moved too fast to be counted.
    pub law: Option<Conservation>,
    /// Messages in the queue, of all products, that no worker holds.
    pub queued: Option<u32>,
    #[serde(serialize_with = "with_repairs")]
    pub differences: Vec<Difference>,
}

/// Compares winners, outbox and ledger of a product, in both directions, and counts its units.
pub async fn compare(
    stores: &Stores,
    product: &ProductId,
    runtime: &Runtime,
) -> Result<Comparison, GatherError> {
    let sources = Sources::from(stores.clone());
    let mut comparison = read(stores, &sources, product).await?;
    for _ in 1..READS_MAX {
        if comparison.differences.is_empty() {
            return Ok(comparison);
        }
        runtime.sleep(BETWEEN_READS).await;
        let before = std::mem::replace(&mut comparison, read(stores, &sources, product).await?);
        let is_confirmed = |found: &Difference| before.differences.iter().any(|one| one.is_same(found));
        if comparison.differences.iter().any(is_confirmed) {
            comparison.differences.retain(is_confirmed);
            drop_explained(&mut comparison.differences);
            return Ok(comparison);
        }
    }
    comparison.differences.clear();
    comparison.law = comparison.law.filter(Conservation::holds);
    Ok(comparison)
}

async fn read(stores: &Stores, sources: &Sources, product: &ProductId) -> Result<Comparison, GatherError> {
    let evidence = sources.gather(product).await?;
    let law = running_conservation(&*stores.admission, &*stores.ledger, product).await?;
    let mut found = differences(&evidence);
    found.extend(law.clone().filter(|law| !law.holds()).map(Difference::Law));
    Ok(Comparison { law, queued: evidence.queued, differences: found })
}

/// That the law does not hold says nothing new where purchases are known to be missing or in two
/// places. (What is only moving explains nothing, and is there in one read alone.)
fn drop_explained(confirmed: &mut Vec<Difference>) {
    use DifferenceKind::{Law, LostOnTheWay, Units, UnknownToAdmission};
    if confirmed.iter().any(|one| matches!(one.kind(), LostOnTheWay | UnknownToAdmission | Units)) {
        confirmed.retain(|difference| difference.kind() != Law);
    }
}

/// What ends a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    SettleEntry,
    /// Recording a purchase is idempotent.
    Republish,
    /// The sweeper publishes the entry again until a worker takes it.
    Wait,
    /// Only an operator can tell what the letter is.
    HandleLetter,
    /// The ledger's terms are what the operator has decided.
    Configure,
    /// The ledger is the source of truth.
    Rebuild,
}

impl Repair {
    pub fn of(difference: &Difference) -> Self {
        match difference.kind() {
            DifferenceKind::StaleEntry => Self::SettleEntry,
            DifferenceKind::LostOnTheWay => Self::Republish,
            DifferenceKind::Undelivered => Self::Wait,
            DifferenceKind::ForgottenLetter => Self::HandleLetter,
            DifferenceKind::UnknownToAdmission
            | DifferenceKind::OtherPurchase
            | DifferenceKind::NotCarriedOver
            | DifferenceKind::Units
            | DifferenceKind::Law => Self::Rebuild,
            DifferenceKind::Terms => Self::Configure,
        }
    }

    pub fn describe(self) -> &'static str {
        match self {
            Self::SettleEntry => "delete the outbox entry",
            Self::Republish => "put the purchase into the outbox again",
            Self::Wait => "none is needed: the sweeper publishes the entry again",
            Self::HandleLetter => "replay or discard the dead letter: flashsale dead-letters",
            Self::Configure => "give the sale the ledger's terms",
            Self::Rebuild => "rebuild admission from the ledger, which a running `flashsale work` does",
        }
    }
}

fn with_repairs<S: Serializer>(differences: &[Difference], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct WithRepair<'difference> {
        kind: DifferenceKind,
        user: Option<&'difference str>,
        detail: String,
        cause: &'static str,
        repair: &'static str,
    }
    serializer.collect_seq(differences.iter().map(|difference| WithRepair {
        kind: difference.kind(),
        user: difference.user().map(crate::domain::UserId::as_str),
        detail: difference.detail(),
        cause: difference.kind().cause(),
        repair: Repair::of(difference).describe(),
    }))
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Repairs {
    /// Entries that were deleted or published again, and at most one rebuild.
    pub made: usize,
    /// Differences that end by themselves after an outage, or need an operator.
    pub left: usize,
}

/// Puts purchases that the ledger lacks into the outbox again, and returns their
/// number. Recording is idempotent.
pub(super) async fn send_lost_again(
    admission: &dyn Admission,
    differences: &[Difference],
) -> Result<usize, AdmissionError> {
    let mut sent = 0;
    for difference in differences {
        if let Difference::LostOnTheWay(purchase) = difference {
            sent += usize::from(admission.send_again(purchase).await?);
        }
    }
    Ok(sent)
}

pub async fn repair(
    stores: &Stores,
    product: &ProductId,
    differences: &[Difference],
) -> Result<Repairs, RecoveryError> {
    let made = send_lost_again(&*stores.admission, differences).await?;
    let mut repairs = Repairs { made, left: 0 };
    for difference in differences {
        match difference {
            Difference::StaleEntry(entry) => {
                stores.admission.settle(std::slice::from_ref(entry)).await?;
                repairs.made += 1;
            }
            Difference::Undelivered(_) | Difference::ForgottenLetter(_) => repairs.left += 1,
            Difference::Terms { decided, .. } => {
                let sales = stores.ledger.sales().await?;
                let Some(sale) = sales.iter().find(|sale| sale.product == *product) else { continue };
                // Refused where more units are handed out than the terms have.
                let agreed = stores.admission.configure(product, sale.epoch, decided).await?;
                if let Some(wanted) = sale.lower_stock_to {
                    stores.ledger.settle_stock(product, wanted, agreed).await?;
                }
                *if agreed { &mut repairs.made } else { &mut repairs.left } += 1;
            }
            Difference::LostOnTheWay(_)
            | Difference::UnknownToAdmission(_)
            | Difference::OtherPurchase { .. }
            | Difference::NotCarriedOver(_)
            | Difference::Units(_)
            | Difference::Law(_) => {}
        }
    }
    if differences.iter().any(|difference| Repair::of(difference) == Repair::Rebuild) {
        // No state of an earlier epoch may sell: the leader finds one, and rebuilds.
        stores.ledger.raise_epoch(product, 0).await?;
        repairs.made += 1;
    }
    Ok(repairs)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::domain::{Purchase, PurchaseId, UserId};

    #[test]
    fn a_broken_law_is_told_unless_something_that_is_confirmed_explains_it() {
        let law = Difference::Law(Conservation { missing: 1, ..Conservation::default() });
        let admitted_at = DateTime::<Utc>::UNIX_EPOCH;
        let purchase = Purchase {
            id: PurchaseId::new(admitted_at, [0, 0]),
            product: ProductId::parse("p").expect("id"),
            user: UserId::parse("a").expect("user"),
            unit: 1,
            admitted_at,
        };
        let letter = Difference::ForgottenLetter(purchase.clone());
        let lost = Difference::LostOnTheWay(purchase);
        for (mut confirmed, told) in [
            (vec![law.clone()], vec![law.clone()]),
            (vec![letter.clone(), law.clone()], vec![letter, law.clone()]),
            (vec![lost.clone(), law], vec![lost]),
        ] {
            drop_explained(&mut confirmed);
            assert_eq!(confirmed, told);
        }
    }
}
