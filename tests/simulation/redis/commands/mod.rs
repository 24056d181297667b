//! The commands that a client or a script can send, each with the semantics of Redis 7.0.

#![allow(clippy::unnecessary_wraps, reason = "all commands have one signature")]

use std::{collections::HashMap, sync::LazyLock};

use super::{
    execution::Execution,
    reply::{Bytes, Failure, Outcome, fail},
};

mod hashes;
mod keys;
mod lists;
mod server;
mod sets;
mod streams;
mod strings;

pub(crate) const WRITE: u8 = 1;
/// Refused while the server is over `maxmemory`.
pub(crate) const DENY_OOM: u8 = 2;
pub(crate) const NO_SCRIPT: u8 = 4;
/// Answered while the server loads its data.
pub(crate) const LOADING: u8 = 8;

const WRITE_OOM: u8 = WRITE | DENY_OOM;

pub(crate) struct Command {
    pub(crate) name: &'static str,
    /// Number of words, the name included; negative: at least so many.
    arity: i8,
    flags: u8,
    pub(crate) run: fn(&mut Execution, &[Bytes]) -> Outcome,
}

impl Command {
    pub(crate) fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(crate) fn takes(&self, words: usize) -> bool {
        let arity = usize::from(self.arity.unsigned_abs());
        if self.arity < 0 { words >= arity } else { words == arity }
    }
}

const fn command(
    name: &'static str,
    arity: i8,
    flags: u8,
    run: fn(&mut Execution, &[Bytes]) -> Outcome,
) -> Command {
    Command { name, arity, flags, run }
}

pub(crate) fn find(name: &[u8]) -> Option<&'static Command> {
    static COMMANDS: LazyLock<HashMap<&'static [u8], &'static Command>> = LazyLock::new(|| {
        let groups: [&[Command]; 7] = [
            keys::COMMANDS,
            strings::COMMANDS,
            hashes::COMMANDS,
            lists::COMMANDS,
            sets::COMMANDS,
            streams::COMMANDS,
            server::COMMANDS,
        ];
        groups.into_iter().flatten().map(|command| (command.name.as_bytes(), command)).collect()
    });
    COMMANDS.get(name).or_else(|| COMMANDS.get(name.to_ascii_uppercase().as_slice())).copied()
}

fn integer(text: &[u8]) -> Result<i64, Failure> {
    let not_an_integer = || Failure("ERR value is not an integer or out of range".to_owned());
    parse_integer(text).ok_or_else(not_an_integer)
}

/// Only the canonical form counts: no sign of plus, no leading zeros, no spaces.
fn parse_integer(text: &[u8]) -> Option<i64> {
    let number: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == text).then_some(number)
}

fn is_word(argument: &[u8], word: &str) -> bool {
    argument.eq_ignore_ascii_case(word.as_bytes())
}

fn syntax_error<T>() -> Result<T, Failure> {
    fail("ERR syntax error")
}

fn wrong_arity<T>(command: &str) -> Result<T, Failure> {
    fail(format!("ERR wrong number of arguments for '{command}' command"))
}

/// The part of a sequence that two indices name, the second included. Negative ones count from the end.
fn slice(length: usize, first: i64, last: i64) -> std::ops::Range<usize> {
    let length_signed = i64::try_from(length).unwrap_or(i64::MAX);
    let from_start = |index: i64| if index < 0 { length_signed.saturating_add(index) } else { index };
    let start = usize::try_from(from_start(first).max(0)).unwrap_or(length).min(length);
    let end = usize::try_from(from_start(last).saturating_add(1).max(0)).unwrap_or(length).min(length);
    start..end.max(start)
}
