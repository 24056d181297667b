//! What an error of Redis or of its driver means for an operation of admission.

use crate::admission::AdmissionError;

impl From<redis::RedisError> for AdmissionError {
    fn from(error: redis::RedisError) -> Self {
        let server_refused =
            matches!(error.kind(), redis::ErrorKind::Server(_) | redis::ErrorKind::Extension);
        if matches!(error.code(), Some("WRONGTYPE" | "FOREIGN")) {
            Self::Damaged(error.into())
        } else if server_refused || error.is_connection_refusal() {
            Self::Unavailable(error.into())
        } else if matches!(error.kind(), redis::ErrorKind::UnexpectedReturnType | redis::ErrorKind::Parse) {
            Self::Malformed(error.into())
        } else {
            Self::Unknown(error.into())
        }
    }
}

impl From<deadpool_redis::PoolError> for AdmissionError {
    fn from(error: deadpool_redis::PoolError) -> Self {
        Self::Unavailable(error.into())
    }
}
