//! What an error of a database means for an operation of the ledger.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::pooled_connection::deadpool::PoolError;

use super::LedgerError;

impl From<DieselError> for LedgerError {
    fn from(error: DieselError) -> Self {
        use DatabaseErrorKind::{CheckViolation, ForeignKeyViolation, NotNullViolation};
        match error {
            DieselError::DatabaseError(CheckViolation | ForeignKeyViolation | NotNullViolation, _) => {
                Self::Refused(error.into())
            }
            _ => Self::Unavailable(error.into()),
        }
    }
}

impl From<diesel::ConnectionError> for LedgerError {
    fn from(error: diesel::ConnectionError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<PoolError> for LedgerError {
    fn from(error: PoolError) -> Self {
        Self::Unavailable(error.into())
    }
}
