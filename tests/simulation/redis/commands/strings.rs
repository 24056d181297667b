//! Commands on strings.

use super::{Command, WRITE_OOM, command, integer, is_word, parse_integer, syntax_error};
use crate::redis::{
    execution::Execution,
    keyspace::Data,
    reply::{Bytes, Failure, Outcome, Reply},
};

pub(super) const COMMANDS: &[Command] = &[
    command("GET", 2, 0, get),
    command("SET", -3, WRITE_OOM, set),
    command("INCR", 2, WRITE_OOM, |call, args| increase(call, &args[0], 1)),
    command("INCRBY", 3, WRITE_OOM, |call, args| increase(call, &args[0], integer(&args[1])?)),
];

fn get(call: &mut Execution, args: &[Bytes]) -> Outcome {
    Ok(Reply::bulk_or_nil(call.keyspace.get::<Bytes>(&args[0])?))
}

/// With `NX` or `XX` only.
fn set(call: &mut Execution, args: &[Bytes]) -> Outcome {
    let [key, value, options @ ..] = args else { return syntax_error() };
    let exists = call.keyspace.contains(key);
    let allowed = match options {
        [] => true,
        [only] if is_word(only, "NX") => !exists,
        [only] if is_word(only, "XX") => exists,
        _ => return syntax_error(),
    };
    if !allowed {
        return Ok(Reply::Nil);
    }
    call.keyspace.put(key, Data::Text(value.clone()));
    call.changed(true);
    Ok(Reply::ok())
}

fn increase(call: &mut Execution, key: &[u8], by: i64) -> Outcome {
    let current = match call.keyspace.get::<Bytes>(key)? {
        None => 0,
        Some(text) => parse_integer(text)
            .ok_or_else(|| Failure("ERR value is not an integer or out of range".to_owned()))?,
    };
    let overflow = || Failure("ERR increment or decrement would overflow".to_owned());
    let sum = current.checked_add(by).ok_or_else(overflow)?;
    call.keyspace.change(key, |text: &mut Bytes| {
        *text = sum.to_string().into_bytes();
        Ok(())
    })?;
    call.changed(true);
    Ok(Reply::Int(sum))
}
