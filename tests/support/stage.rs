//! A system in the middle of a sale, to be damaged and then audited; and servers of a test's own.

use std::time::Duration;

use super::{
    SOON, eventually,
    http::{client, ready, try_send},
    process::Flashsale,
    sale::{Buyers, Sale},
    servers::Server,
    services::Services,
};
use crate::distributed::catalogue;

pub(crate) const UNITS: u32 = 600;

/// A system in the middle of a sale: one `work`, one `serve`, and buyers.
pub(crate) struct Stage {
    pub(crate) services: Services,
    pub(crate) sale: Sale,
    pub(crate) api: String,
    pub(crate) work: Flashsale,
    pub(crate) serve: Flashsale,
    buyers: Buyers,
    products: tempfile::NamedTempFile,
}

impl Stage {
    /// Opens a sale, and waits until a good part is sold.
    pub(crate) async fn open(services: Services) -> Self {
        Self::open_with(services, &[], &[]).await
    }

    /// With these variables for each of the two processes.
    pub(crate) async fn open_with(
        services: Services,
        for_work: &[(&str, &str)],
        for_serve: &[(&str, &str)],
    ) -> Self {
        let products = catalogue(UNITS);
        let path = products.path().to_str().expect("path").to_owned();
        let both = [("FLASHSALE_PRODUCTS", path.as_str()), ("FLASHSALE_OUTBOX_SWEEP_AFTER_MS", "1000")];
        let spawn = |command, more: &[_]| services.spawn(&[command], &[&both[..], more].concat());
        let (work, serve) = (spawn("work", for_work), spawn("serve", for_serve));
        let api = serve.api().await;
        ready(&api).await;
        ready(&work.health().await).await;
        let sale = Sale::new();
        sale.at(&[&api]);
        let buyers = sale.open(UNITS + 50);
        let stage = Self { services, sale, api, work, serve, buyers, products };
        stage.sold(UNITS / 8).await;
        stage
    }

    /// Another process of this system.
    pub(crate) fn spawn(&self, command: &str) -> Flashsale {
        let variables =
            [("FLASHSALE_PRODUCTS", self.products()), ("FLASHSALE_OUTBOX_SWEEP_AFTER_MS", "1000")];
        self.services.spawn(&[command], &variables)
    }

    /// The catalogue file.
    pub(crate) fn products(&self) -> &str {
        self.products.path().to_str().expect("path")
    }

    /// Waits until so many rows are in the ledger.
    pub(crate) async fn sold(&self, rows: u32) {
        eventually("sales go on", SOON, async || {
            let sold = self.services.count("SELECT count(*) FROM purchases").await;
            (sold >= rows.into()).then_some(())
        })
        .await;
    }

    /// Waits until the API can't sell: the fault has taken hold.
    pub(crate) async fn not_ready(&self) {
        self.readiness("not ready", |status, _| status == 503).await;
    }

    /// Waits until the readiness answer, of status and body, is as wanted.
    pub(crate) async fn readiness(&self, what: &str, wanted: impl Fn(u16, &str) -> bool) {
        readiness(&self.api, what, wanted).await;
    }

    /// Waits until the worker says that it can't work.
    pub(crate) async fn worker_not_ready(&self) {
        readiness(&self.work.health().await, "the worker is not ready", |status, _| status == 503).await;
    }

    /// Waits for the buyers, and audits.
    pub(crate) async fn holds(mut self) {
        self.sale.release();
        let done = self.buyers.done(SOON * 2).await;
        assert!(done, "the buyers are not done\n{}\n---\n{}", self.serve.log(), self.work.log());
        self.sale.holds(&self.services, self.products()).await;
    }
}

async fn readiness(base: &str, what: &str, wanted: impl Fn(u16, &str) -> bool) {
    let (client, url) = (client(), format!("{base}/readyz"));
    eventually(what, SOON, async || {
        let answer = try_send(client.get(&url)).await?;
        wanted(answer.status, &answer.body.to_string()).then_some(())
    })
    .await;
}

/// How long a fault is left to do its work. Nothing is concluded from the time itself.
pub(crate) async fn lasts(time: Duration) {
    let _ = tokio::time::timeout(time, std::future::pending::<()>()).await;
}

/// On the shared servers, but for Redis.
pub(crate) async fn with_redis(port: u16) -> Services {
    let shared = Services::urls();
    Services::on(&shared.database, &format!("redis://127.0.0.1:{port}"), &shared.amqp).await
}

/// On the shared servers, but for RabbitMQ.
pub(crate) async fn with_rabbitmq(port: u16) -> Services {
    let shared = Services::urls();
    Services::on(&shared.database, &shared.redis, &format!("amqp://guest:guest@127.0.0.1:{port}")).await
}

/// On the shared servers, but for PostgreSQL.
pub(crate) async fn with_postgres(port: u16) -> Services {
    let shared = Services::urls();
    let database = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    Services::on(&database, &shared.redis, &shared.amqp).await
}

/// Does something to a server that takes its time, and gives it back.
pub(crate) async fn blocking<S: Send + 'static>(
    mut server: S,
    act: impl FnOnce(&mut S) + Send + 'static,
) -> S {
    let acting = tokio::task::spawn_blocking(move || {
        act(&mut server);
        server
    });
    acting.await.expect("server")
}

/// Starts a server.
pub(crate) async fn own<S: Send + 'static>(start: impl FnOnce() -> S + Send + 'static) -> S {
    tokio::task::spawn_blocking(start).await.expect("server")
}

/// Its restart, after a fault that killed it.
pub(crate) async fn restarted(server: Server) -> Server {
    blocking(server, Server::start).await
}

/// The port in a URL.
pub(crate) fn port_of(url: &str) -> u16 {
    let authority = url.split("://").nth(1).expect("URL").split('/').next().expect("authority");
    authority.rsplit(':').next().expect("port").parse().expect("port")
}
