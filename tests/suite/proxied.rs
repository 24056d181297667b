//! The API and the shop behind a real proxy, with our own configurations of it.

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use reqwest::{Client, RequestBuilder};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::JoinSet,
};

use crate::{
    distributed::{ID, catalogue, drained},
    embedded::Embedded,
    support::{
        SOON, eventually,
        http::{client, get, ready, try_send},
        names::Names,
        nginx::Nginx,
        process::Flashsale,
        servers::free_port,
        services::Services,
    },
};

const UNITS: u32 = 100_000;
/// How many buy at a time.
const LANES: u32 = 16;

/// `work`, and API processes that are replaced behind a proxy.
struct System {
    services: Services,
    catalogue: tempfile::NamedTempFile,
    names: Names,
    proxy: String,
    port: u16,
    _nginx: Nginx,
    _work: Flashsale,
}

impl System {
    async fn start(addresses: &[Ipv4Addr]) -> Self {
        let (services, catalogue, port) = (Services::new().await, catalogue(UNITS), free_port());
        let names = Names::start(addresses).await;
        let nginx = Nginx::of_file(
            "proxy.conf",
            &[
                ("listen 3001", "listen 127.0.0.1:PORT"),
                ("resolver 127.0.0.11", &format!("resolver 127.0.0.1:{}", names.port)),
                ("serve:3001", &format!("serve:{port}")),
            ],
        )
        .await;
        let products = [("FLASHSALE_PRODUCTS", catalogue.path().to_str().expect("path"))];
        let work = services.spawn(&["work"], &products);
        let proxy = format!("http://127.0.0.1:{}", nginx.port);
        Self { services, catalogue, names, proxy, port, _nginx: nginx, _work: work }
    }

    fn serve(&self, address: Ipv4Addr) -> Flashsale {
        let addr = format!("{address}:{}", self.port);
        let products = self.catalogue.path().to_str().expect("path");
        self.services.spawn(&["serve"], &[("FLASHSALE_API_ADDR", &addr), ("FLASHSALE_PRODUCTS", products)])
    }
}

/// What buyers were told, by status and outcome, with the units that they got; and everything else in full.
#[derive(Default)]
struct Told {
    by_outcome: BTreeMap<String, u32>,
    units: Vec<u64>,
    receipts: i64,
    others: Vec<String>,
}

/// Buyers through the proxy, each of whom buys once, until the end.
struct Load {
    lanes: JoinSet<Told>,
    answered: watch::Sender<u32>,
    stop: watch::Sender<bool>,
}

impl Load {
    fn on(proxy: &str) -> Self {
        let url = format!("{proxy}/sale/buy");
        Self::of(move |client, user| client.post(&url).json(&json!({ "userId": user })))
    }

    /// Of these requests.
    fn of(request: impl Fn(&Client, &str) -> RequestBuilder + Clone + Send + 'static) -> Self {
        let (answered, stop) = (watch::Sender::new(0), watch::Sender::new(false));
        let mut lanes = JoinSet::new();
        for lane in 0..LANES {
            let (request, answered, stop) = (request.clone(), answered.clone(), stop.subscribe());
            lanes.spawn(async move {
                let (client, mut told) = (client(), Told::default());
                for number in 0.. {
                    if *stop.borrow() {
                        break;
                    }
                    let request = request(&client, &format!("buyer-{lane}-{number}"));
                    match try_send(request).await {
                        Some(answer) if answer.status == 200 => told.note(&answer.body),
                        // To the receipt.
                        Some(answer) if answer.status == 303 => told.receipts += 1,
                        Some(answer) => told.others.push(format!("{} {}", answer.status, answer.body)),
                        None => told.others.push("no answer".to_owned()),
                    }
                    answered.send_modify(|answered| *answered += 1);
                }
                told
            });
        }
        Self { lanes, answered, stop }
    }

    /// Waits until so many more attempts are answered.
    async fn goes_on(&self) {
        let mut answered = self.answered.subscribe();
        let enough = *answered.borrow_and_update() + 200;
        let waiting = answered.wait_for(|answered| *answered >= enough);
        tokio::time::timeout(SOON, waiting).await.expect("buyers are answered").expect("buyers");
    }

    async fn end(self) -> Told {
        self.stop.send_replace(true);
        let mut all = Told::default();
        for told in self.lanes.join_all().await {
            for (outcome, number) in told.by_outcome {
                *all.by_outcome.entry(outcome).or_default() += number;
            }
            all.units.extend(told.units);
            all.receipts += told.receipts;
            all.others.extend(told.others);
        }
        all
    }
}

impl Told {
    fn note(&mut self, body: &Value) {
        *self.by_outcome.entry(body["status"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        self.units.extend(body["unit"].as_u64());
    }
}

/// As a container engine does it: the old process is known by name until it has ended, and the new one, at another
/// address, before it is ready. Then the other one is killed.
#[tokio::test(flavor = "multi_thread")]
async fn no_attempt_fails_while_one_of_two_processes_is_replaced() {
    let [first, second, third, fourth] = [2, 3, 4, 5].map(|number| Ipv4Addr::new(127, 0, 0, number));
    let system = System::start(&[first, second]).await;
    let (mut one, two) = (system.serve(first), system.serve(second));
    for serve in [&one, &two] {
        ready(&serve.api().await).await;
    }
    let load = Load::on(&system.proxy);
    load.goes_on().await;
    one.signal(Signal::TERM);
    assert_eq!(one.ended(SOON).await.code(), Some(0), "{}", one.log());
    load.goes_on().await;
    system.names.set(&[second]).await;
    load.goes_on().await;
    system.names.set(&[second, third]).await;
    let three = system.serve(third);
    ready(&three.api().await).await;
    load.goes_on().await;
    two.kill();
    load.goes_on().await;
    // Restarted at the same address, as a process manager does.
    let two = system.serve(second);
    ready(&two.api().await).await;
    load.goes_on().await;
    // Nothing is left where the proxy found its first addresses.
    system.names.set(&[third, fourth]).await;
    let four = system.serve(fourth);
    ready(&four.api().await).await;
    drop(two);
    load.goes_on().await;
    let told = load.end().await;
    assert!(told.others.is_empty(), "{} failed: {:?}", told.others.len(), told.others);
    // An attempt whose first answer was lost is told the purchase that it has made.
    let known = told.by_outcome.keys().all(|outcome| ["SUCCESS", "PURCHASED"].contains(&outcome.as_str()));
    assert!(known, "{:?}", told.by_outcome);
    let mut units = told.units.clone();
    units.sort_unstable();
    units.dedup();
    assert_eq!(units.len(), told.units.len(), "two buyers have one unit");
    drained(&system.services, i64::try_from(units.len()).expect("a number")).await;
}

/// The forms of the shop, with our configuration but for TLS.
#[tokio::test(flavor = "multi_thread")]
async fn no_form_fails_while_one_of_two_processes_is_replaced() {
    let (services, catalogue) = (Services::new().await, catalogue(UNITS));
    let products = ("FLASHSALE_PRODUCTS", catalogue.path().to_str().expect("path"));
    let addresses = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    let nginx = Nginx::of_file(
        "shop-proxy.conf",
        &[
            ("listen 443 ssl", "listen 127.0.0.1:PORT"),
            ("ssl_certificate /etc/ssl/shop.example/fullchain.pem;", ""),
            ("ssl_certificate_key /etc/ssl/shop.example/privkey.pem;", ""),
            ("127.0.0.1:3000", &addresses[0]),
            ("127.0.0.1:3010", &addresses[1]),
        ],
    )
    .await;
    let _work = services.spawn(&["work"], &[products]);
    let web = |address: &str| {
        let public = ("FLASHSALE_WEB_PUBLIC_URL", "https://shop.example/drop/");
        let own = [products, public, ("FLASHSALE_WEB_ADDR", address), ("FLASHSALE_CONSOLE_ADDR", "")];
        services.spawn(&["web"], &own)
    };
    let (mut one, two) = (web(&addresses[0]), web(&addresses[1]));
    for web in [&one, &two] {
        ready(&web.shop().await).await;
    }
    let url = format!("http://127.0.0.1:{}/drop/products/{ID}/buy", nginx.port);
    let load = Load::of(move |client, user| {
        let form = client.post(&url).header("origin", "https://shop.example");
        form.header("content-type", "application/x-www-form-urlencoded").body(format!("userId={user}"))
    });
    load.goes_on().await;
    one.signal(Signal::TERM);
    assert_eq!(one.ended(SOON).await.code(), Some(0), "{}", one.log());
    load.goes_on().await;
    let one = web(&addresses[0]);
    ready(&one.shop().await).await;
    load.goes_on().await;
    two.kill();
    load.goes_on().await;
    let told = load.end().await;
    assert!(told.others.is_empty(), "{} failed: {:?}", told.others.len(), told.others);
    assert!(told.by_outcome.is_empty(), "no page but the receipt: {:?}", told.by_outcome);
    drained(&services, told.receipts).await;
}

/// Between the signal and the end: not ready, serving, and every answer is the last one of its connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_serves_on_until_clients_have_gone() {
    let embedded = Embedded::new();
    let mut serve = embedded.spawn(&["serve"], &[("FLASHSALE_API_DRAIN_MS", "20000")]);
    let (api, shop) = (serve.api().await, serve.shop().await);
    ready(&api).await;
    let mut kept = TcpStream::connect(api.trim_start_matches("http://")).await.expect("connect");
    let request = b"GET /sale/stock HTTP/1.1\r\nHost: x\r\n\r\n";
    kept.write_all(request).await.expect("write");
    let mut before = vec![0; 4096];
    let length = kept.read(&mut before).await.expect("an answer");
    assert!(!String::from_utf8_lossy(&before[..length]).contains("connection: close"), "it is kept");
    serve.signal(Signal::TERM);
    for base in [&api, &shop] {
        eventually("not ready", SOON, async || {
            let answer = try_send(client().get(format!("{base}/readyz"))).await?;
            let detail = answer.body["detail"].as_str().unwrap_or_default().to_owned();
            (answer.status == 503 && detail == "This process is ending.").then_some(())
        })
        .await;
        let alive = get(&format!("{base}/healthz")).await;
        assert_eq!((alive.status, alive.header("connection")), (200, "close"));
    }
    let bought = client().post(format!("{api}/sale/buy")).json(&json!({ "userId": "late" }));
    let bought = try_send(bought).await.expect("a new connection is accepted");
    assert_eq!((&bought.body["status"], bought.header("connection")), (&json!("SUCCESS"), "close"));
    kept.write_all(request).await.expect("write");
    let mut rest = String::new();
    tokio::time::timeout(SOON, kept.read_to_string(&mut rest)).await.expect("an end").expect("an answer");
    assert!(rest.starts_with("HTTP/1.1 200 OK") && rest.contains("connection: close"), "{rest}");
    // A second signal ends the wait.
    serve.signal(Signal::TERM);
    assert_eq!(serve.ended(SOON).await.code(), Some(1));
    drop(embedded);

    let embedded = Embedded::new();
    let mut serve = embedded.spawn(&["serve"], &[("FLASHSALE_API_DRAIN_MS", "0")]);
    ready(&serve.api().await).await;
    serve.signal(Signal::TERM);
    assert_eq!(serve.ended(Duration::from_secs(10)).await.code(), Some(0));
    assert!(!serve.log().contains("not ready any more"), "{}", serve.log());
}
