//! Pages of other origins that call the API.

use serde_json::json;

use crate::{
    embedded::Embedded,
    support::{
        browser::{Browser, DESKTOP},
        http::{client, ready},
        process::Flashsale,
        servers::free_port,
    },
};

const SHOP: &str = "https://shop.example";

/// An API that pages of these origins may call, on a port.
async fn api(origins: &str, port: u16) -> (Embedded, Flashsale, String) {
    let embedded = Embedded::new();
    let addr = format!("127.0.0.1:{port}");
    let variables = [("FLASHSALE_API_CORS_ORIGINS", origins), ("FLASHSALE_API_ADDR", &addr)];
    let serve = embedded.spawn(&["serve"], &variables);
    let api = serve.api().await;
    ready(&api).await;
    (embedded, serve, api)
}

fn header<'answer>(answer: &'answer reqwest::Response, name: &str) -> &'answer str {
    answer.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

/// What a browser asks before a page of this origin may buy.
async fn preflight(api: &str, origin: &str) -> reqwest::Response {
    let request =
        client().request(reqwest::Method::OPTIONS, format!("{api}/sale/buy")).header("origin", origin);
    let request = request.header("access-control-request-method", "POST");
    request.header("access-control-request-headers", "content-type").send().await.expect("an answer")
}

#[tokio::test]
async fn pages_of_listed_origins_may_call_it_and_no_others() {
    let (_embedded, _serve, api) = api("https://shop.example:443/, http://localhost:8080", 0).await;
    for origin in [SHOP, "http://localhost:8080"] {
        let allowed = preflight(&api, origin).await;
        assert_eq!(
            (allowed.status().as_u16(), header(&allowed, "access-control-allow-origin")),
            (204, origin)
        );
        assert!(header(&allowed, "access-control-allow-methods").contains("POST"), "{allowed:?}");
        assert_eq!(header(&allowed, "access-control-allow-headers"), "content-type");
    }
    // Also what is refused: the page is told why.
    for (path, status) in [("/sale/status", 200), ("/sale/purchase/status", 400), ("/nowhere", 404)] {
        let answer =
            client().get(format!("{api}{path}")).header("origin", SHOP).send().await.expect("answer");
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "access-control-allow-origin")),
            (status, SHOP)
        );
        assert_eq!(
            (header(&answer, "vary"), header(&answer, "access-control-allow-credentials")),
            ("origin", "")
        );
        assert_eq!(header(&answer, "access-control-expose-headers"), "retry-after");
    }
    for origin in ["https://evil.example", "http://shop.example", "https://shop.example:8443", "null"] {
        let refused = preflight(&api, origin).await;
        assert_eq!((refused.status().as_u16(), header(&refused, "access-control-allow-origin")), (403, ""));
        let problem = refused.text().await.expect("text");
        assert!(problem.contains("origin-not-allowed") && problem.contains("FLASHSALE_API_CORS_ORIGINS"));
        let url = format!("{api}/sale/status");
        let answer = client().get(url).header("origin", origin).send().await.expect("answer");
        assert_eq!((answer.status().as_u16(), header(&answer, "access-control-allow-origin")), (200, ""));
        assert_eq!(header(&answer, "vary"), "origin", "a cache may have it for another origin");
    }
    let plain = client().get(format!("{api}/sale/status")).send().await.expect("answer");
    assert_eq!((header(&plain, "access-control-allow-origin"), header(&plain, "vary")), ("", "origin"));
}

#[tokio::test]
async fn it_is_off_unless_set_and_a_star_means_any() {
    let (_embedded, _serve, off) = api("", 0).await;
    let answer = preflight(&off, SHOP).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "allow")), (405, "POST"));
    for answer in [answer, client().get(format!("{off}/sale/status")).send().await.expect("answer")] {
        let mut names = answer.headers().keys().map(reqwest::header::HeaderName::as_str);
        assert!(!names.any(|name| name.starts_with("access-control") || name == "vary"), "{answer:?}");
    }
    let (_embedded, _serve, any) = api("*", 0).await;
    let answer = preflight(&any, "null").await;
    assert_eq!((answer.status().as_u16(), header(&answer, "access-control-allow-origin")), (204, "*"));
}

/// The address by which a page is reached is another origin than the one that it calls.
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_lets_a_listed_page_buy_and_no_other() {
    let port = free_port();
    let (_embedded, _serve, api) = api(&format!("http://localhost:{port}"), port).await;
    let browser = Browser::open(DESKTOP).await;
    let attempt = |user: &str| {
        format!(
            "return fetch('{api}/sale/buy', {{
               method: 'POST',
               headers: {{ 'content-type': 'application/json' }},
               body: JSON.stringify({{ userId: '{user}' }}),
             }}).then((answer) => answer.json()).then((answer) => answer.status, (error) => error.name)"
        )
    };
    browser.goto(&format!("http://localhost:{port}/healthz")).await;
    assert_eq!(browser.run(&attempt("ada")).await, json!("SUCCESS"));
    browser.goto(&format!("http://evil.example:{port}/healthz")).await;
    assert_eq!(browser.run(&attempt("grace")).await, json!("TypeError"));
    browser.close().await;
}
