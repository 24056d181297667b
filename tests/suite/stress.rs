//! `flashsale stress` against real systems: every scenario passes on a good one, and says why when
//! something is wrong.

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    distributed::catalogue,
    embedded::Embedded,
    support::{SOON, http::ready, process::Flashsale, services::Services},
};

/// Runs a scenario, much smaller than it is, to its end: the exit code, and what was printed.
async fn stress(scenario: &str, api: &str, web: &str, more: &[&str]) -> (Option<i32>, String) {
    let small = [
        "stress",
        "--scenario",
        scenario,
        "--api",
        api,
        "--web",
        web,
        "--scale",
        "0.2",
        "--duration-scale",
        "0.15",
        // Other tests run on the same machine: how fast it is, is not what is tested.
        "--latency-scale",
        "100",
    ];
    let mut process = Flashsale::spawn(&[&small[..], more].concat(), &[]);
    let code = process.ended(SOON * 3).await.code();
    (code, format!("{}\n{}", process.printed(), process.log()))
}

const SCENARIOS: [&str; 6] = ["buy", "flashsale", "big-flashsale", "stampede", "mixed", "hostile"];

/// A product for each scenario, with fewer units than buyers; but enough for the scenarios with
/// viewers and with hostile requests.
fn products() -> tempfile::NamedTempFile {
    let product = |scenario: &&str| {
        let stock = if ["mixed", "hostile"].contains(scenario) { 10_000 } else { 150 };
        format!(
            "[[products]]\nid = \"{scenario}\"\nname = \"P\"\nprice = \"1\"\ncurrency = \"USD\"\ntotal_stock = {stock}\n"
        )
    };
    let file = tempfile::NamedTempFile::new().expect("file");
    std::fs::write(file.path(), SCENARIOS.iter().map(product).collect::<String>()).expect("write");
    file
}

fn responses(result: &Value, outcome: &str) -> u64 {
    result["responses"][outcome].as_u64().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scenario_passes_embedded_and_leaves_a_report() {
    let (embedded, file) = (Embedded::new(), products());
    let catalogue = [("FLASHSALE_PRODUCTS", file.path().to_str().expect("path"))];
    let serve = embedded.spawn(&["serve", "--audit-route"], &catalogue);
    let (api, web) = (serve.api().await, serve.shop().await);
    ready(&api).await;
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("path").to_owned();
    let (report, json, history) = (path("report.html"), path("result.json"), path("history.jsonl"));
    for scenario in SCENARIOS {
        let files = ["--product", scenario, "--report", &report, "--json", &json, "--history", &history];
        let (code, output) = stress(scenario, &api, &web, &files).await;
        assert_eq!(code, Some(0), "{scenario}: {output}");
        let result: Value = serde_json::from_slice(&std::fs::read(&json).expect("JSON")).expect("JSON");
        assert_eq!(result["verdict"]["result"], "PASS");
        assert!(responses(&result, "SUCCESS") > 0, "{scenario} has sold nothing: {output}");
        // Thresholds allow for a few failures; these would be our own, on some route that few ask
        // for.
        for wrong in ["4xx", "malformed response"] {
            assert_eq!(responses(&result, wrong), 0, "{scenario}: {output}");
        }
        let sold_out = !["mixed", "hostile"].contains(&scenario);
        assert_eq!(responses(&result, "SOLD_OUT") > 0, sold_out, "{scenario}: {output}");
        assert!(result["seconds"].as_array().is_some_and(|seconds| !seconds.is_empty()), "{result}");
        let page = std::fs::read_to_string(&report).expect("report");
        let verdict = format!("<title>{scenario}: PASS</title>");
        assert!(page.contains("<svg") && page.contains(&verdict), "{page}");
        for loads in ["<script", "<link", "src=", "url(", "@import"] {
            assert!(!page.contains(loads), "the page is not whole by itself: {loads}");
        }
        let lines = std::fs::read_to_string(&history).expect("history");
        let line: Value = serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
        assert_eq!(line["type"], "attempt");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scenario_passes_with_two_of_each_process() {
    let (services, file) = (Services::new().await, products());
    let catalogue = [
        ("FLASHSALE_PRODUCTS", file.path().to_str().expect("path")),
        ("FLASHSALE_REDIS_RESPONSE_TIMEOUT_MS", "10000"),
        ("FLASHSALE_BROKER_CONFIRM_TIMEOUT_MS", "10000"),
    ];
    let _workers = [services.spawn(&["work"], &catalogue), services.spawn(&["work"], &catalogue)];
    let serves = [0, 1].map(|_| services.spawn(&["serve", "--audit-route"], &catalogue));
    let pages = services.spawn(&["web"], &catalogue);
    let web = pages.shop().await;
    for (number, scenario) in SCENARIOS.iter().enumerate() {
        let api = serves[number % 2].api().await;
        ready(&api).await;
        let (code, output) = stress(scenario, &api, &web, &["--product", scenario]).await;
        assert_eq!(code, Some(0), "{scenario}: {output}");
    }
}

/// No attempt of a stampede is sent before the opening.
#[tokio::test(flavor = "multi_thread")]
async fn a_stampede_waits_for_the_opening() {
    let (embedded, file) = (Embedded::new(), tempfile::NamedTempFile::new().expect("file"));
    let at = chrono::DateTime::from_timestamp_millis(crate::support::sale::now() + 15_000).expect("time");
    let catalogue = format!(
        "[[products]]\nid = \"p\"\nname = \"P\"\nprice = \"1\"\ncurrency = \"USD\"\ntotal_stock = 100\nsale_start = \"{}\"",
        at.to_rfc3339()
    );
    std::fs::write(file.path(), catalogue).expect("write");
    let variables = [("FLASHSALE_PRODUCTS", file.path().to_str().expect("path"))];
    let serve = embedded.spawn(&["serve", "--audit-route"], &variables);
    let api = serve.api().await;
    ready(&api).await;
    let (code, output) = stress("stampede", &api, &api, &[]).await;
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("for the opening") && output.contains("1500 of 1500"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_that_is_not_open_is_refused() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve", "--audit-route"], &[]);
    let api = serve.api().await;
    ready(&api).await;
    assert!(embedded.spawn(&["pause"], &[]).ended(SOON).await.success());
    crate::support::eventually("paused", SOON, async || {
        let sale = crate::support::http::get(&format!("{api}/sale/status")).await.body;
        (sale["status"] == "PAUSED").then_some(())
    })
    .await;
    // Each thread of the server may show what it saw a moment ago.
    crate::support::stage::lasts(std::time::Duration::from_millis(300)).await;
    let (code, output) = stress("flashsale", &api, &api, &[]).await;
    assert_eq!(code, Some(2), "{output}");
    assert!(output.contains("the sale is PAUSED"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_interrupted_can_not_tell() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve", "--audit-route"], &[]);
    let api = serve.api().await;
    ready(&api).await;
    for signal in [Signal::INT, Signal::TERM] {
        let arguments = ["stress", "--scenario", "flashsale", "--api", &api];
        let mut process = Flashsale::spawn(&arguments, &[]);
        let began = crate::support::http::get(&format!("{api}/sale/stock")).await.body["stock"].clone();
        crate::support::eventually("it buys", SOON, async || {
            let stock = crate::support::http::get(&format!("{api}/sale/stock")).await.body["stock"].clone();
            (stock != began).then_some(())
        })
        .await;
        process.signal(signal);
        assert_eq!(process.ended(SOON).await.code(), Some(2), "{}", process.log());
        assert!(process.printed().contains("the run was stopped before its end"), "{}", process.printed());
    }
}

/// The audit's own part of a system that does not record: purchases never arrive.
#[tokio::test(flavor = "multi_thread")]
async fn a_system_without_a_worker_fails() {
    let (services, file) = (Services::new().await, catalogue(50));
    let products = [("FLASHSALE_PRODUCTS", file.path().to_str().expect("path"))];
    let (work, serve) =
        (services.spawn(&["work"], &products), services.spawn(&["serve", "--audit-route"], &products));
    let api = serve.api().await;
    ready(&api).await;
    work.signal(Signal::STOP);
    let (code, output) = stress("flashsale", &api, &api, &[]).await;
    assert_eq!(code, Some(1), "{output}");
    let line = output.lines().find(|line| line.contains("CONFIRMED within 60 s")).expect("a line");
    assert!(line.contains('✗') && line.contains("50 still in flight"), "{line}");
}

/// A build that reads the stock and then decrements it sells units twice.
#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread")]
async fn a_system_that_oversells_fails() {
    let (services, file) = (Services::new().await, catalogue(200));
    let variables = [
        ("FLASHSALE_PRODUCTS", file.path().to_str().expect("path")),
        ("FLASHSALE_MUTANT", "check-then-decrement"),
    ];
    let _work = services.spawn(&["work"], &variables);
    let serve = services.spawn(&["serve", "--audit-route"], &variables);
    let api = serve.api().await;
    ready(&api).await;
    let (code, output) = stress("stampede", &api, &api, &[]).await;
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("✗ SUCCESS responses = rows"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_audit_route_it_can_not_tell() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    let api = serve.api().await;
    ready(&api).await;
    let (code, output) = stress("buy", &api, &api, &[]).await;
    assert_eq!(code, Some(2), "{output}");
    assert!(output.contains("--audit-route") && output.contains("UNKNOWN"), "{output}");
    let route = crate::support::http::get(&format!("{api}/audit/limited-001")).await;
    assert_eq!(route.status, 404, "buyers are not shown to anybody");
}

#[tokio::test]
async fn bad_arguments_are_named() {
    for (arguments, output) in [
        (vec!["--scenario", "nope"], "possible values"),
        (vec!["--scenario", "buy", "--scale", "0"], "--scale must be from 0.001 to 1000"),
        (vec!["--scenario", "buy", "--users-prefix", "a b"], "--users-prefix must be"),
        (vec!["--scenario", "buy", "--attempts", "5"], "--attempts is for the stampede alone"),
        (vec!["--scenario", "buy", "--api", "https://x"], "only http:// is supported"),
        (
            vec!["--scenario", "buy", "--api", "http://127.0.0.1:1"],
            "can't be reached: is `flashsale serve` running?",
        ),
    ] {
        let mut process = Flashsale::spawn(&[&["stress"], &arguments[..]].concat(), &[]);
        assert_eq!(process.ended(SOON).await.code(), Some(2), "{arguments:?}");
        process.logs(output).await;
    }
}
