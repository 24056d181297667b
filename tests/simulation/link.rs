//! A process's connections to the simulated Redis: the program's own supervision, on simulated connections.

use std::{io, time::Duration};

use flashsale::{
    admission::{Connections, Connector, Link},
    observability::Dependency,
    runtime::Runtime,
};
use futures_util::future::BoxFuture;
use redis::{Cmd, Pipeline, RedisFuture, RedisResult, Value, aio::ConnectionLike};

use crate::{
    executor::Pid,
    redis::{SimConnection, SimRedis},
    sim::Sim,
};

const CONNECTIONS: usize = 2;
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);

pub(crate) struct SimConnector {
    sim: Sim,
    redis: SimRedis,
    pid: Pid,
}

pub(crate) type SimLink = Link<SimConnector>;

/// Starts connecting in the background, as tasks of the process.
pub(crate) fn start(sim: &Sim, redis: &SimRedis, pid: Pid, prefix: &str, runtime: &Runtime) -> SimLink {
    let connector = SimConnector { sim: sim.clone(), redis: redis.clone(), pid };
    Link::start(connector, CONNECTIONS, prefix, &Dependency::new("redis", &runtime.clock), runtime)
}

impl Connector for SimConnector {
    type Connection = SimConnection;
    /// Tasks end with their process.
    type Task = ();

    async fn connect(&self) -> RedisResult<SimConnection> {
        let connecting = tokio::time::timeout(RESPONSE_TIMEOUT, self.redis.connect()).await;
        let connected = connecting.map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))??;
        self.sim.note(self.pid, format_args!("connects to Redis server {}", connected.server()));
        Ok(connected.with_response_timeout(RESPONSE_TIMEOUT))
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.sim.executor.spawn(self.pid, task);
    }
}

/// Any connection that works at present, for a mutant.
#[derive(Clone)]
pub(crate) struct Working(pub(crate) SimLink);

impl Working {
    fn connection(&self) -> RedisResult<SimConnection> {
        let live = self.0.get().map_err(|_none| io::Error::from(io::ErrorKind::NotConnected))?;
        Ok(live.connection)
    }
}

impl ConnectionLike for Working {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move { self.connection()?.req_packed_command(command).await })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move { self.connection()?.req_packed_commands(pipeline, offset, count).await })
    }

    fn get_db(&self) -> i64 {
        0
    }
}
