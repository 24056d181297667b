//! How far a rebuild is, for people who wait for it.

use std::fmt;

/// What a rebuild is doing at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebuildStep {
    /// Admission is stopped; the workers are asked to stand aside.
    PausingWorkers,
    /// Answers that may still be told of a confirm are waited out.
    WaitingForAnswers,
    /// What is on its way, in the queue and in the outbox, is recorded.
    Draining,
    /// Winners and free units are made from the ledger.
    Loading,
    /// The new state is put in place.
    Opening,
}

impl RebuildStep {
    /// All of them, in order.
    pub const ALL: [Self; 5] =
        [Self::PausingWorkers, Self::WaitingForAnswers, Self::Draining, Self::Loading, Self::Opening];

    /// Its number, from 1.
    pub fn number(self) -> u8 {
        self as u8 + 1
    }

    /// The step of a number. One that is not known, of a later version, counts as the last.
    pub(super) fn of_number(number: u8) -> Self {
        let position = usize::from(number.saturating_sub(1));
        Self::ALL.get(position).copied().unwrap_or(Self::Opening)
    }
}

impl fmt::Display for RebuildStep {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::PausingWorkers => "the workers stand aside",
            Self::WaitingForAnswers => "answers under way are waited out",
            Self::Draining => "what is on its way is recorded",
            Self::Loading => "buyers and units are read from the ledger",
            Self::Opening => "the sale is opened",
        })
    }
}
