//! What the ledger counts of one sale.

/// The units that the ledger has of one sale, counted at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerCounts {
    pub recorded: u64,
    /// Units of cancelled purchases that are not sold again.
    pub withheld: u64,
    /// Units of cancelled purchases that return to stock, and that admission may not have yet.
    pub returning: u64,
}
