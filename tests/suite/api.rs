//! Every route, outcome and bad input of the API, over real sockets, in both modes.

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use crate::{
    embedded::Embedded,
    support::{
        SOON, eventually,
        http::{Answer, buy_at, client, get, raw, ready, try_send},
        process::Flashsale,
        services::Services,
    },
};

/// A running system of either mode, with the products of [`catalogue`].
struct System {
    api: String,
    embedded: Option<Embedded>,
    services: Option<Services>,
    _catalogue: tempfile::NamedTempFile,
    _processes: Vec<Flashsale>,
}

#[expect(clippy::disallowed_methods, reason = "windows of the catalogue are relative to now")]
fn catalogue() -> tempfile::NamedTempFile {
    use std::io::Write;
    let mut file = tempfile::NamedTempFile::new().expect("file");
    let at = |hours| (Utc::now() + TimeDelta::hours(hours)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let common = "name = \"Thing\"\nprice = \"999.99\"\noriginal_price = \"1499.00\"\ncurrency = \"USD\"";
    for (id, more) in [
        ("open", "total_stock = 1000".to_owned()),
        ("single", "total_stock = 1".to_owned()),
        ("upcoming", format!("total_stock = 5\nsale_start = \"{}\"", at(1))),
        ("ended", format!("total_stock = 5\nsale_start = \"{}\"\nsale_end = \"{}\"", at(-2), at(-1))),
        ("pausable", "total_stock = 5".to_owned()),
    ] {
        writeln!(file, "[[products]]\nid = \"{id}\"\n{common}\n{more}").expect("write");
    }
    file
}

impl System {
    async fn embedded() -> Self {
        let (embedded, catalogue) = (Embedded::new(), catalogue());
        let products = catalogue.path().to_str().expect("path");
        let serve = embedded.spawn(&["serve"], &[("FLASHSALE_PRODUCTS", products)]);
        let api = serve.api().await;
        ready(&api).await;
        Self { api, embedded: Some(embedded), services: None, _catalogue: catalogue, _processes: vec![serve] }
    }

    async fn distributed() -> Self {
        let (services, catalogue) = (Services::new().await, catalogue());
        let variables = [("FLASHSALE_PRODUCTS", catalogue.path().to_str().expect("path"))];
        let work = services.spawn(&["work"], &variables);
        let serve = services.spawn(&["serve"], &variables);
        let api = serve.api().await;
        ready(&api).await;
        Self {
            api,
            embedded: None,
            services: Some(services),
            _catalogue: catalogue,
            _processes: vec![serve, work],
        }
    }

    async fn get(&self, path: &str) -> Answer {
        get(&format!("{}{path}", self.api)).await
    }

    async fn buy(&self, product: &str, user: &str) -> Value {
        let answer = buy_at(&client(), &format!("{}/products/{product}/buy", self.api), user).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    async fn operate(&self, arguments: &[&str]) {
        let mut operator = match (&self.embedded, &self.services) {
            (Some(embedded), _) => embedded.spawn(arguments, &[]),
            (_, Some(services)) => services.spawn(arguments, &[]),
            _ => unreachable!("a system has a mode"),
        };
        assert_eq!(operator.ended(SOON).await.code(), Some(0));
    }

    /// Everything a request could leave behind: rows, and keys of Redis.
    async fn traces(&self) -> (Value, Vec<String>, Value) {
        let keys = match &self.services {
            Some(services) => services.keys().await,
            None => Vec::new(),
        };
        let rows = match &self.services {
            Some(services) => json!(services.count("SELECT count(*) FROM purchases").await),
            None => Value::Null,
        };
        (self.get("/products").await.body, keys, rows)
    }
}

/// Makes a test of each case in each mode.
macro_rules! in_both_modes {
    ($($case:ident)*) => {
        mod in_embedded_mode { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case(super::System::embedded().await).await }
        )* }
        mod in_distributed_mode { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case(super::System::distributed().await).await }
        )* }
    };
}

in_both_modes! {
    every_route_has_its_fields every_outcome every_bad_input_has_its_problem_and_leaves_no_trace
    a_plus_sign_in_a_query_means_itself
}

async fn every_route_has_its_fields(system: System) {
    let product = json!({
        "id": "open", "name": "Thing", "price": "999.99", "originalPrice": "1499.00", "image": "",
        "description": "", "saleStart": null, "saleEnd": null, "totalStock": 1000
    });
    let status = json!({"status": "ACTIVE", "startAt": null, "endAt": null, "product": product});
    for path in ["/sale/status", "/products/open"] {
        assert_eq!(system.get(path).await.body, status, "{path}");
    }
    for path in ["/sale/stock", "/products/open/stock"] {
        assert_eq!(system.get(path).await.body, json!({"isAvailable": true, "stock": 1000}), "{path}");
    }
    let list = system.get("/products").await.body;
    assert_eq!(list.as_array().map(Vec::len), Some(5));
    let mut first = status;
    first["stock"] = json!(1000);
    assert_eq!(list[0], first);
    let upcoming = system.get("/products/upcoming").await.body;
    assert_eq!(upcoming["startAt"], upcoming["product"]["saleStart"]);
    assert!(upcoming["startAt"].as_str().is_some_and(|at| at.ends_with('Z')), "{upcoming}");

    let none = json!({"hasPurchased": false});
    assert_eq!(system.get("/sale/purchase/status?userId=buyer-1").await.body, none);
    let bought = system.buy("open", "buyer-1").await;
    let mut fields: Vec<_> = bought.as_object().expect("object").keys().cloned().collect();
    fields.sort();
    assert_eq!(fields, ["durability", "purchaseId", "state", "status", "unit"]);
    let expected = if system.services.is_some() { "broker" } else { "database" };
    assert_eq!(bought["durability"], json!(expected));

    let confirmed = json!({
        "hasPurchased": true, "purchaseId": bought["purchaseId"], "unit": 1, "state": "CONFIRMED"
    });
    for path in ["/sale/purchase/status?userId=buyer-1", "/products/open/purchase?userId=buyer-1"] {
        eventually("confirmed", SOON, async || (system.get(path).await.body == confirmed).then_some(()))
            .await;
    }
    let with_body = client().get(format!("{}/sale/purchase/status", system.api));
    let answer = try_send(with_body.json(&json!({"userId": "buyer-1"}))).await.expect("answer");
    // 32 levels are allowed, and brackets in a text are none.
    for allowed in [nested("[", "]", 31), nested("{\"{[\\\"{[\":", "}", 31)] {
        let reading = client().get(format!("{}/sale/purchase/status", system.api));
        let reading = reading.header("content-type", "application/json").body(allowed);
        assert_eq!(try_send(reading).await.expect("answer").status, 200);
    }
    assert_eq!(answer.body, confirmed);
    assert_eq!(system.get("/sale/stock").await.body, json!({"isAvailable": true, "stock": 999}));

    assert_eq!(system.get("/healthz").await.body, json!({"status": "alive"}));
    let readiness = system.get("/readyz").await;
    assert_eq!((readiness.status, &readiness.body["ready"]), (200, &json!(true)));
    let names: Vec<_> = readiness.body["dependencies"].as_array().expect("list").iter().collect();
    assert!(names.iter().all(|dependency| dependency["ready"] == json!(true)), "{names:?}");
}

/// No id has a space, so that nobody means one.
async fn a_plus_sign_in_a_query_means_itself(system: System) {
    let bought = system.buy("open", "anna+vip@example.com").await;
    for user in ["anna+vip@example.com", "anna%2Bvip%40example.com"] {
        for path in ["/sale/purchase/status", "/products/open/purchase"] {
            let found = system.get(&format!("{path}?userId={user}")).await.body;
            assert_eq!(found["purchaseId"], bought["purchaseId"], "{path} {user}: {found}");
        }
    }
    let refused = system.get("/sale/purchase/status?userId=anna%20vip").await;
    assert_eq!(
        (refused.status, &refused.body["type"]),
        (400, &json!("urn:flashsale:problem:invalid-user-id"))
    );
}

async fn every_outcome(system: System) {
    let won = system.buy("single", "a").await;
    assert_eq!((&won["status"], &won["unit"]), (&json!("SUCCESS"), &json!(1)));
    let again = system.buy("single", "a").await;
    assert_eq!((&again["status"], &again["purchaseId"]), (&json!("PURCHASED"), &won["purchaseId"]));
    assert!(again["durability"].is_null());
    for (product, outcome) in [("single", "SOLD_OUT"), ("upcoming", "UPCOMING"), ("ended", "ENDED")] {
        assert_eq!(system.buy(product, "b").await, json!({"status": outcome}), "{product}");
        let status = system.get(&format!("/products/{product}")).await.body;
        assert_eq!(status["status"], json!(outcome), "{product}");
        let stock = system.get(&format!("/products/{product}/stock")).await.body;
        assert_eq!(stock["isAvailable"], json!(false), "{product}");
    }
    system.operate(&["pause", "--product", "pausable"]).await;
    eventually("paused", SOON, async || {
        (system.get("/products/pausable").await.body["status"] == json!("PAUSED")).then_some(())
    })
    .await;
    assert_eq!(system.buy("pausable", "b").await, json!({"status": "PAUSED"}));
}

/// A bad request, and the status and name of the problem that it must get.
struct Bad(&'static str, &'static str, Option<&'static str>, Vec<u8>, u16, &'static str);

/// A valid body with a member that nobody reads, nested so many times.
fn nested(open: &str, close: &str, times: usize) -> Vec<u8> {
    let member = format!("{}1{}", open.repeat(times), close.repeat(times));
    format!("{{\"ignored\":{member},\"userId\":\"deep\"}}").into_bytes()
}

fn bad_requests() -> Vec<Bad> {
    const JSON: Option<&str> = Some("application/json");
    let user = |value: &str| format!("{{\"userId\":{value}}}").into_bytes();
    let long = format!("\"{}\"", "x".repeat(129));
    let mut requests = vec![
        Bad("POST", "/sale/buy", JSON, b"".to_vec(), 400, "malformed-body"),
        Bad("POST", "/sale/buy", JSON, b"{".to_vec(), 400, "malformed-body"),
        Bad("POST", "/sale/buy", JSON, b"[]".to_vec(), 400, "malformed-body"),
        Bad("POST", "/sale/buy", JSON, b"[\"in-an-array\"]".to_vec(), 400, "malformed-body"),
        Bad("POST", "/sale/buy", JSON, b"\"text\"".to_vec(), 400, "malformed-body"),
        Bad("POST", "/products/none/buy", JSON, b"{".to_vec(), 404, "unknown-product"),
        Bad("GET", "/sale/purchase/status", JSON, Vec::new(), 400, "invalid-user-id"),
        Bad("POST", "/sale/buy", JSON, b"null".to_vec(), 400, "malformed-body"),
        Bad("POST", "/sale/buy", JSON, user("1"), 400, "malformed-body"),
        Bad("POST", "/sale/buy", JSON, user("{\"a\":1}"), 400, "malformed-body"),
        Bad("POST", "/sale/buy", JSON, b"{\"userId\":\"\xff\"}".to_vec(), 400, "malformed-body"),
        Bad(
            "POST",
            "/sale/buy",
            JSON,
            b"{\"userId\":\"a\",\"userId\":\"b\"}".to_vec(),
            400,
            "malformed-body",
        ),
        Bad("POST", "/sale/buy", JSON, b"{\"userId\":\"a\"} x".to_vec(), 400, "malformed-body"),
        Bad("POST", "/sale/buy", JSON, b"[".repeat(4000), 400, "malformed-body"),
        Bad("POST", "/sale/buy", JSON, vec![b' '; 4097], 413, "body-too-large"),
        Bad("POST", "/sale/buy", None, user("\"a\""), 415, "unsupported-media-type"),
        Bad("POST", "/sale/buy", Some("text/plain"), user("\"a\""), 415, "unsupported-media-type"),
        Bad("POST", "/products/none/buy", JSON, user("\"a\""), 404, "unknown-product"),
        Bad("GET", "/products/none", None, Vec::new(), 404, "unknown-product"),
        Bad("GET", "/products/%00", None, Vec::new(), 404, "unknown-product"),
        Bad("GET", "/products/none/stock", None, Vec::new(), 404, "unknown-product"),
        Bad("GET", "/products/none/purchase?userId=a", None, Vec::new(), 404, "unknown-product"),
        Bad("GET", "/nowhere", None, Vec::new(), 404, "unknown-route"),
        Bad("GET", "/sale/buy/more", None, Vec::new(), 404, "unknown-route"),
        Bad("GET", "/sale/buy", None, Vec::new(), 405, "method-not-allowed"),
        Bad("DELETE", "/sale/status", None, Vec::new(), 405, "method-not-allowed"),
        Bad("POST", "/products", None, Vec::new(), 405, "method-not-allowed"),
        Bad("PUT", "/products/open/buy", None, Vec::new(), 405, "method-not-allowed"),
        Bad("GET", "/sale/purchase/status", None, Vec::new(), 400, "invalid-user-id"),
        Bad("GET", "/sale/purchase/status?userId=", None, Vec::new(), 400, "invalid-user-id"),
        Bad("GET", "/sale/purchase/status?userId=a%20b", None, Vec::new(), 400, "invalid-user-id"),
        Bad("GET", "/sale/purchase/status?userId=a%0d%0ab", None, Vec::new(), 400, "invalid-user-id"),
        Bad("GET", "/sale/purchase/status?userId=a&userId=b", None, Vec::new(), 400, "malformed-query"),
        Bad("GET", "/sale/purchase/status", JSON, b"{".to_vec(), 400, "malformed-body"),
        Bad("GET", "/sale/purchase/status", Some("text/plain"), b"a".to_vec(), 415, "unsupported-media-type"),
    ];
    for value in ["\"\"", "null", "\" \"", "\"a b\"", "\"a\\u0000\"", "\"a\\r\\nb\"", "\"\u{e9}\"", &long] {
        requests.push(Bad("POST", "/sale/buy", JSON, user(value), 400, "invalid-user-id"));
    }
    requests.push(Bad("POST", "/sale/buy", JSON, b"{}".to_vec(), 400, "invalid-user-id"));
    for too_deep in [nested("[", "]", 32), nested("{\"a\":", "}", 32), nested("[{\"\\\"}\":", "}]", 16)] {
        requests.push(Bad("POST", "/sale/buy", JSON, too_deep.clone(), 400, "malformed-body"));
        requests.push(Bad("GET", "/sale/purchase/status", JSON, too_deep, 400, "malformed-body"));
    }
    requests
}

async fn every_bad_input_has_its_problem_and_leaves_no_trace(system: System) {
    let before = system.traces().await;
    let client = client();
    for Bad(method, path, content_type, body, status, name) in bad_requests() {
        let label = format!("{method} {path} {content_type:?} {}", String::from_utf8_lossy(&body));
        let label: String = label.chars().take(120).collect();
        let method = method.parse().expect("method");
        let mut request = client.request(method, format!("{}{path}", system.api));
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        if content_type.is_some() || !body.is_empty() {
            request = request.body(body);
        }
        let answer = try_send(request).await.expect("answer");
        assert_eq!(answer.status, status, "{label}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{label}");
        assert_eq!(answer.body["type"], json!(format!("urn:flashsale:problem:{name}")), "{label}");
        assert_eq!(answer.body["status"], json!(status), "{label}");
        assert!(answer.body["title"].is_string() && answer.body["detail"].is_string(), "{label}");
        assert_eq!(status == 405, !answer.header("allow").is_empty(), "{label}");
    }
    let head = "POST /sale/buy HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    for smuggled in [
        format!("{head}Content-Length: 14\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("{head}Content-Length: 5\r\nContent-Length: 14\r\n\r\n{{\"userId\":\"a\"}}"),
        format!("{head}Content-Length: nonsense\r\n\r\n"),
        "nonsense\r\n\r\n".to_owned(),
    ] {
        let answer = raw(&system.api, smuggled.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{smuggled}: {answer}");
        assert!(!answer.contains("SUCCESS"), "{smuggled}");
    }
    assert_eq!(system.traces().await, before);
}
