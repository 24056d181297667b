//! What screen readers are told.

use std::time::Duration;

use serde_json::json;

use super::Shop;
use crate::support::{
    SOON,
    browser::{Browser, DESKTOP},
    eventually,
    http::{buy, client},
};

/// Counts what is set in live regions, which a screen reader announces also where nothing changes, and how often
/// the stock that is shown changes.
const COUNT: &str = "
    window.told = [];
    window.shown = 0;
    const all = { childList: true, characterData: true, subtree: true };
    const tell = (changes) => window.told.push(...changes.map((change) => change.target.textContent));
    for (const region of document.querySelectorAll('[role=status], [role=alert], [aria-live]'))
        new MutationObserver(tell).observe(region, all);
    new MutationObserver(() => (window.shown += 1)).observe(document.querySelector('.stock b'), all);";

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_sale_is_announced_at_thresholds_and_at_most_every_ten_seconds() {
    let shop = Shop::of(400).await;
    let browser = Browser::open(DESKTOP).await;
    browser.goto(&shop.page()).await;
    browser.shows(".link", "Live").await;
    browser.run(COUNT).await;
    let (client, mut pace) = (client(), tokio::time::interval(Duration::from_millis(25)));
    for buyer in 0..390 {
        pace.tick().await;
        buy(&client, &shop.api, &format!("buyer-{buyer}")).await;
    }
    let told = browser.run("return window.told").await;
    let shown = browser.run("return window.shown").await.as_u64().expect("a number");
    assert!(shown > 15, "the stock was shown {shown} times");
    let told = told.as_array().expect("texts");
    assert!((1..=3).contains(&told.len()), "{} announcements: {told:?}", told.len());
    assert!(
        told.iter().all(|text| text.as_str().is_some_and(|text| text.ends_with(" of 400 left"))),
        "{told:?}"
    );
    // What was held back is told later, as it is then.
    let last = "return document.querySelector('.news').textContent";
    eventually("few are left", SOON, async || {
        (browser.run(last).await == json!("10 of 400 left")).then_some(())
    })
    .await;
    browser.close().await;
}
