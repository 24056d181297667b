//! How a state is replaced by a snapshot of the ledger.

use flashsale::{
    admission::{
        AdmissionError, Decision, Fence, Found, Opening, Reassignment, RebuildStep, SnapshotTotals,
        StagedPart, WithdrawnUnit,
    },
    domain::{Outcome, Purchase, PurchaseState, UsedRight},
};

use super::{Bench, fresh_id, handed_out, terms, user};

fn bought(bench: &Bench, name: &str, unit: u32) -> Purchase {
    Purchase {
        id: fresh_id(),
        product: bench.product.clone(),
        user: user(name),
        unit,
        admitted_at: chrono::DateTime::from_timestamp_millis(1_000).expect("time"),
    }
}

fn recorded(purchase: &Purchase) -> StagedPart {
    StagedPart { recorded: vec![purchase.clone()], ..StagedPart::default() }
}

fn free(units: &[u32]) -> StagedPart {
    StagedPart { free: units.to_vec(), ..StagedPart::default() }
}

pub(crate) async fn only_the_epoch_that_stopped_a_sale_opens_it(bench: &Bench) {
    bench.open(1, &terms(1)).await;
    let product = &bench.product;
    let open =
        async |epoch| bench.admission.open(product, epoch, &terms(1), handed_out(0)).await.expect("open");
    assert_eq!(open(2).await, Opening::Stale, "without a fence");
    assert_eq!(bench.admission.fence(product, 2).await.expect("fence"), Fence::Stopped);
    assert_eq!(bench.admission.fence(product, 3).await.expect("fence"), Fence::Stopped);
    assert_eq!(bench.admission.fence(product, 2).await.expect("fence"), Fence::Later(3), "a late fence");
    assert_eq!(
        bench.admission.fence(product, 3).await.expect("fence"),
        Fence::Later(3),
        "of another rebuild"
    );
    assert_eq!(open(2).await, Opening::Stale, "a late snapshot of an earlier rebuild");
    let how_far = async || match bench.admission.sale(product).await {
        Err(AdmissionError::Rebuilding(step)) => step,
        other => panic!("{other:?}"),
    };
    assert_eq!(how_far().await, RebuildStep::PausingWorkers);
    for (epoch, step) in [(3, RebuildStep::Draining), (2, RebuildStep::Opening)] {
        bench.admission.note_step(product, epoch, step).await.expect("noted");
    }
    assert_eq!(how_far().await, RebuildStep::Draining, "an earlier rebuild has no say");
    assert_eq!(open(3).await, Opening::Open);
    for epoch in [2, 3] {
        let fenced = bench.admission.fence(product, epoch).await.expect("fence");
        assert_eq!(fenced, Fence::Later(3), "epoch {epoch}: an open sale is not stopped by its own");
    }
    assert_eq!(bench.admission.sale(product).await.expect("sale").epoch, 3);
}

pub(crate) async fn staged_parts_can_be_deleted(bench: &Bench) {
    let (product, epoch) = (&bench.product, 1);
    bench.admission.fence(product, epoch).await.expect("fence");
    bench.admission.stage(product, epoch, &free(&[1])).await.expect("stage");
    bench.admission.unstage(product, epoch).await.expect("unstage");
    let opened = bench.admission.open(product, epoch, &terms(1), handed_out(1)).await.expect("open");
    assert_eq!(opened, Opening::Incomplete);
}

pub(crate) async fn a_state_that_lacks_what_was_seen_is_not_used(bench: &Bench) {
    let (product, anyone) = (&bench.product, user("anyone"));
    bench.open(1, &terms(5)).await;
    bench.win("a").await;
    bench.admission.raise_watermark(product, 1, 1);
    bench.win("b").await;
    // The ledger says that a later epoch sells, elsewhere.
    bench.admission.raise_watermark(product, 2, 2);
    is_not_ready(|| bench.admission.admit(product, &anyone, fresh_id())).await;
    is_not_ready(|| bench.admission.sale(product)).await;
    is_not_ready(|| bench.admission.find(product, &anyone)).await;
    assert_eq!(bench.outbox().await.len(), 2, "the outbox holds promises");
    bench.open(2, &terms(5)).await;
    assert_eq!(bench.win("c").await.purchase.unit, 1);
}

/// A ledger that was restored gives out epochs that a process has seen the end of.
pub(crate) async fn a_state_is_rebuilt_above_what_was_seen(bench: &Bench) {
    let product = &bench.product;
    bench.open(7, &terms(5)).await;
    bench.win("a").await;
    assert_eq!(bench.admission.seen_epoch(product), 7);
    bench.admission.raise_watermark(product, 10, 10);
    assert_eq!(bench.admission.seen_epoch(product), 9, "no unit of the tenth was seen");
    is_not_ready(|| bench.admission.sale(product)).await;
    assert_eq!(bench.admission.fence(product, 8).await.expect("fence"), Fence::Later(9));
    bench.open(10, &terms(5)).await;
    assert_eq!(bench.win("b").await.purchase.unit, 1);
}

/// A rebuild is about to begin here: the connections to this server are the right ones.
pub(crate) async fn a_state_of_an_epoch_that_is_over_waits_for_its_rebuild(bench: &Bench) {
    let (product, anyone) = (&bench.product, user("anyone"));
    bench.open(1, &terms(5)).await;
    let bought = bench.win("a").await.purchase;
    bench.admission.raise_watermark(product, 2, 1);
    for _ in 0..3 {
        let refused = [
            bench.admission.admit(product, &anyone, fresh_id()).await.map(drop),
            bench.admission.sale(product).await.map(drop),
            bench.admission.find(product, &anyone).await.map(drop),
            bench.admission.reassign(&bought, true).await.map(drop),
            bench.admission.withdraw(&bought, None, WithdrawnUnit::Returns).await,
        ];
        for answer in refused {
            assert!(matches!(answer, Err(AdmissionError::NotReady)), "{answer:?}");
        }
    }
    let contents = bench.admission.contents(product).await.expect("contents");
    assert_eq!(contents.winners, [bought], "a purchase was taken back where the sale is not any more");
    assert_eq!(bench.admission.fence(product, 2).await.expect("fence"), Fence::Stopped);
    let step = bench.admission.sale(product).await;
    assert!(matches!(step, Err(AdmissionError::Rebuilding(_))), "{step:?}");
}

/// The first answer has the connections replaced, and the second one comes from a new connection.
async fn is_not_ready<T, Attempt>(attempt: impl Fn() -> Attempt)
where
    T: std::fmt::Debug,
    Attempt: Future<Output = Result<T, AdmissionError>>,
{
    const ATTEMPTS_MAX: u32 = 2_000;
    let mut refused = 0;
    for _ in 0..ATTEMPTS_MAX {
        match attempt().await {
            Err(AdmissionError::NotReady) => refused += 1,
            Err(AdmissionError::Unavailable(_)) => {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            other => panic!("{other:?}"),
        }
        if refused == 2 {
            return;
        }
    }
    panic!("no connection comes");
}

pub(crate) async fn a_rebuilt_sale_continues_from_the_ledger(bench: &Bench) {
    bench.open(1, &terms(6)).await;
    bench.win("lost").await;
    let product = &bench.product;
    bench.admission.fence(product, 2).await.expect("fence");
    let (a, d) = (bought(bench, "a", 1), bought(bench, "d", 4));
    bench.admission.stage(product, 2, &recorded(&a)).await.expect("stage");
    assert_eq!(
        bench.admission.open(product, 2, &terms(6), handed_out(4)).await.expect("open"),
        Opening::Incomplete
    );
    bench.admission.stage(product, 2, &recorded(&a)).await.expect("stage");
    bench.admission.stage(product, 2, &StagedPart { free: vec![2, 3], ..recorded(&d) }).await.expect("stage");
    assert_eq!(
        bench
            .admission
            .open(product, 2, &terms(6), SnapshotTotals { revoked: true, ..handed_out(4) })
            .await
            .expect("open"),
        Opening::Open
    );
    assert_eq!(
        bench
            .admission
            .open(product, 2, &terms(6), SnapshotTotals { revoked: true, ..handed_out(4) })
            .await
            .expect("open"),
        Opening::Open
    );
    assert_eq!(
        bench.admission.open(product, 1, &terms(6), handed_out(0)).await.expect("open"),
        Opening::Stale
    );

    assert_eq!(bench.outbox().await, []);
    for purchase in [&a, &d] {
        match bench.admission.admit(product, &purchase.user, fresh_id()).await.expect("decision") {
            Decision::Already(entry, PurchaseState::Confirmed) => assert_eq!(&entry.purchase, purchase),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        bench.admission.find(product, &user("lost")).await.expect("find"),
        Found::Nothing { revocations: true }
    );
    let mut units = Vec::new();
    for name in ["b", "c", "e", "f"] {
        let entry = bench.win(name).await;
        assert_eq!(entry.epoch, 2);
        units.push(entry.purchase.unit);
    }
    assert_eq!(units, [2, 3, 5, 6]);
    assert_eq!(bench.buy("g").await, Decision::Refused(Outcome::SoldOut));
}

async fn state(bench: &Bench, purchase: &Purchase) -> PurchaseState {
    match bench.admission.find(&bench.product, &purchase.user).await.expect("found") {
        Found::Purchase(entry, state) => {
            assert_eq!(&entry.purchase, purchase);
            state
        }
        Found::Nothing { .. } => panic!("{} has no purchase", purchase.user),
    }
}

/// It stays pending, its unit is not sold again, and it can still be recorded or taken back.
pub(crate) async fn a_dead_lettered_purchase_keeps_its_unit_through_a_rebuild(bench: &Bench) {
    let (product, epoch) = (&bench.product, 1);
    bench.admission.fence(product, epoch).await.expect("fence");
    let (a, b) = (bought(bench, "a", 1), bought(bench, "b", 2));
    let part = StagedPart { dead_lettered: vec![a.clone(), b.clone()], ..StagedPart::default() };
    bench.admission.stage(product, epoch, &part).await.expect("stage");
    let opened = bench.admission.open(product, epoch, &terms(3), handed_out(2)).await.expect("open");
    assert_eq!(opened, Opening::Open);
    assert_eq!(bench.admission.sale(product).await.expect("sale").dead, 2);
    assert_eq!(
        (state(bench, &a).await, state(bench, &b).await),
        (PurchaseState::Pending, PurchaseState::Pending)
    );
    assert_eq!(bench.win("c").await.purchase.unit, 3);
    assert_eq!(bench.buy("d").await, Decision::Refused(Outcome::SoldOut));
    // As a worker does with a letter that was replayed: it finds the unit that the purchase has.
    match bench.admission.reassign(&a, true).await.expect("reassigned") {
        Reassignment::Moved(entry) => bench.settle(&entry).await,
        other => panic!("{other:?}"),
    }
    assert_eq!(
        (state(bench, &a).await, state(bench, &b).await),
        (PurchaseState::Confirmed, PurchaseState::Pending)
    );
    bench.admission.withdraw(&b, None, WithdrawnUnit::Returns).await.expect("withdrawn");
    assert_eq!(bench.admission.sale(product).await.expect("sale").dead, 0);
    assert_eq!(bench.win("d").await.purchase.unit, 2);
}

pub(crate) async fn used_rights_and_withheld_units_outlive_a_rebuild(bench: &Bench) {
    let (product, epoch) = (&bench.product, 1);
    let right =
        |name: &str, unit, is_cancelled| UsedRight { purchase: bought(bench, name, unit), is_cancelled };
    let stage = async |epoch| {
        bench.admission.fence(product, epoch).await.expect("fence");
        // Unit 1 is sold, 2 withheld with its buyer, 3 withheld without one, 4 free.
        let used = vec![right("b", 2, true), right("gone", 0, true), right("elsewhere", 0, false)];
        let part = StagedPart { free: vec![4], used, ..recorded(&bought(bench, "a", 1)) };
        bench.admission.stage(product, epoch, &part).await.expect("stage");
    };
    stage(epoch).await;
    let totals = SnapshotTotals { next: 4, balance: 1, revoked: false };
    let open =
        async |epoch, totals| bench.admission.open(product, epoch, &terms(5), totals).await.expect("open");
    assert_eq!(open(epoch, SnapshotTotals { balance: 0, ..totals }).await, Opening::Incomplete);
    assert_eq!(open(epoch, totals).await, Opening::Open);
    let sale = bench.admission.sale(product).await.expect("sale");
    assert_eq!((sale.next, sale.remaining), (4, 2));
    for (name, unit, state) in [
        ("a", 1, PurchaseState::Confirmed),
        ("b", 2, PurchaseState::Cancelled),
        ("gone", 0, PurchaseState::Cancelled),
        ("elsewhere", 0, PurchaseState::Confirmed),
    ] {
        match bench.buy(name).await {
            Decision::Already(entry, found) => {
                assert_eq!((entry.purchase.unit, found), (unit, state), "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!([bench.win("c").await.purchase.unit, bench.win("d").await.purchase.unit], [4, 5]);
    assert_eq!(bench.buy("e").await, Decision::Refused(Outcome::SoldOut));
}
