//! Values of Lua and replies of Redis, in both directions, as RESP2 has them.

use mlua::{Function, Lua, Table, Value};

use crate::redis::reply::{Bytes, Reply};

/// A reply as a script sees it.
pub(super) fn value(lua: &Lua, reply: &Reply) -> mlua::Result<Value> {
    Ok(match reply {
        Reply::Status(text) => Value::Table(single(lua, "ok", text)?),
        Reply::Error(text) => Value::Table(single(lua, "err", text)?),
        Reply::Int(number) => Value::Integer(*number),
        Reply::Bulk(bytes) => Value::String(lua.create_string(bytes)?),
        Reply::Nil => Value::Boolean(false),
        Reply::Array(items) => {
            let table = lua.create_table_with_capacity(items.len(), 0)?;
            for item in items {
                table.raw_push(value(lua, item)?)?;
            }
            Value::Table(table)
        }
    })
}

fn single(lua: &Lua, field: &str, text: &str) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(0, 1)?;
    table.raw_set(field, text)?;
    Ok(table)
}

/// What a script returns, as a reply: a table ends at its first nil, numbers lose their fraction.
pub(super) fn reply(value: &Value) -> mlua::Result<Reply> {
    Ok(match value {
        Value::String(text) => Reply::bulk(text.as_bytes()),
        Value::Integer(number) => Reply::Int(*number),
        Value::Number(number) => Reply::Int(truncated(*number)),
        Value::Boolean(true) => Reply::Int(1),
        Value::Table(table) => table_reply(table)?,
        _ => Reply::Nil,
    })
}

fn table_reply(table: &Table) -> mlua::Result<Reply> {
    if let Value::String(text) = table.raw_get("err")? {
        return Ok(Reply::Error(text.to_string_lossy()));
    }
    if let Value::String(text) = table.raw_get("ok")? {
        return Ok(Reply::Status(text.to_string_lossy()));
    }
    let mut items = Vec::new();
    for index in 1.. {
        match table.raw_get(index)? {
            Value::Nil => break,
            item => items.push(reply(&item)?),
        }
    }
    Ok(Reply::Array(items))
}

#[allow(clippy::cast_possible_truncation, reason = "Redis casts the same way")]
fn truncated(number: f64) -> i64 {
    number as i64
}

/// An argument of `redis.call`: a string, or a number in the form that Redis gives it.
pub(super) fn argument(lua: &Lua, value: &Value) -> mlua::Result<Option<Bytes>> {
    Ok(match value {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        Value::Integer(_) | Value::Number(_) => {
            let string: Table = lua.globals().get("string")?;
            let format: Function = string.get("format")?;
            let text: mlua::LuaString = format.call(("%.17g", value))?;
            Some(text.as_bytes().to_vec())
        }
        _ => None,
    })
}
