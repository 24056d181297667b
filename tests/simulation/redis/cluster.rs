//! The servers, and which of them the service's address leads to.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use redis::{RedisResult, Value};

use super::{
    lua::Interpreter,
    network::Network,
    reply::{Reply, Request},
    server::Server,
};

/// The simulated time since the Unix epoch. Each server adds its own deviation.
pub(crate) type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// A handle; clones lead to the same servers. Servers are named by their number, the first primary is 0.
#[derive(Clone)]
pub(crate) struct SimRedis {
    clock: Clock,
    cluster: Arc<Mutex<Cluster>>,
}

pub(super) struct Cluster {
    pub(super) nodes: Vec<Node>,
    /// The server that new connections are made to.
    pub(super) address: usize,
    interpreter: Interpreter,
    random: fastrand::Rng,
}

pub(super) struct Node {
    pub(super) server: Server,
    /// The primary that this server follows.
    pub(super) primary: Option<usize>,
    /// Number of the primary's latest writes that this replica does not have yet.
    pub(super) lag: usize,
    /// Whether writes arrive from the primary at all.
    pub(super) attached: bool,
    /// Rises with each restart; connections end with the process that they were made to.
    pub(super) incarnation: u64,
    pub(super) running: bool,
    /// Milliseconds that this server's clock is ahead of the simulated time.
    pub(super) clock_ahead: i64,
    pub(super) network: Network,
}

/// One or more requests that arrive together.
#[derive(Clone, Debug)]
pub(super) enum Batch {
    Pipeline(Vec<Request>),
    Transaction(Vec<Request>),
}

impl SimRedis {
    /// One primary without data.
    pub(crate) fn new(clock: Clock, seed: u64) -> Self {
        let mut cluster = Cluster {
            nodes: Vec::new(),
            address: 0,
            interpreter: Interpreter::new(),
            random: fastrand::Rng::with_seed(seed),
        };
        cluster.add();
        Self { clock, cluster: Arc::new(Mutex::new(cluster)) }
    }

    /// Adds a replica of the server that the address leads to.
    pub(crate) fn add_replica(&self) -> usize {
        let mut cluster = self.lock();
        let server = cluster.add();
        let primary = cluster.address;
        cluster.attach(server, primary);
        server
    }

    /// Runs a command at once, whatever the network does: for oracles, and for what an operator does.
    pub(crate) fn run(&self, server: usize, words: &[&str]) -> RedisResult<Value> {
        let request = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        let replies = self.execute(server, Batch::Pipeline(vec![request]));
        replies.into_iter().next().expect("a reply for each request").into_result()
    }

    /// Number of writes that the server has.
    pub(crate) fn writes(&self, server: usize) -> usize {
        self.with(server, |node| node.server.log.len())
    }

    /// A digest of everything that the servers have stored and answered to: equal in equal runs.
    pub(crate) fn fingerprint(&self) -> u64 {
        let cluster = self.lock();
        let mut hasher = DefaultHasher::new();
        cluster.address.hash(&mut hasher);
        for node in &cluster.nodes {
            (&node.server.log, &node.server.keyspace, &node.server.identity.replid).hash(&mut hasher);
        }
        hasher.finish()
    }

    pub(super) fn execute(&self, server: usize, batch: Batch) -> Vec<Reply> {
        let mut cluster = self.lock();
        cluster.sync(server);
        let Cluster { nodes, interpreter, .. } = &mut *cluster;
        let Node { server, clock_ahead, .. } = &mut nodes[server];
        let now = at(&self.clock, *clock_ahead);
        match batch {
            Batch::Pipeline(requests) => {
                requests.into_iter().map(|request| server.execute(interpreter, now, request)).collect()
            }
            Batch::Transaction(requests) => vec![server.execute_all(interpreter, now, requests)],
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn with<T>(&self, server: usize, use_node: impl FnOnce(&mut Node) -> T) -> T {
        let mut cluster = self.lock();
        cluster.sync(server);
        use_node(&mut cluster.nodes[server])
    }
}

impl Cluster {
    fn add(&mut self) -> usize {
        let (run_id, replid) = (self.fresh_id(), self.fresh_id());
        self.nodes.push(Node {
            server: Server::new(run_id, replid),
            primary: None,
            lag: 0,
            attached: true,
            incarnation: 0,
            running: true,
            clock_ahead: 0,
            network: Network::default(),
        });
        self.nodes.len() - 1
    }

    /// 40 hexadecimal digits, as Redis has for a run and for a history.
    pub(super) fn fresh_id(&mut self) -> String {
        let id = format!("{:032x}{:08x}", self.random.u128(..), self.random.u32(..));
        id
    }

    /// A number of milliseconds up to a maximum.
    pub(super) fn delay_up_to(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.random.u64(0..=most))
    }

    pub(super) fn attach(&mut self, server: usize, primary: usize) {
        self.nodes[server].primary = Some(primary);
        self.nodes[server].attached = true;
        self.nodes[server].server.change_identity(|identity| identity.is_replica = true);
        self.count_replicas();
        self.sync(server);
    }

    pub(super) fn count_replicas(&mut self) {
        for server in 0..self.nodes.len() {
            let replicas = self.nodes.iter().filter(|node| node.primary == Some(server)).count();
            self.nodes[server].server.change_identity(|identity| identity.replicas = replicas);
        }
    }

    /// Gives a replica what it has received by now. Replicas are brought up to date only when someone needs to know:
    /// until then, a failover can still decide how far they are behind.
    pub(super) fn sync(&mut self, server: usize) {
        let Some(primary) = self.nodes[server].primary else { return };
        if self.nodes[server].attached && self.nodes[primary].running {
            self.copy(primary, server, self.nodes[server].lag);
        }
    }

    pub(super) fn copy(&mut self, primary: usize, replica: usize, lag: usize) {
        let Ok([primary, replica]) = self.nodes.get_disjoint_mut([primary, replica]) else {
            panic!("server {replica} follows itself");
        };
        let log = &primary.server.log;
        replica.server.follow(log, log.len().saturating_sub(lag));
        let replid = &primary.server.identity.replid;
        if replica.server.identity.replid != *replid {
            replica.server.change_identity(|identity| identity.replid.clone_from(replid));
        }
    }
}

fn at(clock: &Clock, ahead_millis: i64) -> Duration {
    let ahead = Duration::from_millis(ahead_millis.unsigned_abs());
    if ahead_millis < 0 { clock().saturating_sub(ahead) } else { clock() + ahead }
}
