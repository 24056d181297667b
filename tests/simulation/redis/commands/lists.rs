//! Commands on lists.

use std::collections::VecDeque;

use super::{Command, WRITE, WRITE_OOM, command, integer, slice};
use crate::redis::{
    execution::Execution,
    reply::{Bytes, Outcome, Reply, fail},
};

type List = VecDeque<Bytes>;

pub(super) const COMMANDS: &[Command] = &[
    command("LPUSH", -3, WRITE_OOM, |call, args| push(call, args, List::push_front)),
    command("RPUSH", -3, WRITE_OOM, |call, args| push(call, args, List::push_back)),
    command("LPOP", -2, WRITE, |call, args| pop(call, args, List::pop_front)),
    command("RPOP", -2, WRITE, |call, args| pop(call, args, List::pop_back)),
    command("LLEN", 2, 0, length),
    command("LINDEX", 3, 0, index),
    command("LRANGE", 4, 0, range),
    command("LREM", 4, WRITE, remove),
];

fn push(call: &mut Execution, args: &[Bytes], push: fn(&mut List, Bytes)) -> Outcome {
    let length = call.keyspace.change(&args[0], |list: &mut List| {
        args[1..].iter().for_each(|item| push(list, item.clone()));
        Ok(list.len())
    })?;
    call.changed(true);
    Ok(Reply::count(length))
}

fn pop(call: &mut Execution, args: &[Bytes], pop: fn(&mut List) -> Option<Bytes>) -> Outcome {
    let count = match &args[1..] {
        [] => None,
        [count] => match integer(count).ok().and_then(|count| usize::try_from(count).ok()) {
            Some(count) => Some(count),
            None => return fail("ERR value is out of range, must be positive"),
        },
        _ => return super::wrong_arity("lpop"),
    };
    let exists = call.keyspace.contains(&args[0]);
    let take = |list: &mut List| -> Vec<Bytes> { (0..count.unwrap_or(1)).map_while(|_| pop(list)).collect() };
    let popped = call.keyspace.change_existing(&args[0], take)?;
    call.changed(!popped.is_empty());
    Ok(match count {
        None => Reply::bulk_or_nil(popped.first()),
        Some(_) if !exists => Reply::Nil,
        Some(_) => Reply::bulks(popped),
    })
}

fn length(call: &mut Execution, args: &[Bytes]) -> Outcome {
    Ok(Reply::count(call.keyspace.get::<List>(&args[0])?.map_or(0, VecDeque::len)))
}

fn index(call: &mut Execution, args: &[Bytes]) -> Outcome {
    let Some(list) = call.keyspace.get::<List>(&args[0])? else { return Ok(Reply::Nil) };
    let index = integer(&args[1])?;
    let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
    let from_start = if index < 0 { length.saturating_add(index) } else { index };
    Ok(Reply::bulk_or_nil(usize::try_from(from_start).ok().and_then(|index| list.get(index))))
}

fn range(call: &mut Execution, args: &[Bytes]) -> Outcome {
    let (first, last) = (integer(&args[1])?, integer(&args[2])?);
    let items = call.keyspace.get::<List>(&args[0])?;
    let range = slice(items.map_or(0, VecDeque::len), first, last);
    Ok(Reply::bulks(items.into_iter().flat_map(|items| items.range(range.clone()))))
}

/// Removes the first `count` equal items, the last ones where it is negative, all where it is zero.
fn remove(call: &mut Execution, args: &[Bytes]) -> Outcome {
    let count = integer(&args[1])?;
    let most = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let most = if count == 0 { usize::MAX } else { most };
    let removed = call.keyspace.change_existing(&args[0], |list: &mut List| {
        let mut places: Vec<_> = (0..list.len()).filter(|place| list[*place] == args[2]).collect();
        if count < 0 {
            places.reverse();
        }
        places.truncate(most);
        places.sort_unstable();
        for place in places.iter().rev() {
            list.remove(*place);
        }
        places.len()
    })?;
    call.changed(removed > 0);
    Ok(Reply::count(removed))
}
