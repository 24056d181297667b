//! The shop behind a real proxy: with TLS below a path, and over plain HTTP.

use serde_json::json;

use super::{Shop, product};
use crate::support::{
    browser::{Browser, DESKTOP, Look},
    nginx::{Certificate, Nginx},
    servers::free_port,
};

const NO_SCRIPT: Look = Look { script: false, ..DESKTOP };

/// A shop on a port, with an address for browsers.
async fn shop(port: u16, public_url: &str) -> Shop {
    let upcoming = product("q", 10, "sale_start = \"2099-01-01T00:00:00Z\"");
    let products = [product("p", 10, ""), upcoming].concat();
    let addr = format!("127.0.0.1:{port}");
    let variables = [("FLASHSALE_WEB_ADDR", addr.as_str()), ("FLASHSALE_WEB_PUBLIC_URL", public_url)];
    Shop::configured(&products, &variables).await
}

async fn address(browser: &Browser) -> String {
    browser.driver.current_url().await.expect("an address").to_string()
}

async fn click(browser: &Browser, selector: &str) {
    browser.find(selector).await.click().await.expect("click");
}

/// With our own configuration of the proxy.
#[tokio::test(flavor = "multi_thread")]
async fn everything_works_below_a_path_with_tls() {
    let (port, certificate) = (free_port(), Certificate::of("shop.example"));
    let proxy = Nginx::of_file(
        "shop-proxy.conf",
        &[
            ("listen 443 ssl", "listen 127.0.0.1:PORT ssl"),
            // The other process is being replaced.
            ("127.0.0.1:3000", &format!("127.0.0.1:{}", free_port())),
            ("127.0.0.1:3010", &format!("127.0.0.1:{port}")),
            ("/etc/ssl/shop.example/fullchain.pem", &certificate.path()),
            ("/etc/ssl/shop.example/privkey.pem", &certificate.key_path()),
        ],
    )
    .await;
    let base = format!("https://shop.example:{}/drop/", proxy.port);
    let _shop = shop(port, &base).await;
    let browser = Browser::open(DESKTOP).await;
    browser.goto(&base).await;
    click(&browser, ".tile a").await;
    browser.shows(".link", "Live").await;
    let page = format!("{base}products/p");
    assert_eq!(address(&browser).await, page);
    let styles = "return [...document.styleSheets].map((sheet) => sheet.cssRules.length > 0)";
    assert_eq!(browser.run(styles).await, json!([true, true, true]), "stylesheets");
    let canonical = "return document.querySelector('link[rel=canonical]').href";
    assert_eq!(browser.run(canonical).await, json!(page));
    browser.buy("anna+vip@example.com").await;
    browser.shows(".bought", "It's yours.\nNo. 1\nof 10").await;
    let loaded = browser.run("return performance.getEntriesByType('resource').map((one) => one.name)").await;
    let loaded: Vec<String> = serde_json::from_value(loaded).expect("addresses");
    assert!(loaded.len() > 5 && loaded.iter().all(|url| url.starts_with(&base)), "{loaded:?}");
    let written = "return [...document.querySelectorAll('a, form, link, script, img')]
        .map((one) => one.href || one.action || one.src).filter((url) => !url.includes('#'))";
    let written: Vec<String> = serde_json::from_value(browser.run(written).await).expect("addresses");
    assert!(written.len() > 8 && written.iter().all(|url| url.starts_with(&base)), "{written:?}");

    click(&browser, ".bought .button").await;
    browser.shows(".state", "Confirmed").await;
    assert!(address(&browser).await.starts_with(&format!("{base}purchases/")));
    click(&browser, ".back a").await;
    browser.shows(".bought", "It's yours.").await;
    assert_eq!(address(&browser).await, page);
    let cookies = browser.driver.get_all_cookies().await.expect("cookies");
    let visitor = cookies.iter().find(|cookie| cookie.name == "visitor").expect("the visitor's cookie");
    assert_eq!((visitor.secure, visitor.path.as_deref()), (Some(true), Some("/drop/")));

    browser.goto(&format!("{base}nowhere")).await;
    browser.shows("h1", "Not found").await;
    click(&browser, ".error .button").await;
    browser.shows("#groups", "Coming soon").await;
    assert_eq!(address(&browser).await, base);
    browser.goto(&format!("{base}products/q")).await;
    let calendar =
        "return fetch(document.querySelector('.opening .button').href).then((file) => file.text())";
    let calendar = browser.run(calendar).await.to_string();
    assert!(calendar.contains(&format!("URL:{base}products/q")), "{calendar}");
    browser.close().await;

    let plain = Browser::open(NO_SCRIPT).await;
    plain.goto(&page).await;
    plain.buy("ada lovelace").await;
    plain.shows("#wrong", "no spaces").await;
    plain.buy("ada").await;
    plain.shows(".unit", "No. 2").await;
    click(&plain, ".back a").await;
    plain.shows(".bought", "It's yours.\nNo. 2").await;
    plain.goto(&format!("{page}/purchase?userId=ada")).await;
    plain.shows(".unit", "No. 2").await;
    plain.close().await;
}

/// The proxy passes the browser's host without its port on, or its own name of the shop. Browsers say less over plain
/// HTTP, where only this machine is trusted.
#[tokio::test(flavor = "multi_thread")]
async fn plain_http_needs_the_address_of_the_shop_where_the_proxy_hides_it() {
    for host in ["proxy_set_header Host $host;", ""] {
        let port = free_port();
        let proxy = Nginx::with(&format!(
            "upstream shop {{ server 127.0.0.1:{port}; }}
             server {{ listen 127.0.0.1:PORT; location / {{ proxy_pass http://shop; {host} }} }}"
        ))
        .await;
        let base = format!("http://shop.example:{}", proxy.port);
        let page = format!("{base}/products/p");
        let (with_script, without) = tokio::join!(Browser::open(DESKTOP), Browser::open(NO_SCRIPT));
        let shop = self::shop(port, "").await;
        with_script.goto(&page).await;
        with_script.shows(".link", "Live").await;
        with_script.buy("ada").await;
        with_script.shows(".notice", "It can't be told that this shop's own page has sent the form").await;
        without.goto(&page).await;
        without.buy("grace").await;
        without.shows(".message", "nothing was bought").await;
        drop(shop);

        let _shop = self::shop(port, &base).await;
        for (browser, user, bought) in [(&with_script, "ada", ".bought"), (&without, "grace", ".unit")] {
            browser.goto(&page).await;
            browser.buy(user).await;
            browser.shows(bought, "No. ").await;
        }
        with_script.close().await;
        without.close().await;
    }
}
