//! Who performs an operation.

/// The name of the operating-system user who runs a command, or the name that
/// the user gives instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor(String);

impl Actor {
    pub fn named(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    pub fn name(&self) -> &str {
        &self.0
    }

    /// Logs an operation that changes nothing.
    pub(super) fn reads(&self, operation: &str, object: &str) {
        tracing::debug!(actor = self.0, object, "{operation}");
    }

    /// Logs an operation that has changed something.
    pub(super) fn has_changed(&self, operation: &str, object: &str) {
        tracing::info!(actor = self.0, object, "{operation}");
    }
}
