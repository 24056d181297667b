//! A compiled script, and what its first line says of it.

use mlua::{Function, Lua, Table};

use crate::redis::reply::{Failure, fail};

#[derive(Clone)]
pub(crate) struct Script {
    pub(super) function: Function,
    pub(crate) no_writes: bool,
    pub(crate) allow_oom: bool,
    /// Has the line `#!lua`: the server decides before the run whether the script may write.
    pub(crate) has_shebang: bool,
}

/// The name of a script: SHA-1 in hexadecimal.
pub(crate) fn digest(text: &[u8]) -> String {
    let text = std::str::from_utf8(text).expect("the scripts are text");
    redis::Script::new(text).get_hash().to_owned()
}

impl Script {
    pub(super) fn compile(lua: &Lua, environment: &Table, text: &[u8]) -> Result<Self, Failure> {
        let has_shebang = text.starts_with(b"#!");
        let (first, body) = match text.iter().position(|byte| *byte == b'\n') {
            Some(end) if has_shebang => text.split_at(end),
            _ if has_shebang => (text, &[][..]),
            _ => (&[][..], text),
        };
        let flags = flags(&String::from_utf8_lossy(first))?;
        // The line break stays, so that errors name the right line.
        let chunk = lua.load(body).set_name("@user_script").set_environment(environment.clone());
        let function = chunk
            .into_function()
            .map_err(|error| Failure(format!("ERR Error compiling script (new function): {error}")))?;
        let has = |flag: &str| flags.iter().any(|known| known == flag);
        Ok(Self { function, no_writes: has("no-writes"), allow_oom: has("allow-oom"), has_shebang })
    }
}

fn flags(shebang: &str) -> Result<Vec<String>, Failure> {
    const KNOWN: [&str; 5] = ["no-writes", "allow-oom", "allow-stale", "no-cluster", "allow-cross-slot-keys"];
    let mut words = shebang.split_ascii_whitespace();
    let Some(engine) = words.next() else { return Ok(Vec::new()) };
    if engine != "#!lua" {
        return fail(format!("ERR Unexpected engine in script shebang: {engine}"));
    }
    let mut flags = Vec::new();
    for word in words {
        let Some(list) = word.strip_prefix("flags=") else {
            return fail(format!("ERR Unknown lua shebang option: {word}"));
        };
        for flag in list.split(',').filter(|flag| !flag.is_empty()) {
            if !KNOWN.contains(&flag) {
                return fail(format!("ERR Unexpected flag in script shebang: {flag}"));
            }
            flags.push(flag.to_owned());
        }
    }
    Ok(flags)
}
