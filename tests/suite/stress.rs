//! `flashsale stress` against real systems: every scenario passes on a good one, and says why when something is wrong.

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
        "--attempts",
        "3000",
    ];
    let mut process = Flashsale::spawn(&[&small[..], more].concat(), &[]);
    let code = process.ended(SOON * 3).await.code();
    (code, format!("{}\n{}", process.printed(), process.log()))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scenario_passes_embedded_and_leaves_a_report() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve", "--audit-route"], &[]);
    let (api, web) = (serve.api().await, serve.shop().await);
    ready(&api).await;
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("path").to_owned();
    let (report, json, history) = (path("report.html"), path("result.json"), path("history.jsonl"));
    for scenario in ["buy", "flashsale", "big-flashsale", "stampede", "mixed", "hostile"] {
        let files = ["--report", &report, "--json", &json, "--history", &history];
        let (code, said) = stress(scenario, &api, &web, &files).await;
        assert_eq!(code, Some(0), "{scenario}: {said}");
        assert!(said.contains("PASS") && said.contains("the audit finds nothing"), "{said}");
        let page = std::fs::read_to_string(&report).expect("report");
        assert!(page.contains("<svg") && page.contains("PASS") && page.contains(scenario), "{page}");
        assert!(
            !page.contains("http-equiv") && !page.contains("<script"),
            "it is one page with nothing to load"
        );
        let result: Value = serde_json::from_slice(&std::fs::read(&json).expect("JSON")).expect("JSON");
        assert_eq!(result["verdict"]["result"], "PASS");
        let lines = std::fs::read_to_string(&history).expect("history");
        let line: Value = serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
        assert_eq!(line["type"], "attempt");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scenario_passes_with_two_of_each_process() {
    let (services, file) = (Services::new().await, catalogue(2_000));
    let products = [("FLASHSALE_PRODUCTS", file.path().to_str().expect("path"))];
    let _workers = [services.spawn(&["work"], &products), services.spawn(&["work"], &products)];
    let serves = [0, 1].map(|_| services.spawn(&["serve", "--audit-route"], &products));
    let pages = services.spawn(&["web"], &products);
    let web = pages.shop().await;
    for (number, scenario) in
        ["flashsale", "stampede", "mixed", "hostile", "buy", "big-flashsale"].iter().enumerate()
    {
        let api = serves[number % 2].api().await;
        ready(&api).await;
        let (code, said) = stress(scenario, &api, &web, &[]).await;
        assert_eq!(code, Some(0), "{scenario}: {said}");
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
    let (code, said) = stress("flashsale", &api, &api, &[]).await;
    assert_eq!(code, Some(1), "{said}");
    let line = said.lines().find(|line| line.contains("CONFIRMED within 60 s")).expect("a line");
    assert!(line.contains('✗') && line.contains("50 still on their way"), "{line}");
}

/// A build that looks first and decrements then: units are sold twice.
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
    let (code, said) = stress("stampede", &api, &api, &[]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("✗ SUCCESS answers = rows"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_audit_route_it_can_not_tell() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    let api = serve.api().await;
    ready(&api).await;
    let (code, said) = stress("buy", &api, &api, &[]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--audit-route") && said.contains("UNKNOWN"), "{said}");
    let route = crate::support::http::get(&format!("{api}/audit/limited-001")).await;
    assert_eq!(route.status, 404, "buyers are not shown to anybody");
}

#[tokio::test]
async fn bad_arguments_are_named() {
    for (arguments, said) in [
        (vec!["--scenario", "nope"], "possible values"),
        (vec!["--scenario", "buy", "--scale", "0"], "--scale must be from 0.001 to 1000"),
        (vec!["--scenario", "buy", "--users-prefix", "a b"], "--users-prefix must be"),
        (vec!["--scenario", "buy", "--api", "https://x"], "only http:// can be put under load"),
        (
            vec!["--scenario", "buy", "--api", "http://127.0.0.1:1"],
            "can't be reached: is `flashsale serve` running?",
        ),
    ] {
        let mut process = Flashsale::spawn(&[&["stress"], &arguments[..]].concat(), &[]);
        assert_eq!(process.ended(SOON).await.code(), Some(2), "{arguments:?}");
        process.logs(said).await;
    }
}
