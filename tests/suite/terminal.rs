//! What a person sees at a terminal, and what `--help` teaches.

use std::sync::{Arc, Mutex};

use rustix::process::Signal;

use crate::{
    embedded::Embedded,
    support::{
        SOON, eventually,
        http::ready,
        process::Flashsale,
        sale::now,
        terminal::{COLUMNS, Terminal, rows},
    },
};

/// A catalogue of these products; `more` is added to each.
fn catalogue(ids: &[&str], more: &str) -> tempfile::NamedTempFile {
    let product = |id: &&str| {
        format!(
            "[[products]]\nid = \"{id}\"\nname = \"P\"\nprice = \"1\"\ncurrency = \"USD\"\ntotal_stock = 12300\n{more}\n"
        )
    };
    let file = tempfile::NamedTempFile::new().expect("file");
    std::fs::write(file.path(), ids.iter().map(product).collect::<String>()).expect("write");
    file
}

/// Waits until this was shown, and returns all of it.
async fn shown(text: &Arc<Mutex<String>>, wanted: &str) -> String {
    eventually(wanted, SOON, async || {
        let text = text.lock().expect("text").clone();
        text.contains(wanted).then_some(text)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_ends_with_the_addresses_the_data_and_how_to_stop() {
    let embedded = Embedded::new();
    let terminal = Terminal::open();
    let text = terminal.read_on();
    let command = Flashsale::command(&["serve"], &embedded.variables(&[]));
    let serve = Flashsale::start(command, std::process::Stdio::null(), terminal.stream());
    let text = shown(&text, "Ctrl-C stops").await;
    drop(serve);
    let rows = rows(&text);
    let first = rows.iter().rposition(|row| row.starts_with("Shop http://127.0.0.1:")).expect("a block");
    assert!(rows[first..].iter().all(|row| row.chars().count() <= COLUMNS), "{rows:?}");
    let block = rows[first..].join(" ");
    let data = format!("· data {} · Ctrl-C stops", embedded.data_dir());
    for part in [" · API http://127.0.0.1:", " · Console http://127.0.0.1:", &data] {
        assert!(block.contains(part), "{part}: {rows:?}");
    }

    let serve = embedded.spawn(&["serve"], &[]);
    let line = serve.logs("Shop http://").await;
    assert!(line.contains(" · API http://") && line.ends_with("· Ctrl-C stops"), "{line}");
    drop(serve);

    let serve = embedded.spawn(&["serve"], &[("FLASHSALE_LOG_FORMAT", "json")]);
    ready(&serve.api().await).await;
    let is_json = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok();
    assert!(serve.log().lines().all(is_json), "{}", serve.log());
}

/// Output and progress of a run share the terminal.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_leaves_its_result_and_no_bar() {
    let (embedded, file) = (Embedded::new(), catalogue(&["p"], ""));
    let variables = [("FLASHSALE_PRODUCTS", file.path().to_str().expect("path"))];
    let serve = embedded.spawn(&["serve"], &variables);
    let (api, console) = (serve.api().await, serve.console().await);
    ready(&api).await;
    let token = format!("{}/console-token", embedded.data_dir());
    let place = ["--api", &api, "--console", &console, "--token-file", &token];
    let load =
        ["--scenario", "flashsale", "--scale", "0.1", "--duration-scale", "0.1", "--latency-scale", "1000"];
    let terminal = Terminal::open();
    let text = terminal.read_on();
    let command = Flashsale::command(&[&["stress"], &load[..], &place].concat(), &[]);
    let mut process = Flashsale::start(command, terminal.stream(), terminal.stream());
    assert_eq!(process.ended(SOON).await.code(), Some(0), "{}", text.lock().expect("text"));
    let text = shown(&text, "PASS").await;
    assert!(text.contains("flashsale [") && text.contains("╌"), "there was a bar: {text:?}");
    assert!(text.contains("\u{1b}[32mPASS\u{1b}[0m") && text.contains("\u{1b}[32m✓\u{1b}[0m"), "{text:?}");
    let rows = rows(&text);
    for wanted in [
        "up to 150 attempts a second",
        "2 → 10 (0.5 s) → 150 (1 s)",
        "attempts for 12,300 units do not exhaust the stock",
        "12,300 units, ACTIVE",
        "PASS",
    ] {
        let whole = rows.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(whole.contains(wanted), "{wanted}: {rows:#?}");
    }
    for left in ["╌", "━", "launched", "users", "[3"] {
        assert!(rows.iter().all(|row| !row.contains(left)), "{left} was left behind: {rows:#?}");
    }
    assert!(rows.iter().all(|row| row.chars().count() <= COLUMNS), "{rows:#?}");
    let hangs = |pair: &[String]| pair[0].starts_with("  ✓") && pair[1].starts_with("      ");
    assert!(rows.windows(2).any(hangs), "no value hangs below its beginning: {rows:#?}");
}

/// Nothing was exercised, so nothing is judged.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_a_request_is_unknown_and_says_so_before() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    let (api, console) = (serve.api().await, serve.console().await);
    ready(&api).await;
    let token = format!("{}/console-token", embedded.data_dir());
    for scenario in ["flashsale", "mixed"] {
        let arguments = ["stress", "--scenario", scenario, "--scale", "0.001", "--duration-scale", "0.001"];
        let place = ["--api", &api, "--console", &console, "--token-file", &token];
        let mut process = Flashsale::spawn(&[&arguments[..], &place].concat(), &[]);
        assert_eq!(process.ended(SOON).await.code(), Some(2), "{}\n{}", process.printed(), process.log());
        let (printed, log) = (process.printed(), process.log());
        assert!(log.contains("no attempt is due, so the result will be UNKNOWN: raise --scale"), "{log}");
        assert!(printed.contains("· p95 < 400 ms, from when each was due") && printed.contains("no request"));
        assert!(printed.contains("? no attempt was made") && printed.ends_with("UNKNOWN"), "{printed}");
        assert!(!printed.contains('✗') && !printed.contains("0 µs"), "{printed}");
    }
}

/// A person who waits sees when it opens, and need not wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_for_an_opening_says_when_and_can_be_stopped() {
    let opens = chrono::DateTime::from_timestamp_millis(now() + 89_910_000).expect("time").to_rfc3339();
    let (embedded, file) = (Embedded::new(), catalogue(&["p"], &format!("sale_start = \"{opens}\"")));
    let serve = embedded.spawn(&["serve"], &[("FLASHSALE_PRODUCTS", file.path().to_str().expect("path"))]);
    let api = serve.api().await;
    ready(&api).await;
    for scenario in ["buy", "stampede"] {
        let mut process = Flashsale::spawn(&["stress", "--scenario", scenario, "--api", &api], &[]);
        let rest = process.logs("opens in 1 d 0:5").await;
        assert_eq!(rest.len(), 1, "hours and minutes: {rest}");
        process.signal(Signal::INT);
        assert_eq!(process.ended(SOON).await.code(), Some(2), "{}", process.log());
        assert!(process.printed().contains("the run was stopped before its end"), "{}", process.printed());
    }
}

/// The options of a command, apart from those that every command takes.
#[tokio::test]
async fn help_has_the_options_of_the_command_before_those_of_all() {
    let commands = [
        "serve",
        "work",
        "web",
        "migrate",
        "pause",
        "resume",
        "products",
        "purchases",
        "audit",
        "dead-letters",
        "reconcile",
        "stress",
        "healthcheck",
    ];
    for command in commands {
        let mut process = Flashsale::spawn(&[command, "--help"], &[]);
        assert!(process.ended(SOON).await.success());
        let help = process.printed();
        let (own, global) = help.split_once("\nGlobal options:\n").expect(command);
        let (_, own) = own.split_once("\nOptions:\n").unwrap_or_default();
        for option in ["--config", "--products", "--prefix", "--data-dir", "--set"] {
            assert!(global.contains(&format!("      {option} <")), "{command}: {option} in {global}");
            assert!(!own.contains(&format!("      {option} <")), "{command}: {option} in {own}");
        }
        assert!(own.contains("--help"), "{command}: {own}");
    }
}

/// What an operator's command says in the embedded mode, with a catalogue of one's own.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_is_told_what_there_is_and_what_is_for_the_other_mode() {
    let (embedded, file) = (Embedded::new(), catalogue(&["blue", "red", "green"], ""));
    let serve = embedded.spawn(&["serve"], &[("FLASHSALE_PRODUCTS", file.path().to_str().expect("path"))]);
    ready(&serve.api().await).await;
    let run = async |arguments: &[&str]| {
        let mut process = embedded.spawn(arguments, &[]);
        let code = process.ended(SOON).await.code();
        (code, format!("{}\n{}", process.printed(), process.log()))
    };
    for command in ["pause", "resume", "audit"] {
        let (code, output) = run(&[command, "--product", "limited-001"]).await;
        assert!([Some(1), Some(2)].contains(&code), "{output}");
        let said = "there is no product limited-001: the products are blue, red, green";
        assert!(output.contains(said), "{command}: {output}");
    }
    let (code, output) = run(&["pause"]).await;
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("product blue; for another one, --product with one of: red, green"), "{output}");
    let (code, output) = run(&["audit"]).await;
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("3 not checked (serve is running): total = remaining"), "{output}");
    assert!(output.contains("The audit holds, for what could be read from here."), "{output}");
    for arguments in [&["dead-letters", "list"][..], &["reconcile"]] {
        let (code, output) = run(arguments).await;
        assert!([Some(1), Some(2)].contains(&code), "{output}");
        let said = format!("`flashsale {}` is for the distributed mode", arguments[0]);
        assert!(output.contains(&said), "{output}");
    }
    drop(serve);
    let (code, output) = run(&["audit"]).await;
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("3 not checked (serve is not running): total = remaining"), "{output}");
}
