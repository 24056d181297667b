//! How a purchase leaves the outbox.

use flashsale::{
    admission::{Decision, Found},
    domain::{Entry, EntryId, PurchaseState},
};

use super::{Bench, terms, user};

pub(crate) async fn only_a_purchase_that_had_an_entry_counts_as_dead(bench: &Bench) {
    bench.open(1, &terms(5)).await;
    let entry = bench.win("a").await;
    let dead = async || bench.admission.sale(&bench.product).await.expect("sale").dead;
    let state = async || match bench.admission.find(&bench.product, &user("a")).await.expect("found") {
        Found::Purchase(_, state) => state,
        Found::Nothing { .. } => panic!("it is gone"),
    };
    let mark = async |entry: Entry| bench.admission.mark_dead_lettered(&[entry]).await.expect("mark");
    let other_id = EntryId { sequence: entry.id.sequence + 7, ..entry.id };
    mark(Entry { id: other_id, ..entry.clone() }).await;
    mark(Entry { epoch: 2, ..entry.clone() }).await;
    assert_eq!((dead().await, bench.outbox().await.len()), (0, 1), "it had no entry, or is of another epoch");
    for _ in 0..2 {
        mark(entry.clone()).await;
        assert_eq!((dead().await, bench.outbox().await.len()), (1, 0));
        assert_eq!(state().await, PurchaseState::Pending, "it is not in the ledger");
    }
    bench.settle(&entry).await;
    assert_eq!((dead().await, state().await), (0, PurchaseState::Confirmed));
}

pub(crate) async fn the_outbox_holds_a_purchase_until_it_is_settled(bench: &Bench) {
    bench.open(1, &terms(5)).await;
    let (first, second) = (bench.win("a").await, bench.win("b").await);
    assert_eq!(bench.outbox().await, [first.clone(), second.clone()]);
    let after_first = bench.admission.outbox(&bench.product, first.id, second.id, 100).await.expect("outbox");
    assert_eq!(after_first, [second.clone()]);
    let limited = bench.admission.outbox(&bench.product, EntryId::FIRST, second.id, 1).await.expect("outbox");
    assert_eq!(limited, [first.clone()]);

    let other_epoch = Entry { epoch: 2, ..first.clone() };
    bench.settle(&other_epoch).await;
    assert_eq!(bench.outbox().await.len(), 2, "an entry of another epoch was deleted");
    bench.settle(&first).await;
    bench.settle(&first).await;
    assert_eq!(bench.outbox().await, [second.clone()]);
    assert_eq!(bench.buy("a").await, Decision::Already(first, PurchaseState::Confirmed));

    bench.settle(&second).await;
    assert_eq!(bench.outbox().await, []);
    assert_eq!(
        bench.admission.find(&bench.product, &user("b")).await.expect("find"),
        Found::Purchase(second, PurchaseState::Confirmed)
    );
    assert_eq!(
        bench.admission.find(&bench.product, &user("c")).await.expect("find"),
        Found::Nothing { revocations: false }
    );
}
