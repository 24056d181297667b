//! What is measured, and how it is shown.

use std::{
    collections::BTreeMap,
    fmt::Write,
    io::{Read, Write as _},
    net::TcpStream,
    process::Command,
    time::{Duration, Instant},
};

use flashsale::{
    domain::ProductId,
    observability::{Attempt, Meter},
};
use redis::Commands;

use crate::system::{PREFIX, Process, System, WON, flashsale, in_flight, redis, until};

/// Connections of wrk: enough to keep two cores busy, few enough that it does not need one of its own.
const CONNECTIONS: &str = "128";

/// Puts a URL under load: requests per second. `buy` sends users that begin with `prefix`: fresh ones, or `repeats` of
/// them in turn.
pub(crate) fn wrk(kind: &str, url: &str, time: Duration, prefix: &str, repeats: u32) -> f64 {
    let script = std::env::temp_dir().join(format!("flashsale-bench-{}.lua", std::process::id()));
    let buy = "local n, prefix, repeats = 0, '', 0
        function init(args) prefix = args[1]; repeats = tonumber(args[2]) end
        function request()
          n = n + 1
          local user = prefix .. (repeats > 0 and n % repeats or n)
          return wrk.format('POST', nil, {['Content-Type'] = 'application/json'}, '{\"userId\":\"' .. user .. '\"}')
        end";
    std::fs::write(&script, if kind == "buy" { buy } else { "" }).expect("script");
    let seconds = time.as_secs().max(1).to_string() + "s";
    let ended = Command::new("wrk")
        .args(["-t1", "-c", CONNECTIONS, "-d", &seconds, "-s"])
        .arg(&script)
        .args([url, "--", prefix, &repeats.to_string()])
        .output()
        .expect("wrk is installed");
    let text = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(!text.contains("Non-2xx"), "{url}: {text}");
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:")).expect("a rate");
    rate.trim().parse().expect("a number")
}

/// The admission script with so many buyers, through redis-benchmark: won and sold out, per second.
pub(crate) fn admission_alone(buyers: u32, quick: bool) -> (f64, f64) {
    let mut redis = redis();
    let key = |name: &str| format!("alone:{{{buyers}}}:{name}");
    let info: String = redis::cmd("INFO").arg("server").query(&mut redis).expect("INFO");
    let server = info.lines().find_map(|line| line.strip_prefix("run_id:")).expect("run id").trim();
    let fill = "for i = 1, ARGV[1] do redis.call('HSET', KEYS[1], 'buyer-' .. i, i .. ' id 0-0') end
                redis.call('DEL', KEYS[3])
                redis.call('HSET', KEYS[2], 'epoch', 1, 'total', 1000000000, 'next', ARGV[1], 'paused', 0, 'server', ARGV[2])";
    let (filled, sale, outbox) = (key("buyers"), key("sale"), key("outbox"));
    redis::Script::new(fill)
        .key(&filled)
        .key(&sale)
        .key(&outbox)
        .arg(buyers)
        .arg(server)
        .invoke::<()>(&mut redis)
        .expect("fill");
    let script: String = redis::cmd("SCRIPT")
        .arg("LOAD")
        .arg(include_str!("../../src/admission/redis/scripts/admit.lua"))
        .query(&mut redis)
        .expect("SCRIPT LOAD");
    let port = std::env::var("REDIS_URL").expect("REDIS_URL").rsplit(':').next().expect("port").to_owned();
    let requests = if quick { "100000" } else { "400000" };
    let run = |user: &str| {
        let keys = ["sale", "free", "buyers", "outbox", "dead"].map(key);
        let ended = Command::new("redis-benchmark")
            .args([
                "-p",
                &port,
                "-n",
                requests,
                "-P",
                "32",
                "-c",
                "50",
                "-r",
                "1000000000",
                "--csv",
                "EVALSHA",
            ])
            .args([&script, "5"])
            .args(keys)
            .args([user, "id-__rand_int__", server])
            .output()
            .expect("redis-benchmark");
        let text = String::from_utf8_lossy(&ended.stdout).into_owned();
        let last = text
            .lines()
            .last()
            .and_then(|line| line.split("\",\"").nth(1))
            .map(|rate| rate.trim_matches('"'));
        last.and_then(|rate| rate.parse::<f64>().ok()).unwrap_or_else(|| panic!("redis-benchmark: {text}"))
    };
    let won = run("u__rand_int__");
    let next: u32 = redis.hget(&sale, "next").expect("next");
    assert!(next > buyers, "nobody won: the script refused");
    redis.hset::<_, _, _, ()>(&sale, "total", next).expect("total");
    let sold_out = run("v__rand_int__");
    let keys = ["sale", "free", "buyers", "outbox", "dead"].map(key);
    redis.unlink::<_, ()>(&keys[..]).expect("UNLINK");
    (won, sold_out)
}

async fn query(sql: &str) -> Vec<tokio_postgres::Row> {
    let url = std::env::var("DATABASE_URL").expect("DATABASE_URL");
    let (client, driver) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("PostgreSQL");
    tokio::spawn(driver);
    client.query(sql, &[]).await.expect("query")
}

fn ask(sql: &str) -> Vec<f64> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let rows = runtime.block_on(query(sql));
    rows.first().map_or(Vec::new(), |row| (0..row.len()).map(|column| row.get(column)).collect())
}

/// Milliseconds from admission to the transaction that recorded a purchase, while attempts arrive at this rate: half of
/// them, and all but one in a hundred.
pub(crate) fn delay_under_half_load(system: &System, rate: f64, quick: bool) -> (f64, f64) {
    System::drained();
    let before = ask("SELECT extract(epoch FROM now())::float8")[0];
    let seconds = if quick { 0.1 } else { 0.3 };
    let arguments = [
        "stress",
        "--scenario",
        "flashsale",
        "--api",
        &system.api,
        "--product",
        WON,
        "--scale",
        &format!("{:.3}", rate / 1_500.0),
        "--duration-scale",
        &seconds.to_string(),
    ];
    let mut stress = flashsale(&arguments, false, None);
    stress.child.wait().expect("stress");
    let delays = ask(&format!(
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY delay), percentile_cont(0.99) WITHIN GROUP (ORDER BY delay)
         FROM (SELECT extract(epoch FROM confirmed_at - admitted_at)::float8 * 1000 AS delay FROM purchases
               WHERE product_id = '{WON}' AND admitted_at > to_timestamp({before})) AS recent"
    ));
    (delays[0], delays[1])
}

/// What the meter costs each attempt, in nanoseconds, while it is read once a second or less.
pub(crate) fn nanos_to_count_an_attempt() -> f64 {
    const ATTEMPTS: u32 = 5_000_000;
    let product = ProductId::parse(WON).expect("an id");
    let meter = Meter::default().on_this_thread();
    let began = Instant::now();
    for number in 0..ATTEMPTS {
        let took = Duration::from_micros(u64::from(number % 5_000));
        meter.answered(&product, Attempt::SoldOut, took, Some(took));
    }
    assert_eq!(meter.take()[&product].attempts[&Attempt::SoldOut], u64::from(ATTEMPTS));
    began.elapsed().as_secs_f64() * 1e9 / f64::from(ATTEMPTS)
}

/// Connections that have sent one request each, and wait.
pub(crate) fn idle_connections(api: &str, number: usize) -> Vec<TcpStream> {
    let address = api.trim_start_matches("http://");
    let open = |_| {
        let mut stream = TcpStream::connect(address).expect("connect");
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").expect("send");
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).expect("answer");
        stream
    };
    (0..number).map(open).collect()
}

pub(crate) fn resident_mib(process: &Process) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.child.id())).expect("status");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    resident.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}

/// Of everything that Redis holds of a sale.
pub(crate) fn bytes_per_buyer() -> f64 {
    let mut redis = redis();
    let mut bytes = 0.0;
    for name in ["sale", "free", "buyers", "outbox"] {
        let key = format!("{PREFIX}:{{{WON}}}:{name}");
        let of: Option<f64> = redis::cmd("MEMORY")
            .arg("USAGE")
            .arg(key)
            .arg("SAMPLES")
            .arg(0)
            .query(&mut redis)
            .expect("MEMORY");
        bytes += of.unwrap_or(0.0);
    }
    let buyers: f64 = redis.hlen(format!("{PREFIX}:{{{WON}}}:buyers")).expect("HLEN");
    bytes / buyers
}

/// Fills the queue without a worker; how many purchases waited, and how long a fresh worker took for them.
pub(crate) fn rows_per_second(system: System, quick: bool) -> (u32, f64) {
    let System { serve, work, api } = system;
    drop(work);
    let time = Duration::from_secs(if quick { 3 } else { 15 });
    let url = format!("{api}/products/{WON}/buy");
    wrk("buy", &url, time, "queued-", 0);
    let waiting = in_flight();
    let rows = || ask("SELECT count(*)::float8 FROM purchases")[0];
    let before = rows();
    let worker = flashsale(&["work"], true, Some("health listening on "));
    until("it begins", || rows() > before);
    let (began, first) = (Instant::now(), rows());
    until("it is done", || in_flight() == 0);
    let (seconds, recorded) = (began.elapsed().as_secs_f64(), rows() - first);
    drop((worker, serve));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of rows")]
    let recorded = recorded.max(0.0) as u32;
    assert!(u64::from(recorded) <= waiting, "more was recorded than waited");
    (recorded, seconds)
}

/// A target, and of each turn the rate and its ratio to the limit.
type Case = (Option<f64>, Vec<(f64, f64)>);

/// Ratios of cases, and single facts.
#[derive(Default)]
pub(crate) struct Table {
    cases: BTreeMap<String, Case>,
    facts: Vec<[String; 3]>,
}

fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [values[values.len() / 2], values[0], values[values.len() - 1]]
}

impl Table {
    pub(crate) fn note(&mut self, name: &str, rate: f64, target: Option<f64>, limit: f64) {
        let (_, values) = self.cases.entry(name.to_owned()).or_insert((target, Vec::new()));
        values.push((rate, rate / limit));
    }

    pub(crate) fn fact(&mut self, name: &str, value: &str, target: &str) {
        eprintln!("{name}: {value}");
        self.facts.push([name.to_owned(), value.to_owned(), target.to_owned()]);
    }

    /// The median rate of the case whose name begins like this.
    pub(crate) fn median(&self, name: &str) -> f64 {
        let (_, (_, values)) = self.cases.iter().find(|(case, _)| case.starts_with(name)).expect("a case");
        spread(values.iter().map(|(rate, _)| *rate).collect())[0]
    }

    fn markdown(&self) -> String {
        let mut text = String::new();
        let rates = "| | a second, median | ratio to its (a): median | least | most | target |\n|---|---|---|---|---|---|\n";
        if !self.cases.is_empty() {
            text.push_str(rates);
        }
        for (name, (target, values)) in &self.cases {
            let rate = spread(values.iter().map(|(rate, _)| *rate).collect())[0];
            let [median, least, most] = spread(values.iter().map(|(_, ratio)| *ratio).collect());
            let target = target.map_or(String::new(), |target| format!("≥ {target:.2}"));
            let _ =
                writeln!(text, "| {name} | {rate:.0} | {median:.2} | {least:.2} | {most:.2} | {target} |");
        }
        if !self.cases.is_empty() {
            text.push('\n');
        }
        text.push_str("| | | target |\n|---|---|---|\n");
        for [name, value, target] in &self.facts {
            let _ = writeln!(text, "| {name} | {value} | {target} |");
        }
        text
    }

    pub(crate) fn show(&self) {
        println!("{}", self.markdown());
    }

    /// Puts the table between the two marks that a command has in a document.
    pub(crate) fn write(&self, document: &str, command: &str) {
        let [begin, end] = ["measured by", "end of"].map(|word| format!("<!-- {word} {command} -->"));
        let text = std::fs::read_to_string(document).expect("the document");
        let (before, rest) = text.split_once(&begin).expect("the first mark");
        let (_, after) = rest.split_once(&end).expect("the second mark");
        let date = Command::new("date").arg("+%F").output().expect("date");
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let head = format!(
            "{}, {} cores, {}, everything on it: `{command}`",
            String::from_utf8_lossy(&date.stdout).trim(),
            std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            model.map_or("an unknown processor", |(_, model)| model),
        );
        let table = self.markdown();
        let text = format!("{before}{begin}\n\n{head}\n\n{table}\n{end}{after}");
        std::fs::write(document, text).expect("write");
    }
}
