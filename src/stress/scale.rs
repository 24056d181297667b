//! The vertical axis of a chart.

/// Maps values to positions: percent of the height, from the top.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    /// From 0.
    Linear { top: f64 },
    /// Between powers of ten: for latencies, where a limit and a median are far apart.
    Logarithmic { low: i32, high: i32 },
}

impl Scale {
    /// Leaves a tenth above the highest value.
    pub(super) fn linear(values: impl Iterator<Item = f64>) -> Self {
        Self::Linear { top: nice(values.fold(0.0, f64::max) * 1.1) }
    }

    #[expect(clippy::cast_possible_truncation, reason = "exponents of latencies")]
    pub(super) fn logarithmic(values: impl Iterator<Item = f64>) -> Self {
        let exponents = values.filter(|value| *value > 0.0).map(f64::log10);
        let (low, high) = exponents.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), exponent| {
            (low.min(exponent.floor()), high.max(exponent.ceil()))
        });
        if low > high {
            return Self::Logarithmic { low: 0, high: 1 };
        }
        Self::Logarithmic { low: low as i32, high: (high as i32).max(low as i32 + 1) }
    }

    pub(super) fn position(self, value: f64) -> f64 {
        let share = match self {
            Self::Linear { top } => value / top,
            Self::Logarithmic { low, .. } if value <= 10_f64.powi(low) => 0.0,
            Self::Logarithmic { low, high } => (value.log10() - f64::from(low)) / f64::from(high - low),
        };
        100.0 * (1.0 - share.clamp(0.0, 1.0))
    }

    /// The values of the grid, lowest first.
    pub(super) fn grid(self) -> Vec<f64> {
        match self {
            Self::Linear { top } => (0..=4).map(|part| top * f64::from(part) / 4.0).collect(),
            Self::Logarithmic { low, high } => (low..=high).map(|exponent| 10_f64.powi(exponent)).collect(),
        }
    }
}

/// The next round number at or above whose quarter is a whole number.
fn nice(highest: f64) -> f64 {
    if let Some(small) = [4.0, 8.0, 12.0].into_iter().find(|top| *top >= highest) {
        return small;
    }
    let magnitude = 10_f64.powf(highest.log10().floor());
    let steps = [1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0];
    let top = steps.into_iter().map(|step| step * magnitude).find(|top| *top >= highest);
    top.unwrap_or(10.0 * magnitude)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_ends_at_a_round_number_above_everything() {
        for (highest, top) in
            [(0.0, 4.0), (1.0, 4.0), (41.0, 60.0), (90.0, 100.0), (999.0, 1_200.0), (4_001.0, 6_000.0)]
        {
            let scale = Scale::linear([highest].into_iter());
            assert_eq!(scale, Scale::Linear { top }, "{highest}");
            assert!(scale.position(highest) >= 5.0, "there is room above {highest}");
        }
    }

    #[test]
    fn a_limit_far_above_the_values_leaves_them_apart() {
        let scale = Scale::logarithmic([350.0, 900.0, 400_000.0].into_iter());
        assert_eq!(scale, Scale::Logarithmic { low: 2, high: 6 });
        assert_eq!(scale.grid().len(), 5);
        let (low, high) = (scale.position(350.0), scale.position(900.0));
        assert!(low - high > 5.0 && scale.position(400_000.0) > 5.0, "{low} {high}");
        assert!((scale.position(0.0) - 100.0).abs() < 1e-9);
        assert_eq!(Scale::logarithmic(std::iter::empty()), Scale::Logarithmic { low: 0, high: 1 });
    }
}
