//! One database is one system, with one prefix.

use crate::{
    distributed::catalogue,
    embedded::Embedded,
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

    // Whatever reads or writes the ledger, with the exit code of an error.
    let commands: [(&[&str], i32); 11] = [
        (&["work"], 1),
        (&["serve"], 1),
        (&["web"], 1),
        (&["migrate"], 1),
        (&["pause"], 1),
        (&["resume"], 1),
        (&["dead-letters", "list"], 1),
        (&["products", "list"], 2),
        (&["products", "apply", path, "--yes"], 2),
        (&["reconcile"], 2),
        (&["audit"], 2),
    ];
    for (command, code) in commands {
        let line =
            services.spawn(command, &others).refused(code, "belongs to the system with the prefix").await;
        assert!(line.contains(&services.prefix) && line.contains("--change-prefix"), "{line}");
    }
    assert_eq!(services.count("SELECT count(*) FROM products WHERE paused").await, 0);

    services.spawn(&["migrate", "--change-prefix"], &others).refused(1, "end them first").await;
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

#[tokio::test]
async fn embedded_with_another_prefix_is_refused() {
    let embedded = Embedded::new();
    assert_eq!(embedded.spawn(&["migrate"], &[]).ended(SOON).await.code(), Some(0));
    for (command, code) in [("serve", 1), ("migrate", 1), ("pause", 1), ("audit", 2)] {
        embedded
            .spawn(&[command], &[("FLASHSALE_PREFIX", "other")])
            .refused(code, "belongs to the system with the prefix")
            .await;
    }
}

#[tokio::test]
async fn the_help_of_migrate_says_what_it_does() {
    let mut help = Embedded::new().spawn(&["migrate", "--help"], &[]);
    assert_eq!(help.ended(SOON).await.code(), Some(0));
    let said = help.printed();
    let text = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "a system with another prefix",
        "`flashsale products apply` changes them",
        "In the embedded mode the catalogue file is applied",
        "migrate --change-prefix",
        "Refused while a `serve`, `work` or `web` is connected",
    ] {
        assert!(text.contains(words), "{words} is not in\n{said}");
    }
}
