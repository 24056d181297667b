//! Why the ledger did not do what was asked.

use crate::domain::ProductId;
use crate::runtime::Cause;

/// What went wrong, by what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database can't be reached, is slow, read-only, or had a conflict that a repetition
    /// resolves. Try again.
    #[error("the database can't be used")]
    Unavailable(#[source] Cause),
    /// Of SQLite: the file is missing, damaged, no database, or this user may not write it. A
    /// running process tries again; a start fails.
    #[error("the database file can't be used")]
    UnusableFile(#[source] Cause),
    /// A rebuild has made the workers stand aside. Give the messages back and wait.
    #[error("a rebuild is under way")]
    RebuildUnderWay,
    /// The database refuses the values themselves; repeating is useless.
    #[error("the database refuses the values")]
    Refused(#[source] Cause),
    #[error("the products were changed meanwhile: read them again")]
    ProductsChanged,
    /// A catalogue asks for less stock than is sold.
    #[error("total_stock = {total_stock} of product {product} is below unit {highest_unit}, which is sold")]
    StockBelowSold { product: ProductId, total_stock: u32, highest_unit: u32 },
    /// A pool in between assigns a session of the database for one transaction or statement only.
    #[error(
        "the database is reached through a pool that shares sessions between clients (transaction pooling, such as \
         PgBouncer's pool_mode = transaction), where locks and settings of a session do not hold: connect to \
         PostgreSQL itself, or set pool_mode = session"
    )]
    SharedSessions,
    /// The prefix can't be changed now.
    #[error("{0} process(es) of this system are connected to the database: end them first")]
    InUse(i64),
    #[error("there is no product {0}")]
    UnknownProduct(ProductId),
    /// Something in the tables is not what this program writes.
    #[error("the ledger holds something unexpected")]
    Corrupt(#[source] Cause),
    #[error("migration failed")]
    Migration(#[source] Cause),
    /// This user may not change the schema.
    #[error(
        "the database lacks {pending} migration(s), and this user may not apply them: run `flashsale migrate` as the \
         user that owns the tables"
    )]
    MigrationDenied {
        pending: usize,
        #[source]
        cause: Cause,
    },
}

impl LedgerError {
    /// Whether repeating can help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::RebuildUnderWay)
    }
}
