//! One conformance suite for the ledger, run on SQLite and on PostgreSQL.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta};
use flashsale::{
    config::ServiceUrl,
    domain::{
        Cancellation, ChangeKind, Entry, EntryId, LedgerCounts, LedgerVerdict as Verdict, Money, Product,
        ProductId, Purchase, PurchaseId, PurchaseState, UserId,
    },
    ledger::{
        Imported, Ledger, LedgerError, PostgresLedger, PostgresOptions, ProductLedger, SqliteLedger,
        SystemLedger, Writer,
    },
    observability::{Dependency, Outage},
    runtime::Runtime,
    stores::watch_ledger,
};
use tokio_util::sync::CancellationToken;

use crate::support::{SOON, eventually, services::Services, stage::lasts};

/// A ledger with one product of ten units.
pub(crate) struct Bench {
    pub(crate) ledger: Arc<dyn Ledger>,
    _dir: Option<tempfile::TempDir>,
}

pub(crate) fn product(total_stock: u32) -> Product {
    Product {
        id: ProductId::parse("limited-001").expect("id"),
        name: "Thing".to_owned(),
        description: String::new(),
        image: String::new(),
        price: Money::parse("999.99", "USD").expect("price"),
        original_price: None,
        total_stock,
        sale_start: None,
        sale_end: None,
    }
}

pub(crate) fn fresh_id() -> PurchaseId {
    let Runtime { clock, entropy, .. } = Runtime::system();
    PurchaseId::new(clock.now(), [entropy.bits(), entropy.bits()])
}

pub(crate) fn purchase(user: &str, unit: u32) -> Purchase {
    Purchase {
        id: fresh_id(),
        product: product(1).id,
        user: UserId::parse(user).expect("user"),
        unit,
        admitted_at: DateTime::from_timestamp_millis(1_732_000_000_123).expect("time"),
    }
}

fn admitted(epoch: u64, purchases: &[Purchase]) -> Vec<Entry> {
    let id = EntryId { millis: 1_732_000_000_123, sequence: 0 };
    purchases.iter().map(|purchase| Entry { id, epoch, purchase: purchase.clone() }).collect()
}

pub(crate) fn postgres(services: &Services) -> Arc<dyn Ledger> {
    postgres_at(&services.database_url)
}

pub(crate) fn postgres_at(url: &str) -> Arc<dyn Ledger> {
    let options = PostgresOptions {
        url: ServiceUrl::parse(url, &["postgres"]).expect("URL"),
        application_name: "test".to_owned(),
        pool_size: 4,
        connect_timeout: Duration::from_secs(10),
        statement_timeout: Duration::from_secs(20),
        lock_timeout: Duration::from_secs(10),
    };
    Arc::new(PostgresLedger::new(options).expect("ledger"))
}

impl Bench {
    pub(crate) async fn sqlite() -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let ledger = SqliteLedger::open(&dir.path().join("ledger.sqlite3")).await.expect("ledger");
        Self::prepared(Arc::new(ledger), Some(dir)).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::prepared(postgres(&Services::new().await), None).await
    }

    async fn prepared(ledger: Arc<dyn Ledger>, dir: Option<tempfile::TempDir>) -> Self {
        assert!(ledger.migrate().await.expect("migrate") > 0);
        assert_eq!(ledger.migrate().await.expect("migrate"), 0);
        ledger.add_products(&[product(10)]).await.expect("products");
        Self { ledger, _dir: dir }
    }

    async fn record(&self, purchases: &[Purchase]) -> Vec<Verdict> {
        self.ledger.record(&admitted(1, purchases), Writer::Worker).await.expect("recorded")
    }

    /// Gives the products other terms, as an operator does.
    async fn change(&self, wanted: &[Product]) -> Result<(), LedgerError> {
        let seen = self.ledger.products().await.expect("products");
        self.ledger.change_products(&seen, wanted).await
    }

    async fn rows(&self) -> Vec<Purchase> {
        self.ledger.purchases(&product(1).id, 0, 1_000).await.expect("rows")
    }
}

macro_rules! conformance {
    ($(async fn $case:ident($bench:ident: &Bench) $body:block)*) => {
        mod cases {
            use super::*;
            $(pub(super) async fn $case($bench: &Bench) $body)*
        }
        mod sqlite { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::cases::$case(&super::Bench::sqlite().await).await }
        )* }
        mod postgres { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::cases::$case(&super::Bench::postgres().await).await }
        )* }
    };
}

conformance! {
    async fn a_batch_is_recorded_once_however_often_it_comes(bench: &Bench) {
        let batch = [purchase("a", 1), purchase("b", 2), purchase("c", 3)];
        assert_eq!(bench.record(&batch).await, vec![Verdict::Recorded; 3]);
        assert_eq!(bench.record(&batch).await, vec![Verdict::RecordedBefore; 3]);
        let twice = [batch[2].clone(), batch[2].clone()];
        assert_eq!(bench.record(&twice).await, vec![Verdict::RecordedBefore; 2]);
        let one_is_new = [batch[0].clone(), purchase("d", 4)];
        assert_eq!(bench.record(&one_is_new).await, [Verdict::RecordedBefore, Verdict::Recorded]);
        let batch = [&batch[..], &one_is_new[1..]].concat();
        assert_eq!(bench.rows().await, batch);
        assert_eq!(bench.ledger.purchase_of(&batch[1].product, &batch[1].user).await.expect("purchase"),
                   Some(batch[1].clone()));
        let ids = [batch[1].id, fresh_id(), batch[0].id];
        let mut among = bench.ledger.purchases_among(&ids).await.expect("purchases");
        among.sort_by_key(|purchase| purchase.unit);
        assert_eq!(among, batch[..2]);
        let sale = bench.ledger.sales().await.expect("sales").remove(0);
        assert_eq!((sale.highest_unit, sale.terms.total_stock, sale.epoch), (4, 10, 0));
    }

    async fn a_row_keeps_what_was_sold(bench: &Bench) {
        let id = product(1).id;
        let offer = async |number| bench.ledger.offers().await.expect("offers").get(&id, number).cloned();
        let first = offer(1).await.expect("the first one");
        assert_eq!((first.name.as_str(), first.price.to_string().as_str()), ("Thing", "999.99"));
        // Only a name or a price makes another offer, and only where it is another one.
        for same in [product(9), Product { description: "Better.".to_owned(), ..product(10) }, product(10)] {
            bench.change(&[same]).await.expect("changed");
            assert_eq!(offer(2).await, None);
        }
        let price = |text| Money::parse(text, "EUR").expect("price");
        let dearer = Product { price: price("5"), ..product(10) };
        bench.change(&[dearer.clone()]).await.expect("changed");
        let second = offer(2).await.expect("the second one");
        assert_eq!((&second.price, &second.name), (&price("5"), &first.name));
        lasts(Duration::from_millis(5)).await; // SQLite's times are in milliseconds
        bench.change(&[Product { name: "Renamed".to_owned(), ..dearer }]).await.expect("changed");
        let third = offer(3).await.expect("the third one");
        assert_eq!((third.name.as_str(), &third.price), ("Renamed", &price("5")));
        // Admitted before there was an offer, just before the second one, with it, and long after it.
        let moment = TimeDelta::milliseconds(2);
        let times = [first.since - TimeDelta::days(1), second.since - moment, second.since, third.since + moment];
        let rows = (1..).zip(times).map(|(unit, at)| Purchase { admitted_at: at, ..purchase(&format!("u{unit}"), unit) });
        let rows: Vec<_> = rows.collect();
        assert_eq!(bench.record(&rows).await, vec![Verdict::Recorded; 4]);
        let offers = bench.ledger.offers().await.expect("offers");
        for (row, number) in rows.iter().zip([1, 1, 2, 3]) {
            let recorded = bench.ledger.purchase(row.id).await.expect("a read").expect("a row");
            assert_eq!(recorded.offer, number, "unit {}", row.unit);
            assert_eq!(offers.at(&id, row.admitted_at).map(|offer| offer.number), Some(number));
        }
    }

    async fn each_obstacle_has_its_verdict_and_the_rest_goes_through(bench: &Bench) {
        let first = purchase("a", 1);
        bench.record(std::slice::from_ref(&first)).await;
        let revoked = purchase("r", 9);
        assert!(bench.ledger.revoke(&revoked, "a reason").await.expect("revoke"));
        let revoked_with_other = purchase("a", 8);
        assert!(bench.ledger.revoke(&revoked_with_other, "a reason").await.expect("revoke"));
        let unknown = Purchase { product: ProductId::parse("none").expect("id"), ..purchase("x", 1) };
        let batch = [
            purchase("a", 2),
            purchase("a", 1),
            purchase("b", 1),
            unknown,
            purchase("c", 11),
            purchase("d", u32::MAX),
            Purchase { id: first.id, ..purchase("e", 3) },
            revoked,
            revoked_with_other,
            purchase("f", 10),
        ];
        let expected = vec![
            Verdict::UserHasOther { stands: first.clone(), unit_taken: false },
            Verdict::UserHasOther { stands: first.clone(), unit_taken: true },
            Verdict::UnitTaken,
            Verdict::UnknownProduct,
            Verdict::UnitOutOfRange { total_stock: 10 },
            Verdict::UnitOutOfRange { total_stock: 10 },
            Verdict::IdTaken,
            Verdict::Revoked { stands: None, unit_taken: false },
            Verdict::Revoked { stands: Some(first.clone()), unit_taken: false },
            Verdict::Recorded,
        ];
        assert_eq!(bench.record(&batch).await, expected);
        let again = [&expected[..9], &[Verdict::RecordedBefore]].concat();
        assert_eq!(bench.record(&batch).await, again);
        assert_eq!(bench.rows().await, [first, batch[9].clone()]);
    }

    async fn a_cancelled_purchase_stays_and_is_never_recorded_again(bench: &Bench) {
        let (a, b, c) = (purchase("a", 1), purchase("b", 2), purchase("c", 3));
        bench.record(&[a.clone(), b.clone(), c.clone()]).await;
        let how = |keeps_unit, may_buy_again| Cancellation {
            by: "ada".to_owned(),
            reason: "refund".to_owned(),
            keeps_unit,
            may_buy_again,
        };
        let cancel = async |id, how| bench.ledger.cancel(id, &how).await.expect("cancelled");
        assert_eq!(cancel(fresh_id(), how(false, false)).await, None);
        for (of, how) in [(&a, how(false, false)), (&b, how(true, true)), (&c, how(false, true))] {
            let first = cancel(of.id, how.clone()).await.expect("a purchase");
            assert!(first.is_new && first.change.is_some(), "{first:?}");
            assert_eq!(first.purchase.cancelled.as_ref().map(|(_, how)| how), Some(&how));
            let other = Cancellation { by: "grace".to_owned(), ..how };
            let again = cancel(of.id, other).await.expect("a purchase");
            assert_eq!((again.is_new, &again.purchase, again.change), (false, &first.purchase, first.change));
        }
        // A replay is known; the unit of a, its right and the unit of b are held as was decided.
        let batch = [a.clone(), b.clone(), c.clone(), purchase("a", 4), purchase("b", 5), purchase("d", 2),
                     purchase("e", 1)];
        let expected = [Verdict::RecordedBefore, Verdict::RecordedBefore, Verdict::RecordedBefore,
                        Verdict::RightUsed { unit_taken: false }, Verdict::Recorded, Verdict::UnitTaken,
                        Verdict::Recorded];
        assert_eq!(bench.record(&batch).await, expected);
        assert_eq!(bench.rows().await, [batch[6].clone(), batch[4].clone()], "what counts");
        assert!(!bench.ledger.revoke(&a, "no").await.expect("revoke"), "it was recorded");
        let counts = bench.ledger.counts(&a.product).await.expect("counts");
        assert_eq!(counts, LedgerCounts { recorded: 2, withheld: 1, returning: 2 });
        let held = async |unit| bench.ledger.unit_is_held(&a.product, unit).await.expect("held");
        assert_eq!((held(1).await, held(2).await, held(3).await), (true, true, false));
        assert_eq!(bench.ledger.purchase_of(&a.product, &a.user).await.expect("purchase"), None);
        let told = bench.ledger.revocation_of(&a.product, &a.user).await.expect("told").expect("it was taken back");
        assert_eq!((told.id, told.reason.as_str(), told.state), (a.id, "refund", PurchaseState::Cancelled));

        let all = bench.ledger.all_recorded(&a.product).await.expect("all");
        assert_eq!(all.iter().map(|row| row.purchase.unit).collect::<Vec<_>>(), [1, 1, 2, 3, 5]);
        let mut after = (0, PurchaseId::FIRST);
        for row in &all {
            let page = bench.ledger.recorded(&a.product, after, 1).await.expect("page");
            assert_eq!(page, [row.clone()]);
            after = row.position();
        }
        let changes = bench.ledger.changes(0, 10).await.expect("changes");
        assert_eq!(changes.len(), 3);
        assert_eq!(bench.ledger.changes(changes[0].number, 1).await.expect("changes"), changes[1..2]);
        assert_eq!(changes[1].kind, ChangeKind::Cancel { purchase: b, keeps_unit: true, may_buy_again: true });
        bench.ledger.complete_changes(&changes[..2]).await.expect("completed");
        let due = async |number| bench.ledger.change_is_due(number).await.expect("due");
        assert_eq!((due(changes[1].number).await, due(changes[2].number).await), (false, true));
        let sale = bench.ledger.sales().await.expect("sales").remove(0);
        assert_eq!(sale.highest_unit, 5);
    }

    async fn earlier_buyers_are_imported_once_and_who_has_a_purchase_is_not(bench: &Bench) {
        let product = product(1).id;
        bench.record(&[purchase("buyer", 1)]).await;
        let earlier = ["x", "buyer", "y"].map(|user| Purchase { unit: 0, ..purchase(user, 1) });
        let import = async |earlier: &[Purchase]| bench.ledger.import(&product, earlier, "ada").await.expect("imported");
        let first = import(&earlier).await;
        assert!(first.added == 2 && first.change.is_some(), "{first:?}");
        assert_eq!(import(&earlier).await, Imported::default());
        let page = async |after: Option<&UserId>, limit| {
            bench.ledger.earlier_buyers(&product, after, limit).await.expect("page")
        };
        assert_eq!(page(None, 10).await, [earlier[0].clone(), earlier[2].clone()]);
        assert_eq!(page(Some(&earlier[0].user), 10).await, [earlier[2].clone()]);
        // A purchase that was on its way is recorded all the same.
        let on_its_way = purchase("x", 2);
        assert_eq!(bench.record(std::slice::from_ref(&on_its_way)).await, [Verdict::Recorded]);
        assert_eq!(page(None, 10).await, [earlier[2].clone()]);
        let kinds = bench.ledger.changes(0, 10).await.expect("changes").into_iter().map(|change| change.kind);
        assert_eq!(kinds.collect::<Vec<_>>(), [0, 2].map(|at| ChangeKind::Import(earlier[at].clone())));
    }

    async fn an_erased_user_has_one_pseudonym_until_the_erasure_is_complete(bench: &Bench) {
        let [a, b] = [purchase("ada", 1), purchase("bob", 2)];
        bench.record(&[a.clone(), b.clone()]).await;
        assert!(bench.ledger.revoke(&purchase("ada", 9), "why").await.expect("revoked"));
        let erase = async |n| bench.ledger.erase(&a.user, &UserId::pseudonym([n, n])).await.expect("erased");
        let first = erase(1).await;
        assert_eq!((first.purchases, first.revocations, first.imports, first.changes.len()), (1, 1, 0, 1));
        let pseudonym = UserId::pseudonym([1, 1]);
        let renamed = Purchase { user: pseudonym.clone(), ..a.clone() };
        assert_eq!(bench.rows().await, [renamed, b]);
        // What comes late: the same purchase is known, another one is not.
        let late = purchase("ada", 3);
        let verdicts = bench.record(&[a.clone(), late.clone()]).await;
        assert_eq!(verdicts, [Verdict::RecordedBefore, Verdict::Recorded]);
        let changes = bench.ledger.changes(0, 10).await.expect("changes");
        bench.ledger.cancel(late.id, &Cancellation {
            by: "ada".to_owned(), reason: "r".to_owned(), keeps_unit: false, may_buy_again: true,
        }).await.expect("cancelled");
        let second = erase(2).await;
        assert_eq!((second.purchases, second.changes.len()), (1, 0), "under the same pseudonym");
        let all = bench.ledger.all_recorded(&a.product).await.expect("all");
        assert_eq!(all.iter().filter(|row| row.purchase.user == pseudonym).count(), 2);
        bench.ledger.complete_changes(&changes).await.expect("completed");
        assert_eq!(erase(3).await.changes.len(), 1, "a new erasure");
    }

    async fn within_one_batch_the_first_of_two_claims_stands(bench: &Bench) {
        let verdicts = bench.record(&[purchase("a", 1), purchase("a", 2), purchase("b", 1)]).await;
        assert_eq!(bench.rows().await.len(), 1);
        let recorded = verdicts.iter().filter(|verdict| **verdict == Verdict::Recorded).count();
        assert_eq!(recorded, 1, "{verdicts:?}");
    }

    async fn a_revocation_has_its_reason_and_never_touches_a_recorded_purchase(bench: &Bench) {
        let (kept, lost) = (purchase("a", 1), purchase("b", 2));
        bench.record(std::slice::from_ref(&kept)).await;
        assert!(!bench.ledger.revoke(&kept, "no").await.expect("revoke"));
        assert!(bench.ledger.revoke(&lost, "no unit was left").await.expect("revoke"));
        assert!(!bench.ledger.revoke(&lost, "again").await.expect("revoke"));
        let found = bench.ledger.revocation_of(&lost.product, &lost.user).await.expect("revocation");
        assert_eq!(found.map(|found| (found.id, found.reason)), Some((lost.id, "no unit was left".to_owned())));
        assert_eq!(bench.ledger.revocation_of(&kept.product, &kept.user).await.expect("revocation"), None);
        assert_eq!(bench.ledger.revocations(&kept.product).await.expect("all"), [(lost.id, lost.user)]);
    }

    async fn stock_is_never_lowered_below_what_is_sold(bench: &Bench) {
        bench.record(&[purchase("a", 7)]).await;
        let refused = bench.change(&[product(6)]).await;
        assert!(matches!(refused, Err(LedgerError::StockBelowSold { highest_unit: 7, total_stock: 6, .. })));
        assert_eq!(bench.ledger.sales().await.expect("sales")[0].terms.total_stock, 10);
        let id = product(1).id;
        let sale = async || bench.ledger.sales().await.expect("sales").remove(0);
        for total_stock in [20, 7] {
            bench.change(&[product(total_stock)]).await.expect("products");
            bench.ledger.settle_stock(&id, total_stock, true).await.expect("settled");
            assert_eq!((sale().await.terms.total_stock, sale().await.lower_stock_to), (total_stock, None));
        }
    }

    async fn known_products_keep_their_terms_and_new_ones_come_behind_them(bench: &Bench) {
        let other = |id: &str| Product { id: ProductId::parse(id).expect("id"), ..product(3) };
        let older = Product { name: "Older".to_owned(), ..product(5) };
        bench.ledger.add_products(&[other("another"), older, other("b")]).await.expect("products");
        let seen = bench.ledger.products().await.expect("products");
        assert_eq!(seen, [product(10), other("another"), other("b")]);

        let full = Product {
            original_price: Some(Money::parse("1200", "USD").expect("price")),
            description: "d".to_owned(),
            image: "i".to_owned(),
            sale_start: DateTime::from_timestamp_millis(1_732_000_000_123),
            sale_end: DateTime::from_timestamp_millis(1_733_000_000_000),
            ..product(12)
        };
        let wanted = [other("b"), full.clone()];
        bench.ledger.change_products(&seen, &wanted).await.expect("changed");
        let changed = bench.ledger.products().await.expect("products");
        assert_eq!(changed, [other("b"), full, other("another")]);
        let late = bench.ledger.change_products(&seen, &wanted).await;
        assert!(matches!(late, Err(LedgerError::ProductsChanged)), "{late:?}");
        assert_eq!(bench.ledger.products().await.expect("products"), changed);
    }

    async fn a_system_keeps_its_id_and_its_prefix(bench: &Bench) {
        let system = bench.ledger.system("one").await.expect("system");
        assert_eq!(system.prefix, "one");
        assert_eq!(bench.ledger.system("two").await.expect("system"), system);
        bench.ledger.change_prefix("two").await.expect("changed");
        let changed = bench.ledger.system("three").await.expect("system");
        assert_eq!((changed.id, changed.prefix.as_str()), (system.id, "two"));
    }

    async fn a_purchase_of_an_earlier_epoch_is_not_recorded_as_it_is(bench: &Bench) {
        let id = product(1).id;
        let known = purchase("known", 1);
        bench.record(std::slice::from_ref(&known)).await;
        for _ in 0..2 {
            bench.ledger.raise_epoch(&id, 0).await.expect("epoch");
        }
        let batch = admitted(1, &[known, purchase("a", 2), purchase("b", 1)]);
        let record = async |batch: Vec<Entry>| bench.ledger.record(&batch, Writer::Worker).await.expect("recorded");
        let expected = [Verdict::RecordedBefore, Verdict::OldEpoch, Verdict::UnitTaken];
        assert_eq!(record(batch).await, expected);
        assert_eq!(record(admitted(2, &[purchase("a", 2)])).await, [Verdict::Recorded]);
        let by_rebuild = async |epoch, user, unit| {
            let one = admitted(epoch, &[purchase(user, unit)]);
            bench.ledger.record(&one, Writer::Rebuild).await.expect("verdicts")
        };
        assert_eq!(by_rebuild(1, "c", 3).await, [Verdict::OldEpoch], "a later rebuild has begun");
        assert_eq!(by_rebuild(2, "c", 3).await, [Verdict::Recorded]);
    }

    async fn epoch_and_pause_outlive_new_terms(bench: &Bench) {
        let id = product(1).id;
        assert_eq!(bench.ledger.raise_epoch(&id, 0).await.expect("epoch").epoch, 1);
        assert_eq!(bench.ledger.raise_epoch(&id, 0).await.expect("epoch").epoch, 2);
        assert_eq!(bench.ledger.raise_epoch(&id, 7).await.expect("epoch").epoch, 8, "above what was found");
        assert!(bench.ledger.set_paused(&id, true).await.expect("pause"));
        bench.change(&[product(12)]).await.expect("products");
        let sale = bench.ledger.sales().await.expect("sales").remove(0);
        assert_eq!((sale.epoch, sale.terms.paused, sale.terms.total_stock), (8, true, 12));
        let none = ProductId::parse("none").expect("id");
        assert!(!bench.ledger.set_paused(&none, true).await.expect("pause"));
        assert!(matches!(bench.ledger.raise_epoch(&none, 0).await, Err(LedgerError::UnknownProduct(_))));
    }

    async fn pages_go_through_all_units_in_order(bench: &Bench) {
        let batch: Vec<_> = [3, 1, 8, 5].map(|unit| purchase(&format!("u{unit}"), unit)).into();
        bench.record(&batch).await;
        let page = |after| bench.ledger.purchases(&batch[0].product, after, 2);
        let units = |page: Vec<Purchase>| page.iter().map(|purchase| purchase.unit).collect::<Vec<_>>();
        assert_eq!(units(page(0).await.expect("page")), [1, 3]);
        assert_eq!(units(page(3).await.expect("page")), [5, 8]);
        assert_eq!(units(page(8).await.expect("page")), [0_u32; 0]);
    }
}

/// G1 and G2 don't depend on our statements: the tables refuse.
#[tokio::test(flavor = "multi_thread")]
async fn the_tables_themselves_refuse_a_second_purchase_and_a_second_owner() {
    let services = Services::new().await;
    let bench = Bench::prepared(postgres(&services), None).await;
    bench.record(&[purchase("a", 1)]).await;
    let sql = services.sql().await;
    for (user, unit, constraint) in [
        ("a", 2, "purchases_one_per_user"),
        ("b", 1, "purchases_one_per_unit"),
        ("b", 0, "purchases_unit_check"),
    ] {
        let insert = format!(
            "INSERT INTO purchases (id, product_id, user_id, unit, admitted_at, offer)
             VALUES (gen_random_uuid(), 'limited-001', '{user}', {unit}, now(), 1)"
        );
        let error = sql.batch_execute(&insert).await.expect_err("refused");
        let named = error.as_db_error().and_then(|error| error.constraint()).map(str::to_owned);
        assert_eq!(named.as_deref(), Some(constraint));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_rebuild_has_the_lock_no_worker_writes_and_one_leads() {
    let bench = Bench::postgres().await;
    let mut leader = bench.ledger.lead().await.expect("election").expect("the first one leads");
    assert!(bench.ledger.lead().await.expect("election").is_none(), "two lead");
    assert!(bench.ledger.workers_may_run().await.expect("answer"));
    leader.pause_workers().await.expect("pause");
    assert!(!bench.ledger.workers_may_run().await.expect("answer"));
    let refused = bench.ledger.record(&admitted(1, &[purchase("a", 1)]), Writer::Worker).await;
    assert!(matches!(refused, Err(LedgerError::RebuildUnderWay)));
    bench
        .ledger
        .record(&admitted(1, &[purchase("b", 2)]), Writer::Rebuild)
        .await
        .expect("the rebuild writes");
    leader.resume_workers().await.expect("resume");
    assert_eq!(bench.record(&[purchase("a", 1)]).await, [Verdict::Recorded]);
    drop(leader);
    crate::support::eventually("the lead is free", crate::support::SOON, async || {
        bench.ledger.lead().await.expect("election")
    })
    .await;
}

/// Units above the new stock may be on their way: until admission has agreed, they are recorded.
#[tokio::test(flavor = "multi_thread")]
async fn a_lower_stock_waits_for_admission() {
    for bench in [Bench::postgres().await, Bench::sqlite().await] {
        waits_for_admission(&bench).await;
    }
}

async fn waits_for_admission(bench: &Bench) {
    let id = product(1).id;
    let sale = async || bench.ledger.sales().await.expect("sales").remove(0);
    bench.change(&[product(5)]).await.expect("products");
    assert_eq!((sale().await.terms.total_stock, sale().await.lower_stock_to), (10, Some(5)));
    assert!(!bench.ledger.settle_stock(&id, 5, false).await.expect("settled"), "admission has not agreed");
    assert_eq!((sale().await.terms.total_stock, sale().await.lower_stock_to), (10, None));
    bench.change(&[product(5)]).await.expect("products");
    assert_eq!(bench.record(&[purchase("a", 6)]).await, [Verdict::Recorded]);
    assert!(!bench.ledger.settle_stock(&id, 5, true).await.expect("settled"), "unit 6 is in the ledger");
    assert_eq!((sale().await.terms.total_stock, sale().await.lower_stock_to), (10, None));
    bench.change(&[product(6)]).await.expect("products");
    assert!(!bench.ledger.settle_stock(&id, 7, true).await.expect("settled"), "another wish was agreed on");
    assert!(!bench.ledger.settle_stock(&id, 7, false).await.expect("settled"));
    assert_eq!(sale().await.lower_stock_to, Some(6));
    assert!(bench.ledger.settle_stock(&id, 6, true).await.expect("settled"));
    assert_eq!((sale().await.terms.total_stock, sale().await.lower_stock_to), (6, None));
    let refused = bench.record(&[purchase("b", 7)]).await;
    assert_eq!(refused, [Verdict::UnitOutOfRange { total_stock: 6 }]);
}

/// No worker repeats the write that has failed: the watch writes by itself, and what it reads tells nothing.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_write_only_a_write_tells_that_the_ledger_is_up() {
    let services = Services::new().await;
    let ledger = postgres(&services);
    ledger.migrate().await.expect("migrated");
    ledger.system(&services.prefix).await.expect("a system");
    let (runtime, stop) = (Runtime::system(), CancellationToken::new());
    let state = Dependency::new("postgresql", &runtime.clock);
    tokio::spawn(watch_ledger(ledger.clone(), state.clone(), runtime.clone(), stop.clone()));
    let is_up = async || state.outage().is_none().then_some(());
    eventually("the ledger is reached", SOON, is_up).await;
    let operator = services.sql().await;
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                  $$BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = '53100'; END$$;
                  CREATE TRIGGER refuse BEFORE UPDATE ON system EXECUTE FUNCTION refuse()";
    operator.batch_execute(refuse).await.expect("a trigger");
    state.writing().failed(Outage::DiskFull, "as the test wants");
    for _ in 0..30 {
        assert_eq!(state.outage(), Some(Outage::DiskFull));
        lasts(Duration::from_millis(100)).await;
    }
    ledger.ping().await.expect("reads succeed");
    operator.batch_execute("DROP TRIGGER refuse ON system").await.expect("no trigger");
    eventually("a write has succeeded", SOON, is_up).await;
    stop.cancel();
}

/// On SQLite too, where a row that stays as it is would not be written.
#[tokio::test]
async fn a_probe_of_sqlite_writes() {
    use diesel::{Connection, SqliteConnection, connection::SimpleConnection};
    let dir = tempfile::tempdir().expect("dir");
    let file = dir.path().join("ledger.sqlite3");
    let ledger = SqliteLedger::open(&file).await.expect("ledger");
    ledger.migrate().await.expect("migrated");
    ledger.add_products(&[product(1)]).await.expect("a product");
    ledger.probe_write().await.expect("a write");
    let mut database = SqliteConnection::establish(file.to_str().expect("path")).expect("database");
    database.batch_execute("BEGIN IMMEDIATE").expect("the only writer");
    let refused = ledger.probe_write().await.expect_err("another one writes");
    assert_eq!(refused.outage(), Outage::Contended);
    ledger.ping().await.expect("reads succeed");
}
