//! The companion of an exported file, `FILE.sha256`: what the file must be.
//!
//! ```text
//! # 1234 purchases
//! e3b0…b855  sold.csv
//! ```
//!
//! `sha256sum --check` reads it too.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use sha2::{Digest as _, Sha256};

use crate::runtime::FileError;

/// Number and SHA-256 of what was written so far.
#[derive(Clone, Default)]
pub(super) struct Digest {
    hash: Sha256,
}

impl Digest {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
    }

    pub(super) fn hex(self) -> String {
        let digits = |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16));
        self.hash.finalize().iter().flat_map(digits).flatten().collect()
    }
}

pub(super) fn companion(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sha256");
    name.into()
}

/// The text of the companion.
pub(super) fn describe(file: &Path, number: u64, hex: &str) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    format!("# {number} purchases\n{hex}  {name}\n")
}

/// Reads a file and its companion, and fails if they do not agree. Returns the number of purchases.
pub(super) fn verify(file: &Path) -> anyhow::Result<u64> {
    let companion = companion(file);
    let text =
        std::fs::read_to_string(&companion).map_err(FileError::of("read the digest", companion.as_path()))?;
    let malformed = || format!("{} is not what `export` writes", companion.display());
    let (count, digest) = text.split_once('\n').with_context(malformed)?;
    let number: u64 = count
        .strip_prefix("# ")
        .and_then(|count| count.strip_suffix(" purchases"))
        .and_then(|count| count.parse().ok())
        .with_context(malformed)?;
    let expected = digest.split(' ').next().filter(|hex| hex.len() == 64).with_context(malformed)?;
    let opened = File::open(file).map_err(FileError::of("read the export", file))?;
    let (mut reader, mut found) = (BufReader::new(opened), Digest::default());
    let mut records = Records::default();
    let mut part = vec![0; 1 << 16];
    loop {
        let length = reader.read(&mut part).map_err(FileError::of("read the export", file))?;
        let Some(read) = part.get(..length).filter(|read| !read.is_empty()) else { break };
        found.add(read);
        records.add(read);
    }
    let found = found.hex();
    let shown = file.display();
    ensure!(
        found == expected,
        "{shown} was changed: its SHA-256 is {found}, and it was written as {expected}"
    );
    let counted = records.number();
    ensure!(counted == number, "{shown} has {counted} purchases, and {number} were written");
    Ok(number)
}

/// Counts the records of either format: lines, apart from those within quotes, and without
/// the header of CSV.
#[derive(Default)]
struct Records {
    first: Option<u8>,
    lines: u64,
    is_quoted: bool,
}

impl Records {
    fn add(&mut self, bytes: &[u8]) {
        self.first = self.first.or_else(|| bytes.first().copied());
        let is_csv = self.first != Some(b'{');
        for byte in bytes {
            match byte {
                b'"' if is_csv => self.is_quoted = !self.is_quoted,
                b'\n' if !self.is_quoted => self.lines += 1,
                _ => {}
            }
        }
    }

    fn number(&self) -> u64 {
        match self.first {
            None | Some(b'{') => self.lines,
            Some(_) => self.lines.saturating_sub(1),
        }
    }
}
