//! A TCP link that a test can damage: between our processes and one server.

use std::time::Duration;

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
    /// Ends every connection, and every new one at once.
    Refuse,
    /// Passes what our processes say, and ends the connection instead of passing the server's next answer.
    CutAnswers,
}

/// A proxy on a port of its own. Connections end with it.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    link: watch::Sender<Link>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// To a port of this machine.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let own_port = listener.local_addr().expect("address").port();
        let (link, changes) = watch::channel(Link::Pass);
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(connection(client, port, changes.clone()));
            }
        });
        Self { port: own_port, link, accepting }
    }

    /// Damages or heals the link.
    pub(crate) fn set(&self, link: Link) {
        self.link.send_replace(link);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn connection(client: TcpStream, port: u16, link: watch::Receiver<Link>) {
    let mut refusing = link.clone();
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        () = forward(from_client, to_server, link.clone(), false) => {}
        () = forward(from_server, to_client, link, true) => {}
        _ = refusing.wait_for(|link| *link == Link::Refuse) => {}
    }
}

async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut link: watch::Receiver<Link>,
    answers: bool,
) {
    let mut bytes = [0; 16_384];
    loop {
        let length = match from.read(&mut bytes).await {
            Ok(length) if length > 0 => length,
            _ => return,
        };
        if *link.borrow() == Link::CutAnswers && answers {
            return;
        }
        if link.wait_for(|link| *link != Link::Blackhole).await.is_err() {
            return;
        }
        if to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}

/// Long enough for a damage to be noticed by everything that has a time-out.
pub(crate) const DAMAGE: Duration = Duration::from_secs(6);
