//! A real browser: Debian's chromium, driven by its own driver.

use std::{net::TcpStream, path::PathBuf, process::Command};

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};
use thirtyfour::{By, ChromiumLikeCapabilities, DesiredCapabilities, WebDriver, WebElement};

use super::{
    SOON, eventually,
    servers::{Server, free_port, start_plain},
};

/// What a browser is to be like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) width: u32,
    pub(crate) dark: bool,
    pub(crate) script: bool,
}

pub(crate) const DESKTOP: Look = Look { width: 1280, dark: false, script: true };
pub(crate) const PHONE: Look = Look { width: 360, dark: false, script: true };

/// Each way to look at a page, with its name.
pub(crate) const LOOKS: [(&str, Look); 4] = [
    ("phone-light", PHONE),
    ("phone-dark", Look { dark: true, ..PHONE }),
    ("desktop-light", DESKTOP),
    ("desktop-dark", Look { dark: true, ..DESKTOP }),
];

/// A browser with one window, and a driver of its own.
pub(crate) struct Browser {
    pub(crate) driver: WebDriver,
    look: Look,
    _process: Server,
}

impl Browser {
    pub(crate) async fn open(look: Look) -> Self {
        let port = free_port();
        let start = move || {
            let command = move || {
                let mut command = Command::new("chromedriver");
                command.arg(format!("--port={port}"));
                command
            };
            start_plain("chromedriver", port, command, |port| TcpStream::connect(("127.0.0.1", port)).is_ok())
        };
        let process = tokio::task::spawn_blocking(start).await.expect("chromedriver");
        let mut wanted = DesiredCapabilities::chrome();
        wanted.set_binary("/usr/bin/chromium").expect("binary");
        let size = format!("--window-size={},900", look.width);
        for argument in [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            // Sites of tests: with names, and with certificates of their own.
            "--host-resolver-rules=MAP *.example 127.0.0.1",
            "--ignore-certificate-errors",
            &size,
        ] {
            wanted.add_arg(argument).expect("argument");
        }
        if !look.script {
            let off = json!({ "profile.managed_default_content_settings.javascript": 2 });
            wanted.add_experimental_option("prefs", off).expect("preference");
        }
        let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), wanted).await.expect("a session");
        let browser = Self { driver, look, _process: process };
        browser.emulate().await;
        browser
    }

    async fn emulate(&self) {
        let tools = self.driver.cdp();
        let Look { width, dark, .. } = self.look;
        self.resize(width, 900).await;
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        tools.send_raw("Emulation.setEmulatedMedia", media).await.expect("media");
    }

    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let screen =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.driver.cdp().send_raw("Emulation.setDeviceMetricsOverride", screen).await.expect("screen");
    }

    /// Sets the time zone of the page.
    pub(crate) async fn time_zone(&self, name: &str) {
        let zone = json!({ "timezoneId": name });
        self.driver.cdp().send_raw("Emulation.setTimezoneOverride", zone).await.expect("time zone");
    }

    /// Whether an element is displayed.
    pub(crate) async fn displays(&self, selector: &str) -> bool {
        self.find(selector).await.is_displayed().await.expect("an element")
    }

    pub(crate) async fn goto(&self, url: &str) {
        self.driver.goto(url).await.expect("a page");
    }

    pub(crate) async fn find(&self, selector: &str) -> WebElement {
        self.driver.find(By::Css(selector)).await.unwrap_or_else(|error| panic!("{selector}: {error}"))
    }

    /// The text of an element, as it is shown.
    pub(crate) async fn text(&self, selector: &str) -> String {
        self.find(selector).await.text().await.expect("text")
    }

    /// Waits until an element shows this.
    pub(crate) async fn shows(&self, selector: &str, wanted: &str) {
        eventually(&format!("{selector} shows {wanted:?}"), SOON, async || {
            let element = self.driver.find(By::Css(selector)).await.ok()?;
            element.text().await.ok()?.contains(wanted).then_some(())
        })
        .await;
    }

    /// What a script in the page returns.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.driver.execute(script, Vec::new()).await.expect("script").json().clone()
    }

    /// Types an id and presses Buy.
    pub(crate) async fn buy(&self, user: &str) {
        let field = self.find("#userId").await;
        field.clear().await.expect("clear");
        field.send_keys(user).await.expect("type");
        self.find(".bar button").await.click().await.expect("click");
    }

    /// No violation of what axe checks: contrast, labels, landmarks, names.
    pub(crate) async fn is_accessible(&self) {
        self.run(include_str!("../assets/axe.min.js")).await;
        let check = "const done = arguments[arguments.length - 1];
            axe.run(document, { resultTypes: ['violations'] }).then((found) => done(found.violations.map(
              (one) => `${one.id}: ${one.help} (${one.nodes.map((node) => node.html).join(' ')})`)));";
        let found = self.driver.execute_async(check, Vec::new()).await.expect("axe").json().clone();
        assert_eq!(found, json!([]), "accessibility of {:?}", self.look);
    }

    /// Nothing sticks out at the side.
    pub(crate) async fn fits(&self) {
        // The window of a phone grows with what sticks out.
        let width = self.run("return document.documentElement.scrollWidth").await;
        assert!(width.as_u64() <= Some(self.look.width.into()), "{width} of {:?}", self.look);
    }

    /// Keeps what is shown as `target/screenshots/NAME.png`.
    pub(crate) async fn picture(&self, name: &str) {
        let height = self.run("return document.documentElement.scrollHeight").await;
        let clip = json!({ "x": 0, "y": 0, "width": self.look.width, "height": height, "scale": 1 });
        self.shoot(name, json!({ "format": "png", "captureBeyondViewport": true, "clip": clip })).await;
    }

    /// Keeps what is shown without scrolling as `target/screenshots/NAME.png`.
    pub(crate) async fn screen(&self, name: &str) {
        self.shoot(name, json!({ "format": "png" })).await;
    }

    async fn shoot(&self, name: &str, wanted: Value) {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
        std::fs::create_dir_all(&folder).expect("folder");
        let tools = self.driver.cdp();
        let shot = tools.send_raw("Page.captureScreenshot", wanted).await.expect("screenshot");
        let bytes = BASE64_STANDARD.decode(shot["data"].as_str().expect("data")).expect("base64");
        std::fs::write(folder.join(format!("{name}.png")), bytes).expect("write");
    }

    pub(crate) async fn close(self) {
        self.driver.quit().await.expect("quit");
    }
}
