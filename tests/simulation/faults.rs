//! Faults: each takes hold at a time, and is healed after a time.

use std::time::Duration;

use chrono::TimeDelta;
use flashsale::audit;
use tokio::time::sleep;

use crate::{
    executor::WORLD, failures, ledger::Reach, operator, process::Role, rabbit::Confirms, redis::Delivery,
    world::World,
};

/// One fault of a run.
#[derive(Clone, Debug)]
pub(crate) struct Strike {
    /// Since the beginning of the run.
    pub(crate) at: Duration,
    pub(crate) lasts: Duration,
    pub(crate) fault: Fault,
}

#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// A process crashes after this number of polls, and is started again after the fault's time.
    Crash(Role, u32),
    /// A process is frozen.
    Freeze(Role),
    /// A process ends in order, and another one is started.
    Stop(Role),
    BrokerDown,
    BrokerCut,
    BrokerAlarm,
    ConfirmsLate,
    ConfirmsNever,
    /// Everything in the broker is lost.
    BrokerWiped,
    LedgerDown,
    LedgerSilent,
    LedgerRestarts,
    /// Of a hundred replies to COMMIT, how many are lost.
    LedgerRepliesLost(u32),
    RedisFrozen,
    RedisUnreachable(Delivery),
    RedisFull,
    RedisLoading,
    /// kill -9 and start, without the latest writes.
    RedisRestarts(usize),
    RedisWiped,
    /// A replica without the latest writes is promoted; the former primary has ended.
    RedisReplicaPromoted(usize),
    /// An operator cancels a recorded purchase.
    Cancellation {
        keeps_unit: bool,
        may_buy_again: bool,
    },
    /// Of the scenario of this name, as those that follow.
    SplitBrain(usize),
    Failback(usize),
    DeadLetterAndLoss,
    DeadLetterReplayed,
    RestoredDatabase,
    RestoredInPlace,
    ClockAhead,
    OrderlyFailover,
    OutboxEvicted,
    QueueStalls,
}

impl Fault {
    /// A fault that loses nothing which a store has confirmed.
    pub(crate) fn random(random: &mut fastrand::Rng) -> Self {
        let role = if random.bool() { Role::Serve } else { Role::Work };
        let delivery =
            [Delivery::Refused, Delivery::RequestsLost, Delivery::RepliesLost, Delivery::RepliesCut];
        match random.u32(0..20) {
            0..4 => Self::Crash(role, random.u32(1..200)),
            4 => Self::Freeze(role),
            5 => Self::Stop(role),
            6 => Self::BrokerDown,
            7 => Self::BrokerCut,
            8..11 => Self::BrokerAlarm,
            11 if random.bool() => Self::ConfirmsLate,
            11 => Self::ConfirmsNever,
            12 => Self::LedgerDown,
            13 => Self::LedgerSilent,
            14 => Self::LedgerRestarts,
            15 => Self::LedgerRepliesLost(random.u32(10..100)),
            16 => Self::RedisFrozen,
            17 => Self::RedisFull,
            18 => Self::RedisLoading,
            _ => Self::RedisUnreachable(*random.choice(&delivery).expect("a choice")),
        }
    }

    /// A fault in which a store loses what it has confirmed.
    pub(crate) fn random_loss(of_redis: bool, random: &mut fastrand::Rng) -> Self {
        match random.u32(0..4) {
            _ if !of_redis => Self::BrokerWiped,
            0 => Self::RedisRestarts(random.usize(0..20)),
            1 => Self::RedisReplicaPromoted(random.usize(0..20)),
            _ => Self::RedisWiped,
        }
    }

    pub(crate) fn loses_data(&self) -> bool {
        matches!(self, Self::BrokerWiped | Self::RedisRestarts(_)) || self.loses_redis()
    }

    /// Whether Redis loses data that it has answered with.
    fn loses_redis(&self) -> bool {
        matches!(
            self,
            Self::RedisRestarts(1..)
                | Self::RedisWiped
                | Self::RedisReplicaPromoted(_)
                | Self::SplitBrain(_)
                | Self::Failback(_)
                | Self::DeadLetterAndLoss
                | Self::DeadLetterReplayed
                | Self::RestoredDatabase
        )
    }
}

impl Strike {
    /// Waits for its time, takes hold, and is healed.
    pub(crate) async fn run(self, world: World) {
        sleep(self.at).await;
        let start = world.sim.now().timestamp_millis();
        world.sim.note(WORLD, format_args!("FAULT {:?} for {:?}", self.fault, self.lasts));
        let took_hold = self.take_hold(&world).await;
        world.sim.note(WORLD, format_args!("FAULT {:?} is over", self.fault));
        world.add_fault(audit::Fault {
            name: format!("{:?}", self.fault),
            start,
            end: world.sim.now().timestamp_millis(),
            took_hold,
            loses_redis: took_hold && self.fault.loses_redis(),
            loses_rows: took_hold && matches!(self.fault, Fault::RestoredDatabase | Fault::RestoredInPlace),
        });
    }

    /// Whether there was something to do it to.
    async fn take_hold(&self, world: &World) -> bool {
        let lasts = self.lasts;
        let World { sim, database, rabbit, .. } = world;
        match &self.fault {
            Fault::Crash(role, polls) => {
                let Some(pid) = world.choose(*role) else { return false };
                sim.executor.crash_after(pid, *polls);
                sleep(lasts).await;
                world.crash(pid);
                world.replace(*role);
            }
            Fault::Freeze(role) => {
                let Some(pid) = world.choose(*role) else { return false };
                world.freeze(pid, lasts).await;
            }
            Fault::Stop(role) => {
                let Some(pid) = world.choose(*role) else { return false };
                world.stop(pid).await;
                sleep(lasts).await;
                world.replace(*role);
            }
            Fault::BrokerDown => {
                rabbit.kill(sim);
                sleep(lasts).await;
                rabbit.start(sim);
            }
            Fault::BrokerCut => rabbit.cut(sim),
            Fault::BrokerAlarm => {
                rabbit.set_alarm(sim, true);
                sleep(lasts).await;
                rabbit.set_alarm(sim, false);
            }
            Fault::ConfirmsLate | Fault::ConfirmsNever => {
                let late = Confirms::Late(sim.draw(|random| Duration::from_millis(random.u64(100..7_000))));
                let never = matches!(self.fault, Fault::ConfirmsNever);
                rabbit.set_confirms(sim, if never { Confirms::Never } else { late });
                sleep(lasts).await;
                rabbit.set_confirms(sim, Confirms::Prompt);
            }
            Fault::BrokerWiped => rabbit.wipe(sim),
            Fault::Cancellation { keeps_unit, may_buy_again } => {
                return operator::cancel_any(world, *keeps_unit, *may_buy_again).await;
            }
            Fault::LedgerDown | Fault::LedgerSilent => {
                let silent = matches!(self.fault, Fault::LedgerSilent);
                database.set_reach(sim, if silent { Reach::Silent } else { Reach::Down });
                sleep(lasts).await;
                database.set_reach(sim, Reach::Up);
            }
            Fault::LedgerRestarts => database.restart(sim),
            Fault::LedgerRepliesLost(percent) => {
                database.set_replies_lost(sim, *percent);
                sleep(lasts).await;
                database.set_replies_lost(sim, 0);
            }
            _ => return self.strike_redis(world).await,
        }
        true
    }

    async fn strike_redis(&self, world: &World) -> bool {
        let World { redis, .. } = world;
        // One at a time: two failovers that overlap make a split brain, which is a scenario of its own.
        let _alone = world.redis_is_struck.lock().await;
        let server = redis.address();
        match &self.fault {
            Fault::RedisFrozen => {
                redis.set_frozen(server, true);
                sleep(self.lasts).await;
                redis.set_frozen(server, false);
            }
            Fault::RedisUnreachable(delivery) => {
                redis.set_delivery(server, *delivery, None);
                sleep(self.lasts).await;
                redis.set_delivery(server, Delivery::Normal, None);
            }
            Fault::RedisFull => {
                redis.set_full(server, true);
                sleep(self.lasts).await;
                redis.set_full(server, false);
            }
            Fault::RedisLoading => {
                redis.set_loading(server, true);
                sleep(self.lasts).await;
                redis.set_loading(server, false);
            }
            Fault::RedisRestarts(lost) => {
                redis.kill(server);
                sleep(self.lasts).await;
                redis.restart(server, *lost);
                world.note_redis_loss();
            }
            Fault::RedisWiped => {
                redis.kill(server);
                sleep(self.lasts).await;
                redis.wipe(server);
                world.note_redis_loss();
            }
            Fault::RedisReplicaPromoted(lag) => {
                let replica = redis.add_replica();
                redis.kill(server);
                sleep(self.lasts).await;
                redis.promote(replica, *lag);
                world.note_redis_loss();
            }
            _ => self.strike_several(world).await,
        }
        true
    }

    async fn strike_several(&self, world: &World) {
        match self.fault {
            Fault::SplitBrain(lag) => failures::split_brain(world, lag, self.lasts).await,
            Fault::Failback(lag) => failures::failback(world, lag).await,
            Fault::DeadLetterAndLoss => failures::dead_letter_and_loss(world, self.lasts).await,
            Fault::DeadLetterReplayed => failures::dead_letter_replayed(world, self.lasts).await,
            Fault::RestoredDatabase => failures::restored_database(world, self.lasts).await,
            Fault::RestoredInPlace => failures::restored_in_place(world, self.lasts).await,
            Fault::ClockAhead => failures::clock_ahead(world, self.lasts).await,
            Fault::OrderlyFailover => failures::orderly_failover(world),
            Fault::OutboxEvicted => failures::outbox_evicted(world, self.lasts).await,
            Fault::QueueStalls => failures::queue_stalls(world, self.lasts).await,
            _ => unreachable!("handled before"),
        }
    }
}

/// How far a process's wall clock is off.
pub(crate) fn wrong_clock(random: &mut fastrand::Rng) -> TimeDelta {
    TimeDelta::milliseconds(random.i64(-3_600_000..3_600_000))
}
