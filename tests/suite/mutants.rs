//! The audit must find it when the system is wrong: each mistake is built in, a sale is run under the conditions in
//! which it matters, and the audit must say VIOLATED, by the check that is for it.

use crate::{
    distributed::catalogue,
    faulty::Mutant,
    support::{
        SOON, eventually,
        http::ready,
        process::Flashsale,
        proxy::{Link, Proxy},
        sale::Sale,
        servers,
        services::Services,
    },
};

const UNITS: u32 = 80;

/// What happens in the middle of the sale.
enum Trouble {
    /// Nothing: the mistake shows by itself.
    None,
    /// The worker dies in a transaction, with messages in its hands; then Redis is wiped.
    WorkerDiesAndRedisIsWiped,
    /// The queue is deleted while two workers are in transactions; then one of them dies. The other one is the leader,
    /// and has compared the stores: a new one would put right what the mistake has lost.
    QueueIsDeletedAndWorkerDies,
    /// Redis is wiped.
    RedisIsWiped,
    /// Somebody else's purchases come in between.
    RowsOfOthers,
    /// The link to Redis is cut for a moment.
    RedisLinkIsCut,
}

struct Trial {
    services: Services,
    proxy: Proxy,
    products: tempfile::NamedTempFile,
    mutant: Mutant,
    _redis: servers::Server,
}

impl Trial {
    async fn new(mutant: Mutant) -> Self {
        let redis = tokio::task::spawn_blocking(servers::redis).await.expect("redis");
        let proxy = Proxy::to(redis.port).await;
        let shared = Services::urls();
        let redis_url = format!("redis://127.0.0.1:{}", proxy.port);
        let services = Services::on(&shared.database, &redis_url, &shared.amqp).await;
        Self { services, proxy, products: catalogue(UNITS), mutant, _redis: redis }
    }

    fn spawn(&self, command: &str, more: Option<(&str, &str)>) -> Flashsale {
        let mut variables = vec![
            ("FLASHSALE_PRODUCTS", self.products.path().to_str().expect("path")),
            ("FLASHSALE_OUTBOX_SWEEP_AFTER_MS", "1000"),
            ("FLASHSALE_MUTANT", self.mutant.name()),
        ];
        variables.extend(more);
        self.services.spawn(&[command], &variables)
    }

    async fn sold(&self, rows: i64) {
        eventually("sales go on", SOON, async || {
            let sold = self.services.count("SELECT count(*) FROM purchases").await;
            (sold >= rows).then_some(())
        })
        .await;
    }

    async fn flush(&self) {
        let mut connection = self.services.redis().await;
        redis::cmd("FLUSHALL").exec_async(&mut connection).await.expect("FLUSHALL");
    }

    async fn delete_queue_under(&self, second_worker: Flashsale) {
        let blocker = self.services.sql().await;
        let lock = "BEGIN; LOCK TABLE purchases IN SHARE ROW EXCLUSIVE MODE";
        blocker.batch_execute(lock).await.expect("lock");
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'flashsale work'
                       AND wait_event_type = 'Lock' AND wait_event <> 'advisory' AND datname = current_database()";
        // A worker has two lanes.
        eventually("both workers are in transactions", SOON, async || {
            (self.services.count(waiting).await >= 3).then_some(())
        })
        .await;
        let queue = format!("{}.purchases", self.services.prefix);
        let options = lapin::options::QueueDeleteOptions::default();
        self.services.channel().await.queue_delete(queue.into(), options).await.expect("delete");
        second_worker.kill();
        blocker.batch_execute("COMMIT").await.expect("unlock");
    }

    /// Runs a sale with the trouble in it; the audit's exit code and report.
    async fn audited(&self, trouble: &Trouble) -> (Option<i32>, String) {
        let variable = match trouble {
            Trouble::WorkerDiesAndRedisIsWiped => Some(("FLASHSALE_CRASH", "worker-in-transaction@2")),
            Trouble::QueueIsDeletedAndWorkerDies => Some(("FLASHSALE_LOG_FILTER", "debug")),
            _ => None,
        };
        let mut work = self.spawn("work", variable);
        let serves = [self.spawn("serve", None), self.spawn("serve", None)];
        let apis = [serves[0].api().await, serves[1].api().await];
        ready(&apis[0]).await;
        ready(&apis[1]).await;
        if matches!(trouble, Trouble::QueueIsDeletedAndWorkerDies) {
            work.logs("compared admission with the ledger").await;
        }
        let sale = Sale::new();
        sale.at(&[&apis[0], &apis[1]]);
        if matches!(trouble, Trouble::RowsOfOthers) {
            let insert = "INSERT INTO purchases (id, product_id, user_id, unit, admitted_at, offer)
                SELECT gen_random_uuid(), 'limited-001', 'ghost-' || unit, unit, now(), 1 FROM generate_series(3, 5) AS unit";
            self.services.sql().await.batch_execute(insert).await.expect("rows");
        }
        let mut buyers = sale.open(UNITS + 30);
        let mut fresh = None;
        match trouble {
            Trouble::None | Trouble::RowsOfOthers => {}
            Trouble::RedisIsWiped => {
                self.sold(10).await;
                self.flush().await;
            }
            Trouble::WorkerDiesAndRedisIsWiped => {
                work.ended(SOON).await;
                self.flush().await;
                // Its lanes hold what they receive until the rebuild has begun: the messages are there to be drained.
                fresh = Some(self.spawn("work", Some(("FLASHSALE_WORKER_LINGER_MS", "2000"))));
            }
            Trouble::QueueIsDeletedAndWorkerDies => self.delete_queue_under(self.spawn("work", None)).await,
            Trouble::RedisLinkIsCut => {
                self.sold(10).await;
                let unknown = sale.answered();
                self.proxy.set(Link::Blackhole);
                eventually("attempts time out", SOON, async || {
                    (sale.answered() > unknown + 16).then_some(())
                })
                .await;
                self.proxy.set(Link::Pass);
            }
        }
        sale.release();
        // Some of these mistakes never let a sale end.
        let _ = buyers.done(SOON / 4).await;
        drop(buyers);
        let report = sale.audit(&self.services, self.products.path().to_str().expect("path"), 5).await;
        drop((work, serves, fresh));
        report
    }
}

/// The audit must be violated with the mistake; that it holds without it is what the other tests show.
async fn is_found(mutant: Mutant, trouble: Trouble, check: u8) {
    let trial = Trial::new(mutant).await;
    let (code, report) = trial.audited(&trouble).await;
    assert_eq!(code, Some(1), "{mutant:?} was not found:\n{report}");
    let line = report.lines().find(|line| line.trim_start().starts_with(&format!("{check} ")));
    assert!(line.is_some_and(|line| line.contains("VIOLATED")), "not by check {check}:\n{report}");
}

macro_rules! mutants {
    ($($name:ident: $mutant:ident under $trouble:ident by $check:literal,)*) => {
        const TRIED: &[Mutant] = &[$(Mutant::$mutant),*];
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                is_found(Mutant::$mutant, Trouble::$trouble, $check).await;
            }
        )*
    };
}

mutants! {
    ack_before_commit: AckBeforeCommit under WorkerDiesAndRedisIsWiped by 4,
    delete_before_commit: DeleteBeforeCommit under QueueIsDeletedAndWorkerDies by 4,
    reset_stock: ResetStock under RedisIsWiped by 4,
    check_then_decrement: CheckThenDecrement under None by 4,
    nothing_done_is_success: NothingDoneIsSuccess under RowsOfOthers by 3,
    no_duplicate_check: NoDuplicateCheck under None by 10,
    rebuild_ignores_queue: RebuildIgnoresQueue under WorkerDiesAndRedisIsWiped by 4,
    time_out_is_sold_out: TimeOutIsSoldOut under RedisLinkIsCut by 7,
}

#[test]
fn every_mutant_is_tried() {
    assert!(Mutant::ALL.iter().all(|mutant| TRIED.contains(mutant)));
}
