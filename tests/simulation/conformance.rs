//! The conformance suite of admission, on the simulated Redis: it behaves as redis-server does.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use flashsale::{
    admission::{RedisAdmission, Scripts},
    domain::ProductId,
};
use tokio::time::sleep;

use crate::{
    cases::{Bench, admission_cases, buying, conflicts, operators, outbox, rebuilding},
    executor::WORLD,
    link,
    redis::SimRedis,
    sim::Sim,
};

/// Connections are there by then.
const CONNECTED_WITHIN: Duration = Duration::from_secs(1);

fn bench(sim: &Sim) -> Bench {
    let now = sim.clone();
    let since_1970 =
        move || Duration::from_millis(u64::try_from(now.now().timestamp_millis()).expect("after 1970"));
    let redis = SimRedis::new(Arc::new(since_1970), 1);
    let link = link::start(sim, &redis, WORLD, "p", &sim.runtime(TimeDelta::zero()));
    let admission = Arc::new(RedisAdmission::new(link, "p", Scripts::default()));
    Bench { admission, product: ProductId::parse("p").expect("id") }
}

macro_rules! conformance {
    ($($group:ident::$case:ident,)*) => { $(
        #[tokio::test(start_paused = true)]
        async fn $case() {
            let sim = Sim::new(1, false);
            let bench = bench(&sim);
            let case = async move {
                sleep(CONNECTED_WITHIN).await;
                $group::$case(&bench).await;
            };
            sim.executor.run(case).await;
        }
    )* };
}
admission_cases!(conformance);
