//! PostgreSQL dies, refuses, or does not answer. The worker waits, nothing is dead-lettered, the rows are the same.

use std::time::Duration;

use crate::support::{
    SOON, eventually,
    http::{get, ready},
    proxy::{Link, Proxy},
    sale::{PRODUCT, now},
    servers::{self, Server},
    services::Services,
    stage::{Stage, UNITS, blocking, lasts, own, port_of, restarted, with_postgres, with_redis},
};

impl Stage {
    /// An outage is no reason for a dead letter.
    async fn holds_without_dead_letters(self) {
        assert_eq!(self.services.depth("purchases.dead").await, 0);
        self.holds().await;
    }

    /// Waits until a worker waits for a lock of the database.
    async fn worker_waits_for_a_lock(&self) {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE application_name = 'flashsale work' AND wait_event_type = 'Lock'
                         AND wait_event <> 'advisory' AND datname = current_database()";
        eventually("the worker waits for a lock", SOON, async || {
            (self.services.count(waiting).await > 0).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn is_killed_and_away_for_a_minute() {
    let postgres = own(servers::postgres).await;
    let stage = Stage::open(with_postgres(postgres.port).await).await;
    let start = now();
    let postgres = blocking(postgres, Server::kill).await;
    stage.worker_not_ready().await;
    // So long that the worker leaves the queue meanwhile.
    lasts(Duration::from_mins(1)).await;
    assert_eq!(get(&format!("{}/readyz", stage.api)).await.status, 200, "it can still sell");
    let _postgres = restarted(postgres).await;
    stage.sale.fault("postgresql-kill", start, true, false);
    stage.holds_without_dead_letters().await;
}

/// Told to commit asynchronously, by its configuration and for the role, and killed: what was committed is on disk all
/// the same.
#[tokio::test(flavor = "multi_thread")]
async fn commits_asynchronously_and_is_killed() {
    // Without a commit that waits, the log is written after ten seconds.
    let started = |server: &mut Server| {
        server.start_with(&["-c", "synchronous_commit=off", "-c", "wal_writer_delay=10s"]);
    };
    let postgres = own(servers::postgres).await;
    let postgres = blocking(postgres, Server::stop).await;
    let postgres = blocking(postgres, started).await;
    let services = with_postgres(postgres.port).await;
    let role = "ALTER ROLE postgres SET synchronous_commit = off";
    services.sql().await.batch_execute(role).await.expect("setting");
    let is_off = "SELECT count(*) FROM pg_settings WHERE name = 'synchronous_commit' AND setting = 'off'";
    assert_eq!(services.count(is_off).await, 1, "the setting has taken hold");
    let stage = Stage::open(services).await;
    stage.work.logs("fsync is off").await;
    let start = now();
    let postgres = blocking(postgres, Server::kill).await;
    stage.worker_not_ready().await;
    let _postgres = blocking(postgres, started).await;
    stage.sale.fault("postgresql-asynchronous-commit", start, true, false);
    stage.holds_without_dead_letters().await;
}

/// Among the damages: the reply to COMMIT is lost.
#[tokio::test(flavor = "multi_thread")]
async fn has_a_damaged_link() {
    let proxy = Proxy::to(port_of(&Services::urls().database)).await;
    let stage = Stage::open(with_postgres(proxy.port).await).await;
    let commit = Link::CutAnswersWith("COMMIT\0");
    for link in [commit, Link::CutAnswers, Link::Refuse, Link::Blackhole] {
        let (start, before) = (now(), proxy.damage());
        proxy.set(link);
        let costs = if link == commit { 3 } else { 1 };
        eventually("the damage takes hold", SOON, async || (proxy.damage() >= before + costs).then_some(()))
            .await;
        if link != commit {
            stage.worker_not_ready().await;
        }
        proxy.set(Link::Pass);
        stage.sale.fault(&format!("postgresql-link-{link:?}"), start, proxy.damage() > before, false);
    }
    stage.holds_without_dead_letters().await;
}

/// A lock is held for longer than the worker waits for it, by one limit or the other.
async fn holds_a_lock(limits: &[(&str, &str)], code: &str) {
    let postgres = own(servers::postgres).await;
    let stage = Stage::open_with(with_postgres(postgres.port).await, limits, &[]).await;
    let (start, blocker) = (now(), stage.services.sql().await);
    blocker.batch_execute("BEGIN; LOCK TABLE purchases IN SHARE ROW EXCLUSIVE MODE").await.expect("lock");
    stage.worker_waits_for_a_lock().await;
    let log = postgres.dir().join("postgres.log");
    eventually("the worker is refused", SOON, async || {
        let log = std::fs::read_to_string(&log).expect("log");
        log.contains(code).then_some(())
    })
    .await;
    blocker.batch_execute("COMMIT").await.expect("unlock");
    stage.sale.fault("lock-held", start, true, false);
    stage.holds_without_dead_letters().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_a_lock_for_longer_than_a_worker_waits() {
    let limits = [("FLASHSALE_LEDGER_LOCK_TIMEOUT_MS", "300")];
    holds_a_lock(&limits, "canceling statement due to lock timeout").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lets_a_statement_run_out_of_time() {
    let limits =
        [("FLASHSALE_LEDGER_LOCK_TIMEOUT_MS", "5000"), ("FLASHSALE_LEDGER_STATEMENT_TIMEOUT_MS", "300")];
    holds_a_lock(&limits, "canceling statement due to statement timeout").await;
}

/// Somebody's transaction waits for the worker's, and the worker's for it, until PostgreSQL ends the worker's.
#[tokio::test(flavor = "multi_thread")]
async fn ends_a_deadlock() {
    let stage = Stage::open(Services::new().await).await;
    let (start, other) = (now(), stage.services.sql().await);
    // This one never looks for a deadlock, so that it is not the one that is ended.
    other.batch_execute("SET deadlock_timeout = '1h'").await.expect("setting");
    other.batch_execute("BEGIN; LOCK TABLE purchases IN SHARE ROW EXCLUSIVE MODE").await.expect("lock");
    stage.worker_waits_for_a_lock().await;
    other.batch_execute("SELECT FROM products FOR UPDATE").await.expect("the worker gives way");
    other.batch_execute("COMMIT").await.expect("unlock");
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    eventually("a deadlock is counted", SOON, async || {
        (stage.services.count(deadlocks).await > 0).then_some(())
    })
    .await;
    stage.sale.fault("deadlock", start, true, false);
    stage.holds_without_dead_letters().await;
}

/// As a primary that was demoted.
#[tokio::test(flavor = "multi_thread")]
async fn becomes_read_only() {
    let postgres = own(servers::postgres).await;
    let stage = Stage::open(with_postgres(postgres.port).await).await;
    let (start, operator) = (now(), stage.services.sql().await);
    let read_only = async |on: &str| {
        let change = format!("ALTER SYSTEM SET default_transaction_read_only = {on}");
        operator.batch_execute("SET transaction_read_only = off").await.expect("an operator may");
        operator.batch_execute(&change).await.expect("setting");
        operator.batch_execute("SELECT pg_reload_conf()").await.expect("reload");
    };
    read_only("on").await;
    let log = postgres.dir().join("postgres.log");
    eventually("the worker is refused", SOON, async || {
        let log = std::fs::read_to_string(&log).expect("log");
        log.contains("in a read-only transaction").then_some(())
    })
    .await;
    lasts(Duration::from_secs(5)).await;
    read_only("off").await;
    stage.sale.fault("postgresql-read-only", start, true, false);
    stage.holds_without_dead_letters().await;
}

/// Inserts of purchases fail with this SQLSTATE, while reads and every other write succeed.
async fn refuses_purchases(code: &str, message: &str, outage: &str) {
    let stage = Stage::open(Services::new().await).await;
    let (start, operator) = (now(), stage.services.sql().await);
    let refuse = format!(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
         $$BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = '{code}'; END$$;
         CREATE TRIGGER refuse BEFORE INSERT ON purchases FOR EACH ROW EXECUTE FUNCTION refuse()"
    );
    operator.batch_execute(&refuse).await.expect("a trigger");
    stage.worker_not_ready().await;
    let health = stage.work.health().await;
    for _ in 0..50 {
        let answer = get(&format!("{health}/readyz")).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        let text = answer.body.to_string();
        assert!(text.contains(outage) && !text.contains(message), "{text}");
        lasts(Duration::from_millis(100)).await;
    }
    assert_eq!(get(&format!("{}/readyz", stage.api)).await.status, 200, "it can still sell");
    operator.batch_execute("DROP TRIGGER refuse ON purchases").await.expect("no trigger");
    ready(&health).await;
    for line in ["lost postgresql: ", "postgresql is up, after"] {
        let log = stage.work.log();
        assert_eq!(log.matches(line).count(), 1, "{line}\n{log}");
    }
    assert!(stage.work.log().contains(message), "the log has the server's words");
    stage.sale.fault("postgresql-refuses-purchases", start, true, false);
    stage.holds_without_dead_letters().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn has_a_full_disk() {
    let message = "could not extend file: No space left on device";
    refuses_purchases("53100", message, "its disk is full").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn has_a_damaged_page() {
    refuses_purchases("XX001", "invalid page in block 7 of relation base", "its data is damaged").await;
}

impl Stage {
    /// Restores the database as it was at the backup, once it has more rows than that.
    async fn restore_database(&self) {
        let start = now();
        self.sold(UNITS / 2).await;
        let lost = self.services.count("SELECT count(*) FROM purchases").await
            - self.services.rows_in_backup().await;
        assert!(lost > 20, "{lost} rows are lost");
        self.services.restore().await;
        self.sale.restored("database-restored", start);
    }

    async fn epochs(&self) -> (i64, i64) {
        let mut redis = self.services.redis().await;
        let sale = self.services.key(PRODUCT, "sale");
        let epoch = redis::cmd("HGET").arg(sale).arg("epoch").query_async::<Option<i64>>(&mut redis).await;
        (self.services.count("SELECT epoch FROM products").await, epoch.expect("HGET").unwrap_or(0))
    }
}

/// Redis still has the winners whose rows are gone, and its epoch is the ledger's.
#[tokio::test(flavor = "multi_thread")]
async fn is_restored_to_an_earlier_state() {
    let stage = Stage::open(Services::new().await).await;
    stage.services.back_up().await;
    stage.restore_database().await;
    let (of_ledger, of_redis) = stage.epochs().await;
    assert_eq!(of_ledger, of_redis, "this is the case in which the epochs are equal");
    stage.work.logs("purchases that the ledger lacks are in the outbox again").await;
    stage.holds_without_dead_letters().await;
}

/// Redis was rebuilt since the backup: it is ahead of the ledger, and must be rebuilt again.
#[tokio::test(flavor = "multi_thread")]
async fn is_restored_to_a_state_from_before_a_rebuild() {
    let redis = own(servers::redis).await;
    let stage = Stage::open(with_redis(redis.port).await).await;
    stage.services.back_up().await;
    let start = now();
    redis::cmd("FLUSHALL").exec_async(&mut stage.services.redis().await).await.expect("FLUSHALL");
    stage.not_ready().await;
    stage.readiness("rebuilt", |status, _| status == 200).await;
    stage.sale.fault("redis-flush", start, true, true);
    let epoch_before = stage.epochs().await.1;
    stage.restore_database().await;
    eventually("a rebuild under an epoch that was never used", SOON, async || {
        let (of_ledger, of_redis) = stage.epochs().await;
        (of_ledger == of_redis && of_redis > epoch_before).then_some(())
    })
    .await;
    stage.work.logs("the ledger lacked purchases that admission has").await;
    stage.holds_without_dead_letters().await;
}
