//! Everybody at once: a small open-loop driver beside goose, which can't do it. (A task of goose's per request, with a
//! general HTTP client in each, would take most of the machine that the server runs on.)
//!
//! Every connection is open before the opening. Each request is written when it is due, or once the one before it on its
//! connection is answered, and its latency counts from when it was due in either case.

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
    arrivals::person,
    recorder::{Recorder, Sample},
    target::{PATIENCE, Target},
    told::{self, Told},
};
use crate::audit::{Kind, Operation};
use crate::runtime::open_files::allow_open_files;

/// Most connections: so many requests are under way at a time.
const CONNECTIONS_MAX: u64 = 5_000;
/// So many are opened at a time: fewer than any server's backlog.
const OPENED_AT_A_TIME: usize = 64;

/// Attempts of one connection: who, and when each is due.
type Mine = Vec<(String, Duration)>;

/// The driver, with all its connections open.
#[derive(Debug)]
pub(super) struct Waiting {
    connections: Vec<(TcpStream, Mine)>,
}

/// Opens the connections and shares `attempts` between them, evenly over `within`.
pub(super) async fn gather(
    target: &Target,
    attempts: u64,
    within: Duration,
    repeat_every: u64,
) -> anyhow::Result<Waiting> {
    let host = target.api.host_str().context("the API's URL has no host")?;
    let port = target.api.port_or_known_default().context("the API's URL has no port")?;
    let number = attempts.clamp(1, CONNECTIONS_MAX);
    allow_open_files(number.saturating_add(512));
    let opening = (0..number).map(|connection| async move {
        let opened = open(host, port).await;
        opened.with_context(|| format!("connection {connection} of {number} to {host}:{port}"))
    });
    let open: Vec<TcpStream> = stream::iter(opening).buffer_unordered(OPENED_AT_A_TIME).try_collect().await?;
    let share = |(connection, stream): (u64, TcpStream)| {
        let mine = (connection..attempts).step_by(usize::try_from(number).unwrap_or(usize::MAX));
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
        let due = |attempt: u64| within.mul_f64(attempt as f64 / attempts as f64);
        let mine = mine.map(|attempt| (target.user(person(attempt, repeat_every)), due(attempt)));
        (stream, mine.collect())
    };
    Ok(Waiting { connections: (0..number).zip(open).map(share).collect() })
}

async fn open(host: &str, port: u16) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    // A server gives up a connection that never asks for anything; one that has asked may wait for a minute.
    let hello = format!("GET /healthz HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n");
    stream.write_all(hello.as_bytes()).await?;
    answer(&mut stream, &mut Vec::new()).await.context("not answered")?;
    Ok(stream)
}

impl Waiting {
    /// Sends everything on schedule, and waits for all answers.
    pub(super) async fn go(self, target: &Target, recorder: &Recorder, stop: &CancellationToken) {
        let mut running = JoinSet::new();
        for (stream, mine) in self.connections {
            running.spawn(one(stream, mine, target.clone(), recorder.clone(), stop.clone()));
        }
        running.join_all().await;
    }
}

async fn one(stream: TcpStream, mine: Mine, target: Target, recorder: Recorder, stop: CancellationToken) {
    let host = target.api.authority().to_owned();
    let path = target.buy_route().path().to_owned();
    let (mut stream, mut unread) = (Some(stream), Vec::new());
    for (user, due) in mine {
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
        let sent = Instant::now();
        let (told, kind, answer) = match exchange(&mut stream, &mut unread, &request).await {
            Some((status, body)) => told::of_attempt(status, &body),
            None => (Told::NoAnswer, Kind::Unknown, None),
        };
        let now = Instant::now();
        let attempt = target.attempt(Operation::Buy, &user, (sent, now), kind, answer);
        let since = |instant: Instant| instant.saturating_duration_since(recorder.began);
        recorder.note(Sample { due, sent: since(sent), ended: since(now), told, attempt: Some(attempt) });
    }
}

/// Sends a request, and reads its answer. A connection that fails is not used again.
async fn exchange(
    stream: &mut Option<TcpStream>,
    unread: &mut Vec<u8>,
    request: &str,
) -> Option<(u16, Vec<u8>)> {
    let open = stream.as_mut()?;
    let answer = match open.write_all(request.as_bytes()).await {
        Ok(()) => answer(open, unread).await,
        Err(_) => None,
    };
    if answer.is_none() {
        *stream = None;
    }
    answer
}

/// The next answer on a connection. `None`: there is none, and nothing more can be expected.
async fn answer(reader: &mut TcpStream, unread: &mut Vec<u8>) -> Option<(u16, Vec<u8>)> {
    loop {
        if let Some((status, head, length)) = head(unread)?
            && unread.len() >= head + length
        {
            let mut answer: Vec<u8> = unread.drain(..head + length).collect();
            return Some((status, answer.split_off(head)));
        }
        let read = tokio::time::timeout(PATIENCE, reader.read_buf(unread)).await;
        if !matches!(read, Ok(Ok(length)) if length > 0) {
            return None;
        }
    }
}

/// Status, length of the head, and length of the body, once the head is whole. The outer `None`: it is no HTTP.
#[expect(clippy::option_option, reason = "not yet, and never, are two things")]
fn head(bytes: &[u8]) -> Option<Option<(u16, usize, usize)>> {
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
    fn answers_are_told_apart_on_one_connection() {
        let two =
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(head(two), Some(Some((200, 38, 2))));
        assert_eq!(head(&two[40..]), Some(Some((503, 37, 0))));
        assert_eq!(head(&two[..20]), Some(None));
        assert_eq!(head(b"SSH-2.0\r\n\r\n"), None);
    }
}
