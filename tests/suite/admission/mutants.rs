//! The conformance suite must find each mutant of admission.

use std::sync::Arc;

use flashsale::{
    admission::{RedisAdmission, Scripts},
    broker::MemoryBroker,
    domain::ProductId,
    stores::Stores,
};

use super::{differential::Claiming, redis_on};
use crate::{
    conformance::{Bench, buying},
    faulty::Mutant,
    support::services::Services,
};

async fn with_scripts(scripts: Scripts) -> Bench {
    let services = Services::new().await;
    let connections = Claiming::new(services.redis().await).await;
    let admission = Arc::new(RedisAdmission::new(connections, &services.prefix, scripts));
    Bench { admission, product: ProductId::parse("p").expect("id") }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_duplicate_check_is_found() {
    let case = async |bench: Bench| {
        tokio::spawn(async move { buying::a_user_gets_one_unit_and_the_stock_ends(&bench).await }).await
    };
    assert!(case(with_scripts(Scripts::default()).await).await.is_ok());
    assert!(case(with_scripts(Mutant::NoDuplicateCheck.scripts()).await).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_then_decrement_is_found() {
    let services = Services::new().await;
    let Bench { admission, product } = redis_on(&services).await;
    let connection = services.redis().await;
    let ledger = crate::ledger::postgres(&services);
    let stores = Stores { admission, broker: Arc::new(MemoryBroker::default()), ledger };
    let stores = Mutant::CheckThenDecrement.apply(stores, connection, &services.prefix);
    let bench = Bench { admission: stores.admission, product };
    let case = tokio::spawn(async move { buying::many_at_once_get_distinct_units(&bench).await });
    assert!(case.await.is_err());
}
