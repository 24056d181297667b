//! `PgBouncer` stands in front of PostgreSQL.

use crate::support::{
    SOON,
    http::ready,
    sale::now,
    servers,
    services::Services,
    stage::{Stage, own, port_of, with_postgres},
};

/// With its sessions shared, no lock of a session holds.
#[tokio::test(flavor = "multi_thread")]
async fn by_transaction_or_statement_is_refused_at_start() {
    let shared = port_of(&Services::urls().database);
    for mode in ["transaction", "statement"] {
        let services = Services::new().await;
        assert!(services.spawn(&["migrate"], &[]).ended(SOON).await.success());
        let pool = own(move || servers::pgbouncer(shared, mode)).await;
        let elsewhere = format!("postgres://postgres@127.0.0.1:{}/postgres", pool.port);
        let pooled = services.elsewhere(&[elsewhere, services.redis_url.clone(), services.amqp_url.clone()]);
        assert!(pooled.count("SELECT count(*) FROM products").await > 0, "the pool works");
        let commands: [(&[&str], i32); 8] = [
            (&["work"], 1),
            (&["serve"], 1),
            (&["web"], 1),
            (&["migrate"], 1),
            (&["pause"], 1),
            (&["topology"], 1),
            (&["products", "list"], 2),
            (&["audit"], 2),
        ];
        for (command, code) in commands {
            let line = pooled.spawn(command, &[]).refused(code, "shares sessions between clients").await;
            assert!(line.contains("pool_mode = session"), "{line}");
        }
        // No lock has stayed with a session of the pool.
        let work = services.spawn(&["work"], &[]);
        ready(&work.health().await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_session_sells() {
    let shared = port_of(&Services::urls().database);
    let pool = own(move || servers::pgbouncer(shared, "session")).await;
    let stage = Stage::open(with_postgres(pool.port).await).await;
    let start = now();
    stage.sale.fault("pgbouncer-session", start, true, false);
    stage.holds().await;
}
