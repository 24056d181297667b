//! Where [`super::RedisAdmission`] gets its connections. The trait is the seam at which a test puts
//! a simulated Redis.

use redis::{RedisError, aio::ConnectionLike};

use crate::admission::AdmissionError;

/// A source of connections to one Redis.
pub trait Connections: Clone + Send + Sync + 'static {
    type Hot: HotConnection;
    type Pooled: ConnectionLike + Send;

    /// A connection for the hot path, without waiting.
    fn hot(&self) -> Result<Self::Hot, AdmissionError>;

    /// A connection for everything else.
    fn pooled(&self) -> impl Future<Output = Result<Self::Pooled, AdmissionError>> + Send;

    /// The same source, with a hot connection that the runtime of the caller serves: an attempt
    /// from there makes no other thread wake up.
    #[must_use]
    fn on_this_thread(&self) -> Self;
}

/// A multiplexed connection in use.
pub trait HotConnection: Send {
    type Connection: ConnectionLike + Send;

    fn connection(&mut self) -> &mut Self::Connection;

    /// The identity of the server that the connection leads to, as it was at
    /// the time of connecting.
    fn server(&self) -> &str;

    /// Turns the error of a command on this connection into ours, and has the connection replaced
    /// if the connection is to blame.
    fn failed(&self, error: RedisError) -> AdmissionError;
}
