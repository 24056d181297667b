//! The report of a load test, in a browser.

use serde_json::json;

use crate::{
    embedded::Embedded,
    support::{
        SOON,
        browser::{Browser, LOOKS},
        http::ready,
        process::Flashsale,
    },
};

/// A run whose stock is not exhausted, and the path of its report.
async fn report() -> (tempfile::TempDir, String) {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    let (api, console) = (serve.api().await, serve.console().await);
    ready(&api).await;
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("report.html").to_str().expect("path").to_owned();
    let token = format!("{}/console-token", embedded.data_dir());
    let place = ["--api", &api, "--console", &console, "--token-file", &token, "--report", &path];
    let load = ["--scale", "0.1", "--duration-scale", "0.2", "--latency-scale", "1000"];
    let arguments = [&["stress", "--scenario", "flashsale"], &load[..], &place].concat();
    let mut process = Flashsale::spawn(&arguments, &[]);
    // Whether this machine is fast enough is not what is tested.
    let code = process.ended(SOON).await.code();
    assert!(matches!(code, Some(0 | 1)), "{code:?}\n{}\n{}", process.printed(), process.log());
    (folder, path)
}

/// The smallest text that is shown, and the number of columns of charts.
const LAYOUT: &str = "
    const texts = [...document.querySelectorAll('.plot span, figcaption span, td')].filter((one) => one.checkVisibility());
    const smallest = Math.min(...texts.map((one) => parseFloat(getComputedStyle(one).fontSize)));
    const columns = getComputedStyle(document.querySelector('.charts')).gridTemplateColumns.split(' ').length;
    return { smallest, columns, inside: document.querySelectorAll('svg text').length };";

#[tokio::test(flavor = "multi_thread")]
async fn can_be_read_at_every_width_value_by_value() {
    let (_folder, path) = report().await;
    let page = std::fs::read_to_string(&path).expect("a report");
    let row = page
        .lines()
        .find(|line| line.contains("no SOLD_OUT while units were certainly left"))
        .expect("check 7");
    assert!(row.contains("<td class=\"none\">–</td>") && row.contains("not exercised"), "{row}");
    assert!(page.contains("<td class=\"yes\">✓</td>"), "others hold");
    for (name, look) in LOOKS {
        let browser = Browser::open(look).await;
        browser.goto(&format!("file://{path}")).await;
        browser.fits().await;
        browser.is_accessible().await;
        let layout = browser.run(LAYOUT).await;
        assert!(layout["smallest"].as_f64() >= Some(11.0) && layout["inside"] == json!(0), "{layout}");
        assert_eq!(layout["columns"], json!(if look.width < 500 { 1 } else { 2 }), "{layout}");
        browser.shows(".limit", "limit of p95: 400 s").await;
        assert!(!browser.displays("figure:nth-of-type(3) .tip").await);
        let second = browser.find("figure:nth-of-type(3) .second:nth-of-type(6)").await;
        second.scroll_into_view().await.expect("scroll");
        browser.driver.action_chain().move_to_element_center(&second).perform().await.expect("a pointer");
        browser.shows("figure:nth-of-type(3) .second:hover .tip", "p95").await;
        browser.picture(&format!("report-{name}")).await;
        browser.close().await;
    }
}
