//! Changes of the primary, as an operator, Sentinel or a cluster makes them.

use super::cluster::SimRedis;

impl SimRedis {
    /// Makes a replica a primary that lacks the last `lag` writes of its primary (those aside that it has shown to a
    /// reader), and leads the address to it. The former primary knows nothing of that: if it runs, it goes on
    /// answering and accepting writes on the connections that it has (split brain). [`SimRedis::demote`] ends that.
    pub(crate) fn promote(&self, replica: usize, lag: usize) {
        let mut cluster = self.lock();
        let former = cluster.nodes[replica].primary.expect("a replica");
        if cluster.nodes[replica].attached {
            cluster.copy(former, replica, lag);
        }
        let replid = cluster.fresh_id();
        let promoted = &mut cluster.nodes[replica];
        promoted.primary = None;
        promoted.server.change_identity(|identity| {
            identity.is_replica = false;
            identity.replid2 = std::mem::replace(&mut identity.replid, replid);
        });
        for node in cluster.nodes.iter_mut().filter(|node| node.primary == Some(former)) {
            node.primary = Some(replica);
        }
        cluster.address = replica;
        cluster.count_replicas();
    }

    /// Makes a primary a replica of the server that the address leads to, whose data it takes over. Its connections
    /// stay open and answer PING; writes are refused with READONLY.
    pub(crate) fn demote(&self, server: usize) {
        let mut cluster = self.lock();
        let primary = cluster.address;
        assert_ne!(server, primary, "the address leads to server {server}: promote another one first");
        cluster.attach(server, primary);
    }

    /// An orderly failover, or one with `lag`: the former primary becomes a replica at once.
    pub(crate) fn fail_over(&self, replica: usize, lag: usize) {
        let former = self.address();
        self.promote(replica, lag);
        self.demote(former);
    }

    /// The server that new connections are made to.
    pub(crate) fn address(&self) -> usize {
        self.lock().address
    }

    /// Leads the address to another server, as a proxy or a name service would.
    pub(crate) fn route_to(&self, server: usize) {
        self.lock().address = server;
    }

    /// From now on the replica is this number of writes behind, or as many as it still can be.
    pub(crate) fn set_lag(&self, replica: usize, writes: usize) {
        self.lock().nodes[replica].lag = writes;
    }

    /// The replica receives nothing any more, or again.
    pub(crate) fn set_attached(&self, replica: usize, attached: bool) {
        let mut cluster = self.lock();
        cluster.sync(replica);
        cluster.nodes[replica].attached = attached;
    }

    /// What a primary does after `repl-backlog-ttl` without a replica: its history gets another name.
    pub(crate) fn forget_backlog(&self, server: usize) {
        let mut cluster = self.lock();
        let replid = cluster.fresh_id();
        cluster.nodes[server].server.change_identity(|identity| identity.replid = replid);
    }
}
