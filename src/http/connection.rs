//! A client's connection, with the limits of time that actix does not have: it bounds the head of
//! the first request alone, and goes on with a stream whose client has closed.

use std::{
    cell::Cell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::framing::Framing;

/// The kernel ends a connection whose client takes no byte for this long: a client that never
/// reads, or that has vanished.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer goes on after its client has closed its half of the connection. One that has
/// only asked its last question gets the answer; a stream ends.
const HALF_CLOSED_TIMEOUT: Duration = Duration::from_secs(4);

/// How far the requests of a connection are, as the server's middleware sees them.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Rc<Requests>);

#[derive(Debug, Default)]
struct Requests {
    /// Heads that have arrived.
    begun: Cell<u64>,
    /// A handler runs. What arrives meanwhile is a body, or waits.
    is_handled: Cell<bool>,
}

impl Progress {
    pub(super) fn began(&self) {
        self.0.begun.set(self.0.begun.get() + 1);
        self.0.is_handled.set(true);
    }

    pub(super) fn answered(&self) {
        self.0.is_handled.set(false);
    }
}

/// What is being waited for, with an end.
enum Wait {
    Nothing,
    /// The rest of a request that is not the first, after so many requests.
    Request(u64, Pin<Box<Sleep>>),
    /// The end of the answer under way, after the client has closed its half.
    LastAnswer(Pin<Box<Sleep>>),
}

pub(super) struct Connection {
    stream: TcpStream,
    progress: Progress,
    framing: Framing,
    head_timeout: Duration,
    wait: Wait,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, head_timeout: Duration) -> Self {
        if let Err(error) = SockRef::from(&stream).set_tcp_user_timeout(Some(UNREAD_TIMEOUT)) {
            tracing::debug!(%error, "a connection has no timeout for what its client does not read");
        }
        let (progress, framing) = (Progress::default(), Framing::default());
        Self { stream, progress, framing, head_timeout, wait: Wait::Nothing }
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Notes what a read has brought: nothing is the end of what the client sends.
    fn note_read(&mut self, bytes: &[u8]) {
        self.framing.feed(bytes);
        if bytes.is_empty() {
            self.wait = Wait::LastAnswer(Box::pin(sleep(HALF_CLOSED_TIMEOUT)));
        }
    }

    /// The rest of a request has its time while nothing else is waited for. The head of the first
    /// request is bounded by actix, and a body by the handler that reads it.
    fn note_wait(&mut self) {
        let Requests { begun, is_handled } = &*self.progress.0;
        let is_waiting = begun.get() > 0 && !is_handled.get() && self.framing.is_within_request();
        match &self.wait {
            Wait::LastAnswer(_) => {}
            Wait::Request(after, _) if is_waiting && *after == begun.get() => {}
            _ if is_waiting => {
                self.wait = Wait::Request(begun.get(), Box::pin(sleep(self.head_timeout)));
            }
            _ => self.wait = Wait::Nothing,
        }
    }

    /// Fails once what is being waited for takes too long.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.note_wait();
        let (Wait::Request(_, timer) | Wait::LastAnswer(timer)) = &mut self.wait else { return Ok(()) };
        if timer.as_mut().poll(cx).is_pending() {
            return Ok(());
        }
        if matches!(self.wait, Wait::Request(..)) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the rest of a request takes too long"));
        }
        if !self.progress.0.is_handled.get() {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the client has closed its half"));
        }
        // The new timer has to know the task, and has not elapsed.
        self.wait = Wait::LastAnswer(Box::pin(sleep(HALF_CLOSED_TIMEOUT)));
        self.check(cx)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buffer)?;
        if polled.is_ready() {
            this.note_read(buffer.filled().get(before..).unwrap_or_default());
        }
        this.check(cx)?;
        polled.map(Ok)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    /// actix flushes whenever it has looked after a connection, also if nothing was written; after
    /// the end of what the client sends it does not read any more.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check(cx)?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
