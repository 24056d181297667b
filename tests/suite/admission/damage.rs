//! Keys that another program wrote.

use flashsale::admission::Fence;

use super::redis_on;
use crate::{
    conformance::{fresh_id, terms, user},
    support::services::Services,
};

/// Foreign keys must neither sell nor stop a rebuild.
#[tokio::test(flavor = "multi_thread")]
async fn foreign_keys_are_replaced_by_a_rebuild() {
    let services = Services::new().await;
    let bench = redis_on(&services).await;
    let mut redis = services.redis().await;
    let plants = [
        ("sale", vec!["SET", "x"]),
        ("sale", vec!["HSET", "epoch", "many", "total", "1", "next", "0"]),
        ("sale", vec!["HSET", "epoch", "inf", "total", "1", "next", "0"]),
        ("sale", vec!["HSET", "epoch", "1e15", "total", "1", "next", "0"]),
        ("dead", vec!["SET", "x"]),
        ("free", vec!["SET", "x"]),
        ("buyers", vec!["SET", "x"]),
        ("outbox", vec!["SET", "x"]),
        ("outbox", vec!["XADD", "*", "field", "value"]),
    ];
    for (epoch, (name, plant)) in (9..).step_by(2).zip(plants) {
        for key in ["sale", "free", "buyers", "outbox", "dead"] {
            redis::cmd("DEL").arg(services.key("p", key)).exec_async(&mut redis).await.expect("DEL");
        }
        let mut command = redis::cmd(plant[0]);
        command.arg(services.key("p", name)).arg(&plant[1..]).exec_async(&mut redis).await.expect("plant");
        assert!(bench.admission.admit(&bench.product, &user("a"), fresh_id()).await.is_err(), "{name}");
        assert_eq!(bench.admission.fence(&bench.product, epoch).await.expect("fence"), Fence::Stopped);
        assert_eq!(bench.outbox().await, [], "{name}");
        bench.open(epoch + 1, &terms(1)).await;
        assert_eq!(bench.win("a").await.purchase.unit, 1, "{name}");
    }
}
