//! Why admission gave no decision.

use super::RebuildStep;

/// No decision. Only [`GateError::Unknown`] may have taken effect.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// There is no state to admit from: never prepared, lost, or a rebuild is under way. Nothing happened.
    #[error("the sale is not ready: its admission state is being rebuilt")]
    NotReady,
    /// A rebuild has stopped admission. Nothing happened.
    #[error("the sale is not ready: rebuilding, {step} of {steps}: {0}", step = .0.number(), steps = RebuildStep::ALL.len())]
    Rebuilding(RebuildStep),
    /// A key is not what this program writes. Nothing happened; a rebuild mends it.
    #[error("a key holds something foreign: {0}")]
    Foreign(String),
    /// Redis is not connected or refused the operation as a whole (loading, out of memory, read-only). Nothing
    /// happened.
    #[error("Redis can't be used: {0}")]
    Unavailable(String),
    /// The answer did not arrive; the operation may have taken effect. Repeating it is safe.
    #[error("no answer from Redis, the outcome is unknown")]
    Unknown(#[source] redis::RedisError),
    /// Redis answered something this version does not understand. The operation may have taken effect.
    #[error("Redis answered something unexpected: {0}")]
    Malformed(String),
}

impl GateError {
    /// For somebody else who wanted to look at the same moment. A look has no effect.
    pub(super) fn of_the_same_moment(&self) -> Self {
        match self {
            Self::NotReady => Self::NotReady,
            Self::Rebuilding(step) => Self::Rebuilding(*step),
            other => Self::Unavailable(other.to_string()),
        }
    }

    /// Whether the operation may have taken effect.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_) | Self::Malformed(_))
    }
}

impl From<redis::RedisError> for GateError {
    fn from(error: redis::RedisError) -> Self {
        let server_refused =
            matches!(error.kind(), redis::ErrorKind::Server(_) | redis::ErrorKind::Extension);
        if matches!(error.code(), Some("WRONGTYPE" | "FOREIGN")) {
            Self::Foreign(error.to_string())
        } else if server_refused || error.is_connection_refusal() {
            Self::Unavailable(error.to_string())
        } else if matches!(error.kind(), redis::ErrorKind::UnexpectedReturnType | redis::ErrorKind::Parse) {
            Self::Malformed(error.to_string())
        } else {
            Self::Unknown(error)
        }
    }
}

impl From<deadpool_redis::PoolError> for GateError {
    fn from(error: deadpool_redis::PoolError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
