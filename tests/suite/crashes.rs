//! Each process dies at each point of a purchase's way, as if its power was cut; another one takes over. What was
//! answered stands, and nothing is sold twice.

use crate::{
    distributed::catalogue,
    support::{
        SOON,
        http::ready,
        process::Flashsale,
        sale::{Buyers, Sale, now},
        servers,
        services::Services,
    },
};

const UNITS: u32 = 60;

/// Runs a sale of [`UNITS`] units in which the command dies at the crash point, and a fresh one takes over.
async fn dies(command: &str, crash: &str) {
    let (services, file) = (Services::new().await, catalogue(UNITS));
    let products = file.path().to_str().expect("path").to_owned();
    // A sweeper has something to do where messages wait in a worker's hands for longer than it does.
    let (sweep_after_ms, linger_ms) =
        if command == "work" && crash.starts_with(['s', 'b']) { ("100", "900") } else { ("500", "5") };
    let plain = [
        ("FLASHSALE_PRODUCTS", products.as_str()),
        ("FLASHSALE_OUTBOX_SWEEP_AFTER_MS", sweep_after_ms),
        ("FLASHSALE_WORKER_LINGER_MS", linger_ms),
    ];
    let doomed = [plain[0], plain[1], plain[2], ("FLASHSALE_CRASH", crash)];
    // The doomed worker leads: it is the first.
    let mut first = services.spawn(&[command], &doomed);
    let sale = Sale::new();
    let mut others = Vec::new();
    if command == "work" {
        let _ = first.health().await;
        let serve = services.spawn(&["serve"], &plain);
        let api = serve.api().await;
        sale.at(&[&api]);
        others.push(serve);
    } else {
        let (work, serve) = (services.spawn(&["work"], &plain), services.spawn(&["serve"], &plain));
        let apis = [first.api().await, serve.api().await];
        ready(&apis[0]).await;
        ready(&apis[1]).await;
        sale.at(&[&apis[0], &apis[1]]);
        others.extend([work, serve]);
    }
    let (start, buyers) = (now(), sale.open(UNITS + 20));
    // It aborts: that is the fault, and it took hold.
    let status = first.ended(SOON).await;
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(6),
        "{command} did not abort at {crash}"
    );
    sale.fault(crash, start, true, false);
    let fresh = services.spawn(&[command], &plain);
    if command == "serve" {
        let api = fresh.api().await;
        ready(&api).await;
        sale.at(&[&api]);
    }
    others.push(fresh);
    finished(&sale, buyers, &others).await;
    sale.holds(&services, &products).await;
}

/// G4: what the broker has confirmed survives the death of the worker that holds it, and the loss of all of Redis at the
/// same time; also if the next leader dies at any step of the rebuild.
async fn a_worker_dies_redis_is_wiped_and_a_leader_dies(crash: Option<&str>) {
    let redis = tokio::task::spawn_blocking(servers::redis).await.expect("redis");
    let shared = Services::urls();
    let redis_url = format!("redis://127.0.0.1:{}", redis.port);
    let services = Services::on(&shared.database, &redis_url, &shared.amqp).await;
    let file = catalogue(UNITS);
    let products = file.path().to_str().expect("path").to_owned();
    let plain = [("FLASHSALE_PRODUCTS", products.as_str())];
    let doomed = [plain[0], ("FLASHSALE_CRASH", "worker-in-transaction@2")];
    let mut work = services.spawn(&["work"], &doomed);
    let serve = services.spawn(&["serve"], &plain);
    let api = serve.api().await;
    ready(&api).await;
    let sale = Sale::new();
    sale.at(&[&api]);
    let (start, buyers) = (now(), sale.open(UNITS + 20));
    work.ended(SOON).await;
    let mut connection = services.redis().await;
    redis::cmd("FLUSHALL").exec_async(&mut connection).await.expect("FLUSHALL");
    sale.fault("worker-dead-and-redis-wiped", start, true, true);
    if let Some(crash) = crash {
        let start = now();
        // Its lanes hold what they receive until the rebuild has begun: the messages are there to be drained.
        let variables = [plain[0], ("FLASHSALE_CRASH", crash), ("FLASHSALE_WORKER_LINGER_MS", "2000")];
        let mut leader = services.spawn(&["work"], &variables);
        let status = leader.ended(SOON).await;
        let aborted = std::os::unix::process::ExitStatusExt::signal(&status) == Some(6);
        assert!(aborted, "the leader did not abort at {crash}");
        sale.fault(crash, start, true, false);
    }
    let fresh = services.spawn(&["work"], &plain);
    let processes = [serve, fresh];
    finished(&sale, buyers, &processes).await;
    sale.holds(&services, &products).await;
}

/// Waits for the buyers.
async fn finished(sale: &Sale, mut buyers: Buyers, processes: &[Flashsale]) {
    sale.release();
    let done = buyers.done(SOON * 2).await;
    let logs = processes.iter().map(Flashsale::log).collect::<Vec<_>>().join("\n---\n");
    assert!(done, "the buyers are not done\n{logs}");
}

macro_rules! dies_at {
    ($($name:ident: $command:literal at $crash:literal,)*) => { $(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            dies($command, $crash).await;
        }
    )* };
}

dies_at! {
    api_before_admission: "serve" at "api-before-admission@2",
    api_after_admission: "serve" at "api-after-admission@2",
    publisher_before_publish: "serve" at "publisher-before-publish@3",
    publisher_after_confirm: "serve" at "publisher-after-confirm@3",
    publisher_after_publish: "serve" at "broker-after-publish@3",
    sweeper_after_publish: "work" at "broker-after-publish@1",
    sweeper_after_read: "work" at "sweeper-after-read@1",
    sweeper_after_confirm: "work" at "sweeper-after-confirm@1",
    worker_after_delivery: "work" at "worker-after-delivery@3",
    worker_in_transaction: "work" at "worker-in-transaction@3",
    worker_after_commit: "work" at "worker-after-commit@3",
    worker_after_delete: "work" at "worker-after-delete@3",
    worker_before_ack: "work" at "worker-before-ack@6",
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_dies_and_redis_is_wiped_at_the_same_time() {
    a_worker_dies_redis_is_wiped_and_a_leader_dies(None).await;
}

macro_rules! leader_dies_at {
    ($($name:ident: $crash:literal,)*) => { $(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            a_worker_dies_redis_is_wiped_and_a_leader_dies(Some($crash)).await;
        }
    )* };
}

leader_dies_at! {
    rebuild_after_epoch: "rebuild-after-epoch@1",
    rebuild_after_fence: "rebuild-after-fence@1",
    rebuild_after_pause: "rebuild-after-pause@1",
    rebuild_in_drain: "rebuild-in-drain@1",
    rebuild_before_letters: "rebuild-before-letters@1",
    rebuild_after_drain: "rebuild-after-drain@1",
    rebuild_after_stage: "rebuild-after-stage@1",
    rebuild_after_bind: "rebuild-after-bind@1",
    rebuild_before_open: "rebuild-before-open@1",
    rebuild_after_open: "rebuild-after-open@1",
}
