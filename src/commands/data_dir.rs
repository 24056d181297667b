//! The embedded mode's data directory, whose database one process at a time may use.

use std::{
    fs::{File, TryLockError},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{bail, ensure};

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
                File::options().write(true).create(true).truncate(false).open(&database)
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
        // It only says who holds the lock.
        let _ = std::fs::write(Self::owner(path), format!("{}\n", std::process::id()));
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Whether a process holds the lock.
    pub(super) fn is_in_use(path: &Path) -> bool {
        let locked = |file: File| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
        File::open(Self::database(path)).is_ok_and(locked)
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
