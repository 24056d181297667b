//! One conformance suite for the gate, run on memory and on Redis: what admission promises, whichever keeps it.

use std::time::Duration;

use chrono::TimeDelta;
use flashsale::{
    admission::RedisOptions,
    admission::{
        Admission, AdmissionError, EntryKey, Fence, Found, Gate, MemoryAdmission, Opening, Reassignment,
        RebuildStep, RedisAdmission, WithdrawnUnit,
    },
    config::ServiceUrl,
    domain::{Entry, EntryId, Outcome, Phase, ProductId, Purchase, PurchaseId, PurchaseState, Terms, UserId},
    observability::Dependency,
    runtime::Clock,
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};

use crate::support::{SOON, eventually, services::Services};

/// A gate, and one product of its own on it.
struct Bench {
    gate: Gate,
    product: ProductId,
}

fn user(name: impl std::fmt::Display) -> UserId {
    UserId::parse(&name.to_string()).expect("user")
}

fn terms(total_stock: u32) -> Terms {
    Terms { total_stock, opens_at: None, closes_at: None, paused: false }
}

fn fresh_id() -> PurchaseId {
    PurchaseId::generate(Clock::system().now())
}

impl Bench {
    fn embedded() -> Self {
        let gate = Gate::Embedded(MemoryAdmission::new(Clock::system()));
        Self { gate, product: ProductId::parse("p").expect("id") }
    }

    async fn redis() -> Self {
        Self::on(&Services::new().await).await
    }

    async fn on(services: &Services) -> Self {
        let options = RedisOptions {
            url: ServiceUrl::parse(&services.redis_url, &["redis"]).expect("URL"),
            prefix: services.prefix.clone(),
            connections: 2,
            pool_size: 4,
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(5),
        };
        let dependency = Dependency::new("redis");
        let gate = RedisAdmission::start(&options, &dependency).expect("gate");
        eventually("Redis", SOON, async || dependency.outage().is_none().then_some(())).await;
        // Every connection is up, so that no thread finds one that is not.
        let bench = Self { gate: Gate::Redis(gate), product: ProductId::parse("p").expect("id") };
        eventually("all connections", SOON, async || bench.never_unavailable().await.then_some(())).await;
        bench
    }

    async fn never_unavailable(&self) -> bool {
        let mut answers = Vec::new();
        for _ in 0..2 {
            let (gate, product) = (self.gate.clone(), self.product.clone());
            let answer = tokio::spawn(async move { gate.sale(&product).await }).await.expect("answer");
            answers.push(answer);
        }
        answers.iter().all(|answer| !matches!(answer, Err(AdmissionError::Unavailable(_))))
    }

    async fn open(&self, epoch: u64, terms: &Terms) {
        assert_eq!(self.gate.fence(&self.product, epoch).await.expect("fence"), Fence::Stopped);
        let opened = self.gate.open(&self.product, epoch, terms, 0, false).await.expect("open");
        assert_eq!(opened, Opening::Open);
    }

    async fn buy(&self, name: &str) -> Admission {
        self.gate.admit(&self.product, &user(name), fresh_id()).await.expect("decision")
    }

    async fn win(&self, name: &str) -> Entry {
        match self.buy(name).await {
            Admission::Won(entry) => entry,
            other => panic!("{name} did not win: {other:?}"),
        }
    }

    async fn phase(&self) -> Phase {
        self.gate.sale(&self.product).await.expect("sale").phase()
    }

    async fn outbox(&self) -> Vec<Entry> {
        let end = EntryId { millis: u64::MAX, sequence: u64::MAX };
        self.gate.outbox(&self.product, EntryId::FIRST, end, 100).await.expect("outbox")
    }

    async fn settle(&self, entry: &Entry) {
        let (millis, purchase) = (entry.id.millis, entry.purchase.id);
        let key = EntryKey { millis, sequence: Some(entry.id.sequence), purchase };
        self.gate.settle(&self.product, entry.epoch, &[key]).await.expect("settle");
    }
}

/// Makes a test of each case on each gate.
macro_rules! conformance {
    ($($(#[$doc:meta])* async fn $case:ident($bench:ident: &Bench) $body:block)*) => {
        mod cases {
            use super::*;
            $($(#[$doc])* pub(super) async fn $case($bench: &Bench) $body)*
        }
        mod embedded { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::cases::$case(&super::Bench::embedded()).await }
        )* }
        mod redis { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::cases::$case(&super::Bench::redis().await).await }
        )* }
    };
}

conformance! {
    async fn without_state_nothing_is_decided(bench: &Bench) {
        let (product, anyone) = (&bench.product, user("anyone"));
        assert!(matches!(bench.gate.admit(product, &anyone, fresh_id()).await, Err(AdmissionError::NotReady)));
        assert!(matches!(bench.gate.sale(product).await, Err(AdmissionError::NotReady)));
        assert!(matches!(bench.gate.find(product, &anyone).await, Err(AdmissionError::NotReady)));
        bench.open(1, &terms(1)).await;
        bench.win("anyone").await;
        bench.gate.fence(product, 2).await.expect("fence");
        assert!(matches!(bench.gate.admit(product, &anyone, fresh_id()).await, Err(AdmissionError::NotReady)));
        // What was admitted is still on its way.
        assert_eq!(bench.outbox().await.len(), 1);
    }

    async fn a_user_gets_one_unit_and_the_stock_ends(bench: &Bench) {
        bench.open(1, &terms(2)).await;
        let first = bench.win("a").await;
        assert_eq!((first.purchase.unit, first.epoch), (1, 1));
        for _ in 0..2 {
            assert_eq!(bench.buy("a").await, Admission::Already(first.clone(), PurchaseState::Pending));
        }
        assert_eq!(bench.phase().await, Phase::Active);
        assert_eq!(bench.win("b").await.purchase.unit, 2);
        assert_eq!(bench.buy("c").await, Admission::Refused(Outcome::SoldOut));
        assert_eq!(bench.buy("a").await, Admission::Already(first, PurchaseState::Pending));
        let sale = bench.gate.sale(&bench.product).await.expect("sale");
        assert_eq!((sale.phase(), sale.remaining, sale.next, sale.in_flight), (Phase::SoldOut, 0, 2, 2));
    }

    async fn the_same_attempt_run_twice_is_one_success(bench: &Bench) {
        bench.open(1, &terms(5)).await;
        let (buyer, id) = (user("a"), fresh_id());
        let first = bench.gate.admit(&bench.product, &buyer, id).await.expect("decision");
        let second = bench.gate.admit(&bench.product, &buyer, id).await.expect("decision");
        assert!(matches!(&first, Admission::Won(_)));
        assert_eq!(first, second);
        assert_eq!(bench.outbox().await.len(), 1);
    }

    async fn the_window_and_a_pause_refuse_but_never_a_buyer(bench: &Bench) {
        bench.open(1, &terms(5)).await;
        let bought = bench.win("early").await;
        let now = bench.gate.sale(&bench.product).await.expect("sale").now;
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
            assert!(bench.gate.configure(&bench.product, 1, &terms).await.expect("configure"));
            assert_eq!(bench.buy("late").await, Admission::Refused(outcome), "{terms:?}");
            assert_eq!(bench.buy("early").await, Admission::Already(bought.clone(), PurchaseState::Pending));
            assert_eq!(bench.phase().await.refusal(), Some(outcome), "{terms:?}");
        }
        let open = Terms { total_stock: 5, opens_at: Some(now), closes_at: Some(now + hour), paused: false };
        assert!(bench.gate.configure(&bench.product, 1, &open).await.expect("configure"));
        assert_eq!(bench.win("late").await.purchase.unit, 2);
        assert_eq!(bench.gate.sale(&bench.product).await.expect("sale").terms.opens_at.map(|at| at.timestamp_millis()),
                   Some(now.timestamp_millis()));
    }

    async fn stock_can_be_raised_and_not_lowered_below_what_is_handed_out(bench: &Bench) {
        bench.open(1, &terms(1)).await;
        bench.win("a").await;
        assert_eq!(bench.buy("b").await, Admission::Refused(Outcome::SoldOut));
        assert!(bench.gate.configure(&bench.product, 1, &terms(2)).await.expect("configure"));
        assert_eq!(bench.win("b").await.purchase.unit, 2);
        assert!(!bench.gate.configure(&bench.product, 1, &terms(1)).await.expect("configure"));
        assert!(!bench.gate.configure(&bench.product, 9, &terms(3)).await.expect("configure"), "another epoch");
        assert_eq!(bench.phase().await, Phase::SoldOut);
    }

    async fn only_a_purchase_that_was_on_its_way_is_noted_as_dead(bench: &Bench) {
        bench.open(1, &terms(5)).await;
        let entry = bench.win("a").await;
        let key = EntryKey {
            millis: entry.id.millis,
            sequence: Some(entry.id.sequence),
            purchase: entry.purchase.id,
        };
        let dead = async || bench.gate.sale(&bench.product).await.expect("sale").dead;
        let state = async || match bench.gate.find(&bench.product, &user("a")).await.expect("found") {
            Found::Purchase(_, state) => state,
            Found::Nothing { .. } => panic!("it is gone"),
        };
        let stranger = EntryKey { purchase: fresh_id(), sequence: Some(7), ..key };
        bench.gate.bury(&bench.product, 1, &[stranger]).await.expect("bury");
        bench.gate.bury(&bench.product, 2, &[key]).await.expect("bury");
        assert_eq!((dead().await, bench.outbox().await.len()), (0, 1), "not ours, or not of this epoch");
        for _ in 0..2 {
            bench.gate.bury(&bench.product, 1, &[key]).await.expect("bury");
            assert_eq!((dead().await, bench.outbox().await.len()), (1, 0));
            assert_eq!(state().await, PurchaseState::Pending, "it is not in the ledger");
        }
        bench.settle(&entry).await;
        assert_eq!((dead().await, state().await), (0, PurchaseState::Confirmed));
    }

    async fn the_outbox_holds_a_purchase_until_it_is_settled(bench: &Bench) {
        bench.open(1, &terms(5)).await;
        let (first, second) = (bench.win("a").await, bench.win("b").await);
        assert_eq!(bench.outbox().await, [first.clone(), second.clone()]);
        let after_first = bench.gate.outbox(&bench.product, first.id, second.id, 100).await.expect("outbox");
        assert_eq!(after_first, [second.clone()]);
        let limited = bench.gate.outbox(&bench.product, EntryId::FIRST, second.id, 1).await.expect("outbox");
        assert_eq!(limited, [first.clone()]);

        let other_epoch = Entry { epoch: 2, ..first.clone() };
        bench.settle(&other_epoch).await;
        assert_eq!(bench.outbox().await.len(), 2, "an entry of another epoch was deleted");
        bench.settle(&first).await;
        bench.settle(&first).await;
        assert_eq!(bench.outbox().await, [second.clone()]);
        assert_eq!(bench.buy("a").await, Admission::Already(first, PurchaseState::Confirmed));

        // A message that knows only the time finds its entry by the purchase.
        let stranger = EntryKey { millis: second.id.millis, sequence: None, purchase: fresh_id() };
        bench.gate.settle(&bench.product, 1, &[stranger]).await.expect("settle");
        assert_eq!(bench.outbox().await.len(), 1);
        let by_time = EntryKey { purchase: second.purchase.id, ..stranger };
        bench.gate.settle(&bench.product, 1, &[by_time]).await.expect("settle");
        assert_eq!(bench.outbox().await, []);
        assert_eq!(bench.gate.find(&bench.product, &user("b")).await.expect("find"),
                   Found::Purchase(second, PurchaseState::Confirmed));
        assert_eq!(bench.gate.find(&bench.product, &user("c")).await.expect("find"),
                   Found::Nothing { revocations: false });
    }

    async fn a_superseded_purchase_returns_its_unit_once(bench: &Bench) {
        bench.open(1, &terms(3)).await;
        let (spare, _) = (bench.win("a").await, bench.win("b").await);
        let stands = Purchase { id: fresh_id(), unit: 3, ..spare.purchase.clone() };
        for _ in 0..2 {
            let unit = WithdrawnUnit::Returns;
            bench.gate.withdraw(&spare.purchase, Some(&stands), unit).await.expect("withdraw");
        }
        match bench.buy("a").await {
            Admission::Already(entry, PurchaseState::Confirmed) => {
                assert_eq!((entry.purchase.id, entry.purchase.unit), (stands.id, 3));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(bench.outbox().await.len(), 1);
        let sale = bench.gate.sale(&bench.product).await.expect("sale");
        assert_eq!((sale.next, sale.remaining), (2, 2), "unit 1 is back once, unit 3 was never handed out");
        assert_eq!(bench.win("c").await.purchase.unit, 1, "the returned unit goes first");
    }

    async fn of_a_revocation_the_user_can_learn_whatever_is_left_of_the_admission(bench: &Bench) {
        bench.open(1, &terms(2)).await;
        let entry = bench.win("a").await;
        let stranger = Purchase { id: fresh_id(), user: user("stranger"), ..entry.purchase.clone() };
        let unit = WithdrawnUnit::BelongsToOther;
        bench.gate.withdraw(&stranger, None, unit).await.expect("withdraw");
        assert_eq!(bench.gate.find(&bench.product, &user("stranger")).await.expect("find"),
                   Found::Nothing { revocations: true });
        assert_eq!(bench.buy("a").await, Admission::Already(entry, PurchaseState::Pending));
        let none = Purchase { product: ProductId::parse("none").expect("id"), ..stranger };
        bench.gate.withdraw(&none, None, unit).await.expect("withdraw");
        assert!(matches!(bench.gate.sale(&none.product).await, Err(AdmissionError::NotReady)));
    }

    async fn a_purchase_of_a_lost_state_keeps_its_unit_if_nobody_has_it(bench: &Bench) {
        bench.open(2, &terms(9)).await;
        let first = bench.win("a").await;
        let old = |name: &str, unit| Purchase { id: fresh_id(), user: user(name), unit, ..first.purchase.clone() };
        let units = async |purchase: &Purchase| {
            match bench.gate.reassign(purchase, true).await.expect("reassign") {
                Reassignment::Moved(entry) => entry.purchase.unit,
                other => panic!("{other:?}"),
            }
        };
        let beyond = old("beyond", 5);
        assert_eq!(units(&beyond).await, 5, "units 2 to 4 are free now");
        assert_eq!(units(&beyond).await, 5);
        assert_eq!(units(&old("between", 3)).await, 3);
        assert_eq!(units(&old("taken", 1)).await, 2, "the lowest one");
        assert_eq!(units(&old("above-all", 10)).await, 4);
        let sale = bench.gate.sale(&bench.product).await.expect("sale");
        assert_eq!((sale.next, sale.remaining, sale.in_flight), (5, 4, 5));
        assert_eq!(bench.win("b").await.purchase.unit, 6);
    }

    async fn only_the_epoch_that_stopped_a_sale_opens_it(bench: &Bench) {
        bench.open(1, &terms(1)).await;
        let product = &bench.product;
        let open = async |epoch| bench.gate.open(product, epoch, &terms(1), 0, false).await.expect("open");
        assert_eq!(open(2).await, Opening::Stale, "without a fence");
        assert_eq!(bench.gate.fence(product, 2).await.expect("fence"), Fence::Stopped);
        assert_eq!(bench.gate.fence(product, 3).await.expect("fence"), Fence::Stopped);
        assert_eq!(bench.gate.fence(product, 2).await.expect("fence"), Fence::Later(3), "a late fence");
        assert_eq!(open(2).await, Opening::Stale, "a late snapshot of an earlier rebuild");
        let how_far = async || match bench.gate.sale(product).await {
            Err(AdmissionError::Rebuilding(step)) => step,
            other => panic!("{other:?}"),
        };
        assert_eq!(how_far().await, RebuildStep::PausingWorkers);
        for (epoch, step) in [(3, RebuildStep::Draining), (2, RebuildStep::Opening)] {
            bench.gate.note_step(product, epoch, step).await.expect("noted");
        }
        assert_eq!(how_far().await, RebuildStep::Draining, "an earlier rebuild has no say");
        assert_eq!(open(3).await, Opening::Open);
        assert_eq!(bench.gate.fence(product, 2).await.expect("fence"), Fence::Later(3));
        assert_eq!(bench.gate.sale(product).await.expect("sale").epoch, 3);
    }

    async fn what_was_staged_can_be_forgotten(bench: &Bench) {
        let (product, epoch) = (&bench.product, 1);
        bench.gate.fence(product, epoch).await.expect("fence");
        bench.gate.stage(product, epoch, &[], &[1]).await.expect("stage");
        bench.gate.unstage(product, epoch).await.expect("unstage");
        let opened = bench.gate.open(product, epoch, &terms(1), 1, false).await.expect("open");
        assert_eq!(opened, Opening::Incomplete);
    }

    async fn a_revoked_purchase_frees_the_user_but_not_the_unit(bench: &Bench) {
        bench.open(1, &terms(2)).await;
        let (first, _) = (bench.win("a").await, bench.win("b").await);
        for _ in 0..2 {
            let unit = WithdrawnUnit::BelongsToOther;
            bench.gate.withdraw(&first.purchase, None, unit).await.expect("withdraw");
        }
        assert_eq!(bench.gate.find(&bench.product, &user("a")).await.expect("find"),
                   Found::Nothing { revocations: true });
        assert_eq!(bench.buy("a").await, Admission::Refused(Outcome::SoldOut));
    }

    async fn a_purchase_whose_unit_is_someone_elses_gets_the_lowest_free_one(bench: &Bench) {
        bench.open(1, &terms(4)).await;
        let entries = [bench.win("a").await, bench.win("b").await, bench.win("c").await];
        // Units 2 and 1 come back, in this order.
        for (index, unit) in [(1, 77), (0, 78)] {
            let stands = Purchase { id: fresh_id(), unit, ..entries[index].purchase.clone() };
            let (withdrawn, unit) = (&entries[index].purchase, WithdrawnUnit::Returns);
            bench.gate.withdraw(withdrawn, Some(&stands), unit).await.expect("withdraw");
        }
        let moved = |reassignment| match reassignment {
            Reassignment::Moved(entry) => entry,
            other => panic!("{other:?}"),
        };
        let first = moved(bench.gate.reassign(&entries[2].purchase, false).await.expect("reassign"));
        assert_eq!((first.purchase.unit, first.purchase.id), (1, entries[2].purchase.id));
        let again = moved(bench.gate.reassign(&entries[2].purchase, false).await.expect("reassign"));
        assert_eq!(again, first, "run twice it moves once");
        assert_eq!(bench.outbox().await, [first.clone()]);
        assert_eq!(bench.buy("c").await, Admission::Already(first, PurchaseState::Pending));

        // A purchase from before a rebuild, of a user whom admission doesn't know.
        let old = Purchase { id: fresh_id(), user: user("old"), unit: 1, ..entries[2].purchase.clone() };
        assert_eq!(moved(bench.gate.reassign(&old, false).await.expect("reassign")).purchase.unit, 2);
        let later = Purchase { id: fresh_id(), ..old };
        assert!(matches!(bench.gate.reassign(&later, false).await.expect("reassign"), Reassignment::Other(_)));
        let last = Purchase { id: fresh_id(), user: user("last"), ..later.clone() };
        assert_eq!(moved(bench.gate.reassign(&last, false).await.expect("reassign")).purchase.unit, 4);
        let none = Purchase { id: fresh_id(), user: user("none"), ..later };
        assert_eq!(bench.gate.reassign(&none, false).await.expect("reassign"), Reassignment::NoUnitLeft);
    }

    async fn a_rebuilt_sale_goes_on_where_the_ledger_is(bench: &Bench) {
        bench.open(1, &terms(6)).await;
        bench.win("lost").await;
        let product = &bench.product;
        bench.gate.fence(product, 2).await.expect("fence");
        let bought = |name: &str, unit| Purchase {
            id: fresh_id(),
            product: product.clone(),
            user: user(name),
            unit,
            admitted_at: chrono::DateTime::from_timestamp_millis(1_000).expect("time"),
        };
        let (a, d) = (bought("a", 1), bought("d", 4));
        bench.gate.stage(product, 2, std::slice::from_ref(&a), &[]).await.expect("stage");
        assert_eq!(bench.gate.open(product, 2, &terms(6), 4, false).await.expect("open"), Opening::Incomplete);
        bench.gate.stage(product, 2, std::slice::from_ref(&a), &[]).await.expect("stage");
        bench.gate.stage(product, 2, std::slice::from_ref(&d), &[2, 3]).await.expect("stage");
        assert_eq!(bench.gate.open(product, 2, &terms(6), 4, true).await.expect("open"), Opening::Open);
        assert_eq!(bench.gate.open(product, 2, &terms(6), 4, true).await.expect("open"), Opening::Open);
        assert_eq!(bench.gate.open(product, 1, &terms(6), 0, false).await.expect("open"), Opening::Stale);

        assert_eq!(bench.outbox().await, []);
        for purchase in [&a, &d] {
            match bench.gate.admit(product, &purchase.user, fresh_id()).await.expect("decision") {
                Admission::Already(entry, PurchaseState::Confirmed) => assert_eq!(&entry.purchase, purchase),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(bench.gate.find(product, &user("lost")).await.expect("find"),
                   Found::Nothing { revocations: true });
        let mut units = Vec::new();
        for name in ["b", "c", "e", "f"] {
            let entry = bench.win(name).await;
            assert_eq!(entry.epoch, 2);
            units.push(entry.purchase.unit);
        }
        assert_eq!(units, [2, 3, 5, 6]);
        assert_eq!(bench.buy("g").await, Admission::Refused(Outcome::SoldOut));
    }

    async fn many_at_once_get_distinct_units(bench: &Bench) {
        bench.open(1, &terms(50)).await;
        let mut attempts = tokio::task::JoinSet::new();
        for number in 0..300 {
            let (gate, product) = (bench.gate.clone(), bench.product.clone());
            attempts.spawn(async move { gate.admit(&product, &user(number % 100), fresh_id()).await });
        }
        let mut units = std::collections::BTreeSet::new();
        while let Some(decision) = attempts.join_next().await {
            match decision.expect("task").expect("decision") {
                Admission::Won(entry) => assert!(units.insert(entry.purchase.unit)),
                Admission::Already(..) | Admission::Refused(Outcome::SoldOut) => {}
                other @ Admission::Refused(_) => panic!("{other:?}"),
            }
        }
        assert_eq!(units, (1..=50).collect());
    }
}

/// One step of the property test.
#[derive(Clone, Debug)]
enum Step {
    Buy(u8),
    Settle(u8),
    /// The ledger has another purchase of this user.
    Supersede(u8),
    Pause(bool),
    /// Open, not yet open, or over.
    Window(i8),
    Restock(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..12_u8).prop_map(Step::Buy),
        2 => (0..12_u8).prop_map(Step::Settle),
        2 => (0..12_u8).prop_map(Step::Supersede),
        1 => any::<bool>().prop_map(Step::Pause),
        1 => (-1..=1_i8).prop_map(Step::Window),
        1 => (1..10_u8).prop_map(Step::Restock),
    ];
    prop::collection::vec(step, 1..60)
}

/// The model: what the rules say, in the plainest form.
struct Model {
    terms: Terms,
    next: u32,
    free: Vec<u32>,
    /// By user: unit, and whether it is in flight.
    buyers: std::collections::HashMap<u8, (u32, bool)>,
}

impl Model {
    fn expect(&mut self, buyer: u8, now: chrono::DateTime<chrono::Utc>) -> Result<u32, Outcome> {
        if self.buyers.contains_key(&buyer) {
            return Err(Outcome::Purchased);
        }
        let left = self.terms.total_stock - self.next + u32::try_from(self.free.len()).expect("few");
        if let Some(refused) = self.terms.phase(now, left).refusal() {
            return Err(refused);
        }
        let unit = if self.free.is_empty() {
            self.next += 1;
            self.next
        } else {
            self.free.remove(0)
        };
        self.buyers.insert(buyer, (unit, true));
        Ok(unit)
    }
}

/// Runs the steps on gate and model, and compares after each.
async fn follow(bench: &Bench, epoch: u64, steps: Vec<Step>) -> Result<(), TestCaseError> {
    bench.open(epoch, &terms(3)).await;
    let mut model =
        Model { terms: terms(3), next: 0, free: Vec::new(), buyers: std::collections::HashMap::new() };
    for step in steps {
        let now = bench.gate.sale(&bench.product).await.expect("sale").now;
        match &step {
            Step::Buy(buyer) => {
                let expected = model.expect(*buyer, now);
                match bench.buy(&buyer.to_string()).await {
                    Admission::Won(entry) => prop_assert_eq!(Ok(entry.purchase.unit), expected),
                    Admission::Already(entry, state) => {
                        prop_assert_eq!(expected, Err(Outcome::Purchased));
                        let (unit, in_flight) = model.buyers[buyer];
                        prop_assert_eq!(
                            (entry.purchase.unit, state == PurchaseState::Pending),
                            (unit, in_flight)
                        );
                    }
                    Admission::Refused(outcome) => prop_assert_eq!(expected, Err(outcome)),
                }
            }
            Step::Settle(buyer) | Step::Supersede(buyer) => {
                let found = bench.gate.find(&bench.product, &user(buyer)).await.expect("find");
                let Found::Purchase(entry, PurchaseState::Pending) = found else { continue };
                let known = model.buyers.get_mut(buyer).expect("a buyer");
                prop_assert!(known.1);
                if matches!(step, Step::Settle(_)) {
                    bench.settle(&entry).await;
                    known.1 = false;
                } else {
                    let stands = Purchase { id: fresh_id(), unit: 1_000, ..entry.purchase.clone() };
                    let unit = WithdrawnUnit::Returns;
                    bench.gate.withdraw(&entry.purchase, Some(&stands), unit).await.expect("withdraw");
                    model.free.push(known.0);
                    *known = (1_000, false);
                }
            }
            Step::Pause(paused) => model.terms.paused = *paused,
            Step::Window(shift) => {
                let opens_at = (*shift > 0).then(|| now + TimeDelta::hours(1));
                let closes_at = (*shift < 0).then_some(now);
                model.terms = Terms { opens_at, closes_at, ..model.terms };
            }
            Step::Restock(total) => {
                let total = u32::from(*total);
                let allowed = total >= model.next;
                let asked = Terms { total_stock: total, ..model.terms.clone() };
                let done = bench.gate.configure(&bench.product, epoch, &asked).await.expect("configure");
                prop_assert_eq!(done, allowed);
                if allowed {
                    model.terms = asked;
                }
            }
        }
        if matches!(step, Step::Pause(_) | Step::Window(_)) {
            prop_assert!(bench.gate.configure(&bench.product, epoch, &model.terms).await.expect("configure"));
        }
        let sale = bench.gate.sale(&bench.product).await.expect("sale");
        let in_flight = model.buyers.values().filter(|(_, in_flight)| *in_flight).count() as u64;
        let free = u32::try_from(model.free.len()).expect("few");
        prop_assert_eq!((sale.next, sale.in_flight), (model.next, in_flight));
        prop_assert_eq!(sale.remaining, model.terms.total_stock - model.next + free);
    }
    Ok(())
}

fn run_property(bench: &Bench, cases: u32) {
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let epoch = std::cell::Cell::new(0);
    let runtime = tokio::runtime::Handle::current();
    let run = runner.run(&steps(), |steps| {
        epoch.set(epoch.get() + 1);
        runtime.block_on(follow(bench, epoch.get(), steps))
    });
    run.unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn any_history_follows_the_model_embedded() {
    let bench = Bench::embedded();
    tokio::task::spawn_blocking(move || run_property(&bench, 500)).await.expect("property");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_history_follows_the_model_redis() {
    let bench = Bench::redis().await;
    tokio::task::spawn_blocking(move || run_property(&bench, 60)).await.expect("property");
}

/// Keys that somebody else wrote must neither sell nor stop a rebuild.
#[tokio::test(flavor = "multi_thread")]
async fn foreign_keys_are_mended_by_a_rebuild() {
    let services = Services::new().await;
    let bench = Bench::on(&services).await;
    let mut redis = services.redis().await;
    for (name, plant) in [
        ("sale", vec!["SET", "x"]),
        ("sale", vec!["HSET", "epoch", "many", "total", "1", "next", "0"]),
        ("sale", vec!["HSET", "epoch", "inf", "total", "1", "next", "0"]),
        ("sale", vec!["HSET", "epoch", "1e15", "total", "1", "next", "0"]),
        ("dead", vec!["SET", "x"]),
        ("free", vec!["SET", "x"]),
        ("buyers", vec!["SET", "x"]),
        ("outbox", vec!["SET", "x"]),
        ("outbox", vec!["XADD", "*", "field", "value"]),
    ] {
        for key in ["sale", "free", "buyers", "outbox", "dead"] {
            ::redis::cmd("DEL").arg(services.key("p", key)).exec_async(&mut redis).await.expect("DEL");
        }
        let mut command = ::redis::cmd(plant[0]);
        command.arg(services.key("p", name)).arg(&plant[1..]).exec_async(&mut redis).await.expect("plant");
        assert!(bench.gate.admit(&bench.product, &user("a"), fresh_id()).await.is_err(), "{name}");
        assert_eq!(bench.gate.fence(&bench.product, 9).await.expect("fence"), Fence::Stopped);
        assert_eq!(bench.outbox().await, [], "{name}");
        bench.open(9, &terms(1)).await;
        assert_eq!(bench.win("a").await.purchase.unit, 1, "{name}");
    }
}
