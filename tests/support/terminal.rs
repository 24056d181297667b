//! A pseudo-terminal: what a process has in place of a person's.

use std::{
    ffi::OsStr,
    fs::File,
    io::{Read, Write},
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, fs::OpenOptionsExt},
    },
    process::Stdio,
    sync::{Arc, Mutex},
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// Does not become the terminal of the tests themselves.
const NOT_CONTROLLING: i32 = 0o400;

pub(crate) struct Terminal {
    /// What the process writes can be read here, and what is written here it reads.
    person: File,
    process: File,
}

impl Terminal {
    pub(crate) fn open() -> Self {
        let person: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&person).expect("its other end");
        unlockpt(&person).expect("its other end");
        let path = ptsname(&person, Vec::new()).expect("its name");
        let process = File::options()
            .read(true)
            .write(true)
            .custom_flags(NOT_CONTROLLING)
            .open(OsStr::from_bytes(path.as_bytes()))
            .expect("its other end");
        Self { person: person.into(), process }
    }

    /// For one of the streams of a process.
    pub(crate) fn stream(&self) -> Stdio {
        self.process.try_clone().expect("a stream").into()
    }

    /// What a person types; `\u{4}` ends the input.
    pub(crate) fn types(&self, keys: &str) {
        (&self.person).write_all(keys.as_bytes()).expect("keys");
    }

    /// Reads for as long as the terminal is open, as a person does, and keeps what was shown.
    pub(crate) fn read_on(&self) -> Arc<Mutex<String>> {
        let (mut person, shown) = (self.person.try_clone().expect("a reader"), Arc::default());
        let read: Arc<Mutex<String>> = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut part = [0; 1024];
            while let Ok(length @ 1..) = person.read(&mut part) {
                read.lock().expect("text").push_str(&String::from_utf8_lossy(&part[..length]));
            }
        });
        shown
    }
}
