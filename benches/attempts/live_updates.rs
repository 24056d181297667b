//! A big sale while 2,000 browsers listen to live updates and others read the product page: what
//! each costs the other.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use redis::Commands;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::{
    build::{Build, IN_STOCK, Process, until},
    facts::resident_mib,
    table::{Table, spread},
};

const LISTENERS: usize = 2_000;
const PAGE_INTERVAL: Duration = Duration::from_millis(50);

struct Run {
    /// 95th percentile of buyers' latency, each counted from when the attempt was due.
    buyers_p95_ms: f64,
    attempts: u64,
    /// 50th, 95th and 99th percentile, each page counted from when it was due.
    pages_ms: [f64; 3],
    /// For how long a listener had a stock that was no longer true in Redis, at most.
    staleness_ms: f64,
    /// What the memory of `web` grew by.
    grown_mib: f64,
    events: u64,
}

/// Measures in rounds with and without listeners and page readers.
pub(crate) fn measure(table: &mut Table, build: &Build<'_>, rounds: u32, scale: f64) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let web = build.run(&["web"]);
    let address = web.url.trim_start_matches("http://").to_owned();
    until("web listens", || std::net::TcpStream::connect(&address).is_ok());
    let idle = resident_mib(&web);
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        for (listeners, runs) in [(0, &mut without), (LISTENERS, &mut with)] {
            runs.push(run(&runtime, build, &web, listeners, scale));
            build.wait_until_recorded();
        }
    }
    let most = |of: &dyn Fn(&Run) -> f64| spread(with.iter().map(of))[2];
    let p95 = |runs: &[Run]| spread(runs.iter().map(|run| run.buyers_p95_ms))[0];
    let attempts: u64 = without.iter().chain(&with).map(|run| run.attempts).sum();
    let (alone, beside) = (p95(&without), p95(&with));
    table.fact(&format!("attempts in all, big-flashsale × {rounds} × 2"), &attempts.to_string(), "");
    table.fact("buyers' p95, no readers", &format!("{alone:.1} ms"), "");
    table.fact(
        &format!("buyers' p95, {LISTENERS} listeners and 20 pages a second"),
        &format!("{beside:.1} ms, ratio {:.2}", beside / alone),
        "< 500 ms",
    );
    let [p50, p95, p99] = [0, 1, 2].map(|number| spread(with.iter().map(|run| run.pages_ms[number]))[0]);
    table.fact(
        "the product page, p50, p95, p99",
        &format!("{p50:.1}, {p95:.1}, {p99:.1} ms"),
        "p95 < 400 ms",
    );
    let staleness = most(&|run| run.staleness_ms);
    table.fact("staleness of a listener's stock, at most", &format!("{staleness:.0} ms"), "< 1,000 ms");
    let events: u64 = with.iter().map(|run| run.events).sum();
    table.fact("live updates sent", &events.to_string(), "");
    table.fact(
        &format!("memory of `web` with {LISTENERS} listeners"),
        &format!("{:.0} MiB more than {idle:.0}", most(&|run| run.grown_mib)),
        "< 100 MiB",
    );
    let alone = runtime.block_on(page_alone_ms(&address));
    table.fact("a page without other load", &format!("{alone:.2} ms"), "< 10 ms");
}

/// Median latency of pages that are requested one after the other.
async fn page_alone_ms(address: &str) -> f64 {
    let mut stream = TcpStream::connect(address).await.expect("connect");
    let mut times = Vec::new();
    for _ in 0..200 {
        let began = Instant::now();
        page(&mut stream).await;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    percentile(&mut times, 0.5)
}

fn run(
    runtime: &tokio::runtime::Runtime,
    build: &Build<'_>,
    web: &Process,
    listeners: usize,
    scale: f64,
) -> Run {
    let address = web.url.trim_start_matches("http://").to_owned();
    let before = resident_mib(web);
    let (over, events) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let shown = Shown::default();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..listeners {
        let stream = runtime.block_on(listen(&address));
        // What the first of them is shown is kept; of the others only the number of updates.
        let shown = (number == 0).then(|| shown.clone());
        tasks.spawn_on(receive(stream, shown, events.clone()), runtime.handle());
    }
    let pages = (listeners > 0).then(|| runtime.spawn(read_pages(address, over.clone())));
    let (truth, result) = std::thread::scope(|scope| {
        let truth = scope.spawn(|| watch_redis(build, &over));
        let scale = scale.to_string();
        let result = build.stress(&["--scenario", "big-flashsale", "--duration-scale", &scale]);
        over.store(true, Ordering::Relaxed);
        (truth.join().expect("Redis"), result)
    });
    let grown_mib = resident_mib(web) - before;
    let mut pages = pages.map_or(vec![0.0], |pages| runtime.block_on(pages).expect("pages"));
    runtime.block_on(tasks.shutdown());
    let responses = result["responses"].as_object().expect("response classes");
    let is_sold = |outcome: &String| ["SUCCESS", "PURCHASED"].contains(&outcome.as_str());
    assert!(responses.keys().all(is_sold), "{responses:?}");
    Run {
        buyers_p95_ms: result["latencyUs"]["p95"].as_f64().expect("a latency") / 1e3,
        attempts: responses.values().filter_map(Value::as_u64).sum(),
        pages_ms: [0.5, 0.95, 0.99].map(|quantile| percentile(&mut pages, quantile)),
        staleness_ms: staleness_ms(&shown.lock().expect("shown"), &truth),
        grown_mib,
        events: events.load(Ordering::Relaxed),
    }
}

/// When a listener was shown which stock.
type Shown = Arc<Mutex<Vec<(Instant, u64)>>>;
type Listener = (BufReader<tokio::net::tcp::OwnedReadHalf>, tokio::net::tcp::OwnedWriteHalf);

async fn listen(address: &str) -> Listener {
    let (reader, mut writer) = TcpStream::connect(address).await.expect("connect").into_split();
    let request = format!("GET /products/{IN_STOCK}/events HTTP/1.1\r\nHost: x\r\n\r\n");
    writer.write_all(request.as_bytes()).await.expect("send");
    let mut reader = BufReader::new(reader);
    let mut line = String::new();
    reader.read_line(&mut line).await.expect("an answer");
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    (reader, writer)
}

async fn receive((reader, _writer): Listener, shown: Option<Shown>, events: Arc<AtomicU64>) {
    let mut lines = reader.lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // A heartbeat has no data.
        let Some(data) = line.strip_prefix("data: ").filter(|data| !data.is_empty()) else { continue };
        events.fetch_add(1, Ordering::Relaxed);
        if let Some(shown) = &shown {
            let data = serde_json::from_str::<Value>(data).ok();
            let stock = data.and_then(|data| data["stock"].as_u64());
            shown.lock().expect("shown").extend(stock.map(|stock| (Instant::now(), stock)));
        }
    }
}

/// Requests the product page on schedule; milliseconds since each request was due.
async fn read_pages(address: String, over: Arc<AtomicBool>) -> Vec<f64> {
    let (mut times, mut stream) = (Vec::new(), TcpStream::connect(&address).await.expect("connect"));
    let mut due = Instant::now();
    while !over.load(Ordering::Relaxed) {
        tokio::time::sleep_until(due.into()).await;
        page(&mut stream).await;
        times.push(due.elapsed().as_secs_f64() * 1e3);
        due += PAGE_INTERVAL;
    }
    times
}

/// One whole page.
async fn page(stream: &mut TcpStream) {
    let request = format!("GET /products/{IN_STOCK} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("send");
    let mut answer = Vec::with_capacity(16_384);
    while !answer.ends_with(b"</html>\n") && !answer.ends_with(b"</html>") {
        assert!(stream.read_buf(&mut answer).await.expect("read") > 0, "the page ended early");
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

/// The stock in Redis, every ten milliseconds.
fn watch_redis(build: &Build<'_>, over: &AtomicBool) -> Vec<(Instant, u64)> {
    let (mut redis, mut seen) = (build.services.redis(), Vec::new());
    while !over.load(Ordering::Relaxed) {
        let [next, total]: [u64; 2] = redis.hmget(build.key("sale"), &["next", "total"]).expect("HMGET");
        seen.push((Instant::now(), total - next));
        std::thread::sleep(Duration::from_millis(10));
    }
    seen
}

/// A number stays on the screen until the next one arrives: for how long it was no longer true, at most.
fn staleness_ms(shown: &[(Instant, u64)], truth: &[(Instant, u64)]) -> f64 {
    let untrue = shown.windows(2).filter_map(|pair| {
        let [(_, stock), (replaced, _)] = pair else { return None };
        let position = truth.partition_point(|(_, left)| left >= stock);
        let (since, _) = truth.get(position)?;
        Some(replaced.saturating_duration_since(*since).as_secs_f64() * 1e3)
    });
    untrue.fold(0.0, f64::max)
}

fn percentile(values: &mut [f64], quantile: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a position"
    )]
    let position = ((values.len() as f64 * quantile) as usize).min(values.len() - 1);
    values[position]
}
