//! The operations console of the system under test: it gives the evidence for an audit to whoever
//! has its token.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use url::Url;

use crate::audit::{Counts, Evidence};
use crate::domain::ProductId;
use crate::runtime::{FileError, read_secret};

/// The answer has every purchase of the product.
const EVIDENCE_TIMEOUT: Duration = Duration::from_mins(5);

/// Where the evidence is.
#[derive(Clone, Debug)]
pub struct ConsoleAccess {
    pub url: Url,
    /// `None`: the configuration names none.
    pub token_file: Option<PathBuf>,
}

/// Why a run asks no console.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum NoConsole {
    #[error("no console is configured (console.addr)")]
    NotConfigured,
    /// Its address would be that of the API by default, and nobody has said that the token
    /// may be sent there.
    #[error(
        "the API is on another machine: name its console with --console, and the console's token file \
         with --token-file"
    )]
    NotNamed,
}

#[derive(Clone)]
pub(super) struct Console {
    url: Url,
    product: ProductId,
    token: String,
    client: reqwest::Client,
}

impl std::fmt::Debug for Console {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Console({})", self.url)
    }
}

impl Console {
    /// Fails with what to do if the evidence can't be read.
    pub(super) async fn open(
        access: &ConsoleAccess,
        product: &ProductId,
        client: &reqwest::Client,
    ) -> anyhow::Result<Self> {
        let file = access.token_file.as_deref().context(
            "the system is distributed and console.token_file is not set: name the token file of `flashsale web` \
             with --token-file",
        )?;
        let shown = file.display();
        let token = read_secret(file).map_err(FileError::of("read the token file", file)).context(
            "is `flashsale serve` (or `web`) running with this token file, as this user? Name it with --token-file",
        )?;
        let console =
            Self { url: access.url.clone(), token, client: client.clone(), product: product.clone() };
        console.counts().await.with_context(|| format!("token file {shown}"))?;
        Ok(console)
    }

    pub(super) async fn counts(&self) -> anyhow::Result<Counts> {
        let text = self.read(&format!("audit/{}/counts", self.product)).await?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Everything that the stores hold of the product.
    pub(super) async fn evidence(&self) -> anyhow::Result<Evidence> {
        let text = self.read(&format!("audit/{}", self.product)).await?;
        Evidence::read(text.as_bytes(), &self.product)
    }

    async fn read(&self, path: &str) -> anyhow::Result<String> {
        let url = at(&self.url, path);
        let request = self.client.get(url.clone()).bearer_auth(&self.token).timeout(EVIDENCE_TIMEOUT);
        let response = request.send().await.with_context(|| {
            format!("the console can't be reached at {url}: name its address with --console")
        })?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        match status {
            200 => Ok(text),
            401 => bail!("{url} refuses the token: the file is of another system"),
            404 => bail!("{url} has no evidence: its process has no console.token_file, or no such product"),
            _ => bail!("{url} answered {status}: {text:.400}"),
        }
    }
}

/// A path of a server, below the path of its URL.
pub(super) fn at(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_a_server_is_below_that_of_its_url() {
        for (base, whole) in [
            ("http://h:1", "http://h:1/sale/buy"),
            ("http://h:1/", "http://h:1/sale/buy"),
            ("http://h:1/drop", "http://h:1/drop/sale/buy"),
            ("http://h:1/a/b/", "http://h:1/a/b/sale/buy"),
        ] {
            assert_eq!(at(&base.parse().unwrap(), "sale/buy").as_str(), whole);
        }
    }
}
