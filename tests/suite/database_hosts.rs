//! Where a database may be: behind a socket, or on one of several hosts.

use std::net::TcpListener;

use serde_json::json;

use crate::{
    distributed::{catalogue, drained},
    purchases::operate,
    support::{
        http::{buy, client, ready},
        servers,
        services::Services,
        stage::{blocking, own, with_postgres},
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_and_the_living_one_of_several_hosts_are_used() {
    let mut postgres = own(servers::postgres).await;
    let directory = postgres.dir().display().to_string();
    let option = directory.clone();
    postgres = blocking(postgres, move |server| {
        server.stop();
        server.start_with(&["-k", &option]);
    })
    .await;
    let (services, file) = (with_postgres(postgres.port).await, catalogue(20));
    let variables = [
        ("FLASHSALE_PRODUCTS", file.path().to_str().expect("path")),
        ("FLASHSALE_LEDGER_CONNECT_TIMEOUT_MS", "500"),
    ];
    let (port, database) = (postgres.port, services.prefix.clone());
    let at = |url: String| Services {
        database_url: url,
        redis_url: services.redis_url.clone(),
        amqp_url: services.amqp_url.clone(),
        prefix: services.prefix.clone(),
    };
    // Accepts connections, and says nothing; and a port that nothing listens on.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent_port = silent.local_addr().expect("an address").port();
    let socket = at(format!("postgresql:///{database}?host={directory}&port={port}&user=postgres"));
    let encoded = directory.replace('/', "%2F");
    let encoded = at(format!("postgres://postgres@{encoded}:{port}/{database}"));
    let hosts =
        at(format!("postgres://postgres@127.0.0.1:{silent_port},127.0.0.1:1,127.0.0.1:{port}/{database}"));
    let (work, serve) = (hosts.spawn(&["work"], &variables), socket.spawn(&["serve"], &variables));
    let api = serve.api().await;
    ready(&api).await;
    ready(&work.health().await).await;
    assert_eq!(buy(&client(), &api, "a").await.body["status"], json!("SUCCESS"));
    drained(&services, 1).await;
    for place in [&socket, &encoded, &hosts] {
        let (code, said) = operate(place, &["products", "list"]).await;
        assert!(code == Some(0) && said.contains("limited-001: Thing"), "{}: {said}", place.database_url);
    }

    // Each host is named with its own trouble.
    let none = at(format!("postgres://postgres@127.0.0.1:{silent_port},127.0.0.1:1/{database}"));
    let waiting = none.spawn(&["web"], &variables);
    let line = waiting.logs("waiting for postgresql").await;
    assert!(
        line.contains(&format!("127.0.0.1:{silent_port}: connecting took too long; 127.0.0.1:1: ")),
        "{line}"
    );
}
