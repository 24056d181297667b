//! The embedded mode: the whole system in one process, with nothing installed.

use std::time::Duration;

use flashsale::{
    domain::{Entry, EntryId, LedgerVerdict},
    ledger::{PurchaseLedger, RecordingLedger, SqliteLedger, Writer},
};
use rustix::process::Signal;
use serde_json::json;

use crate::ledger::purchase;
use crate::support::{
    SOON, eventually,
    http::{buy, client, get, ready},
    process::Flashsale,
};

/// A data directory, and processes on it.
pub(crate) struct Embedded {
    pub(crate) dir: tempfile::TempDir,
}

impl Embedded {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a directory") }
    }

    pub(crate) fn data_dir(&self) -> &str {
        self.dir.path().to_str().expect("a path")
    }

    pub(crate) fn spawn(&self, arguments: &[&str], more: &[(&str, &str)]) -> Flashsale {
        Flashsale::spawn(arguments, &self.variables(more))
    }

    /// The environment of our processes here.
    pub(crate) fn variables<'here>(
        &'here self,
        more: &[(&'here str, &'here str)],
    ) -> Vec<(&'here str, &'here str)> {
        let mut variables = vec![
            ("FLASHSALE_DATA_DIR", self.data_dir()),
            ("FLASHSALE_API_ADDR", "127.0.0.1:0"),
            ("FLASHSALE_WEB_ADDR", "127.0.0.1:0"),
            ("FLASHSALE_CONSOLE_ADDR", "127.0.0.1:0"),
        ];
        variables.extend(more);
        variables
    }
}

#[tokio::test]
async fn a_purchase_survives_kill_9_with_its_unit() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    let api = serve.api().await;
    ready(&api).await;
    let client = client();

    let first = buy(&client, &api, "buyer-1").await;
    assert_eq!((first.status, &first.body["status"]), (200, &json!("SUCCESS")));
    assert_eq!(first.body["unit"], json!(1));
    assert_eq!(first.body["state"], json!("CONFIRMED"));
    assert_eq!(first.body["durability"], json!("database"));
    let again = buy(&client, &api, "buyer-1").await;
    assert_eq!(again.body["status"], json!("PURCHASED"));
    assert_eq!(again.body["purchaseId"], first.body["purchaseId"]);
    serve.kill();

    let serve = embedded.spawn(&["serve"], &[]);
    let api = serve.api().await;
    ready(&api).await;
    let after = buy(&client, &api, "buyer-1").await;
    assert_eq!(after.body["status"], json!("PURCHASED"));
    assert_eq!(after.body["purchaseId"], first.body["purchaseId"]);
    assert_eq!(after.body["unit"], json!(1));
    assert_eq!(get(&format!("{api}/sale/stock")).await.body, json!({"isAvailable": true, "stock": 9999}));
    assert_eq!(buy(&client, &api, "buyer-2").await.body["unit"], json!(2));
}

/// Killed in the middle of a stampede, again and again: every SUCCESS that a client has seen is there afterwards,
/// with its unit, and no unit is handed out twice.
#[tokio::test(flavor = "multi_thread")]
async fn no_success_is_lost_when_killed_under_load() {
    let embedded = Embedded::new();
    let mut bought = std::collections::HashMap::new();
    for round in 0..4 {
        let serve = embedded.spawn(&["serve"], &[]);
        let api = serve.api().await;
        ready(&api).await;
        let client = client();
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        for lane in 0..16 {
            let (client, api, sender) = (client.clone(), api.clone(), sender.clone());
            tokio::spawn(async move {
                for number in 0.. {
                    let user = format!("buyer-{round}-{lane}-{number}");
                    let request = client.post(format!("{api}/sale/buy")).json(&json!({ "userId": user }));
                    let Some(answer) = crate::support::http::try_send(request).await else { return };
                    if answer.body["status"] == json!("SUCCESS") && sender.send((user, answer)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for _ in 0..200 {
            let (user, answer) = receiver.recv().await.expect("a purchase");
            bought.insert(user, answer.body);
        }
        serve.kill();
        while let Some((user, answer)) = receiver.recv().await {
            bought.insert(user, answer.body);
        }
    }
    let serve = embedded.spawn(&["serve"], &[]);
    let api = serve.api().await;
    ready(&api).await;
    let client = client();
    let mut units = std::collections::HashSet::new();
    for (user, success) in &bought {
        let again = buy(&client, &api, user).await;
        assert_eq!(again.body["status"], json!("PURCHASED"), "{user}");
        assert_eq!(again.body["purchaseId"], success["purchaseId"], "{user}");
        assert_eq!(again.body["unit"], success["unit"], "{user}");
        assert!(units.insert(success["unit"].to_string()), "unit {} was handed out twice", success["unit"]);
    }
    assert!(bought.len() >= 800);
}

#[tokio::test]
async fn a_second_process_on_one_data_directory_is_refused() {
    let embedded = Embedded::new();
    let first = embedded.spawn(&["serve"], &[]);
    first.api().await;
    for command in ["serve", "migrate"] {
        let line = embedded.spawn(&[command], &[]).refused(1, "is in use by another flashsale").await;
        assert!(line.contains(&first.id().to_string()), "{line}");
    }
    assert_eq!(get(&format!("{}/healthz", first.api().await)).await.status, 200);
}

/// Errors that no waiting resolves end the start; the error names the file, the user and what to do.
#[tokio::test]
async fn a_database_that_can_never_be_used_ends_the_start() {
    use std::{
        os::unix::{fs::PermissionsExt, process::CommandExt},
        process::Stdio,
    };

    type Spoil = fn(&std::path::Path);
    const NOBODY: u32 = 65_534;
    let spoiled: [(&str, Spoil); 3] = [
        ("is not a database", |file| std::fs::write(file, "nothing like it ".repeat(100)).expect("write")),
        ("unable to open database file", |file| std::fs::create_dir(file).expect("a directory")),
        ("readonly database", |_| {}),
    ];
    for (why, spoil) in spoiled {
        let embedded = Embedded::new();
        let file = embedded.dir.path().join("flashsale.sqlite3");
        spoil(&file);
        if !file.exists() {
            let mut migrate = embedded.spawn(&["migrate"], &[]);
            assert_eq!(migrate.ended(SOON).await.code(), Some(0));
        }
        for entry in std::fs::read_dir(embedded.dir.path()).expect("directory").flatten() {
            std::fs::set_permissions(entry.path(), PermissionsExt::from_mode(0o555)).expect("permissions");
        }
        // The directory stays writable.
        std::fs::set_permissions(embedded.dir.path(), PermissionsExt::from_mode(0o777)).expect("permissions");
        let mut command = Flashsale::command(&["serve"], &embedded.variables(&[]));
        // For root every file is writable.
        if rustix::process::getuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let line = Flashsale::start(command, Stdio::piped(), Stdio::piped())
            .refused(1, "flashsale: can't use the database ")
            .await;
        for part in [file.to_str().expect("path"), "uid ", "check the path", why] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
    }
}

/// Whatever is deleted beside it, the database is locked itself, and readers of it are not kept out.
#[tokio::test]
async fn a_second_process_is_refused_whatever_was_deleted() {
    let embedded = Embedded::new();
    let first = embedded.spawn(&["serve"], &[]);
    ready(&first.api().await).await;
    for entry in std::fs::read_dir(embedded.dir.path()).expect("data").flatten() {
        if !entry.file_name().to_string_lossy().starts_with("flashsale.sqlite3") {
            std::fs::remove_file(entry.path()).expect("remove");
        }
    }
    embedded.spawn(&["serve"], &[]).refused(1, "is in use by another flashsale").await;
    let mut audit = embedded.spawn(&["audit", "--wait", "0"], &[]);
    audit.ended(SOON).await;
    assert!(audit.printed().contains("holds"), "{}", audit.printed());
    assert!(audit.printed().contains("(serve is running)"), "{}", audit.printed());
    assert_eq!(buy(&client(), &first.api().await, "buyer").await.body["unit"], json!(1));
}

/// Another writer has taken unit 1 in the database. The answer names the unit that was recorded, or no unit.
#[tokio::test(flavor = "multi_thread")]
async fn the_answer_names_the_unit_that_was_recorded() {
    for (stock, expected) in [(2, json!(["SUCCESS", 2])), (1, json!(["SOLD_OUT", null]))] {
        let (embedded, file) = (Embedded::new(), crate::distributed::catalogue(stock));
        let products = ("FLASHSALE_PRODUCTS", file.path().to_str().expect("path"));
        let serve = embedded.spawn(&["serve"], &[products]);
        let api = serve.api().await;
        ready(&api).await;
        let ledger =
            SqliteLedger::open(&embedded.dir.path().join("flashsale.sqlite3")).await.expect("ledger");
        let id = EntryId { millis: 1, sequence: 0 };
        let entry = Entry { id, epoch: 1, purchase: purchase("another", 1) };
        let recorded = ledger.record(&[entry], Writer::Worker).await.expect("recorded");
        assert_eq!(recorded, [LedgerVerdict::Recorded], "the fault has taken hold");
        let answer = buy(&client(), &api, "buyer").await.body;
        assert_eq!(json!([answer["status"], answer["unit"]]), expected, "{answer}");
        let row = ledger.purchases(&purchase("buyer", 1).product, 1, 1).await.expect("rows");
        let status = get(&format!("{api}/sale/purchase/status?userId=buyer")).await.body;
        match row.first() {
            Some(row) => assert_eq!((&answer["purchaseId"], 2), (&json!(row.id), row.unit)),
            None => assert_eq!(status["hasPurchased"], json!(false)),
        }
    }
}

#[tokio::test]
async fn worker_and_pages_alone_say_that_serve_does_it_all() {
    let embedded = Embedded::new();
    for command in ["work", "web"] {
        let line = embedded.spawn(&[command], &[]).refused(1, "flashsale: no service is configured").await;
        assert!(line.contains("`flashsale serve`") && line.contains("DATABASE_URL"), "{line}");
    }
}

#[tokio::test]
async fn both_signals_end_it_gracefully() {
    for signal in [Signal::TERM, Signal::INT] {
        let embedded = Embedded::new();
        let mut serve = embedded.spawn(&["serve"], &[]);
        ready(&serve.api().await).await;
        serve.signal(signal);
        assert_eq!(serve.ended(Duration::from_secs(10)).await.code(), Some(0), "{signal:?}");
    }
}

#[tokio::test]
async fn a_sale_is_paused_and_resumed_from_outside() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    let api = serve.api().await;
    ready(&api).await;
    let client = client();
    assert_eq!(buy(&client, &api, "early").await.body["status"], json!("SUCCESS"));
    for (command, phase, outcome) in [("pause", "PAUSED", "PAUSED"), ("resume", "ACTIVE", "SUCCESS")] {
        let mut operator = embedded.spawn(&[command, "--product", "limited-001"], &[]);
        assert_eq!(operator.ended(SOON).await.code(), Some(0));
        // A look at the sale may lag, an attempt never does: it says when the command has taken effect.
        let mut attempts = 0;
        eventually(outcome, SOON, async || {
            attempts += 1;
            let answer = buy(&client, &api, &format!("{command}-{attempts}")).await;
            (answer.body["status"] == json!(outcome)).then_some(())
        })
        .await;
        eventually(phase, SOON, async || {
            (get(&format!("{api}/sale/status")).await.body["status"] == json!(phase)).then_some(())
        })
        .await;
        assert_eq!(buy(&client, &api, "early").await.body["status"], json!("PURCHASED"));
    }
    embedded
        .spawn(&["pause", "--product", "nothing-like-it"], &[])
        .refused(1, "there is no product nothing-like-it")
        .await;
}

#[tokio::test]
async fn the_pages_sell_without_script() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    ready(&serve.api().await).await;
    let shop = serve.shop().await;
    let page = |answer: crate::support::http::Answer| answer.body.as_str().unwrap_or_default().to_owned();
    assert_eq!(get(&shop).await.header("location"), "/products/limited-001");
    assert!(
        page(get(&format!("{shop}/products/limited-001")).await)
            .contains("<b>10,000</b> of <span>10,000</span> left")
    );
    assert_eq!(get(&format!("{shop}/assets/meridian-one.svg")).await.header("content-type"), "image/svg+xml");
    assert_eq!(get(&format!("{shop}/products/none")).await.status, 404);

    let user = "a&b=<script>'\"";
    let form = format!("userId={}", "a%26b%3D%3Cscript%3E%27%22");
    let bought = client()
        .post(format!("{shop}/products/limited-001/buy"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await
        .expect("answer");
    assert_eq!(bought.status(), 303);
    let location = bought.headers()["location"].to_str().expect("text").to_owned();
    let receipt = page(get(&format!("{shop}{location}")).await);
    assert!(receipt.contains("No. 1<") && receipt.contains("data-state=\"CONFIRMED\""), "{receipt}");
    assert!(!receipt.contains(user) && !receipt.contains("<script>"), "not escaped: {receipt}");

    let bad = client()
        .post(format!("{shop}/products/limited-001/buy"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body("userId=a%20b")
        .send()
        .await
        .expect("answer");
    assert!(bad.text().await.expect("text").contains("Use letters, digits and signs, no spaces."));
}

/// Purchases can't be written, as on a full disk, while everything can be read.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_can_not_be_written_is_one_outage() {
    use diesel::{Connection, SqliteConnection, connection::SimpleConnection};
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    let api = serve.api().await;
    ready(&api).await;
    let client = client();
    assert_eq!(buy(&client, &api, "before").await.body["status"], json!("SUCCESS"));
    let file = embedded.dir.path().join("flashsale.sqlite3");
    let mut database = SqliteConnection::establish(file.to_str().expect("path")).expect("database");
    database.batch_execute("PRAGMA busy_timeout = 10000").expect("to wait for the process");
    let full = "CREATE TRIGGER full BEFORE INSERT ON purchases
                BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END";
    database.batch_execute(full).expect("a trigger");
    let during = buy(&client, &api, "during").await;
    assert_eq!((during.status, &during.body["outcome"]), (503, &json!("unknown")));
    let readyz = format!("{api}/readyz");
    eventually("not ready", SOON, async || (get(&readyz).await.status == 503).then_some(())).await;
    for _ in 0..40 {
        let answer = get(&readyz).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.body.to_string().contains("its disk is full"), "{answer:?}");
        crate::support::stage::lasts(Duration::from_millis(100)).await;
    }
    database.batch_execute("DROP TRIGGER full").expect("no trigger");
    ready(&api).await;
    assert_eq!(buy(&client, &api, "during").await.body["status"], json!("PURCHASED"));
    serve.logs("sqlite is up, after").await;
    for line in ["lost sqlite: ", "sqlite is up, after"] {
        assert_eq!(serve.log().matches(line).count(), 1, "{line}\n{}", serve.log());
    }
}
