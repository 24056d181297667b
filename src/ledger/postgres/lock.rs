//! Keys of PostgreSQL's advisory locks; one database holds one system. The numbers are arbitrary.

pub(super) const MIGRATIONS: i64 = 0x666c_6173_6801;
pub(super) const LEADER: i64 = 0x666c_6173_6802;
/// Shared by every transaction that records; exclusive while a rebuild takes its snapshot.
pub(super) const WORKERS: i64 = 0x666c_6173_6803;

/// Held by a transaction that writes products, so that their order is that of one catalogue.
pub(super) const PRODUCTS: i64 = 0x666c_6173_6804;

/// Held by a transaction that adds changes which admission must follow.
pub(super) const CHANGES: i64 = 0x666c_6173_6805;

/// SQL for whether any session holds a lock exclusively.
pub(super) fn is_held(key: i64) -> String {
    // PostgreSQL shows the halves of a key.
    let (high, low) = (key >> 32, key & 0xffff_ffff);
    format!(
        "SELECT EXISTS (SELECT FROM pg_locks
                        WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND granted
                          AND classid = {high} AND objid = {low} AND objsubid = 1
                          AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
    )
}

/// SQL for whether the asking session's own backend holds a lock exclusively.
pub(super) fn is_held_here(key: i64) -> String {
    is_held(key).replace("AND granted", "AND granted AND pid = pg_backend_pid()")
}
