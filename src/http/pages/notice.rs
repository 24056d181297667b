//! The flash message of a page.

use serde::Serialize;

use crate::observability::Severity;

/// A message about what the visitor has just done; as JSON for scripts.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Notice {
    pub(crate) severity: Severity,
    pub(crate) text: String,
    /// URL of the receipt, if the message is about a purchase.
    pub(crate) receipt: Option<String>,
}

impl Notice {
    pub(crate) fn new(severity: Severity, text: impl Into<String>) -> Self {
        Self { severity, text: text.into(), receipt: None }
    }
}
