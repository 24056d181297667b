//! The virtual users, on goose.
//!
//! Goose has a closed model: a virtual user sends its next request after the response to the last
//! one. For the open model a virtual user here takes the next arrival of a shared schedule (see
//! [`super::arrivals`]), there are enough virtual users that one is free for each arrival, and
//! goose is told the time since the arrival was due.

use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use futures_util::FutureExt;
use goose::{
    GooseAttack, GooseError,
    client::GooseClientBuilder,
    config::GooseConfiguration,
    goose::{GooseUser, Scenario as GooseScenario, Transaction, TransactionResult},
};
use tokio_util::sync::CancellationToken;

use super::{
    arrivals::{Arrival, Arrivals, buyer_number},
    recorder::{Recorder, Sample},
    response::{ResponseClass, View},
    target::{REQUEST_TIMEOUT, Target},
};
use crate::runtime::output;

/// Each virtual user may hold a connection.
const USERS_MAX: usize = 4_000;
const USERS_MIN: usize = 50;
const USERS_STARTED_PER_S: usize = 20_000;

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
    fn as_str(&self) -> &'static str {
        match self {
            Self::Buy { .. } | Self::BuyInLoop { .. } => "buy",
            Self::View { .. } => "view",
        }
    }
}

/// Shared by all virtual users of a workload.
#[derive(Clone, Debug)]
struct VirtualUsers {
    target: Target,
    recorder: Recorder,
    workload: Workload,
}

/// The number of virtual users for an open model: enough for responses that take a second.
pub(super) fn users_for(peak_per_s: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of users")]
    let wanted = peak_per_s.ceil() as usize;
    wanted.clamp(USERS_MIN, USERS_MAX)
}

/// The time until goose has started this many virtual users.
pub(super) fn start_time(users: usize) -> Duration {
    Duration::from_millis(500 + u64::try_from(users * 1_000 / USERS_STARTED_PER_S).unwrap_or(0))
}

/// Runs a workload to its end.
pub(super) async fn run(
    target: &Target,
    recorder: &Recorder,
    workload: Workload,
    users: usize,
    report: Option<&str>,
) -> anyhow::Result<()> {
    let name = workload.as_str();
    let virtual_users =
        Arc::new(VirtualUsers { target: target.clone(), recorder: recorder.clone(), workload });
    let transaction: goose::goose::TransactionFunction = Arc::new(move |user: &mut GooseUser| {
        let virtual_users = virtual_users.clone();
        let running: Pin<Box<dyn Future<Output = TransactionResult> + Send + '_>> =
            Box::pin(async move { virtual_users.work(user).await });
        running
    });
    let client = GooseClientBuilder::new().without_cookies().timeout(REQUEST_TIMEOUT);
    let scenario =
        GooseScenario::new(name).register_transaction(Transaction::new(transaction).set_name(name));
    let attack = GooseAttack::initialize_with_config(configuration(target, users, report))
        .and_then(|attack| attack.set_client_builder_without_cookies(client))
        .map(|attack| attack.register_scenario(scenario));
    let attack = attack.map_err(anyhow::Error::from)?;
    match AssertUnwindSafe(Box::pin(attack.execute())).catch_unwind().await {
        Ok(Err(error))
            if has_load(recorder)
                && let Some(why) = report_failure(&error) =>
        {
            output::note(format_args!("flashsale: not written: goose's report: {why}"));
            Ok(())
        }
        Ok(ended) => ended.map(drop).context("goose"),
        Err(_logged) => bail!("goose panicked"),
    }
}

/// goose writes its report after the load, and fails if it can't.
fn report_failure(error: &GooseError) -> Option<String> {
    match error {
        GooseError::Io(error) => Some(error.to_string()),
        GooseError::InvalidOption { option, detail, .. } if option == "--report-file" => Some(detail.clone()),
        _ => None,
    }
}

fn has_load(recorder: &Recorder) -> bool {
    recorder.read(|record| !record.attempts.is_empty())
}

fn configuration(target: &Target, users: usize, report: Option<&str>) -> GooseConfiguration {
    let mut configuration = GooseConfiguration::default();
    configuration.host = Some(target.api.to_string());
    configuration.users = Some(users);
    configuration.increase_rate = Some(USERS_STARTED_PER_S.to_string());
    // Each virtual user runs its workload once, to its end.
    configuration.iterations = Some(1);
    configuration.quiet = 3;
    configuration.no_print_metrics = true;
    configuration.no_error_summary = true;
    configuration.no_telnet = true;
    configuration.report_file = report.map(str::to_owned).into_iter().collect();
    configuration
}

impl VirtualUsers {
    async fn work(&self, user: &mut GooseUser) -> TransactionResult {
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
