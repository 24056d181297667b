//! The shape of a load: the arrival rate as it changes over time, and when each arrival is due.

use std::{fmt, time::Duration};

use crate::domain::grouped;

/// A linear change to a rate.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ramp {
    to_per_s: f64,
    seconds: f64,
}

/// Ramps, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shape {
    from_per_s: f64,
    ramps: Vec<Ramp>,
}

impl Shape {
    /// From a rate, through pairs of a rate and the seconds until it is reached.
    pub(super) fn new(from_per_s: f64, ramps: &[(f64, f64)]) -> Self {
        let ramps = ramps.iter().map(|(to_per_s, seconds)| Ramp { to_per_s: *to_per_s, seconds: *seconds });
        Self { from_per_s, ramps: ramps.collect() }
    }

    pub(super) fn scaled(&self, rate: f64, time: f64) -> Self {
        let scaled = |ramp: &Ramp| Ramp { to_per_s: ramp.to_per_s * rate, seconds: ramp.seconds * time };
        Self { from_per_s: self.from_per_s * rate, ramps: self.ramps.iter().map(scaled).collect() }
    }

    pub(super) fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.ramps.iter().map(|ramp| ramp.seconds).sum())
    }

    pub(super) fn peak_per_s(&self) -> f64 {
        self.ramps.iter().map(|ramp| ramp.to_per_s).fold(self.from_per_s, f64::max)
    }

    /// The number of arrivals up to a time: the area under the line.
    fn arrivals_by(&self, seconds: f64) -> f64 {
        let (mut arrivals, mut began, mut from) = (0.0, 0.0, self.from_per_s);
        for ramp in &self.ramps {
            let within = (seconds - began).clamp(0.0, ramp.seconds);
            arrivals += from * within + (ramp.to_per_s - from) * within * within / (2.0 * ramp.seconds);
            began += ramp.seconds;
            from = ramp.to_per_s;
        }
        arrivals
    }

    pub(super) fn total(&self) -> u64 {
        whole(self.arrivals_by(self.duration().as_secs_f64()))
    }

    /// When arrival `number` (from 0) is due, after the beginning. `None`: the
    /// shape has fewer arrivals.
    pub(super) fn due(&self, number: u64) -> Option<Duration> {
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 arrivals")]
        let mut wanted = number as f64 + 0.5;
        let (mut began, mut from) = (0.0, self.from_per_s);
        for ramp in &self.ramps {
            let within = f64::midpoint(from, ramp.to_per_s) * ramp.seconds;
            if wanted <= within {
                return Some(Duration::from_secs_f64(began + crossing(from, ramp, wanted)));
            }
            wanted -= within;
            began += ramp.seconds;
            from = ramp.to_per_s;
        }
        None
    }
}

/// `20 → 100 (5 s) → 1,500 (10 s)`
impl fmt::Display for Shape {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", show_rate(self.from_per_s))?;
        self.ramps.iter().try_for_each(|Ramp { to_per_s, seconds }| {
            write!(out, " → {} ({})", show_rate(*to_per_s), show_time(Duration::from_secs_f64(*seconds)))
        })
    }
}

/// A rate, with a decimal where it is small.
pub(super) fn show_rate(per_s: f64) -> String {
    let rounded = (per_s * 10.0).round() / 10.0;
    if rounded >= 10.0 || rounded.fract() == 0.0 { grouped(whole(per_s)) } else { format!("{rounded:.1}") }
}

pub(super) fn show_time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds >= 10.0 || seconds.fract() == 0.0 {
        format!("{} s", grouped(whole(seconds)))
    } else {
        format!("{seconds:.1} s")
    }
}

/// The time within a ramp at which `wanted` arrivals are reached. It solves
/// `from * t + slope * t² / 2 = wanted`.
fn crossing(from: f64, ramp: &Ramp, wanted: f64) -> f64 {
    let slope = (ramp.to_per_s - from) / ramp.seconds;
    let root = (from * from + 2.0 * slope * wanted).max(0.0).sqrt();
    // This form of the solution also holds for a flat line.
    (2.0 * wanted / (from + root)).min(ramp.seconds)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, far below 2^52")]
pub(super) fn whole(number: f64) -> u64 {
    number.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_due_where_the_area_under_the_line_says() {
        let flat = Shape::new(100.0, &[(100.0, 2.0)]);
        assert_eq!(flat.total(), 200);
        assert_eq!(flat.due(0), Some(Duration::from_millis(5)));
        assert_eq!(flat.due(199), Some(Duration::from_millis(1_995)));
        assert_eq!(flat.due(200), None);
        let up_and_down = Shape::new(0.0, &[(1_000.0, 1.0), (0.0, 1.0)]);
        assert_eq!(up_and_down.total(), 1_000);
        let middle = up_and_down.due(500).expect("in the middle");
        assert!((0.999..1.002).contains(&middle.as_secs_f64()), "{middle:?}");
    }

    #[test]
    fn arrivals_are_ordered_and_complete() {
        let shape = Shape::new(20.0, &[(100.0, 5.0), (1_500.0, 10.0), (800.0, 15.0), (0.0, 5.0)]);
        let due: Vec<_> = (0..shape.total()).map_while(|number| shape.due(number)).collect();
        assert_eq!(due.len() as u64, shape.total());
        assert!(due.is_sorted());
        assert!(due.last().is_some_and(|last| *last <= shape.duration()));
        for second in 0..35_u32 {
            let arrived = due.iter().filter(|due| due.as_secs_f64() <= f64::from(second)).count();
            #[expect(clippy::cast_precision_loss, reason = "a small number")]
            let difference = (arrived as f64 - shape.arrivals_by(f64::from(second))).abs();
            assert!(difference <= 1.0, "{difference} at second {second}");
        }
    }

    #[test]
    fn scaling_multiplies_rates_and_times() {
        let shape = Shape::new(10.0, &[(100.0, 5.0)]).scaled(2.0, 0.5);
        assert_eq!(shape, Shape::new(20.0, &[(200.0, 2.5)]));
        assert!((shape.peak_per_s() - 200.0).abs() < 1e-9);
    }
}
