//! What an error of a database means for an operation of the ledger, and for people outside.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::pooled_connection::deadpool::PoolError;

use super::LedgerError;
use crate::observability::Outage;
use crate::runtime::{Cause, error_chain};

impl From<DieselError> for LedgerError {
    fn from(error: DieselError) -> Self {
        use DatabaseErrorKind::{CheckViolation, ForeignKeyViolation, NotNullViolation};
        match error {
            DieselError::DatabaseError(CheckViolation | ForeignKeyViolation | NotNullViolation, _) => {
                Self::Refused(error.into())
            }
            DieselError::DeserializationError(cause) => Self::Corrupt(cause),
            _ => unavailable(error.into()),
        }
    }
}

impl From<diesel::ConnectionError> for LedgerError {
    fn from(error: diesel::ConnectionError) -> Self {
        unavailable(error.into())
    }
}

/// What SQLite says of a file that it will never be able to use.
const UNUSABLE_FILE: &[&str] = &[
    "unable to open database file",
    "attempt to write a readonly database",
    "file is not a database",
    "disk image is malformed",
];

fn unavailable(cause: Cause) -> LedgerError {
    let text = cause.to_string();
    if UNUSABLE_FILE.iter().any(|part| text.contains(part)) {
        LedgerError::UnusableFile(cause)
    } else {
        LedgerError::Unavailable(cause)
    }
}

impl From<PoolError> for LedgerError {
    fn from(error: PoolError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl LedgerError {
    /// What people outside are told.
    pub fn outage(&self) -> Outage {
        match self {
            Self::Unavailable(cause) | Self::UnusableFile(cause) | Self::Refused(cause) => outage_of(cause),
            Self::Corrupt(_) => Outage::Damaged,
            Self::SharedSessions => Outage::SharedSessions,
            Self::RebuildUnderWay
            | Self::ProductsChanged
            | Self::StockBelowSold { .. }
            | Self::InUse(_)
            | Self::UnknownProduct(_)
            | Self::Migration(_) => Outage::Refused,
            Self::MigrationDenied { .. } => Outage::AccessDenied,
        }
    }
}

/// Parts of what PostgreSQL and SQLite say where the driver has no kind for it: it hides
/// PostgreSQL's SQLSTATE. A server with messages in another language has [`Outage::Refused`].
const MESSAGES: &[(&str, Outage)] = &[
    ("No space left on device", Outage::DiskFull),
    ("database or disk is full", Outage::DiskFull),
    ("Disk quota exceeded", Outage::DiskFull),
    ("invalid page", Outage::Damaged),
    ("could not read block", Outage::Damaged),
    ("disk image is malformed", Outage::Damaged),
    ("file is not a database", Outage::Damaged),
    ("unable to open database file", Outage::AccessDenied),
    ("disk I/O error", Outage::Damaged),
    ("readonly database", Outage::ReadOnly),
    ("read-only", Outage::ReadOnly),
    ("out of memory", Outage::OutOfMemory),
    ("too many clients", Outage::TooManyConnections),
    ("too many connections", Outage::TooManyConnections),
    ("remaining connection slots", Outage::TooManyConnections),
    ("authentication failed", Outage::AccessDenied),
    ("permission denied", Outage::AccessDenied),
    ("must be owner", Outage::AccessDenied),
    ("starting up", Outage::Loading),
    ("in recovery", Outage::Loading),
    ("timeout", Outage::Contended),
    ("deadlock", Outage::Contended),
    ("database is locked", Outage::Contended),
    ("took too long", Outage::NoAnswer),
    ("role \"", Outage::AccessDenied),
    ("database \"", Outage::Refused),
    ("does not exist", Outage::NotMigrated),
    ("no such table", Outage::NotMigrated),
    ("no such column", Outage::NotMigrated),
];

/// The class of an outage, by the error that a driver gave.
pub(super) fn outage_of(cause: &Cause) -> Outage {
    use DatabaseErrorKind::{
        ClosedConnection, ReadOnlyTransaction, SerializationFailure, UnableToSendCommand,
    };
    if let Some(PoolError::Timeout(_)) = cause.downcast_ref() {
        return Outage::NoAnswer;
    }
    match cause.downcast_ref() {
        Some(DieselError::DatabaseError(ReadOnlyTransaction, _)) => return Outage::ReadOnly,
        Some(DieselError::DatabaseError(SerializationFailure, _)) => return Outage::Contended,
        Some(DieselError::DatabaseError(ClosedConnection | UnableToSendCommand, _)) => {
            return Outage::NotConnected;
        }
        _ => {}
    }
    let text = error_chain(&**cause);
    let known = MESSAGES.iter().find(|(part, _)| text.contains(part));
    let is_answer = cause.is::<DieselError>();
    known.map_or(if is_answer { Outage::Refused } else { Outage::NotConnected }, |(_, outage)| *outage)
}
