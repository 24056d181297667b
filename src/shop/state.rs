//! What the handlers of the shop share.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use actix_web::web::Data;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::updates::Updates;
use crate::{checkout::Checkout, http::Site, stores::LedgerCatalogue};

/// One for each thread of the server.
#[derive(Clone, Debug)]
pub struct Shop {
    pub checkout: Checkout,
    pub catalogue: LedgerCatalogue,
    pub site: Data<Site>,
    pub body_timeout: Duration,
    /// Shared by all threads.
    pub updates: Updates,
    /// How many event streams this thread may have.
    pub listeners: Arc<Semaphore>,
    /// Where this process serves the operations console, if it does.
    pub console_addr: Option<SocketAddr>,
    /// Ends the event streams.
    pub stop: CancellationToken,
}
