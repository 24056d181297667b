//! Where [`super::RedisAdmission`] gets its connections, and where those come from.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use redis::{RedisError, RedisResult, aio::ConnectionLike};

use crate::admission::AdmissionError;

/// A source of connections to one Redis.
pub trait Connections: Clone + Send + Sync + 'static {
    type Connection: ConnectionLike + Send;

    /// A connection that works, without waiting.
    fn get(&self) -> Result<InUse<Self::Connection>, AdmissionError>;

    /// Turns the error of a command into ours, and has connections checked if they may be to blame.
    fn failed(&self, link: &InUse<Self::Connection>, error: RedisError) -> AdmissionError;

    /// Replaces all connections as old as this one: its server has a state that was rolled back,
    /// and the address may lead to another server by now.
    fn replace(&self, rolled_back: &InUse<Self::Connection>);

    /// The same source, with a connection that the runtime of the caller serves: an attempt from
    /// there makes no other thread wake up.
    #[must_use]
    fn on_this_thread(&self) -> Self;
}

/// A multiplexed connection in use.
#[derive(Clone)]
pub struct InUse<C> {
    pub connection: C,
    /// The identity of the server, as it was up to a second ago: see `prelude.lua`.
    pub server: Arc<str>,
    /// How often all connections had been replaced when this one was made.
    pub generation: u64,
}

/// Makes connections to one Redis. The seam at which a test puts a simulated Redis: everything
/// above, the supervision included, is the program's own.
pub trait Connector: Send + Sync + 'static {
    /// Multiplexed: clones share the connection.
    type Connection: ConnectionLike + Clone + Send + Sync + 'static;
    /// A running task, which ends when this is dropped.
    type Task: Send + Sync;

    fn connect(&self) -> impl Future<Output = RedisResult<Self::Connection>> + Send;

    fn spawn(&self, task: BoxFuture<'static, ()>) -> Self::Task;
}
