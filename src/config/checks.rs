//! Reads single settings, and collects what is wrong with them: key, value, where it was set, what is allowed.

use std::{fmt::Display, net::SocketAddr, ops::RangeInclusive, time::Duration};

use super::{ConfigError, Layers};
use crate::config::ServiceUrl;

/// Settings that are being read. A setting that is wrong is noted, and reads as something harmless.
pub(super) struct Checks {
    layers: Layers,
}

impl Checks {
    pub(super) fn new(layers: Layers) -> Self {
        Self { layers }
    }

    pub(super) fn unknown_variables(&mut self) -> Vec<String> {
        std::mem::take(&mut self.layers.unknown_variables)
    }

    pub(super) fn error(&mut self, line: String) {
        self.layers.errors.push(line);
    }

    pub(super) fn finish<T>(self, value: T) -> Result<T, ConfigError> {
        if self.layers.errors.is_empty() { Ok(value) } else { Err(ConfigError(self.layers.errors)) }
    }

    /// The errors so far, when reading can't go on.
    pub(super) fn give_up(&mut self) -> ConfigError {
        ConfigError(std::mem::take(&mut self.layers.errors))
    }

    fn wrong(&mut self, key: &str, value: &dyn Display, allowed: &dyn Display) {
        let origin = self.layers.settings.get(key).map(|set| set.origin.to_string()).unwrap_or_default();
        self.error(format!("{key} = {value} (in {origin}): must be {allowed}"));
    }

    pub(super) fn text(&mut self, key: &str) -> String {
        match self.layers.value(key).cloned() {
            Some(toml::Value::String(text)) => text,
            Some(other) => {
                self.wrong(key, &other, &"a text in quotes");
                String::new()
            }
            None => String::new(),
        }
    }

    pub(super) fn integer<T: TryFrom<i64> + Default>(
        &mut self,
        key: &str,
        allowed: RangeInclusive<i64>,
    ) -> T {
        let value = self.layers.value(key).cloned();
        let number =
            value.as_ref().and_then(toml::Value::as_integer).filter(|number| allowed.contains(number));
        if let Some(number) = number.and_then(|number| T::try_from(number).ok()) {
            return number;
        }
        let shown = value.map(|value| value.to_string()).unwrap_or_default();
        self.wrong(key, &shown, &format!("a whole number from {} to {}", allowed.start(), allowed.end()));
        T::default()
    }

    pub(super) fn millis(&mut self, key: &str, allowed: RangeInclusive<i64>) -> Duration {
        Duration::from_millis(self.integer(key, allowed))
    }

    pub(super) fn addr(&mut self, key: &str) -> SocketAddr {
        let text = self.text(key);
        text.parse().unwrap_or_else(|_unreadable| {
            self.wrong(key, &format!("{text:?}"), &"an address and a port, such as 127.0.0.1:3001");
            SocketAddr::from(([127, 0, 0, 1], 0))
        })
    }

    pub(super) fn optional_addr(&mut self, key: &str) -> Option<SocketAddr> {
        if self.text(key).is_empty() { None } else { Some(self.addr(key)) }
    }

    /// May be empty.
    pub(super) fn host_name(&mut self, key: &str) -> String {
        let text = self.text(key);
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.') {
            self.wrong(
                key,
                &format!("{text:?}"),
                &"a host name such as control.example.com, without scheme and port",
            );
        }
        text
    }

    pub(super) fn one_of(&mut self, key: &str, allowed: &[&str]) -> String {
        let text = self.text(key);
        if !allowed.contains(&text.as_str()) {
            self.wrong(key, &format!("{text:?}"), &allowed.join(" or "));
        }
        text
    }

    pub(super) fn prefix(&mut self, key: &str) -> String {
        let text = self.text(key);
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        if !(1..=32).contains(&text.len()) || !text.bytes().all(allowed) {
            self.wrong(key, &format!("{text:?}"), &"1 to 32 of a-z 0-9 - _ .");
        }
        text
    }

    pub(super) fn log_filter(&mut self, key: &str) -> String {
        let text = self.text(key);
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&text) {
            self.wrong(key, &format!("{text:?}"), &format!("a log filter such as \"info\" ({error})"));
        }
        text
    }

    /// `None` when empty. The value is never shown: it may hold a password.
    pub(super) fn url(&mut self, key: &str, schemes: &[&str]) -> Option<ServiceUrl> {
        let Some(toml::Value::String(text)) = self.layers.value(key).cloned() else {
            self.wrong(key, &"(not shown)", &"a text in quotes");
            return Some(ServiceUrl::default());
        };
        if text.is_empty() {
            return None;
        }
        let parsed = ServiceUrl::parse(&text, schemes);
        if let Err(allowed) = &parsed {
            self.wrong(key, &"(not shown)", allowed);
        }
        // A URL that is wrong is still one that is set.
        Some(parsed.unwrap_or_default())
    }
}
