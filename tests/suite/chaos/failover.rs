//! Redis with a replica, and its failovers.

use std::{sync::Arc, time::Duration};

use tokio::sync::Mutex;

use crate::support::{
    SOON, eventually,
    proxy::{Link, Proxy},
    replicated::{connection, fail_over, field, follow, number, promote},
    servers::{self, Server},
    stage::{lasts, own},
};

/// Two servers. The replica follows the primary only during a failover.
pub(super) struct Redis {
    pub(super) primary: Arc<Mutex<Server>>,
    pub(super) replica: Arc<Mutex<Server>>,
    pub(super) to_serves: Proxy,
    pub(super) to_works: Proxy,
    /// Never damaged.
    pub(super) to_test: Proxy,
}

impl Redis {
    pub(super) async fn start() -> Self {
        let (primary, replica) = (own(servers::redis).await, own(servers::redis).await);
        Self {
            to_serves: Proxy::to(primary.port).await,
            to_works: Proxy::to(primary.port).await,
            to_test: Proxy::to(primary.port).await,
            primary: Arc::new(Mutex::new(primary)),
            replica: Arc::new(Mutex::new(replica)),
        }
    }

    async fn ports(&self) -> (u16, u16) {
        (self.primary.lock().await.port, self.replica.lock().await.port)
    }

    /// New connections lead to the replica, which is the primary from now on.
    async fn change_roles(&self) {
        let (mut primary, mut replica) = (self.primary.lock().await, self.replica.lock().await);
        std::mem::swap(&mut *primary, &mut *replica);
        for link in [&self.to_serves, &self.to_works, &self.to_test] {
            link.lead_to(primary.port);
        }
    }

    /// The replica follows the primary, and then misses what is sold for a while.
    async fn lagging_replica(&self, time: Duration) -> Proxy {
        let (primary, replica) = self.ports().await;
        let replication = Proxy::to(primary).await;
        follow(&mut connection(replica).await, replication.port).await;
        replication.set(Link::Blackhole);
        lasts(time).await;
        replication
    }

    pub(super) async fn fail_over(&self, time: Duration) -> bool {
        let (primary, replica) = self.ports().await;
        let (mut at_primary, mut at_replica) = (connection(primary).await, connection(replica).await);
        fail_over(&mut at_primary, primary, &mut at_replica, replica).await;
        self.change_roles().await;
        lasts(time).await;
        field(&mut at_primary, "role:").await == "slave"
    }

    pub(super) async fn split_brain(&self, time: Duration) -> bool {
        let _replication = self.lagging_replica(time).await;
        let (former, replica) = self.ports().await;
        promote(&mut connection(replica).await).await;
        self.change_roles().await;
        // The workers find the new primary; the API processes keep their connections.
        let before = self.to_works.damage();
        self.to_works.set(Link::Reset);
        let cut = async || (self.to_works.damage() > before).then_some(());
        eventually("the workers' connections are cut", SOON, cut).await;
        self.to_works.set(Link::Pass);
        lasts(time).await;
        let mut at_former = connection(former).await;
        // This connection is one of them.
        let lives = field(&mut at_former, "role:").await == "master"
            && number(&mut at_former, "connected_clients:").await > 1;
        // An operator puts an end to it.
        follow(&mut at_former, replica).await;
        lives
    }

    pub(super) async fn fail_back(&self, time: Duration) -> bool {
        let _replication = self.lagging_replica(time).await;
        let (primary, replica) = self.ports().await;
        let mut at_primary = connection(primary).await;
        let incarnation =
            async |server: &mut _| (field(server, "run_id:").await, field(server, "master_replid:").await);
        let before = incarnation(&mut at_primary).await;
        promote(&mut connection(replica).await).await;
        follow(&mut at_primary, replica).await;
        promote(&mut at_primary).await;
        let after = incarnation(&mut at_primary).await;
        before.0 == after.0 && before.1 != after.1
    }
}
