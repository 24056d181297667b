//! Why the ledger did not do what was asked.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// What went wrong, by what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database is away, slow, read-only, or had a conflict that a repetition resolves. Try again.
    #[error("the database can't be used: {0}")]
    Unavailable(String),
    /// A rebuild has made the workers stand aside. Give the messages back and wait.
    #[error("a rebuild is under way")]
    RebuildUnderWay,
    /// The database refuses the values themselves; repeating is useless.
    #[error("the database refuses the values: {0}")]
    Refused(String),
    /// The catalogue asks for less stock than is sold.
    #[error("total_stock = {total_stock} of product {product} is below unit {highest_unit}, which is sold")]
    StockBelowSold {
        /// The product.
        product: crate::domain::ProductId,
        /// What the catalogue asks for.
        total_stock: u32,
        /// The highest unit that is sold.
        highest_unit: u32,
    },
    /// There is no such product.
    #[error("there is no product {0}")]
    UnknownProduct(crate::domain::ProductId),
    /// Something in the tables is not what this program writes.
    #[error("the ledger holds something unexpected: {0}")]
    Corrupt(&'static str),
    /// A migration failed.
    #[error("migration failed: {0}")]
    Migration(String),
}

impl LedgerError {
    /// Whether repeating can help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::RebuildUnderWay)
    }
}

impl From<DieselError> for LedgerError {
    fn from(error: DieselError) -> Self {
        use DatabaseErrorKind::{CheckViolation, ForeignKeyViolation, NotNullViolation};
        match &error {
            DieselError::DatabaseError(CheckViolation | ForeignKeyViolation | NotNullViolation, what) => {
                Self::Refused(what.message().to_owned())
            }
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<diesel::ConnectionError> for LedgerError {
    fn from(error: diesel::ConnectionError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<diesel_async::pooled_connection::deadpool::PoolError> for LedgerError {
    fn from(error: diesel_async::pooled_connection::deadpool::PoolError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
