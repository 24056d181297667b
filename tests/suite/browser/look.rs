//! How the pages look: every state, at every width, in light and dark.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Shop, product};
use crate::support::{
    SOON,
    browser::{Browser, DESKTOP, LOOKS, Look, PHONE},
    eventually,
    http::{buy, buy_at, client, get},
    sale::now,
    stage::lasts,
};

fn in_days(days: i64) -> String {
    let instant = chrono::DateTime::from_timestamp_millis(now() + days * 86_400_000).expect("a time");
    instant.to_rfc3339()
}

/// A catalogue with each state, and its shop, in which the states have come true.
async fn every_state() -> Shop {
    let plain = |id: &str, units, more: &str| {
        product(id, units, more).replace("image = \"/assets/meridian-one.svg\"\n", "")
    };
    let products = [
        plain("gone", 1, ""),
        plain("ended", 10, "sale_end = \"2020-01-01T00:00:00Z\""),
        product("later", 10, &format!("sale_start = \"{}\"", in_days(99))),
        product("soon", 10_000, &format!("sale_start = \"{}\"", in_days(3))),
        product("paused", 10, ""),
        plain("few", 5, ""),
        product("p", 10_000, &format!("sale_end = \"{}\"", in_days(2))),
    ];
    let shop = Shop::with(&products.concat()).await;
    for (id, user) in [("gone", "ada"), ("few", "a"), ("few", "b"), ("few", "c"), ("few", "d")] {
        buy_at(&client(), &format!("{}/products/{id}/buy", shop.api), user).await;
    }
    let mut pause = shop.embedded.spawn(&["pause", "--product", "paused"], &[]);
    assert_eq!(pause.ended(SOON).await.code(), Some(0), "{}", pause.log());
    let url = format!("{}/products/paused", shop.api);
    eventually("paused", SOON, async || (get(&url).await.body["status"] == json!("PAUSED")).then_some(()))
        .await;
    shop
}

/// Each page of interest: its name and its path.
async fn pages(shop: &Shop) -> Vec<(&'static str, String)> {
    let bought = buy_at(&client(), &format!("{}/products/gone/buy", shop.api), "ada").await;
    let receipt = format!("/purchases/{}", bought.body["purchaseId"].as_str().expect("id"));
    let page = |name, path: &str| (name, path.to_owned());
    vec![
        page("list", "/"),
        page("active", "/products/p"),
        page("few", "/products/few"),
        page("upcoming", "/products/soon"),
        page("upcoming-later", "/products/later"),
        page("paused", "/products/paused"),
        page("sold-out", "/products/gone"),
        page("ended", "/products/ended"),
        page("receipt", &receipt),
        page("not-found", "/nowhere"),
        page("wrong", "/products/gone/purchase?userId=a%20b"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_is_accessible_and_fits_a_phone_in_light_and_dark() {
    let shop = every_state().await;
    for (name, look) in LOOKS {
        let browser = Browser::open(look).await;
        for (page, path) in pages(&shop).await {
            browser.goto(&format!("{}{path}", shop.url)).await;
            // Transitions are over, and what is live is live.
            lasts(Duration::from_millis(400)).await;
            browser.fits().await;
            browser.is_accessible().await;
            browser.picture(&format!("{page}-{name}")).await;
            browser.screen(&format!("{page}-{name}-screen")).await;
        }
        browser.goto(&format!("{}/products/p", shop.url)).await;
        browser.buy(&format!("ada-{name}")).await;
        browser.shows(".bought", "It's yours.").await;
        browser.is_accessible().await;
        browser.screen(&format!("bought-{name}-screen")).await;
        let paper = browser.run("return getComputedStyle(document.body).backgroundColor").await;
        assert_eq!(paper == json!("rgb(15, 18, 22)"), look.dark, "{paper}");
        browser.close().await;
    }
}

/// The button's edges and what is on top of it, and the height of the picture.
const LAYOUT: &str = "
    const button = document.querySelector('.bar button');
    const { top, bottom, left, width, height } = button.getBoundingClientRect();
    const picture = document.querySelector('.picture').getBoundingClientRect().height;
    const seen = document.elementFromPoint(left + width / 2, top + height / 2) === button;
    return { top, bottom, seen, picture, screen: innerHeight };";

#[tokio::test(flavor = "multi_thread")]
async fn the_button_is_on_the_first_screen_at_every_size() {
    let shop = Shop::of(10_000).await;
    let browser = Browser::open(PHONE).await;
    for (width, height) in [(360, 740), (360, 560), (768, 1024), (740, 360), (1280, 800)] {
        browser.resize(width, height).await;
        browser.goto(&shop.page()).await;
        browser.shows(".link", "Live").await;
        let layout = browser.run(LAYOUT).await;
        let number = |name: &str| layout[name].as_f64().expect("a number");
        let is_whole = number("top") >= 0.0 && number("bottom") <= number("screen");
        assert!(is_whole && layout["seen"] == json!(true), "{width} x {height}: {layout}");
        assert!(number("picture") <= 0.4 * f64::from(height) || width > 1000, "{width} x {height}: {layout}");
        browser.screen(&format!("first-screen-{width}x{height}")).await;
    }
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opening_has_a_date_a_time_and_a_zone_and_nothing_asks_for_an_id() {
    let shop = Shop::with(&product("p", 10, "sale_start = \"2099-01-01T00:00:00Z\"")).await;
    for (script, text) in
        [(true, "Thursday, January 1, 2099 at 09:00 AM GMT+9"), (false, "1 January 2099, 00:00 UTC")]
    {
        let browser = Browser::open(Look { script, ..DESKTOP }).await;
        browser.time_zone("Asia/Tokyo").await;
        browser.goto(&shop.page()).await;
        browser.shows(".opening time", text).await;
        let time = browser.find(".opening time").await.attr("datetime").await.expect("a time");
        assert_eq!(time.as_deref(), Some("2099-01-01T00:00:00Z"));
        for gone in ["form.buy", ".bar", ".lookup", ".stock"] {
            assert!(!browser.displays(gone).await, "{gone}");
        }
        assert_eq!(browser.displays(".opening .countdown").await, script);
        browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_that_is_over_or_paused_says_so_instead_of_asking() {
    let shop = every_state().await;
    let browser = Browser::open(PHONE).await;
    for (id, selector, text, asks) in [
        ("ended", ".over", "The sale is over.", false),
        ("gone", ".over", "All units are sold.", false),
        ("paused", ".waiting", "Keep this page open; it updates by itself.", true),
    ] {
        browser.goto(&format!("{}/products/{id}", shop.url)).await;
        browser.shows(selector, text).await;
        assert_eq!(browser.displays("form.buy").await, asks, "{id}");
        assert_eq!(browser.displays(".stock").await, asks, "{id}");
        assert!(!browser.find(".bar button").await.is_enabled().await.expect("a button"), "{id}");
    }
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_shows_each_state_what_can_be_bought_first_and_follows_it() {
    let shop = every_state().await;
    let browser = Browser::open(DESKTOP).await;
    browser.goto(&shop.url).await;
    let tiles = "return [...document.querySelectorAll('.tile')].map((tile) => [
        tile.querySelector('a').getAttribute('href').split('/').pop(), tile.querySelector('.badge').textContent,
        tile.querySelector('img') !== null, tile.querySelector('.placeholder') !== null])";
    let order = json!([
        ["few", "Live now", false, true],
        ["p", "Live now", true, false],
        ["paused", "Paused for a moment", true, false],
        ["soon", "Coming soon", true, false],
        ["later", "Coming soon", true, false],
        ["gone", "Sold out", false, true],
        ["ended", "The sale has ended", false, true],
    ]);
    assert_eq!(browser.run(tiles).await, order);
    browser.shows("[href$=few] .fact", "1 of 5 left").await;
    browser.shows("[href$=few] .price", "1,499.00").await;
    browser.shows("[href$=soon] .countdown", "2 d 23:").await;
    browser.shows("[href$=soon] time", "UTC").await;
    // Over is greyed.
    let filter = "return ['gone', 'p'].map((id) => getComputedStyle(document.querySelector(`[href$=${id}] :is(img, svg)`)).filter)";
    assert_eq!(browser.run(filter).await, json!(["grayscale(1)", "none"]));
    let focus = "document.querySelector('[href$=paused]').focus(); window.still = 'here'";
    browser.run(focus).await;
    buy_at(&client(), &format!("{}/products/p/buy", shop.api), "ada").await;
    browser.shows("[href$=p] .fact", "9,999").await;
    let kept = "return [window.still, document.activeElement.getAttribute('href').split('/').pop()]";
    assert_eq!(browser.run(kept).await, json!(["here", "paused"]));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shop_has_the_name_logo_colour_and_links_of_its_configuration() {
    let settings: [(&str, &str); 4] = [
        ("FLASHSALE_SHOP_NAME", "Northlight <Editions>"),
        ("FLASHSALE_SHOP_LOGO", "/assets/icon.svg"),
        ("FLASHSALE_SHOP_ACCENT", "#ffd400"),
        ("FLASHSALE_SHOP_LINKS", "Imprint https://shop.example/imprint, Terms of sale /terms"),
    ];
    let shop = Shop::configured(&product("p", 10, ""), &settings).await;
    for (dark, page) in [(false, "/products/p"), (true, "/nowhere")] {
        let browser = Browser::open(Look { dark, ..PHONE }).await;
        browser.goto(&format!("{}{page}", shop.url)).await;
        browser.shows(".top a", "Northlight <Editions>").await;
        let logo = browser.run("return document.querySelector('.top img').naturalWidth > 0").await;
        let links = browser.run("return [...document.querySelectorAll('.foot a')].map((link) => [link.textContent, link.getAttribute('href')])").await;
        assert_eq!(
            (logo, links),
            (json!(true), json!([["Imprint", "https://shop.example/imprint"], ["Terms of sale", "/terms"]]))
        );
        assert!(browser.driver.title().await.expect("title").ends_with("– Northlight <Editions>"));
        browser.is_accessible().await;
        if page == "/products/p" {
            let colours: Value = browser.run("const { backgroundColor, color } = getComputedStyle(document.querySelector('.bar button')); return [backgroundColor, color]").await;
            assert_eq!(colours, json!(["rgb(255, 212, 0)", "rgb(0, 0, 0)"]));
        }
        browser.screen(&format!("configured-{dark}")).await;
        browser.close().await;
    }
}

/// Each text has the direction of its language, and what a script writes has the digits of the page.
#[tokio::test(flavor = "multi_thread")]
async fn a_text_from_right_to_left_is_laid_out_so() {
    let catalogue = product("p", 1_200, "")
        .replace("\"Meridian One\"", "\"שעון שולחן (Meridian)\"")
        .replace("\"A clock.\"", "\"\"\"\nשעון פליז.\n\nA brass clock.\"\"\"");
    let shop = Shop::with(&catalogue).await;
    let browser = Browser::open(PHONE).await;
    browser.goto(&shop.page()).await;
    browser.shows(".link", "Live").await;
    let directions =
        "return [...document.querySelectorAll('h1, .lede p')].map((one) => getComputedStyle(one).direction)";
    assert_eq!(browser.run(directions).await, json!(["rtl", "rtl", "ltr"]));
    let gap = "const [one, two] = document.querySelectorAll('.lede p');
        return two.getBoundingClientRect().top - one.getBoundingClientRect().bottom > 8";
    assert_eq!(browser.run(gap).await, json!(true), "a blank line is seen");
    buy(&client(), &shop.api, "ada").await;
    browser.shows(".stock b", "1,199").await;
    browser.fits().await;
    browser.picture("right-to-left-phone").await;
    browser.close().await;
}
