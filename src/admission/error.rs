//! Why admission gave no decision.

use crate::domain::sale::{NotAdmitting, RebuildStep};
use crate::runtime::{Cause, error_chain};

/// No decision. Only [`AdmissionError::Unknown`] may have taken effect.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// There is no state to admit from: never prepared, lost, or a rebuild is under
    /// way. Nothing happened.
    #[error("the sale is not ready: its admission state is being rebuilt")]
    NotReady,
    /// A rebuild has stopped admission. Nothing happened.
    #[error("the sale is not ready: rebuilding, {step} of {steps}: {0}", step = .0.number(), steps = RebuildStep::ALL.len())]
    Rebuilding(RebuildStep),
    /// Two systems share a Redis and a prefix. Nothing happened.
    #[error(
        "another flashsale system uses this Redis under the same prefix: choose another `prefix`, or, if that \
         system is gone for good, delete its keys, which begin with the prefix"
    )]
    OtherSystem,
    /// The state has a key of another type, or a part of it is gone. Nothing happened; a
    /// rebuild makes it anew.
    #[error("the admission state is damaged")]
    Damaged(#[source] Cause),
    /// Redis is not connected or refused the operation as a whole (loading, out of memory,
    /// read-only). Nothing happened.
    #[error("Redis can't be used")]
    Unavailable(#[source] Cause),
    /// The answer did not arrive; the operation may have taken effect.
    #[error("no answer from Redis, the outcome is unknown")]
    Unknown(#[source] Cause),
    /// The answer can't be read. The operation may have taken effect.
    #[error("Redis answered something unexpected")]
    Malformed(#[source] Cause),
}

impl AdmissionError {
    /// The same failure for another reader of the same answer. Only for reads,
    /// which have no effect.
    #[must_use]
    pub fn shared(&self) -> Self {
        match self {
            Self::NotReady => Self::NotReady,
            Self::Rebuilding(step) => Self::Rebuilding(*step),
            Self::OtherSystem => Self::OtherSystem,
            other => Self::Unavailable(error_chain(other).into()),
        }
    }

    /// Whether the operation may have taken effect.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_) | Self::Malformed(_))
    }
}

impl From<NotAdmitting> for AdmissionError {
    fn from(error: NotAdmitting) -> Self {
        match error {
            NotAdmitting::NotReady | NotAdmitting::RolledBack => Self::NotReady,
            NotAdmitting::Rebuilding(step) => Self::Rebuilding(step),
            NotAdmitting::OtherSystem => Self::OtherSystem,
            NotAdmitting::Damaged { .. } | NotAdmitting::Miscounted { .. } => Self::Damaged(error.into()),
        }
    }
}
