//! Somebody who misuses the API, until told to stop: malformed requests, one after the other, and senders that never
//! finish. What they are answered is checked: nothing of it may be a purchase, or a server's error.

use std::time::Duration;

use anyhow::Context;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::target::Target;

/// Connections that send a byte of a request every now and then.
const SLOW_SENDERS: usize = 100;
const BETWEEN_BYTES: Duration = Duration::from_millis(500);
/// Lanes of malformed requests, and the pause after each request.
const LANES: usize = 8;
const PAUSE: Duration = Duration::from_millis(5);
/// How long an answer, or the end of the connection, is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// What became of the misuse.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Misuse {
    /// Requests that were sent.
    pub(super) requests: u64,
    /// Those that were answered with 4xx, or whose connection was closed.
    pub(super) refused: u64,
    /// Those that were answered with 5xx.
    pub(super) server_errors: u64,
    /// Those that were answered with anything else.
    pub(super) accepted: u64,
    /// Those that got no answer, and whose connection stayed open, or could not be made.
    pub(super) unanswered: u64,
    /// Slow senders that the server got rid of, of how many.
    pub(super) slow_ended: (u64, u64),
}

/// Misuses the API until `stop`.
pub(super) async fn misuse(target: Target, stop: CancellationToken) -> anyhow::Result<Misuse> {
    let host = target.api.host_str().context("no host")?.to_owned();
    let address = (host, target.api.port_or_known_default().context("no port")?);
    let mut slow = JoinSet::new();
    for _ in 0..SLOW_SENDERS {
        slow.spawn(send_slowly(address.clone(), stop.clone()));
    }
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        lanes.spawn(misuse_lane(address.clone(), target.clone(), lane, stop.clone()));
    }
    let mut all = Misuse::default();
    for one in lanes.join_all().await {
        all.requests += one.requests;
        all.refused += one.refused;
        all.server_errors += one.server_errors;
        all.accepted += one.accepted;
        all.unanswered += one.unanswered;
    }
    for (ended, tried) in slow.join_all().await {
        all.slow_ended.0 += ended;
        all.slow_ended.1 += tried;
    }
    Ok(all)
}

async fn misuse_lane(address: (String, u16), target: Target, lane: usize, stop: CancellationToken) -> Misuse {
    let requests = malformed(&target);
    let mut found = Misuse::default();
    for request in requests.iter().cycle().skip(lane * 5) {
        if stop.is_cancelled() {
            break;
        }
        found.requests += 1;
        match tokio::time::timeout(PATIENCE, answer(&address, request)).await {
            Ok(Some(answer)) if answer.is_empty() || answer.starts_with(b"HTTP/1.1 4") => found.refused += 1,
            Ok(Some(answer)) if answer.starts_with(b"HTTP/1.1 5") => found.server_errors += 1,
            Ok(Some(_)) => found.accepted += 1,
            Ok(None) | Err(_) => found.unanswered += 1,
        }
        tokio::time::sleep(PAUSE).await;
    }
    found
}

/// The beginning of the answer; empty, if the connection was closed without one. `None`: nobody is there.
async fn answer(address: &(String, u16), request: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect((address.0.as_str(), address.1)).await.ok()?;
    let exchange = async {
        // The server may close before it has read all of it.
        let _ = stream.write_all(request).await;
        let mut answer = vec![0; 1024];
        let length = stream.read(&mut answer).await?;
        answer.truncate(length);
        Ok::<_, std::io::Error>(answer)
    };
    Some(exchange.await.unwrap_or_default())
}

/// Sends a request byte by byte, again and again. How many connections the server has ended, of those that had their time.
async fn send_slowly(address: (String, u16), stop: CancellationToken) -> (u64, u64) {
    let request = b"POST /sale/buy HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"userId\":";
    let (mut ended, mut tried) = (0, 0);
    while !stop.is_cancelled() {
        let Ok(stream) = TcpStream::connect((address.0.as_str(), address.1)).await else { break };
        let (mut reader, mut writer) = stream.into_split();
        let sending = async {
            for byte in request.iter().cycle() {
                tokio::time::sleep(BETWEEN_BYTES).await;
                if writer.write_all(&[*byte]).await.is_err() {
                    return;
                }
            }
        };
        let mut rest = Vec::new();
        tokio::select! {
            () = stop.cancelled() => break,
            () = sending => {}
            // The server says something, or nothing, and closes.
            _ = reader.read_to_end(&mut rest) => {}
            () = tokio::time::sleep(PATIENCE) => {
                tried += 1;
                continue;
            }
        }
        tried += 1;
        ended += 1;
    }
    (ended, tried)
}

/// Requests of which none is a purchase attempt.
fn malformed(target: &Target) -> Vec<Vec<u8>> {
    let path = target.buy_route().path().to_owned();
    let post = |content_type: &str, body: &[u8]| {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    let json = |body: &[u8]| post("application/json", body);
    let line = |line: &str| format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").into_bytes();
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
        line(&format!("GET {path}")),
        line(&format!("DELETE {path}")),
        line("GET /no/such/route"),
        line("GET /sale/purchase/status?userId=%00"),
        b"POST /sale/buy HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
        b"\x00\x01\x02\x03\r\n\r\n".to_vec(),
    ]
}
