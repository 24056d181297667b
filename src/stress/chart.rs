//! Small SVG charts. The style sheet of the page sets the colours (light, dark, print).

use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 26.0;

/// One line or one layer of a chart: one value per second.
pub(super) struct Series {
    pub(super) name: &'static str,
    /// The CSS class that sets the colour.
    pub(super) class: &'static str,
    pub(super) values: Vec<Option<f64>>,
}

/// Maps seconds and values to coordinates.
struct Frame {
    seconds: usize,
    top: f64,
}

impl Frame {
    fn new(seconds: usize, highest: f64) -> Self {
        Self { seconds: seconds.max(2), top: nice(highest) }
    }

    #[expect(clippy::cast_precision_loss, reason = "seconds of a run")]
    fn x(&self, second: usize) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * second as f64 / (self.seconds - 1) as f64
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value / self.top).clamp(0.0, 1.0)
    }

    /// Adds grid and axis labels around `drawn`.
    fn svg(&self, title: &str, unit: &str, drawn: &str) -> String {
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\"><g class=\"grid\">"
        );
        for part in 0..=4 {
            let value = self.top * f64::from(part) / 4.0;
            let y = self.y(value);
            let _ = write!(
                svg,
                "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                number(value)
            );
        }
        let step =
            [1, 2, 5, 10, 15, 30, 60, 300, 600, 3_600].into_iter().find(|step| self.seconds / step <= 9);
        for second in (0..self.seconds).step_by(step.unwrap_or(3_600)) {
            let _ = write!(
                svg,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{second} s</text>",
                self.x(second),
                HEIGHT - 8.0
            );
        }
        let _ = write!(svg, "</g><text class=\"unit\" x=\"{LEFT}\" y=\"10\">{unit}</text>{drawn}</svg>");
        svg
    }
}

/// The next round number at or above.
fn nice(highest: f64) -> f64 {
    if highest <= 0.0 {
        return 1.0;
    }
    let magnitude = 10_f64.powf(highest.log10().floor());
    let steps = [1.0, 2.0, 4.0, 5.0, 8.0, 10.0];
    steps.into_iter().map(|step| step * magnitude).find(|top| *top >= highest).unwrap_or(10.0 * magnitude)
}

fn number(value: f64) -> String {
    if value >= 1_000_000.0 {
        format!("{}M", value / 1_000_000.0)
    } else if value >= 10_000.0 {
        format!("{}k", value / 1_000.0)
    } else if value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}

pub(super) fn lines(title: &str, unit: &str, series: &[Series]) -> String {
    let values = || series.iter().flat_map(|one| one.values.iter().copied().flatten());
    let seconds = series.iter().map(|one| one.values.len()).max().unwrap_or(0);
    let frame = Frame::new(seconds, values().fold(0.0, f64::max));
    let mut drawn = String::new();
    for Series { class, values, .. } in series {
        let points = values
            .iter()
            .enumerate()
            .filter_map(|(second, value)| Some(format!("{:.1},{:.1}", frame.x(second), frame.y((*value)?))));
        let points: Vec<_> = points.collect();
        let _ = write!(drawn, "<polyline class=\"line {class}\" points=\"{}\"/>", points.join(" "));
    }
    frame.svg(title, unit, &drawn)
}

/// A stacked area chart.
pub(super) fn stacked(title: &str, unit: &str, series: &[Series]) -> String {
    let seconds = series.iter().map(|one| one.values.len()).max().unwrap_or(0);
    let at = |one: &Series, second: usize| one.values.get(second).copied().flatten().unwrap_or(0.0);
    let sums = (0..seconds).map(|second| series.iter().map(|one| at(one, second)).sum());
    let frame = Frame::new(seconds, sums.fold(0.0, f64::max));
    let mut floor = vec![0.0; seconds];
    let mut drawn = String::new();
    for one in series {
        let ceiling: Vec<_> =
            floor.iter().enumerate().map(|(second, below)| below + at(one, second)).collect();
        let point = |(second, value): (usize, &f64)| format!("{:.1},{:.1}", frame.x(second), frame.y(*value));
        let mut points: Vec<_> = ceiling.iter().enumerate().map(point).collect();
        points.extend(floor.iter().enumerate().rev().map(point));
        let _ = write!(drawn, "<polygon class=\"area {}\" points=\"{}\"/>", one.class, points.join(" "));
        floor = ceiling;
    }
    frame.svg(title, unit, &drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_ends_at_a_round_number_above_everything() {
        for (highest, top) in
            [(0.0, 1.0), (1.0, 1.0), (3.9, 4.0), (41.0, 50.0), (999.0, 1_000.0), (4_001.0, 5_000.0)]
        {
            assert!((nice(highest) - top).abs() < 1e-9, "{highest} → {}", nice(highest));
        }
    }

    #[test]
    fn layers_lie_on_each_other() {
        let layer = |class| Series { name: "", class, values: vec![Some(1.0), Some(1.0)] };
        let svg = stacked("t", "u", &[layer("a"), layer("b")]);
        let frame = Frame::new(2, 2.0);
        assert!(svg.contains(&format!("{:.1},{:.1} ", frame.x(0), frame.y(2.0))), "{svg}");
    }
}
