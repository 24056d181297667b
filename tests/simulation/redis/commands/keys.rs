//! Commands on keys of any type.

use super::{Command, WRITE, command, integer, is_word, syntax_error};
use crate::redis::{
    execution::Execution,
    keyspace::{Data, Keyspace},
    reply::{Bytes, Outcome, Reply, fail},
};

pub(super) const COMMANDS: &[Command] = &[
    command("DEL", -2, WRITE, delete),
    command("UNLINK", -2, WRITE, delete),
    command("EXISTS", -2, 0, exists),
    command("TYPE", 2, 0, type_of),
    command("RENAME", 3, WRITE, rename),
    command("PERSIST", 2, WRITE, persist),
    command("EXPIRE", 3, WRITE, |call, args| expire(call, args, 1000, false)),
    command("PEXPIRE", 3, WRITE, |call, args| expire(call, args, 1, false)),
    command("PEXPIREAT", 3, WRITE, |call, args| expire(call, args, 1, true)),
    command("TTL", 2, 0, |call, args| time_to_live(call, args, 1000)),
    command("PTTL", 2, 0, |call, args| time_to_live(call, args, 1)),
    command("KEYS", 2, 0, keys),
    command("DBSIZE", 1, 0, |call, _| Ok(Reply::count(call.keyspace.names().len()))),
    command("FLUSHALL", -1, WRITE, flush),
    command("FLUSHDB", -1, WRITE, flush),
];

fn delete(call: &mut Execution, keys: &[Bytes]) -> Outcome {
    let deleted = keys.iter().filter(|key| call.keyspace.remove(key)).count();
    call.changed(deleted > 0);
    Ok(Reply::count(deleted))
}

fn exists(call: &mut Execution, keys: &[Bytes]) -> Outcome {
    Ok(Reply::count(keys.iter().filter(|key| call.keyspace.contains(key)).count()))
}

fn type_of(call: &mut Execution, args: &[Bytes]) -> Outcome {
    let name = match call.keyspace.data(&args[0]) {
        None => "none",
        Some(Data::Text(_)) => "string",
        Some(Data::Hash(_)) => "hash",
        Some(Data::List(_)) => "list",
        Some(Data::Set(_)) => "set",
        Some(Data::Stream(_)) => "stream",
    };
    Ok(Reply::Status(name.to_owned()))
}

fn rename(call: &mut Execution, args: &[Bytes]) -> Outcome {
    if !call.keyspace.rename(&args[0], &args[1]) {
        return fail("ERR no such key");
    }
    call.changed(true);
    Ok(Reply::ok())
}

fn persist(call: &mut Execution, args: &[Bytes]) -> Outcome {
    let persisted = call.keyspace.persist(&args[0]);
    call.changed(persisted);
    Ok(Reply::Int(persisted.into()))
}

/// Effects carry the absolute time, so that a replica or a replay gives the key the same end.
fn expire(call: &mut Execution, args: &[Bytes], unit_millis: i64, absolute: bool) -> Outcome {
    let (key, time) = (&args[0], integer(&args[1])?);
    let base = if absolute { 0 } else { i64::try_from(call.millis()).unwrap_or(i64::MAX) };
    let Some(end) = time.checked_mul(unit_millis).and_then(|time| time.checked_add(base)) else {
        return fail("ERR invalid expire time in 'expire' command");
    };
    if !call.keyspace.contains(key) {
        return Ok(Reply::Int(0));
    }
    let end = u64::try_from(end).unwrap_or(0);
    if end <= call.millis() {
        call.keyspace.remove(key);
        call.changed_as([b"DEL", key.as_slice()]);
    } else {
        call.keyspace.set_expiry(key, end);
        call.changed_as([b"PEXPIREAT", key.as_slice(), end.to_string().as_bytes()]);
    }
    Ok(Reply::Int(1))
}

fn time_to_live(call: &mut Execution, args: &[Bytes], unit_millis: u64) -> Outcome {
    if !call.keyspace.contains(&args[0]) {
        return Ok(Reply::Int(-2));
    }
    let Some(end) = call.keyspace.expiry(&args[0]) else { return Ok(Reply::Int(-1)) };
    let left = (end.saturating_sub(call.millis()) + unit_millis / 2) / unit_millis;
    Ok(Reply::Int(i64::try_from(left).unwrap_or(i64::MAX)))
}

/// Of patterns only the trailing `*` is known.
fn keys(call: &mut Execution, args: &[Bytes]) -> Outcome {
    let pattern = args[0].as_slice();
    let literal = pattern.strip_suffix(b"*").unwrap_or(pattern);
    if literal.iter().any(|byte| b"*?[\\".contains(byte)) {
        return fail("ERR the simulated server knows only prefix patterns");
    }
    let matches = |key: &&Bytes| {
        if literal.len() < pattern.len() { key.starts_with(literal) } else { key.as_slice() == pattern }
    };
    Ok(Reply::bulks(call.keyspace.names().filter(matches)))
}

fn flush(call: &mut Execution, args: &[Bytes]) -> Outcome {
    if args.len() > 1 || args.first().is_some_and(|mode| !is_word(mode, "ASYNC") && !is_word(mode, "SYNC")) {
        return syntax_error();
    }
    call.keyspace = Keyspace::default();
    call.changed(true);
    Ok(Reply::ok())
}
