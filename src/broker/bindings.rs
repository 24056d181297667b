//! Which epochs of which products reach the queue of purchases.

use std::fmt::Debug;

use async_trait::async_trait;

use super::BrokerError;
use crate::domain::ProductId;

/// The bindings, held by one process at a time; dropping this lets another process hold them.
///
/// A fence is of use only if no process that is late can lift it. So the leader takes hold of the
/// bindings first, proves its lead second, and reads the epoch that it binds third: a process that
/// leads later can't have removed a binding in between, for want of the hold.
///
/// Every operation is idempotent. The first error is the end of the hold: drop it and
/// ask for another one.
#[async_trait]
pub trait Bindings: Debug + Send + Sync {
    /// Lets messages of these epochs reach the queue, besides those that this hold has bound
    /// before. The first time, it removes all that earlier holders have bound, whether or
    /// not a store remembers their epochs. Declares the queue, and all that belongs to it,
    /// where that is missing.
    async fn bind(&mut self, epochs: &[(ProductId, u64)]) -> Result<(), BrokerError>;

    /// Fences all epochs of a product: from now on a message of them is
    /// [`BrokerError::Unroutable`]. Fails before the first [`Bindings::bind`].
    async fn unbind(&mut self, product: &ProductId) -> Result<(), BrokerError>;

    /// Deletes the queue with everything in it, and declares it anew. Nothing reaches it before the
    /// next [`Bindings::bind`].
    async fn replace_queue(&mut self) -> Result<(), BrokerError>;

    /// Deletes the dead-letter queue with everything in it, and declares it anew.
    async fn replace_dead_letters(&mut self) -> Result<(), BrokerError>;

    /// Returns once every message that was routed before is in the queue, where a consumer finds
    /// it. Fails if the queue does not confirm.
    async fn settle(&mut self) -> Result<(), BrokerError>;
}
