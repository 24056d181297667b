//! What an operator does with a server, and what a power failure and a backup do.

use std::path::Path;

use rustix::process::{Pid, Signal};

use super::server::Server;

impl Server {
    pub(crate) fn start(&mut self) {
        self.start_with(&[]);
    }

    /// Ends it like a power failure.
    pub(crate) fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    /// Ends it as an operator does.
    pub(crate) fn stop(&mut self) {
        self.end(Signal::TERM);
    }

    /// Sends a signal to the server itself.
    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("a running server");
        rustix::process::kill_process(Pid::from_child(child), signal).expect("signal");
    }

    /// Deletes everything that it has stored (which all of them keep in folders). It must not be running.
    pub(crate) fn wipe(&self) {
        assert!(self.child.is_none(), "{} is running", self.name);
        for entry in std::fs::read_dir(self.dir.path()).expect("data").flatten() {
            if entry.path().is_dir() {
                std::fs::remove_dir_all(entry.path()).expect("remove");
            }
        }
    }

    /// Its process id. It must be running.
    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().expect("a running server").id()
    }

    /// Whether it is running, as far as this test has had to do with it.
    pub(crate) fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Where it keeps its data.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Copies what it has stored so far, as a snapshot of its disk would.
    pub(crate) fn save_to(&self, folder: &Path) {
        copy(self.dir.path(), folder);
    }

    /// Puts a copy back. It must not be running.
    pub(crate) fn restore_from(&self, folder: &Path) {
        assert!(self.child.is_none(), "{} is running", self.name);
        copy(folder, self.dir.path());
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("folder").flatten() {
        let (path, copied) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            std::fs::create_dir_all(&copied).expect("folder");
            copy(&path, &copied);
        } else {
            std::fs::copy(&path, &copied).expect("copy");
        }
    }
}
