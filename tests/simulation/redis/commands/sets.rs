//! Commands on sets.

use std::collections::BTreeSet;

use super::{Command, WRITE, WRITE_OOM, command};
use crate::redis::{
    execution::Execution,
    reply::{Bytes, Outcome, Reply},
};

type Set = BTreeSet<Bytes>;

pub(super) const COMMANDS: &[Command] = &[
    command("SADD", -3, WRITE_OOM, add),
    command("SREM", -3, WRITE, remove),
    command("SCARD", 2, 0, |call, args| {
        Ok(Reply::count(call.keyspace.get::<Set>(&args[0])?.map_or(0, BTreeSet::len)))
    }),
    command("SISMEMBER", 3, 0, |call, args| {
        let set = call.keyspace.get::<Set>(&args[0])?;
        Ok(Reply::Int(set.is_some_and(|set| set.contains(&args[1])).into()))
    }),
    command("SMEMBERS", 2, 0, |call, args| {
        Ok(Reply::bulks(call.keyspace.get::<Set>(&args[0])?.into_iter().flatten()))
    }),
];

fn add(call: &mut Execution, args: &[Bytes]) -> Outcome {
    let added = call.keyspace.change(&args[0], |set: &mut Set| {
        Ok(args[1..].iter().filter(|member| set.insert((*member).clone())).count())
    })?;
    call.changed(added > 0);
    Ok(Reply::count(added))
}

fn remove(call: &mut Execution, args: &[Bytes]) -> Outcome {
    let take = |set: &mut Set| args[1..].iter().filter(|member| set.remove(*member)).count();
    let removed = call.keyspace.change_existing(&args[0], take)?;
    call.changed(removed > 0);
    Ok(Reply::count(removed))
}
