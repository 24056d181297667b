//! How far a rebuild is, for people who wait for it.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebuildStep {
    /// Admission is stopped; the workers are asked to pause.
    PausingWorkers,
    /// Purchases that the broker confirmed before the stop are being answered.
    WaitingForAnswers,
    /// Purchases in the queue and in the outbox are being recorded.
    Draining,
    /// Winners and free units are being staged from the ledger.
    Loading,
    /// The new state is being put in place.
    Opening,
}

impl RebuildStep {
    /// All steps, in order.
    pub const ALL: [Self; 5] =
        [Self::PausingWorkers, Self::WaitingForAnswers, Self::Draining, Self::Loading, Self::Opening];

    /// From 1.
    pub fn number(self) -> u8 {
        self as u8 + 1
    }

    /// The step of a number. An unknown number counts as the last step.
    pub fn of_number(number: u8) -> Self {
        let position = usize::from(number.saturating_sub(1));
        Self::ALL.get(position).copied().unwrap_or(Self::Opening)
    }
}

impl fmt::Display for RebuildStep {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::PausingWorkers => "the workers pause",
            Self::WaitingForAnswers => "attempts under way are answered",
            Self::Draining => "purchases in queue and outbox are recorded",
            Self::Loading => "buyers and units are read from the ledger",
            Self::Opening => "the sale is opened",
        })
    }
}
