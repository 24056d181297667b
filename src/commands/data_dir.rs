//! The embedded mode's data directory, which one process at a time may use.

use std::{
    fs::{File, TryLockError},
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

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
        std::fs::create_dir_all(path).with_context(|| format!("can't create the data directory {shown}"))?;
        let file = path.join("lock");
        let mut lock = File::options().read(true).write(true).create(true).truncate(false).open(&file)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                lock.read_to_string(&mut owner)?;
                bail!(
                    "the data directory {shown} is in use by another flashsale (process {}): stop it, or \
                     choose another directory with --data-dir",
                    owner.trim()
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("can't lock the data directory {shown}"));
            }
        }
        lock.set_len(0)?;
        lock.rewind()?;
        writeln!(lock, "{}", std::process::id())?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub(super) fn database(path: &Path) -> PathBuf {
        path.join("flashsale.sqlite3")
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
