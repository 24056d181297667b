//! The benchmark: this system against a route that does nothing, side by side in one run. Use `scripts/bench`.
//!
//! Loads are made by wrk and redis-benchmark. Every case is repeated, in turn with the others, and shown as the ratio to
//! the do-nothing route of the same turn: median, least and most. Writes a table to the terminal, and into
//! docs/PERFORMANCE.md between its two marks. With `--shop` it measures the shop beside a big drop instead.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a tool fails by panicking")]

mod measure;
mod shop;
mod system;

use std::time::Duration;

use measure::{
    Table, admission_alone, bytes_per_buyer, delay_under_half_load, resident_mib, rows_per_second, wrk,
};
use system::{GONE, System, WON, example, url};

fn main() {
    let given = |flag: &str| std::env::args().any(|argument| argument == flag);
    let quick = given("--quick");
    if given("--shop") {
        let mut table = Table::default();
        let (turns, scale) = if quick { (1, 0.1) } else { (3, 0.3) };
        shop::measure(&mut table, turns, scale);
        table.show();
        if !quick {
            table.write("docs/PERFORMANCE.md", "scripts/bench --shop");
        }
        return;
    }
    let (turns, time) = if quick { (2, Duration::from_secs(2)) } else { (3, Duration::from_secs(8)) };
    let mut table = Table::default();
    let noop = example("noop_route", &["127.0.0.1:0"]);
    let mut system = System::distributed();
    let embedded = System::embedded();
    for turn in 0..turns {
        eprintln!("turn {} of {turns}", turn + 1);
        let limit = wrk("buy", &url(&noop), time, "anybody-", 0);
        table.note("(a) a route that does nothing, JSON in and out", limit, None, limit);
        let limit_get = wrk("get", &url(&noop), time, "", 0);
        table.note("(a) the same for a GET", limit_get, None, limit_get);
        one_turn(&mut table, &mut system, &embedded, Turn { number: turn, time, limit, limit_get });
    }
    facts(&mut table, system, quick);
    table.show();
    if !quick {
        table.write("docs/PERFORMANCE.md", "scripts/bench");
    }
}

/// A turn, and what the do-nothing route reached in it.
#[derive(Clone, Copy)]
struct Turn {
    number: u32,
    time: Duration,
    limit: f64,
    /// The same for a GET.
    limit_get: f64,
}

fn one_turn(table: &mut Table, system: &mut System, embedded: &System, turn: Turn) {
    let Turn { number, time, limit, limit_get } = turn;
    let (api, alone) = (system.api.clone(), &embedded.api);
    let buy = |api: &str, product: &str| format!("{api}/products/{product}/buy");
    let fresh = format!("t{number}-");
    // Everybody of the first five hundred has one, after this.
    wrk("buy", &buy(&api, WON), Duration::from_millis(500), "same-", 500);
    let meanwhile = "(b) buy, won, durability broker, while the rows are written on the same machine";
    table.note(meanwhile, wrk("buy", &buy(&api, WON), time, &fresh, 0), None, limit);
    // What waits would be written beside the next cases.
    System::drained();
    for (name, target, load) in [
        ("(c) buy, sold out", Some(0.75), wrk("buy", &buy(&api, GONE), time, &fresh, 0)),
        ("(d) buy, repeated", Some(0.5), wrk("buy", &buy(&api, WON), time, "same-", 500)),
        ("(j) buy, won, embedded (durability database)", None, wrk("buy", &buy(alone, WON), time, &fresh, 0)),
    ] {
        table.note(name, load, target, limit);
    }
    for (name, path) in
        [("(e) status", format!("products/{WON}")), ("(e) stock", format!("products/{WON}/stock"))]
    {
        table.note(name, wrk("get", &format!("{api}/{path}"), time, "", 0), Some(0.8), limit_get);
    }
    System::drained();
    let later = format!("l{number}-");
    let won = system.without_worker(|| wrk("buy", &buy(&api, WON), time, &later, 0));
    table.note("(b) buy, won, durability broker, rows written later", won, Some(0.30), limit);
    System::drained();
}

fn facts(table: &mut Table, system: System, quick: bool) {
    for (buyers, name) in [(1_000, "1,000"), (1_000_000, "1,000,000")] {
        let (won, sold_out) = admission_alone(buyers, quick);
        table.fact(
            &format!("(f) the admission script alone, {name} buyers"),
            &format!("won {won:.0}, sold out {sold_out:.0} a second"),
            "flat",
        );
    }
    let connections = measure::idle_connections(&system.api, 1_000);
    let mib = resident_mib(&system.serve);
    table.fact("(i) memory of serve, with 1,000 connections", &format!("{mib:.0} MiB"), "< 64 MiB");
    drop(connections);
    let nanos = measure::nanos_to_count_an_attempt();
    table.fact("(k) counting an attempt, for the control room", &format!("{nanos:.0} ns"), "");
    let load = table.median("(b) buy, won, durability broker, while") / 2.0;
    let (delay_p50, delay_p99) = delay_under_half_load(&system, load, quick);
    table.fact(
        "(h) from admission to the row's transaction, half load",
        &format!("p50 {delay_p50:.0} ms, p99 {delay_p99:.0} ms"),
        "p99 < 250 ms",
    );
    table.fact("(i) memory of work", &format!("{:.0} MiB", resident_mib(&system.work)), "");
    table.fact(
        "(i) Redis, for each buyer, outbox drained",
        &format!("{:.0} bytes", bytes_per_buyer()),
        "≤ 200",
    );
    let (rows, seconds) = rows_per_second(system, quick);
    table.fact(
        &format!("(g) rows from a full queue ({rows} waiting)"),
        &format!("{:.0} a second", f64::from(rows) / seconds),
        "≥ 60,000",
    );
}
