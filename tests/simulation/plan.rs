//! What a run is made of: the size of the sale, the processes, the habits of the network, and the faults, by the seed.

use std::time::Duration;

use chrono::TimeDelta;

use crate::{
    faults::{Fault, Strike},
    rabbit::Habits,
    scenarios::Scenario,
};

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) units: u32,
    pub(crate) buyers: u32,
    pub(crate) serves: u32,
    pub(crate) works: u32,
    pub(crate) lanes: u32,
    /// Within this time the buyers come.
    pub(crate) rush: Duration,
    /// From the beginning of the run to the opening of the sale.
    pub(crate) opens_after: Option<TimeDelta>,
    pub(crate) sweep_after: Duration,
    pub(crate) habits: Habits,
    /// Longest time between the first statement of a batch and its COMMIT.
    pub(crate) commits_take: Duration,
    /// Of a hundred processes, how many have a wrong wall clock.
    pub(crate) wrong_clocks: u32,
    pub(crate) strikes: Vec<Strike>,
}

impl Plan {
    /// `scenario`: what is done to the sale, in place of a random mixture.
    pub(crate) fn of_seed(seed: u64, scenario: Option<Scenario>) -> Self {
        let mut random = fastrand::Rng::with_seed(seed ^ 0x91a2);
        let rush = Duration::from_millis(random.u64(3_000..12_000));
        let units = random.u32(5..40);
        let opens = random.u32(0..4) == 0;
        let mut plan = Self {
            units,
            buyers: units + random.u32(1..=units),
            serves: random.u32(1..=3),
            works: random.u32(1..=2),
            lanes: random.u32(1..=2),
            rush,
            opens_after: opens.then(|| TimeDelta::milliseconds(random.i64(0..6_000))),
            sweep_after: Duration::from_millis(random.u64(1_000..6_000)),
            habits: Habits {
                duplicated: *random.choice(&[0, 0, 5, 50]).expect("a choice"),
                reordered: *random.choice(&[0, 0, 10, 50]).expect("a choice"),
                delivery_limit: 100,
                encoded: random.bool(),
            },
            commits_take: Duration::from_millis(*random.choice(&[20, 2_000]).expect("a choice")),
            wrong_clocks: *random.choice(&[0, 0, 50]).expect("a choice"),
            strikes: Vec::new(),
        };
        match scenario {
            Some(scenario) => scenario.shape(&mut plan, &mut random),
            // A quarter of the runs is without faults.
            None if random.u32(0..4) == 0 => {}
            None => plan.strikes = mixture(rush, &mut random),
        }
        if scenario.is_none() {
            plan.strikes.extend(cancellations(seed, rush));
            plan.strikes.sort_by_key(|strike| strike.at);
        }
        plan
    }
}

/// In a third of the runs, operators cancel purchases, also while other faults strike.
fn cancellations(seed: u64, rush: Duration) -> Vec<Strike> {
    let mut random = fastrand::Rng::with_seed(seed ^ 0xca7c);
    let number = if random.u32(0..3) == 0 { random.u32(1..=4) } else { 0 };
    let rush = u64::try_from(rush.as_millis()).expect("short");
    let strike = |_| Strike {
        at: Duration::from_millis(random.u64(500..rush + 3_000)),
        lasts: Duration::ZERO,
        fault: Fault::Cancellation { keeps_unit: random.u32(0..3) == 0, may_buy_again: random.bool() },
    };
    (0..number).map(strike).collect()
}

/// A store loses data, and a few other kinds of fault strike, most of them shortly after one another: what one alone does
/// not show needs two or three at a time. Either Redis loses data in a run, or the broker: to lose both is not promised to
/// be survived.
fn mixture(rush: Duration, random: &mut fastrand::Rng) -> Vec<Strike> {
    let redis_may_lose = random.u32(0..3) > 0;
    let mut kinds: Vec<_> = (0..random.usize(0..=4)).map(|_| Fault::random(random)).collect();
    kinds.push(Fault::random_loss(redis_may_lose, random));
    let rush = u64::try_from(rush.as_millis()).expect("short");
    let centre = random.u64(500..rush);
    let number = random.usize(kinds.len()..=kinds.len() * 2);
    let strike = |number: usize| {
        let fault = kinds[number % kinds.len()].clone();
        let is_elsewhere = random.u32(0..4) == 0;
        // What a loss destroys is what the other faults have held up.
        let (at, lasts) = match (fault.loses_data(), is_elsewhere) {
            (_, true) => (random.u64(500..rush + 3_000), random.u64(50..10_000)),
            (true, false) => (centre + random.u64(500..4_000), random.u64(50..2_000)),
            (false, false) if random.bool() => (centre + random.u64(0..3_000), random.u64(50..3_000)),
            (false, false) => (centre + random.u64(0..3_000), random.u64(3_000..20_000)),
        };
        Strike { at: Duration::from_millis(at), lasts: Duration::from_millis(lasts), fault }
    };
    let mut strikes: Vec<_> = (0..number).map(strike).collect();
    strikes.sort_by_key(|strike| strike.at);
    strikes
}
