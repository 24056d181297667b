//! The criteria of the load: each threshold with its value.

use std::{fmt::Display, time::Duration};

use super::{
    hostile::HostileCounts,
    recorder::{Group, Record},
    response::ResponseClass,
    scenario::Thresholds,
    verdict::Criterion,
};
use crate::domain::{grouped, latency};

fn share(part: u64, whole: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 requests")]
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Of responses, latencies and stock.
pub(super) fn of_load(record: &Record, thresholds: &Thresholds) -> Vec<Criterion> {
    let viewed = record.viewers.ended() > 0;
    let mut criteria = of_group(&record.buyers, thresholds, if viewed { "buyers: " } else { "" });
    if viewed {
        criteria.extend(of_group(&record.viewers, thresholds, "viewers: "));
    }
    let (stock_min, polls) = (show_option(record.stock_min), grouped(record.stock_polls));
    criteria.push(Criterion::new(
        "stock ≥ 0 in every poll",
        format!("lowest {stock_min} in {polls} polls"),
        record.stock_min.map(|least| least >= 0),
    ));
    criteria
}

/// Without a request there is nothing to judge.
fn of_group(group: &Group, thresholds: &Thresholds, who: &str) -> Vec<Criterion> {
    let (ended, failed) = (group.ended(), group.count(ResponseClass::is_failure));
    let p95 = group.latencies.value_at_quantile(0.95);
    let answered = ended - group.count(|class| class == ResponseClass::NoResponse);
    let mut criteria = vec![Criterion::new(
        format!("{who}requests that were answered"),
        format!("{} of {}", grouped(answered), grouped(ended)),
        true,
    )];
    if let Some(most) = thresholds.p95_max {
        let claim = format!("{who}p95 < {} ms, from when each was due", grouped(most.as_millis()));
        criteria.push(Criterion::new(claim, latency(p95), Duration::from_micros(p95) < most));
    }
    if let Some(most) = thresholds.failed_max {
        let found = share(failed, ended);
        let claim = if most > 0.0 { format!("failed < {:.0} %", most * 100.0) } else { "none failed".into() };
        let holds = if most > 0.0 { found < most } else { failed == 0 };
        criteria.push(Criterion::new(
            format!("{who}{claim}"),
            format!("{:.2} % ({})", found * 100.0, grouped(failed)),
            holds,
        ));
    }
    if let Some(least) = thresholds.checks_min {
        // Two checks for each response that was not abandoned: its status is 200; its body is
        // complete.
        let waited = ended - group.count(|class| class == ResponseClass::Abandoned);
        let malformed = group.count(|class| class == ResponseClass::Malformed);
        let found = 1.0 - share(2 * (failed - malformed) + malformed, 2 * waited);
        let claim = format!("{who}checks > {:.0} %", least * 100.0);
        criteria.push(Criterion::new(claim, format!("{:.2} %", found * 100.0), found > least));
    }
    if let Some(most) = thresholds.server_errors_max {
        let found = group.count(ResponseClass::is_server_error);
        let (claim, holds) = match most {
            0 => ("no server errors".to_owned(), found == 0),
            _ => (format!("server errors < {most}"), found < most),
        };
        criteria.push(Criterion::new(format!("{who}{claim}"), grouped(found), holds));
    }
    if ended == 0 {
        for criterion in &mut criteria {
            *criterion = Criterion::new(criterion.claim.as_str(), "no request", None);
        }
    }
    criteria
}

/// Attempts outside the sale exercise nothing.
pub(super) fn doubts_of_load(record: &Record) -> Vec<String> {
    let mut doubts = Vec::new();
    if record.buyers.ended() == 0 {
        doubts.push("no attempt was made".to_owned());
    }
    let closed = record.buyers.count(ResponseClass::is_closed_sale);
    if closed > 0 {
        doubts.push(format!("{} attempts were made while the sale was not open", grouped(closed)));
    }
    if record.stock_polls == 0 {
        doubts.push("the stock was never read".to_owned());
    }
    doubts
}

/// Whether requests were sent when they were due; if not, the doubt that the load
/// was the intended one.
pub(super) fn of_schedule(record: &Record, late_after: Duration) -> (Criterion, Option<String>) {
    let late = share(record.late, record.buyers.ended() + record.viewers.ended()) * 100.0;
    let limit = grouped(late_after.as_millis());
    let sent = record.buyers.ended() + record.viewers.ended() > 0;
    let found = if sent { format!("{:.1} %", 100.0 - late) } else { "no request".to_owned() };
    let doubt = format!(
        "{late:.1} % of the requests were sent more than {limit} ms late: this machine, or the server, can't keep up with the schedule"
    );
    (
        Criterion::new(format!("sent within {limit} ms of when they were due"), found, None),
        (late > 5.0).then_some(doubt),
    )
}

pub(super) fn of_hostile(counts: &HostileCounts) -> Vec<Criterion> {
    let HostileCounts { requests, refused, server_errors, accepted, unanswered, slow_closed, slow } = counts;
    let [refused_text, requests_text] = [refused, requests].map(grouped);
    let found = format!(
        "{refused_text} of {requests_text} ({server_errors} × 5xx, {accepted} accepted, {unanswered} unanswered)"
    );
    vec![
        Criterion::new(
            "every hostile request is refused",
            found,
            (*requests > 0).then_some(refused == requests),
        ),
        // A short run ends before the server's timeout.
        Criterion::new(
            "slow connections are closed by the server",
            format!("{slow_closed} of {slow}"),
            (*slow > 0).then_some(slow_closed == slow),
        ),
    ]
}

pub(super) fn show_option(number: Option<impl Display>) -> String {
    number.map_or("?".to_owned(), grouped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Runtime;
    use crate::stress::{
        recorder::{Recorder, Sample},
        scenario::{Scenario, ScenarioName},
    };

    /// The claims that do not hold for a load with these responses, each after `millis`.
    fn broken(responses: &[(ResponseClass, u64)], millis: u64) -> Vec<String> {
        let runtime = Runtime::system();
        let recorder = Recorder::new(runtime.instant(), Duration::from_millis(250), &runtime).unwrap();
        for (class, number) in responses {
            for _ in 0..*number {
                let (due, ended) = (Duration::ZERO, Duration::from_millis(millis));
                recorder.record(Sample { due, sent: due, ended, class: *class, attempt: None });
            }
        }
        let thresholds = Scenario::of(ScenarioName::Flashsale, 1.0, 1.0).thresholds;
        let criteria = recorder.read(|record| of_group(&record.viewers, &thresholds, ""));
        criteria.into_iter().filter(|one| one.holds == Some(false)).map(|one| one.claim).collect()
    }

    #[test]
    fn each_threshold_can_be_missed() {
        assert_eq!(broken(&[(ResponseClass::Success, 100)], 10), [""; 0]);
        assert_eq!(broken(&[(ResponseClass::Success, 100)], 410), ["p95 < 400 ms, from when each was due"]);
        let refused = broken(&[(ResponseClass::Success, 100), (ResponseClass::Refused, 6)], 10);
        assert_eq!(refused, ["failed < 5 %", "checks > 95 %"]);
        assert_eq!(
            broken(&[(ResponseClass::Success, 1_000), (ResponseClass::NotReady, 20)], 10),
            ["server errors < 20"]
        );
        assert_eq!(broken(&[], 0), [""; 0], "without a request nothing is judged");
        assert_eq!(
            broken(&[(ResponseClass::Success, 100), (ResponseClass::Abandoned, 50)], 10),
            [""; 0],
            "abandoned requests are no failures"
        );
    }

    #[test]
    fn a_run_without_a_request_holds_nothing_and_breaks_nothing() {
        let runtime = Runtime::system();
        let recorder = Recorder::new(runtime.instant(), Duration::from_millis(250), &runtime).unwrap();
        let thresholds = Scenario::of(ScenarioName::Flashsale, 1.0, 1.0).thresholds;
        let criteria = recorder.read(|record| {
            let schedule = of_schedule(record, Duration::from_millis(250)).0;
            let hostile = of_hostile(&HostileCounts::default());
            of_load(record, &thresholds).into_iter().chain([schedule]).chain(hostile).collect::<Vec<_>>()
        });
        assert!(criteria.iter().all(|one| one.holds.is_none()), "{criteria:?}");
        assert!(
            criteria.iter().all(|one| !one.found.contains("µs") && !one.found.contains("100")),
            "{criteria:?}"
        );
        let doubts = recorder.read(doubts_of_load);
        assert_eq!(doubts, ["no attempt was made", "the stock was never read"]);
    }

    #[test]
    fn only_limits_of_latency_are_scaled() {
        let scenario = || Scenario::of(ScenarioName::Flashsale, 1.0, 1.0);
        let (strict, patient) = (scenario(), scenario().with_latency_factor(2.0));
        assert_eq!(patient.late_after, Duration::from_millis(500));
        let p95_max = Some(Duration::from_millis(800));
        assert_eq!(patient.thresholds, Thresholds { p95_max, ..strict.thresholds });
    }
}
