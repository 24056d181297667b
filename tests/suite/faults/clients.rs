//! Clients that walk away, come all at once, are slow, or hostile.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    distributed::{catalogue, drained},
    embedded::Embedded,
    support::{
        SOON, eventually,
        http::{buy, client, get, ready, until_closed},
        process::{Flashsale, is_stopped},
        sale::now,
        servers,
        services::Services,
        stage::{Stage, lasts, own, with_redis},
    },
};

/// They send a purchase attempt and close the connection before the answer. Whoever got a unit finds it.
#[tokio::test(flavor = "multi_thread")]
async fn disconnect_in_the_middle_of_a_request() {
    let stage = Stage::open(Services::new().await).await;
    let start = now();
    let mut bought = 0;
    for number in 0..30 {
        let user = format!("hasty-{number}");
        stage.sale.walk_away(&user).await;
        let found = get(&format!("{}/sale/purchase/status?userId={user}", stage.api)).await;
        bought += u32::from(found.body["hasPurchased"] == json!(true));
        stage.sale.buy(&user).await;
    }
    stage.sale.fault("client-disconnect", start, bought > 0, false);
    stage.holds().await;
}

/// While nothing is recorded, the outbox has a purchase, and each attempt of its buyer could publish it once more.
#[tokio::test(flavor = "multi_thread")]
async fn ask_again_and_again_while_nothing_is_recorded() {
    let (services, products) = (Services::new().await, catalogue(5));
    let path = [("FLASHSALE_PRODUCTS", products.path().to_str().expect("path"))];
    let (work, serve) = (services.spawn(&["work"], &path), services.spawn(&["serve"], &path));
    let (client, api) = (client(), serve.api().await);
    ready(&api).await;
    work.kill();
    let first = buy(&client, &api, "ada").await;
    assert_eq!((&first.body["status"], &first.body["durability"]), (&json!("SUCCESS"), &json!("broker")));
    for _ in 0..40 {
        let again = buy(&client, &api, "ada").await;
        assert_eq!((&again.body["status"], &again.body["unit"]), (&json!("PURCHASED"), &first.body["unit"]));
    }
    let all = futures_util::future::join_all((0..40).map(|_| buy(&client, &api, "ada"))).await;
    assert!(all.iter().all(|again| again.body["status"] == json!("PURCHASED")));
    let messages = services.depth("purchases").await;
    assert!((1..=2).contains(&messages), "{messages} messages of one purchase");
    let _work = services.spawn(&["work"], &path);
    drained(&services, 1).await;
}

fn resident_kib(process: &Flashsale) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).expect("status");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    resident.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// All of them are sent within the first second of the sale, whatever the server's pace.
#[tokio::test(flavor = "multi_thread")]
async fn come_fifty_thousand_at_once() {
    const CONNECTIONS: usize = 500;
    const ATTEMPTS_EACH: usize = 100;
    const UNITS: usize = 1_000;
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("more files");
    let (services, file) = (Services::new().await, catalogue(1_000));
    let products = file.path().to_str().expect("path");
    // Far fewer may be with Redis at a time than come, so that none waits for its answer for longer than it may.
    let variables = [
        ("FLASHSALE_PRODUCTS", products),
        ("FLASHSALE_REDIS_IN_FLIGHT_MAX", "64"),
        // Other tests run on the same machine: how fast it is, is not what is tested.
        ("FLASHSALE_REDIS_RESPONSE_TIMEOUT_MS", "10000"),
    ];
    let (_work, serve) = (services.spawn(&["work"], &variables), services.spawn(&["serve"], &variables));
    let api = serve.api().await;
    ready(&api).await;
    let mut waiting = Vec::new();
    for _ in 0..CONNECTIONS {
        waiting.push(TcpStream::connect(api.trim_start_matches("http://")).await.expect("connect"));
    }
    let opening = std::sync::Arc::new(tokio::sync::Barrier::new(CONNECTIONS));
    let mut crowd = tokio::task::JoinSet::new();
    for (connection, stream) in waiting.into_iter().enumerate() {
        let opening = opening.clone();
        crowd.spawn(async move {
            let mut requests = Vec::new();
            for attempt in 0..ATTEMPTS_EACH {
                // A third of them try again.
                let user = format!("{{\"userId\":\"crowd-{connection}-{}\"}}", attempt * 2 / 3);
                let head = "POST /sale/buy HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
                requests.extend(format!("{head}Content-Length: {}\r\n\r\n{user}", user.len()).into_bytes());
            }
            opening.wait().await;
            let (mut reader, mut writer) = stream.into_split();
            let sending = async move {
                writer.write_all(&requests).await.expect("send");
                writer
            };
            let (_writer, answers) = tokio::join!(sending, async {
                let (mut answers, mut part) = (Vec::new(), [0; 16_384]);
                while count(&answers, b"HTTP/1.1 ") < ATTEMPTS_EACH || !answers.ends_with(b"}") {
                    let length = reader.read(&mut part).await.expect("answers");
                    assert!(length > 0, "the server closed the connection");
                    answers.extend_from_slice(&part[..length]);
                }
                answers
            });
            answers
        });
    }
    let (mut won, mut again, mut sold_out, mut most_kib) = (0, 0, 0, 0);
    while let Some(answers) = crowd.join_next().await {
        let answers = answers.expect("crowd");
        assert_eq!(
            count(&answers, b"HTTP/1.1 200 OK"),
            ATTEMPTS_EACH,
            "{}",
            String::from_utf8_lossy(&answers)
        );
        won += count(&answers, b"\"status\":\"SUCCESS\"");
        again += count(&answers, b"\"status\":\"PURCHASED\"");
        sold_out += count(&answers, b"\"status\":\"SOLD_OUT\"");
        most_kib = resident_kib(&serve).max(most_kib);
    }
    assert_eq!(won, UNITS);
    assert!(again > 0, "nobody tried twice");
    assert_eq!(won + again + sold_out, CONNECTIONS * ATTEMPTS_EACH);
    // Of a build without optimisation, for tests.
    assert!(most_kib < 512 * 1024, "{most_kib} KiB");
    drained(&services, 1_000).await;
}

/// While Redis does not answer, no more attempts are sent to it than may be; the others wait for their turn.
#[tokio::test(flavor = "multi_thread")]
async fn get_admission_permits_in_order() {
    let redis = own(servers::redis).await;
    let services = with_redis(redis.port).await;
    let variables =
        [("FLASHSALE_REDIS_IN_FLIGHT_MAX", "2"), ("FLASHSALE_REDIS_RESPONSE_TIMEOUT_MS", "60000")];
    let (_work, serve) = (services.spawn(&["work"], &[]), services.spawn(&["serve"], &variables));
    let api = serve.api().await;
    ready(&api).await;
    let client = client();
    buy(&client, &api, "first").await;
    redis.signal(Signal::STOP);
    let attempts = (0..10).map(|number| {
        let (client, api) = (client.clone(), api.clone());
        tokio::spawn(async move { buy(&client, &api, &format!("next-{number}")).await.status })
    });
    let attempts: Vec<_> = attempts.collect();
    // Long enough for all of them to get to Redis if nothing held them back.
    lasts(Duration::from_secs(2)).await;
    serve.signal(Signal::STOP);
    eventually("it is stopped", SOON, async || is_stopped(serve.id()).then_some(())).await;
    redis.signal(Signal::CONT);
    let decided = async || -> i64 {
        let buyers = services.key("limited-001", "buyers");
        redis::cmd("HLEN").arg(buyers).query_async(&mut services.redis().await).await.expect("HLEN")
    };
    eventually("those that were sent are decided", SOON, async || (decided().await > 1).then_some(())).await;
    lasts(Duration::from_secs(1)).await;
    assert_eq!(decided().await, 1 + 2, "the first one, and two of the ten");
    serve.signal(Signal::CONT);
    for attempt in attempts {
        assert_eq!(attempt.await.expect("attempt"), 200);
    }
}

fn count(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).filter(|window| *window == wanted).count()
}

/// Connections that were used properly once, and then send half a head, or a byte of a body, do not keep anybody else
/// from buying.
#[tokio::test(flavor = "multi_thread")]
async fn are_slow_on_kept_alive_connections() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    let api = serve.api().await;
    ready(&api).await;
    let mut slow = Vec::new();
    for number in 0..300 {
        let mut stream = TcpStream::connect(api.trim_start_matches("http://")).await.expect("connect");
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("write");
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).await.expect("answer");
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        let half: &[u8] = if number % 2 == 0 {
            b"POST /sale/buy HTTP/1.1\r\nHost"
        } else {
            b"POST /sale/buy HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 30\r\n\r\n{"
        };
        stream.write_all(half).await.expect("write");
        slow.push(stream);
    }
    let client = client();
    for number in 0..100 {
        let answer = tokio::time::timeout(SOON / 6, buy(&client, &api, &format!("honest-{number}"))).await;
        assert_eq!(answer.expect("an answer").body["status"], json!("SUCCESS"));
    }
    drop(slow);
}

/// What no HTTP client sends by mistake: each is refused with 4xx, or the connection is closed, and none buys.
#[tokio::test(flavor = "multi_thread")]
async fn break_http_itself() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    let api = serve.api().await;
    ready(&api).await;
    let json = "Content-Type: application/json\r\n";
    let body = "{\"userId\":\"smuggler\"}";
    let length = body.len();
    let huge = format!("{{\"userId\":\"{}\"}}", "x".repeat(10_000_000));
    let attempts = [
        ("no Host", format!("POST /sale/buy HTTP/1.1\r\n{json}Content-Length: {length}\r\n\r\n{body}")),
        (
            "two lengths",
            format!(
                "POST /sale/buy HTTP/1.1\r\nHost: x\r\n{json}Content-Length: {length}\r\nContent-Length: 3\r\n\r\n{body}"
            ),
        ),
        (
            "a length and chunks",
            format!(
                "POST /sale/buy HTTP/1.1\r\nHost: x\r\n{json}Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
            ),
        ),
        (
            "a NUL in a header",
            format!("POST /sale/buy HTTP/1.1\r\nHost: x\0\r\n{json}Content-Length: {length}\r\n\r\n{body}"),
        ),
        (
            "a negative length",
            format!("POST /sale/buy HTTP/1.1\r\nHost: x\r\n{json}Content-Length: -1\r\n\r\n{body}"),
        ),
        (
            "ten megabytes",
            format!(
                "POST /sale/buy HTTP/1.1\r\nHost: x\r\n{json}Content-Length: {}\r\n\r\n{huge}",
                huge.len()
            ),
        ),
        ("no HTTP", "\u{0}\u{1}\u{2} smuggler\r\n\r\n".to_owned()),
    ];
    for (what, request) in attempts {
        eprintln!("{what}");
        let answer = until_closed(&api, request.as_bytes()).await;
        let refused =
            answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.0 4");
        assert!(refused, "{what}: {answer}");
        assert!(!answer.contains("SUCCESS"), "{what}: {answer}");
    }
    assert_eq!(get(&format!("{api}/sale/stock")).await.body["stock"], json!(10_000));
}
