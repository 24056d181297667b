//! What a seed makes happen.

use std::time::Duration;

use crate::support::proxy::Link;
use Kind::{
    OutboxLoss, PostgresKill, PostgresLink, QueueDelete, RabbitKill, RabbitLink, RabbitWipe, RedisClock,
    RedisFailback, RedisFailover, RedisFreeze, RedisKill, RedisLink, RedisRollback, RedisSplitBrain,
    RedisWipe, ScriptFlush, ServeFreeze, ServeKill, TableLock, WorkFreeze, WorkKill, WorkTerminate,
};

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    RedisKill,
    RedisWipe,
    RedisRollback,
    RedisFreeze,
    RedisLink(Link),
    /// The replica takes over in order. The former primary lives on as a replica, with its connections.
    RedisFailover,
    /// A replica that lags is promoted. The former primary lives on beside it, and with it the API processes'
    /// connections.
    RedisSplitBrain,
    /// The primary takes over the data of a replica that lags, and is promoted again. It is not restarted.
    RedisFailback,
    /// What is admitted from now on has a time of the future.
    RedisClock,
    OutboxLoss,
    ScriptFlush,
    RabbitKill,
    RabbitWipe,
    QueueDelete,
    RabbitLink(Link),
    PostgresKill,
    PostgresLink(Link),
    TableLock,
    ServeKill,
    ServeFreeze,
    WorkKill,
    WorkFreeze,
    WorkTerminate,
}

/// What a fault is done to: two faults at a time are done to different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Redis,
    Rabbit,
    Postgres,
    Serve,
    Work,
}

/// What a slow link adds to every chunk of bytes.
const SLOW: Duration = Duration::from_millis(150);

const KINDS: [Kind; 42] = [
    RedisKill,
    RedisWipe,
    RedisRollback,
    RedisFreeze,
    RedisLink(Link::Blackhole),
    RedisLink(Link::Strand),
    RedisLink(Link::Refuse),
    RedisLink(Link::CutAnswers),
    RedisLink(Link::Reset),
    RedisLink(Link::Delay(SLOW)),
    RedisLink(Link::CutAnswersAfter(2_000)),
    // More often than by chance: these are the hardest.
    RedisFailover,
    RedisFailover,
    RedisSplitBrain,
    RedisSplitBrain,
    RedisFailback,
    RedisFailback,
    RedisClock,
    OutboxLoss,
    ScriptFlush,
    RabbitKill,
    RabbitWipe,
    QueueDelete,
    RabbitLink(Link::Blackhole),
    RabbitLink(Link::Refuse),
    RabbitLink(Link::CutAnswers),
    RabbitLink(Link::Reset),
    RabbitLink(Link::Delay(SLOW)),
    PostgresKill,
    PostgresLink(Link::Blackhole),
    PostgresLink(Link::Refuse),
    PostgresLink(Link::CutAnswers),
    PostgresLink(Link::Reset),
    PostgresLink(Link::Delay(SLOW)),
    PostgresLink(Link::CutAnswersAfter(2_000)),
    PostgresLink(Link::CutAnswersWith("COMMIT\0")),
    TableLock,
    ServeKill,
    ServeFreeze,
    WorkKill,
    WorkFreeze,
    WorkTerminate,
];

impl Kind {
    pub(super) fn target(self) -> Target {
        match self {
            RedisKill | RedisWipe | RedisRollback | RedisFreeze | RedisLink(_) | RedisFailover
            | RedisSplitBrain | RedisFailback | RedisClock | OutboxLoss | ScriptFlush => Target::Redis,
            RabbitKill | RabbitWipe | QueueDelete | RabbitLink(_) => Target::Rabbit,
            PostgresKill | PostgresLink(_) | TableLock => Target::Postgres,
            ServeKill | ServeFreeze => Target::Serve,
            WorkKill | WorkFreeze | WorkTerminate => Target::Work,
        }
    }

    /// Whether what its target had answered with may be gone.
    pub(super) fn loses_data(self) -> bool {
        matches!(
            self,
            RedisWipe
                | RedisRollback
                | RedisSplitBrain
                | RedisFailback
                | OutboxLoss
                | RabbitWipe
                | QueueDelete
        )
    }
}

/// Whether these faults together may lose all that knows of a purchase: Redis and RabbitMQ both lose data; or Redis does
/// while RabbitMQ was away or refused a fenced epoch, and the API process that answered meanwhile is gone too.
pub(super) fn not_survived(kinds: &[Kind]) -> bool {
    let loses = |target| kinds.iter().any(|kind| kind.loses_data() && kind.target() == target);
    let unconfirmed = kinds.iter().any(|kind| kind.target() == Target::Rabbit || *kind == RedisSplitBrain);
    loses(Target::Redis) && (loses(Target::Rabbit) || (unconfirmed && kinds.contains(&ServeKill)))
}

/// A fault, and how long it lasts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    pub(super) time: Duration,
}

/// What happens at a time.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Quiet(Duration),
    /// One fault, or two at once.
    Faults(Vec<Fault>),
}

/// What happens in a run.
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
}

/// Steps of a run. A quarter of them, and of the time, is quiet.
const STEPS: usize = 8;

impl Plan {
    pub(super) fn of(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut steps = Vec::new();
        // A run without a fault shows nothing.
        while !steps.iter().any(|step| matches!(step, Step::Faults(_))) {
            steps = (0..STEPS).map(|_| step(&mut random)).collect();
        }
        Self { steps }
    }
}

fn step(random: &mut fastrand::Rng) -> Step {
    if random.u8(..4) == 0 {
        return Step::Quiet(Duration::from_millis(random.u64(3_000..7_000)));
    }
    let fault = |random: &mut fastrand::Rng| Fault {
        kind: KINDS[random.usize(..KINDS.len())],
        time: Duration::from_millis(random.u64(200..3_000)),
    };
    let mut faults = vec![fault(random)];
    if random.u8(..3) == 0 {
        let (first, second) = (faults[0].kind, fault(random));
        if second.kind.target() != first.target() && !not_survived(&[first, second.kind]) {
            faults.push(second);
        }
    }
    Step::Faults(faults)
}
