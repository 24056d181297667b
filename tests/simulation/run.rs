//! One run: a sale, its faults, and the judgement. And the check that a seed decides everything.

use std::{fmt, time::Duration};

use flashsale::{audit::AuditResult, domain::UserId};

use crate::{
    buyers, executor::WORLD, faults::Strike, mutants::Mutant, oracle, plan::Plan, scenarios::Scenario,
    sim::Sim, world::World,
};

/// What is run, apart from the seed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Setting {
    pub(crate) scenario: Option<Scenario>,
    pub(crate) mutant: Option<Mutant>,
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    pub(crate) violations: Vec<String>,
    pub(crate) verdict: Option<AuditResult>,
    pub(crate) hash: u64,
    pub(crate) events: u64,
    pub(crate) trace: Vec<String>,
}

impl Outcome {
    pub(crate) fn holds(&self) -> bool {
        self.violations.is_empty()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, verdict, events, hash, .. } = self;
        write!(out, "seed {seed}: audit {verdict:?}, {events} events, hash {hash:016x}")?;
        self.violations.iter().try_for_each(|violation| write!(out, "\n  {violation}"))
    }
}

/// Runs a seed twice. Panics where the two runs differ.
pub(crate) fn run_twice(seed: u64, setting: Setting) -> Outcome {
    let first = run(seed, setting, false);
    let second = run(seed, setting, false);
    assert_eq!(
        (first.hash, first.events, &first.violations),
        (second.hash, second.events, &second.violations),
        "seed {seed} is not deterministic: compare the traces of two runs"
    );
    first
}

/// Runs a seed. `with_trace`: keeps what happens as text.
pub(crate) fn run(seed: u64, setting: Setting, with_trace: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let plan = Plan::of_seed(seed, setting.scenario);
        let sim = Sim::new(seed, with_trace);
        let world = World::new(&sim, &plan, setting.mutant);
        let verdict = sim.executor.run(sell(world.clone())).await;
        let (violations, trace) = (world.violations(), &sim.trace);
        let (hash, events, trace) = (trace.hash() ^ world.redis.fingerprint(), trace.events(), trace.lines());
        Outcome { seed, violations, verdict, hash, events, trace }
    })
}

async fn sell(world: World) -> Option<AuditResult> {
    world.start_all();
    let executor = world.sim.executor.clone();
    executor.spawn(WORLD, oracle::watch_the_law(world.clone()));
    let (ended, mut all_ended) = tokio::sync::mpsc::channel::<()>(1);
    for number in 0..world.plan.buyers {
        let user = UserId::parse(&format!("buyer-{number}")).expect("an id");
        let rush = u64::try_from(world.plan.rush.as_millis()).expect("short");
        let arrives = world.sim.draw(|random| Duration::from_millis(random.u64(0..rush)));
        let (shopping, ended) = (buyers::shop(world.clone(), user, arrives), ended.clone());
        executor.spawn(WORLD, async move {
            shopping.await;
            drop(ended);
        });
    }
    for strike in world.plan.strikes.clone() {
        let (striking, ended) = (Strike::run(strike, world.clone()), ended.clone());
        executor.spawn(WORLD, async move {
            striking.await;
            drop(ended);
        });
    }
    drop(ended);
    while all_ended.recv().await.is_some() {}
    oracle::judge(&world).await
}
