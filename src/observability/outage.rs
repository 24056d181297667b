//! Why a service can't be used, as people outside of this process are told.

use std::fmt;

/// The class of an outage. Its sentence is shown at `/readyz`, in the operations console and in
/// events; what a driver or a server says is for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// No attempt to connect has ended yet.
    NotConnectedYet,
    NotConnected,
    NoAnswer,
    /// The server wants another user, password or permission.
    AccessDenied,
    /// A replica, or a primary that was demoted.
    ReadOnly,
    Loading,
    OutOfMemory,
    DiskFull,
    /// The server can't write its own files: of Redis, its AOF or snapshot.
    CannotSave,
    /// A page, a file or an index that can't be read.
    Damaged,
    /// A lock that something else holds, a deadlock, or a statement that takes too long.
    Contended,
    TooManyConnections,
    /// A pool in between shares the database's sessions.
    SharedSessions,
    /// RabbitMQ's memory or disk alarm.
    Blocked,
    /// Messages are taken and not confirmed.
    Unconfirmed,
    /// Messages of the sale that goes on have no way to the queue.
    Unbound,
    /// Exchanges and queues are missing, and this process may not declare them.
    NotDeclared,
    /// Another flashsale system uses this server under the same prefix.
    ForeignSystem,
    /// Redis may evict winners.
    Evicts,
    /// Nobody has created the tables of the ledger, or they are older than this program.
    NotMigrated,
    /// The system's id, which the ledger has, is not known yet.
    WaitsForLedger,
    /// Anything else that the server refuses.
    Refused,
}

impl Outage {
    /// Whether waiting alone does not end it.
    pub fn needs_operator(self) -> bool {
        matches!(self, Self::AccessDenied | Self::NotDeclared | Self::ForeignSystem)
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NotConnectedYet => "not connected yet",
            Self::NotConnected => "not connected",
            Self::NoAnswer => "no answer in time",
            Self::AccessDenied => {
                "it refuses the user, the password, or what this user may do; the log has its words"
            }
            Self::ReadOnly => "read-only, as a replica or a demoted primary is",
            Self::Loading => "it is still loading its data",
            Self::OutOfMemory => "out of memory",
            Self::DiskFull => "its disk is full",
            Self::CannotSave => "it can't save to its disk",
            Self::Damaged => "its data is damaged",
            Self::Contended => "statements take too long, or wait for a lock",
            Self::TooManyConnections => "it has too many connections",
            Self::SharedSessions => "its sessions are shared by a pool; use session pooling",
            Self::Blocked => "it has blocked publishers, by its memory or disk alarm",
            Self::Unconfirmed => "it does not confirm messages",
            Self::Unbound => {
                "its queue takes no purchases of this sale, because no `flashsale work` has bound it"
            }
            Self::NotDeclared => {
                "its queues are not declared yet; start `flashsale work` or run `flashsale topology`"
            }
            Self::ForeignSystem => "another flashsale system uses it under the same prefix",
            Self::Evicts => "it may evict winners; set maxmemory-policy to noeviction",
            Self::NotMigrated => {
                "its tables are missing, or older than this program: start `flashsale migrate`, `serve` or `work`"
            }
            Self::WaitsForLedger => "waiting for the ledger",
            Self::Refused => "it refuses what is asked of it; the log has its words",
        })
    }
}
