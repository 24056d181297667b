//! A file or directory that can't be used: which, for whom, and what to do.

use std::{io, path::PathBuf};

use super::Cause;

/// Why a file or directory could not be used.
#[derive(Debug, thiserror::Error)]
#[error("can't {action} {} as {} ({advice})", .path.display(), user_name())]
pub struct FileError {
    /// What was tried, such as "read the catalogue".
    action: &'static str,
    path: PathBuf,
    advice: &'static str,
    #[source]
    cause: Cause,
}

impl FileError {
    pub fn new(action: &'static str, path: impl Into<PathBuf>, cause: impl Into<Cause>) -> Self {
        let (path, cause) = (path.into(), cause.into());
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        Self { action, path, advice: advice(kind), cause }
    }

    /// For `map_err` on what the standard library returns.
    pub fn of(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::new(action, path, error)
    }
}

fn advice(kind: Option<io::ErrorKind>) -> &'static str {
    use io::ErrorKind::{
        AlreadyExists, IsADirectory, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem,
        StorageFull,
    };
    match kind {
        Some(NotFound) => "check that it exists",
        Some(PermissionDenied) => "give this user access to it, or run flashsale as another user",
        Some(ReadOnlyFilesystem) => "it is on a read-only file system: choose another place",
        Some(StorageFull) => "the disk is full: make space, or choose another place",
        Some(IsADirectory) => "it is a directory: name a file",
        Some(NotADirectory | AlreadyExists) => "it is not a directory: choose another place",
        _ => "check the path, its permissions, and the disk",
    }
}

/// The user that this process runs as, by name if it has one.
pub fn user_name() -> String {
    let uid = rustix::process::geteuid().as_raw();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid.to_string()).then_some(name)
    });
    name.map_or_else(|| format!("uid {uid}"), |name| format!("{name} (uid {uid})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::error_chain;

    #[test]
    fn the_error_says_which_file_for_whom_why_and_what_to_do() {
        let missing =
            std::fs::read("/nowhere/at-all").map_err(FileError::of("read the catalogue", "/nowhere/at-all"));
        let said = error_chain(&missing.unwrap_err());
        for part in ["read the catalogue /nowhere/at-all as ", "uid ", "check that it exists", "No such file"]
        {
            assert!(said.contains(part), "{part} is not in {said}");
        }
    }
}
