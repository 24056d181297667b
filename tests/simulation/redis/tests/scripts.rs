//! Scripts: the language as Redis offers it, and the scripts of admission.

use std::time::Instant;

use flashsale::admission::scripts;
use redis::Value;

use super::{
    comparison::{Comparison, Word},
    support::{identity, random, simulated, text},
};

const SNIPPETS: &[&str] = &[
    "return 1",
    "return {1, 2.9, -2.9, 'a', true, false, redis.status_reply('FINE'), {ok = 'A'}, {3, nil, 4}, 1e15}",
    "return nil",
    "return redis.error_reply('FOREIGN some text')",
    "return redis.error_reply('oneword')",
    "return redis.error_reply('-CODE text')",
    "return {err = 'My Err'}",
    "error('boom')",
    "error({err = 'X y'})",
    "error('boom', 0)",
    "return nope",
    "x = 1",
    "return 1 + nil",
    "return redis.call('NOPE')",
    "return redis.call('GET')",
    "return redis.call('ROLE')",
    "return redis.call()",
    "return redis.call({})",
    "return redis.call('get', 'text')",
    "return redis.call('HGET', 'text', 'f')",
    "return redis.pcall('HGET', 'text', 'f')",
    "return redis.pcall('HGET', 'text', 'f').err",
    "local ok, error = pcall(redis.call, 'HGET', 'text', 'f') return {tostring(ok), error.err}",
    "return {redis.call('ECHO', 0.1), redis.call('ECHO', 12345678901234567890), redis.call('ECHO', -5)}",
    "return redis.call('SET', 'a', 'b').ok",
    "return tostring(redis.call('GET', 'absent'))",
    "return tostring(redis.call('HMGET', 'absent', 'f', 'g')[2])",
    "return type(redis.call('LLEN', 'absent'))",
    "return {KEYS[1] or 'none', ARGV[1] or 'none', #KEYS, #ARGV}",
    "return string.format('%d %.0f', 5, 1795650000000)",
    "redis.call('SET', 'before', 1) return redis.call('HGET', 'text', 'f')",
    "#!lua\nreturn 1",
    "#!lua flags=no-writes\nreturn redis.call('SET', 'text', 'f')",
    "#!lua flags=no-writes,allow-oom\nreturn redis.call('GET', 'text')",
    "#!lua flags=bogus\nreturn 1",
    "#!python\nreturn 1",
    "#!lua\nlocal a = 1\nerror('line three')",
];

#[test]
fn the_language_is_that_of_redis_server() {
    let Some(mut comparison) = Comparison::start() else { return };
    comparison.run(&["SET".into(), "text".into(), "value".into()]);
    for snippet in SNIPPETS {
        comparison.run(&["EVAL".into(), (*snippet).into(), "0".into()]);
        comparison.run(&["EVAL".into(), (*snippet).into(), "1".into(), "key".into(), "arg".into()]);
    }
    for words in [
        &["EVAL", "return 1", "2", "a"][..],
        &["EVAL", "return 1", "-1"],
        &["EVALSHA", "ffffffffffffffffffffffffffffffffffffffff", "0"],
        &["SCRIPT", "LOAD", "return 5"],
        &["EVALSHA", "4ca238f611c9d0ae4e9a75a5dbac22aedc1e44a5", "0"],
        &["SCRIPT", "EXISTS", "4ca238f611c9d0ae4e9a75a5dbac22aedc1e44a5", "abc"],
        &["SCRIPT", "FLUSH"],
        &["EVALSHA", "4ca238f611c9d0ae4e9a75a5dbac22aedc1e44a5", "0"],
    ] {
        let words: Vec<_> = words.iter().map(|word| Word::from(*word)).collect();
        comparison.run(&words);
    }
    comparison.compare_data();
}

#[test]
fn ten_thousand_units_are_sold_once_each() {
    let (redis, time) = simulated();
    let replica = redis.add_replica();
    let server = identity(&text(redis.run(0, &["INFO"])));
    let sale: Vec<_> =
        "epoch 1 total 10000 next 0 opens_ms 1 closes_ms 4000000000000 in_flight 0 dead 0 server"
            .split(' ')
            .collect();
    redis.run(0, &[&["HSET", KEYS[0]], sale.as_slice(), &[server.as_str()]].concat()).unwrap();
    let (_, admit) = scripts().into_iter().find(|(name, _)| *name == "admit").expect("a script");
    let sha = text(redis.run(0, &["SCRIPT", "LOAD", &admit]));
    let count = KEYS.len().to_string();
    let started = Instant::now();
    for attempt in 0..15_000 {
        time.advance(attempt % 2);
        let (user, id) = (format!("user-{attempt}"), format!("id-{attempt}"));
        let head = ["EVALSHA", &sha, &count];
        let words = [&head[..], &KEYS, &[user.as_str(), &id, &server, "1", "0", ""]].concat();
        let reply: Vec<String> = redis::from_redis_value(redis.run(0, &words).unwrap()).unwrap();
        let expected = if attempt < 10_000 { "SUCCESS" } else { "SOLD_OUT" };
        assert_eq!(reply[0], expected, "{attempt}");
    }
    println!("15,000 attempts in {:?}", started.elapsed());
    for server in [0, replica] {
        assert_eq!(redis.run(server, &["XLEN", KEYS[3]]), Ok(Value::Int(10_000)));
        assert_eq!(redis.run(server, &["HLEN", KEYS[BUYERS]]), Ok(Value::Int(10_000)));
    }
}

const BUYERS: usize = 2;
const STAGED_FREE: usize = 5;
const STAGED_BUYERS: usize = 6;
/// In the order of the scripts.
const KEYS: [&str; 7] = ["p:sale", "p:free", "p:buyers", "p:outbox", "p:dead", "p:free:new", "p:buyers:new"];

/// Runs a script by its body, as a client does that does not know whether the server has it.
fn run(comparison: &mut Comparison, name: &str, args: Vec<Word>) -> String {
    let (_, text) = scripts().into_iter().find(|(known, _)| *known == name).expect("a script");
    let mut words = vec!["EVAL".into(), text.into(), KEYS.len().to_string().into()];
    words.extend(KEYS.map(Word::from));
    words.extend(args);
    words.push("".into()); // the caller's system
    comparison.run(&words)
}

macro_rules! words {
    ($($word:expr),*) => { vec![$(Word::from($word)),*] };
}

/// A sale of six units under a new epoch, some of them with a winner from the ledger.
fn rebuild(comparison: &mut Comparison, random: &mut fastrand::Rng, epoch: u32) -> String {
    run(comparison, "fence", words![epoch.to_string()]);
    run(comparison, "note_step", words![epoch.to_string(), random.u8(1..6).to_string()]);
    comparison.run(&["UNLINK".into(), KEYS[STAGED_FREE].into(), KEYS[STAGED_BUYERS].into()]);
    let next = random.u32(0..4);
    let winners = random.u32(0..=next);
    let mut stage = words![(next - winners).to_string()];
    stage.extend((winners..next).map(|unit| Word::from((unit + 1).to_string())));
    for unit in 1..=winners {
        stage.extend(words![format!("user-{unit}"), format!("{unit} ledger-{unit} 5-18446744073709551615")]);
    }
    run(comparison, "stage", stage);
    let counted = if random.u8(..8) == 0 { next + 1 } else { next };
    let args = words![epoch.to_string(), "6", counted.to_string(), "", "", "0", random.u8(0..2).to_string()];
    run(comparison, "open", args)
}

fn step(comparison: &mut Comparison, random: &mut fastrand::Rng, epoch: &mut u32) {
    let user = format!("user-{}", random.u8(1..8));
    let id = if random.bool() { format!("id-{}", &user[5..]) } else { format!("id-{}", random.u16(..)) };
    let server = if random.u8(..12) == 0 { "another".into() } else { Word::Server };
    let seen_epoch = if random.u8(..20) == 0 { *epoch + 1 } else { *epoch }.to_string();
    let seen_unit = if random.u8(..20) == 0 { "9" } else { "0" };
    let flag = random.u8(0..2).to_string();
    let entry = if comparison.entries() > 0 {
        Word::Entry(random.usize(comparison.entries().saturating_sub(6)..comparison.entries()))
    } else {
        "9-9".into()
    };
    let of_epoch = if random.u8(..8) == 0 { *epoch + 1 } else { *epoch }.to_string();
    let unit = random.u8(1..8).to_string();
    match random.u8(..40) {
        0..11 => run(comparison, "admit", words![user, id, server, seen_epoch, seen_unit]),
        11 => run(comparison, "distrust", words![seen_epoch, seen_unit]),
        12..15 => run(comparison, "sale", words![server, seen_epoch, seen_unit]),
        15..18 => run(comparison, "find", words![user, server, seen_epoch, seen_unit]),
        18..22 => {
            let mut args = words![of_epoch, if random.u8(..4) == 0 { "1" } else { "0" }];
            args.extend([entry, id.into()]);
            run(comparison, "settle", args)
        }
        22..25 => {
            let stands = if random.bool() { String::new() } else { format!("{unit} ledger-9 5-5") };
            run(comparison, "withdraw", words![user, id, stands, flag, server, seen_epoch, seen_unit])
        }
        25..28 => run(comparison, "reassign", words![user, id, unit, flag, server, seen_epoch, seen_unit]),
        28..30 => run(comparison, "adopt", words![user, format!("{unit} ledger-{unit} 5-5")]),
        30..33 => run(comparison, "republish", words![user, id]),
        33..36 => {
            let (opens, closes) = match random.u8(..6) {
                0 => ("4000000000000", ""),
                1 => ("", "5"),
                _ => ("5", "4000000000000"),
            };
            let paused = if random.u8(..5) == 0 { "1" } else { "0" };
            let total = random.u8(4..9).to_string();
            run(comparison, "configure", words![of_epoch, total, opens, closes, paused])
        }
        36 => {
            *epoch += 1;
            rebuild(comparison, random, *epoch)
        }
        37 => {
            let damage = [
                words!["DEL", KEYS[random.usize(..5)]],
                words!["SADD", KEYS[random.usize(..5)], "planted"],
                words!["HDEL", KEYS[BUYERS], user],
                words!["SCRIPT", "FLUSH"],
            ];
            comparison.run(&damage[random.usize(..damage.len())])
        }
        _ => run(comparison, "fence", words![epoch.saturating_sub(1).to_string()]),
    };
}

#[test]
fn the_scripts_of_admission_do_the_same_as_on_redis_server() {
    let Some(mut comparison) = Comparison::start() else { return };
    let mut random = random();
    for _ in 0..30 {
        let mut epoch = 1;
        rebuild(&mut comparison, &mut random, epoch);
        for _ in 0..80 {
            step(&mut comparison, &mut random, &mut epoch);
        }
        comparison.compare_data();
        comparison.run(&["FLUSHALL".into()]);
    }
}
