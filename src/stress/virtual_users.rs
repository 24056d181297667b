//! The virtual users, on goose.
//!
//! Goose has a closed model: a virtual user sends its next request after the response to the last
//! one. For the open model a virtual user here takes the next arrival of a shared schedule (see
//! [`super::arrivals`]), there are enough virtual users that one is free for each arrival, and
//! goose is told the time since the arrival was due.

use std::{panic::AssertUnwindSafe, pin::Pin, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use futures_util::FutureExt;
use goose::{
    GooseAttack, GooseError,
    client::GooseClientBuilder,
    config::GooseConfiguration,
    goose::{GooseUser, Scenario as GooseScenario, Transaction, TransactionResult},
};

use super::{
    recorder::Recorder,
    target::{REQUEST_TIMEOUT, Target},
    workload::{VirtualUsers, Workload},
};
use crate::runtime::output;

/// Each virtual user may hold a connection.
const USERS_MAX: usize = 4_000;
const USERS_MIN: usize = 50;
const USERS_STARTED_PER_S: usize = 20_000;

/// The number of virtual users for an open model: enough for responses that take a second.
pub(super) fn users_for(peak_per_s: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of users")]
    let wanted = peak_per_s.ceil() as usize;
    wanted.clamp(USERS_MIN, USERS_MAX)
}

/// The time until goose has started this many virtual users.
pub(super) fn start_time(users: usize) -> Duration {
    Duration::from_millis(500 + u64::try_from(users * 1_000 / USERS_STARTED_PER_S).unwrap_or(0))
}

/// Runs a workload to its end.
pub(super) async fn run(
    target: &Target,
    recorder: &Recorder,
    workload: Workload,
    users: usize,
    report: Option<&str>,
) -> anyhow::Result<()> {
    let name = workload.as_str();
    let virtual_users =
        Arc::new(VirtualUsers { target: target.clone(), recorder: recorder.clone(), workload });
    let transaction: goose::goose::TransactionFunction = Arc::new(move |user: &mut GooseUser| {
        let virtual_users = virtual_users.clone();
        let running: Pin<Box<dyn Future<Output = TransactionResult> + Send + '_>> =
            Box::pin(async move { virtual_users.work(user).await });
        running
    });
    let client = GooseClientBuilder::new().without_cookies().timeout(REQUEST_TIMEOUT);
    let scenario =
        GooseScenario::new(name).register_transaction(Transaction::new(transaction).set_name(name));
    let attack = GooseAttack::initialize_with_config(configuration(target, users, report))
        .and_then(|attack| attack.set_client_builder_without_cookies(client))
        .map(|attack| attack.register_scenario(scenario));
    let attack = attack.map_err(anyhow::Error::from)?;
    match AssertUnwindSafe(Box::pin(attack.execute())).catch_unwind().await {
        Ok(Err(error))
            if has_load(recorder)
                && let Some(why) = report_failure(&error) =>
        {
            output::note(format_args!("flashsale: not written: goose's report: {why}"));
            Ok(())
        }
        Ok(ended) => ended.map(drop).context("goose"),
        Err(_logged) => bail!("goose panicked"),
    }
}

/// goose writes its report after the load, and fails if it can't.
fn report_failure(error: &GooseError) -> Option<String> {
    match error {
        GooseError::Io(error) => Some(error.to_string()),
        GooseError::InvalidOption { option, detail, .. } if option == "--report-file" => Some(detail.clone()),
        _ => None,
    }
}

fn has_load(recorder: &Recorder) -> bool {
    recorder.read(|record| !record.attempts.is_empty())
}

fn configuration(target: &Target, users: usize, report: Option<&str>) -> GooseConfiguration {
    let mut configuration = GooseConfiguration::default();
    configuration.host = Some(target.api.to_string());
    configuration.users = Some(users);
    configuration.increase_rate = Some(USERS_STARTED_PER_S.to_string());
    // Each virtual user runs its workload once, to its end.
    configuration.iterations = Some(1);
    configuration.quiet = 3;
    configuration.no_print_metrics = true;
    configuration.no_error_summary = true;
    configuration.no_telnet = true;
    configuration.report_file = report.map(str::to_owned).into_iter().collect();
    configuration
}
