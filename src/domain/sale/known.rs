//! What a caller knows before it asks: a state that contradicts it must not be used.

use super::SaleState;

/// The furthest state of a sale that a process has seen. Epochs only rise, and so does the highest
/// unit within an epoch: a state that is behind was rolled back, or is on a server that the sale
/// has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watermark {
    pub epoch: u64,
    /// The highest unit that was handed out in this epoch.
    pub unit: u32,
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
