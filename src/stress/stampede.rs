//! A small open-loop driver for a stampede, beside goose: a goose task and a general HTTP client
//! per request would take most of the machine that the server runs on.
//!
//! All connections are open before the opening of the sale. Each request is written when it is due,
//! or once the request before it on its connection is answered; its latency counts from when it was
//! due in either case.

use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    arrivals::buyer_number,
    recorder::{Recorder, Sample},
    response::{ResponseClass, classify_attempt},
    target::{REQUEST_TIMEOUT, Target},
};
use crate::audit::{AttemptKind, Operation};
use crate::runtime::open_files::allow_open_files;

/// Also the most requests under way at a time.
const CONNECTIONS_MAX: u64 = 5_000;
/// Connections opened at a time: fewer than any server's backlog.
const OPENED_AT_A_TIME: usize = 64;

/// The attempts of one connection: buyer, and when the attempt is due.
type Schedule = Vec<(String, Duration)>;

/// All connections are open.
#[derive(Debug)]
pub(super) struct Stampede {
    connections: Vec<(TcpStream, Schedule)>,
}

impl Stampede {
    /// Opens the connections and distributes `attempts` among them, evenly over `within`.
    pub(super) async fn connect(
        target: &Target,
        attempts: u64,
        within: Duration,
        repeat_every: u64,
    ) -> anyhow::Result<Self> {
        let host = target.api.host_str().context("the API's URL has no host")?;
        let port = target.api.port_or_known_default().context("the API's URL has no port")?;
        let number = attempts.clamp(1, CONNECTIONS_MAX);
        allow_open_files(number.saturating_add(512));
        let opening = (0..number).map(|connection| async move {
            let opened = open(target, (host, port)).await;
            opened.with_context(|| format!("connection {connection} of {number} to {host}:{port}"))
        });
        let open: Vec<TcpStream> =
            stream::iter(opening).buffer_unordered(OPENED_AT_A_TIME).try_collect().await?;
        let schedule = |(connection, stream): (u64, TcpStream)| {
            let attempts_here = (connection..attempts).step_by(usize::try_from(number).unwrap_or(usize::MAX));
            #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
            let due = |attempt: u64| within.mul_f64(attempt as f64 / attempts as f64);
            let schedule =
                attempts_here.map(|attempt| (target.user(buyer_number(attempt, repeat_every)), due(attempt)));
            (stream, schedule.collect())
        };
        Ok(Self { connections: (0..number).zip(open).map(schedule).collect() })
    }

    /// Sends all attempts on schedule and waits for the responses.
    pub(super) async fn run(self, target: &Target, recorder: &Recorder, stop: &CancellationToken) {
        let mut running = JoinSet::new();
        for (stream, schedule) in self.connections {
            running.spawn(send_all(stream, schedule, target.clone(), recorder.clone(), stop.clone()));
        }
        running.join_all().await;
    }
}

async fn open(target: &Target, address: (&str, u16)) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    // A server closes a new connection without a request sooner than an idle one that has served a
    // request.
    let (path, host) = (target.route("healthz").path().to_owned(), target.api.authority());
    let first = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(first.as_bytes()).await?;
    read_response(&mut stream, &mut Vec::new()).await.context("not answered")?;
    Ok(stream)
}

async fn send_all(
    stream: TcpStream,
    schedule: Schedule,
    target: Target,
    recorder: Recorder,
    stop: CancellationToken,
) {
    let host = target.api.authority().to_owned();
    let path = target.buy_route().path().to_owned();
    let (mut stream, mut unread) = (Some(stream), Vec::new());
    for (user, due) in schedule {
        if stream.is_none() {
            let port = target.api.port_or_known_default().unwrap_or(80);
            stream = TcpStream::connect((target.api.host_str().unwrap_or_default(), port)).await.ok();
            unread.clear();
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep_until((recorder.began + due).into()) => {}
        }
        let body = format!("{{\"userId\":\"{user}\"}}");
        let head = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n");
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        let sent = target.runtime.instant();
        let (class, kind, answer) = match exchange(&mut stream, &mut unread, &request).await {
            Some((status, body)) => classify_attempt(status, &body),
            None => (ResponseClass::NoResponse, AttemptKind::Unknown, None),
        };
        let now = target.runtime.instant();
        let attempt = target.attempt(Operation::Buy, &user, (sent, now), kind, answer);
        let since = |instant: Instant| instant.saturating_duration_since(recorder.began);
        recorder.record(Sample { due, sent: since(sent), ended: since(now), class, attempt: Some(attempt) });
    }
}

/// A connection that fails is dropped.
async fn exchange(
    stream: &mut Option<TcpStream>,
    unread: &mut Vec<u8>,
    request: &str,
) -> Option<(u16, Vec<u8>)> {
    let open = stream.as_mut()?;
    let response = match open.write_all(request.as_bytes()).await {
        Ok(()) => read_response(open, unread).await,
        Err(_) => None,
    };
    if response.is_none() {
        *stream = None;
    }
    response
}

/// Status and body of the next response. `None`: the connection has failed, and is
/// of no further use.
async fn read_response(reader: &mut TcpStream, unread: &mut Vec<u8>) -> Option<(u16, Vec<u8>)> {
    loop {
        if let Some((status, head, length)) = parse_head(unread)?
            && unread.len() >= head + length
        {
            let mut response: Vec<u8> = unread.drain(..head + length).collect();
            return Some((status, response.split_off(head)));
        }
        let read = tokio::time::timeout(REQUEST_TIMEOUT, reader.read_buf(unread)).await;
        if !matches!(read, Ok(Ok(length)) if length > 0) {
            return None;
        }
    }
}

/// Status, length of the head, and length of the body. The outer `None`: not HTTP. The inner
/// `None`: incomplete.
#[expect(clippy::option_option, reason = "incomplete and invalid are different results")]
fn parse_head(bytes: &[u8]) -> Option<Option<(u16, usize, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => {
            let length = response.headers.iter().find(|one| one.name.eq_ignore_ascii_case("content-length"));
            let length = std::str::from_utf8(length?.value).ok()?.trim().parse().ok()?;
            Some(Some((response.code?, head, length)))
        }
        Ok(httparse::Status::Partial) => Some(None),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_on_one_connection_are_separated() {
        let two =
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(parse_head(two), Some(Some((200, 38, 2))));
        assert_eq!(parse_head(&two[40..]), Some(Some((503, 37, 0))));
        assert_eq!(parse_head(&two[..20]), Some(None));
        assert_eq!(parse_head(b"SSH-2.0\r\n\r\n"), None);
    }
}
