//! The page of the operations console, as a person uses it. Pictures are left in `target/screenshots`.

use std::time::Duration;

use serde_json::json;

use crate::{
    embedded::Embedded,
    support::{
        SOON,
        browser::{Browser, DESKTOP, Look},
        eventually,
        http::{buy, buy_at, client, ready},
        process::Flashsale,
        sale::now,
        stage::lasts,
    },
};

/// An embedded system with its console.
struct Console {
    embedded: Embedded,
    _file: tempfile::NamedTempFile,
    serve: Flashsale,
    api: String,
    url: String,
}

impl Console {
    async fn with(products: &str) -> Self {
        let (embedded, file) = (Embedded::new(), tempfile::NamedTempFile::new().expect("file"));
        std::fs::write(file.path(), products).expect("write");
        let serve =
            embedded.spawn(&["serve"], &[("FLASHSALE_PRODUCTS", file.path().to_str().expect("path"))]);
        let (api, url) = (serve.api().await, format!("{}/console", serve.console().await));
        ready(&api).await;
        Self { embedded, _file: file, serve, api, url }
    }

    async fn open(&self, look: Look) -> Browser {
        let browser = Browser::open(look).await;
        browser.goto(&self.url).await;
        browser.shows(".link", "Live").await;
        browser
    }

    async fn buys(&self, product: &str, user: &str) {
        buy_at(&client(), &format!("{}/products/{product}/buy", self.api), user).await;
    }
}

fn product(id: &str, units: u32, more: &str) -> String {
    format!(
        "[[products]]\nid = \"{id}\"\nname = \"Edition {id}\"\nprice = \"1\"\ncurrency = \"USD\"\ntotal_stock = {units}\n{more}\n"
    )
}

/// A page that is not fed any more tells how old its figures are, and is not green.
#[tokio::test(flavor = "multi_thread")]
async fn says_how_old_its_figures_are_when_its_process_is_gone() {
    let console = Console::with(&product("p", 500, "")).await;
    let browser = console.open(DESKTOP).await;
    browser.shows("#headline", "All is well").await;
    assert!(!browser.displays("#stale").await);
    let Console { serve, embedded, .. } = console;
    serve.kill();
    browser.shows("#stale", "No news for 10 s. Figures are from ").await;
    let text = browser.text("#stale").await;
    let time = text.split_once("Figures are from ").expect("a time").1;
    assert!(time.len() == "22:53:11 UTC".len() && time.ends_with(" UTC"), "{text}");
    assert!(!browser.displays("#headline").await, "all is well, it says");
    let look = "const colour = (name) => { const probe = document.body.appendChild(document.createElement('i'));
          probe.style.color = `var(--${name})`; const value = getComputedStyle(probe).color; probe.remove(); return value; };
        const edge = getComputedStyle(document.getElementById('verdict')).borderInlineStartColor;
        const dimmed = ['.pace', '#products', '.columns'].map((one) => getComputedStyle(document.querySelector(one)).opacity);
        return { amber: edge === colour('warn'), dimmed };";
    let seen = browser.run(look).await;
    assert_eq!(seen, json!({ "amber": true, "dimmed": ["0.5", "0.5", "0.5"] }));
    browser.picture("console-gone-desktop").await;
    browser.screen("console-gone-desktop-screen").await;
    browser.close().await;
    drop(embedded);
}

/// Forty products, of which one needs an operator and most have not begun.
fn forty() -> String {
    let in_a_day = chrono::DateTime::from_timestamp_millis(now() + 89_910_000).expect("time").to_rfc3339();
    let kind = |number: u32| match number {
        1..=3 => product(&format!("gone-{number}"), 1, ""),
        4..=6 => product(&format!("live-{number}"), 1_000 * number, ""),
        20 => product("paused-20", 500, ""),
        _ => product(&format!("later-{number}"), 500, &format!("sale_start = \"{in_a_day}\"")),
    };
    (1..=40).map(kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_products_are_a_row_each_with_what_needs_an_operator_first() {
    let console = Console::with(&forty()).await;
    for number in 1..=3 {
        console.buys(&format!("gone-{number}"), "ada").await;
    }
    console.buys("live-5", "ada").await;
    let mut pause = console.embedded.spawn(&["pause", "--product", "paused-20"], &[]);
    assert_eq!(pause.ended(SOON).await.code(), Some(0), "{}", pause.log());
    for (width, dark) in [(1280, false), (1280, true), (768, false), (360, false), (360, true)] {
        let browser = console.open(Look { width, dark, ..DESKTOP }).await;
        browser.shows("#headline", "Every unit is accounted for; paused-20 is paused").await;
        browser.shows("#row-gone-3 .badge", "Sold out").await;
        let order = "return [...document.querySelectorAll('details')].map((row) => row.id.slice(8))";
        let order = browser.run(order).await;
        let order: Vec<_> = order.as_array().expect("rows").iter().filter_map(|id| id.as_str()).collect();
        assert_eq!(order.len(), 40);
        assert_eq!(order[..4], ["paused-20", "live-4", "live-5", "live-6"], "{order:?}");
        assert_eq!(order[37..], ["gone-1", "gone-2", "gone-3"], "{order:?}");
        browser.shows("#row-later-7 .badge", "Opens in 1 d 0:5").await;
        browser.shows("#row-live-5 .stock", "4,999 of 5,000 left").await;
        browser.shows("#row-live-5 .sum", "adds up").await;
        let height = browser.run("return document.getElementById('products').scrollHeight / 40").await;
        let most = if width < 500 { 130.0 } else { 100.0 };
        assert!(height.as_f64() <= Some(most), "{height} pixels a product at {width}");
        browser.fits().await;
        browser.is_accessible().await;
        let name = format!("console-40-{width}-{}", if dark { "dark" } else { "light" });
        browser.picture(&name).await;
        browser.screen(&format!("{name}-screen")).await;
        browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn details_open_on_a_click_stay_open_and_leave_out_what_never_was() {
    let console = Console::with(&[product("one", 500, ""), product("two", 500, "")].concat()).await;
    console.buys("two", "ada").await;
    let browser = console.open(DESKTOP).await;
    browser.shows("#row-two .stock", "499 of 500 left").await;
    assert!(!browser.displays("#more-two").await);
    browser.find("#product-two summary").await.click().await.expect("a click");
    browser.shows("#more-two", "1 in the ledger").await;
    let focused = "return document.activeElement.parentElement.id";
    assert_eq!(browser.run(focused).await, json!("product-two"));
    console.buys("two", "grace").await;
    browser.shows("#row-two .stock", "498 of 500 left").await;
    browser.shows("#more-two", "Success").await;
    assert_eq!(browser.run(focused).await, json!("product-two"), "the row was replaced");
    let text = browser.text("#more-two").await;
    for never in ["Sold out", "Paused", "Not ready", "Unknown", "Ended"] {
        assert!(!text.contains(never), "{never} in {text}");
    }
    // A pause changes the order of the rows.
    let mut pause = console.embedded.spawn(&["pause", "--product", "two"], &[]);
    assert_eq!(pause.ended(SOON).await.code(), Some(0), "{}", pause.log());
    eventually("it comes first", SOON, async || {
        (browser.run("return document.querySelector('details').id").await == json!("product-two"))
            .then_some(())
    })
    .await;
    assert!(browser.displays("#more-two").await, "it stays open");
    assert_eq!(browser.run(focused).await, json!("product-two"), "and focused");
    browser.find("#product-one summary").await.click().await.expect("a click");
    browser.shows("#more-one", "No attempt yet.").await;
    browser.close().await;
}

/// What the charts show, by name: the width of the window in seconds, and the room above the highest value.
const CHARTS: &str = "return [...plots].map(([id, plot]) => {
    const highest = Math.max(...plot.data.slice(1).flat().filter((value) => value !== null));
    const { x, y } = plot.scales;
    return { id, seconds: Math.round(x.max - x.min), room: y.max / highest, highest,
      legend: [...plot.root.querySelectorAll('.u-value')].slice(1).map((value) => value.textContent) }; });";

/// A latency is the same in the page, which the server writes, and in the legends of charts.
#[tokio::test(flavor = "multi_thread")]
async fn a_latency_is_written_in_one_way() {
    let console = Console::with(&product("p", 10, "")).await;
    let browser = console.open(DESKTOP).await;
    let micros = [
        0,
        999,
        1_150,
        9_949,
        9_960,
        10_500,
        999_499,
        999_600,
        1_250_000,
        9_960_000,
        12_400_000,
        999_500_000,
    ];
    let written = browser.run(&format!("return {micros:?}.map((micros) => latency(micros / 1000))")).await;
    assert_eq!(written, json!(micros.map(flashsale::domain::latency)));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn big_figures_come_first_and_charts_can_be_read() {
    let console = Console::with(&product("p", 2_000, "")).await;
    let browser = console.open(DESKTOP).await;
    let api = console.api.clone();
    let buying = tokio::spawn(async move {
        let client = client();
        for number in 0.. {
            buy(&client, &api, &format!("fan-{number}")).await;
            lasts(Duration::from_millis(20)).await;
        }
    });
    browser.shows(".pace", " · sold out in about ").await;
    let pace = browser.text(".pace").await;
    assert!(pace.contains(" sold · ") && pace.contains("/s · "), "{pace}");
    let first = "return document.querySelector('main').firstElementChild.id";
    assert_eq!(browser.run(first).await, json!("verdict"));
    let charts = eventually("the charts have values", SOON, async || {
        let charts = browser.run(CHARTS).await;
        let charts = charts.as_array()?.clone();
        (charts[0]["highest"].as_f64()? > 8.0 && charts[1]["highest"].as_f64()? > 0.0).then_some(charts)
    })
    .await;
    for chart in &charts {
        assert_eq!(chart["seconds"], json!(300), "{chart}");
    }
    assert!(charts[0]["room"].as_f64().is_some_and(|room| (1.05..1.2).contains(&room)), "{charts:?}");
    let rate = charts[0]["legend"][0].as_str().expect("a value");
    assert!(rate.parse::<f64>().is_ok_and(|rate| rate > 0.0), "the current value: {charts:?}");
    let latency = charts[1]["legend"][1].as_str().expect("a value");
    assert!(latency.ends_with("ms") || latency.ends_with("µs"), "{charts:?}");
    // The crosshair of one is that of all, and events are named.
    let over = browser.find("#times .u-over").await;
    browser.driver.action_chain().move_to_element_center(&over).perform().await.expect("a pointer");
    let crosshairs =
        "return [...document.querySelectorAll('.u-cursor-x')].every((line) => line.checkVisibility())";
    assert_eq!(browser.run(crosshairs).await, json!(true));
    let mut pause = console.embedded.spawn(&["pause"], &[]);
    assert_eq!(pause.ended(SOON).await.code(), Some(0), "{}", pause.log());
    browser.shows(".events", "Paused").await;
    let pointing = "const plot = plots.get('attempts'); const event = events.find((one) => one.title.startsWith('Paused'));
        plot.setCursor({ left: plot.valToPos(event.at / 1000, 'x'), top: 5 }); return document.getElementById('pointed').textContent";
    let pointed = browser.run(pointing).await;
    assert!(
        pointed.as_str().is_some_and(|text| text.contains("UTC") && text.contains("Paused p")),
        "{pointed}"
    );
    buying.abort();
    browser.picture("console-charts-desktop").await;
    let shop = browser.find(".top .way").await.attr("href").await.expect("a link");
    assert_eq!(shop, Some(format!("{}/", console.serve.shop().await)));
    browser.close().await;
}
