//! Clients that hold on to connections: thousands of listeners, clients that close only half, never read, or send
//! heads slowly. Buyers are served meanwhile, and descriptors come back.

use std::{process::Stdio, time::Duration};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    embedded::Embedded,
    support::{
        SOON, eventually,
        http::{buy, client, get, ready},
        process::Flashsale,
        services::Services,
        stage::lasts,
    },
};

const LISTEN: &str = "GET /sale/events HTTP/1.1\r\nHost: x\r\n\r\n";

/// The descriptors that a process has open.
fn descriptors(process: &Flashsale) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", process.id())).expect("descriptors").count()
}

/// Waits until a process has few more descriptors than before.
async fn returned(process: &Flashsale, before: usize) {
    let few_more = async || (descriptors(process) <= before + 20).then_some(());
    eventually("the descriptors are returned", SOON / 3, few_more).await;
}

async fn connect(base: &str) -> TcpStream {
    TcpStream::connect(base.trim_start_matches("http://")).await.expect("connect")
}

/// Sends a request, and returns the connection with the head of the answer.
async fn ask(base: &str, request: &str) -> (TcpStream, String) {
    let mut stream = connect(base).await;
    stream.write_all(request.as_bytes()).await.expect("write");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(SOON, stream.read_u8()).await.expect("an answer").expect("a head"));
    }
    (stream, String::from_utf8(head).expect("text"))
}

/// Reads until the server closes the connection; `None`: it does not, within this time.
async fn closed_within(stream: &mut TcpStream, limit: Duration) -> Option<String> {
    let mut rest = Vec::new();
    let ended = timeout(limit, stream.read_to_end(&mut rest)).await.ok()?;
    drop(ended); // a reset is an end, too
    Some(String::from_utf8_lossy(&rest).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn listen_by_thousands_and_get_no_more_than_their_share() {
    const CONNECTIONS_MAX: &str = "800";
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("more files");
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[("FLASHSALE_API_CONNECTIONS_MAX", CONNECTIONS_MAX)]);
    let (api, shop) = (serve.api().await, serve.shop().await);
    ready(&api).await;
    let before = descriptors(&serve);
    let (mut listeners, mut refused) = (Vec::new(), 0);
    for _ in 0..3_000 {
        let (mut stream, head) = ask(&shop, LISTEN).await;
        if head.starts_with("HTTP/1.1 200") {
            listeners.push(stream);
            continue;
        }
        assert!(head.starts_with("HTTP/1.1 503") && head.contains("retry-after: 1\r\n"), "{head}");
        if refused == 0 {
            let rest = closed_within(&mut stream, SOON).await.expect("its descriptor is wanted");
            assert!(rest.contains("Too many pages are updated live"), "{rest}");
        }
        refused += 1;
    }
    let most = CONNECTIONS_MAX.parse::<usize>().expect("a number") / 2;
    assert!((most / 2..=most).contains(&listeners.len()), "{} listeners", listeners.len());
    assert!(refused > 2_000, "{refused} refused");
    assert!(descriptors(&serve) <= before + most + 50, "{} descriptors", descriptors(&serve));
    let client = client();
    for number in 0..20 {
        let bought =
            timeout(SOON / 6, buy(&client, &api, &format!("buyer-{number}"))).await.expect("in time");
        assert_eq!(bought.body["status"], json!("SUCCESS"));
        let page = timeout(SOON / 6, get(&format!("{shop}/products/limited-001"))).await.expect("in time");
        assert_eq!(page.status, 200);
    }
    drop(listeners);
    returned(&serve, before).await;
    assert!(ask(&shop, LISTEN).await.1.starts_with("HTTP/1.1 200"));
}

/// Starts a process that may have so many descriptors.
fn limited(descriptors: usize, arguments: &[&str], variables: &[(&str, &str)]) -> Flashsale {
    let plain = Flashsale::command(arguments, variables);
    let command = Flashsale::after(&format!("ulimit -n {descriptors}"), &plain);
    Flashsale::start(command, Stdio::piped(), Stdio::piped())
}

/// With the configured number of connections, listeners would take all of them.
#[tokio::test(flavor = "multi_thread")]
async fn listen_where_the_system_allows_few_descriptors() {
    // Each server thread needs some for itself.
    let allowed = 250 + 80 * std::thread::available_parallelism().expect("threads").get();
    let embedded = Embedded::new();
    let serve = limited(allowed, &["serve"], &embedded.variables(&[]));
    let (api, shop) = (serve.api().await, serve.shop().await);
    ready(&api).await;
    let (mut listeners, mut refused) = (Vec::new(), 0);
    for _ in 0..allowed {
        let (stream, head) = ask(&shop, LISTEN).await;
        if head.starts_with("HTTP/1.1 200") {
            listeners.push(stream);
        } else {
            assert!(head.starts_with("HTTP/1.1 503") && head.contains("retry-after: 1\r\n"), "{head}");
            refused += 1;
        }
    }
    assert!(listeners.len() > 4 && refused > allowed / 2, "{} listeners, {refused} refused", listeners.len());
    let client = client();
    for number in 0..20 {
        let bought =
            timeout(SOON / 6, buy(&client, &api, &format!("buyer-{number}"))).await.expect("in time");
        assert_eq!(bought.body["status"], json!("SUCCESS"));
        let page = timeout(SOON / 6, get(&format!("{shop}/products/limited-001"))).await.expect("in time");
        assert_eq!(page.status, 200);
    }
    assert!(descriptors(&serve) < allowed, "{} descriptors", descriptors(&serve));
    // Connections beyond the share of each server wait, and are served once others have ended.
    let waiting: Vec<_> = futures_util::future::join_all((0..allowed).map(|_| connect(&api))).await;
    assert!(descriptors(&serve) < allowed, "{} descriptors", descriptors(&serve));
    drop(waiting);
    assert_eq!(timeout(SOON, buy(&client, &api, "last")).await.expect("in time").status, 200);
    assert!(!serve.log().contains("Too many open files"), "{}", serve.log());
}

/// Every process says at its start which limit its configuration needs.
#[tokio::test(flavor = "multi_thread")]
async fn find_no_process_whose_stores_would_take_all_descriptors() {
    let services = Services::new().await;
    let large = [("FLASHSALE_LEDGER_POOL_SIZE", "1000")];
    for command in ["serve", "web", "work"] {
        let process = limited(600, &[command], &services.variables(&large));
        let said = process.refused(1, "may have 600 open files").await;
        for part in ["ulimit -n", "ledger.pool_size = 1000"] {
            assert!(said.contains(part), "{command}: {part} is not in {said}");
        }
        // As many as it said are enough.
        let needed = said.split_once("needs at least ").expect("a number").1;
        let needed: usize = needed.split(' ').next().expect("a number").parse().expect("a number");
        assert!((1_000..20_000).contains(&needed), "{command}: {needed}");
        let process = limited(needed, &[command], &services.variables(&large));
        match command {
            "serve" => process.api().await,
            "web" => process.shop().await,
            _ => process.health().await,
        };
    }
    let embedded = Embedded::new();
    limited(100, &["serve"], &embedded.variables(&[])).refused(1, "ulimit -n").await;
}

/// As a client that wants to use up the descriptors: each connection asks for a stream, and is closed at once.
#[tokio::test(flavor = "multi_thread")]
async fn ask_for_streams_and_close_at_once() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    let (api, shop) = (serve.api().await, serve.shop().await);
    ready(&api).await;
    let before = descriptors(&serve);
    for number in 0..4_000 {
        let request = if number % 2 == 0 { LISTEN.to_owned() } else { LISTEN.replace("GET", "HEAD") };
        connect(&shop).await.write_all(request.as_bytes()).await.expect("write");
    }
    assert_eq!(buy(&client(), &api, "buyer").await.body["status"], json!("SUCCESS"));
    returned(&serve, before).await;
}

/// A stream ends when its client has closed its half; the answer to a last question still comes.
#[tokio::test(flavor = "multi_thread")]
async fn close_their_half() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    let (api, shop) = (serve.api().await, serve.shop().await);
    ready(&api).await;
    let (mut stream, head) = ask(&shop, LISTEN).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    stream.shutdown().await.expect("half a close");
    assert!(closed_within(&mut stream, SOON / 3).await.is_some(), "the stream goes on");
    // Closed before the answer has begun.
    let mut stream = connect(&shop).await;
    stream.write_all(LISTEN.as_bytes()).await.expect("write");
    stream.shutdown().await.expect("half a close");
    assert!(closed_within(&mut stream, SOON / 3).await.is_some(), "the stream goes on");
    let body = "{\"userId\":\"last-question\"}";
    let mut stream = connect(&api).await;
    let request = format!(
        "POST /sale/buy HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("write");
    stream.shutdown().await.expect("half a close");
    let answer = closed_within(&mut stream, SOON).await.expect("an end");
    assert!(answer.contains("SUCCESS"), "{answer}");
}

/// The head of each request has its time, not only that of the first; a connection may be idle for longer.
#[tokio::test(flavor = "multi_thread")]
async fn send_a_second_head_slowly() {
    const REQUEST: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[("FLASHSALE_API_HEAD_TIMEOUT_MS", "500")]);
    let api = serve.api().await;
    ready(&api).await;
    let before = descriptors(&serve);
    let mut slow = Vec::new();
    for _ in 0..100 {
        let (mut stream, head) = ask(&api, REQUEST).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHo").await.expect("write");
        slow.push(stream);
    }
    for stream in &mut slow {
        assert!(closed_within(stream, SOON / 3).await.is_some(), "half a head is waited for");
    }
    // Byte by byte.
    let (stream, _) = ask(&api, REQUEST).await;
    let (mut reader, mut writer) = stream.into_split();
    let dripping = async {
        for byte in REQUEST.repeat(20).bytes().skip(1) {
            if writer.write_all(&[byte]).await.is_err() {
                return;
            }
            lasts(Duration::from_millis(100)).await;
        }
    };
    let ended = async {
        let mut rest = Vec::new();
        let _ = reader.read_to_end(&mut rest).await;
        rest
    };
    tokio::select! {
        () = dripping => panic!("byte by byte a head may take as long as it likes"),
        _rest = timeout(SOON / 3, ended) => {}
    }
    let (mut idle, _) = ask(&api, REQUEST).await;
    lasts(Duration::from_secs(2)).await;
    idle.write_all(REQUEST.replace("Host", "Connection: close\r\nHost").as_bytes()).await.expect("write");
    let answer = closed_within(&mut idle, SOON).await.expect("an end");
    assert!(answer.contains("HTTP/1.1 200"), "{answer}");
    returned(&serve, before).await;
}

/// The beginning of a request that came together with the request before it has its time as well: its head, and its
/// body. Whole requests do not begin to wait for the next one by that.
#[tokio::test(flavor = "multi_thread")]
async fn send_the_beginning_of_a_later_request_with_the_first_one() {
    const GET: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    const LINE: &str = "POST /sale/buy HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    let embedded = Embedded::new();
    let short = [("FLASHSALE_API_HEAD_TIMEOUT_MS", "500"), ("FLASHSALE_API_BODY_TIMEOUT_MS", "500")];
    let serve = embedded.spawn(&["serve"], &short);
    let (api, shop) = (serve.api().await, serve.shop().await);
    ready(&api).await;
    let buying = format!("{LINE}Content-Length: 14\r\n\r\n{{\"userId\":\"a\"}}");
    let chunked =
        format!("{LINE}Transfer-Encoding: chunked\r\n\r\ne;x=y\r\n{{\"userId\":\"b\"}}\r\n0\r\nX: y\r\n\r\n");
    let long = format!("{LINE}Content-Length: 1000000\r\n\r\n{}", " ".repeat(300_000));
    let beginnings = [
        (&api, format!("{GET}GET /healthz HTTP/1.1\r\nHo")),
        (&api, format!("{GET}G")),
        (&api, format!("{buying}POST /sale/buy HTT")),
        (&api, format!("{chunked}POST /sale/buy HTT")),
        (&api, format!("{}{buying}GET /healthz HTTP/1.1\r\n", GET.repeat(40))),
        (&api, format!("{GET}{LINE}Content-Length: 20\r\n\r\n{{")),
        (&api, format!("{GET}{LINE}Transfer-Encoding: chunked\r\n\r\n5\r\n{{")),
        (&api, format!("{GET}GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n ")),
        (&api, format!("{GET}{long}")),
        (&shop, format!("{LISTEN}GET / HTTP/1.1\r\nHo")),
        (&shop, format!("{LISTEN}{LINE}Content-Length: 20\r\n\r\n{{")),
        (&shop, format!("{LISTEN}{long}")),
    ];
    let mut sent = Vec::new();
    for (base, requests) in beginnings {
        let mut stream = connect(base).await;
        // The server may close the connection before it has read everything.
        let _ = timeout(SOON, stream.write_all(requests.as_bytes())).await.expect("it reads on or closes");
        sent.push((requests, stream));
    }
    for (requests, mut stream) in sent {
        let ended = closed_within(&mut stream, SOON / 3).await;
        let answers = ended.unwrap_or_else(|| panic!("it is waited for the rest of {requests:.300}"));
        assert!(answers.is_empty() || answers.starts_with("HTTP/1.1 200"), "{requests:.300}: {answers}");
    }
    let mut idle = Vec::new();
    for requests in [
        GET.to_owned(),
        GET.repeat(30),
        buying.repeat(3),
        chunked.repeat(3),
        format!("{buying}{chunked}{GET}\r\n"),
    ] {
        let mut stream = connect(&api).await;
        stream.write_all(requests.as_bytes()).await.expect("write");
        idle.push((requests, stream));
    }
    lasts(Duration::from_secs(2)).await;
    for (requests, mut stream) in idle {
        let last = GET.replace("Host", "Connection: close\r\nHost");
        stream.write_all(last.as_bytes()).await.expect("write");
        let answers = closed_within(&mut stream, SOON).await.expect("an end");
        let wanted = requests.matches("HTTP/1.1\r\n").count() + 1;
        assert_eq!(answers.matches("HTTP/1.1 200").count(), wanted, "{requests:.300}: {answers}");
    }
}

/// They send requests until nothing more is taken from them, and take no answer.
#[tokio::test(flavor = "multi_thread")]
async fn never_read() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    let (api, shop) = (serve.api().await, serve.shop().await);
    ready(&api).await;
    let before = descriptors(&serve);
    let mut deaf = Vec::new();
    for _ in 0..30 {
        let mut stream = connect(&shop).await;
        let requests = "GET /assets/uplot.js HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
        let mut taken = 0;
        while let Ok(Ok(length)) =
            timeout(Duration::from_millis(500), stream.write(requests.as_bytes())).await
        {
            taken += length;
            assert!(taken < 100_000_000, "the server takes requests without end");
        }
        deaf.push(stream);
    }
    assert!(descriptors(&serve) >= before + 15, "they hold descriptors");
    assert_eq!(buy(&client(), &api, "buyer").await.body["status"], json!("SUCCESS"));
    returned(&serve, before).await;
    drop(deaf);
}
