//! The faults of the scenarios: several things in a row.

use std::time::Duration;

use tokio::time::sleep;

use crate::{executor::WORLD, ledger::Reach, oracle, process::Role, rabbit::Confirms, world::World};

const MOMENT: Duration = Duration::from_millis(300);
/// A rebuild takes less, where nothing else is wrong.
const REBUILT_WITHIN: Duration = Duration::from_secs(8);
const CLOCK_AHEAD_MILLIS: i64 = 600_000;

/// A replica is promoted; the processes of one role and new ones find it, the others keep the former primary.
pub(super) async fn split_brain(world: &World, lag: usize, lasts: Duration) {
    let World { redis, .. } = world;
    let former = redis.address();
    let replica = redis.add_replica();
    redis.promote(replica, lag);
    world.note_redis_loss();
    world.crash_all(Role::Work);
    world.start_missing();
    world.replace(Role::Serve);
    sleep(lasts + REBUILT_WITHIN).await;
    redis.kill(former);
}

/// All of it takes less than a second, and no connection ends.
pub(super) async fn failback(world: &World, lag: usize) {
    let World { redis, .. } = world;
    let primary = redis.address();
    let replica = redis.add_replica();
    sleep(MOMENT).await;
    redis.fail_over(replica, lag);
    redis.fail_over(primary, 0);
    world.note_redis_loss();
}

/// Workers die with messages in their hands, which the broker then gives up; Redis is lost before the outbox is swept.
pub(super) async fn dead_letter_and_loss(world: &World, lasts: Duration) {
    let World { sim, rabbit, redis, database, .. } = world;
    rabbit.set_delivery_limit(sim, 0);
    database.set_reach(sim, Reach::Silent);
    sleep(lasts).await;
    world.crash_all(Role::Work);
    rabbit.set_delivery_limit(sim, 100);
    database.set_reach(sim, Reach::Up);
    redis.wipe(redis.address());
    world.note_redis_loss();
    world.start_missing();
}

/// An operator replays all dead letters, again and again, while the sale is rebuilt.
pub(super) async fn dead_letter_replayed(world: &World, lasts: Duration) {
    dead_letter_and_loss(world, lasts).await;
    let (stores, _) = world.operator();
    let until = world.sim.elapsed() + REBUILT_WITHIN;
    while world.sim.elapsed() < until {
        if let Err(error) = oracle::replay_all(&stores).await {
            world.sim.note(WORLD, format_args!("dead letters are not replayed: {error}"));
        }
        sleep(world.sim.draw(|random| Duration::from_millis(random.u64(1..50)))).await;
    }
}

pub(super) async fn restored_database(world: &World, lasts: Duration) {
    let World { sim, redis, database, .. } = world;
    let earlier = database.snapshot();
    sleep(lasts).await;
    redis.wipe(redis.address());
    world.note_redis_loss();
    sleep(REBUILT_WITHIN).await;
    database.restore(sim, earlier);
}

/// Redis was not rebuilt since the backup.
pub(super) async fn restored_in_place(world: &World, lasts: Duration) {
    let earlier = world.database.snapshot();
    sleep(lasts).await;
    // As after a loss of Redis, the law holds again once everything is recorded anew.
    world.note_redis_loss();
    world.database.restore(&world.sim, earlier);
}

/// Purchases that only the outbox has are given times of the future.
pub(super) async fn clock_ahead(world: &World, lasts: Duration) {
    let World { sim, redis, rabbit, .. } = world;
    let server = redis.address();
    redis.set_clock_ahead(server, CLOCK_AHEAD_MILLIS);
    rabbit.set_alarm(sim, true);
    sleep(lasts).await;
    world.crash_all(Role::Serve);
    rabbit.set_alarm(sim, false);
    redis.set_clock_ahead(server, 0);
    world.start_missing();
}

pub(super) fn orderly_failover(world: &World) {
    let replica = world.redis.add_replica();
    world.redis.fail_over(replica, 0);
}

/// Purchases that only the outbox has are lost with it.
pub(super) async fn outbox_evicted(world: &World, lasts: Duration) {
    let World { sim, redis, rabbit, product, .. } = world;
    rabbit.set_confirms(sim, Confirms::Never);
    rabbit.set_alarm(sim, true);
    sleep(lasts).await;
    redis.evict(redis.address(), &format!("flashsale:{{{}}}:outbox", product.id));
    world.note_redis_loss();
    world.crash_all(Role::Serve);
    rabbit.set_alarm(sim, false);
    rabbit.set_confirms(sim, Confirms::Prompt);
    world.start_missing();
}

/// Everything that the broker had is lost, and what it gets is not confirmed until the queue is replaced.
pub(super) async fn queue_stalls(world: &World, lasts: Duration) {
    let World { sim, rabbit, .. } = world;
    rabbit.kill(sim);
    sleep(lasts.min(MOMENT)).await;
    rabbit.start_stalled(sim);
}
