//! Connections: the driver's commands, pipelines and scripts on them, and what happens to requests on their way.

use std::time::Duration;

use redis::{AsyncCommands as _, RedisResult, Script, Value};
use tokio::time::{Instant, timeout};

use super::support::simulated;
use crate::redis::{connection::SimConnection, network::Delivery};

const SECOND: Duration = Duration::from_secs(1);

async fn increase(mut connection: SimConnection) -> RedisResult<i64> {
    connection.incr("counter", 1).await
}

#[tokio::test(start_paused = true)]
async fn the_driver_works_as_on_a_real_connection() {
    let (redis, _) = simulated();
    let mut connection = redis.connect().await.unwrap();
    let script = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    assert_eq!(script.key("counter").arg(5).invoke_async::<i64>(&mut connection).await, Ok(5));
    redis.run(0, &["SCRIPT", "FLUSH"]).unwrap();
    assert_eq!(script.key("counter").arg(5).invoke_async::<i64>(&mut connection).await, Ok(10));

    let mut pipeline = redis::pipe();
    pipeline.cmd("SET").arg("a").arg(1).ignore().cmd("INCR").arg("a").cmd("GET").arg("a");
    assert_eq!(pipeline.query_async(&mut connection).await, Ok((2, "2".to_owned())));
    pipeline.atomic();
    assert_eq!(pipeline.query_async(&mut connection).await, Ok((2, "2".to_owned())));
    let writes = redis.writes(0);
    pipeline.query_async::<Value>(&mut connection).await.unwrap();
    assert_eq!(redis.writes(0), writes + 1, "a transaction is kept or lost as a whole");

    let mut wrong = redis::pipe();
    wrong.cmd("INCR").arg("a").cmd("LLEN").arg("a");
    let error = wrong.query_async::<(i64, i64)>(&mut connection).await.expect_err("a wrong type");
    assert!(error.to_string().contains("WRONGTYPE"), "{error}");
    wrong.atomic().cmd("HLEN");
    let error = wrong.query_async::<Value>(&mut connection).await.expect_err("a transaction with a mistake");
    assert_eq!(error.code(), Some("EXECABORT"));
    assert_eq!(connection.get::<_, i64>("a").await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn replies_take_simulated_time() {
    let (redis, _) = simulated();
    let connection = redis.connect().await.unwrap();
    redis.set_delays(0, SECOND, SECOND);
    let started = Instant::now();
    for expected in 1..=50 {
        assert_eq!(increase(connection.clone()).await, Ok(expected));
    }
    let elapsed = started.elapsed();
    assert!(elapsed > 20 * SECOND && elapsed < 100 * SECOND, "{elapsed:?}");
    redis.heal(0);
    let started = Instant::now();
    increase(connection).await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn requests_of_a_connection_arrive_in_order() {
    let (redis, _) = simulated();
    let connection = redis.connect().await.unwrap();
    redis.set_delays(0, SECOND, SECOND);
    let append = |number: usize| {
        let mut connection = connection.clone();
        async move { connection.rpush::<_, _, i64>("list", number).await }
    };
    futures_util::future::try_join_all((0..50).map(append)).await.unwrap();
    let list: Vec<usize> =
        redis::from_redis_value(redis.run(0, &["LRANGE", "list", "0", "-1"]).unwrap()).unwrap();
    assert_eq!(list, (0..50).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_request_is_executed_when_its_client_has_gone() {
    let (redis, _) = simulated();
    let connection = redis.connect().await.unwrap();
    redis.set_delays(0, 10 * SECOND, Duration::ZERO);
    for _ in 0..5 {
        let abandoned = timeout(Duration::from_micros(1), increase(connection.clone())).await;
        assert!(abandoned.is_err());
    }
    redis.heal(0);
    tokio::time::sleep(11 * SECOND).await;
    assert_eq!(increase(connection).await, Ok(6));
}

#[tokio::test(start_paused = true)]
async fn lost_requests_and_lost_replies_look_alike() {
    let (redis, _) = simulated();
    let connection = redis.connect().await.unwrap().with_response_timeout(SECOND);
    redis.set_delivery(0, Delivery::RequestsLost, Some(2));
    for _ in 0..2 {
        assert!(increase(connection.clone()).await.expect_err("no reply").is_timeout());
    }
    assert_eq!(increase(connection.clone()).await, Ok(1));
    redis.set_delivery(0, Delivery::RepliesLost, Some(2));
    for _ in 0..2 {
        assert!(increase(connection.clone()).await.expect_err("no reply").is_timeout());
    }
    assert_eq!(increase(connection).await, Ok(4));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_cut_has_had_its_request_executed() {
    let (redis, _) = simulated();
    let connection = redis.connect().await.unwrap();
    redis.set_delivery(0, Delivery::RepliesCut, Some(1));
    assert!(increase(connection.clone()).await.expect_err("cut").is_connection_dropped());
    assert!(increase(connection).await.expect_err("a broken connection").is_connection_dropped());
    assert_eq!(increase(redis.connect().await.unwrap()).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn connections_end_with_their_process() {
    let (redis, _) = simulated();
    let connection = redis.connect().await.unwrap();
    redis.kill(0);
    assert!(increase(connection.clone()).await.expect_err("no server").is_connection_dropped());
    assert!(redis.connect().await.err().expect("no server").is_connection_refusal());
    redis.restart(0, 0);
    assert!(increase(connection).await.expect_err("another process").is_connection_dropped());
    assert_eq!(increase(redis.connect().await.unwrap()).await, Ok(1));
    redis.set_delivery(0, Delivery::Refused, None);
    assert!(redis.connect().await.err().expect("a refusal").is_connection_refusal());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_takes_its_replies_along() {
    let (redis, _) = simulated();
    let connection = redis.connect().await.unwrap();
    redis.set_delays(0, Duration::ZERO, 100 * SECOND);
    let waiting = tokio::spawn(increase(connection));
    tokio::time::sleep(Duration::from_millis(1)).await;
    redis.restart(0, 0);
    redis.heal(0);
    assert!(waiting.await.unwrap().expect_err("no server").is_connection_dropped());
    assert_eq!(increase(redis.connect().await.unwrap()).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_server_answers_when_it_continues() {
    let (redis, _) = simulated();
    let connection = redis.connect().await.unwrap();
    redis.set_frozen(0, true);
    let waiting = tokio::spawn(increase(connection.clone()));
    tokio::task::yield_now().await;
    let impatient = increase(connection.clone().with_response_timeout(SECOND)).await;
    assert!(impatient.expect_err("no reply").is_timeout());
    assert_eq!(redis.writes(0), 0);
    redis.set_frozen(0, false);
    assert_eq!(waiting.await.unwrap(), Ok(1));
    assert_eq!(increase(connection).await, Ok(3));
}
