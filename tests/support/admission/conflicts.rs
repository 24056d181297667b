//! What admission does where the ledger decided otherwise.

use flashsale::{
    admission::{AdmissionError, Decision, Found, Reassignment, WithdrawnUnit},
    domain::{Outcome, ProductId, Purchase, PurchaseState},
};

use super::{Bench, fresh_id, terms, user};

pub(crate) async fn a_superseded_purchase_returns_its_unit_once(bench: &Bench) {
    bench.open(1, &terms(3)).await;
    let (spare, _) = (bench.win("a").await, bench.win("b").await);
    let stands = Purchase { id: fresh_id(), unit: 3, ..spare.purchase.clone() };
    for _ in 0..2 {
        let unit = WithdrawnUnit::Returns;
        bench.admission.withdraw(&spare.purchase, Some(&stands), unit).await.expect("withdraw");
    }
    match bench.buy("a").await {
        Decision::Already(entry, PurchaseState::Confirmed) => {
            assert_eq!((entry.purchase.id, entry.purchase.unit), (stands.id, 3));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.outbox().await.len(), 1);
    let sale = bench.admission.sale(&bench.product).await.expect("sale");
    assert_eq!((sale.next, sale.remaining), (2, 2), "unit 1 is back once, unit 3 was never handed out");
    assert_eq!(bench.win("c").await.purchase.unit, 1, "the returned unit goes first");
}

pub(crate) async fn a_revocation_can_be_learned_also_when_the_admission_is_lost(bench: &Bench) {
    bench.open(1, &terms(2)).await;
    let entry = bench.win("a").await;
    let stranger = Purchase { id: fresh_id(), user: user("stranger"), ..entry.purchase.clone() };
    let unit = WithdrawnUnit::BelongsToOther;
    bench.admission.withdraw(&stranger, None, unit).await.expect("withdraw");
    assert_eq!(
        bench.admission.find(&bench.product, &user("stranger")).await.expect("find"),
        Found::Nothing { revocations: true }
    );
    assert_eq!(bench.buy("a").await, Decision::InOutbox(entry));
    let none = Purchase { product: ProductId::parse("none").expect("id"), ..stranger };
    bench.admission.withdraw(&none, None, unit).await.expect("withdraw");
    assert!(matches!(bench.admission.sale(&none.product).await, Err(AdmissionError::NotReady)));
}

pub(crate) async fn a_purchase_of_a_lost_state_keeps_its_unit_if_that_is_free(bench: &Bench) {
    bench.open(2, &terms(9)).await;
    let first = bench.win("a").await;
    let old =
        |name: &str, unit| Purchase { id: fresh_id(), user: user(name), unit, ..first.purchase.clone() };
    let units =
        async |purchase: &Purchase| match bench.admission.reassign(purchase, true).await.expect("reassign") {
            Reassignment::Moved(entry) => entry.purchase.unit,
            other => panic!("{other:?}"),
        };
    let beyond = old("beyond", 5);
    assert_eq!(units(&beyond).await, 5, "units 2 to 4 are free now");
    assert_eq!(units(&beyond).await, 5);
    assert_eq!(units(&old("between", 3)).await, 3);
    assert_eq!(units(&old("taken", 1)).await, 2, "the lowest one");
    assert_eq!(units(&old("above-all", 10)).await, 4);
    let sale = bench.admission.sale(&bench.product).await.expect("sale");
    assert_eq!((sale.next, sale.remaining, sale.in_flight), (5, 4, 5));
    assert_eq!(bench.win("b").await.purchase.unit, 6);
}

pub(crate) async fn a_revoked_purchase_frees_the_user_but_not_the_unit(bench: &Bench) {
    bench.open(1, &terms(2)).await;
    let (first, _) = (bench.win("a").await, bench.win("b").await);
    for _ in 0..2 {
        let unit = WithdrawnUnit::BelongsToOther;
        bench.admission.withdraw(&first.purchase, None, unit).await.expect("withdraw");
    }
    assert_eq!(
        bench.admission.find(&bench.product, &user("a")).await.expect("find"),
        Found::Nothing { revocations: true }
    );
    assert_eq!(bench.buy("a").await, Decision::Refused(Outcome::SoldOut));
}

pub(crate) async fn a_purchase_whose_unit_is_taken_gets_the_lowest_free_one(bench: &Bench) {
    bench.open(1, &terms(4)).await;
    let entries = [bench.win("a").await, bench.win("b").await, bench.win("c").await];
    // Units 2 and 1 come back, in this order.
    for (index, unit) in [(1, 77), (0, 78)] {
        let stands = Purchase { id: fresh_id(), unit, ..entries[index].purchase.clone() };
        let (withdrawn, unit) = (&entries[index].purchase, WithdrawnUnit::Returns);
        bench.admission.withdraw(withdrawn, Some(&stands), unit).await.expect("withdraw");
    }
    let moved = |reassignment| match reassignment {
        Reassignment::Moved(entry) => entry,
        other => panic!("{other:?}"),
    };
    let first = moved(bench.admission.reassign(&entries[2].purchase, false).await.expect("reassign"));
    assert_eq!((first.purchase.unit, first.purchase.id), (1, entries[2].purchase.id));
    let again = moved(bench.admission.reassign(&entries[2].purchase, false).await.expect("reassign"));
    assert_eq!(again, first, "run twice it moves once");
    assert_eq!(bench.outbox().await, [first.clone()]);
    assert_eq!(bench.buy("c").await, Decision::InOutbox(first));

    // A purchase from before a rebuild, of a user whom admission doesn't know.
    let old = Purchase { id: fresh_id(), user: user("old"), unit: 1, ..entries[2].purchase.clone() };
    assert_eq!(moved(bench.admission.reassign(&old, false).await.expect("reassign")).purchase.unit, 2);
    let later = Purchase { id: fresh_id(), ..old };
    assert!(matches!(
        bench.admission.reassign(&later, false).await.expect("reassign"),
        Reassignment::Other(_)
    ));
    let last = Purchase { id: fresh_id(), user: user("last"), ..later.clone() };
    assert_eq!(moved(bench.admission.reassign(&last, false).await.expect("reassign")).purchase.unit, 4);
    let none = Purchase { id: fresh_id(), user: user("none"), ..later };
    assert_eq!(bench.admission.reassign(&none, false).await.expect("reassign"), Reassignment::NoUnitLeft);
}
