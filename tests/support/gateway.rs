//! An HTTP proxy in front of the shop that answers some requests itself, late, or never.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, copy_bidirectional, sink},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    /// The gateway answers with this status, and a page of its own.
    Status(u16),
    /// Its connection is closed.
    Close,
    /// Nothing passes, in both directions.
    Hold,
    /// It passes after this time.
    Late(Duration),
    /// It passes, and its answer does not.
    LoseAnswer,
    /// It passes, and after this time nothing passes any more; the connection stays open.
    Freeze(Duration),
}

/// On a port of its own. Each connection carries one request.
pub(crate) struct Gateway {
    pub(crate) port: u16,
    rules: Arc<Mutex<Vec<(&'static str, Rule)>>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Gateway {
    /// To a port of this machine.
    pub(crate) async fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let rules: Arc<Mutex<Vec<(&'static str, Rule)>>> = Arc::default();
        let of_all = rules.clone();
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let rules = of_all.clone();
                connections.spawn(async move { serve(client, target, &rules).await });
            }
        });
        Self { port, rules, accepting }
    }

    /// Replaces the rules: each with the begin of the request lines that it is for.
    pub(crate) fn set(&self, rules: &[(&'static str, Rule)]) {
        *self.rules.lock().expect("rules") = rules.to_vec();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(
    mut client: TcpStream,
    target: u16,
    rules: &Mutex<Vec<(&'static str, Rule)>>,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    let end = loop {
        if client.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        if let Some(end) = request.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end;
        }
    };
    let (head, body) = request.split_at(end);
    let head = String::from_utf8_lossy(head).into_owned();
    let rule =
        rules.lock().expect("rules").iter().find(|(begin, _)| head.starts_with(begin)).map(|one| one.1);
    match rule {
        Some(Rule::Status(status)) => {
            let page = "<h1>Bad gateway</h1>";
            let head = format!("HTTP/1.1 {status} No\r\ncontent-type: text/html\r\nconnection: close");
            let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{page}", page.len());
            return client.write_all(answer.as_bytes()).await;
        }
        Some(Rule::Close) => return Ok(()),
        Some(Rule::Hold) => return copy(&mut client, &mut sink()).await.map(drop),
        Some(Rule::Late(time)) => sleep(time).await,
        Some(Rule::LoseAnswer | Rule::Freeze(_)) | None => {}
    }
    let mut server = TcpStream::connect(("127.0.0.1", target)).await?;
    let head = head.replace("Connection: keep-alive", "Connection: close");
    server.write_all(head.as_bytes()).await?;
    server.write_all(body).await?;
    if matches!(rule, Some(Rule::LoseAnswer)) {
        copy(&mut server, &mut sink()).await?;
        return copy(&mut client, &mut sink()).await.map(drop);
    }
    if let Some(Rule::Freeze(time)) = rule {
        // An end of the time is no error.
        let _elapsed = timeout(time, copy_bidirectional(&mut client, &mut server)).await;
        return copy(&mut client, &mut sink()).await.map(drop);
    }
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}
