//! Compares admission with the ledger, purchase by purchase, and repairs what can be repaired
//! without guessing.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::RecoveryError;
use crate::admission::{Admission, AdmissionError};
use crate::audit::{Difference, DifferenceKind, GatherError, Sources, conservation, differences};
use crate::domain::{Conservation, ProductId};
use crate::runtime::Runtime;
use crate::stores::Stores;

/// Purchases move on while the stores are read. A difference counts if it is there
/// twice, this far apart.
const BETWEEN_READS: Duration = Duration::from_secs(2);

#[derive(Debug, Serialize)]
pub struct Comparison {
    /// `None`: admission can't be read. While the sale runs, the counts are
    /// of slightly different instants.
    pub law: Option<Conservation>,
    /// Messages in the queue, of all products, that no worker holds.
    pub queued: Option<u32>,
    #[serde(serialize_with = "with_repairs")]
    pub differences: Vec<Difference>,
}

/// Compares winners, outbox and ledger of a product, in both directions.
pub async fn compare(
    stores: &Stores,
    product: &ProductId,
    runtime: &Runtime,
) -> Result<Comparison, GatherError> {
    let sources = Sources::from(stores.clone());
    let read = async || {
        let evidence = sources.gather(product).await?;
        let (law, queued) = (conservation(&evidence), evidence.queued);
        Ok::<_, GatherError>(Comparison { law, queued, differences: differences(&evidence) })
    };
    let first = read().await?;
    if first.differences.is_empty() {
        return Ok(first);
    }
    runtime.sleep(BETWEEN_READS).await;
    let mut second = read().await?;
    second.differences.retain(|found| first.differences.iter().any(|before| before.is_same(found)));
    Ok(second)
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
            | DifferenceKind::Units => Self::Rebuild,
        }
    }

    pub fn describe(self) -> &'static str {
        match self {
            Self::SettleEntry => "delete the outbox entry",
            Self::Republish => "put the purchase into the outbox again",
            Self::Wait => "none is needed: the sweeper publishes the entry again",
            Self::HandleLetter => "replay or discard the dead letter: flashsale dead-letters",
            Self::Rebuild => "rebuild admission from the ledger",
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

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// Entries that were deleted or published again, and at most one rebuild.
    pub made: usize,
    /// Differences that end by themselves after an outage, or need an operator.
    pub left: usize,
}

/// Puts purchases that the ledger lacks into the outbox again, and returns their number. Recording
/// is idempotent.
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
            Difference::LostOnTheWay(_)
            | Difference::UnknownToAdmission(_)
            | Difference::OtherPurchase { .. }
            | Difference::NotCarriedOver(_)
            | Difference::Units(_) => {}
        }
    }
    if differences.iter().any(|difference| Repair::of(difference) == Repair::Rebuild) {
        // No state of an earlier epoch may sell: the leader finds one, and rebuilds.
        stores.ledger.raise_epoch(product, 0).await?;
        repairs.made += 1;
    }
    Ok(repairs)
}
