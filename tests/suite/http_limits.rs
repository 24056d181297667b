//! Limits of requests, of the API and of the pages, and how both shut down.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    embedded::Embedded,
    support::{
        SOON,
        http::{buy, client, get, raw, ready, until_closed},
        process::Flashsale,
        servers,
        stage::{own, with_redis},
    },
};

const BODY_TIMEOUT: (&str, &str) = ("FLASHSALE_API_BODY_TIMEOUT_MS", "200");

/// A system with a short body timeout, and the heads of a purchase attempt at its API and at its pages.
async fn short_timeouts(embedded: &Embedded) -> (Flashsale, [(String, &'static str); 2]) {
    let serve = embedded.spawn(&["serve"], &[BODY_TIMEOUT]);
    let (api, shop) = (serve.api().await, serve.shop().await);
    ready(&api).await;
    let buy = "POST /sale/buy HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    let form = "POST /products/limited-001/buy HTTP/1.1\r\nHost: x\r\n\
                Content-Type: application/x-www-form-urlencoded\r\n";
    (serve, [(api, buy), (shop, form)])
}

#[tokio::test]
async fn a_refused_body_is_not_read_on() {
    let embedded = Embedded::new();
    let (_serve, heads) = short_timeouts(&embedded).await;
    for (base, head) in heads {
        let spaces = " ".repeat(0x2000);
        // The chunk is complete, the body is not: a server that reads on would wait for the rest.
        let endless = format!("{head}Transfer-Encoding: chunked\r\n\r\n2000\r\n{spaces}\r\n");
        assert!(until_closed(&base, endless.as_bytes()).await.starts_with("HTTP/1.1 413"));
        let long = format!("{head}Content-Length: 1000000\r\n\r\n{spaces}");
        assert!(until_closed(&base, long.as_bytes()).await.starts_with("HTTP/1.1 413"));
        let compressed =
            format!("{head}Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n \r\n");
        assert!(until_closed(&base, compressed.as_bytes()).await.starts_with("HTTP/1.1 415"));
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let embedded = Embedded::new();
    let (_serve, heads) = short_timeouts(&embedded).await;
    for (base, head) in heads {
        let waiting = format!("{head}Content-Length: 20\r\n\r\n{{");
        assert!(until_closed(&base, waiting.as_bytes()).await.starts_with("HTTP/1.1 408"));
        let waiting = format!("{head}Transfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n");
        assert!(until_closed(&base, waiting.as_bytes()).await.starts_with("HTTP/1.1 408"));
    }
}

#[tokio::test]
async fn whatever_can_be_read_has_a_head() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    let (api, shop) = (serve.api().await, serve.shop().await);
    ready(&api).await;
    let api_paths =
        ["/sale/status", "/sale/stock", "/products", "/healthz", "/readyz"].map(|path| (&api, path));
    let shop_paths = ["/products/limited-001", "/healthz", "/readyz"].map(|path| (&shop, path));
    for (base, path) in api_paths.into_iter().chain(shop_paths) {
        let answer = client().head(format!("{base}{path}")).send().await.expect("answer");
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.text().await.expect("text"), "", "{path}");
    }
    // Of one sale only, the front page is that sale's.
    let front = client().head(&shop).send().await.expect("answer");
    assert_eq!(
        (front.status().as_u16(), &front.headers()["location"]),
        (303, &"/products/limited-001".parse().expect("value"))
    );
    let answer = client().head(format!("{api}/sale/buy")).send().await.expect("answer");
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["allow"]),
        (405, &"POST".parse().expect("value"))
    );
}

/// Of the whole process: API, pages, worker, database.
#[tokio::test]
async fn a_thousand_idle_connections_fit_into_64_mib() {
    // Both ends: the test's own limit is often 1024.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("more files");
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    let api = serve.api().await;
    ready(&api).await;
    let mut connections = Vec::new();
    for number in 0..1000 {
        let mut stream = TcpStream::connect(api.trim_start_matches("http://")).await.expect("connect");
        let user = format!("{{\"userId\":\"buyer-{number:04}\"}}");
        let head = "POST /sale/buy HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
        let request = format!("{head}Content-Length: {}\r\n\r\n{user}", user.len());
        stream.write_all(request.as_bytes()).await.expect("write");
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).await.expect("answer");
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        connections.push(stream);
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", serve.id())).expect("status");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    let kib: u64 = resident.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(kib < 64 * 1024, "{kib} KiB with 1,000 connections");
    drop(connections);
}

/// Also where no handler reads the body: an unknown route or product, or a GET.
#[tokio::test]
async fn an_endless_body_is_not_read_anywhere() {
    let embedded = Embedded::new();
    let (_serve, [(api, _), (shop, _)]) = short_timeouts(&embedded).await;
    for (base, line) in [
        (&api, "POST /nowhere"),
        (&api, "POST /products/none/buy"),
        (&api, "GET /sale/status"),
        (&api, "GET /sale/purchase/status?userId=a"),
        (&api, "DELETE /sale/buy"),
        (&shop, "GET /"),
        (&shop, "POST /products/none/buy"),
    ] {
        let head = format!("{line} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n \r\n");
        assert!(until_closed(base, head.as_bytes()).await.starts_with("HTTP/1.1 "), "{line}");
    }
    // One that ends is read to its end, and the connection is used again.
    let twice = "POST /sale/buy HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                 Transfer-Encoding: chunked\r\n\r\n10\r\n{\"userId\":\"abc\"}\r\n0\r\n\r\n"
        .repeat(2);
    let answers = raw(&api, twice.as_bytes()).await;
    assert!(answers.contains("SUCCESS") && answers.contains("PURCHASED"), "{answers}");
}

/// The body of a request arrives after the signal: the purchase is made, answered, and in the database.
#[tokio::test]
async fn a_request_under_way_is_finished_at_the_end() {
    let embedded = Embedded::new();
    let mut serve = embedded.spawn(&["serve"], &[]);
    let api = serve.api().await;
    ready(&api).await;
    let mut stream = TcpStream::connect(api.trim_start_matches("http://")).await.expect("connect");
    let head = "POST /sale/buy HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                Content-Length: 17\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("write");
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.expect("the server waits for the body");
    assert!(go_on.starts_with(b"HTTP/1.1 100"));
    serve.signal(Signal::TERM);
    serve.logs("SIGTERM: finishing what is under way").await;
    stream.write_all(b"{\"userId\":\"late\"}").await.expect("write");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answer");
    assert!(answer.contains("SUCCESS") && answer.contains("database"), "{answer}");
    assert_eq!(serve.ended(Duration::from_secs(10)).await.code(), Some(0));
}

/// A client that never sends its body can't delay the end of the process.
#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let embedded = Embedded::new();
    let mut serve = embedded.spawn(&["serve"], &[("FLASHSALE_API_BODY_TIMEOUT_MS", "600000")]);
    let api = serve.api().await;
    ready(&api).await;
    let mut stream = TcpStream::connect(api.trim_start_matches("http://")).await.expect("connect");
    let head = "POST /sale/buy HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                Content-Length: 17\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("write");
    stream.read_exact(&mut [0; 25]).await.expect("the server waits for the body");
    serve.signal(Signal::INT);
    serve.logs("SIGINT: finishing what is under way").await;
    serve.signal(Signal::INT);
    assert_eq!(serve.ended(SOON).await.code(), Some(1));
    serve.logs("SIGINT again").await;
}

/// Answers of every kind, of all three faces and of health.
#[tokio::test]
async fn every_answer_says_that_no_cache_may_keep_it() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    let (api, shop, console) = (serve.api().await, serve.shop().await, serve.console().await);
    ready(&api).await;
    let api_paths = [
        "/sale/status",
        "/sale/stock",
        "/sale/purchase/status?userId=a",
        "/sale/purchase/status",
        "/sale/buy",
        "/products",
        "/products/none",
        "/nowhere",
        "/healthz",
        "/readyz",
    ];
    let api_paths = api_paths.map(|path| (&api, path));
    let shop_paths =
        ["/", "/products/limited-001", "/nowhere", "/healthz", "/readyz"].map(|path| (&shop, path));
    let console_paths = ["/", "/console", "/console/snapshot"].map(|path| (&console, path));
    for (base, path) in api_paths.into_iter().chain(shop_paths).chain(console_paths) {
        let answer = client().get(format!("{base}{path}")).send().await.expect("answer");
        let caching = answer.headers().get_all("cache-control").iter().collect::<Vec<_>>();
        assert_eq!(caching, ["no-store"], "{path}: {}", answer.status());
    }
    let bought = buy(&client(), &api, "a").await;
    assert_eq!((bought.status, bought.header("cache-control")), (200, "no-store"));
    // But for what never changes under its name.
    let page = get(&format!("{shop}/products/limited-001")).await.body.to_string();
    let style = page.split("/assets/").nth(1).and_then(|rest| rest.split('"').next()).expect("an asset");
    let asset = get(&format!("{shop}/assets/{}", style.trim_end_matches('\\'))).await;
    assert_eq!((asset.status, asset.header("cache-control")), (200, "public, max-age=31536000, immutable"));
}

/// However often somebody asks whether a process is ready.
#[tokio::test(flavor = "multi_thread")]
async fn readiness_costs_the_stores_nothing() {
    let redis = own(servers::redis).await;
    let services = with_redis(redis.port).await;
    let (_work, serve) = (services.spawn(&["work"], &[]), services.spawn(&["serve"], &[]));
    let api = serve.api().await;
    ready(&api).await;
    let mut connection = services.redis().await;
    let mut commands = async || -> u64 {
        let info: redis::InfoDict = redis::cmd("INFO").query_async(&mut connection).await.expect("INFO");
        info.get("total_commands_processed").expect("a number")
    };
    let before = commands().await;
    let client = client();
    for _ in 0..2_000 {
        let answer = client.get(format!("{api}/readyz")).send().await.expect("answer");
        assert_eq!(answer.status(), 200);
    }
    let commands = commands().await - before;
    // What the processes do by themselves meanwhile; a read of the sale for each answer was eight.
    assert!(commands < 4_000, "{commands} commands");
}
