//! The crowd, on goose. Each of goose's users is one pair of hands.
//!
//! Goose is a closed model: a user sends a request, waits for the answer, and goes on. Here a user takes whatever
//! arrival is due next instead (see [`super::arrivals`]), there are enough of them that one is free whenever somebody
//! arrives, and what is reported to goose is the time since the arrival was due.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use goose::{
    GooseAttack,
    client::GooseClientBuilder,
    config::GooseConfiguration,
    goose::{GooseUser, Scenario as GooseScenario, Transaction, TransactionResult},
};

use tokio_util::sync::CancellationToken;

use super::{
    arrivals::{Arrival, Arrivals, person},
    recorder::{Recorder, Sample},
    target::{PATIENCE, Target},
    told::{self, Told},
};

/// Most users: each may hold a connection.
const USERS_MAX: usize = 4_000;
const USERS_MIN: usize = 50;
/// Goose starts so many users a second.
const USERS_STARTED_PER_S: usize = 20_000;
/// How soon somebody gives up who does, and when they come back.
const GIVES_UP_AFTER: Duration = Duration::from_millis(5);
const COMES_BACK_AFTER: Duration = Duration::from_millis(500);

/// How long somebody listens to live updates.
const LISTENS_FOR: Duration = Duration::from_secs(1);

/// What the crowd does.
#[derive(Clone, Debug)]
pub(super) enum Errand {
    /// They buy, as they arrive.
    Buy {
        /// Who is due.
        arrivals: Arrivals,
        /// See [`person`].
        repeat_every: u64,
        /// Whether they double-click, give up, and come back.
        impatient: bool,
    },
    /// They buy, again and again, with a pause after each answer.
    Click {
        /// See [`person`].
        repeat_every: u64,
        /// Longest pause.
        pause_max: Duration,
        /// Until when, or until it is stopped.
        until: Instant,
        /// Stops it.
        stop: CancellationToken,
    },
    /// They look, as they arrive.
    Look {
        /// Who is due.
        arrivals: Arrivals,
    },
}

/// What each of the crowd has in hands.
#[derive(Clone, Debug)]
struct Hands {
    target: Target,
    recorder: Recorder,
    errand: Errand,
}

/// How many pairs of hands a load needs, at a peak of so many arrivals a second: enough for answers that take a second.
pub(super) fn hands_for(peak_per_s: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of users")]
    let wanted = peak_per_s.ceil() as usize;
    wanted.clamp(USERS_MIN, USERS_MAX)
}

/// How long it takes until so many users are there.
pub(super) fn gathering_time(users: usize) -> Duration {
    Duration::from_millis(500 + u64::try_from(users * 1_000 / USERS_STARTED_PER_S).unwrap_or(0))
}

/// Sends a crowd of so many on its errand, and waits until all of it is done.
pub(super) async fn send(
    target: &Target,
    recorder: &Recorder,
    errand: Errand,
    users: usize,
    report: Option<&str>,
) -> anyhow::Result<()> {
    let name = match &errand {
        Errand::Look { .. } => "look",
        Errand::Buy { .. } | Errand::Click { .. } => "buy",
    };
    let hands = Arc::new(Hands { target: target.clone(), recorder: recorder.clone(), errand });
    let transaction: goose::goose::TransactionFunction = Arc::new(move |user: &mut GooseUser| {
        let hands = hands.clone();
        let running: Pin<Box<dyn Future<Output = TransactionResult> + Send + '_>> =
            Box::pin(async move { hands.work(user).await });
        running
    });
    let client = GooseClientBuilder::new().without_cookies().timeout(PATIENCE);
    let scenario =
        GooseScenario::new(name).register_transaction(Transaction::new(transaction).set_name(name));
    let attack = GooseAttack::initialize_with_config(configuration(target, users, report))
        .and_then(|attack| attack.set_client_builder_without_cookies(client))
        .map(|attack| attack.register_scenario(scenario));
    let attack = attack.map_err(anyhow::Error::from)?;
    Box::pin(attack.execute()).await.map(drop).context("goose")
}

/// Goose's own settings; what its command line would be given.
fn configuration(target: &Target, users: usize, report: Option<&str>) -> GooseConfiguration {
    let mut configuration = GooseConfiguration::default();
    configuration.host = Some(target.api.to_string());
    configuration.users = Some(users);
    configuration.increase_rate = Some(USERS_STARTED_PER_S.to_string());
    // Each user runs the errand once, to its end.
    configuration.iterations = Some(1);
    configuration.quiet = 3;
    configuration.no_print_metrics = true;
    configuration.no_error_summary = true;
    configuration.no_telnet = true;
    configuration.report_file = report.map(str::to_owned).into_iter().collect();
    configuration
}

impl Hands {
    async fn work(&self, user: &mut GooseUser) -> TransactionResult {
        match &self.errand {
            Errand::Buy { arrivals, repeat_every, impatient } => {
                while let Some(arrival) = arrivals.next().await {
                    let name = self.target.user(person(arrival.number, *repeat_every));
                    if *impatient {
                        self.buy_impatiently(user, arrival, &name).await?;
                    } else {
                        self.buy(user, arrival.due, &name, PATIENCE).await?;
                    }
                }
            }
            Errand::Click { repeat_every, pause_max, until, stop } => {
                let mine = user.weighted_users_index as u64 * 1_000_000;
                tokio::time::sleep_until(self.recorder.began.into()).await;
                for click in 0.. {
                    if Instant::now() >= *until || stop.is_cancelled() {
                        break;
                    }
                    let name = self.target.user(mine + person(click, *repeat_every));
                    self.buy(user, self.recorder.elapsed(), &name, PATIENCE).await?;
                    tokio::time::sleep(pause_max.mul_f64(fastrand::f64())).await;
                }
            }
            Errand::Look { arrivals } => {
                while let Some(arrival) = arrivals.next().await {
                    self.look(user, arrival).await?;
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
        patience: Duration,
    ) -> TransactionResult {
        let (ended, told) = self.attempt(due, name, patience).await;
        report(user, "POST", "buy", ended.saturating_sub(due), told).await
    }

    /// Sends one attempt and notes it: when it ended, and what its sender was told.
    async fn attempt(&self, due: Duration, name: &str, patience: Duration) -> (Duration, Told) {
        let sent = self.recorder.elapsed();
        let (told, attempt) = self.target.buy(name, patience).await;
        let ended = self.recorder.elapsed();
        self.recorder.note(Sample { due, sent, ended, told, attempt: Some(attempt) });
        (ended, told)
    }

    /// One of three double-clicks, one of three gives up and comes back, one is patient.
    async fn buy_impatiently(&self, user: &mut GooseUser, arrival: Arrival, name: &str) -> TransactionResult {
        match arrival.number % 3 {
            0 => {
                let click = || self.attempt(arrival.due, name, PATIENCE);
                let (first, second) = futures_util::future::join(click(), click()).await;
                for (ended, told) in [first, second] {
                    report(user, "POST", "buy", ended.saturating_sub(arrival.due), told).await?;
                }
                Ok(())
            }
            1 => {
                self.buy(user, arrival.due, name, GIVES_UP_AFTER).await?;
                tokio::time::sleep(COMES_BACK_AFTER).await;
                self.buy(user, self.recorder.elapsed(), name, PATIENCE).await
            }
            _ => self.buy(user, arrival.due, name, PATIENCE).await,
        }
    }

    async fn look(&self, user: &mut GooseUser, arrival: Arrival) -> TransactionResult {
        let (target, product) = (&self.target, &self.target.product);
        if arrival.number % 40 == 3 {
            return self.follow(user, arrival).await;
        }
        let (name, url) = match arrival.number % 4 {
            0 => ("status", target.route(&format!("products/{product}"))),
            1 => ("stock", target.route(&format!("products/{product}/stock"))),
            2 => {
                let mut url = target.route(&format!("products/{product}/purchase"));
                url.query_pairs_mut().append_pair("userId", &target.user(arrival.number / 10));
                ("purchase", url)
            }
            _ => {
                let mut url = target.web.clone();
                url.set_path(&format!("products/{product}"));
                ("page", url)
            }
        };
        let sent = self.recorder.elapsed();
        let looking = async {
            let answer = target.look(url).await?;
            let status = answer.status().as_u16();
            Ok::<_, reqwest::Error>((status, answer.bytes().await?))
        };
        let told = looking.await.map_or(Told::NoAnswer, |(status, body)| told::of_look(name, status, &body));
        let ended = self.recorder.elapsed();
        self.recorder.note(Sample { due: arrival.due, sent, ended, told, attempt: None });
        report(user, "GET", name, ended.saturating_sub(arrival.due), told).await
    }

    /// Listens to the live updates for a moment. What counts is the time until the first one is there.
    async fn follow(&self, user: &mut GooseUser, arrival: Arrival) -> TransactionResult {
        let mut url = self.target.web.clone();
        url.set_path(&format!("products/{}/events", self.target.product));
        let sent = self.recorder.elapsed();
        let beginning = async {
            let mut answer = self.target.look(url).await?;
            let status = answer.status().as_u16();
            let first = answer.chunk().await?.unwrap_or_default();
            Ok::<_, reqwest::Error>((status, first, answer))
        };
        let (told, _open) = match beginning.await {
            Ok((status, first, answer)) => (told::of_look("events", status, &first), Some(answer)),
            Err(_) => (Told::NoAnswer, None),
        };
        let ended = self.recorder.elapsed();
        self.recorder.note(Sample { due: arrival.due, sent, ended, told, attempt: None });
        tokio::time::sleep(LISTENS_FOR).await;
        report(user, "GET", "events", ended.saturating_sub(arrival.due), told).await
    }
}

/// Tells goose, for its own report.
async fn report(
    user: &mut GooseUser,
    method: &str,
    name: &str,
    time: Duration,
    told: Told,
) -> TransactionResult {
    let (success, error) = (!told.is_failure(), Some(told.as_str()).filter(|_| told.is_failure()));
    user.record_custom_request_duration(method, name, time, success, None, error).await
}
