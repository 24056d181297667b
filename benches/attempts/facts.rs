//! Figures that are not a cost per attempt: memory, latency, throughput of one part.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use redis::Commands;

use crate::{
    build::{Build, IN_STOCK, Process, until},
    load::{self, Load},
    script,
    table::Table,
};

/// Measures all of them; the distributed processes of the build end with it.
pub(crate) fn measure(table: &mut Table, mut build: Build<'_>) {
    let connections = idle_connections(&build.serve.url, 1_000);
    let mib = resident_mib(&build.serve);
    table.fact("memory of `serve` with 1,000 idle connections", &format!("{mib:.0} MiB"), "< 64 MiB");
    drop(connections);
    let rate = table.per_second("won-recorded") / 2.0;
    let [p50, p99] = delay_ms(&build, rate);
    let name = format!("from admission to the transaction of the row, {rate:.0} attempts a second");
    table.fact(&name, &format!("p50 {p50:.0} ms, p99 {p99:.0} ms"), "p99 < 250 ms");
    let mib = resident_mib(build.work.as_ref().expect("a worker"));
    table.fact("memory of `work`", &format!("{mib:.0} MiB"), "");
    let bytes = bytes_per_buyer(&build);
    table.fact("Redis, for each buyer, outbox empty", &format!("{bytes:.0} bytes"), "≤ 200 bytes");
    let (rows, per_second) = rows_per_second(&mut build);
    let name = format!("rows from a full queue ({rows:.0} waiting)");
    table.fact(&name, &format!("{per_second:.0} a second"), "≥ 60,000 a second");
    for (buyers, won, sold_out) in script::measure(build) {
        let value = format!("won {won:.0}, sold out {sold_out:.0} a second");
        table.fact(&format!("the admission script alone, buyers at the start: {buyers}"), &value, "flat");
    }
}

/// Milliseconds from admission to the transaction that recorded a purchase, while attempts arrive
/// at this rate: 50th and 99th percentile.
fn delay_ms(build: &Build<'_>, rate: f64) -> [f64; 2] {
    let query = |sql: &str| build.services.query(build.label, sql);
    let before = query("SELECT extract(epoch FROM now())::float8")[0];
    // At scale 1 the scenario reaches 1,500 attempts a second.
    let scale = format!("{:.3}", rate / 1_500.0);
    build.stress(&["--scenario", "flashsale", "--scale", &scale, "--duration-scale", "0.3"]);
    build.wait_until_recorded();
    let delays = query(&format!(
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY delay), percentile_cont(0.99) WITHIN GROUP (ORDER BY delay)
         FROM (SELECT extract(epoch FROM confirmed_at - admitted_at)::float8 * 1000 AS delay FROM purchases
               WHERE product_id = '{IN_STOCK}' AND admitted_at > to_timestamp({before})) AS recent"
    ));
    [delays[0], delays[1]]
}

/// Connections that have sent one request each and stay open.
fn idle_connections(api: &str, number: usize) -> Vec<TcpStream> {
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
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).expect("status");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    resident.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}

fn bytes_per_buyer(build: &Build<'_>) -> f64 {
    let mut redis = build.services.redis();
    let mut bytes = 0.0;
    for name in ["sale", "free", "buyers", "outbox"] {
        let mut usage = redis::cmd("MEMORY");
        usage.arg("USAGE").arg(build.key(name)).arg("SAMPLES").arg(0);
        bytes += usage.query::<Option<f64>>(&mut redis).expect("MEMORY").unwrap_or(0.0);
    }
    let buyers: f64 = redis.hlen(build.key("buyers")).expect("HLEN");
    bytes / buyers
}

/// How many purchases waited in the queue, and how many a second a fresh worker recorded.
fn rows_per_second(build: &mut Build<'_>) -> (f64, f64) {
    build.stop_worker();
    let url = format!("{}/products/{IN_STOCK}/buy", build.serve.url);
    load::run(&url, Load::Buy { prefix: "queued-", users: 0 }, Duration::from_secs(15));
    let count = "SELECT count(*)::float8 FROM purchases";
    let rows = |build: &Build<'_>| build.services.query(build.label, count)[0];
    let before = rows(build);
    build.start_worker();
    until("the worker begins", || rows(build) > before);
    let (began, first) = (Instant::now(), rows(build));
    build.wait_until_recorded();
    let seconds = began.elapsed().as_secs_f64();
    let recorded = rows(build) - first;
    (recorded, recorded / seconds)
}
