//! The system under test: its addresses, the product on sale, and the requests of a run.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use url::Url;

use super::{
    console::{Console, at},
    recorder::Recorder,
    response::{ResponseClass, classify_attempt},
};
use crate::audit::{Answer, Attempt, AttemptKind, Operation};
use crate::domain::ProductId;
use crate::runtime::Runtime;

pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) api: Url,
    /// The shop's pages, for viewers.
    pub(super) web: Url,
    pub(super) product: ProductId,
    pub(super) runtime: Runtime,
    /// `None`: nothing but the public routes can be read.
    pub(super) console: Option<Console>,
    users_prefix: Arc<str>,
    /// One instant on both clocks: histories need wall time, schedules monotonic time.
    origin: (Instant, DateTime<Utc>),
    pub(super) client: reqwest::Client,
}

/// The members of `GET /products/{id}` that a run needs.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TargetSale {
    pub(super) status: String,
    pub(super) start_at: Option<DateTime<Utc>>,
    pub(super) product: TargetProduct,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TargetProduct {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) total_stock: u32,
}

#[derive(Deserialize)]
struct Stock {
    stock: i64,
}

impl Target {
    /// Reads the sale of the product; of the first one of the catalogue, if none is named.
    pub(super) async fn find(
        api: Url,
        web: Url,
        product: Option<&str>,
        users_prefix: String,
        runtime: &Runtime,
    ) -> anyhow::Result<(Self, TargetSale)> {
        let client = client()?;
        let path = product.map_or("sale/status".to_owned(), |id| format!("products/{id}"));
        let url = at(&api, &path);
        let response = client.get(url.clone()).send().await;
        let response =
            response.with_context(|| format!("{url} can't be reached: is `flashsale serve` running?"))?;
        let status = response.status();
        if let Some(other) = response.headers().get(reqwest::header::LOCATION) {
            let other = other.to_str().unwrap_or_default();
            anyhow::bail!("{url} sends clients to {other}: name the address of the system itself");
        }
        let body = response.text().await?;
        anyhow::ensure!(status == 200, "{url} answered {status}: {body:.400}");
        let sale: TargetSale =
            serde_json::from_str(&body).with_context(|| format!("{url} answered {body:.400}"))?;
        let product = ProductId::parse(&sale.product.id)?;
        let users_prefix = users_prefix.into();
        let origin = (runtime.instant(), runtime.clock.now());
        let runtime = runtime.clone();
        Ok((Self { api, web, product, runtime, console: None, users_prefix, origin, client }, sale))
    }

    /// A route of the API, without a slash at its beginning.
    pub(super) fn route(&self, path: &str) -> Url {
        at(&self.api, path)
    }

    /// A route of the product, below `/products/{id}`.
    pub(super) fn product_route(&self, rest: &str) -> Url {
        self.route(&format!("products/{}{rest}", self.product))
    }

    pub(super) fn buy_route(&self) -> Url {
        self.product_route("/buy")
    }

    pub(super) fn purchase_route(&self, user: &str) -> Url {
        let mut url = self.product_route("/purchase");
        url.query_pairs_mut().append_pair("userId", user);
        url
    }

    /// A page of the product.
    pub(super) fn page(&self, rest: &str) -> Url {
        at(&self.web, &format!("products/{}{rest}", self.product))
    }

    pub(super) fn user(&self, number: u64) -> String {
        format!("{}{number}", self.users_prefix)
    }

    /// Milliseconds since 1970, as in a history.
    fn millis(&self, instant: Instant) -> i64 {
        let since = instant.saturating_duration_since(self.origin.0);
        (self.origin.1 + since).timestamp_millis()
    }

    /// A line of the history.
    pub(super) fn attempt(
        &self,
        operation: Operation,
        user: &str,
        from_to: (Instant, Instant),
        kind: AttemptKind,
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

    pub(super) async fn stock(&self) -> anyhow::Result<i64> {
        let text = read(self.client.get(self.product_route("/stock"))).await?;
        Ok(serde_json::from_str::<Stock>(&text)?.stock)
    }

    /// Reads a user's purchase and adds the answer to the history.
    pub(super) async fn query_purchase(&self, recorder: &Recorder, user: &str) -> anyhow::Result<()> {
        let began = self.runtime.instant();
        let text = read(self.client.get(self.purchase_route(user))).await?;
        let answer: Answer = serde_json::from_str(&text)?;
        let from_to = (began, self.runtime.instant());
        let attempt = self.attempt(Operation::Status, user, from_to, AttemptKind::Ok, Some(answer));
        recorder.record_history(attempt);
        Ok(())
    }

    /// Returns when the head of the response has arrived; the caller reads the body.
    pub(super) async fn get(&self, url: Url) -> reqwest::Result<reqwest::Response> {
        self.client.get(url).send().await
    }

    /// Sends one purchase attempt. A `timeout` below [`REQUEST_TIMEOUT`] is a buyer
    /// who abandons the request.
    pub(super) async fn buy(&self, user: &str, timeout: Duration) -> (ResponseClass, Attempt) {
        let began = self.runtime.instant();
        let request = self
            .client
            .post(self.buy_route())
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .body(format!("{{\"userId\":\"{user}\"}}"));
        let exchange = async {
            let response = request.send().await?;
            let status = response.status().as_u16();
            Ok::<_, reqwest::Error>((status, response.bytes().await?))
        };
        let (class, kind, answer) = match tokio::time::timeout(timeout, exchange).await {
            Ok(Ok((status, body))) => classify_attempt(status, &body),
            Ok(Err(error)) if error.is_connect() => (ResponseClass::NoResponse, AttemptKind::Refused, None),
            Err(_) if timeout < REQUEST_TIMEOUT => (ResponseClass::Abandoned, AttemptKind::Unknown, None),
            Ok(Err(_)) | Err(_) => (ResponseClass::NoResponse, AttemptKind::Unknown, None),
        };
        let attempt = self.attempt(Operation::Buy, user, (began, self.runtime.instant()), kind, answer);
        (class, attempt)
    }
}

async fn read(request: reqwest::RequestBuilder) -> anyhow::Result<String> {
    let response = request.send().await?;
    let (status, url) = (response.status(), response.url().clone());
    let text = response.text().await?;
    anyhow::ensure!(status == 200, "{url} answered {status}: {text:.400}");
    Ok(text)
}

/// Without a proxy: goose's client and the stampede's connections would not use the
/// one of the environment. Without redirects: they may lead to another system.
fn client() -> anyhow::Result<reqwest::Client> {
    let builder = reqwest::Client::builder().timeout(REQUEST_TIMEOUT).no_proxy();
    Ok(builder.redirect(reqwest::redirect::Policy::none()).build()?)
}
