//! The embedded mode's data directory, which one process at a time may use.

use std::{
    fs::{File, TryLockError},
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
};

use anyhow::bail;

use crate::ledger::{LedgerError, SqliteLedger};
use crate::runtime::FileError;

/// Holds the lock of the directory; the operating system releases it with the process.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Creates the directory if it is missing, and locks it. The error names the process
    /// that holds the lock.
    pub(super) fn lock(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        std::fs::create_dir_all(path).map_err(FileError::of("create the data directory", path))?;
        let file = path.join("lock");
        let lock = File::options().read(true).write(true).create(true).truncate(false).open(&file);
        let mut lock = lock.map_err(FileError::of("write to the data directory", &file))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                lock.read_to_string(&mut owner).map_err(FileError::of("read", &file))?;
                bail!(
                    "the data directory {shown} is in use by another flashsale (process {}): stop it, or \
                     choose another directory with --data-dir",
                    owner.trim()
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(FileError::new("lock the data directory", path, error).into());
            }
        }
        let noted = lock.set_len(0).and_then(|()| lock.rewind());
        let noted = noted.and_then(|()| writeln!(lock, "{}", std::process::id()));
        noted.map_err(FileError::of("write to the data directory", &file))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
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

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
