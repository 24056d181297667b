//! What names a system: one ledger, and everything that belongs to it.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Tells a system from every other one, also where they share servers and prefix. A ledger gets its
/// id when it is created; messages carry it, so that a foreign message is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SystemId(pub Uuid);

impl fmt::Display for SystemId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}
