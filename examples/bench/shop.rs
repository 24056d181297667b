//! The shop beside a big drop: what buyers notice of 2,000 who listen, and what those who look notice of the buyers.

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
    measure::{Table, resident_mib},
    system::{PREFIX, Process, System, WON, flashsale, redis, url},
};

const LISTENERS: usize = 2_000;
/// Pages that are looked at, every so often.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a run of the drop showed.
struct Run {
    /// Of buyers, since each attempt was due.
    buyers: [f64; 2],
    attempts: u64,
    /// Of pages, since each was due: 50, 95 and 99 of 100.
    pages: [f64; 3],
    /// The longest that a listener's stock was behind Redis.
    behind: f64,
    /// What the pages' process has grown by.
    grown_mib: f64,
    events: u64,
}

/// Measures, in turns with and without those who look.
pub(crate) fn measure(table: &mut Table, turns: u32, scale: f64) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let system = System::distributed();
    let web = flashsale(&["web"], true, Some("shop listening on "));
    let idle = resident_mib(&web);
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for turn in 0..turns {
        eprintln!("turn {} of {turns}", turn + 1);
        without.push(runtime.block_on(run(&system, &web, 0, scale)));
        System::drained();
        with.push(runtime.block_on(run(&system, &web, LISTENERS, scale)));
        System::drained();
    }
    let middle = |runs: &[Run], of: &dyn Fn(&Run) -> f64| {
        let mut values: Vec<_> = runs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let most = |of: &dyn Fn(&Run) -> f64| with.iter().map(of).fold(0.0, f64::max);
    let p95 = |runs: &[Run]| middle(runs, &|run| run.buyers[1]);
    let attempts: u64 = without.iter().chain(&with).map(|run| run.attempts).sum();
    let (alone, beside) = (p95(&without), p95(&with));
    table.fact(&format!("attempts in all, big-flashsale × {turns} × 2"), &attempts.to_string(), "");
    table.fact("buyers' p95, nobody looks", &format!("{alone:.1} ms"), "");
    table.fact(
        &format!("buyers' p95, {LISTENERS} listen and 20 pages a second are looked at"),
        &format!("{beside:.1} ms, ratio {:.2}", beside / alone),
        "p95 < 500 ms",
    );
    let [p50, p95, p99] = [0, 1, 2].map(|number| middle(&with, &|run| run.pages[number]));
    table.fact("the shop's page, p50, p95, p99", &format!("{p50:.1}, {p95:.1}, {p99:.1} ms"), "p95 < 400 ms");
    table.fact(
        "a listener's stock is behind Redis, at most",
        &format!("{:.0} ms", most(&|run| run.behind)),
        "< 1,000 ms",
    );
    let events: u64 = with.iter().map(|run| run.events).sum();
    table.fact("live updates sent", &events.to_string(), "");
    table.fact(
        &format!("memory of web, with {LISTENERS} who listen"),
        &format!("{:.0} MiB more than {idle:.0}", most(&|run| run.grown_mib)),
        "< 100 MiB",
    );
    table.fact("a page alone", &format!("{:.2} ms", runtime.block_on(alone_ms(&url(&web)))), "< 10 ms");
}

/// The median of pages that nobody else asks for, one after the other.
async fn alone_ms(web: &str) -> f64 {
    let mut stream = TcpStream::connect(web.trim_start_matches("http://")).await.expect("connect");
    let mut times = Vec::new();
    for _ in 0..200 {
        let began = Instant::now();
        page(&mut stream).await;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    percentile(&mut times, 0.5)
}

async fn run(system: &System, web: &Process, listeners: usize, scale: f64) -> Run {
    let address = url(web).trim_start_matches("http://").to_owned();
    let before = resident_mib(web);
    let (over, events) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut others = tokio::task::JoinSet::new();
    for _ in 1..listeners {
        let (reader, writer) = listen(&address).await;
        let events = events.clone();
        others.spawn(async move {
            let (_writer, mut lines) = (writer, reader.lines());
            while let Ok(Some(line)) = lines.next_line().await {
                events.fetch_add(u64::from(line.starts_with("data: ")), Ordering::Relaxed);
            }
        });
    }
    let shown = Arc::new(Mutex::new(Vec::new()));
    let looking = if listeners > 0 {
        let (reader, writer) = listen(&address).await;
        let shown = shown.clone();
        others.spawn(async move {
            let (_writer, mut lines) = (writer, reader.lines());
            while let Ok(Some(line)) = lines.next_line().await {
                let data =
                    line.strip_prefix("data: ").and_then(|data| serde_json::from_str::<Value>(data).ok());
                let stock = data.and_then(|data| data["stock"].as_u64());
                shown.lock().expect("shown").extend(stock.map(|stock| (Instant::now(), stock)));
            }
        });
        Some(tokio::spawn(look(address.clone(), over.clone())))
    } else {
        None
    };
    let truth = {
        let over = over.clone();
        std::thread::spawn(move || watch_redis(&over))
    };
    let api = system.api.clone();
    let result = tokio::task::spawn_blocking(move || big_flashsale(&api, scale)).await.expect("stress");
    let grown_mib = resident_mib(web) - before;
    over.store(true, Ordering::Relaxed);
    let mut pages = match looking {
        Some(looking) => looking.await.expect("pages"),
        None => vec![0.0],
    };
    let truth = truth.join().expect("Redis");
    others.shutdown().await;
    let micros = |name: &str| result["latencyUs"][name].as_f64().expect("a latency") / 1e3;
    let told = result["told"].as_object().expect("told");
    assert_eq!(
        told.keys().filter(|told| !["SUCCESS", "PURCHASED"].contains(&told.as_str())).count(),
        0,
        "{told:?}"
    );
    let shown = shown.lock().expect("shown");
    Run {
        buyers: [micros("p50"), micros("p95")],
        attempts: told.values().filter_map(Value::as_u64).sum(),
        pages: [0.5, 0.95, 0.99].map(|quantile| percentile(&mut pages, quantile)),
        behind: behind_ms(&shown, &truth),
        grown_mib,
        events: events.load(Ordering::Relaxed),
    }
}

/// Runs the scenario, and gives its result.
fn big_flashsale(api: &str, scale: f64) -> Value {
    let path = std::env::temp_dir().join(format!("flashsale-bench-{}.json", std::process::id()));
    let (scale, json) = (scale.to_string(), path.to_str().expect("a path"));
    let what = ["stress", "--scenario", "big-flashsale", "--api", api, "--product", WON];
    let mut stress =
        flashsale(&[&what[..], &["--duration-scale", &scale, "--json", json]].concat(), false, None);
    stress.child.wait().expect("stress");
    serde_json::from_slice(&std::fs::read(&path).expect("the result")).expect("JSON")
}

type Listener = (BufReader<tokio::net::tcp::OwnedReadHalf>, tokio::net::tcp::OwnedWriteHalf);

async fn listen(address: &str) -> Listener {
    let (reader, mut writer) = TcpStream::connect(address).await.expect("connect").into_split();
    let request = format!("GET /products/{WON}/events HTTP/1.1\r\nHost: x\r\n\r\n");
    writer.write_all(request.as_bytes()).await.expect("send");
    let mut reader = BufReader::new(reader);
    let mut line = String::new();
    reader.read_line(&mut line).await.expect("an answer");
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    (reader, writer)
}

/// Looks at the product's page on schedule; milliseconds since each look was due.
async fn look(address: String, over: Arc<AtomicBool>) -> Vec<f64> {
    let (mut times, mut stream) = (Vec::new(), TcpStream::connect(&address).await.expect("connect"));
    let mut due = Instant::now();
    while !over.load(Ordering::Relaxed) {
        tokio::time::sleep_until(due.into()).await;
        page(&mut stream).await;
        times.push(due.elapsed().as_secs_f64() * 1e3);
        due += LOOK_EVERY;
    }
    times
}

/// One page, whole.
async fn page(stream: &mut TcpStream) {
    let request = format!("GET /products/{WON} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("send");
    let mut answer = Vec::with_capacity(16_384);
    while !answer.ends_with(b"</html>\n") && !answer.ends_with(b"</html>") {
        assert!(stream.read_buf(&mut answer).await.expect("read") > 0, "the page ended early");
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

/// When stock fell below which number, as Redis itself has it.
fn watch_redis(over: &AtomicBool) -> Vec<(Instant, u64)> {
    let (mut redis, mut seen) = (redis(), Vec::new());
    while !over.load(Ordering::Relaxed) {
        let next: u64 = redis.hget(format!("{PREFIX}:{{{WON}}}:sale"), "next").expect("next");
        let total: u64 = redis.hget(format!("{PREFIX}:{{{WON}}}:sale"), "total").expect("total");
        seen.push((Instant::now(), total - next));
        std::thread::park_timeout(Duration::from_millis(10));
    }
    seen
}

/// A number stays on the screen until the next one comes: for how long it was not true any more, at most.
fn behind_ms(shown: &[(Instant, u64)], truth: &[(Instant, u64)]) -> f64 {
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
