//! Random commands, with wrong types and malformed arguments among them.

use std::collections::BTreeSet;

use super::{
    comparison::{Comparison, Word},
    support::{random, simulated},
};

/// Each with the kinds of its arguments: key, field, value, integer, lower and upper bound of a range, stream id,
/// stream id to add; capitals are literal.
const COMMANDS: &[&str] = &[
    "DEL key",
    "UNLINK key key",
    "EXISTS key key",
    "TYPE key",
    "RENAME key key",
    "PERSIST key",
    "EXPIRE key 3600",
    "EXPIRE key 0",
    "PEXPIRE key 5000000",
    "PEXPIREAT key 2000000000000",
    "EXPIRE key value",
    "DBSIZE",
    "GET key",
    "SET key value",
    "SET key value NX",
    "SET key integer XX",
    "INCR key",
    "INCRBY key integer",
    "HGET key field",
    "HMGET key field field field",
    "HGETALL key",
    "HSET key field value",
    "HSET key field",
    "HSET key field integer field value",
    "HSETNX key field value",
    "HDEL key field field",
    "HINCRBY key field integer",
    "HLEN key",
    "HEXISTS key field",
    "LPUSH key value value",
    "RPUSH key integer value",
    "LPOP key",
    "RPOP key",
    "LPOP key integer",
    "LLEN key",
    "LINDEX key integer",
    "LRANGE key integer integer",
    "LREM key integer value",
    "SADD key value value",
    "SREM key value value",
    "SCARD key",
    "SISMEMBER key value",
    "SMEMBERS key",
    "XADD key add field value",
    "XADD key * field value",
    "XADD key * field value field integer",
    "XADD key * field",
    "XDEL key id",
    "XDEL key id id",
    "XLEN key",
    "XRANGE key lower upper",
    "XRANGE key - +",
    "XRANGE key lower upper COUNT integer",
    "XREVRANGE key upper lower",
    "XREVRANGE key + - COUNT integer",
    "PING",
    "ECHO value",
    "HGET key",
    "XRANGE key",
    "HLEN",
];

fn argument(random: &mut fastrand::Rng, kind: &str, entries: usize) -> Word {
    let choice = |random: &mut fastrand::Rng, words: &[&str]| Word::from(words[random.usize(..words.len())]);
    let entry = entries > 0 && random.bool();
    match kind {
        "key" => choice(random, &["a", "b", "c", "d", "e"]),
        "field" => choice(random, &["f", "g", "h"]),
        "value" => choice(random, &["x", "y", "", "17", "z z", "9223372036854775807"]),
        "integer" => choice(random, &["0", "1", "-1", "2", "-3", "5", "x", "01", "9223372036854775807"]),
        "add" => choice(random, &["5-1", "7", "0-0", "5-", "2000000000000-3", "x"]),
        "id" | "lower" | "upper" if entry => Word::Entry(random.usize(..entries)),
        "id" => choice(random, &["5-1", "7", "9-9", "x", "3-x"]),
        "lower" => choice(random, &["-", "5", "5-1", "(5-1", "+", "x", "(x"]),
        "upper" => choice(random, &["+", "5", "7-0", "(7", "(0-0", "-", "x"]),
        literal => literal.into(),
    }
}

#[test]
fn random_commands_answer_as_redis_server_does() {
    let Some(mut comparison) = Comparison::start() else { return };
    let mut random = random();
    for _ in 0..40 {
        for _ in 0..150 {
            let template = COMMANDS[random.usize(..COMMANDS.len())];
            let kinds = template.split(' ');
            let words: Vec<_> = kinds.map(|kind| argument(&mut random, kind, comparison.entries())).collect();
            comparison.run(&words);
        }
        comparison.compare_data();
        comparison.run(&["FLUSHALL".into()]);
    }
}

#[test]
fn a_scan_shows_each_field_that_stays() {
    let (redis, _) = simulated();
    let set = |field: &str| redis.run(0, &["HSET", "hash", field, "value"]).unwrap();
    (0..200).for_each(|number| drop(set(&format!("stays-{number}"))));
    (0..200).for_each(|number| drop(set(&format!("goes-{number}"))));
    let (mut cursor, mut shown, mut page) = ("0".to_owned(), BTreeSet::new(), 0);
    loop {
        let reply = redis.run(0, &["HSCAN", "hash", &cursor, "COUNT", "7"]).unwrap();
        let (next, pairs): (String, Vec<(String, String)>) = redis::from_redis_value(reply).unwrap();
        shown.extend(pairs.into_iter().map(|(field, _)| field).filter(|field| field.starts_with("stays")));
        cursor = next;
        if cursor == "0" {
            break;
        }
        redis.run(0, &["HDEL", "hash", &format!("goes-{page}")]).unwrap();
        set(&format!("new-{page}"));
        page += 1;
    }
    assert!(page > 20, "{page} pages");
    assert_eq!(shown.len(), 200);
}
