//! The embedded mode's data directory, whose database one process at a time may use.

use std::{
    fs::{File, TryLockError},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{bail, ensure};
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use nix::fcntl::FcntlArg::{F_GETLK as GET_LOCK, F_SETLK as SET_LOCK};
#[cfg(any(target_os = "linux", target_os = "android"))]
use nix::fcntl::FcntlArg::{F_OFD_GETLK as GET_LOCK, F_OFD_SETLK as SET_LOCK};
use nix::{fcntl::fcntl, libc};

use crate::ledger::{LedgerError, SqliteLedger};
use crate::runtime::FileError;

/// Holds the lock of the database; the operating system releases it with the process.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    /// The database itself, so that no file that someone deletes stands between two processes.
    /// SQLite locks by byte range, which this lock (`flock`) does not affect: readers such as
    /// `flashsale audit` work beside it.
    _lock: File,
}

impl DataDir {
    /// Creates directory and database if they are missing, and locks the database. The error names
    /// the process that holds the lock.
    pub(super) fn lock(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        std::fs::create_dir_all(path).map_err(FileError::of("create the data directory", path))?;
        let database = Self::database(path);
        // Whether it can be written is SQLite's to say.
        let lock = match File::open(&database) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                File::options().read(true).write(true).create(true).truncate(false).open(&database)
            }
            opened => opened,
        };
        let lock = lock.map_err(FileError::of("use the database", &database))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let owner = std::fs::read_to_string(Self::owner(path)).unwrap_or_default();
                bail!(
                    "the data directory {shown} is in use by another flashsale (process {}): stop it, or \
                     choose another directory with --data-dir. (While it runs, `flashsale products apply FILE` changes what \
                     it sells.)",
                    owner.trim()
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(FileError::new("lock the database", &database, error).into());
            }
        }
        // Both only say who holds the lock.
        if let Err(error) = fcntl(&lock, SET_LOCK(&mark(libc::F_RDLCK))) {
            tracing::debug!(%error, "the database is not marked as in use");
        }
        let _ = std::fs::write(Self::owner(path), format!("{}\n", std::process::id()));
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Whether a process holds the lock. Takes no lock, so a process that starts
    /// meanwhile is not refused.
    ///
    /// Ask before this process opens the database: closing a file releases the locks that its
    /// process has on it by `fcntl`, which are those of SQLite.
    pub(super) fn is_in_use(path: &Path) -> bool {
        let mut marked = mark(libc::F_WRLCK);
        let asked = |file: File| fcntl(&file, GET_LOCK(&mut marked)).is_ok();
        File::open(Self::database(path)).is_ok_and(asked) && marked.l_type != to_short(libc::F_UNLCK)
    }

    pub(super) fn database(path: &Path) -> PathBuf {
        path.join("flashsale.sqlite3")
    }

    pub(super) async fn open_database(path: &Path) -> Result<SqliteLedger, FileError> {
        let file = Self::database(path);
        SqliteLedger::open(&file).await.map_err(|error| Self::unusable(path, error))
    }

    /// Why the directory's database can't be used.
    pub(super) fn unusable(path: &Path, error: LedgerError) -> FileError {
        FileError::new("use the database", Self::database(path), error)
    }

    /// For a command that makes no database.
    pub(super) fn ensure_database(path: &Path) -> anyhow::Result<()> {
        let database = Self::database(path);
        ensure!(database.exists(), "there is no {}: has `flashsale serve` run here?", database.display());
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Names the process that holds the lock, and protects nothing.
    fn owner(path: &Path) -> PathBuf {
        path.join("process")
    }
}

/// A lock of a byte beyond those that SQLite locks. It marks that the database is in use, and can
/// be asked for without being taken, which `flock` can't. On Linux it belongs to the open file, not
/// to the process (`F_OFD_…`), so it stays whatever else is closed; elsewhere it may be lost.
fn mark(kind: impl TryInto<libc::c_short>) -> libc::flock {
    let (l_type, l_whence) = (to_short(kind), to_short(libc::SEEK_SET));
    libc::flock { l_type, l_whence, l_start: libc::off_t::MAX - 1, l_len: 1, l_pid: 0 }
}

/// The constants of `fcntl` have another type than the members of its structure.
fn to_short(constant: impl TryInto<libc::c_short>) -> libc::c_short {
    constant.try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use super::*;

    #[test]
    fn who_asks_whether_it_is_in_use_never_keeps_a_process_from_starting() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!DataDir::is_in_use(dir.path()), "there is no database");
        drop(DataDir::lock(dir.path()).unwrap());
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    DataDir::is_in_use(dir.path());
                }
            });
            let refused = (0..2_000).find_map(|_| DataDir::lock(dir.path()).err());
            over.store(true, Ordering::Relaxed);
            assert!(refused.is_none(), "{refused:?}");
        });
        assert!(!DataDir::is_in_use(dir.path()));
        let lock = DataDir::lock(dir.path()).unwrap();
        // Whatever is deleted beside it.
        std::fs::remove_file(DataDir::owner(dir.path())).unwrap();
        assert!(DataDir::is_in_use(dir.path()) && DataDir::is_in_use(dir.path()));
        drop(lock);
        assert!(!DataDir::is_in_use(dir.path()));
    }
}
