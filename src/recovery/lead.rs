//! The loop of the leader: election, a round twice a second, and beside the rounds the scheduled
//! comparison.

use std::{future::pending, panic::AssertUnwindSafe, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use tokio_util::sync::CancellationToken;

use super::Recovery;
use crate::ledger::Leadership;
use crate::runtime::error_chain;

/// How often the leader compares the sales of admission with those of the ledger.
const ROUND_INTERVAL: Duration = Duration::from_millis(500);
/// When to compare again after a store could not be read.
const COMPARE_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Returns whether every product was compared.
type Comparing = BoxFuture<'static, bool>;

impl Recovery {
    /// Leads whenever no other process does, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let (mut leader, mut comparison) = (None, None);
        loop {
            let (runtime, mut is_complete, mut was_compared) = (self.runtime.clone(), false, true);
            {
                let round = async {
                    (leader, is_complete) = self.round_as(leader.take()).await;
                    runtime.sleep(ROUND_INTERVAL).await;
                };
                tokio::pin!(round);
                // The comparison goes on beside the rounds.
                loop {
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => return,
                        () = &mut round => break,
                        ended = poll(&mut comparison) => (comparison, was_compared) = (None, ended),
                    }
                }
            }
            if !was_compared {
                self.compare_at = self.runtime.instant() + COMPARE_AGAIN_AFTER;
            }
            comparison = self.compare_when_due(comparison, leader.is_some(), is_complete);
        }
    }

    /// One round, if this process leads or can take the lead. Returns the lead, unless it is lost,
    /// and whether the round was complete.
    async fn round_as(&mut self, leader: Option<Box<dyn Leadership>>) -> (Option<Box<dyn Leadership>>, bool) {
        let mut leader = match leader {
            Some(leader) => leader,
            None => match self.stores.ledger.lead().await {
                Ok(elected) => {
                    self.no_election.ended(self.runtime.instant());
                    match elected {
                        Some(elected) => elected,
                        None => return (None, false),
                    }
                }
                Err(error) => {
                    self.no_election.goes_on(self.runtime.instant(), &error_chain(&error));
                    return (None, false);
                }
            },
        };
        let round = self.round(&mut *leader).await;
        if let Err(error) = &round {
            tracing::debug!(error = error_chain(error), "the round ended early");
        }
        // Where the workers could not be told to go on, the end of the session tells them.
        let leads = !std::mem::take(&mut self.holds_workers) && leader.check().await.is_ok();
        let leader = leads.then_some(leader);
        if leader.is_none() {
            // For the next leader.
            self.bindings = None;
            self.not_bound.ended(self.runtime.instant());
        }
        (leader, round.is_ok())
    }

    /// The comparison that is under way, or a new one if that is due. Only the leader compares,
    /// after a complete round: at first at once, because a database that was restored to an earlier
    /// state has ended the sessions of the former leader.
    fn compare_when_due(
        &mut self,
        under_way: Option<Comparing>,
        leads: bool,
        is_complete: bool,
    ) -> Option<Comparing> {
        if !leads {
            self.compare_at = self.runtime.instant();
            self.drift.clear();
            self.requests.clear();
            return None;
        }
        let is_due = is_complete
            && self.runtime.instant() >= self.compare_at
            && self.stores.admission.outlives_process();
        if !is_due || under_way.is_some() {
            return under_way;
        }
        self.compare_at = self.runtime.instant() + self.options.reconcile_interval;
        let comparison = self.drift.clone().compare(self.stores.clone(), self.runtime.clone());
        // A comparison that panics must not end the recovery.
        let contained = AssertUnwindSafe(comparison).catch_unwind().map(|ended| {
            ended.unwrap_or_else(|_panic| {
                tracing::error!("the comparison of admission and ledger panicked");
                true
            })
        });
        Some(contained.boxed())
    }
}

async fn poll(future: &mut Option<Comparing>) -> bool {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}
