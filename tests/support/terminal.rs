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

/// Of a terminal that nobody has resized.
pub(crate) const COLUMNS: usize = 80;

/// The rows that a terminal shows after this was written to it, those that were scrolled away included.
pub(crate) fn rows(written: &str) -> Vec<String> {
    let mut rows: Vec<Vec<char>> = vec![Vec::new()];
    let (mut row, mut column) = (0_usize, 0);
    let mut letters = written.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\r' => column = 0,
            '\n' => row += 1,
            '\x1b' => {
                let sequence: String =
                    letters.by_ref().skip(1).take_while(|one| !one.is_ascii_alphabetic()).collect();
                let number = sequence.parse().unwrap_or(1);
                // The letter itself is consumed: what it was is the last one before here.
                let end = written.len() - letters.as_str().len();
                match &written[end - 1..end] {
                    "A" => row = row.saturating_sub(number),
                    "J" => {
                        rows.truncate(row + 1);
                        rows[row].truncate(column);
                    }
                    "m" => {}
                    other => panic!("a terminal sequence that ends in {other:?}"),
                }
            }
            letter => {
                if column == COLUMNS {
                    (row, column) = (row + 1, 0);
                }
                while rows.len() <= row {
                    rows.push(Vec::new());
                }
                let width = rows[row].len().max(column + 1);
                rows[row].resize(width, ' ');
                rows[row][column] = letter;
                column += 1;
            }
        }
        while rows.len() <= row {
            rows.push(Vec::new());
        }
    }
    rows.into_iter().map(|row| row.into_iter().collect::<String>().trim_end().to_owned()).collect()
}
