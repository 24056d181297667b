//! The table `redis` of a script.

use mlua::{Function, Lua, LuaString, Table, Value, Variadic};

use super::{Running, convert};
use crate::redis::{
    commands::{self, Command, DENY_OOM, NO_SCRIPT, WRITE},
    execution::{OUT_OF_MEMORY, READ_ONLY},
    reply::{Failure, Outcome, Reply, Request, fail},
};

/// `error_reply` and `status_reply`; `call` and `pcall` are added by the prelude.
pub(super) fn library(lua: &Lua) -> mlua::Result<Table> {
    let library = lua.create_table()?;
    let error_reply = lua.create_function(|lua, text: LuaString| {
        let text = text.to_string_lossy();
        let text = text.strip_prefix('-').unwrap_or(&text);
        let text = if text.contains(' ') { text.to_owned() } else { format!("ERR {text}") };
        convert::value(lua, &Reply::Error(text))
    })?;
    let status_reply = lua.create_function(|lua, text: LuaString| {
        let table = lua.create_table()?;
        table.raw_set("ok", text)?;
        Ok(table)
    })?;
    library.set("error_reply", error_reply)?;
    library.set("status_reply", status_reply)?;
    Ok(library)
}

/// Runs a command and returns its reply, an error as a table with `err`.
pub(super) fn call(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|lua, words: Variadic<Value>| {
        let outcome = match request(lua, &words)? {
            Ok(request) => {
                let mut running = lua.app_data_mut::<Running>().expect("a script runs");
                run(&mut running, request)
            }
            Err(failure) => Err(failure),
        };
        convert::value(lua, &outcome.into())
    })
}

fn request(lua: &Lua, words: &[Value]) -> mlua::Result<Result<Request, Failure>> {
    if words.is_empty() {
        return Ok(fail("ERR Please specify at least one argument for this redis lib call"));
    }
    let mut request = Vec::with_capacity(words.len());
    for word in words {
        let Some(bytes) = convert::argument(lua, word)? else {
            return Ok(fail("ERR Lua redis lib command arguments must be strings or integers"));
        };
        request.push(bytes);
    }
    Ok(Ok(request))
}

fn run(running: &mut Running, request: Request) -> Outcome {
    let Some(command) = request.first().and_then(|name| commands::find(name)) else {
        return fail("ERR Unknown Redis command called from script");
    };
    if !command.takes(request.len()) {
        return fail("ERR Wrong number of args calling Redis command from script");
    }
    may_run(running, command)?;
    running.execution.run(command, request)
}

fn may_run(running: &Running, command: &Command) -> Result<(), Failure> {
    let execution = &running.execution;
    if command.is(NO_SCRIPT) {
        return fail("ERR This Redis command is not allowed from script");
    }
    if command.is(WRITE) && running.read_only {
        return fail("ERR Write commands are not allowed from read-only scripts.");
    }
    if command.is(WRITE) && execution.identity.is_replica {
        return fail(READ_ONLY);
    }
    // A script that has begun to write may go on.
    let may_need_memory = running.allow_oom || !execution.effects.is_empty();
    if command.is(DENY_OOM) && execution.limits.full && !may_need_memory {
        return fail(OUT_OF_MEMORY);
    }
    Ok(())
}
