//! A TCP link that a test can damage: between our processes and one server.

use std::sync::{
    Arc,
    atomic::{AtomicU16, AtomicU64, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::watch,
};

/// What the link does with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// Passes them on.
    Pass,
    /// Takes them, and passes nothing on; connections stay open.
    Blackhole,
    /// As [`Link::Blackhole`], but only for the connections that there were when it was set; new ones work.
    Strand,
    /// Ends every connection, and every new one at once.
    Refuse,
    /// Passes what our processes say, and ends the connection instead of passing the server's next answer.
    CutAnswers,
    /// As [`Link::CutAnswers`], for answers with this text in them.
    CutAnswersWith(&'static str),
}

/// A proxy on a port of its own. Connections end with it.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    target: Arc<AtomicU16>,
    link: watch::Sender<Link>,
    damage: Arc<AtomicU64>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// To a port of this machine.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let own_port = listener.local_addr().expect("address").port();
        let (link, changes) = watch::channel(Link::Pass);
        let (target, damage) = (Arc::new(AtomicU16::new(port)), Arc::new(AtomicU64::new(0)));
        let (leads_to, damaged) = (target.clone(), damage.clone());
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let opened_under = *changes.borrow();
                let port = leads_to.load(Ordering::Relaxed);
                let wire = Wire { link: changes.clone(), opened_under, damage: damaged.clone() };
                connections.spawn(connection(client, port, wire));
            }
        });
        Self { port: own_port, target, link, damage, accepting }
    }

    /// Damages or heals the link.
    pub(crate) fn set(&self, link: Link) {
        self.link.send_replace(link);
    }

    /// Leads new connections to another port.
    pub(crate) fn lead_to(&self, port: u16) {
        self.target.store(port, Ordering::Relaxed);
    }

    /// How often the link has withheld bytes, or ended or refused a connection: whether a damage took hold.
    pub(crate) fn damage(&self) -> u64 {
        self.damage.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The link, as one connection sees it.
#[derive(Clone)]
struct Wire {
    link: watch::Receiver<Link>,
    opened_under: Link,
    damage: Arc<AtomicU64>,
}

impl Wire {
    fn damaged(&self) {
        self.damage.fetch_add(1, Ordering::Relaxed);
    }

    fn withholds(link: Link, opened_under: Link) -> bool {
        link == Link::Blackhole || (link == Link::Strand && opened_under != Link::Strand)
    }

    /// Waits while bytes are withheld. False: the proxy has ended.
    async fn passes(&mut self) -> bool {
        let (now, opened_under) = (*self.link.borrow(), self.opened_under);
        if Self::withholds(now, opened_under) {
            self.damaged();
        }
        self.link.wait_for(|link| !Self::withholds(*link, opened_under)).await.is_ok()
    }

    fn cuts(&self, answer: &[u8]) -> bool {
        match *self.link.borrow() {
            Link::CutAnswers => true,
            Link::CutAnswersWith(text) => answer.windows(text.len()).any(|window| window == text.as_bytes()),
            _ => false,
        }
    }
}

async fn connection(client: TcpStream, port: u16, wire: Wire) {
    let mut refusing = wire.link.clone();
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        () = forward(from_client, to_server, wire.clone(), false) => {}
        () = forward(from_server, to_client, wire.clone(), true) => {}
        _ = refusing.wait_for(|link| *link == Link::Refuse) => wire.damaged(),
    }
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut wire: Wire, answers: bool) {
    let mut bytes = [0; 16_384];
    loop {
        let length = match from.read(&mut bytes).await {
            Ok(length) if length > 0 => length,
            _ => return,
        };
        if answers && wire.cuts(&bytes[..length]) {
            return wire.damaged();
        }
        if !wire.passes().await || to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}
