//! Small charts for a report. Lines and areas are SVG that is stretched over the width of the page;
//! texts are HTML beside them, so that they keep their size on every screen. The style sheet of the
//! page sets the colours (light, dark, print).

use std::fmt::Write;

use super::scale::Scale;

/// The width of the drawing, which is stretched; its height is 100.
const WIDTH: f64 = 1_000.0;
/// At most so many columns have their values shown, each those of its first second.
const COLUMNS_MAX: usize = 120;
/// Labels of the time axis, at most.
const TIMES_MAX: usize = 6;

/// One line or one layer of a chart: one value per second.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) name: &'static str,
    /// The CSS class that sets the colour.
    pub(super) class: &'static str,
    pub(super) values: Vec<Option<f64>>,
}

impl Series {
    fn at(&self, second: usize) -> Option<f64> {
        self.values.get(second).copied().flatten()
    }
}

/// How the series of a chart are drawn.
#[derive(Clone, Copy, Debug)]
pub(super) enum Drawing {
    Lines,
    Stacked,
}

/// A text at a position: percent from the left, or from the top.
#[derive(Debug)]
pub(super) struct Label {
    pub(super) at: String,
    pub(super) text: String,
}

/// What a pointer over a second shows.
#[derive(Debug)]
pub(super) struct Column {
    /// Percent of the drawing.
    pub(super) left: String,
    pub(super) width: String,
    /// Where the second is, in percent of the column.
    pub(super) at: String,
    /// The values are shown to its left, where there is room.
    pub(super) is_late: bool,
    pub(super) second: usize,
    /// Name, class, and text of each value.
    pub(super) values: Vec<(&'static str, &'static str, String)>,
}

#[derive(Debug)]
pub(super) struct Chart {
    pub(super) title: &'static str,
    /// Name, class, and highest value of each series.
    pub(super) legend: Vec<(&'static str, &'static str, String)>,
    pub(super) shapes: String,
    pub(super) grid: Vec<Label>,
    pub(super) times: Vec<Label>,
    pub(super) limit: Option<Label>,
    pub(super) columns: Vec<Column>,
}

/// A chart that is to be drawn.
pub(super) struct Plan {
    pub(super) title: &'static str,
    pub(super) series: Vec<Series>,
    pub(super) drawing: Drawing,
    pub(super) scale: Scale,
    /// A value that others are compared with.
    pub(super) limit: Option<f64>,
    pub(super) show: fn(f64) -> String,
}

impl Plan {
    pub(super) fn chart(self) -> Chart {
        let seconds = self.series.iter().map(|one| one.values.len()).max().unwrap_or(0).max(2);
        let label = |at: f64, text: String| Label { at: format!("{at:.2}"), text };
        let of_value = |value: f64| label(self.scale.position(value), (self.show)(value));
        let highest = |one: &Series| one.values.iter().flatten().copied().reduce(f64::max);
        let legend = |one: &Series| (one.name, one.class, highest(one).map(self.show).unwrap_or_default());
        let step = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_200, 1_800].into_iter();
        let step = step.rev().take_while(|step| seconds / step < TIMES_MAX).last().unwrap_or(1_800);
        let times = (0..seconds).step_by(step);
        Chart {
            title: self.title,
            legend: self.series.iter().map(legend).collect(),
            shapes: match self.drawing {
                Drawing::Lines => self.lines(seconds),
                Drawing::Stacked => self.layers(seconds),
            },
            grid: self.scale.grid().into_iter().map(of_value).collect(),
            times: times.map(|second| label(x(second, seconds) / 10.0, format!("{second} s"))).collect(),
            limit: self.limit.map(of_value),
            columns: self.columns(seconds),
        }
    }

    fn lines(&self, seconds: usize) -> String {
        let mut drawn = String::new();
        for one in &self.series {
            let point = |second| Some(self.point(second, seconds, one.at(second)?));
            let points: Vec<_> = (0..seconds).filter_map(point).collect();
            let _ = write!(drawn, "<polyline class=\"line {}\" points=\"{}\"/>", one.class, points.join(" "));
        }
        drawn
    }

    fn layers(&self, seconds: usize) -> String {
        let mut floor = vec![0.0; seconds];
        let mut drawn = String::new();
        for one in &self.series {
            let value = |second| one.at(second).unwrap_or(0.0);
            let ceiling: Vec<_> =
                floor.iter().enumerate().map(|(second, below)| below + value(second)).collect();
            let point = |(second, value): (usize, &f64)| self.point(second, seconds, *value);
            let mut points: Vec<_> = ceiling.iter().enumerate().map(point).collect();
            points.extend(floor.iter().enumerate().rev().map(point));
            let _ = write!(drawn, "<polygon class=\"area {}\" points=\"{}\"/>", one.class, points.join(" "));
            floor = ceiling;
        }
        drawn
    }

    fn point(&self, second: usize, seconds: usize, value: f64) -> String {
        format!("{:.1},{:.1}", x(second, seconds), self.scale.position(value))
    }

    /// Each reaches half-way to its neighbours, and the outer ones to the edges.
    fn columns(&self, seconds: usize) -> Vec<Column> {
        let step = seconds.div_ceil(COLUMNS_MAX);
        let width = x(step, seconds) / 10.0;
        let column = |second| {
            let value = |one: &Series| Some((one.name, one.class, (self.show)(one.at(second)?)));
            let middle = x(second, seconds) / 10.0;
            let (left, right) = ((middle - width / 2.0).max(0.0), (middle + width / 2.0).min(100.0));
            Column {
                left: format!("{left:.2}"),
                width: format!("{:.2}", right - left),
                at: format!("{:.2}", 100.0 * (middle - left) / (right - left)),
                is_late: middle > 50.0,
                second,
                values: self.series.iter().filter_map(value).collect(),
            }
        };
        (0..seconds).step_by(step).map(column).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a run")]
fn x(second: usize, seconds: usize) -> f64 {
    WIDTH * second as f64 / (seconds - 1) as f64
}

/// The sums of all series: what stacked layers reach.
pub(super) fn sums(series: &[Series]) -> Vec<f64> {
    let seconds = series.iter().map(|one| one.values.len()).max().unwrap_or(0);
    (0..seconds).map(|second| series.iter().filter_map(|one| one.at(second)).sum()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(drawing: Drawing, seconds: usize) -> Plan {
        let series = |name| Series { name, class: name, values: vec![Some(1.0); seconds] };
        let (series, scale) = (vec![series("a"), series("b")], Scale::Linear { top: 4.0 });
        Plan { title: "t", series, drawing, scale, limit: Some(3.0), show: |value| format!("{value:.0}") }
    }

    #[test]
    fn layers_lie_on_each_other() {
        let chart = plan(Drawing::Stacked, 2).chart();
        assert!(
            chart.shapes.contains("class=\"area a\" points=\"0.0,75.0 1000.0,75.0 1000.0,100.0 0.0,100.0\"")
        );
        assert!(
            chart.shapes.contains("class=\"area b\" points=\"0.0,50.0 1000.0,50.0 1000.0,75.0 0.0,75.0\"")
        );
        assert_eq!(sums(&plan(Drawing::Stacked, 2).series), [2.0, 2.0]);
    }

    #[test]
    fn every_value_can_be_read_and_the_limit_is_there() {
        let chart = plan(Drawing::Lines, 3).chart();
        let limit = chart.limit.as_ref().map(|limit| (limit.at.as_str(), limit.text.as_str()));
        assert_eq!(limit, Some(("25.00", "3")));
        let place = |one: &Column| format!("{}+{} {}", one.left, one.width, one.at);
        let columns: Vec<_> = chart.columns.iter().map(place).collect();
        assert_eq!(columns, ["0.00+25.00 0.00", "25.00+50.00 50.00", "75.00+25.00 100.00"]);
        assert_eq!(chart.columns[2].values, [("a", "a", "1".to_owned()), ("b", "b", "1".to_owned())]);
        assert!(chart.columns[2].is_late && !chart.columns[1].is_late);
    }

    #[test]
    fn a_long_run_has_few_labels_and_columns() {
        for seconds in [2, 12, 65, 300, 7_200] {
            let chart = plan(Drawing::Lines, seconds).chart();
            assert!((1..=TIMES_MAX).contains(&chart.times.len()), "{seconds}: {:?}", chart.times);
            assert!(chart.columns.len() <= COLUMNS_MAX, "{seconds}: {}", chart.columns.len());
        }
    }
}
