//! What admission does with the decisions of operators.

use flashsale::{
    admission::{AdmissionError, Decision, Found, Reassignment, WithdrawnUnit},
    domain::{Outcome, Purchase, PurchaseState},
};

use super::{Bench, fresh_id, terms, user};

/// The purchase that an attempt is told to have been made before.
async fn before(bench: &Bench, name: &str) -> (Purchase, PurchaseState) {
    match bench.buy(name).await {
        Decision::InOutbox(entry) => (entry.purchase, PurchaseState::Pending),
        Decision::Already(entry, state) => (entry.purchase, state),
        other => panic!("{name}: {other:?}"),
    }
}

async fn found(bench: &Bench, name: &str) -> (Purchase, PurchaseState) {
    match bench.admission.find(&bench.product, &user(name)).await.expect("find") {
        Found::Purchase(entry, state) => (entry.purchase, state),
        Found::Nothing { .. } => panic!("{name} has nothing"),
    }
}

pub(crate) async fn a_cancelled_purchase_returns_its_unit_once_and_uses_the_right_up(bench: &Bench) {
    bench.open(1, &terms(2)).await;
    let (a, _) = (bench.win("a").await, bench.win("b").await);
    bench.settle(&a).await;
    let stranger = Purchase { id: fresh_id(), ..a.purchase.clone() };
    assert!(!bench.admission.cancel(&stranger, false, false).await.expect("cancel"), "another purchase");
    for is_new in [true, false] {
        assert_eq!(bench.admission.cancel(&a.purchase, false, false).await.expect("cancel"), is_new);
    }
    let sale = bench.admission.sale(&bench.product).await.expect("sale");
    assert_eq!((sale.next, sale.remaining, sale.in_flight), (2, 1, 1), "unit 1 is back once");
    for (purchase, state) in [before(bench, "a").await, found(bench, "a").await] {
        assert_eq!((purchase.id, purchase.unit, state), (a.purchase.id, 0, PurchaseState::Cancelled));
    }
    assert_eq!(bench.win("c").await.purchase.unit, 1, "the unit is sold again");
    assert_eq!(bench.buy("d").await, Decision::Refused(Outcome::SoldOut));
    // What may come late of the purchase changes nothing.
    assert!(!bench.admission.send_again(&a.purchase).await.expect("republish"));
    bench.admission.withdraw(&a.purchase, None, WithdrawnUnit::Returns).await.expect("withdraw");
    bench.admission.adopt(&a.purchase).await.expect("adopt");
    let again = bench.admission.reassign(&a.purchase, true).await.expect("reassign");
    assert!(matches!(again, Reassignment::Other(_)), "{again:?}");
    let attempted =
        bench.admission.admit(&bench.product, &a.purchase.user, a.purchase.id).await.expect("decision");
    assert!(matches!(attempted, Decision::Already(_, PurchaseState::Cancelled)), "{attempted:?}");
    assert_eq!(bench.buy("d").await, Decision::Refused(Outcome::SoldOut));
    let contents = bench.admission.contents(&bench.product).await.expect("contents");
    assert_eq!((contents.winners.len(), contents.used.len(), contents.free.len()), (2, 1, 0));
    assert!(contents.used[0].is_cancelled);
}

pub(crate) async fn a_cancelled_purchase_may_keep_its_unit_and_let_its_buyer_buy_again(bench: &Bench) {
    bench.open(1, &terms(4)).await;
    let [a, b, c] = [bench.win("a").await, bench.win("b").await, bench.win("c").await];
    // In flight, dead-lettered and settled: wherever it is in admission, the ledger has it.
    bench.admission.mark_dead_lettered(&[b.clone()]).await.expect("mark");
    bench.settle(&c).await;
    for (entry, keeps_unit, may_buy_again) in [(&a, true, false), (&b, true, true), (&c, false, true)] {
        let cancelled = bench.admission.cancel(&entry.purchase, keeps_unit, may_buy_again).await;
        assert!(cancelled.expect("cancel"), "{entry:?}");
    }
    let sale = bench.admission.sale(&bench.product).await.expect("sale");
    assert_eq!(
        (sale.remaining, sale.in_flight, sale.dead),
        (2, 0, 0),
        "unit 3 is back, 1 and 2 are withheld"
    );
    let (purchase, state) = before(bench, "a").await;
    assert_eq!((purchase.unit, state), (1, PurchaseState::Cancelled));
    for name in ["b", "c"] {
        let found = bench.admission.find(&bench.product, &user(name)).await.expect("find");
        assert_eq!(found, Found::Nothing { revocations: true }, "the ledger knows why");
    }
    let units = [bench.win("b").await.purchase.unit, bench.win("c").await.purchase.unit];
    assert_eq!(units, [3, 4]);
    assert_eq!(bench.buy("d").await, Decision::Refused(Outcome::SoldOut));
}

fn elsewhere(bench: &Bench, name: &str) -> Purchase {
    let at = chrono::DateTime::from_timestamp_millis(5_000).expect("time");
    let (id, product) = (fresh_id(), bench.product.clone());
    Purchase { id, product, user: user(name), unit: 0, admitted_at: at }
}

pub(crate) async fn who_bought_elsewhere_can_not_buy_here(bench: &Bench) {
    bench.open(1, &terms(2)).await;
    let a = bench.win("a").await;
    let earlier = [elsewhere(bench, "x"), elsewhere(bench, "a"), elsewhere(bench, "y")];
    for _ in 0..2 {
        bench.admission.bar(&earlier).await.expect("bar");
    }
    let sale = bench.admission.sale(&bench.product).await.expect("sale");
    assert_eq!((sale.next, sale.remaining), (1, 1), "they take no unit");
    let (purchase, state) = before(bench, "x").await;
    assert_eq!((&purchase, state), (&earlier[0], PurchaseState::Confirmed));
    assert_eq!(before(bench, "a").await, (a.purchase, PurchaseState::Pending), "who has one keeps it");
    assert_eq!(bench.win("b").await.purchase.unit, 2);
    assert_eq!(before(bench, "y").await.0, earlier[2]);
    assert!(!bench.admission.cancel(&earlier[0], false, false).await.expect("cancel"), "it has no unit");
}

pub(crate) async fn a_user_is_renamed_once_nothing_is_on_its_way(bench: &Bench) {
    bench.open(1, &terms(3)).await;
    let (a, b) = (bench.win("a").await, bench.win("b").await);
    let rename = async |from: &str, to: &str| {
        bench.admission.rename(&bench.product, &user(from), &user(to)).await.expect("rename")
    };
    assert!(!rename("a", "x").await, "the outbox has the former name");
    bench.admission.mark_dead_lettered(&[a.clone()]).await.expect("mark");
    assert!(!rename("a", "x").await, "so has the dead letter");
    bench.settle(&a).await;
    assert!(!rename("a", "b").await, "another user has this name");
    for _ in 0..2 {
        assert!(rename("a", "x").await);
    }
    assert_eq!(
        found(bench, "x").await,
        (Purchase { user: user("x"), ..a.purchase }, PurchaseState::Confirmed)
    );
    assert_eq!(bench.win("a").await.purchase.unit, 3, "nobody knows the former name");
    bench.admission.cancel(&b.purchase, false, false).await.expect("cancel");
    assert!(rename("b", "y").await);
    assert_eq!(before(bench, "y").await.1, PurchaseState::Cancelled);
}

pub(crate) async fn decisions_are_not_made_without_a_usable_state(bench: &Bench) {
    let earlier = elsewhere(bench, "x");
    let refused = async || {
        let product = &bench.product;
        let answers = [
            bench.admission.cancel(&earlier, false, false).await.err(),
            bench.admission.bar(&[earlier.clone()]).await.err(),
            bench.admission.rename(product, &user("x"), &user("y")).await.err(),
        ];
        let is_refused = |answer: &Option<AdmissionError>| matches!(answer, Some(AdmissionError::NotReady));
        assert!(answers.iter().all(is_refused), "{answers:?}");
    };
    refused().await;
    bench.open(1, &terms(2)).await;
    bench.admission.fence(&bench.product, 2).await.expect("fence");
    refused().await;
}
