//! The admission script alone, through redis-benchmark.
//!
//! The command is not written down here: it is the one that the API process sent, read by MONITOR,
//! with other users and purchase ids. So it stays right when the script's keys or arguments change.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    process::Command,
    time::Duration,
};

use redis::Commands;

use crate::{
    build::{Build, IN_STOCK, SOLD_OUT},
    load::{Load, once},
};

const USER: &str = "monitored-probe";

/// Of the product with one buyer and of the one with many: how many buyers, and attempts per second
/// that won and that came too late.
pub(crate) fn measure(build: Build<'_>) -> [(u64, f64, f64); 2] {
    let services = build.services;
    let products = [SOLD_OUT, IN_STOCK]
        .map(|product| (format!("{}:{{{product}}}", build.label), command_of_an_attempt(&build, product)));
    // Ended, so that no process publishes what is admitted from here on.
    drop(build);
    let port = services.redis.port.to_string();
    let mut redis = services.redis();
    products.map(|(keys, command)| {
        let (sale, buyers) = (format!("{keys}:sale"), format!("{keys}:buyers"));
        let before: u64 = redis.hlen(&buyers).expect("HLEN");
        let mut run = |total: u64, user: &str, expected: &str| {
            redis.hset::<_, _, _, ()>(&sale, "total", total).expect("HSET");
            let [first, check] = ["__rand_int__", "000000000000"].map(|number| with(&command, user, number));
            let reply: Vec<redis::Value> =
                redis::cmd(&check[0]).arg(&check[1..]).query(&mut redis).expect("reply");
            let outcome: String = redis::from_redis_value(reply[0].clone()).expect("an outcome");
            assert_eq!(outcome, expected, "{check:?}");
            redis_benchmark(&port, &first)
        };
        let won = run(1_000_000_000, "u", "SUCCESS");
        let next: u64 = services.redis().hget(&sale, "next").expect("next");
        (before, won, run(next, "v", "SOLD_OUT"))
    })
}

/// The arguments of EVALSHA as Redis received them for an attempt.
fn command_of_an_attempt(build: &Build<'_>, product: &str) -> Vec<String> {
    let mut monitor = TcpStream::connect(("127.0.0.1", build.services.redis.port)).expect("Redis");
    monitor.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    monitor.write_all(b"MONITOR\r\n").expect("MONITOR");
    let mut lines = BufReader::new(monitor).lines().map(|line| line.expect("a line"));
    assert_eq!(lines.next().as_deref(), Some("+OK"));
    let url = format!("{}/products/{product}/buy", build.serve.url);
    let user = USER.trim_end_matches("probe");
    once(&url, Load::Buy { prefix: user, users: 0 }).expect("an answer");
    let quoted = format!("\"{USER}\"");
    let is_admission = |line: &String| line.to_uppercase().contains("\"EVALSHA\"") && line.contains(&quoted);
    let line = lines.find(is_admission).expect("the admission script");
    let (_, arguments) = line.split_once('"').expect("arguments");
    arguments.trim_end_matches('"').split("\" \"").map(str::to_owned).collect()
}

/// The command for another user and purchase. redis-benchmark replaces `__rand_int__` by twelve digits.
fn with(command: &[String], user: &str, number: &str) -> Vec<String> {
    let replaced = |argument: &String| match argument.as_str() {
        USER => format!("{user}{number}"),
        other if uuid::Uuid::try_parse(other).is_ok() && other.contains('-') => {
            format!("01890000-0000-7000-8000-{number}")
        }
        other => other.to_owned(),
    };
    command.iter().map(replaced).collect()
}

fn redis_benchmark(port: &str, command: &[String]) -> f64 {
    let ended = Command::new("redis-benchmark")
        .args(["-p", port, "-n", "400000", "-P", "32", "-c", "50", "-r", "1000000000", "--csv"])
        .args(command)
        .output()
        .expect("redis-benchmark is installed");
    let text = String::from_utf8_lossy(&ended.stdout).into_owned();
    let rate = text.lines().last().and_then(|line| line.split("\",\"").nth(1));
    let rate = rate.and_then(|rate| rate.trim_matches('"').parse().ok());
    rate.unwrap_or_else(|| panic!("redis-benchmark: {text}"))
}
