//! A small sale that goes on while faults happen: buyers who try, try again and come back, a history of what they
//! were told, and the audit at the end.

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use flashsale::{
    audit::{Answer, Attempt, AttemptKind, Fault, HistoryLine, Operation},
    runtime::{Clock, SystemClock},
};
use serde_json::Value;
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::watch, task::JoinSet};

use super::{SOON, eventually, services::Services};
use crate::distributed::outbox_len;

pub(crate) const PRODUCT: &str = "limited-001";
/// Between two attempts of one of those who try at a time.
const PACE: Duration = Duration::from_millis(60);
/// How many try at a time.
const LANES: u32 = 16;
/// Turns of one of them between two buyers who come before they are let.
const TURNS_HELD_BACK: u32 = 80;
/// Longer than the API ever takes to answer by itself.
const PATIENCE: Duration = Duration::from_secs(8);

pub(crate) fn now() -> i64 {
    SystemClock.now().timestamp_millis()
}

/// Everybody who buys.
pub(crate) struct Buyers {
    lanes: JoinSet<()>,
}

impl Buyers {
    /// Waits until all of them are done. False: they are not, after a long time.
    pub(crate) async fn done(&mut self, deadline: Duration) -> bool {
        let all = async {
            while let Some(ended) = self.lanes.join_next().await {
                ended.expect("buyer");
            }
        };
        tokio::time::timeout(deadline, all).await.is_ok()
    }
}

/// Purchase attempts, and how many of them were answered SUCCESS with each durability.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) attempts: u32,
    pub(crate) broker: u32,
    pub(crate) redis: u32,
}

/// The history of a sale, and where its API can be reached at the moment.
#[derive(Clone)]
pub(crate) struct Sale {
    apis: Arc<Mutex<Vec<String>>>,
    lines: Arc<Mutex<Vec<HistoryLine>>>,
    client: reqwest::Client,
    released: watch::Sender<bool>,
}

impl Sale {
    pub(crate) fn new() -> Self {
        let builder = reqwest::Client::builder().timeout(PATIENCE).pool_max_idle_per_host(0);
        let client = builder.build().expect("client");
        Self { apis: Arc::default(), lines: Arc::default(), client, released: watch::Sender::new(false) }
    }

    /// The API processes that buyers try from now on.
    pub(crate) fn at(&self, apis: &[&str]) {
        *self.apis.lock().expect("apis") = apis.iter().map(|api| (*api).to_owned()).collect();
    }

    /// Notes that something was done to the system.
    pub(crate) fn fault(&self, name: &str, start: i64, took_hold: bool, loses_redis: bool) {
        let (name, end) = (name.to_owned(), now());
        let fault = Fault { name, start, end, took_hold, loses_redis, loses_rows: false };
        self.lines.lock().expect("lines").push(HistoryLine::Fault(fault));
    }

    /// Notes that the database was restored to an earlier state.
    pub(crate) fn restored(&self, name: &str, start: i64) {
        let (name, end) = (name.to_owned(), now());
        let fault = Fault { name, start, end, took_hold: true, loses_redis: false, loses_rows: true };
        self.lines.lock().expect("lines").push(HistoryLine::Fault(fault));
    }

    /// Lets `buyers` buy, each until they have a unit or are told `SOLD_OUT`, and once more. Half of them hold back until
    /// [`Sale::release`], and come one by one before that: so there is something to sell for as long as a fault lasts.
    pub(crate) fn open(&self, buyers: u32) -> Buyers {
        self.open_at(buyers, PACE)
    }

    /// At another pace.
    pub(crate) fn open_at(&self, buyers: u32, pace: Duration) -> Buyers {
        let mut lanes = JoinSet::new();
        for lane in 0..LANES {
            let sale = self.clone();
            lanes.spawn(async move {
                // People take their time, so that there is a middle of the sale in which things can happen.
                let mut pace = tokio::time::interval(pace);
                pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                for number in (lane..buyers).step_by(LANES as usize) {
                    if number >= buyers / 2 {
                        sale.hold_back(lane, &mut pace).await;
                    }
                    sale.buyer(&format!("buyer-{number}"), &mut pace).await;
                }
            });
        }
        Buyers { lanes }
    }

    /// Lets everybody come who holds back.
    pub(crate) fn release(&self) {
        self.released.send_replace(true);
    }

    /// Meanwhile those who have come try again.
    async fn hold_back(&self, lane: u32, pace: &mut tokio::time::Interval) {
        for turn in 0..TURNS_HELD_BACK {
            if *self.released.borrow() {
                return;
            }
            pace.tick().await;
            if turn % 8 == 0 {
                self.attempt(Operation::Buy, &format!("buyer-{lane}")).await;
            }
        }
    }

    async fn buyer(&self, user: &str, pace: &mut tokio::time::Interval) {
        let mut answered = 0;
        while answered < 2 {
            pace.tick().await;
            let kind = self.attempt(Operation::Buy, user).await;
            if kind == AttemptKind::Ok {
                answered += 1;
            }
        }
    }

    /// One request to one of the API processes.
    async fn attempt(&self, operation: Operation, user: &str) -> AttemptKind {
        let api = {
            let apis = self.apis.lock().expect("apis");
            apis[fastrand::usize(..apis.len())].clone()
        };
        let request = match operation {
            Operation::Buy => {
                self.client.post(format!("{api}/sale/buy")).json(&serde_json::json!({ "userId": user }))
            }
            Operation::Status => self.client.get(format!("{api}/sale/purchase/status?userId={user}")),
        };
        let start = now();
        let (kind, answer) = sent(request).await;
        self.note(operation, user, start, kind, answer);
        kind
    }

    /// An attempt whose sender closes the connection before the answer.
    pub(crate) async fn walk_away(&self, user: &str) {
        let api = self.apis.lock().expect("apis").first().cloned().expect("an API");
        let start = now();
        let mut stream = TcpStream::connect(api.trim_start_matches("http://")).await.expect("connect");
        let body = format!("{{\"userId\":\"{user}\"}}");
        let head = "POST /sale/buy HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).await.expect("write");
        drop(stream);
        self.note(Operation::Buy, user, start, AttemptKind::Unknown, None);
    }

    fn note(&self, operation: Operation, user: &str, start: i64, kind: AttemptKind, answer: Option<Answer>) {
        let (user, product) = (user.to_owned(), PRODUCT.to_owned());
        let attempt = Attempt { operation, user, product, start, end: now(), kind, answer };
        self.lines.lock().expect("lines").push(HistoryLine::Attempt(attempt));
    }

    /// One attempt beside the others: how much is known of it.
    pub(crate) async fn attempt_by(&self, user: &str) -> AttemptKind {
        self.attempt(Operation::Buy, user).await
    }

    /// One attempt beside the others: what it was answered.
    pub(crate) async fn buy(&self, user: &str) -> Option<Answer> {
        self.attempt(Operation::Buy, user).await;
        let lines = self.lines.lock().expect("lines");
        lines.iter().rev().find_map(|line| match line {
            HistoryLine::Attempt(attempt) if attempt.user == user => Some(attempt.answer.clone()),
            _ => None,
        })?
    }

    /// Asks about every buyer, now that everything is quiet, and audits: what the command printed, and its code.
    /// `wait`: how many seconds the audit waits for what is on its way.
    pub(crate) async fn audit(
        &self,
        services: &Services,
        products: &str,
        wait: u32,
    ) -> (Option<i32>, String) {
        // A system that is wrong may never fall silent; the audit says so then.
        let quiet = async {
            let idle = async || {
                let empty = outbox_len(services).await == 0 && services.depth("purchases").await == 0;
                empty.then_some(())
            };
            eventually("nothing is on its way", SOON * 2, idle).await;
        };
        let _ = tokio::time::timeout(Duration::from_secs(wait.into()), quiet).await;
        let mut users = std::collections::BTreeSet::new();
        for line in self.lines.lock().expect("lines").iter() {
            if let HistoryLine::Attempt(Attempt {
                user, kind: AttemptKind::Ok | AttemptKind::Unknown, ..
            }) = line
            {
                users.insert(user.clone());
            }
        }
        for user in users {
            // A system that is wrong may never answer; the audit says so then.
            for _ in 0..10 {
                if self.attempt(Operation::Status, &user).await == AttemptKind::Ok {
                    break;
                }
            }
        }
        let mut file = tempfile::NamedTempFile::new().expect("file");
        for line in self.lines.lock().expect("lines").iter() {
            writeln!(file, "{}", serde_json::to_string(line).expect("line")).expect("write");
        }
        let path = file.path().to_str().expect("path");
        let wait = wait.to_string();
        let arguments = ["audit", "--history", path, "--wait", &wait];
        let mut process = services.spawn(&arguments, &[("FLASHSALE_PRODUCTS", products)]);
        let code = process.ended(SOON * 2).await.code();
        (code, format!("{}\n{}", process.printed(), process.log()))
    }

    /// Where buyers try at the moment.
    pub(crate) fn apis(&self) -> Vec<String> {
        self.apis.lock().expect("apis").clone()
    }

    /// The faults that took hold.
    pub(crate) fn faults(&self) -> Vec<String> {
        let lines = self.lines.lock().expect("lines");
        let faults = lines.iter().filter_map(|line| match line {
            HistoryLine::Fault(fault) if fault.took_hold => Some(fault.name.clone()),
            _ => None,
        });
        faults.collect()
    }

    /// The numbers of a sale.
    pub(crate) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for line in self.lines.lock().expect("lines").iter() {
            let HistoryLine::Attempt(attempt) = line else { continue };
            tally.attempts += u32::from(attempt.operation == Operation::Buy);
            let durability = attempt.answer.as_ref().and_then(|answer| answer.durability.as_deref());
            tally.broker += u32::from(durability == Some("broker"));
            tally.redis += u32::from(durability == Some("redis"));
        }
        tally
    }

    /// How many requests have ended.
    pub(crate) fn answered(&self) -> usize {
        self.lines.lock().expect("lines").len()
    }

    /// The audit must hold.
    pub(crate) async fn holds(&self, services: &Services, products: &str) {
        let (code, report) = self.audit(services, products, 60).await;
        assert_eq!(code, Some(0), "{report}");
    }
}

/// What a client knows after a request.
async fn sent(request: reqwest::RequestBuilder) -> (AttemptKind, Option<Answer>) {
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) if error.is_connect() => return (AttemptKind::Refused, None),
        Err(_) => return (AttemptKind::Unknown, None),
    };
    let status = response.status().as_u16();
    let Ok(body) = response.json::<Value>().await else { return (AttemptKind::Unknown, None) };
    match status {
        200 => (AttemptKind::Ok, serde_json::from_value(body).ok()),
        503 if body["type"] == "urn:flashsale:problem:not-ready" => (AttemptKind::Refused, None),
        400..500 => (AttemptKind::Refused, None),
        _ => (AttemptKind::Unknown, None),
    }
}
