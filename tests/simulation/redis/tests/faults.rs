//! Memory, loading, clocks, eviction.

use redis::{RedisError, ServerErrorKind};

use super::support::{START_MILLIS, simulated, text};
use crate::redis::cluster::SimRedis;

const WRITES: &str = "#!lua\nreturn redis.call('SET', 'key', 'value')";
const MAY_WRITE_WHEN_FULL: &str = "#!lua flags=allow-oom\nreturn redis.call('SET', 'key', 'value')";
const READS: &str = "#!lua flags=no-writes\nreturn redis.call('GET', 'key')";

fn eval(redis: &SimRedis, server: usize, script: &str) -> Result<(), RedisError> {
    redis.run(server, &["EVAL", script, "0"]).map(drop)
}

fn code(result: Result<impl std::fmt::Debug, RedisError>) -> String {
    result.expect_err("a refusal").code().expect("an error code").to_owned()
}

#[test]
fn a_full_server_refuses_what_may_need_memory() {
    let (redis, _) = simulated();
    eval(&redis, 0, WRITES).unwrap();
    redis.set_full(0, true);
    let writes = redis.writes(0);
    assert_eq!(code(eval(&redis, 0, WRITES)), "OOM");
    // The first line decides, whatever the script would do; without one each command does.
    assert_eq!(code(eval(&redis, 0, "#!lua\nreturn 1")), "OOM");
    eval(&redis, 0, "return 1").unwrap();
    assert_eq!(code(redis.run(0, &["SET", "key", "value"])), "OOM");
    assert_eq!(code(eval(&redis, 0, "return redis.call('SET', 'key', 'value')")), "OOM");
    assert_eq!(redis.writes(0), writes);
    eval(&redis, 0, READS).unwrap();
    eval(&redis, 0, MAY_WRITE_WHEN_FULL).unwrap();
    redis.run(0, &["DEL", "key"]).unwrap();
    redis.set_full(0, false);
    eval(&redis, 0, WRITES).unwrap();
}

#[test]
fn a_replica_runs_only_scripts_that_read() {
    let (redis, _) = simulated();
    let replica = redis.add_replica();
    eval(&redis, 0, WRITES).unwrap();
    assert_eq!(code(eval(&redis, replica, WRITES)), "READONLY");
    assert_eq!(code(eval(&redis, replica, MAY_WRITE_WHEN_FULL)), "READONLY");
    assert_eq!(code(eval(&redis, replica, "return redis.call('SET', 'key', 'value')")), "READONLY");
    eval(&redis, replica, READS).unwrap();
}

#[test]
fn a_server_that_loads_answers_nothing_but_info() {
    let (redis, _) = simulated();
    redis.set_loading(0, true);
    let refused = redis.run(0, &["PING"]).expect_err("a refusal");
    assert_eq!(refused.kind(), redis::ErrorKind::Server(ServerErrorKind::BusyLoading));
    assert_eq!(code(eval(&redis, 0, READS)), "LOADING");
    assert!(text(redis.run(0, &["INFO", "server"])).contains("run_id:"));
    redis.set_loading(0, false);
    eval(&redis, 0, READS).unwrap();
}

#[test]
fn stream_ids_rise_when_the_clock_goes_back() {
    let (redis, time) = simulated();
    let add = || text(redis.run(0, &["XADD", "stream", "*", "field", "value"]));
    assert_eq!(add(), format!("{START_MILLIS}-0"));
    redis.set_clock_ahead(0, 60_000);
    assert_eq!(add(), format!("{}-0", START_MILLIS + 60_000));
    redis.set_clock_ahead(0, -60_000);
    assert_eq!(add(), format!("{}-1", START_MILLIS + 60_000));
    redis.set_clock_ahead(0, 0);
    time.advance(60_001);
    assert_eq!(add(), format!("{}-0", START_MILLIS + 60_001));
    let seconds: (u64, u64) = redis::from_redis_value(redis.run(0, &["TIME"]).unwrap()).unwrap();
    assert_eq!(seconds.0 * 1000 + seconds.1 / 1000, START_MILLIS + 60_001);
}

#[test]
fn clocks_of_servers_differ_independently() {
    let (redis, _) = simulated();
    let replica = redis.add_replica();
    redis.set_clock_ahead(replica, 90_000);
    redis.promote(replica, 0);
    let added = text(redis.run(replica, &["XADD", "stream", "*", "field", "value"]));
    assert_eq!(added, format!("{}-0", START_MILLIS + 90_000));
    assert_eq!(text(redis.run(0, &["XADD", "stream", "*", "field", "value"])), format!("{START_MILLIS}-0"));
}

#[test]
fn keys_expire_by_the_clock_of_the_primary() {
    let (redis, time) = simulated();
    let replica = redis.add_replica();
    redis.run(0, &["SET", "key", "value"]).unwrap();
    redis.run(0, &["EXPIRE", "key", "10"]).unwrap();
    let there = |server| redis.run(server, &["EXISTS", "key"]).unwrap() == redis::Value::Int(1);
    time.advance(9_999);
    assert!(there(0) && there(replica));
    time.advance(1);
    assert!(!there(0) && !there(replica));
}

#[test]
fn an_evicted_key_is_gone_from_the_replicas_too() {
    let (redis, _) = simulated();
    let replica = redis.add_replica();
    redis.run(0, &["SET", "key", "value"]).unwrap();
    assert!(redis.evict(0, "key"));
    assert!(!redis.evict(0, "key"));
    assert_eq!(redis.run(replica, &["EXISTS", "key"]), Ok(redis::Value::Int(0)));
}

#[test]
fn a_script_that_fails_keeps_what_it_has_written() {
    let (redis, _) = simulated();
    let replica = redis.add_replica();
    let script = "redis.call('SET', 'key', 'value') return redis.call('LLEN', 'key')";
    assert_eq!(code(eval(&redis, 0, script)), "WRONGTYPE");
    assert_eq!(text(redis.run(replica, &["GET", "key"])), "value");
}

#[test]
fn scripts_are_forgotten_by_a_restart_a_flush_and_a_failover() {
    let (redis, _) = simulated();
    let replica = redis.add_replica();
    let load = |server| text(redis.run(server, &["SCRIPT", "LOAD", READS]));
    let sha = load(0);
    let run = |server| redis.run(server, &["EVALSHA", &sha, "0"]);
    run(0).unwrap();
    assert_eq!(code(run(replica)), "NOSCRIPT");
    redis.restart(0, 0);
    assert_eq!(code(run(0)), "NOSCRIPT");
    load(0);
    run(0).unwrap();
    redis.run(0, &["SCRIPT", "FLUSH"]).unwrap();
    assert_eq!(code(run(0)), "NOSCRIPT");
    redis.promote(replica, 0);
    assert_eq!(code(run(replica)), "NOSCRIPT");
}
