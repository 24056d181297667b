//! `flashsale stress` against real systems: every scenario passes on a good one, and says why when
//! something is wrong.

use std::{
    os::unix::fs::{PermissionsExt, chown, symlink},
    process::Stdio,
    sync::{Arc, Mutex},
};

use rustix::process::{Signal, geteuid};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::{
    distributed::catalogue,
    embedded::Embedded,
    support::{
        SOON,
        http::{buy, client, get, ready},
        nginx::Nginx,
        process::Flashsale,
        servers,
        services::Services,
        terminal::Terminal,
    },
};

/// Makes a scenario much smaller than it is.
const SMALL: [&str; 6] = [
    "--scale",
    "0.2",
    "--duration-scale",
    "0.15",
    // Other tests run on the same machine: how fast it is, is not what is tested.
    "--latency-scale",
    "100",
];

/// Where a system under test is reached.
struct Target {
    api: String,
    web: String,
    console: String,
    token_file: String,
}

impl Target {
    async fn embedded(embedded: &Embedded, serve: &Flashsale) -> Self {
        let (api, web, console) = (serve.api().await, serve.shop().await, serve.console().await);
        ready(&api).await;
        Self { api, web, console, token_file: format!("{}/console-token", embedded.data_dir()) }
    }

    /// With pages that have this token file.
    async fn distributed(serve: &Flashsale, pages: &Flashsale, token_file: &str) -> Self {
        let (api, web, console) = (serve.api().await, pages.shop().await, pages.console().await);
        ready(&api).await;
        ready(&web).await;
        Self { api, web, console, token_file: token_file.to_owned() }
    }

    /// Runs a scenario, much smaller than it is, to its end: the exit code, and what was printed.
    async fn stress(&self, scenario: &str, more: &[&str]) -> (Option<i32>, String) {
        let Self { api, web, console, token_file } = self;
        let place = ["--api", api, "--web", web, "--console", console, "--token-file", token_file];
        stress(&[&["--scenario", scenario], &place[..], more].concat(), &[]).await
    }
}

async fn stress(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut process = Flashsale::spawn(&[&["stress"], arguments, &SMALL].concat(), variables);
    let code = process.ended(SOON * 3).await.code();
    (code, format!("{}\n{}", process.printed(), process.log()))
}

/// A folder with room for the token file of the pages, and the path of that file.
fn token_file() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("token").to_str().expect("path").to_owned();
    (folder, path)
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
    let serve = embedded.spawn(&["serve"], &catalogue);
    let target = Target::embedded(&embedded, &serve).await;
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("path").to_owned();
    let (report, json, history) = (path("report.html"), path("result.json"), path("history.jsonl"));
    for scenario in SCENARIOS {
        let files = ["--product", scenario, "--report", &report, "--json", &json, "--history", &history];
        let (code, output) = target.stress(scenario, &files).await;
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
    let serves = [0, 1].map(|_| services.spawn(&["serve"], &catalogue));
    let (_folder, token_file) = token_file();
    let with_token = [&catalogue[..], &[("FLASHSALE_CONSOLE_TOKEN_FILE", token_file.as_str())]].concat();
    let pages = services.spawn(&["web"], &with_token);
    for (number, scenario) in SCENARIOS.iter().enumerate() {
        let target = Target::distributed(&serves[number % 2], &pages, &token_file).await;
        let (code, output) = target.stress(scenario, &["--product", scenario]).await;
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
    let serve = embedded.spawn(&["serve"], &variables);
    let target = Target::embedded(&embedded, &serve).await;
    let (code, output) = target.stress("stampede", &[]).await;
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("opens in 0:00:") && output.contains("1,500 of 1,500"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_that_is_not_open_is_refused() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    let target = Target::embedded(&embedded, &serve).await;
    let api = &target.api;
    assert!(embedded.spawn(&["pause"], &[]).ended(SOON).await.success());
    crate::support::eventually("paused", SOON, async || {
        let sale = crate::support::http::get(&format!("{api}/sale/status")).await.body;
        (sale["status"] == "PAUSED").then_some(())
    })
    .await;
    // Each thread of the server may show what it saw a moment ago.
    crate::support::stage::lasts(std::time::Duration::from_millis(300)).await;
    let (code, output) = target.stress("flashsale", &[]).await;
    assert_eq!(code, Some(2), "{output}");
    assert!(output.contains("the sale is PAUSED"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_interrupted_can_not_tell() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
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
    let (_folder, token_file) = token_file();
    let with_token = [products[0], ("FLASHSALE_CONSOLE_TOKEN_FILE", token_file.as_str())];
    let (work, serve) = (services.spawn(&["work"], &products), services.spawn(&["serve"], &products));
    let pages = services.spawn(&["web"], &with_token);
    let target = Target::distributed(&serve, &pages, &token_file).await;
    work.signal(Signal::STOP);
    let (code, output) = target.stress("flashsale", &[]).await;
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
    let serve = services.spawn(&["serve"], &variables);
    let (_folder, token_file) = token_file();
    let with_token = [&variables[..], &[("FLASHSALE_CONSOLE_TOKEN_FILE", token_file.as_str())]].concat();
    let pages = services.spawn(&["web"], &with_token);
    let target = Target::distributed(&serve, &pages, &token_file).await;
    let (code, output) = target.stress("stampede", &[]).await;
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("✗ SUCCESS responses = rows"), "{output}");
}

/// With the same configuration, `serve` and `stress` on one machine need no flag to find each other.
#[tokio::test(flavor = "multi_thread")]
async fn serve_and_stress_on_one_machine_end_in_pass_without_a_flag() {
    let embedded = Embedded::new();
    let [api, web, console] = [(); 3].map(|()| format!("127.0.0.1:{}", servers::free_port()));
    let file = catalogue(500);
    let machine = [
        ("FLASHSALE_DATA_DIR", embedded.data_dir()),
        ("FLASHSALE_API_ADDR", &api),
        ("FLASHSALE_WEB_ADDR", &web),
        ("FLASHSALE_CONSOLE_ADDR", &console),
        ("FLASHSALE_PRODUCTS", file.path().to_str().expect("path")),
    ];
    let serve = Flashsale::spawn(&["serve"], &machine);
    ready(&serve.api().await).await;
    let (code, output) = stress(&["--scenario", "big-flashsale"], &machine).await;
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("PASS"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_evidence_it_can_not_tell_and_says_why() {
    let (embedded, other, file) = (Embedded::new(), Embedded::new(), catalogue(100_000));
    let products = [("FLASHSALE_PRODUCTS", file.path().to_str().expect("path"))];
    let (serve, elsewhere) = (embedded.spawn(&["serve"], &products), other.spawn(&["serve"], &[]));
    let here = Target::embedded(&embedded, &serve).await;
    let there = Target::embedded(&other, &elsewhere).await;
    let nowhere = format!("http://127.0.0.1:{}", servers::free_port());
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("path").to_owned();
    let [empty, open, foreign] = [path("empty"), path("open"), path("foreign")];
    let token = std::fs::read(&here.token_file).expect("a token");
    for (path, content, mode) in
        [(&empty, &b"\n"[..], 0o600), (&open, &token, 0o640), (&foreign, &token, 0o600)]
    {
        std::fs::write(path, content).expect("a file");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("mode");
    }
    // A file of somebody else: root can give one away, and others find one that root owns.
    let foreign = if geteuid().is_root() {
        chown(&foreign, Some(65_534), None).expect("chown");
        foreign.as_str()
    } else {
        "/etc/passwd"
    };
    let cases: [(_, &str, _); 8] = [
        (&here.console, "/no/such/file", "read the token file /no/such/file"),
        (&here.console, &empty, "it is empty: delete it, and restart"),
        (&here.console, &open, "others than its owner may use it (mode 640): chmod 600 it"),
        (&here.console, foreign, "chown it"),
        (&here.console, folder.path().to_str().expect("path"), "it is not a file"),
        (&here.console, &there.token_file, "refuses the token"),
        (&nowhere, &here.token_file, "the console can't be reached at"),
        (&here.api, &here.token_file, "has no evidence"),
    ];
    for (console, token_file, why) in cases {
        let arguments =
            ["--scenario", "buy", "--api", &here.api, "--console", console, "--token-file", token_file];
        let (code, output) = stress(&arguments, &[]).await;
        assert_eq!(code, Some(2), "{output}");
        assert!(output.contains(why) && output.contains("UNKNOWN"), "{why}: {output}");
    }
}

/// The evidence names every buyer.
#[tokio::test(flavor = "multi_thread")]
async fn the_evidence_is_for_the_token_alone() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    let Target { api, web, console, token_file } = Target::embedded(&embedded, &serve).await;
    assert_eq!(buy(&client(), &api, "secret-buyer").await.status, 200);
    let token = std::fs::read_to_string(&token_file).expect("a token");
    let mode = std::fs::metadata(&token_file).expect("a file").permissions().mode();
    assert_eq!((mode & 0o777, token.trim().len()), (0o600, 64));
    let bearer = format!("Bearer {}", token.trim());
    let route = "/audit/limited-001";
    let with_token = |base: &str| client().get(format!("{base}{route}")).header("authorization", &bearer);
    let evidence = with_token(&console).send().await.expect("answer");
    assert_eq!(evidence.status(), 200);
    assert_eq!(evidence.headers()["cache-control"], "no-store");
    assert!(evidence.text().await.expect("evidence").contains("secret-buyer"));
    let plain = |path: &str| client().get(format!("{console}{path}"));
    let refused = [
        ("no token", plain(route), 401),
        ("no token for counts", plain("/audit/limited-001/counts"), 401),
        ("a wrong token", plain(route).bearer_auth("0".repeat(64)), 401),
        ("half a token", plain(route).bearer_auth(&token[..32]), 401),
        ("the token in the query", plain(&format!("{route}?token={}", token.trim())), 401),
        ("a foreign Host", with_token(&console).header("host", "evil.example"), 421),
        ("a proxy", with_token(&console).header("x-forwarded-for", "10.0.0.1"), 404),
        ("another proxy", with_token(&console).header("forwarded", "for=10.0.0.1"), 404),
        ("the API", with_token(&api), 404),
        ("the shop", with_token(&web), 404),
    ];
    for (what, request, status) in refused {
        let answer = request.send().await.expect("answer");
        assert_eq!(answer.status(), status, "{what}");
        assert_eq!(answer.headers().contains_key("www-authenticate"), status == 401, "{what}");
        let text = answer.text().await.expect("text");
        assert!(!text.contains("secret-buyer") && !text.contains(token.trim()), "{what}: {text}");
    }
    drop(serve);
    // The shop sells without it.
    std::fs::set_permissions(&token_file, std::fs::Permissions::from_mode(0o644)).expect("mode");
    let serve = embedded.spawn(&["serve"], &[]);
    ready(&serve.api().await).await;
    serve.logs("chmod 600").await;
    let answer = with_token(&serve.console().await).send().await.expect("answer");
    assert_eq!(answer.status(), 404);
    assert!(!serve.log().contains(token.trim()));
}

#[tokio::test]
async fn bad_arguments_are_named() {
    for (arguments, output) in [
        (vec!["--scenario", "nope"], "possible values"),
        (vec!["--scenario", "buy", "--scale", "0"], "--scale must be from 0.001 to 1000"),
        (vec!["--scenario", "buy", "--users-prefix", "a b"], "--users-prefix must be"),
        (vec!["--scenario", "buy", "--attempts", "5"], "--attempts is for the stampede alone"),
        (vec!["--scenario", "buy", "--api", "https://x"], "only http:// is supported"),
        (vec!["--scenario", "buy", "--api", "http://x/?y"], "a query or a fragment is not supported"),
        (
            vec!["--scenario", "buy", "--api", "http://u:s3cret@x"],
            "http://x/: a user or a password is not supported",
        ),
        (
            vec!["--scenario", "buy", "--api", "http://10.0.0.1:1", "--token-file", "/x"],
            "name the console with --console",
        ),
        (
            vec!["--scenario", "buy", "--api", "http://127.0.0.1:1"],
            "can't be reached: is `flashsale serve` running?",
        ),
    ] {
        let mut process = Flashsale::spawn(&[&["stress"], &arguments[..]].concat(), &[]);
        assert_eq!(process.ended(SOON).await.code(), Some(2), "{arguments:?}");
        process.logs(output).await;
        assert!(!process.log().contains("s3cret"), "{}", process.log());
    }
}

/// The files that a run is asked for: flag, and name in a folder.
const FILES: [(&str, &str); 4] = [
    ("--report", "report.html"),
    ("--json", "result.json"),
    ("--history", "history.jsonl"),
    ("--goose-report", "goose.html"),
];

#[tokio::test(flavor = "multi_thread")]
async fn files_that_can_not_be_written_are_refused_before_the_first_request() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    let target = Target::embedded(&embedded, &serve).await;
    let folder = tempfile::tempdir().expect("folder");
    for (flag, name) in FILES {
        let folder = folder.path().to_str().expect("path");
        let missing = format!("{folder}/missing/{name}");
        let (code, output) = target.stress("buy", &[flag, &missing]).await;
        assert_eq!(code, Some(2), "{flag}: {output}");
        let line = output.lines().find(|line| line.contains(&missing)).expect("a line about the file");
        assert!(line.contains("can't write") && line.contains("check that it exists"), "{line}");
        let directory = format!("{folder}/directory/{name}");
        std::fs::create_dir_all(&directory).expect("a directory");
        let (code, output) = target.stress("buy", &[flag, &directory]).await;
        assert_eq!(code, Some(2), "{flag}: {output}");
        assert!(output.contains("it is a directory: name a file"), "{output}");
        assert!(!output.contains("waiting until every purchase"), "{output}");
    }
    assert_eq!(get(&format!("{}/sale/stock", target.api)).await.body["stock"], 10_000, "somebody bought");
    // What is there is kept until there is something to replace it.
    let kept = folder.path().join("report.html");
    std::fs::write(&kept, "an earlier report").expect("write");
    let report = kept.to_str().expect("path");
    let (code, output) = target.stress("buy", &["--report", report, "--json", "/no/such/folder"]).await;
    assert_eq!(code, Some(2), "{output}");
    assert_eq!(std::fs::read_to_string(&kept).expect("a file"), "an earlier report");
}

/// No space is left at the end of the run: the result is that of the load, and the other files are written.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_space_does_not_change_the_verdict() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    let target = Target::embedded(&embedded, &serve).await;
    let folder = tempfile::tempdir().expect("folder");
    for (full, _) in FILES {
        for (latency, code) in [("1000", 0), ("0.001", 1)] {
            let mut files = Vec::new();
            for (flag, name) in FILES {
                let path = folder.path().join(name);
                let _ = std::fs::remove_file(&path);
                if flag == full {
                    symlink("/dev/full", &path).expect("a link");
                }
                files.extend([flag.to_owned(), path.to_str().expect("path").to_owned()]);
            }
            let mut arguments: Vec<_> = files.iter().map(String::as_str).collect();
            let Target { api, web, console, token_file } = &target;
            arguments.extend(["--api", api, "--web", web, "--console", console, "--token-file", token_file]);
            arguments.extend(["--scenario", "flashsale", "--scale", "0.02", "--duration-scale", "0.02"]);
            let mut process =
                Flashsale::spawn(&[&["stress"], &arguments[..], &["--latency-scale", latency]].concat(), &[]);
            let ended = process.ended(SOON).await.code();
            assert_eq!(ended, Some(code), "{full}: {}\n{}", process.printed(), process.log());
            let line = process.logs("not written").await;
            assert!(line.contains("No space left on device"), "{full}: {line}");
            for (flag, name) in FILES.iter().filter(|(flag, _)| *flag != full) {
                let length = std::fs::metadata(folder.path().join(name)).expect("a file").len();
                assert!(length > 100, "{full} is full, and {flag} has {length} bytes");
            }
        }
    }
}

/// A server at the address of a console, which says in its errors what it was asked; and what it was asked. Of the
/// console at `real` it gives everything but the evidence after the first time.
async fn echo(port: u16, real: Option<String>) -> Arc<Mutex<String>> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a port");
    let asked: Arc<Mutex<String>> = Arc::default();
    let noted = asked.clone();
    tokio::spawn(async move {
        let mut given = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 8192];
            let length = stream.read(&mut head).await.unwrap_or(0);
            let head = String::from_utf8_lossy(&head[..length]).into_owned();
            noted.lock().expect("heads").push_str(&head);
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            given += u32::from(!path.ends_with("/counts"));
            let real = real.as_ref().filter(|_| path.ends_with("/counts") || given == 1);
            let (status, body) = match real {
                Some(real) => {
                    let token = head.lines().find_map(|line| line.strip_prefix("authorization: "));
                    let asking = client().get(format!("{real}{path}"));
                    let answer = asking.header("authorization", token.unwrap_or_default()).send().await;
                    (200, answer.expect("answer").text().await.expect("text"))
                }
                None => (500, head),
            };
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len());
            let answer = format!("{head}Connection: close\r\n\r\n{body}");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    asked
}

/// A console says in its errors what it was sent. Neither the files nor the output of a run show it.
#[tokio::test(flavor = "multi_thread")]
async fn its_files_show_no_secret() {
    const TOKEN: &str = "a-token-with-\"<quotes>\"-and-'\\'-of-32-characters";
    let embedded = Embedded::new();
    let token_file = format!("{}/console-token", embedded.data_dir());
    std::fs::write(&token_file, TOKEN).expect("write");
    std::fs::set_permissions(&token_file, std::fs::Permissions::from_mode(0o600)).expect("mode");
    let serve = embedded.spawn(&["serve"], &[]);
    let target = Target::embedded(&embedded, &serve).await;
    let port = servers::free_port();
    let asked = echo(port, Some(target.console.clone())).await;
    let target = Target { console: format!("http://127.0.0.1:{port}"), ..target };
    let folder = tempfile::tempdir().expect("folder");
    let files = FILES.map(|(flag, name)| [flag.to_owned(), folder.path().join(name).display().to_string()]);
    let arguments: Vec<_> = files.iter().flatten().map(String::as_str).collect();
    let (code, output) = target.stress("flashsale", &arguments).await;
    assert_eq!(code, Some(2), "{output}");
    assert!(asked.lock().expect("heads").contains(TOKEN), "the console was not asked");
    let [report, json, history, goose] =
        files.map(|[_, path]| std::fs::read_to_string(path).expect("a file"));
    for said in [&report, &json, &output] {
        assert!(said.contains("could not be audited") && said.contains("answered 500"), "{said}");
    }
    for said in [&report, &json, &history, &goose, &output] {
        let line = said.lines().find(|line| line.contains("a-token-with"));
        assert!(line.is_none(), "the token is shown: {}", line.unwrap_or_default());
    }
    assert!(serde_json::from_str::<Value>(&json).is_ok(), "{json}");
}

/// The address of the console is that of the API by default. Where that is another machine, the token is not sent to
/// it unless the console is named.
#[tokio::test(flavor = "multi_thread")]
async fn the_token_stays_on_this_machine_unless_the_console_is_named() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    let Target { api, token_file, .. } = Target::embedded(&embedded, &serve).await;
    let token = std::fs::read_to_string(&token_file).expect("a token");
    let port = servers::free_port();
    let asked = echo(port, None).await;
    // No loopback address, although this machine answers there.
    let elsewhere = api.replace("127.0.0.1", "0.0.0.0");
    let console_addr = format!("127.0.0.1:{port}");
    let machine =
        [("FLASHSALE_CONSOLE_ADDR", console_addr.as_str()), ("FLASHSALE_CONSOLE_TOKEN_FILE", &token_file)];
    let named = format!("http://{console_addr}");
    for (more, said, is_sent) in [
        (&[][..], "the API is on another machine: name its console with --console", false),
        (&["--token-file", &token_file], "name the console with --console", false),
        (&["--token-file", &token_file, "--console", &named], "answered 500", true),
    ] {
        let arguments = [&["--scenario", "flashsale", "--api", &elsewhere], more].concat();
        let (code, output) = stress(&arguments, &machine).await;
        assert_eq!(code, Some(2), "{output}");
        assert!(output.contains(said), "{output}");
        assert_eq!(asked.lock().expect("heads").contains(token.trim()), is_sent, "{more:?}");
    }
    let (_, output) = stress(&["--scenario", "flashsale", "--api", &api], &machine).await;
    assert!(output.contains("answered 500"), "on this machine it is sent: {output}");
}

/// Two systems behind one proxy: the run is of the one that is named, and the other one gets no request.
#[tokio::test(flavor = "multi_thread")]
async fn a_path_in_the_address_of_the_api_names_the_system_below_it() {
    let file = products();
    let catalogue = [("FLASHSALE_PRODUCTS", file.path().to_str().expect("path"))];
    let homes = [Embedded::new(), Embedded::new()];
    let [named, other] = [&homes[0], &homes[1]].map(|home| home.spawn(&["serve"], &catalogue));
    let (target, beside) =
        (Target::embedded(&homes[0], &named).await, Target::embedded(&homes[1], &other).await);
    // What is not below the path, or names another host, belongs to the other system.
    let proxy = Nginx::with(&format!(
        "client_header_timeout 5s; client_body_timeout 5s;
         server {{ listen 127.0.0.1:PORT default_server backlog=8192; location / {{ proxy_pass {}; }} }}
         server {{ listen 127.0.0.1:PORT; server_name 127.0.0.1;
           location /drop/api/ {{ proxy_pass {}/; }} location /drop/ {{ proxy_pass {}/; }}
           location / {{ proxy_pass {}; }} }}",
        beside.api, target.api, target.web, beside.api
    ))
    .await;
    let base = format!("http://127.0.0.1:{}/drop", proxy.port);
    let before = get(&format!("{}/products", beside.api)).await.body;
    let target = Target { api: format!("{base}/api"), web: base, ..target };
    for scenario in SCENARIOS {
        let (code, output) = target.stress(scenario, &["--product", scenario]).await;
        // How soon the proxy ends slow connections is its own affair.
        let is_whole = code == Some(0) || scenario == "hostile";
        assert!(is_whole && output.contains("every check of the audit holds"), "{scenario}: {output}");
    }
    assert_eq!(get(&format!("{}/products", beside.api)).await.body, before, "the other system sold");
    // A redirect may lead to another system.
    let other = Nginx::with(&format!(
        "server {{ listen 127.0.0.1:PORT; location / {{ return 308 {}$request_uri; }} }}",
        beside.api
    ))
    .await;
    let target = Target { api: format!("http://127.0.0.1:{}/", other.port), ..target };
    let (code, output) = target.stress("buy", &[]).await;
    assert_eq!(code, Some(2), "{output}");
    assert!(output.contains(&format!("sends clients to {}/sale/status", beside.api)), "{output}");
}

/// Its progress is shown at a terminal whose output nobody takes.
#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_nobody_reads_does_not_hold_it_up() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    let Target { api, console, token_file, .. } = Target::embedded(&embedded, &serve).await;
    let place = ["--api", &api, "--console", &console, "--token-file", &token_file];
    // Long enough for the terminal's buffer to be full.
    let load =
        ["--scenario", "flashsale", "--scale", "0.02", "--duration-scale", "0.6", "--latency-scale", "1000"];
    let command = || Flashsale::command(&[&["stress"], &load[..], &place].concat(), &[]);
    let (unread, read) = (Terminal::open(), Terminal::open());
    let shown = read.read_on();
    let mut processes =
        [&unread, &read].map(|terminal| Flashsale::start(command(), Stdio::piped(), terminal.stream()));
    for process in &mut processes {
        // Other tests run on the same machine: whether it passes, is not what is tested.
        let code = process.ended(SOON * 2).await.code();
        assert!([Some(0), Some(1)].contains(&code), "{code:?}: {}", process.printed());
        assert!(process.printed().contains("every check of the audit holds"), "{}", process.printed());
    }
    let shown = shown.lock().expect("text");
    assert!(shown.contains("flashsale [") && shown.contains("/s of "), "{shown}");
}
