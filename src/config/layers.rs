//! The layers of settings, each over the one before: defaults, file, environment, flags. Each value
//! keeps its origin.

use std::{collections::BTreeMap, fmt, path::Path};

use super::ConfigError;
use crate::runtime::{FileError, crash_points, error_chain};

/// Names the configuration file.
pub const FILE_VARIABLE: &str = "FLASHSALE_CONFIG";
const DEFAULTS: &str = include_str!("../../config/default.toml");

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `config/default.toml`
    Default,
    /// The path of the configuration file.
    File(String),
    /// The name of the environment variable.
    Variable(String),
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

/// All settings by dotted key (`broker.confirm_timeout_ms`), unchecked.
#[derive(Debug)]
pub struct Layers {
    pub(super) settings: BTreeMap<String, Setting>,
    pub(super) errors: Vec<String>,
    pub(super) unknown_variables: Vec<UnknownVariable>,
}

/// An environment variable that begins like ours and belongs to no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownVariable {
    pub name: String,
    /// The variable that was probably meant.
    pub resembles: Option<String>,
}

/// A sentence for the log.
impl fmt::Display for UnknownVariable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the environment variable {} has no meaning here; ", self.name)?;
        match &self.resembles {
            Some(meant) => write!(out, "did you mean {meant}?"),
            None => out.write_str("is it misspelt?"),
        }
    }
}

impl UnknownVariable {
    fn new<'known>(name: String, known: impl Iterator<Item = &'known String>) -> Self {
        let near = known.map(|known| (strsim::osa_distance(&name, known), known));
        let nearest = near.min().filter(|(distance, _)| *distance <= MISSPELT_MAX);
        Self { resembles: nearest.map(|(_, known)| known.clone()), name }
    }
}

/// Letters that a misspelt name has too many, too few, wrong, or in the wrong order.
const MISSPELT_MAX: usize = 2;

#[derive(Debug)]
pub(super) struct Setting {
    value: toml::Value,
    pub(super) origin: Origin,
    /// The default is an integer; texts from variables and flags are read as one.
    is_integer: bool,
}

impl Layers {
    /// `environment`: name and value, which is `None` if it is not UTF-8. `flags`:
    /// dotted key and value.
    pub fn read(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, Option<String>)>,
        flags: &[(String, String)],
    ) -> Result<Self, ConfigError> {
        let defaults = DEFAULTS.parse().map_err(|error| ConfigError(vec![format!("defaults: {error}")]))?;
        let mut layers =
            Self { settings: BTreeMap::new(), errors: Vec::new(), unknown_variables: Vec::new() };
        flatten("", defaults, &mut |key, value| {
            let is_integer = value.is_integer();
            layers.settings.insert(key, Setting { value, origin: Origin::Default, is_integer });
        });
        if let Some(path) = file {
            layers.add_file(path);
        }
        layers.add_environment(environment);
        for (key, text) in flags {
            layers.add_text(key, text, Origin::Flag);
        }
        Ok(layers)
    }

    pub(super) fn value(&self, key: &str) -> Option<&toml::Value> {
        self.settings.get(key).map(|setting| &setting.value)
    }

    fn add_file(&mut self, path: &Path) {
        let shown = path.display();
        match read_file("read the configuration file", path) {
            Err(error) => self.errors.push(error),
            Ok(table) => flatten("", table, &mut |key, value| {
                self.set(&key, value, Origin::File(shown.to_string()));
            }),
        }
    }

    fn add_environment(&mut self, environment: impl IntoIterator<Item = (String, Option<String>)>) {
        let keys: BTreeMap<_, _> = self.settings.keys().map(|key| (variable_of(key), key.clone())).collect();
        for (name, value) in environment {
            match (keys.get(&name), value) {
                (Some(key), Some(text)) => self.add_text(key, &text, Origin::Variable(name)),
                (Some(_), None) => self.errors.push(format!("the environment variable {name} is not UTF-8")),
                // No error: orchestrators add variables of their own after the name of a service.
                (None, _) if name.starts_with("FLASHSALE_") && !is_known(&name) => {
                    self.unknown_variables.push(UnknownVariable::new(name, keys.keys()));
                }
                (None, _) => {}
            }
        }
    }

    /// A value from a text, read as the type that the default has. White space around it is an
    /// accident of a file of variables or of quoting, and a control character inside it as well.
    fn add_text(&mut self, key: &str, text: &str, origin: Origin) {
        let text = text.trim();
        if let Some(found) = text.chars().find(|character| character.is_control()) {
            let found = found.escape_unicode();
            self.errors.push(format!("{key} (in {origin}): contains the control character {found}"));
            return;
        }
        let is_integer = self.settings.get(key).is_some_and(|setting| setting.is_integer);
        let value = match text.parse() {
            Ok(number) if is_integer => toml::Value::Integer(number),
            _ => toml::Value::String(text.to_owned()),
        };
        self.set(key, value, origin);
    }

    fn set(&mut self, key: &str, value: toml::Value, origin: Origin) {
        match self.settings.get_mut(key) {
            Some(setting) => (setting.value, setting.origin) = (value, origin),
            None => self.errors.push(format!("{key} (in {origin}): there is no such key")),
        }
    }
}

/// Has a meaning, though it belongs to no key.
fn is_known(variable: &str) -> bool {
    variable == FILE_VARIABLE || crash_points::VARIABLES.contains(&variable)
}

/// Reads a TOML file. The error says which file, and never shows its text.
pub(super) fn read_file(action: &'static str, path: &Path) -> Result<toml::Table, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| error_chain(&FileError::new(action, path, error)))?;
    text.parse().map_err(|error| format!("{}: {}", path.display(), without_text(&text, &error)))
}

/// The error without the line that it quotes, which may hold a password.
pub(super) fn without_text(text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let line = text.get(..start).unwrap_or(text).matches('\n').count() + 1;
    format!("line {line}: {}", error.message())
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

pub fn variable_of(key: &str) -> String {
    match key {
        "database_url" | "redis_url" | "amqp_url" => key.to_ascii_uppercase(),
        _ => format!("FLASHSALE_{}", key.replace('.', "_").to_ascii_uppercase()),
    }
}
