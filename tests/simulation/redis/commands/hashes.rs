//! Commands on hashes.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use super::{Command, WRITE, WRITE_OOM, command, integer, is_word, parse_integer, syntax_error, wrong_arity};
use crate::redis::{
    execution::Execution,
    reply::{Bytes, Failure, Outcome, Reply, fail},
};

type Hash = BTreeMap<Bytes, Bytes>;

pub(super) const COMMANDS: &[Command] = &[
    command("HGET", 3, 0, get),
    command("HMGET", -3, 0, get_many),
    command("HGETALL", 2, 0, get_all),
    command("HSET", -4, WRITE_OOM, set),
    command("HSETNX", 4, WRITE_OOM, set_if_absent),
    command("HDEL", -3, WRITE, delete),
    command("HINCRBY", 4, WRITE_OOM, increase),
    command("HLEN", 2, 0, length),
    command("HEXISTS", 3, 0, exists),
    command("HSCAN", -3, 0, scan),
];

fn get(call: &mut Execution, args: &[Bytes]) -> Outcome {
    let hash = call.keyspace.get::<Hash>(&args[0])?;
    Ok(Reply::bulk_or_nil(hash.and_then(|hash| hash.get(&args[1]))))
}

fn get_many(call: &mut Execution, args: &[Bytes]) -> Outcome {
    let hash = call.keyspace.get::<Hash>(&args[0])?;
    let values = args[1..].iter().map(|field| Reply::bulk_or_nil(hash.and_then(|hash| hash.get(field))));
    Ok(Reply::Array(values.collect()))
}

fn get_all(call: &mut Execution, args: &[Bytes]) -> Outcome {
    let hash = call.keyspace.get::<Hash>(&args[0])?;
    Ok(Reply::bulks(hash.into_iter().flatten().flat_map(|(field, value)| [field, value])))
}

fn set(call: &mut Execution, args: &[Bytes]) -> Outcome {
    let (pairs, rest) = args[1..].as_chunks::<2>();
    if !rest.is_empty() {
        return wrong_arity("hset");
    }
    let added = call.keyspace.change(&args[0], |hash: &mut Hash| {
        let insert = |[field, value]: &&[Bytes; 2]| hash.insert(field.clone(), value.clone()).is_none();
        Ok(pairs.iter().filter(insert).count())
    })?;
    call.changed(true);
    Ok(Reply::count(added))
}

fn set_if_absent(call: &mut Execution, args: &[Bytes]) -> Outcome {
    let added = call.keyspace.change(&args[0], |hash: &mut Hash| {
        let absent = !hash.contains_key(&args[1]);
        if absent {
            hash.insert(args[1].clone(), args[2].clone());
        }
        Ok(absent)
    })?;
    call.changed(added);
    Ok(Reply::Int(added.into()))
}

fn delete(call: &mut Execution, args: &[Bytes]) -> Outcome {
    let remove = |hash: &mut Hash| args[1..].iter().filter(|field| hash.remove(*field).is_some()).count();
    let deleted = call.keyspace.change_existing(&args[0], remove)?;
    call.changed(deleted > 0);
    Ok(Reply::count(deleted))
}

fn increase(call: &mut Execution, args: &[Bytes]) -> Outcome {
    let by = integer(&args[2])?;
    let sum = call.keyspace.change(&args[0], |hash: &mut Hash| {
        let not_an_integer = || Failure("ERR hash value is not an integer".to_owned());
        let current = hash.get(&args[1]).map_or(Some(0), |text| parse_integer(text));
        let Some(sum) = current.ok_or_else(not_an_integer)?.checked_add(by) else {
            return fail("ERR increment or decrement would overflow");
        };
        hash.insert(args[1].clone(), sum.to_string().into_bytes());
        Ok(sum)
    })?;
    call.changed(true);
    Ok(Reply::Int(sum))
}

fn length(call: &mut Execution, args: &[Bytes]) -> Outcome {
    Ok(Reply::count(call.keyspace.get::<Hash>(&args[0])?.map_or(0, BTreeMap::len)))
}

fn exists(call: &mut Execution, args: &[Bytes]) -> Outcome {
    let hash = call.keyspace.get::<Hash>(&args[0])?;
    Ok(Reply::Int(hash.is_some_and(|hash| hash.contains_key(&args[1])).into()))
}

/// With `COUNT` only. The cursor is the hash of the next field, so that a field which is there from the first page
/// to the last is returned, whatever is added or deleted meanwhile.
fn scan(call: &mut Execution, args: &[Bytes]) -> Outcome {
    let cursor = std::str::from_utf8(&args[1]).ok().and_then(|cursor| cursor.parse::<u64>().ok());
    let Some(cursor) = cursor else { return fail("ERR invalid cursor") };
    let count = match &args[2..] {
        [] => 10,
        [option, count] if is_word(option, "COUNT") => match usize::try_from(integer(count)?) {
            Ok(count) if count > 0 => count,
            _ => return syntax_error(),
        },
        _ => return syntax_error(),
    };
    let hash = call.keyspace.get::<Hash>(&args[0])?;
    let mut found: Vec<_> = hash.into_iter().flatten().map(|pair| (place(pair.0), pair)).collect();
    found.retain(|(place, _)| *place >= cursor);
    found.sort_unstable_by_key(|(place, (field, _))| (*place, *field));
    // Fields of one place stay together.
    let next = found.get(count).map_or(0, |(place, _)| *place);
    let page = found.iter().take_while(|(place, _)| next == 0 || *place < next);
    let pairs = page.flat_map(|(_, (field, value))| [*field, *value]);
    Ok(Reply::Array(vec![Reply::bulk(next.to_string()), Reply::bulks(pairs)]))
}

/// Never 0, which is the cursor of the first page and of the end.
fn place(field: &Bytes) -> u64 {
    let mut hasher = DefaultHasher::new();
    field.hash(&mut hasher);
    hasher.finish().max(1)
}
