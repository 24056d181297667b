//! The shop in a real browser. Pictures of each state are left in `target/screenshots`.

mod announcements;
mod connections;
mod look;
mod proxied;

use serde_json::json;

use crate::{
    embedded::Embedded,
    support::{
        SOON,
        browser::{Browser, DESKTOP, Look, PHONE},
        eventually,
        http::{buy, client, get, ready},
        process::Flashsale,
        proxy::{Link, Proxy},
        sale::now,
        stage::port_of,
    },
};

struct Shop {
    embedded: Embedded,
    _file: tempfile::NamedTempFile,
    _serve: Flashsale,
    api: String,
    url: String,
}

impl Shop {
    /// With these products.
    async fn with(products: &str) -> Self {
        Self::configured(products, &[]).await
    }

    /// With these products and variables.
    async fn configured(products: &str, variables: &[(&str, &str)]) -> Self {
        let (embedded, file) = (Embedded::new(), tempfile::NamedTempFile::new().expect("file"));
        std::fs::write(file.path(), products).expect("write");
        let mut variables = variables.to_vec();
        variables.push(("FLASHSALE_PRODUCTS", file.path().to_str().expect("path")));
        let serve = embedded.spawn(&["serve"], &variables);
        let (api, url) = (serve.api().await, serve.shop().await);
        ready(&api).await;
        Self { embedded, _file: file, _serve: serve, api, url }
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
    browser.shows(".bought", "It's yours.\nNo. 1\nof 10,000").await;
    assert_eq!(browser.run("return window.still").await, json!("here"), "the page was loaded again");
    for gone in ["form.buy", ".bar", ".lookup"] {
        assert!(!browser.displays(gone).await, "{gone} of a buyer");
    }
    assert_eq!(browser.run("return document.activeElement.className").await, json!("bought card"), "is read");
    browser.picture("bought-desktop").await;
    // The page knows its buyer again, who can give way to another one.
    browser.driver.refresh().await.expect("reload");
    browser.shows(".bought", "It's yours.\nNo. 1\nof 10,000").await;
    assert!(!browser.displays("form.buy").await);
    browser.find(".bought .hint a").await.click().await.expect("not you?");
    browser.shows(".link", "Live").await;
    browser.buy("ada").await;
    browser.shows(".bought", "You already have one.\nNo. 1").await;
    browser.driver.refresh().await.expect("reload");
    browser.shows(".bought", "It's yours.\nNo. 1").await;
    browser.find(".bought .button").await.click().await.expect("the receipt");
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
    browser.shows(".bought", "It's yours.\nNo. 1\nof 2").await;
    browser.goto(&format!("{}?userId=", shop.page())).await;
    browser.buy("ada lovelace").await;
    browser.shows("#wrong", "Use letters, digits and signs, no spaces.").await;
    browser.buy("ada").await;
    browser.shows(".unit", "No. 1").await;
    buy(&client(), &shop.api, "grace").await;
    browser.goto(&shop.page()).await;
    browser.goto(&format!("{}?userId=", shop.page())).await;
    browser.shows(".over", "All units are sold.").await;
    assert!(!browser.displays("form.buy").await, "nothing asks for an id");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_id_is_explained_beside_the_field_in_our_words() {
    let shop = Shop::of(10).await;
    let browser = Browser::open(PHONE).await;
    browser.goto(&shop.page()).await;
    browser.shows(".link", "Live").await;
    for (typed, wrong) in [
        ("ada lovelace", "Use letters, digits and signs, no spaces."),
        ("ädä", "Use letters, digits and signs, no spaces."),
        (" ", "Enter your email or user id."),
        (&"a".repeat(129), "Use at most 128 characters."),
    ] {
        browser.buy(typed).await;
        browser.shows("#wrong", wrong).await;
        let field = "const field = document.activeElement;
            return [field.id, field.getAttribute('aria-invalid'), field.form.noValidate]";
        assert_eq!(browser.run(field).await, json!(["userId", "true", true]), "{typed}");
    }
    browser.screen("wrong-phone").await;
    browser.is_accessible().await;
    browser.buy("ada").await;
    browser.shows(".bought", "No. 1").await;
    assert_eq!(browser.run("return document.querySelector('#wrong').textContent").await, json!(""));
    assert_eq!(get(&format!("{}/sale/stock", shop.api)).await.body["stock"], json!(9));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_button_goes_live_by_itself_at_the_opening() {
    let opens_at = chrono::DateTime::from_timestamp_millis(now() + 20_000).expect("time");
    let more = format!("sale_start = \"{}\"", opens_at.to_rfc3339());
    let shop = Shop::with(&product("p", 10, &more)).await;
    let browser = Browser::open(PHONE).await;
    browser.goto(&shop.page()).await;
    browser.shows(".badge", "Coming soon").await;
    browser.shows(".opening .countdown", "00:00:").await;
    assert!(!browser.displays("form.buy").await && !browser.displays(".bar").await, "nothing asks for an id");
    browser.run("window.still = 'here'").await;
    browser.shows(".badge", "Live now").await;
    eventually("the button", SOON, async || {
        browser.find(".bar button").await.is_enabled().await.expect("a button").then_some(())
    })
    .await;
    assert_eq!(browser.run("return window.still").await, json!("here"), "the page was loaded again");
    browser.buy("ada").await;
    browser.shows(".bought", "It's yours.").await;
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
        let words = eventually("an answer", SOON, async || {
            let words = format!("{}{}", browser.text(".bought").await, browser.text(".notice").await);
            (!words.is_empty()).then_some(words)
        });
        notices.push(words.await);
        assert!(!browser.displays("form.buy").await, "nothing asks for an id");
    }
    notices.sort();
    assert!(notices[0].starts_with("It's yours.\nNo. 1\nof 1"), "{notices:?}");
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
    browser.shows(".bought", "It's yours.").await;
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
    browser.shows(".bought", "It's yours.").await;
    browser.close().await;
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
    browser.shows(".bought", "It's yours.").await;
    browser.find(".bought .button").await.click().await.expect("the receipt");
    browser.shows("dl", user).await;
    browser.fits().await;
    assert_eq!(browser.run("return window.hacked ?? null").await, json!(null));
    browser.close().await;
}
