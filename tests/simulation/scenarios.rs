//! Situations that a random mixture seldom makes. The product violates its guarantees in some of them at present:
//! [`KNOWN_VIOLATIONS`] has a seed for each, which is expected to fail until that is mended.

use std::time::Duration;

use crate::{
    faults::{Fault, Strike},
    plan::Plan,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// No fault at all.
    Quiet,
    /// A primary lives on, with its connections, beside the promoted replica.
    SplitBrain,
    /// A primary is demoted, takes over a lagging replica's data, and is promoted again. It is not restarted.
    Failback,
    /// A purchase is in the dead-letter queue when Redis is lost.
    DeadLetterAndLoss,
    /// The same, and an operator replays dead letters while the sale is rebuilt.
    DeadLetterReplayed,
    /// The database is restored to an earlier state, and Redis was rebuilt since that.
    RestoredDatabase,
    /// The database is restored to an earlier state, and the epochs are equal.
    RestoredInPlace,
    /// Redis' clock is ahead, and then right.
    ClockAhead,
    /// An orderly failover: the former primary is a replica at once, and keeps its connections.
    OrderlyFailover,
    /// Redis loses the outbox alone.
    OutboxEvicted,
    /// The broker comes back with a queue that neither confirms nor delivers.
    QueueStalls,
}

/// A scenario, the beginning of the violation that shows it (check 4 of the audit stands for G4), and a seed.
pub(crate) const KNOWN_VIOLATIONS: &[(Scenario, &str, u64)] = &[];

/// Scenarios in which the product violated its guarantees once. They must hold from now on.
pub(crate) const MENDED: &[Scenario] = &[
    Scenario::SplitBrain,
    Scenario::Failback,
    Scenario::DeadLetterAndLoss,
    Scenario::DeadLetterReplayed,
    Scenario::RestoredDatabase,
    Scenario::RestoredInPlace,
    Scenario::ClockAhead,
    Scenario::OrderlyFailover,
    Scenario::OutboxEvicted,
    Scenario::QueueStalls,
];

impl Scenario {
    pub(crate) const ALL: [Self; 11] = [
        Self::Quiet,
        Self::SplitBrain,
        Self::Failback,
        Self::DeadLetterAndLoss,
        Self::DeadLetterReplayed,
        Self::RestoredDatabase,
        Self::RestoredInPlace,
        Self::ClockAhead,
        Self::OrderlyFailover,
        Self::OutboxEvicted,
        Self::QueueStalls,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::SplitBrain => "split-brain",
            Self::Failback => "failback",
            Self::DeadLetterAndLoss => "dead-letter-and-loss",
            Self::DeadLetterReplayed => "dead-letter-replayed",
            Self::RestoredDatabase => "restored-database",
            Self::RestoredInPlace => "restored-in-place",
            Self::ClockAhead => "clock-ahead",
            Self::OrderlyFailover => "orderly-failover",
            Self::OutboxEvicted => "outbox-evicted",
            Self::QueueStalls => "queue-stalls",
        }
    }

    /// Puts what the scenario does into a plan: a sale that is long or dense enough for it to matter.
    pub(crate) fn shape(self, plan: &mut Plan, random: &mut fastrand::Rng) {
        plan.opens_after = None;
        plan.units = random.u32(20..40);
        plan.buyers = plan.units * 2;
        plan.rush = Duration::from_secs(20);
        plan.commits_take = Duration::from_millis(20);
        let at = Duration::from_millis(random.u64(3_000..6_000));
        let lasts = Duration::from_millis(random.u64(2_000..6_000));
        let lag = random.usize(3..12);
        let fault = match self {
            Self::Quiet => return,
            Self::SplitBrain => {
                plan.serves = 1;
                Fault::SplitBrain(lag)
            }
            Self::Failback => {
                plan.rush = Duration::from_secs(7);
                Fault::Failback(lag)
            }
            Self::DeadLetterAndLoss => Fault::DeadLetterAndLoss,
            Self::DeadLetterReplayed => Fault::DeadLetterReplayed,
            Self::RestoredDatabase => Fault::RestoredDatabase,
            Self::RestoredInPlace => Fault::RestoredInPlace,
            Self::ClockAhead => Fault::ClockAhead,
            Self::OrderlyFailover => Fault::OrderlyFailover,
            Self::OutboxEvicted => Fault::OutboxEvicted,
            Self::QueueStalls => Fault::QueueStalls,
        };
        plan.strikes = vec![Strike { at, lasts, fault }];
    }
}
