//! A TCP link that a test can damage: between our processes and one server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicU64, Ordering},
    },
    time::Duration,
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
    /// As [`Link::CutAnswers`], after so many bytes of answers on a connection.
    CutAnswersAfter(usize),
    /// Resets every connection, and every new one at once.
    Reset,
    /// Passes everything on, this much later.
    Delay(Duration),
}

/// A proxy on a port of its own. Connections end with it.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    target: Arc<AtomicU16>,
    /// What it does, and the how many-th setting that is.
    link: watch::Sender<(u64, Link)>,
    damage: Arc<AtomicU64>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// To a port of this machine.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let own_port = listener.local_addr().expect("address").port();
        let (link, changes) = watch::channel((0, Link::Pass));
        let (target, damage) = (Arc::new(AtomicU16::new(port)), Arc::new(AtomicU64::new(0)));
        let (leads_to, damaged) = (target.clone(), damage.clone());
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (opened_at, _) = *changes.borrow();
                let port = leads_to.load(Ordering::Relaxed);
                let wire = Wire { link: changes.clone(), opened_at, damage: damaged.clone() };
                connections.spawn(connection(client, port, wire));
            }
        });
        Self { port: own_port, target, link, damage, accepting }
    }

    /// Damages or heals the link.
    pub(crate) fn set(&self, link: Link) {
        self.link.send_modify(|(setting, now)| (*setting, *now) = (*setting + 1, link));
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
    link: watch::Receiver<(u64, Link)>,
    /// The setting under which it was opened.
    opened_at: u64,
    damage: Arc<AtomicU64>,
}

impl Wire {
    fn damaged(&self) {
        self.damage.fetch_add(1, Ordering::Relaxed);
    }

    fn link(&self) -> Link {
        self.link.borrow().1
    }

    /// Waits while bytes are withheld. False: the proxy has ended.
    async fn passes(&mut self) -> bool {
        let opened_at = self.opened_at;
        let withholds = |(setting, link): (u64, Link)| {
            link == Link::Blackhole || (link == Link::Strand && opened_at < setting)
        };
        let now = *self.link.borrow();
        if let Link::Delay(time) = now.1 {
            self.damaged();
            tokio::time::sleep(time).await;
        }
        if withholds(now) {
            self.damaged();
        }
        self.link.wait_for(|now| !withholds(*now)).await.is_ok()
    }

    /// Whether the connection ends instead of passing an answer on, after so many bytes of them.
    fn cuts(&self, before: usize, answer: &[u8]) -> bool {
        match self.link() {
            Link::CutAnswers => true,
            Link::CutAnswersWith(text) => answer.windows(text.len()).any(|window| window == text.as_bytes()),
            Link::CutAnswersAfter(bytes) => before + answer.len() > bytes,
            _ => false,
        }
    }
}

/// Waits for a setting that ends connections. Its value is copied: what holds a reference to it, and reads it once more
/// while another one is being set, waits for ever.
async fn ended_by(ending: &mut watch::Receiver<(u64, Link)>) -> Option<Link> {
    let ends = |now: &(u64, Link)| matches!(now.1, Link::Refuse | Link::Reset);
    ending.wait_for(ends).await.ok().map(|now| now.1)
}

async fn connection(client: TcpStream, port: u16, wire: Wire) {
    let mut ending = wire.link.clone();
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let reset = socket2::SockRef::from(&client).try_clone().expect("socket");
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        // In this order: of a connection that is refused, nothing is passed on.
        biased;
        end = ended_by(&mut ending) => {
            if end == Some(Link::Reset) {
                // Closing then sends RST instead of FIN.
                let _ = reset.set_linger(Some(Duration::ZERO));
            }
            wire.damaged();
        }
        () = forward(from_client, to_server, wire.clone(), false) => {}
        () = forward(from_server, to_client, wire.clone(), true) => {}
    }
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut wire: Wire, answers: bool) {
    let (mut bytes, mut passed) = ([0; 16_384], 0);
    loop {
        let length = match from.read(&mut bytes).await {
            Ok(length) if length > 0 => length,
            _ => return,
        };
        if answers && wire.cuts(passed, &bytes[..length]) {
            return wire.damaged();
        }
        passed += length;
        if !wire.passes().await || to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}
