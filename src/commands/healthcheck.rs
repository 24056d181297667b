//! `flashsale healthcheck`

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Query the readiness of a running process, and exit with 0 if it is ready
///
/// For container images, which then need no other HTTP client.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  flashsale healthcheck http://127.0.0.1:3001/readyz")]
pub(super) struct Healthcheck {
    /// The URL of its readiness route
    #[arg(default_value = "http://127.0.0.1:3001/readyz")]
    url: String,
}

impl Healthcheck {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let answer =
            timeout(Duration::from_secs(3), get(&self.url)).await.context("no response within 3 s")??;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).unwrap_or_default();
        if status != "200" {
            bail!("{} answered {status}: {body}", self.url);
        }
        Ok(())
    }
}

async fn get(url: &str) -> anyhow::Result<String> {
    let url = url::Url::parse(url).context("not a URL")?;
    ensure!(url.scheme() == "http", "only http:// is supported");
    let host = url.host_str().context("no host")?;
    let addresses = url.socket_addrs(|| None).context("no such host")?;
    let mut stream = TcpStream::connect(&*addresses).await.context("not reachable")?;
    let request = format!("GET {} HTTP/1.0\r\nHost: {host}\r\n\r\n", url.path());
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
