//! Admission, broker and ledger of one system.

use std::sync::Arc;

use crate::{admission::Admission, broker::Broker, ledger::Ledger};

/// Cheap to clone; clones share the connections.
#[derive(Clone, Debug)]
pub struct Stores {
    pub admission: Arc<dyn Admission>,
    pub broker: Arc<dyn Broker>,
    pub ledger: Arc<dyn Ledger>,
}
