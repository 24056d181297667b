//! One budget of descriptors for a process, divided over its servers.

use super::server::threads;
use crate::runtime::open_files::allow_open_files;

/// Connections of a server that few clients read: health, or the operations console.
const OPERATORS_MAX: usize = 256;
/// Descriptors that no client gets: files, listening sockets, and the connections to the stores,
/// without which nobody could buy.
const RESERVE: usize = 256;
/// A server thread has a connection to admission, and descriptors of its own event loop.
const RESERVE_OF_A_THREAD: usize = 16;

/// Most connections of each server of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionBudget {
    /// Of each server for buyers.
    pub buyers: usize,
    /// Of each server for operators.
    pub operators: usize,
}

impl ConnectionBudget {
    /// Raises this process's limit of open files as far as the system allows, and divides it over
    /// so many servers; `buyers_max`: what each server for buyers should have.
    pub fn new(buyers_servers: usize, operators_servers: usize, buyers_max: usize) -> Self {
        let reserve = RESERVE + RESERVE_OF_A_THREAD * threads() * (buyers_servers + operators_servers);
        let wanted = buyers_servers * buyers_max + operators_servers * OPERATORS_MAX + reserve;
        let allowed = allow_open_files(wanted as u64);
        let allowed = usize::try_from(allowed).unwrap_or(usize::MAX);
        let budget =
            Self::divide(allowed.saturating_sub(reserve), buyers_servers, operators_servers, buyers_max);
        if allowed < wanted {
            tracing::info!(
                "at most {} connections at a time for each server, by the system's limit of open files (ulimit -Hn)",
                budget.buyers.max(budget.operators)
            );
        }
        budget
    }

    /// Operators get at most a quarter, so that they see a process that is busy with buyers, and
    /// buyers the rest.
    fn divide(free: usize, buyers_servers: usize, operators_servers: usize, buyers_max: usize) -> Self {
        let operators = (free / 4 / operators_servers.max(1)).min(OPERATORS_MAX);
        let rest = free.saturating_sub(operators * operators_servers);
        let buyers = (rest / buyers_servers.max(1)).min(buyers_max);
        Self { buyers: buyers.max(1), operators: operators.max(1) }
    }

    /// How many of a server's connections on each of its threads may be streams, which last for
    /// as long as their client wants: the others are left for buyers.
    pub fn streams_of_a_thread(self) -> usize {
        (self.buyers / threads() / 2).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_never_have_more_than_is_free() {
        for free in [0, 1, 100, 1_000, 20_000, 1_000_000] {
            for (buyers_servers, operators_servers) in [(2, 1), (1, 1), (1, 0), (0, 1)] {
                let budget = ConnectionBudget::divide(free, buyers_servers, operators_servers, 25_000);
                let total = budget.buyers * buyers_servers + budget.operators * operators_servers;
                assert!(total <= free.max(3), "{total} of {free}");
                assert!(budget.buyers <= 25_000 && budget.operators <= OPERATORS_MAX);
            }
        }
        let budget = ConnectionBudget::divide(19_700, 2, 1, 25_000);
        assert_eq!(budget, ConnectionBudget { buyers: 9_722, operators: 256 });
    }
}
