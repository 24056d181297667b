//! The sources of settings, one over the other. Each value remembers where it came from.

use std::{collections::BTreeMap, fmt, path::Path};

use super::ConfigError;

const DEFAULTS: &str = include_str!("../../config/default.toml");

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In `config/default.toml`.
    Default,
    /// In the file of `--config`.
    File(String),
    /// In an environment variable.
    Variable(String),
    /// On the command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => out.write_str("the defaults"),
            Self::File(path) => out.write_str(path),
            Self::Variable(name) => write!(out, "the environment variable {name}"),
            Self::Flag => out.write_str("the command line"),
        }
    }
}

/// All settings by their dotted key (`broker.confirm_timeout_ms`), unchecked.
#[derive(Debug)]
pub struct Layers {
    pub(super) values: BTreeMap<String, (toml::Value, Origin)>,
    pub(super) errors: Vec<String>,
}

impl Layers {
    /// The defaults, then the file, then the variables that `environment` has, then the flags (dotted key, value).
    pub fn read(
        file: Option<&Path>,
        environment: impl Fn(&str) -> Option<String>,
        flags: &[(String, String)],
    ) -> Result<Self, ConfigError> {
        let defaults = DEFAULTS.parse().map_err(|error| ConfigError(vec![format!("defaults: {error}")]))?;
        let mut layers = Self { values: BTreeMap::new(), errors: Vec::new() };
        flatten("", defaults, &mut |key, value| {
            layers.values.insert(key, (value, Origin::Default));
        });
        if let Some(path) = file {
            layers.add_file(path);
        }
        let keys: Vec<_> = layers.values.keys().cloned().collect();
        for key in keys {
            let variable = variable_of(&key);
            if let Some(text) = environment(&variable) {
                layers.add_text(&key, &text, Origin::Variable(variable));
            }
        }
        for (key, text) in flags {
            layers.add_text(key, text, Origin::Flag);
        }
        Ok(layers)
    }

    fn add_file(&mut self, path: &Path) {
        let shown = path.display();
        let read = std::fs::read_to_string(path).map_err(|error| error.to_string());
        match read.and_then(|text| text.parse::<toml::Table>().map_err(|error| error.to_string())) {
            Err(error) => self.errors.push(format!("configuration file {shown}: {error}")),
            Ok(table) => flatten("", table, &mut |key, value| {
                self.set(&key, value, Origin::File(shown.to_string()));
            }),
        }
    }

    /// A value from a text, read as the type that the default has.
    fn add_text(&mut self, key: &str, text: &str, origin: Origin) {
        let integer = matches!(self.values.get(key), Some((toml::Value::Integer(_), _)));
        let value = match text.trim().parse() {
            Ok(number) if integer => toml::Value::Integer(number),
            _ => toml::Value::String(text.to_owned()),
        };
        self.set(key, value, origin);
    }

    fn set(&mut self, key: &str, value: toml::Value, origin: Origin) {
        match self.values.get_mut(key) {
            Some(entry) => *entry = (value, origin),
            None => self.errors.push(format!("{key} (in {origin}): there is no such key")),
        }
    }
}

fn flatten(prefix: &str, table: toml::Table, each: &mut impl FnMut(String, toml::Value)) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::Table(inner) => flatten(&key, inner, each),
            value => each(key, value),
        }
    }
}

/// The environment variable of a key.
pub fn variable_of(key: &str) -> String {
    match key {
        "database_url" | "redis_url" | "amqp_url" => key.to_ascii_uppercase(),
        _ => format!("FLASHSALE_{}", key.replace('.', "_").to_ascii_uppercase()),
    }
}
