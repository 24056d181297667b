//! Who gets a unit, who gets none, and why.

use chrono::TimeDelta;
use flashsale::{
    admission::{AdmissionError, Decision},
    domain::{Outcome, Phase, Terms},
};

use super::{Bench, fresh_id, terms, user};

pub(crate) async fn without_state_nothing_is_decided(bench: &Bench) {
    let (product, anyone) = (&bench.product, user("anyone"));
    assert!(matches!(
        bench.admission.admit(product, &anyone, fresh_id()).await,
        Err(AdmissionError::NotReady)
    ));
    assert!(matches!(bench.admission.sale(product).await, Err(AdmissionError::NotReady)));
    assert!(matches!(bench.admission.find(product, &anyone).await, Err(AdmissionError::NotReady)));
    bench.open(1, &terms(1)).await;
    bench.win("anyone").await;
    bench.admission.fence(product, 2).await.expect("fence");
    assert!(matches!(
        bench.admission.admit(product, &anyone, fresh_id()).await,
        Err(AdmissionError::NotReady)
    ));
    // What was admitted is still on its way.
    assert_eq!(bench.outbox().await.len(), 1);
}

pub(crate) async fn a_user_gets_one_unit_and_the_stock_ends(bench: &Bench) {
    bench.open(1, &terms(2)).await;
    let first = bench.win("a").await;
    assert_eq!((first.purchase.unit, first.epoch), (1, 1));
    for _ in 0..2 {
        assert_eq!(bench.buy("a").await, Decision::InOutbox(first.clone()));
    }
    assert_eq!(bench.phase().await, Phase::Active);
    assert_eq!(bench.win("b").await.purchase.unit, 2);
    assert_eq!(bench.buy("c").await, Decision::Refused(Outcome::SoldOut));
    assert_eq!(bench.buy("a").await, Decision::InOutbox(first));
    let sale = bench.admission.sale(&bench.product).await.expect("sale");
    assert_eq!((sale.phase(), sale.remaining, sale.next, sale.in_flight), (Phase::SoldOut, 0, 2, 2));
}

pub(crate) async fn the_same_attempt_run_twice_is_one_success(bench: &Bench) {
    bench.open(1, &terms(5)).await;
    let (buyer, id) = (user("a"), fresh_id());
    let first = bench.admission.admit(&bench.product, &buyer, id).await.expect("decision");
    let second = bench.admission.admit(&bench.product, &buyer, id).await.expect("decision");
    assert!(matches!(&first, Decision::Won(_)));
    assert_eq!(first, second);
    assert_eq!(bench.outbox().await.len(), 1);
}

pub(crate) async fn the_window_and_a_pause_refuse_but_never_a_buyer(bench: &Bench) {
    bench.open(1, &terms(5)).await;
    let bought = bench.win("early").await;
    let now = bench.admission.sale(&bench.product).await.expect("sale").now;
    let hour = TimeDelta::hours(1);
    for (opens_at, closes_at, paused, outcome) in [
        (Some(now + hour), None, false, Outcome::Upcoming),
        (None, Some(now - hour), false, Outcome::Ended),
        (Some(now - hour), Some(now), false, Outcome::Ended),
        (Some(now + hour), None, true, Outcome::Paused),
        (None, Some(now - hour), true, Outcome::Paused),
        (None, None, true, Outcome::Paused),
    ] {
        let terms = Terms { total_stock: 5, opens_at, closes_at, paused };
        assert!(bench.admission.configure(&bench.product, 1, &terms).await.expect("configure"));
        assert_eq!(bench.buy("late").await, Decision::Refused(outcome), "{terms:?}");
        assert_eq!(bench.buy("early").await, Decision::InOutbox(bought.clone()));
        assert_eq!(bench.phase().await.refusal(), Some(outcome), "{terms:?}");
    }
    let open = Terms { total_stock: 5, opens_at: Some(now), closes_at: Some(now + hour), paused: false };
    assert!(bench.admission.configure(&bench.product, 1, &open).await.expect("configure"));
    assert_eq!(bench.win("late").await.purchase.unit, 2);
    assert_eq!(
        bench
            .admission
            .sale(&bench.product)
            .await
            .expect("sale")
            .terms
            .opens_at
            .map(|at| at.timestamp_millis()),
        Some(now.timestamp_millis())
    );
}

pub(crate) async fn stock_can_be_raised_and_not_lowered_below_what_is_handed_out(bench: &Bench) {
    bench.open(1, &terms(1)).await;
    bench.win("a").await;
    assert_eq!(bench.buy("b").await, Decision::Refused(Outcome::SoldOut));
    assert!(bench.admission.configure(&bench.product, 1, &terms(2)).await.expect("configure"));
    assert_eq!(bench.win("b").await.purchase.unit, 2);
    assert!(!bench.admission.configure(&bench.product, 1, &terms(1)).await.expect("configure"));
    assert!(
        !bench.admission.configure(&bench.product, 9, &terms(3)).await.expect("configure"),
        "another epoch"
    );
    assert_eq!(bench.phase().await, Phase::SoldOut);
}

pub(crate) async fn many_at_once_get_distinct_units(bench: &Bench) {
    bench.open(1, &terms(50)).await;
    let mut attempts = tokio::task::JoinSet::new();
    for number in 0..300 {
        let (admission, product) = (bench.admission.clone(), bench.product.clone());
        attempts.spawn(async move { admission.admit(&product, &user(number % 100), fresh_id()).await });
    }
    let mut units = std::collections::BTreeSet::new();
    while let Some(decision) = attempts.join_next().await {
        match decision.expect("task").expect("decision") {
            Decision::Won(entry) => assert!(units.insert(entry.purchase.unit)),
            Decision::InOutbox(_) | Decision::Already(..) | Decision::Refused(Outcome::SoldOut) => {}
            other @ Decision::Refused(_) => panic!("{other:?}"),
        }
    }
    assert_eq!(units, (1..=50).collect());
}
