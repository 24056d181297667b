//! What a virtual user does: it buys, on schedule or in a loop, with one click or erratically, or
//! views the sale.

use std::time::{Duration, Instant};

use goose::goose::{GooseUser, TransactionResult};
use tokio_util::sync::CancellationToken;

use super::{
    arrivals::{Arrival, Arrivals, buyer_number},
    recorder::{Recorder, Sample},
    response::{ResponseClass, View},
    target::{REQUEST_TIMEOUT, Target},
};

const ABANDON_AFTER: Duration = Duration::from_millis(5);
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// How long a viewer keeps its stream of live updates open.
const EVENTS_OPEN_FOR: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub(super) enum Workload {
    /// Requests start on schedule (open model).
    Buy { arrivals: Arrivals, repeat_every: u64, erratic: bool },
    /// The next request waits for the answer (closed model).
    BuyInLoop { repeat_every: u64, think_time_max: Duration, until: Instant, stop: CancellationToken },
    /// Requests start on schedule (open model).
    View { arrivals: Arrivals },
}

impl Workload {
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Buy { .. } | Self::BuyInLoop { .. } => "buy",
            Self::View { .. } => "view",
        }
    }
}

/// Shared by all virtual users of a workload.
#[derive(Clone, Debug)]
pub(super) struct VirtualUsers {
    pub(super) target: Target,
    pub(super) recorder: Recorder,
    pub(super) workload: Workload,
}

impl VirtualUsers {
    pub(super) async fn work(&self, user: &mut GooseUser) -> TransactionResult {
        match &self.workload {
            Workload::Buy { arrivals, repeat_every, erratic } => {
                while let Some(arrival) = arrivals.next().await {
                    let name = self.target.user(buyer_number(arrival.number, *repeat_every));
                    if *erratic {
                        self.buy_erratically(user, arrival, &name).await?;
                    } else {
                        self.buy(user, arrival.due, &name, REQUEST_TIMEOUT).await?;
                    }
                }
            }
            Workload::BuyInLoop { repeat_every, think_time_max, until, stop } => {
                let first = user.weighted_users_index as u64 * 1_000_000;
                tokio::time::sleep_until(self.recorder.began.into()).await;
                for attempt in 0.. {
                    if self.target.runtime.instant() >= *until || stop.is_cancelled() {
                        break;
                    }
                    let name = self.target.user(first + buyer_number(attempt, *repeat_every));
                    self.buy(user, self.recorder.elapsed(), &name, REQUEST_TIMEOUT).await?;
                    tokio::time::sleep(think_time_max.mul_f64(self.target.runtime.entropy.fraction())).await;
                }
            }
            Workload::View { arrivals } => {
                while let Some(arrival) = arrivals.next().await {
                    self.view(user, arrival).await?;
                }
            }
        }
        Ok(())
    }

    async fn buy(
        &self,
        user: &mut GooseUser,
        due: Duration,
        name: &str,
        timeout: Duration,
    ) -> TransactionResult {
        let (ended, class) = self.attempt(due, name, timeout).await;
        report(user, "POST", "buy", ended.saturating_sub(due), class).await
    }

    async fn attempt(&self, due: Duration, name: &str, timeout: Duration) -> (Duration, ResponseClass) {
        let sent = self.recorder.elapsed();
        let (class, attempt) = self.target.buy(name, timeout).await;
        let ended = self.recorder.elapsed();
        self.recorder.record(Sample { due, sent, ended, class, attempt: Some(attempt) });
        (ended, class)
    }

    /// A third of the buyers double-click, a third abandon the request and retry, a
    /// third send one request.
    async fn buy_erratically(&self, user: &mut GooseUser, arrival: Arrival, name: &str) -> TransactionResult {
        match arrival.number % 3 {
            0 => {
                let click = || self.attempt(arrival.due, name, REQUEST_TIMEOUT);
                let (first, second) = futures_util::future::join(click(), click()).await;
                for (ended, class) in [first, second] {
                    report(user, "POST", "buy", ended.saturating_sub(arrival.due), class).await?;
                }
                Ok(())
            }
            1 => {
                self.buy(user, arrival.due, name, ABANDON_AFTER).await?;
                tokio::time::sleep(RETRY_AFTER).await;
                self.buy(user, self.recorder.elapsed(), name, REQUEST_TIMEOUT).await
            }
            _ => self.buy(user, arrival.due, name, REQUEST_TIMEOUT).await,
        }
    }

    async fn view(&self, user: &mut GooseUser, arrival: Arrival) -> TransactionResult {
        let target = &self.target;
        if arrival.number % 40 == 3 {
            return self.view_events(user, arrival).await;
        }
        let (view, url) = match arrival.number % 4 {
            0 => (View::Status, target.product_route("")),
            1 => (View::Stock, target.product_route("/stock")),
            2 => (View::Purchase, target.purchase_route(&target.user(arrival.number / 10))),
            _ => (View::Page, target.page("")),
        };
        let sent = self.recorder.elapsed();
        let exchange = async {
            let response = target.get(url).await?;
            let status = response.status().as_u16();
            Ok::<_, reqwest::Error>((status, response.bytes().await?))
        };
        let class = match exchange.await {
            Ok((status, body)) => view.classify(status, &body),
            Err(_) => ResponseClass::NoResponse,
        };
        let ended = self.recorder.elapsed();
        self.recorder.record(Sample { due: arrival.due, sent, ended, class, attempt: None });
        report(user, "GET", view.as_str(), ended.saturating_sub(arrival.due), class).await
    }

    /// The latency is the time until the first event.
    async fn view_events(&self, user: &mut GooseUser, arrival: Arrival) -> TransactionResult {
        let sent = self.recorder.elapsed();
        let first_event = async {
            let mut response = self.target.get(self.target.page("/events")).await?;
            let status = response.status().as_u16();
            let first = response.chunk().await?.unwrap_or_default();
            Ok::<_, reqwest::Error>((status, first, response))
        };
        let (class, _open) = match first_event.await {
            Ok((status, first, response)) => (View::Events.classify(status, &first), Some(response)),
            Err(_) => (ResponseClass::NoResponse, None),
        };
        let ended = self.recorder.elapsed();
        self.recorder.record(Sample { due: arrival.due, sent, ended, class, attempt: None });
        tokio::time::sleep(EVENTS_OPEN_FOR).await;
        let name = View::Events.as_str();
        report(user, "GET", name, ended.saturating_sub(arrival.due), class).await
    }
}

/// For goose's own report.
async fn report(
    user: &mut GooseUser,
    method: &str,
    name: &str,
    time: Duration,
    class: ResponseClass,
) -> TransactionResult {
    let failure = class.is_failure().then_some(class.as_str());
    user.record_custom_request_duration(method, name, time, failure.is_none(), None, failure).await
}
