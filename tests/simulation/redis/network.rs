//! What happens to requests and replies on their way.

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Delivery {
    #[default]
    Normal,
    /// New connections are refused, and those that exist break before the request arrives.
    Refused,
    /// Requests never arrive. The client hears nothing.
    RequestsLost,
    /// Requests are executed. The client hears nothing.
    RepliesLost,
    /// Requests are executed, and the connection breaks before the reply.
    RepliesCut,
}

#[derive(Debug, Default)]
pub(super) struct Network {
    pub(super) delivery: Delivery,
    /// Number of batches of requests that this still happens to; then delivery is normal.
    pub(super) remaining: Option<usize>,
    pub(super) request_delay: Duration,
    pub(super) reply_delay: Duration,
    pub(super) frozen: bool,
    pub(super) thawed: Arc<Notify>,
}

impl Network {
    /// What happens to the next batch of requests.
    pub(super) fn next_delivery(&mut self) -> Delivery {
        match &mut self.remaining {
            None => self.delivery,
            Some(0) => Delivery::Normal,
            Some(remaining) => {
                *remaining -= 1;
                self.delivery
            }
        }
    }

    pub(super) fn wake(&self) {
        self.thawed.notify_waiters();
    }
}
