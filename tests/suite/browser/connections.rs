//! Connections that are slow, refused, or too few.

use std::time::Duration;

use serde_json::json;

use super::Shop;
use crate::support::{
    SOON,
    browser::{Browser, DESKTOP},
    gateway::{Gateway, Rule},
    http::{buy, client},
    stage::port_of,
};

const EVENTS: &str = "GET /products/p/events";
const BUY: &str = "POST /products/p/buy";

/// Whether the button can be pressed.
async fn buys(browser: &Browser) -> bool {
    browser.find(".bar button").await.is_enabled().await.expect("a button")
}

/// As by a proxy that answers 502, one that closes, and one that holds the stream back.
#[tokio::test(flavor = "multi_thread")]
async fn where_live_updates_are_refused_the_page_polls_and_keeps_what_was_typed_and_answered() {
    let shop = Shop::of(100).await;
    for (round, refusal) in [Rule::Status(502), Rule::Close, Rule::Hold].into_iter().enumerate() {
        let gateway = Gateway::to(port_of(&shop.url)).await;
        // Longer than a page without live updates was once shown.
        gateway.set(&[(EVENTS, refusal), (BUY, Rule::Late(Duration::from_secs(7)))]);
        let browser = Browser::open(DESKTOP).await;
        browser.goto(&format!("http://127.0.0.1:{}/products/p", gateway.port)).await;
        browser.run("window.still = 'here'").await;
        browser.shows(".link", "Updated every few seconds").await;
        let user = format!("ada-{round}");
        browser.find("#userId").await.send_keys(&user).await.expect("type");
        buy(&client(), &shop.api, &format!("grace-{round}")).await;
        browser.shows(".stock b", &(99 - 2 * round).to_string()).await;
        let typed = "return [window.still, document.querySelector('#userId').value]";
        assert_eq!(browser.run(typed).await, json!(["here", user]), "{refusal:?}");
        browser.run("document.querySelector('form.buy').requestSubmit()").await;
        browser.shows(".bar button", "Buying").await;
        browser.shows(".notice", "This takes longer than usual").await;
        browser.shows(".bought", "It's yours.").await;
        assert_eq!(browser.run(typed).await, json!(["here", user]), "{refusal:?}");
        // A reader who comes back to the tab does not wait for the next try of the stream.
        gateway.set(&[]);
        browser.run("document.dispatchEvent(new Event('visibilitychange'))").await;
        browser.shows(".link", "Live").await;
        browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_without_an_answer_says_so_and_another_one_tells() {
    let shop = Shop::of(1).await;
    let gateway = Gateway::to(port_of(&shop.url)).await;
    gateway.set(&[(BUY, Rule::LoseAnswer)]);
    let browser = Browser::open(DESKTOP).await;
    browser.goto(&format!("http://127.0.0.1:{}/products/p", gateway.port)).await;
    browser.shows(".link", "Live").await;
    browser.buy("ada").await;
    browser.shows(".badge", "Sold out").await;
    browser.shows(".bar button", "Buying").await;
    browser.shows(".notice", "There was no answer in time.").await;
    browser.shows(".bar button", "Try again").await;
    browser.picture("unsettled-desktop").await;
    // The last unit is gone, and this buyer may have it.
    assert!(buys(&browser).await && browser.displays("form.buy").await);
    gateway.set(&[(BUY, Rule::Status(502))]);
    browser.find(".bar button").await.click().await.expect("click");
    browser.shows(".notice", "The shop can't be reached at the moment (502).").await;
    gateway.set(&[]);
    browser.find(".bar button").await.click().await.expect("click");
    browser.shows(".bought", "You already have one.\nNo. 1").await;
    browser.close().await;
}

/// Nothing of it is a connection that was lost.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_in_front_of_the_shop_answers_is_said() {
    let shop = Shop::of(10).await;
    let gateway = Gateway::to(port_of(&shop.url)).await;
    gateway.set(&[(EVENTS, Rule::Status(502))]);
    let browser = Browser::open(DESKTOP).await;
    browser.goto(&format!("http://127.0.0.1:{}/products/p", gateway.port)).await;
    browser.shows(".link", "Updated every few seconds").await;
    for (status, said, button) in [
        (403, "refused this (403). Nothing was bought.", "Buy"),
        (413, "found this too large (413). Nothing was bought.", "Buy"),
        (429, "Too many requests from here (429).", "Buy"),
        (500, "answered with an error (500). Try again", "Try again"),
        (502, "The shop can't be reached at the moment (502).", "Try again"),
        (504, "The shop can't be reached at the moment (504).", "Try again"),
    ] {
        gateway.set(&[(EVENTS, Rule::Status(502)), (BUY, Rule::Status(status))]);
        browser.buy("ada").await;
        browser.shows(".notice", said).await;
        browser.shows(".bar button", button).await;
    }
    for status in [403, 429, 502] {
        gateway.set(&[(EVENTS, Rule::Status(502)), ("GET /products/p HTTP", Rule::Status(status))]);
        browser.shows(".link", &format!("No updates at the moment ({status}), trying again")).await;
    }
    gateway.set(&[("GET /products/p", Rule::Hold)]);
    browser.shows(".link", "No answer in time, trying again").await;
    gateway.set(&[]);
    browser.buy("ada").await;
    browser.shows(".bought", "It's yours.").await;
    browser.close().await;
}

/// A browser has six connections to a host, whatever the number of its tabs. Tabs of one window are hidden, windows are
/// not.
#[tokio::test(flavor = "multi_thread")]
async fn each_of_eight_tabs_and_windows_can_buy() {
    let shop = Shop::of(100).await;
    let browser = Browser::open(DESKTOP).await;
    browser.driver.set_page_load_timeout(SOON).await.expect("timeout");
    let mut handles = vec![browser.driver.window().await.expect("a window")];
    for number in 1..8 {
        let opened =
            if number % 2 == 0 { browser.driver.new_tab().await } else { browser.driver.new_window().await };
        handles.push(opened.expect("a window"));
    }
    for handle in &handles {
        browser.driver.switch_to_window(handle.clone()).await.expect("a window");
        browser.goto(&shop.page()).await;
        assert!(browser.displays("form.buy").await);
    }
    for (number, handle) in handles.iter().enumerate() {
        browser.driver.switch_to_window(handle.clone()).await.expect("a window");
        // In this tab, which may be hidden: a click is for visible ones.
        let attempt = format!(
            "document.querySelector('#userId').value = 'ada-{number}';
             document.querySelector('form.buy').requestSubmit()"
        );
        browser.run(&attempt).await;
        browser.shows(".bought", &format!("No. {}", number + 1)).await;
    }
    browser.close().await;
}

/// A stream that stays open and says nothing more is not taken for a sale in which nothing happens.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_falls_silent_is_noticed() {
    let shop = Shop::of(10).await;
    let gateway = Gateway::to(port_of(&shop.url)).await;
    gateway.set(&[(EVENTS, Rule::Freeze(Duration::from_secs(2)))]);
    let browser = Browser::open(DESKTOP).await;
    browser.goto(&format!("http://127.0.0.1:{}/products/p", gateway.port)).await;
    browser.shows(".link", "Live").await;
    browser.shows(".link", "Updated every few seconds").await;
    buy(&client(), &shop.api, "grace").await;
    browser.shows(".stock b", "9").await;
    browser.close().await;
}
