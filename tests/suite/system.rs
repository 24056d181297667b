//! One database is one system, with one prefix.

use crate::{
    distributed::catalogue,
    support::{SOON, eventually, http::ready, services::Services},
};

#[tokio::test(flavor = "multi_thread")]
async fn with_another_prefix_is_refused_until_the_prefix_is_changed() {
    let (services, products) = (Services::new().await, catalogue(3));
    let path = products.path().to_str().expect("path");
    let other = format!("{}-other", services.prefix);
    let ours = [("FLASHSALE_PRODUCTS", path)];
    let others = [("FLASHSALE_PRODUCTS", path), ("FLASHSALE_PREFIX", other.as_str())];
    let mut work = services.spawn(&["work"], &ours);
    ready(&work.health().await).await;
    let ids = "SELECT count(DISTINCT id) FROM system";
    assert_eq!(services.count(ids).await, 1);

    for command in ["work", "serve", "web", "migrate", "reconcile"] {
        let mut refused = services.spawn(&[command], &others);
        let code = if command == "reconcile" { 2 } else { 1 };
        assert_eq!(refused.ended(SOON).await.code(), Some(code), "{command}");
        let line = refused.logs("belongs to the system with the prefix").await;
        assert!(line.contains(&services.prefix) && line.contains("--change-prefix"), "{line}");
    }

    let mut early = services.spawn(&["migrate", "--change-prefix"], &others);
    assert_eq!(early.ended(SOON).await.code(), Some(1), "the prefix was changed while the system runs");
    early.logs("end them first").await;
    work.signal(rustix::process::Signal::TERM);
    assert!(work.ended(SOON).await.success());
    eventually("the prefix is changed", SOON, async || {
        let mut change = services.spawn(&["migrate", "--change-prefix"], &others);
        change.ended(SOON).await.success().then_some(())
    })
    .await;
    let work = services.spawn(&["work"], &others);
    ready(&work.health().await).await;
    assert_eq!(services.count(ids).await, 1);
    assert_eq!(services.spawn(&["work"], &ours).ended(SOON).await.code(), Some(1));
}
