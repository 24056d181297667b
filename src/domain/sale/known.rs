//! What a caller knows before it asks: a state that contradicts it must not be used.

use super::SaleState;

/// The furthest state of a sale that a process has seen. Epochs only rise, and so does the
/// highest unit within an epoch: a state that is behind was rolled back, or is on a server that
/// the sale has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watermark {
    pub epoch: u64,
    /// The highest unit that was handed out in this epoch.
    pub unit: u32,
}

/// What a process knows of how far a sale is: it has seen a state, or was told of a later epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Horizon {
    /// Of states that sell, or have sold.
    pub seen: Watermark,
    /// The latest epoch that the ledger has raised, opened or not.
    pub raised: u64,
}

impl Horizon {
    /// No state that is behind this may be used.
    pub fn watermark(self) -> Watermark {
        self.seen.max(Watermark { epoch: self.raised, unit: 0 })
    }

    /// Whether a state was rolled back, or is on a server that the sale has left. One that is
    /// behind an epoch which was only raised is about to be rebuilt where it is.
    pub fn has_left(self, state: Watermark) -> bool {
        state < self.seen
    }

    /// As [`Watermark::surpassed_epoch`], of all that is known.
    pub fn surpassed_epoch(self) -> u64 {
        self.watermark().surpassed_epoch()
    }
}

impl Watermark {
    pub fn of(sale: &SaleState) -> Self {
        Self { epoch: sale.epoch, unit: sale.next }
    }

    /// The epoch that a new state must be above, to lack nothing of what was seen.
    pub fn surpassed_epoch(self) -> u64 {
        self.epoch.saturating_sub(u64::from(self.unit == 0))
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Known<'known> {
    /// The identity of the server that answers.
    pub server: &'known str,
    pub watermark: Watermark,
}
