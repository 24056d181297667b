//! One budget of descriptors for a process, divided over its servers.

use super::server::threads;
use crate::runtime::open_files::allow_open_files;

/// Connections of a server that few clients read: health, or the operations console.
const OPERATORS_MAX: usize = 256;
/// Fewer connections would not be a service.
const BUYERS_MIN: usize = 64;
const OPERATORS_MIN: usize = 16;
/// Descriptors of a process that neither clients nor stores get: files, listening sockets, event
/// loops, and what is open for a moment, such as a look-up of a host name.
const RESERVE: usize = 64;
/// A server thread has a connection to admission, which may be replaced, and descriptors of
/// its own event loop.
const RESERVE_OF_A_THREAD: usize = 16;

/// What shares the descriptors of a process.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// Number of servers for buyers.
    pub buyers_servers: usize,
    /// Number of servers for operators.
    pub operators_servers: usize,
    /// Connections that each server for buyers should have.
    pub buyers_max: usize,
    /// Connections and files of the stores, without which nobody could buy.
    pub stores: usize,
}

/// The system allows fewer descriptors than the configuration needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this process may have {allowed} open files and connections, and its configuration needs at least \
     {needed} of them: raise the hard limit (ulimit -n {needed}, LimitNOFILE= of systemd, --ulimit of Docker)"
)]
pub struct TooFewDescriptors {
    allowed: u64,
    needed: usize,
}

/// Most connections of each server of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionBudget {
    /// Of each server for buyers.
    pub buyers: usize,
    /// Of each server for operators.
    pub operators: usize,
}

impl ConnectionBudget {
    /// Raises this process's limit of open files as far as the system allows, and divides it.
    pub fn new(demand: Demand) -> Result<Self, TooFewDescriptors> {
        let reserve = demand.reserve(threads());
        let allowed = allow_open_files(demand.wanted(reserve) as u64);
        let budget = Self::divide(allowed, reserve, demand)?;
        if allowed < demand.wanted(reserve) as u64 {
            tracing::info!(
                "at most {} connections at a time for each server, by the system's limit of open files (ulimit -Hn)",
                budget.buyers.max(budget.operators)
            );
        }
        Ok(budget)
    }

    /// Operators get at most a quarter, so that they see a process that is busy with buyers,
    /// and buyers the rest.
    fn divide(allowed: u64, reserve: usize, demand: Demand) -> Result<Self, TooFewDescriptors> {
        let Demand { buyers_servers, operators_servers, buyers_max, .. } = demand;
        let needed =
            reserve + buyers_servers * BUYERS_MIN.min(buyers_max) + operators_servers * OPERATORS_MIN;
        let free = usize::try_from(allowed).unwrap_or(usize::MAX).saturating_sub(reserve);
        if allowed < needed as u64 {
            return Err(TooFewDescriptors { allowed, needed });
        }
        let operators = (free / 4 / operators_servers.max(1)).min(OPERATORS_MAX);
        let rest = free.saturating_sub(operators * operators_servers);
        let buyers = (rest / buyers_servers.max(1)).min(buyers_max);
        Ok(Self { buyers: buyers.max(1), operators: operators.max(1) })
    }

    /// How many of a server's connections on each of its threads may be streams, which last for
    /// as long as their client wants: the others are left for buyers.
    pub fn streams_of_a_thread(self) -> usize {
        (self.buyers / threads() / 2).max(1)
    }
}

impl Demand {
    /// Descriptors that no client gets.
    fn reserve(self, threads: usize) -> usize {
        RESERVE + RESERVE_OF_A_THREAD * threads * (self.buyers_servers + self.operators_servers) + self.stores
    }

    fn wanted(self, reserve: usize) -> usize {
        reserve + self.buyers_servers * self.buyers_max + self.operators_servers * OPERATORS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(buyers_servers: usize, operators_servers: usize, stores: usize) -> Demand {
        Demand { buyers_servers, operators_servers, buyers_max: 25_000, stores }
    }

    #[test]
    fn servers_and_stores_never_have_more_than_is_allowed() {
        for (buyers_servers, operators_servers) in [(2, 1), (1, 1), (1, 0), (0, 1), (0, 0)] {
            for stores in [10, 300, 2_000] {
                let demand = demand(buyers_servers, operators_servers, stores);
                let reserve = demand.reserve(4);
                for allowed in [0, 100, 1_000, 3_000, 20_000, 1_000_000, u64::MAX] {
                    match ConnectionBudget::divide(allowed, reserve, demand) {
                        Ok(budget) => {
                            let clients =
                                budget.buyers * buyers_servers + budget.operators * operators_servers;
                            assert!((clients + stores) as u64 <= allowed, "{budget:?} of {allowed}");
                            assert!(budget.buyers <= 25_000 && budget.operators <= OPERATORS_MAX);
                        }
                        Err(error) => {
                            assert!(error.needed as u64 > allowed, "{error}");
                            let enough = ConnectionBudget::divide(error.needed as u64, reserve, demand);
                            assert!(enough.is_ok(), "{enough:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn buyers_get_what_others_do_not_need() {
        let demand = demand(2, 1, 300);
        let budget = ConnectionBudget::divide(20_000, 300, demand).unwrap();
        assert_eq!(budget, ConnectionBudget { buyers: 9_722, operators: 256 });
    }
}
