//! Two Redis servers, a primary and its replica, and what an operator does to them.

use redis::aio::MultiplexedConnection;

use super::{
    SOON, eventually,
    proxy::{Link, Proxy},
    servers::{self, Server},
    stage::own,
};

/// Clients and the replica reach the primary through links of their own.
pub(crate) struct Replicated {
    pub(crate) primary: Server,
    pub(crate) replica: Server,
    pub(crate) to_clients: Proxy,
    to_replica: Proxy,
}

impl Replicated {
    /// The replica is up to date.
    pub(crate) async fn start() -> Self {
        let (primary, replica) = (own(servers::redis).await, own(servers::redis).await);
        let (to_clients, to_replica) = (Proxy::to(primary.port).await, Proxy::to(primary.port).await);
        follow(&mut connection(replica.port).await, to_replica.port).await;
        Self { primary, replica, to_clients, to_replica }
    }

    pub(crate) async fn at_primary(&self) -> MultiplexedConnection {
        connection(self.primary.port).await
    }

    pub(crate) async fn at_replica(&self) -> MultiplexedConnection {
        connection(self.replica.port).await
    }

    /// Bytes of the replication stream that the replica has not seen.
    async fn behind(&self) -> i64 {
        let (mut primary, mut replica) = (self.at_primary().await, self.at_replica().await);
        number(&mut primary, "master_repl_offset:").await - number(&mut replica, "slave_repl_offset:").await
    }

    /// From now on the replica misses what is sold.
    pub(crate) async fn lags(&self) {
        eventually("the replica follows", SOON, async || (self.behind().await < 1_000).then_some(())).await;
        self.to_replica.set(Link::Blackhole);
    }

    pub(crate) async fn has_fallen_behind(&self) {
        assert!(self.behind().await > 10_000, "the replica does not lag");
    }

    /// Makes the replica a primary. Clients reach it from now on with new connections.
    pub(crate) async fn promote_replica(&self) {
        promote(&mut self.at_replica().await).await;
        self.to_clients.lead_to(self.replica.port);
    }

    /// Changes the roles in order, without a loss. Clients still reach the former primary.
    pub(crate) async fn fail_over(&self) {
        fail_over(
            &mut self.at_primary().await,
            self.primary.port,
            &mut self.at_replica().await,
            self.replica.port,
        )
        .await;
    }
}

pub(crate) async fn connection(port: u16) -> MultiplexedConnection {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).expect("Redis URL");
    // The driver gives up after half a second, which a busy machine may need.
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(SOON));
    client.get_multiplexed_async_connection_with_config(&config).await.expect("Redis")
}

pub(crate) async fn command(connection: &mut MultiplexedConnection, words: &[&str]) {
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command.exec_async(connection).await.unwrap_or_else(|error| panic!("{words:?}: {error}"));
}

/// Makes a server the replica of the one at a port, and waits until it has that one's data.
pub(crate) async fn follow(replica: &mut MultiplexedConnection, primary: u16) {
    command(replica, &["REPLICAOF", "127.0.0.1", &primary.to_string()]).await;
    eventually("the replica follows", SOON, async || {
        (field(replica, "master_link_status:").await == "up").then_some(())
    })
    .await;
}

pub(crate) async fn promote(replica: &mut MultiplexedConnection) {
    command(replica, &["REPLICAOF", "NO", "ONE"]).await;
}

/// Redis' own orderly failover: the primary stops, waits for its replica, and becomes its replica's replica.
pub(crate) async fn fail_over(
    at_primary: &mut MultiplexedConnection,
    primary: u16,
    at_replica: &mut MultiplexedConnection,
    replica: u16,
) {
    // Directly, because FAILOVER names the replica by its own address.
    follow(at_replica, primary).await;
    // The primary takes its replica for online a moment later than the replica does.
    eventually("the failover begins", SOON, async || {
        let mut failover = redis::cmd("FAILOVER");
        failover.arg("TO").arg("127.0.0.1").arg(replica).arg("TIMEOUT").arg(10_000);
        failover.exec_async(at_primary).await.ok()
    })
    .await;
    eventually("the roles are changed", SOON, async || {
        let roles = (field(at_primary, "role:").await, field(at_replica, "role:").await);
        (roles == ("slave".to_owned(), "master".to_owned())).then_some(())
    })
    .await;
}

/// What INFO says of a name; nothing where it does not.
pub(crate) async fn field(server: &mut MultiplexedConnection, name: &str) -> String {
    let info: String = redis::cmd("INFO").arg("everything").query_async(server).await.expect("INFO");
    let value = info.lines().find_map(|line| line.strip_prefix(name));
    value.unwrap_or_default().trim().to_owned()
}

/// A number of INFO; 0 where it is not there.
pub(crate) async fn number(server: &mut MultiplexedConnection, name: &str) -> i64 {
    let value = field(server, name).await;
    if value.is_empty() { 0 } else { value.parse().expect("a number") }
}
