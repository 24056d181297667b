//! One step on one side. The answer is text, which is the same where the sides agree.

use std::fmt::Debug;

use chrono::{DateTime, TimeDelta, Utc};
use flashsale::{
    admission::{
        Admission, AdmissionError, Decision, RebuildStep, SnapshotTotals, StagedPart, WithdrawnUnit,
    },
    domain::{
        Entry, EntryId, ProductId, Purchase, PurchaseId, SaleState, Terms, UsedRight,
        sale::{Header, SaleMachine},
    },
};
use uuid::Uuid;

use super::steps::{Step, StepTerms, USERS, Used};
use crate::conformance::user;

/// What the numbers in a step stand for: the product, and its state before the step.
pub(super) struct Before<'before> {
    pub(super) product: &'before ProductId,
    pub(super) sale: SaleMachine,
    pub(super) now: DateTime<Utc>,
}

impl Before<'_> {
    fn epoch(&self, difference: i8) -> u64 {
        let stands = match &self.sale.header {
            Header::Absent => 5,
            Header::Fenced { epoch, .. } => *epoch,
            Header::Open(sale) => sale.epoch,
        };
        stands.saturating_add_signed(i64::from(difference))
    }

    /// A purchase of this user: of a version, or else the one that admission has.
    fn purchase(&self, number: u8, version: Option<u8>) -> Purchase {
        let winner = self.sale.buyers.get(&user(number));
        let own = winner.filter(|_| version.is_none());
        Purchase {
            id: own.map_or_else(|| id(number, version.unwrap_or(0)), |own| own.id),
            product: self.product.clone(),
            user: user(number),
            unit: winner.map_or(1, |winner| winner.unit),
            admitted_at: DateTime::from_timestamp_millis(1_000).expect("time"),
        }
    }

    fn entry(&self, number: u8, epoch: i8) -> Entry {
        let winner = self.sale.buyers.get(&user(number));
        let id = winner.map_or(EntryId { millis: 7, sequence: 7 }, |winner| winner.entry);
        Entry { id, epoch: self.epoch(epoch), purchase: self.purchase(number, None) }
    }

    fn terms(&self, terms: &StepTerms) -> Terms {
        let hour = TimeDelta::hours(1);
        Terms {
            total_stock: u32::from(terms.total),
            opens_at: (terms.window > 0).then(|| self.now + hour),
            closes_at: (terms.window < 0).then(|| self.now - hour),
            paused: terms.paused,
        }
    }
}

fn id(user: u8, version: u8) -> PurchaseId {
    PurchaseId(Uuid::from_u64_pair(u64::from(user) + 1, u64::from(version)))
}

/// The operation of a step; empty for steps that are no operation.
pub(super) async fn run(side: &dyn Admission, before: &Before<'_>, step: &Step) -> String {
    let product = before.product;
    match step {
        Step::Admit { user: number, version } => {
            decision(side.admit(product, &user(number), id(*number, *version)).await)
        }
        Step::Settle { user, epoch, dead: false } => {
            text("settle", side.settle(&[before.entry(*user, *epoch)]).await)
        }
        Step::Settle { user, epoch, dead: true } => {
            text("dead-letter", side.mark_dead_lettered(&[before.entry(*user, *epoch)]).await)
        }
        Step::Withdraw { user, version, stands, returns } => {
            let withdrawn = before.purchase(*user, *version);
            let stands =
                stands.map(|unit| Purchase { id: id(*user, 9), unit: unit.into(), ..withdrawn.clone() });
            let unit = if *returns { WithdrawnUnit::Returns } else { WithdrawnUnit::BelongsToOther };
            text("withdraw", side.withdraw(&withdrawn, stands.as_ref(), unit).await)
        }
        Step::Reassign { user, version, unit, may_keep } => {
            let purchase = before.purchase(*user, *version);
            let unit = unit.map_or(purchase.unit, u32::from);
            text("reassign", side.reassign(&Purchase { unit, ..purchase }, *may_keep).await)
        }
        Step::Adopt { user, version, unit } => {
            let owner = Purchase { unit: (*unit).into(), ..before.purchase(*user, Some(*version)) };
            text("adopt", side.adopt(&owner).await)
        }
        Step::Republish { user, version } => {
            text("republish", side.send_again(&before.purchase(*user, *version)).await)
        }
        Step::Raise { raised, opened } => {
            side.raise_watermark(before.product, before.epoch(*raised), before.epoch(*opened));
            String::new()
        }
        step => decide(side, before, step).await,
    }
}

/// What operators decide.
async fn decide(side: &dyn Admission, before: &Before<'_>, step: &Step) -> String {
    let product = before.product;
    match step {
        Step::Cancel { user, version, keeps_unit, may_buy_again } => {
            let cancelled = before.purchase(*user, *version);
            text("cancel", side.cancel(&cancelled, *keeps_unit, *may_buy_again).await)
        }
        Step::Bar { users } => {
            let earlier = |user: &u8| Purchase { unit: 0, ..before.purchase(*user, Some(8)) };
            text("bar", side.bar(&users.iter().map(earlier).collect::<Vec<_>>()).await)
        }
        Step::Rename { user: from, to } => text("rename", side.rename(product, &user(from), &user(to)).await),
        step => rebuild(side, before, step).await,
    }
}

async fn rebuild(side: &dyn Admission, before: &Before<'_>, step: &Step) -> String {
    let product = before.product;
    match step {
        Step::Configure { epoch, terms } => {
            text("configure", side.configure(product, before.epoch(*epoch), &before.terms(terms)).await)
        }
        Step::Fence { epoch } => text("fence", side.fence(product, before.epoch(*epoch)).await),
        Step::Progress { epoch, step } => {
            let step = RebuildStep::of_number(*step);
            text("note_step", side.note_step(product, before.epoch(*epoch), step).await)
        }
        Step::Stage { epoch, bought, dead, used, free } => {
            let purchases = |of: &[(u8, u8)]| -> Vec<_> {
                let purchase = |(user, unit): &(u8, u8)| Purchase {
                    unit: (*unit).into(),
                    ..before.purchase(*user, Some(9))
                };
                of.iter().map(purchase).collect()
            };
            let (bought, dead_lettered) = (purchases(bought), purchases(dead));
            let free = free.iter().map(|unit| (*unit).into()).collect();
            let right = |Used { user, unit, is_cancelled }: &Used| UsedRight {
                purchase: Purchase { unit: (*unit).into(), ..before.purchase(*user, Some(9)) },
                is_cancelled: *is_cancelled || *unit > 0,
            };
            let used = used.iter().map(right).collect();
            let part = StagedPart { recorded: bought, dead_lettered, used, free };
            text("stage", side.stage(product, before.epoch(*epoch), &part).await)
        }
        Step::Unstage { epoch } => text("unstage", side.unstage(product, before.epoch(*epoch)).await),
        Step::Open { epoch, terms, next, balance, revoked } => {
            let (epoch, terms) = (before.epoch(*epoch), before.terms(terms));
            let totals =
                SnapshotTotals { next: (*next).into(), balance: (*balance).into(), revoked: *revoked };
            text("open", side.open(product, epoch, &terms, totals).await)
        }
        _ => String::new(),
    }
}

/// Everything that can be read from a side, apart from the present time.
pub(super) async fn read(side: &dyn Admission, product: &ProductId) -> Vec<String> {
    let sale = side.sale(product).await.map(|sale| SaleState { now: DateTime::UNIX_EPOCH, ..sale });
    let mut answers = vec![
        text("sale", sale),
        text("outbox", side.outbox(product, EntryId::FIRST, EntryId::LAST, 1000).await),
        text("contents", side.contents(product).await),
    ];
    for number in 0..USERS {
        answers.push(text("find", side.find(product, &user(number)).await));
    }
    answers
}

/// An error is told by its kind: the numbers in its message may be missing on one side.
fn text<T: Debug>(operation: &str, answer: Result<T, AdmissionError>) -> String {
    match answer {
        Ok(answer) => format!("{operation} {answer:?}"),
        Err(AdmissionError::NotReady) => format!("{operation} NotReady"),
        Err(AdmissionError::OtherSystem) => format!("{operation} OtherSystem"),
        Err(AdmissionError::Rebuilding(step)) => format!("{operation} Rebuilding {step:?}"),
        Err(AdmissionError::Damaged(_)) => format!("{operation} Damaged"),
        Err(other) => panic!("{operation}: {other:?}"),
    }
}

fn decision(answer: Result<Decision, AdmissionError>) -> String {
    match answer {
        Ok(Decision::InOutbox(entry)) => format!("admit InOutbox {entry:?}"),
        Ok(Decision::Already(entry, state)) => format!("admit Already {state:?} {entry:?}"),
        other => text("admit", other),
    }
}
