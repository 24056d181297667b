//! What an error of Redis or of its driver means for an operation of admission, and for people
//! outside.

use redis::RedisError;

use crate::admission::AdmissionError;
use crate::observability::Outage;

/// The class of an outage of Redis, by the error that it answered or that its driver gave.
pub(super) fn outage(error: &RedisError) -> Outage {
    match error.code() {
        Some("READONLY" | "MASTERDOWN") => Outage::ReadOnly,
        Some("LOADING") => Outage::Loading,
        Some("OOM") => Outage::OutOfMemory,
        Some("MISCONF") => Outage::CannotSave,
        Some("NOAUTH" | "WRONGPASS" | "NOPERM") => Outage::AccessDenied,
        Some("BUSY") => Outage::NoAnswer,
        Some("OTHER_SYSTEM") => Outage::ForeignSystem,
        _ if error.kind() == redis::ErrorKind::AuthenticationFailed => Outage::AccessDenied,
        _ if error.is_timeout() => Outage::NoAnswer,
        Some(_) => Outage::Refused,
        None => Outage::NotConnected,
    }
}

impl From<RedisError> for AdmissionError {
    fn from(error: RedisError) -> Self {
        let server_refused =
            matches!(error.kind(), redis::ErrorKind::Server(_) | redis::ErrorKind::Extension);
        if is_of_another_system(&error) {
            Self::OtherSystem
        } else if matches!(error.code(), Some("WRONGTYPE" | "FOREIGN")) {
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

/// Whether a script refused the state of another system.
pub(super) fn is_of_another_system(error: &RedisError) -> bool {
    error.code() == Some("OTHER_SYSTEM")
}

/// Whether the server takes no writes at present: a replica, loading, full, or unable to save.
pub(super) fn refuses_writes(error: &redis::RedisError) -> bool {
    const CODES: [&str; 6] = ["READONLY", "MASTERDOWN", "LOADING", "OOM", "MISCONF", "NOREPLICAS"];
    error.code().is_some_and(|code| CODES.contains(&code))
}
