//! Where a build for tests puts a decorator between the stores and the rest of the program.

use super::settings::Settings;
use crate::{admission::Scripts, stores::Stores};

/// Changes what the commands connect to. The default changes nothing.
#[derive(Clone, Copy, Debug)]
pub struct Wiring {
    /// The scripts that admission runs on Redis.
    pub scripts: fn() -> Scripts,
    /// The stores, given those that the settings name.
    pub stores: fn(Stores, &Settings) -> Stores,
}

impl Default for Wiring {
    fn default() -> Self {
        Self { scripts: Scripts::default, stores: |stores, _settings| stores }
    }
}
