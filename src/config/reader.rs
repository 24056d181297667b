//! Reads single settings for the sections that use them, and collects every error: key, value,
//! origin, what is allowed.

use std::{fmt::Display, net::SocketAddr, ops::RangeInclusive, time::Duration};

use super::{ConfigError, Layers, ServiceUrl, UnknownVariable};

/// A section reads its keys from this. A wrong setting is recorded as an error and reads as some
/// harmless value, so that all errors are found at once; [`Reader::finish`] returns them.
#[derive(Debug)]
pub struct Reader {
    layers: Layers,
}

impl Reader {
    pub fn new(layers: Layers) -> Self {
        Self { layers }
    }

    /// Returns the environment variables that begin with `FLASHSALE_` and belong to no
    /// key, or all errors.
    pub fn finish(self) -> Result<Vec<UnknownVariable>, ConfigError> {
        if self.layers.errors.is_empty() { Ok(self.layers.unknown_variables) } else { Err(self.into_error()) }
    }

    pub fn unknown_variables(&self) -> &[UnknownVariable] {
        &self.layers.unknown_variables
    }

    /// All errors so far.
    pub fn into_error(self) -> ConfigError {
        ConfigError(self.layers.errors)
    }

    /// Records an error that is about several keys, or none.
    pub fn error(&mut self, line: String) {
        self.layers.errors.push(line);
    }

    fn wrong(&mut self, key: &str, value: &dyn Display, allowed: &dyn Display) {
        let origin = self.layers.settings.get(key).map(|set| set.origin.to_string()).unwrap_or_default();
        self.error(format!("{key} = {value} (in {origin}): must be {allowed}"));
    }

    pub fn text(&mut self, key: &str) -> String {
        match self.layers.value(key).cloned() {
            Some(toml::Value::String(text)) => text,
            Some(other) => {
                self.wrong(key, &other, &"a text in quotes");
                String::new()
            }
            None => String::new(),
        }
    }

    /// A list of texts, or a text that separates them by commas; an empty text is an empty list.
    /// The error of `parse` says what is allowed.
    pub fn list<T: Default, E: Display>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&[String]) -> Result<T, E>,
    ) -> T {
        let value = self.layers.value(key).cloned();
        let texts: Option<Vec<String>> = match &value {
            Some(toml::Value::String(text)) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Some(items.map(str::to_owned).collect())
            }
            Some(toml::Value::Array(items)) => {
                items.iter().map(|item| item.as_str().map(|text| text.trim().to_owned())).collect()
            }
            _ => None,
        };
        let shown = value.map(|value| value.to_string()).unwrap_or_default();
        let Some(texts) = texts else {
            self.wrong(key, &shown, &"a text or a list of texts, in quotes");
            return T::default();
        };
        parse(&texts).unwrap_or_else(|allowed| {
            self.wrong(key, &shown, &allowed);
            T::default()
        })
    }

    /// A text with a check of the section's own; the error of `check` says what is allowed.
    pub fn checked_text<E: Display>(
        &mut self,
        key: &str,
        check: impl FnOnce(&str) -> Result<(), E>,
    ) -> String {
        let text = self.text(key);
        if let Err(allowed) = check(&text) {
            self.wrong(key, &format!("{text:?}"), &allowed);
        }
        text
    }

    pub fn integer<T: TryFrom<i64> + Default>(&mut self, key: &str, allowed: RangeInclusive<i64>) -> T {
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

    pub fn millis(&mut self, key: &str, allowed: RangeInclusive<i64>) -> Duration {
        Duration::from_millis(self.integer(key, allowed))
    }

    pub fn seconds(&mut self, key: &str, allowed: RangeInclusive<i64>) -> Duration {
        Duration::from_secs(self.integer(key, allowed))
    }

    pub fn addr(&mut self, key: &str) -> SocketAddr {
        let text = self.text(key);
        text.parse().unwrap_or_else(|_unreadable| {
            self.wrong(key, &format!("{text:?}"), &"an address and a port, such as 127.0.0.1:3001");
            SocketAddr::from(([127, 0, 0, 1], 0))
        })
    }

    /// `None`: the setting is empty.
    pub fn optional_addr(&mut self, key: &str) -> Option<SocketAddr> {
        if self.text(key).is_empty() { None } else { Some(self.addr(key)) }
    }

    pub fn one_of(&mut self, key: &str, allowed: &[&str]) -> String {
        self.checked_text(
            key,
            |text| if allowed.contains(&text) { Ok(()) } else { Err(allowed.join(" or ")) },
        )
    }

    /// `None`: the setting is empty. An error never shows the value, which may hold a password.
    pub fn url(&mut self, key: &str, schemes: &[&str]) -> Option<ServiceUrl> {
        self.parsed_url(key, |text| ServiceUrl::parse(text, schemes))
    }

    /// As [`Reader::url`], with any number of hosts.
    pub fn url_of_hosts(&mut self, key: &str, schemes: &[&str]) -> Option<ServiceUrl> {
        self.parsed_url(key, |text| ServiceUrl::parse_hosts(text, schemes))
    }

    /// Records what a URL must be, without the URL.
    pub fn wrong_url(&mut self, key: &str, allowed: &dyn Display) {
        self.wrong(key, &"(not shown)", allowed);
    }

    fn parsed_url(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<ServiceUrl, String>,
    ) -> Option<ServiceUrl> {
        let Some(toml::Value::String(text)) = self.layers.value(key).cloned() else {
            self.wrong_url(key, &"a text in quotes");
            return Some(ServiceUrl::default());
        };
        if text.is_empty() {
            return None;
        }
        let parsed = parse(&text);
        if let Err(allowed) = &parsed {
            self.wrong_url(key, allowed);
        }
        // A wrong URL counts as set, so that no second error says that it is missing.
        Some(parsed.unwrap_or_default())
    }
}
