//! The operations console: what operators see during a sale and during an outage.

use serde_json::{Value, json};

use rustix::process::Signal;

use crate::{
    distributed::{catalogue, drained},
    embedded::Embedded,
    support::{
        SOON,
        browser::{Browser, DESKTOP, LOOKS, Look, PHONE},
        eventually,
        http::{buy, buy_at, client, get, ready},
        process::Flashsale,
        proxy::{Link, Proxy},
        sale::now,
        servers,
        services::Services,
        stage::{own, port_of, restarted, with_postgres, with_redis},
    },
};

async fn snapshot(console: &str) -> Value {
    get(&format!("{console}/console/snapshot")).await.body
}

/// Waits until the snapshot is as wanted, and returns it.
async fn shows(console: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let seen = std::sync::Mutex::new(Value::Null);
    let polling = eventually(what, SOON * 2, async || {
        let now = snapshot(console).await;
        let found = wanted(&now).then(|| now.clone());
        *seen.lock().expect("seen") = now;
        found
    });
    let found = tokio::time::timeout(SOON, polling).await;
    found.unwrap_or_else(|_elapsed| panic!("{what} is not shown: {}", seen.lock().expect("seen")))
}

fn has_event(snapshot: &Value, kind: &str, about: &str) -> bool {
    let mut events = snapshot["events"].as_array().expect("events").iter();
    events.any(|event| event["kind"] == kind && event["about"] == about)
}

/// The severity of the verdict on a page.
fn severity(page: &str) -> &str {
    let (_, rest) = page.split_once("id=\"verdict\"").expect("a verdict");
    rest.split_once("data-severity=\"").and_then(|(_, rest)| rest.split('"').next()).expect("a severity")
}

async fn page(console: &str) -> String {
    get(&format!("{console}/console")).await.body.as_str().expect("a page").to_owned()
}

/// A sale from before its opening to its last unit, embedded.
#[tokio::test(flavor = "multi_thread")]
async fn a_sale_is_shown_from_its_opening_to_its_last_unit() {
    let (embedded, file) = (Embedded::new(), tempfile::NamedTempFile::new().expect("file"));
    let opens = chrono::DateTime::from_timestamp_millis(now() + 20_000).expect("time").to_rfc3339();
    let product = |id: &str, stock: u32, more: &str| {
        format!(
            "[[products]]\nid = \"{id}\"\nname = '<b>{id}'\nprice = \"1\"\ncurrency = \"USD\"\ntotal_stock = {stock}\n{more}\n"
        )
    };
    let products =
        [product("soon", 3, &format!("sale_start = \"{opens}\"")), product("other", 10, "")].concat();
    std::fs::write(file.path(), products).expect("write");
    let serve = embedded.spawn(&["serve"], &[("FLASHSALE_PRODUCTS", file.path().to_str().expect("path"))]);
    let (api, console) = (serve.api().await, serve.console().await);
    ready(&api).await;
    let buy = async |product: &str, user: &str| {
        buy_at(&client(), &format!("{api}/products/{product}/buy"), user).await.body["status"].clone()
    };
    shows(&console, "it is not open", |seen| seen["products"][0]["phase"] == "UPCOMING").await;
    assert_eq!(buy("soon", "early").await, json!("UPCOMING"));
    shows(&console, "it opens", |seen| has_event(seen, "OPENED", "soon")).await;
    for (user, outcome) in [
        ("a", "SUCCESS"),
        ("a", "PURCHASED"),
        ("b", "SUCCESS"),
        ("c", "SUCCESS"),
        ("d", "SOLD_OUT"),
        ("e", "SOLD_OUT"),
    ] {
        assert_eq!(buy("soon", user).await, json!(outcome), "{user}");
    }
    assert_eq!(buy("other", "a").await, json!("SUCCESS"));
    let seen = shows(&console, "all of it is counted", |seen| {
        has_event(seen, "SOLD_OUT", "soon")
            && seen["total"]["attempts"]["SUCCESS"] == 4
            && seen["products"][0]["conservation"]["inLedger"] == 3
            && seen["products"][1]["conservation"]["inLedger"] == 1
    })
    .await;
    let [soon, other] = [0, 1].map(|number| &seen["products"][number]);
    assert_eq!(soon["attempts"], json!({ "SUCCESS": 3, "PURCHASED": 1, "SOLD_OUT": 2, "UPCOMING": 1 }));
    assert_eq!(
        seen["total"]["attempts"],
        json!({ "SUCCESS": 4, "PURCHASED": 1, "SOLD_OUT": 2, "UPCOMING": 1 })
    );
    let units = |total, remaining, sold| {
        json!({ "totalStock": total, "remaining": remaining, "inFlight": 0, "inLedger": sold, "deadLettered": 0,
            "withheld": 0, "returning": 0, "moving": 0, "missing": 0, "surplus": 0 })
    };
    assert_eq!((&soon["conservation"], &other["conservation"]), (&units(3, 0, 3), &units(10, 9, 1)));
    let all = json!({ "totalStock": 13, "remaining": 9, "inFlight": 0, "inLedger": 4, "deadLettered": 0,
        "withheld": 0, "returning": 0, "moving": 0, "missing": 0, "surplus": 0 });
    assert_eq!((&seen["conservation"], &seen["addsUp"]), (&all, &json!(true)));
    assert_eq!((&soon["addsUp"], &soon["outboxAgeMs"]), (&json!(true), &json!(0)));
    for what in ["admission", "answer", "recording"] {
        assert_eq!(buy("other", &format!("{what}-fan")).await, json!("SUCCESS"));
        shows(&console, what, |seen| {
            let of = &seen["products"][1][what];
            of["number"].as_u64() > Some(0) && of["p99Ms"].as_f64() > Some(0.0)
        })
        .await;
    }
    assert_eq!(seen["processes"].as_array().map(Vec::len), Some(1));
    let process = &seen["processes"][0];
    assert_eq!(
        (&process["role"], &process["isUp"], &process["isReady"]),
        (&json!("serve"), &json!(true), &json!(true))
    );
    only_new_history(&console, seen["at"].as_i64().expect("a time")).await;
}

/// `since` leaves out the history that the client has.
async fn only_new_history(console: &str, at: i64) {
    let later = shows(console, "a later poll", |seen| seen["at"].as_i64() > Some(at)).await;
    let news = get(&format!("{console}/console/snapshot?since={at}")).await.body;
    assert!(later["history"].as_array().map(Vec::len) > news["history"].as_array().map(Vec::len), "{news}");
    assert!(news["history"].as_array().expect("history").iter().all(|point| point["at"].as_i64() > Some(at)));
}

/// The console has an address of its own, security headers, and a Host header check; the shop redirects local clients.
#[tokio::test]
async fn the_page_needs_no_script_and_has_a_host_header_check() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    ready(&serve.api().await).await;
    let (console, shop) = (serve.console().await, serve.shop().await);
    eventually("all is well", SOON, async || (severity(&page(&console).await) == "info").then_some(())).await;
    let answer = get(&format!("{console}/console")).await;
    let text = answer.body.as_str().expect("a page");
    for wanted in [
        "All is well",
        "<b>10,000</b> remaining",
        "✓ adds up",
        "sqlite",
        "http-equiv=\"refresh\"",
        "<title>Operations console",
    ] {
        assert!(text.contains(wanted), "{wanted} is not in {text}");
    }
    assert!(answer.header("content-security-policy").contains("default-src 'none'"));
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(get(&console).await.header("location"), "/console");
    assert_eq!(get(&format!("{console}/products/limited-001")).await.status, 404, "the shop is elsewhere");
    assert_eq!(get(&format!("{shop}/console")).await.header("location"), format!("{console}/console"));
    let as_host = async |url: &str, name: &str, value: &str| {
        let request = client().get(url).header(name, value);
        crate::support::http::try_send(request).await.expect("an answer")
    };
    for (host, status) in [
        ("localhost:3003", 200),
        ("[::1]:3003", 200),
        ("10.0.0.1", 200),
        ("evil.example:3003", 421),
        (":3003", 421),
    ] {
        let answer = as_host(&format!("{console}/console/snapshot"), "host", host).await;
        assert_eq!(answer.status, status, "{host}");
    }
    for (name, value) in
        [("host", "evil.example"), ("x-forwarded-host", "evil.example"), ("x-forwarded-for", "127.0.0.1")]
    {
        let answer = as_host(&format!("{shop}/console"), name, value).await;
        assert_eq!(answer.status, 404, "{name}: a client behind a proxy gets no redirect");
    }
    let query = get(&format!("{console}/console/snapshot?since=yesterday")).await;
    assert_eq!(query.status, 400);

    let nowhere = embedded_without_console().await;
    assert_eq!(get(&format!("{}/console", nowhere.1)).await.status, 404);
}

/// The shop sells without the operations console.
#[tokio::test]
async fn a_port_that_is_taken_costs_the_console_alone() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = taken.local_addr().expect("an address").to_string();
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[("FLASHSALE_CONSOLE_ADDR", &addr)]);
    let api = serve.api().await;
    ready(&api).await;
    serve.logs("there is no operations console").await;
    assert_eq!(buy(&client(), &api, "ada").await.body["status"], json!("SUCCESS"));
    assert_eq!(get(&format!("{}/console", serve.shop().await)).await.status, 404);
}

async fn embedded_without_console() -> ((Embedded, Flashsale), String) {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[("FLASHSALE_CONSOLE_ADDR", "")]);
    let shop = serve.shop().await;
    assert!(!serve.log().contains("operations console"), "{}", serve.log());
    ((embedded, serve), shop)
}

/// A system of two API processes, a worker and the pages.
struct System {
    services: Services,
    _file: tempfile::NamedTempFile,
    serves: Vec<Flashsale>,
    work: Flashsale,
    _web: Flashsale,
    apis: Vec<String>,
    console: String,
}

impl System {
    async fn start(services: Services) -> Self {
        let file = catalogue(100);
        let products = [("FLASHSALE_PRODUCTS", file.path().to_str().expect("path"))];
        let spawn = |command| services.spawn(&[command], &products);
        let work =
            services.spawn(&["work"], &[products[0], ("FLASHSALE_LOG_FILTER", "info,flashsale=debug")]);
        let (web, serves) = (spawn("web"), vec![spawn("serve"), spawn("serve")]);
        let mut apis = Vec::new();
        for serve in &serves {
            apis.push(serve.api().await);
            ready(apis.last().expect("an API")).await;
        }
        // The leader has compared the stores: it puts right what it finds, and comes again after minutes.
        work.logs("compared admission with the ledger").await;
        let console = web.console().await;
        Self { services, _file: file, serves, work, _web: web, apis, console }
    }

    async fn shows(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        shows(&self.console, what, wanted).await
    }
}

fn up(snapshot: &Value) -> usize {
    let processes = snapshot["processes"].as_array().expect("processes");
    processes.iter().filter(|process| process["isUp"] == true && process["isReady"] == true).count()
}

fn dependency<'seen>(snapshot: &'seen Value, name: &str) -> &'seen Value {
    let dependencies = snapshot["dependencies"].as_array().expect("dependencies");
    dependencies.iter().find(|one| one["name"] == name).unwrap_or(&Value::Null)
}

/// Attempts of all processes are added up; a process that is killed is reported as lost, one that ends in order is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_is_lost_and_one_that_ends_is_not() {
    let mut system = System::start(Services::new().await).await;
    system.shows("all four are up", |seen| up(seen) == 4).await;
    for number in 0..10 {
        buy(&client(), &system.apis[number % 2], &format!("user-{number}")).await;
    }
    let seen = system
        .shows("both are counted", |seen| {
            seen["total"]["attempts"]["SUCCESS"] == 10
                && seen["total"]["recording"]["number"].as_u64() > Some(0)
                && seen["products"][0]["conservation"]["inLedger"] == 10
        })
        .await;
    assert_eq!((&seen["queue"]["purchases"], &seen["queue"]["dead"]), (&json!(0), &json!(0)));
    assert_eq!(dependency(&seen, "redis")["usedBy"], json!(4));
    assert_eq!(dependency(&seen, "rabbitmq-consumer")["usedBy"], json!(1));

    let mut gone = system.serves.pop().expect("a process");
    let name = format!(":{}", gone.id());
    let named = |seen: &Value| {
        let processes = seen["processes"].as_array().expect("processes").clone();
        processes.into_iter().find(|process| process["name"].as_str().is_some_and(|one| one.ends_with(&name)))
    };
    gone.signal(Signal::TERM);
    assert!(gone.ended(SOON).await.success());
    let seen = system
        .shows("it has left", |seen| {
            named(seen).is_none() && seen["events"].to_string().contains("PROCESS_LEFT")
        })
        .await;
    assert!(!seen["events"].to_string().contains("PROCESS_LOST"), "{seen}");

    let killed = system.serves.pop().expect("a process");
    let name = format!(":{}", killed.id());
    killed.kill();
    let seen = system.shows("it is lost", |seen| seen["events"].to_string().contains("PROCESS_LOST")).await;
    assert!(seen["events"].to_string().contains(&name), "{seen}");
    assert_eq!(up(&seen), 2, "{seen}");
    let text = page(&system.console).await;
    assert!(text.contains("has been silent for") && severity(&text) == "error", "{text}");
}

/// A missing row and a surplus row are found, and a dead letter is shown.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_row_breaks_the_conservation_law() {
    let system = System::start(Services::new().await).await;
    for number in 0..10 {
        buy(&client(), &system.apis[0], &format!("user-{number}")).await;
    }
    drained(&system.services, 10).await;
    let adds_up = |wanted: bool| move |seen: &Value| seen["products"][0]["addsUp"] == wanted;
    system
        .shows("it adds up", |seen| {
            adds_up(true)(seen) && seen["products"][0]["conservation"]["inLedger"] == 10
        })
        .await;
    let sql = system.services.sql().await;
    let moved = "CREATE TABLE elsewhere AS SELECT * FROM purchases WHERE unit <= 2; DELETE FROM purchases WHERE unit <= 2";
    sql.batch_execute(moved).await.expect("delete");
    let seen = system.shows("two are missing", adds_up(false)).await;
    assert_eq!(seen["products"][0]["conservation"]["missing"], json!(2));
    assert_eq!(seen["verdict"]["severity"], json!("error"), "the JSON has the verdict, too");
    assert!(seen["verdict"]["findings"][0]["text"].as_str().expect("text").contains("2 admitted purchases"));
    system.shows("it is noted", |seen| has_event(seen, "LAW_BROKEN", "limited-001")).await;
    let text = page(&system.console).await;
    assert_eq!(severity(&text), "error");
    for wanted in
        ["✗ does not add up", "<b>2</b> missing", "2 admitted purchases are neither", "Something is wrong"]
    {
        assert!(text.contains(wanted), "{wanted} is not in {text}");
    }
    sql.batch_execute("INSERT INTO purchases SELECT * FROM elsewhere").await.expect("insert");
    system.shows("it adds up again", adds_up(true)).await;
    system.shows("that is noted", |seen| has_event(seen, "LAW_HOLDS", "limited-001")).await;

    system.services.publish(b"no purchase at all").await;
    system
        .shows("a dead letter", |seen| {
            seen["queue"]["dead"] == 1 && seen["events"].to_string().contains("DEAD_LETTER")
        })
        .await;
    assert!(page(&system.console).await.contains("wait for a decision: 1"));

    // One row too many, which admission has not given.
    let extra = "INSERT INTO purchases (id, product_id, user_id, unit, admitted_at, offer)
        VALUES (gen_random_uuid(), 'limited-001', 'by-hand', 99, now(), 1)";
    system.work.signal(Signal::STOP);
    sql.batch_execute(extra).await.expect("insert");
    let seen = system.shows("one too many", adds_up(false)).await;
    assert_eq!(seen["products"][0]["conservation"]["surplus"], json!(1));
    system.work.signal(Signal::CONT);
}

/// A dead-lettered purchase is accounted for until it is replayed; it is missing if its dead letter is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_accounted_for_and_missing_when_it_is_lost() {
    use lapin::{options::QueuePurgeOptions, types::ShortString};

    let system = System::start(Services::new().await).await;
    let sql = system.services.sql().await;
    let refuse = "ALTER TABLE purchases ADD CONSTRAINT refused CHECK (user_id NOT LIKE 'cursed-%')";
    sql.batch_execute(refuse).await.expect("constraint");
    for user in ["a", "cursed-1", "cursed-2"] {
        buy(&client(), &system.apis[0], user).await;
    }
    let law = |seen: &Value, dead: u32, rows: u32| {
        let product = &seen["products"][0];
        let units = &product["conservation"];
        product["addsUp"] == true
            && units["deadLettered"] == dead
            && units["inLedger"] == rows
            && units["inFlight"] == 0
    };
    let seen = system.shows("two are dead-lettered", |seen| law(seen, 2, 1)).await;
    assert_eq!(seen["queue"]["dead"], json!(2));
    sql.batch_execute("ALTER TABLE purchases DROP CONSTRAINT refused").await.expect("constraint");
    let mut list = system.services.spawn(&["dead-letters", "list", "--json"], &[]);
    assert!(list.ended(SOON).await.success());
    let list: Value = serde_json::from_str(&list.printed()).expect("JSON");
    let id = list[0]["id"].as_str().expect("id");
    assert!(system.services.spawn(&["dead-letters", "replay", id], &[]).ended(SOON).await.success());
    system.shows("one is recorded after all", |seen| law(seen, 1, 2)).await;
    let queue = ShortString::from(format!("{}.purchases.dead", system.services.prefix));
    system.services.channel().await.queue_purge(queue, QueuePurgeOptions::default()).await.expect("purge");
    let seen = system.shows("the other is missed", |seen| seen["deadLettersMissing"] == 1).await;
    assert_eq!(seen["queue"]["dead"], json!(0));
    assert!(page(&system.console).await.contains("not in their queue any more: 1"));
}

/// During an outage of Redis, and of the process registry in it, the console shows the outage; afterwards its end and
/// the rebuild.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_redis_is_shown_to_its_end() {
    let redis = own(servers::redis).await;
    let system = System::start(with_redis(redis.port).await).await;
    system.shows("all four are up", |seen| up(seen) == 4).await;
    let mut redis = redis;
    redis.kill();
    redis.wipe();
    let outage = |seen: &Value| {
        dependency(seen, "redis")["outages"].as_array().is_some_and(|outages| !outages.is_empty())
    };
    let seen =
        system.shows("the outage", |seen| outage(seen) && !seen["products"][0]["trouble"].is_null()).await;
    assert!(has_event(&seen, "OUTAGE_BEGAN", "redis"), "{seen}");
    assert!(page(&system.console).await.contains("redis is not ready in"));
    let _redis = restarted(redis).await;
    let seen = system
        .shows("the recovery", |seen| {
            !outage(seen)
                && up(seen) == 4
                && has_event(seen, "OUTAGE_ENDED", "redis")
                && has_event(seen, "REBUILD_ENDED", "limited-001")
                && seen["products"][0]["addsUp"] == true
        })
        .await;
    assert!(!seen["events"].to_string().contains("PROCESS_LOST"), "no process was lost: {seen}");
}

/// A database that hangs does not stop the polls: the console shows the rest, and why the rows are not known.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_hangs_is_reported() {
    let proxy = Proxy::to(port_of(&Services::urls().database)).await;
    let system = System::start(with_postgres(proxy.port).await).await;
    system.shows("it adds up", |seen| seen["products"][0]["addsUp"] == true).await;
    proxy.set(Link::Blackhole);
    let seen =
        system.shows("the reason", |seen| seen["products"][0]["trouble"].to_string().contains("rows ")).await;
    system.shows("polls go on", |later| later["at"].as_i64() > seen["at"].as_i64()).await;
    assert_eq!(buy(&client(), &system.apis[0], "meanwhile").await.body["status"], json!("SUCCESS"));
    system.shows("attempts are counted", |seen| seen["total"]["attempts"]["SUCCESS"] == 1).await;
    proxy.set(Link::Pass);
    system
        .shows("all of it is there", |seen| {
            seen["products"][0]["addsUp"] == true && seen["products"][0]["conservation"]["inLedger"] == 1
        })
        .await;
}

/// Live updates in a browser, accessible, on a phone and in dark mode.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_live_accessible_and_fits_a_phone() {
    let (embedded, file) = (Embedded::new(), tempfile::NamedTempFile::new().expect("file"));
    let products = "[[products]]\nid = \"p\"\nname = '<script>window.hacked=1</script>'\nprice = \"1\"\ncurrency = \"USD\"\ntotal_stock = 500\n";
    std::fs::write(file.path(), products).expect("write");
    let serve = embedded.spawn(&["serve"], &[("FLASHSALE_PRODUCTS", file.path().to_str().expect("path"))]);
    let (api, console) = (serve.api().await, serve.console().await);
    ready(&api).await;
    for (name, look) in LOOKS {
        let browser = Browser::open(look).await;
        browser.goto(&format!("{console}/console")).await;
        browser.shows(".link", "Live").await;
        browser.shows(".law", "adds up").await;
        // In one step: the element is replaced when it changes.
        let law = "return document.querySelector('.law').textContent";
        let before = browser.run(law).await;
        browser.run("window.still = 'here'").await;
        buy(&client(), &api, name).await;
        eventually("the new purchase is shown", SOON, async || {
            (browser.run(law).await != before).then_some(())
        })
        .await;
        assert_eq!(browser.run("return window.still").await, json!("here"), "the page was loaded again");
        assert_eq!(browser.run("return window.hacked ?? null").await, json!(null));
        assert_eq!(browser.run("return document.querySelectorAll('.charts canvas').length").await, json!(3));
        browser.fits().await;
        browser.is_accessible().await;
        browser.picture(&format!("console-{name}")).await;
        browser.close().await;
    }
}

/// Without scripts the page reloads itself; with them, a lost connection is shown and recovers.
#[tokio::test(flavor = "multi_thread")]
async fn it_works_without_scripts_and_shows_a_lost_connection() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    let (api, console) = (serve.api().await, serve.console().await);
    ready(&api).await;
    let browser = Browser::open(Look { script: false, ..DESKTOP }).await;
    browser.goto(&format!("{console}/console")).await;
    buy(&client(), &api, "ada").await;
    browser.shows(".law", "1 in the ledger").await;
    browser.close().await;

    let proxy = Proxy::to(port_of(&console)).await;
    let browser = Browser::open(PHONE).await;
    browser.goto(&format!("http://127.0.0.1:{}/console", proxy.port)).await;
    browser.shows(".link", "Live").await;
    proxy.set(Link::Refuse);
    browser.shows(".link", "Connection lost").await;
    buy(&client(), &api, "grace").await;
    proxy.set(Link::Pass);
    browser.shows(".link", "Live").await;
    browser.shows(".law", "2 in the ledger").await;
    browser.close().await;
}
