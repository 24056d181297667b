//! Admission in memory and on redis-server: the conformance suite on both, and the scripts against
//! the state machine.

mod damage;
mod differential;
mod mutants;

use std::{sync::Arc, time::Duration};

use flashsale::{
    admission::{Admission, AdmissionError, MemoryAdmission, RedisAdmission, RedisOptions, Scripts},
    config::ServiceUrl,
    domain::ProductId,
    observability::Dependency,
    runtime::{Runtime, SystemClock},
};

use crate::{
    conformance::{Bench, admission_cases, buying, conflicts, operators, outbox, rebuilding},
    support::{SOON, eventually, services::Services},
};

fn memory() -> Bench {
    let admission = Arc::new(MemoryAdmission::new(Arc::new(SystemClock)));
    Bench { admission, product: ProductId::parse("p").expect("id") }
}

pub(crate) async fn redis_on(services: &Services) -> Bench {
    let options = RedisOptions {
        url: ServiceUrl::parse(&services.redis_url, &["redis"]).expect("URL"),
        prefix: services.prefix.clone(),
        connections: 2,
        connect_timeout: Duration::from_secs(5),
        response_timeout: Duration::from_secs(5),
    };
    let runtime = Runtime::system();
    let dependency = Dependency::new("redis", &runtime.clock);
    let system = tokio::sync::watch::channel(None).1;
    let admission: Arc<dyn Admission> = Arc::new(
        RedisAdmission::start(&options, Scripts::default(), system, &dependency, &runtime).expect("start"),
    );
    let bench = Bench { admission, product: ProductId::parse("p").expect("id") };
    eventually("Redis", SOON, async || dependency.outage().is_none().then_some(())).await;
    eventually("every thread has a connection", SOON, async || {
        let mut answers = Vec::new();
        for _ in 0..2 {
            let (admission, product) = (bench.admission.clone(), bench.product.clone());
            answers.push(tokio::spawn(async move { admission.sale(&product).await }).await.expect("answer"));
        }
        let connected = |answer: &Result<_, _>| !matches!(answer, Err(AdmissionError::Unavailable(_)));
        answers.iter().all(connected).then_some(())
    })
    .await;
    bench
}

macro_rules! conformance {
    ($($group:ident::$case:ident,)*) => {
        mod on_memory { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$group::$case(&super::memory()).await }
        )* }
        mod on_redis { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let services = crate::support::services::Services::new().await;
                super::$group::$case(&super::redis_on(&services).await).await
            }
        )* }
    };
}
admission_cases!(conformance);
