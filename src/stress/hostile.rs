//! Hostile requests beside the load: malformed requests, and connections that never finish a
//! request. None of the responses may be an outcome or a server error.

use std::time::Duration;

use anyhow::Context;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::target::Target;

/// Connections that send one byte of a request per interval.
const SLOW_CONNECTIONS: usize = 100;
const BETWEEN_BYTES: Duration = Duration::from_millis(500);
/// Senders of malformed requests, and the pause of each after a request.
const SENDERS: usize = 8;
const PAUSE: Duration = Duration::from_millis(5);
/// For a response or the end of the connection.
const TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HostileCounts {
    pub(super) requests: u64,
    /// Answered with 4xx, or the connection was closed.
    pub(super) refused: u64,
    /// Answered with 5xx.
    pub(super) server_errors: u64,
    /// Answered with anything else.
    pub(super) accepted: u64,
    /// No response within the timeout, or no connection.
    pub(super) unanswered: u64,
    /// Slow connections that the server closed within the timeout.
    pub(super) slow_closed: u64,
    /// Slow connections that the server closed, or that outlived the timeout.
    pub(super) slow: u64,
}

/// Sends hostile requests until `stop`.
pub(super) async fn run(target: Target, stop: CancellationToken) -> anyhow::Result<HostileCounts> {
    let host = target.api.host_str().context("no host")?.to_owned();
    let address = (host, target.api.port_or_known_default().context("no port")?);
    let mut slow = JoinSet::new();
    for _ in 0..SLOW_CONNECTIONS {
        slow.spawn(send_slowly(address.clone(), target.clone(), stop.clone()));
    }
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        senders.spawn(send_malformed(address.clone(), target.clone(), sender, stop.clone()));
    }
    let mut all = HostileCounts::default();
    for one in senders.join_all().await {
        all.requests += one.requests;
        all.refused += one.refused;
        all.server_errors += one.server_errors;
        all.accepted += one.accepted;
        all.unanswered += one.unanswered;
    }
    for (closed, connections) in slow.join_all().await {
        all.slow_closed += closed;
        all.slow += connections;
    }
    Ok(all)
}

async fn send_malformed(
    address: (String, u16),
    target: Target,
    sender: usize,
    stop: CancellationToken,
) -> HostileCounts {
    let requests = malformed(&target);
    let mut counts = HostileCounts::default();
    for request in requests.iter().cycle().skip(sender * 5) {
        if stop.is_cancelled() {
            break;
        }
        counts.requests += 1;
        match tokio::time::timeout(TIMEOUT, exchange(&address, request)).await {
            Ok(Some(response)) if response.is_empty() || response.starts_with(b"HTTP/1.1 4") => {
                counts.refused += 1;
            }
            Ok(Some(response)) if response.starts_with(b"HTTP/1.1 5") => counts.server_errors += 1,
            Ok(Some(_)) => counts.accepted += 1,
            Ok(None) | Err(_) => counts.unanswered += 1,
        }
        tokio::time::sleep(PAUSE).await;
    }
    counts
}

/// The beginning of the response; empty, if the connection was closed without one.
/// `None`: no connection.
async fn exchange(address: &(String, u16), request: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect((address.0.as_str(), address.1)).await.ok()?;
    let response = async {
        // The server may close before it has read all of it.
        let _ = stream.write_all(request).await;
        let mut buffer = vec![0; 1024];
        let length = stream.read(&mut buffer).await?;
        buffer.truncate(length);
        Ok::<_, std::io::Error>(buffer)
    };
    Some(response.await.unwrap_or_default())
}

/// Sends a request byte by byte, again and again. Returns the connections that the server closed in
/// time, and those that it had the time to close.
async fn send_slowly(address: (String, u16), target: Target, stop: CancellationToken) -> (u64, u64) {
    let head = first_line_and_host("POST", &target.buy_route());
    let request =
        format!("{head}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{\"userId\":");
    let (mut closed, mut connections) = (0, 0);
    while !stop.is_cancelled() {
        let Ok(stream) = TcpStream::connect((address.0.as_str(), address.1)).await else { break };
        let (mut reader, mut writer) = stream.into_split();
        let sending = async {
            for byte in request.bytes().cycle() {
                tokio::time::sleep(BETWEEN_BYTES).await;
                if writer.write_all(&[byte]).await.is_err() {
                    return;
                }
            }
        };
        let mut rest = Vec::new();
        tokio::select! {
            () = stop.cancelled() => break,
            () = sending => {}
            // The server closes, with or without a response.
            _ = reader.read_to_end(&mut rest) => {}
            () = tokio::time::sleep(TIMEOUT) => {
                connections += 1;
                continue;
            }
        }
        connections += 1;
        closed += 1;
    }
    (closed, connections)
}

/// The beginning of a head, as every proxy on the way to the system needs it.
fn first_line_and_host(method: &str, url: &Url) -> String {
    let target = url.query().map_or(url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", url.authority())
}

/// Requests of which none is a purchase attempt.
fn malformed(target: &Target) -> Vec<Vec<u8>> {
    let buy = target.buy_route();
    let post = |content_type: &str, body: &[u8]| {
        let head = format!(
            "{}Connection: close\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            first_line_and_host("POST", &buy),
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    let json = |body: &[u8]| post("application/json", body);
    let empty = |method: &str, url: &Url| {
        format!("{}Connection: close\r\n\r\n", first_line_and_host(method, url)).into_bytes()
    };
    let two_lengths = format!(
        "{}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        first_line_and_host("POST", &buy)
    );
    let huge = format!("{{\"userId\":\"{}\"}}", "x".repeat(100_000));
    vec![
        json(b"{"),
        json(b"[]"),
        json(b"null"),
        json(b"{\"userId\":1}"),
        json(b"{\"userId\":\"\"}"),
        json(b"{\"userId\":\"a b\"}"),
        json(b"{\"userId\":\"\xff\xfe\"}"),
        json(b"{\"userId\":\"a\\u0000\"}"),
        json(b"{\"userId\":\"a\",\"userId\":\"b\"}"),
        json("[".repeat(4_000).as_bytes()),
        json(huge.as_bytes()),
        post("text/plain", b"{\"userId\":\"a\"}"),
        empty("GET", &buy),
        empty("DELETE", &buy),
        empty("GET", &target.route("no/such/route")),
        empty("GET", &target.purchase_route("\0")),
        two_lengths.into_bytes(),
        b"\x00\x01\x02\x03\r\n\r\n".to_vec(),
    ]
}
