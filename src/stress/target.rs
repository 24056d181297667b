//! Whom a run is aimed at: addresses, the product, the people, and the clock.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use url::Url;

use super::{recorder::Recorder, told};
use crate::audit::{Answer, Attempt, Counts, Evidence, Kind, Operation};
use crate::domain::ProductId;

/// How long anybody waits for an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How long the stores' contents may take to arrive.
const EVIDENCE_PATIENCE: Duration = Duration::from_mins(5);

/// Whom a run is aimed at; clones share everything.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The API.
    pub(super) api: Url,
    /// The pages, for those who look.
    pub(super) web: Url,
    /// What is bought.
    pub(super) product: ProductId,
    /// What every user's id begins with.
    pub(super) users_prefix: Arc<str>,
    /// The instant, and the time of day, at which this was made: history needs the one, schedules the other.
    origin: (Instant, DateTime<Utc>),
    client: reqwest::Client,
}

/// The parts of `GET /products/{id}` that a run needs.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sale {
    /// The phase.
    pub(super) status: String,
    /// When it opens.
    pub(super) start_at: Option<DateTime<Utc>>,
    /// The product.
    pub(super) product: Product,
}

/// The parts of its product.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Product {
    /// Its id.
    pub(super) id: String,
    /// Its name.
    pub(super) name: String,
    /// Units in the sale.
    pub(super) total_stock: u32,
}

#[derive(Deserialize)]
struct Stock {
    stock: i64,
}

impl Target {
    /// Asks the API about the product (the first one, if none is named).
    pub(super) async fn find(
        api: Url,
        web: Url,
        product: Option<&str>,
        users_prefix: String,
        now: DateTime<Utc>,
    ) -> anyhow::Result<(Self, Sale)> {
        let client = client()?;
        let path = product.map_or("sale/status".to_owned(), |id| format!("products/{id}"));
        let url = at(&api, &path);
        let answer = client.get(url.clone()).send().await;
        let answer =
            answer.with_context(|| format!("{url} can't be reached: is `flashsale serve` running?"))?;
        let status = answer.status();
        let body = answer.text().await?;
        anyhow::ensure!(status == 200, "{url} answered {status}: {body}");
        let sale: Sale = serde_json::from_str(&body).with_context(|| format!("{url} answered {body}"))?;
        let product = ProductId::parse(&sale.product.id)?;
        let users_prefix = users_prefix.into();
        let origin = (Instant::now(), now);
        Ok((Self { api, web, product, users_prefix, origin, client }, sale))
    }

    /// The address of a route of the API.
    pub(super) fn route(&self, path: &str) -> Url {
        at(&self.api, path)
    }

    /// Where this product is bought.
    pub(super) fn buy_route(&self) -> Url {
        self.route(&format!("products/{}/buy", self.product))
    }

    /// The user of this number.
    pub(super) fn user(&self, number: u64) -> String {
        format!("{}{number}", self.users_prefix)
    }

    /// An instant as a history has it: milliseconds since 1970.
    pub(super) fn millis(&self, instant: Instant) -> i64 {
        let since = instant.saturating_duration_since(self.origin.0);
        (self.origin.1 + since).timestamp_millis()
    }

    /// A line of the history.
    pub(super) fn attempt(
        &self,
        operation: Operation,
        user: &str,
        from_to: (Instant, Instant),
        kind: Kind,
        answer: Option<Answer>,
    ) -> Attempt {
        Attempt {
            operation,
            user: user.to_owned(),
            product: self.product.to_string(),
            start: self.millis(from_to.0),
            end: self.millis(from_to.1),
            kind,
            answer,
        }
    }

    /// Units left.
    pub(super) async fn stock(&self) -> anyhow::Result<i64> {
        let url = self.route(&format!("products/{}/stock", self.product));
        Ok(serde_json::from_str::<Stock>(&self.text(url).await?)?.stock)
    }

    /// How far the sale is. `None`: the API has no audit route for us.
    pub(super) async fn counts(&self) -> anyhow::Result<Option<Counts>> {
        let url = self.route(&format!("audit/{}/counts", self.product));
        let answer = self.client.get(url).send().await?;
        match answer.status().as_u16() {
            200 => Ok(Some(serde_json::from_str(&answer.text().await?)?)),
            404 => Ok(None),
            status => anyhow::bail!("the audit route answered {status}"),
        }
    }

    /// What the stores hold: every purchase, which may take its time.
    pub(super) async fn evidence(&self) -> anyhow::Result<Evidence> {
        let url = self.route(&format!("audit/{}", self.product));
        let text = read(self.client.get(url).timeout(EVIDENCE_PATIENCE)).await?;
        Evidence::read(text.as_bytes(), &self.product)
    }

    /// Asks about a user's purchase, for the history.
    pub(super) async fn ask(&self, recorder: &Recorder, user: &str) -> anyhow::Result<()> {
        let route = format!("products/{}/purchase", self.product);
        let mut url = self.route(&route);
        url.query_pairs_mut().append_pair("userId", user);
        let began = Instant::now();
        let answer: Answer = serde_json::from_str(&self.text(url).await?)?;
        let from_to = (began, Instant::now());
        recorder.note_question(self.attempt(Operation::Status, user, from_to, Kind::Ok, Some(answer)));
        Ok(())
    }

    async fn text(&self, url: Url) -> anyhow::Result<String> {
        read(self.client.get(url)).await
    }

    /// Something that is looked at. Its body is still to come.
    pub(super) async fn look(&self, url: Url) -> reqwest::Result<reqwest::Response> {
        self.client.get(url).send().await
    }

    /// One purchase attempt: what its sender was told, and the line for the history.
    pub(super) async fn buy(&self, user: &str, patience: Duration) -> (told::Told, Attempt) {
        let began = Instant::now();
        let request = self
            .client
            .post(self.buy_route())
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .body(format!("{{\"userId\":\"{user}\"}}"));
        let answering = async {
            let answer = request.send().await?;
            let status = answer.status().as_u16();
            Ok::<_, reqwest::Error>((status, answer.bytes().await?))
        };
        let (told, kind, answer) = match tokio::time::timeout(patience, answering).await {
            Ok(Ok((status, body))) => told::of_attempt(status, &body),
            Ok(Err(error)) if error.is_connect() => (told::Told::NoAnswer, Kind::Refused, None),
            Err(_) if patience < PATIENCE => (told::Told::GivenUp, Kind::Unknown, None),
            Ok(Err(_)) | Err(_) => (told::Told::NoAnswer, Kind::Unknown, None),
        };
        let attempt = self.attempt(Operation::Buy, user, (began, Instant::now()), kind, answer);
        (told, attempt)
    }
}

async fn read(request: reqwest::RequestBuilder) -> anyhow::Result<String> {
    let answer = request.send().await?;
    let (status, url) = (answer.status(), answer.url().clone());
    let text = answer.text().await?;
    anyhow::ensure!(status == 200, "{url} answered {status}: {text}");
    Ok(text)
}

/// The client of a run: of everything it asks, so that no proxy of the environment stands between some of it.
fn client() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder().timeout(PATIENCE).no_proxy().build()?)
}

fn at(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(path);
    url
}
