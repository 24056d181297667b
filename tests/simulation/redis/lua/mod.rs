//! An embedded Lua 5.1 that runs scripts as Redis 7.0 does: the real scripts, unchanged.

use std::collections::HashMap;

use mlua::{Function, Lua, LuaOptions, StdLib, Table, Value};

use super::{
    execution::Execution,
    reply::{Bytes, Failure, Reply},
};

mod calls;
mod convert;
mod script;

pub(crate) use script::{Script, digest};

/// One virtual machine for all servers: a script keeps nothing from one run to the next.
pub(crate) struct Interpreter {
    lua: Lua,
    environment: Table,
    run: Function,
    compiled: HashMap<String, Script>,
}

/// The run in progress. It lives in the virtual machine, where `redis.call` finds it.
struct Running {
    execution: Execution,
    read_only: bool,
    allow_oom: bool,
}

/// What a script of Redis finds, apart from the libraries that no script here uses (`cjson`, `cmsgpack`, `struct`,
/// `bit`), `math.random`, and compiling code: a script that uses one of these fails.
const BASE: [&str; 15] = [
    "assert",
    "error",
    "getmetatable",
    "ipairs",
    "next",
    "pairs",
    "rawequal",
    "rawget",
    "rawset",
    "select",
    "setmetatable",
    "tonumber",
    "tostring",
    "type",
    "unpack",
];

/// Errors must be raised, caught and guarded in Lua itself, because an error of a Rust function is no Lua table.
const PRELUDE: &str = "
local environment, call, pcall, error, type, setmetatable = ...
environment.redis.pcall = call
function environment.redis.call(...)
  local reply = call(...)
  if type(reply) == 'table' and reply.err then error(reply) end
  return reply
end
-- A script that catches an error gets its text, not the table.
function environment.pcall(...)
  local function results(succeeded, first, ...)
    if not succeeded and type(first) == 'table' and type(first.err) == 'string' then first = first.err end
    return succeeded, first, ...
  end
  return results(pcall(...))
end
setmetatable(environment, {
  __index = function(_, name)
    error('Script attempted to access nonexistent global variable \\'' .. tostring(name) .. '\\'', 2)
  end,
  __newindex = function() error('Attempt to modify a readonly table', 2) end,
})
return function(script) return pcall(script) end
";

impl Interpreter {
    pub(crate) fn new() -> Self {
        Self::build().expect("the environment of the scripts")
    }

    fn build() -> mlua::Result<Self> {
        let lua = Lua::new_with(StdLib::TABLE | StdLib::STRING | StdLib::MATH, LuaOptions::default())?;
        let globals = lua.globals();
        let environment = lua.create_table()?;
        for name in BASE.into_iter().chain(["table", "string", "math"]) {
            environment.set(name, globals.get::<Value>(name)?)?;
        }
        let math: Table = environment.get("math")?;
        math.set("random", Value::Nil)?;
        math.set("randomseed", Value::Nil)?;
        environment.set("_G", &environment)?;
        environment.set("redis", calls::library(&lua)?)?;
        let global = |name: &str| globals.get::<Value>(name);
        let call = calls::call(&lua)?;
        let base = (global("pcall")?, global("error")?, global("type")?, global("setmetatable")?);
        let arguments = (&environment, call, base.0, base.1, base.2, base.3);
        let run = lua.load(PRELUDE).set_name("@prelude").call(arguments)?;
        Ok(Self { lua, environment, run, compiled: HashMap::new() })
    }

    /// The script with this text, compiled once.
    pub(crate) fn compile(&mut self, text: &[u8]) -> Result<(String, Script), Failure> {
        let sha = digest(text);
        if let Some(script) = self.compiled.get(&sha) {
            return Ok((sha, script.clone()));
        }
        let script = Script::compile(&self.lua, &self.environment, text)?;
        self.compiled.insert(sha.clone(), script.clone());
        Ok((sha, script))
    }

    /// One that was compiled before.
    pub(crate) fn compiled(&self, sha: &str) -> Option<Script> {
        self.compiled.get(sha).cloned()
    }

    /// Runs a script on a server's data. Effects stay when the script fails in the middle, as in Redis.
    pub(crate) fn run(
        &self,
        script: &Script,
        sha: &str,
        (keys, args): (&[Bytes], &[Bytes]),
        execution: &mut Execution,
    ) -> Reply {
        let blank = Execution::new(
            super::keyspace::Keyspace::default(),
            execution.now,
            execution.identity.clone(),
            execution.limits,
            execution.offset,
        );
        let running = Running {
            execution: std::mem::replace(execution, blank),
            read_only: script.no_writes,
            allow_oom: script.allow_oom,
        };
        self.lua.set_app_data(running);
        let reply = self.call(script, sha, keys, args);
        *execution = self.lua.remove_app_data::<Running>().expect("the run that was put there").execution;
        reply.unwrap_or_else(|error| Reply::Error(format!("ERR the simulated server failed: {error}")))
    }

    fn call(&self, script: &Script, sha: &str, keys: &[Bytes], args: &[Bytes]) -> mlua::Result<Reply> {
        for (name, words) in [("KEYS", keys), ("ARGV", args)] {
            let words = words.iter().map(|word| self.lua.create_string(word));
            let words: Vec<_> = words.collect::<mlua::Result<_>>()?;
            self.environment.raw_set(name, self.lua.create_sequence_from(words)?)?;
        }
        let (succeeded, result): (bool, Value) = self.run.call(&script.function)?;
        if succeeded {
            return convert::reply(&result);
        }
        let text = match &result {
            Value::Table(error) => error.raw_get::<Option<mlua::LuaString>>("err")?,
            Value::String(text) => Some(self.lua.create_string([b"ERR ", &*text.as_bytes()].concat())?),
            _ => None,
        };
        let text = text.map_or_else(|| "ERR unknown error".to_owned(), |text| text.to_string_lossy());
        Ok(Reply::Error(format!("{text} script: {sha}, on @user_script.")))
    }
}
