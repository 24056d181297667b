//! What a run was: the head of its report.

use std::time::Duration;

use serde::Serialize;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Run {
    pub(super) scenario: &'static str,
    pub(super) question: String,
    /// The requests of the run, after scaling.
    pub(super) load: String,
    pub(super) product: String,
    pub(super) api: String,
    /// RFC 3339.
    pub(super) began_at: String,
    pub(super) machine: String,
    pub(super) version: &'static str,
    pub(super) command: String,
    /// Requests were due at given times.
    pub(super) open_model: bool,
    /// The limit of the latency, if the scenario has one.
    #[serde(skip)]
    pub(super) p95_max: Option<Duration>,
}
