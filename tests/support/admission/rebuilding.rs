//! How a state is replaced by a snapshot of the ledger.

use flashsale::{
    admission::{AdmissionError, Decision, Fence, Found, Opening, RebuildStep},
    domain::{Outcome, Purchase, PurchaseState},
};

use super::{Bench, fresh_id, terms, user};

pub(crate) async fn only_the_epoch_that_stopped_a_sale_opens_it(bench: &Bench) {
    bench.open(1, &terms(1)).await;
    let product = &bench.product;
    let open = async |epoch| bench.admission.open(product, epoch, &terms(1), 0, false).await.expect("open");
    assert_eq!(open(2).await, Opening::Stale, "without a fence");
    assert_eq!(bench.admission.fence(product, 2).await.expect("fence"), Fence::Stopped);
    assert_eq!(bench.admission.fence(product, 3).await.expect("fence"), Fence::Stopped);
    assert_eq!(bench.admission.fence(product, 2).await.expect("fence"), Fence::Later(3), "a late fence");
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
    assert_eq!(bench.admission.fence(product, 2).await.expect("fence"), Fence::Later(3));
    assert_eq!(bench.admission.sale(product).await.expect("sale").epoch, 3);
}

pub(crate) async fn staged_parts_can_be_deleted(bench: &Bench) {
    let (product, epoch) = (&bench.product, 1);
    bench.admission.fence(product, epoch).await.expect("fence");
    bench.admission.stage(product, epoch, &[], &[1]).await.expect("stage");
    bench.admission.unstage(product, epoch).await.expect("unstage");
    let opened = bench.admission.open(product, epoch, &terms(1), 1, false).await.expect("open");
    assert_eq!(opened, Opening::Incomplete);
}

pub(crate) async fn a_state_that_lacks_what_was_seen_is_not_used(bench: &Bench) {
    let product = &bench.product;
    bench.open(1, &terms(5)).await;
    bench.win("a").await;
    bench.admission.raise_watermark(product, 1);
    bench.win("b").await;
    // Another process says that a later epoch sells.
    bench.admission.raise_watermark(product, 2);
    is_not_ready(async || bench.admission.admit(product, &user("anyone"), fresh_id()).await).await;
    is_not_ready(async || bench.admission.sale(product).await).await;
    is_not_ready(async || bench.admission.find(product, &user("a")).await).await;
    assert_eq!(bench.outbox().await.len(), 2, "the outbox holds promises");
    // The same epoch with fewer units than were handed out is a rollback, too.
    bench.open(2, &terms(5)).await;
    bench.win("c").await;
    bench.win("d").await;
    bench.open(2, &terms(5)).await;
    is_not_ready(async || bench.admission.sale(product).await).await;
    is_not_ready(async || bench.admission.admit(product, &user("anyone"), fresh_id()).await).await;
    bench.open(3, &terms(5)).await;
    assert_eq!(bench.win("e").await.purchase.unit, 1);
}

/// The first answer has the connections replaced, and the second one comes from a new connection.
async fn is_not_ready<T: std::fmt::Debug>(mut attempt: impl AsyncFnMut() -> Result<T, AdmissionError>) {
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
    let bought = |name: &str, unit| Purchase {
        id: fresh_id(),
        product: product.clone(),
        user: user(name),
        unit,
        admitted_at: chrono::DateTime::from_timestamp_millis(1_000).expect("time"),
    };
    let (a, d) = (bought("a", 1), bought("d", 4));
    bench.admission.stage(product, 2, std::slice::from_ref(&a), &[]).await.expect("stage");
    assert_eq!(
        bench.admission.open(product, 2, &terms(6), 4, false).await.expect("open"),
        Opening::Incomplete
    );
    bench.admission.stage(product, 2, std::slice::from_ref(&a), &[]).await.expect("stage");
    bench.admission.stage(product, 2, std::slice::from_ref(&d), &[2, 3]).await.expect("stage");
    assert_eq!(bench.admission.open(product, 2, &terms(6), 4, true).await.expect("open"), Opening::Open);
    assert_eq!(bench.admission.open(product, 2, &terms(6), 4, true).await.expect("open"), Opening::Open);
    assert_eq!(bench.admission.open(product, 1, &terms(6), 0, false).await.expect("open"), Opening::Stale);

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
