//! What the handlers of the shop share.

use std::{net::SocketAddr, time::Duration};

use tokio_util::sync::CancellationToken;

use super::updates::Updates;
use crate::{checkout::Checkout, stores::LedgerCatalogue};

/// One for each thread of the server.
#[derive(Clone, Debug)]
pub struct Shop {
    pub checkout: Checkout,
    pub catalogue: LedgerCatalogue,
    pub body_timeout: Duration,
    /// Shared by all threads.
    pub updates: Updates,
    /// Where this process serves the operations console, if it does.
    pub console_addr: Option<SocketAddr>,
    /// Ends the event streams.
    pub stop: CancellationToken,
}
