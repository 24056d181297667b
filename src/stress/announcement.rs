//! What is said before the first request: the question, the load after scaling, and what the run
//! will not be able to tell.

use std::time::Duration;

use super::{
    head::Run,
    scenario::{Load, Scenario, ScenarioName},
    shape::{show_rate, show_time},
    target::TargetSale,
};
use crate::domain::grouped;
use crate::runtime::output;

/// The default of the server's `api.head_timeout`, rounded up: slow connections that end sooner are
/// not closed by it.
const SLOW_REQUESTS_MIN: Duration = Duration::from_secs(10);

/// The scenario's question, with the rate that the run reaches.
pub(super) fn question(scenario: &Scenario) -> String {
    match (scenario.name, &scenario.buyers) {
        (ScenarioName::Flashsale | ScenarioName::BigFlashsale, Load::Open(shape)) => {
            let peak = show_rate(shape.peak_per_s());
            format!("Does a sale with up to {peak} attempts a second meet its limits?")
        }
        (ScenarioName::Stampede, _) => "What happens when all buyers come in the same second?".to_owned(),
        (ScenarioName::Mixed, _) => "Can buyers still buy while most visitors only view the sale?".to_owned(),
        (ScenarioName::Hostile, _) => "Do hostile requests affect regular buyers?".to_owned(),
        _ => "Does every attempt get a response, and does stock never fall below zero?".to_owned(),
    }
}

/// The requests of the run, after scaling.
pub(super) fn load(scenario: &Scenario) -> String {
    let load = match &scenario.buyers {
        Load::Closed { virtual_users, time, .. } => {
            let users = grouped(virtual_users);
            format!("{users} virtual users send attempts without pause for {}", show_time(*time))
        }
        Load::Open(shape) => {
            let (total, time) = (grouped(shape.total()), show_time(shape.duration()));
            format!("{shape} attempts a second: {total} attempts in {time}")
        }
        Load::Stampede { attempts, within } => {
            format!("{} attempts within {}", grouped(attempts), show_time(*within))
        }
    };
    let mut parts = vec![load];
    parts.extend(scenario.viewers.as_ref().map(|shape| format!("beside {} views", grouped(shape.total()))));
    parts.extend(scenario.hostile.then(|| "beside hostile requests".to_owned()));
    let buyers = scenario.buyers_min();
    parts.extend((buyers > 0).then(|| format!("by at least {} buyers", grouped(buyers))));
    parts.join(", ")
}

/// What the run will not be able to tell, whatever happens in it. `remaining`: units in stock.
pub(super) fn blind_spots(scenario: &Scenario, remaining: Option<i64>) -> Vec<String> {
    let mut unknown = Vec::new();
    let attempts = match &scenario.buyers {
        // As many as are answered.
        Load::Closed { .. } => None,
        Load::Open(shape) => Some(shape.total()),
        Load::Stampede { attempts, .. } => Some(*attempts),
    };
    if attempts == Some(0) {
        let advice = "no attempt is due, so the result will be UNKNOWN: raise --scale or --duration-scale";
        unknown.push(advice.to_owned());
    }
    match (attempts, remaining.and_then(|units| u64::try_from(units).ok())) {
        (_, Some(0)) => unknown.push("nothing is left to sell, so no attempt can win".to_owned()),
        (Some(attempts @ 1..), Some(units)) if attempts <= units => unknown.push(format!(
            "{} attempts for {} units do not exhaust the stock, so how the sale ends is not exercised",
            grouped(attempts),
            grouped(units)
        )),
        _ => {}
    }
    if scenario.hostile && scenario.length() < SLOW_REQUESTS_MIN {
        let time = show_time(scenario.length());
        unknown.push(format!(
            "in {time} the server may not have closed slow connections yet, and then they are not judged"
        ));
    }
    unknown
}

pub(super) fn announce(run: &Run, sale: &TargetSale, unknown: &[String]) {
    output::paragraph(format_args!("{}: {}", run.scenario, run.question));
    output::paragraph(format_args!("load: {}", run.load));
    let (name, units) = (&sale.product.name, grouped(sale.product.total_stock));
    output::paragraph(format_args!("product: {name} at {}, {units} units, {}", run.api, sale.status));
    for text in unknown {
        output::paragraph(format_args!("not told by this run: {text}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_after_scaling() {
        let scenario = Scenario::of(ScenarioName::Flashsale, 0.2, 0.5);
        assert_eq!(question(&scenario), "Does a sale with up to 300 attempts a second meet its limits?");
        assert_eq!(
            load(&scenario),
            "4 → 20 (2.5 s) → 300 (5 s) → 160 (7.5 s) → 40 (5 s) → 0 (2.5 s) attempts a second: 3,105 attempts in \
             23 s, by at least 2,795 buyers"
        );
        let scenario = Scenario::of(ScenarioName::Buy, 3.0, 1.0);
        let users = "1,500 virtual users send attempts without pause for 10 s, by at least 1,500 buyers";
        assert_eq!(load(&scenario), users);
    }

    #[test]
    fn what_a_run_can_not_tell_is_known_before_it() {
        let told =
            |name, scale, remaining| blind_spots(&Scenario::of(name, scale, 1.0), remaining).join("; ");
        assert_eq!(told(ScenarioName::Stampede, 1.0, Some(10_000)), "");
        assert_eq!(told(ScenarioName::Stampede, 1.0, None), "");
        let few = told(ScenarioName::Stampede, 0.1, Some(10_000));
        assert!(few.starts_with("5,000 attempts for 10,000 units do not exhaust the stock"), "{few}");
        assert!(told(ScenarioName::Mixed, 1.0, Some(0)).contains("nothing is left to sell"));
        let none = Scenario::of(ScenarioName::Flashsale, 0.001, 0.001);
        assert!(blind_spots(&none, Some(5)).join("; ").contains("the result will be UNKNOWN"), "{none:?}");
        let short = Scenario::of(ScenarioName::Hostile, 1.0, 0.1);
        assert!(blind_spots(&short, Some(5)).join("; ").contains("slow connections"));
    }
}
