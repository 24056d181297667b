//! Commands on streams, without consumer groups.

use super::{Command, WRITE, WRITE_OOM, command, integer, is_word, syntax_error, wrong_arity};
use crate::redis::{
    execution::Execution,
    reply::{Bytes, Failure, Outcome, Reply, fail},
    stream::{Stream, StreamId, entry},
};

pub(super) const COMMANDS: &[Command] = &[
    command("XADD", -5, WRITE_OOM, add),
    command("XDEL", -3, WRITE, delete),
    command("XLEN", 2, 0, length),
    command("XRANGE", -4, 0, |call, args| range(call, args, false)),
    command("XREVRANGE", -4, 0, |call, args| range(call, args, true)),
];

/// Without trimming. The effect has the id that `*` stood for.
fn add(call: &mut Execution, args: &[Bytes]) -> Outcome {
    let [key, id, fields @ ..] = args else { return wrong_arity("xadd") };
    let given = if id == b"*" { None } else { Some(StreamId::parse(id, 0)?) };
    if !fields.len().is_multiple_of(2) {
        return wrong_arity("xadd");
    }
    if given == Some(StreamId::default()) {
        return fail("ERR The ID specified in XADD must be greater than 0-0");
    }
    let now = call.millis();
    let id = call.keyspace.change(key, |stream: &mut Stream| {
        let exhausted = || {
            Failure("ERR The stream has exhausted the last possible ID, unable to add more items".to_owned())
        };
        let id = given.or_else(|| stream.next_id(now)).ok_or_else(exhausted)?;
        stream.add(id, fields.to_vec())?;
        Ok(id.to_string())
    })?;
    let words = [b"XADD", key.as_slice(), id.as_bytes()];
    call.changed_as(words.into_iter().chain(fields.iter().map(Vec::as_slice)));
    Ok(Reply::bulk(id))
}

fn delete(call: &mut Execution, args: &[Bytes]) -> Outcome {
    if call.keyspace.get::<Stream>(&args[0])?.is_none() {
        return Ok(Reply::Int(0));
    }
    let ids: Vec<_> = args[1..].iter().map(|id| StreamId::parse(id, 0)).collect::<Result<_, Failure>>()?;
    let remove = |stream: &mut Stream| ids.iter().filter(|id| stream.entries.remove(id).is_some()).count();
    let deleted = call.keyspace.change_existing(&args[0], remove)?;
    call.changed(deleted > 0);
    Ok(Reply::count(deleted))
}

fn length(call: &mut Execution, args: &[Bytes]) -> Outcome {
    Ok(Reply::count(call.keyspace.get::<Stream>(&args[0])?.map_or(0, |stream| stream.entries.len())))
}

fn range(call: &mut Execution, args: &[Bytes], reverse: bool) -> Outcome {
    let (from, to) = if reverse { (&args[2], &args[1]) } else { (&args[1], &args[2]) };
    let (from, to) = (StreamId::lower_bound(from)?, StreamId::upper_bound(to)?);
    let count = match &args[3..] {
        [] => usize::MAX,
        [option, count] if is_word(option, "COUNT") => {
            usize::try_from(integer(count)?.max(0)).unwrap_or(usize::MAX)
        }
        _ => return syntax_error(),
    };
    let stream = call.keyspace.get::<Stream>(&args[0])?;
    if count == 0 && stream.is_some() {
        return Ok(Reply::Nil);
    }
    let entries = stream.into_iter().flat_map(|stream| stream.range(from, to));
    Ok(Reply::Array(if reverse {
        entries.rev().take(count).map(entry).collect()
    } else {
        entries.take(count).map(entry).collect()
    }))
}
