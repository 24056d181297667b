//! Faults of a server: its process, its memory, its clock, its data.

use std::{sync::Arc, time::Duration};

use super::{
    cluster::{Node, SimRedis},
    network::{Delivery, Network},
};

impl SimRedis {
    /// Ends the process: its connections break, new ones are refused.
    pub(crate) fn kill(&self, server: usize) {
        let mut cluster = self.lock();
        cluster.nodes[server].running = false;
        cluster.nodes[server].incarnation += 1;
        cluster.nodes[server].network.frozen = false;
        cluster.nodes[server].network.wake();
    }

    /// Ends all primaries but this one.
    pub(crate) fn kill_other_primaries(&self, server: usize) {
        let is_primary = |(_, node): &(usize, &Node)| node.primary.is_none();
        let primaries: Vec<_> =
            self.lock().nodes.iter().enumerate().filter(is_primary).map(|(other, _)| other).collect();
        primaries.into_iter().filter(|other| *other != server).for_each(|other| self.kill(other));
    }

    /// Starts the process again, or ends and starts it, without the last `lost` writes. It has another run id and
    /// replication id, no scripts, and the role that it had.
    pub(crate) fn restart(&self, server: usize, lost: usize) {
        self.kill(server);
        let mut cluster = self.lock();
        let (run_id, replid) = (cluster.fresh_id(), cluster.fresh_id());
        let node = &mut cluster.nodes[server];
        let kept = node.server.log.len().saturating_sub(lost);
        node.server.restart(kept, run_id, replid);
        node.running = true;
    }

    /// As [`SimRedis::restart`], with nothing of its data.
    pub(crate) fn wipe(&self, server: usize) {
        self.restart(server, usize::MAX);
    }

    /// Over `maxmemory`, or no more.
    pub(crate) fn set_full(&self, server: usize, full: bool) {
        self.with(server, |node| node.server.limits.full = full);
    }

    /// Reading its data after a start, or done with it.
    pub(crate) fn set_loading(&self, server: usize, loading: bool) {
        self.with(server, |node| node.server.limits.loading = loading);
    }

    /// Sets the clock ahead of the simulated time, or back.
    pub(crate) fn set_clock_ahead(&self, server: usize, millis: i64) {
        self.with(server, |node| node.clock_ahead = millis);
    }

    /// Removes a key as eviction does, or an operator by UNLINK. Returns whether it was there.
    pub(crate) fn evict(&self, server: usize, key: &str) -> bool {
        self.run(server, &["UNLINK", key]) == Ok(redis::Value::Int(1))
    }

    /// How requests and replies travel from now on, until it is changed or used up.
    pub(crate) fn set_delivery(&self, server: usize, delivery: Delivery, requests: Option<usize>) {
        self.with(server, |node| (node.network.delivery, node.network.remaining) = (delivery, requests));
    }

    /// Delays each request and each reply by up to so much simulated time.
    pub(crate) fn set_delays(&self, server: usize, request: Duration, reply: Duration) {
        self.with(server, |node| (node.network.request_delay, node.network.reply_delay) = (request, reply));
    }

    /// Stops the process without ending it (SIGSTOP), or continues it: requests wait meanwhile.
    pub(crate) fn set_frozen(&self, server: usize, frozen: bool) {
        self.with(server, |node| node.network.frozen = frozen);
        if !frozen {
            self.wake(server);
        }
    }

    /// Ends all faults of the network between clients and this server.
    pub(crate) fn heal(&self, server: usize) {
        self.with(server, |node| {
            let thawed = Arc::clone(&node.network.thawed);
            node.network = Network { thawed, ..Network::default() };
        });
        self.wake(server);
    }

    fn wake(&self, server: usize) {
        self.lock().nodes[server].network.wake();
    }
}
