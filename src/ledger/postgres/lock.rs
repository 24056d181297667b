//! Keys of PostgreSQL's advisory locks; one database holds one system. The numbers are arbitrary.

pub(super) const MIGRATIONS: i64 = 0x666c_6173_6801;
pub(super) const LEADER: i64 = 0x666c_6173_6802;
/// Shared by every transaction that records; exclusive while a rebuild takes its snapshot.
pub(super) const WORKERS: i64 = 0x666c_6173_6803;
