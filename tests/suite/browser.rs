//! The shop in a real browser. Pictures of each state are left in `target/screenshots`.

use std::time::Duration;

use serde_json::json;

use crate::{
    embedded::Embedded,
    support::{
        SOON,
        browser::{Browser, DESKTOP, LOOKS, Look, PHONE},
        eventually,
        http::{buy, client, get, ready},
        process::Flashsale,
        proxy::{Link, Proxy},
        sale::now,
        stage::port_of,
    },
};

struct Shop {
    _embedded: Embedded,
    _file: tempfile::NamedTempFile,
    _serve: Flashsale,
    api: String,
    url: String,
}

impl Shop {
    /// With these products.
    async fn with(products: &str) -> Self {
        let (embedded, file) = (Embedded::new(), tempfile::NamedTempFile::new().expect("file"));
        std::fs::write(file.path(), products).expect("write");
        let serve =
            embedded.spawn(&["serve"], &[("FLASHSALE_PRODUCTS", file.path().to_str().expect("path"))]);
        let (api, url) = (serve.api().await, serve.shop().await);
        ready(&api).await;
        Self { _embedded: embedded, _file: file, _serve: serve, api, url }
    }

    /// With one product of so many units.
    async fn of(units: u32) -> Self {
        Self::with(&product("p", units, "")).await
    }

    fn page(&self) -> String {
        format!("{}/products/p", self.url)
    }
}

fn product(id: &str, units: u32, more: &str) -> String {
    format!(
        "[[products]]\nid = \"{id}\"\nname = \"Meridian One\"\ndescription = \"A clock.\"\nprice = \"999.99\"\n\
         original_price = \"1499.00\"\ncurrency = \"USD\"\nimage = \"/assets/meridian-one.svg\"\ntotal_stock = {units}\n{more}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn buying_needs_no_page_load_and_ends_in_a_receipt() {
    let shop = Shop::of(10_000).await;
    let browser = Browser::open(DESKTOP).await;
    browser.goto(&shop.page()).await;
    browser.shows(".link", "Live").await;
    browser.run("window.still = 'here'").await;
    browser.buy("ada").await;
    browser.shows(".notice", "It is yours: No. 1 of 10,000.").await;
    assert_eq!(browser.run("return window.still").await, json!("here"), "the page was loaded again");
    browser.shows(".stock b", "9,999").await;
    browser.picture("bought-desktop").await;
    // Clicking again, and again after a reload, buys nothing more.
    browser.buy("ada").await;
    browser.shows(".notice", "You already have one").await;
    browser.driver.refresh().await.expect("reload");
    assert_eq!(browser.find("#userId").await.prop("value").await.expect("value").as_deref(), Some("ada"));
    browser.buy("ada").await;
    browser.shows(".notice", "You already have one").await;
    browser.find(".notice a").await.click().await.expect("the receipt");
    browser.shows(".unit", "No. 1").await;
    browser.shows(".state", "Confirmed").await;
    browser.picture("receipt-desktop").await;
    assert_eq!(get(&format!("{}/sale/stock", shop.api)).await.body["stock"], json!(9_999));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_scripts_everything_works_by_page_loads() {
    let shop = Shop::of(2).await;
    let browser = Browser::open(Look { script: false, ..DESKTOP }).await;
    browser.goto(&shop.page()).await;
    browser.buy("ada").await;
    browser.shows(".unit", "No. 1").await;
    browser.driver.refresh().await.expect("reload");
    browser.shows(".unit", "No. 1").await;
    browser.goto(&shop.page()).await;
    browser.buy("ada").await;
    browser.shows(".unit", "No. 1").await;
    buy(&client(), &shop.api, "grace").await;
    browser.goto(&shop.page()).await;
    browser.shows(".badge", "Sold out").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_button_goes_live_by_itself_at_the_opening() {
    let opens_at = chrono::DateTime::from_timestamp_millis(now() + 8_000).expect("time");
    let more = format!("sale_start = \"{}\"", opens_at.to_rfc3339());
    let shop = Shop::with(&product("p", 10, &more)).await;
    let browser = Browser::open(PHONE).await;
    browser.goto(&shop.page()).await;
    browser.shows(".badge", "Coming soon").await;
    browser.shows(".clock", "Opens in").await;
    assert!(!browser.find("form.buy button").await.is_enabled().await.expect("a button"));
    browser.picture("upcoming-phone").await;
    browser.run("window.still = 'here'").await;
    browser.shows(".badge", "Live now").await;
    eventually("the button", SOON, async || {
        browser.find("form.buy button").await.is_enabled().await.expect("a button").then_some(())
    })
    .await;
    assert_eq!(browser.run("return window.still").await, json!("here"), "the page was loaded again");
    browser.buy("ada").await;
    browser.shows(".notice", "It is yours").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_browsers_one_gets_the_last_unit_and_the_other_sees_it_go() {
    let shop = Shop::of(1).await;
    let (one, two) = tokio::join!(Browser::open(DESKTOP), Browser::open(PHONE));
    for browser in [&one, &two] {
        browser.goto(&shop.page()).await;
        browser.shows(".link", "Live").await;
    }
    // Both are ready to buy when the other one does.
    one.run("document.querySelector('#userId').value = 'ada'").await;
    two.run("document.querySelector('#userId').value = 'grace'").await;
    let click = "document.querySelector('form.buy').requestSubmit()";
    tokio::join!(one.run(click), two.run(click));
    let mut notices = Vec::new();
    for browser in [&one, &two] {
        browser.shows(".badge", "Sold out").await;
        browser.shows("form.buy button", "Sold out").await;
        let words = eventually("an answer", SOON, async || {
            let words = browser.text(".notice").await;
            (!words.is_empty()).then_some(words)
        });
        notices.push(words.await);
    }
    notices.sort();
    assert!(notices[0].starts_with("It is yours: No. 1 of 1."), "{notices:?}");
    assert_eq!(notices[1], "Sorry, it is sold out.");
    one.picture("sold-out-desktop").await;
    two.picture("sold-out-phone").await;
    one.close().await;
    two.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_shown_and_heals() {
    let shop = Shop::of(10).await;
    let proxy = Proxy::to(port_of(&shop.url)).await;
    let browser = Browser::open(DESKTOP).await;
    browser.goto(&format!("http://127.0.0.1:{}/products/p", proxy.port)).await;
    browser.shows(".link", "Live").await;
    proxy.set(Link::Refuse);
    browser.shows(".link", "Connection lost").await;
    browser.buy("ada").await;
    browser.shows(".notice", "The connection is lost").await;
    browser.picture("connection-lost-desktop").await;
    proxy.set(Link::Pass);
    browser.shows(".link", "Live").await;
    buy(&client(), &shop.api, "grace").await;
    browser.shows(".stock b", "9").await;
    browser.buy("ada").await;
    browser.shows(".notice", "It is yours").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyboard_is_enough() {
    use thirtyfour::{By, Key};

    let shop = Shop::of(10).await;
    let browser = Browser::open(DESKTOP).await;
    browser.goto(&shop.page()).await;
    browser.shows(".link", "Live").await;
    let body = browser.driver.find(By::Css("body")).await.expect("body");
    // Over the skip link and the name of the shop, into the field.
    for _ in 0..3 {
        body.send_keys(Key::Tab + "").await.expect("tab");
    }
    let focused = "return [document.activeElement.id, getComputedStyle(document.activeElement).outlineStyle]";
    assert_eq!(browser.run(focused).await, json!(["userId", "solid"]), "focus, and seen");
    let field = browser.find("#userId").await;
    field.send_keys("ada" + Key::Enter).await.expect("type");
    browser.shows(".notice", "It is yours").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_is_accessible_and_fits_a_phone_in_light_and_dark() {
    let opens = "sale_start = \"2099-01-01T00:00:00Z\"";
    let products = [product("p", 10, ""), product("soon", 10, opens), product("gone", 1, "")].concat();
    let shop = Shop::with(&products).await;
    let bought =
        crate::support::http::buy_at(&client(), &format!("{}/products/gone/buy", shop.api), "ada").await;
    let receipt = format!("/purchases/{}", bought.body["purchaseId"].as_str().expect("id"));
    for (name, look) in LOOKS {
        let browser = Browser::open(look).await;
        for (page, path) in [
            ("list", "/"),
            ("active", "/products/p"),
            ("upcoming", "/products/soon"),
            ("sold-out", "/products/gone"),
            ("receipt", receipt.as_str()),
            ("not-found", "/nowhere"),
        ] {
            browser.goto(&format!("{}{path}", shop.url)).await;
            // Transitions are over, and what is live is live.
            crate::support::stage::lasts(Duration::from_millis(400)).await;
            browser.fits().await;
            browser.is_accessible().await;
            browser.picture(&format!("{page}-{name}")).await;
        }
        let paper = browser.run("return getComputedStyle(document.body).backgroundColor").await;
        assert_eq!(paper == json!("rgb(15, 18, 22)"), look.dark, "{paper}");
        browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_are_only_text() {
    let hostile =
        product("p", 10, "").replace("\"Meridian One\"", "'<script>window.hacked=1</script><b>x</b>'");
    let shop = Shop::with(&hostile).await;
    let browser = Browser::open(PHONE).await;
    browser.goto(&shop.page()).await;
    assert_eq!(browser.text("h1").await, "<script>window.hacked=1</script><b>x</b>");
    let user = "\"><script>window.hacked=2</script>";
    browser.buy(user).await;
    browser.shows(".notice", "It is yours").await;
    browser.find(".notice a").await.click().await.expect("the receipt");
    browser.shows("dl", user).await;
    browser.fits().await;
    assert_eq!(browser.run("return window.hacked ?? null").await, json!(null));
    browser.close().await;
}
