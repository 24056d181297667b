//! Replication, rollback, failover with and without lag, split brain and failback.

use redis::ServerErrorKind;

use super::support::{info, random, simulated, text};
use crate::redis::{cluster::SimRedis, connection::SimConnection, keyspace::Keyspace};

/// Sells one unit by a script that makes three writes.
const SELL: &str = "local unit = redis.call('HINCRBY', 'sale', 'next', 1)
redis.call('XADD', 'outbox', '*', 'unit', unit)
redis.call('RPUSH', 'sold', unit)
return unit";

fn sell(redis: &SimRedis, server: usize, units: usize) {
    for _ in 0..units {
        redis.run(server, &["EVAL", SELL, "0"]).unwrap();
    }
}

fn sold(redis: &SimRedis, server: usize) -> i64 {
    redis::from_redis_value(redis.run(server, &["LLEN", "sold"]).unwrap()).unwrap()
}

fn data(redis: &SimRedis, server: usize) -> Keyspace {
    redis.with(server, |node| {
        assert_eq!(node.server.replay(), node.server.keyspace, "server {server} has what its log makes");
        node.server.keyspace.clone()
    })
}

fn is_read_only(redis: &SimRedis, server: usize) -> bool {
    let refused = redis.run(server, &["SET", "a", "b"]).expect_err("a replica");
    refused.kind() == redis::ErrorKind::Server(ServerErrorKind::ReadOnly)
}

#[test]
fn a_replica_has_what_its_primary_has() {
    let (redis, time) = simulated();
    let (early, mut random) = (redis.add_replica(), random());
    for _ in 0..300 {
        time.advance(random.u64(0..3));
        let key = ["a", "b", "c"][random.usize(..3)];
        let command: &[&str] = match random.u8(..8) {
            0 => &["SADD", key, "x"],
            1 => &["RPUSH", key, "x"],
            2 => &["XADD", key, "*", "field", "value"],
            3 => &["DEL", key],
            4 => &["PEXPIRE", key, "5"],
            5 => &["RENAME", key, "d"],
            6 => &["EVAL", SELL, "0"],
            _ => &["HINCRBY", key, "field", "1"],
        };
        // Wrong types are refused, on the primary only.
        let _ = redis.run(0, command);
        if random.u8(..10) == 0 {
            assert_eq!(data(&redis, early), data(&redis, 0));
        }
    }
    let late = redis.add_replica();
    assert_eq!(data(&redis, early), data(&redis, 0));
    assert_eq!(data(&redis, late), data(&redis, 0));
    assert!(redis.writes(0) > 50);
    assert!(is_read_only(&redis, early));
    assert_eq!(info(&redis, 0, "connected_slaves"), "2");
    assert_eq!(info(&redis, late, "role"), "slave");
    assert_eq!(info(&redis, late, "master_replid"), info(&redis, 0, "master_replid"));
}

#[test]
fn a_restart_loses_whole_writes_and_nothing_before_them() {
    let (redis, _) = simulated();
    let mut states = vec![data(&redis, 0)];
    for _ in 0..8 {
        sell(&redis, 0, 1);
        states.push(data(&redis, 0));
    }
    for lost in [0, 1, 2] {
        let kept = redis.writes(0) - lost;
        let before = (info(&redis, 0, "run_id"), info(&redis, 0, "master_replid"));
        redis.restart(0, lost);
        assert_eq!(data(&redis, 0), states[kept]);
        assert_ne!(info(&redis, 0, "run_id"), before.0);
        assert_ne!(info(&redis, 0, "master_replid"), before.1);
    }
    sell(&redis, 0, 1);
    assert_eq!(sold(&redis, 0), 6);
    redis.wipe(0);
    assert_eq!(data(&redis, 0), Keyspace::default());
}

#[test]
fn a_replica_takes_over_what_its_primary_lost() {
    let (redis, _) = simulated();
    let replica = redis.add_replica();
    sell(&redis, 0, 5);
    assert_eq!(sold(&redis, replica), 5);
    redis.restart(0, 2);
    sell(&redis, 0, 1);
    assert_eq!(sold(&redis, replica), 4);
    assert_eq!(data(&redis, replica), data(&redis, 0));
}

#[test]
fn a_promoted_replica_lacks_what_had_not_arrived() {
    let (redis, _) = simulated();
    let (replica, other) = (redis.add_replica(), redis.add_replica());
    sell(&redis, 0, 10);
    let (run_id, replid) = (info(&redis, replica, "run_id"), info(&redis, 0, "master_replid"));
    sell(&redis, 0, 10);
    redis.kill(0);
    redis.promote(replica, 3);
    assert_eq!(redis.address(), replica);
    assert_eq!(sold(&redis, replica), 17);
    assert_eq!(info(&redis, replica, "role"), "master");
    assert_eq!(info(&redis, replica, "run_id"), run_id, "the process is the same");
    assert_ne!(info(&redis, replica, "master_replid"), replid, "the history is another one");
    assert_eq!(info(&redis, replica, "master_replid2"), replid);
    assert_eq!(sold(&redis, other), 17, "the other replica follows the new primary");
    redis.restart(0, 0);
    assert_eq!(sold(&redis, 0), 20, "the former primary knows nothing of the failover");
}

#[test]
fn what_a_replica_has_shown_is_not_behind_any_more() {
    let (redis, _) = simulated();
    let replica = redis.add_replica();
    redis.set_lag(replica, 4);
    sell(&redis, 0, 10);
    assert_eq!(sold(&redis, replica), 6);
    redis.set_attached(replica, false);
    sell(&redis, 0, 5);
    assert_eq!(sold(&redis, replica), 6);
    redis.promote(replica, 0);
    assert_eq!(sold(&redis, replica), 6);

    let (redis, _) = simulated();
    let replica = redis.add_replica();
    sell(&redis, 0, 10);
    assert_eq!(sold(&redis, replica), 10);
    redis.promote(replica, 4);
    assert_eq!(sold(&redis, replica), 10);
}

async fn sell_on(connection: &mut SimConnection) -> redis::RedisResult<i64> {
    redis::cmd("EVAL").arg(SELL).arg(0).query_async(connection).await
}

#[tokio::test(start_paused = true)]
async fn a_former_primary_goes_on_beside_the_new_one_until_it_is_demoted() {
    let (redis, _) = simulated();
    let replica = redis.add_replica();
    let mut old = redis.connect().await.unwrap();
    sell(&redis, 0, 10);
    redis.promote(replica, 2);
    let mut new = redis.connect().await.unwrap();
    assert_eq!(sell_on(&mut old).await, Ok(11));
    assert_eq!(sell_on(&mut new).await, Ok(9), "a unit that the former primary has sold before");
    assert_eq!((old.server(), new.server()), (0, replica));
    redis.route_to(0);
    assert_eq!(
        redis.connect().await.unwrap().server(),
        0,
        "a name service that knows only the former primary"
    );
    redis.route_to(replica);
    redis.demote(0);
    let refused = sell_on(&mut old).await.expect_err("a replica");
    assert_eq!(refused.kind(), redis::ErrorKind::Server(ServerErrorKind::ReadOnly));
    assert_eq!(redis::cmd("PING").query_async::<String>(&mut old).await.unwrap(), "PONG");
    assert_eq!(data(&redis, 0), data(&redis, replica), "what the former primary sold alone is gone");
}

#[test]
fn a_failback_changes_the_history_and_not_the_process() {
    let (redis, _) = simulated();
    let replica = redis.add_replica();
    sell(&redis, 0, 10);
    let (run_id, replid) = (info(&redis, 0, "run_id"), info(&redis, 0, "master_replid"));
    redis.fail_over(replica, 4);
    assert!(is_read_only(&redis, 0));
    redis.fail_over(0, 0);
    assert_eq!(sold(&redis, 0), 6, "the data of the server that lagged");
    assert_eq!(info(&redis, 0, "run_id"), run_id);
    assert_ne!(info(&redis, 0, "master_replid"), replid);
    assert_eq!(info(&redis, 0, "role"), "master");
    assert!(is_read_only(&redis, replica));
    sell(&redis, 0, 1);
    assert_eq!(sold(&redis, replica), 7);
}

#[test]
fn a_history_gets_another_name_without_replicas() {
    let (redis, _) = simulated();
    let (run_id, replid) = (info(&redis, 0, "run_id"), info(&redis, 0, "master_replid"));
    redis.forget_backlog(0);
    assert_eq!(info(&redis, 0, "run_id"), run_id);
    assert_ne!(info(&redis, 0, "master_replid"), replid);
}

#[test]
fn the_same_calls_give_the_same_servers() {
    let run = || {
        let (redis, time) = simulated();
        let replica = redis.add_replica();
        sell(&redis, 0, 3);
        time.advance(5);
        redis.fail_over(replica, 1);
        sell(&redis, replica, 2);
        (redis.fingerprint(), text(redis.run(0, &["INFO"])))
    };
    assert_eq!(run(), run());
}
